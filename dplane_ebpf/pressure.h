/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How full the tables are: told when a part has little room left, and when it has room again. Knows no FRR. */
#ifndef DPLANE_EBPF_PRESSURE_H
#define DPLANE_EBPF_PRESSURE_H

#include <stdbool.h>
#include <stdint.h>

#include "dplane_ebpf/fib/fib.h"

/* Whether a part that is high or not is so with this in use: from above nine tenths on, until below eight tenths. */
bool pressure_is_high(bool was_high, uint64_t used, uint64_t size);

/*
 * Looks at the tables that forward, and at how many hosts of connected networks they have, and tells what is not as at the last
 * look: notices, and lines in the log. Main thread.
 */
void pressure_look(const struct fib_stats *stats, uint64_t hosts);

#endif /* DPLANE_EBPF_PRESSURE_H */
