/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which prefixes zebra changed lately: every one that passes leaves a mark while somebody watches, so that whoever
 * compares tables can tell what moved meanwhile. A bit for each, by hash: now and then one is taken for another. Any thread.
 */
#ifndef DPLANE_EBPF_AUDIT_MARKS_H
#define DPLANE_EBPF_AUDIT_MARKS_H

#include <stdbool.h>

#include "dplane_ebpf/fib/fib.h"

/* Forgets what passed before. */
void marks_watch(void);
void marks_end(void);
void marks_leave(const struct fib_prefix *prefix);
bool marks_has(const struct fib_prefix *prefix);

#endif /* DPLANE_EBPF_AUDIT_MARKS_H */
