/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * When to compare: some time after something happened that may make the kernel drop routes in silence, and time and again,
 * as often as it costs next to nothing. audit_soon() of audit.h is here as well. For zebra's main thread.
 */
#ifndef DPLANE_EBPF_AUDIT_CLOCK_H
#define DPLANE_EBPF_AUDIT_CLOCK_H

#include "dplane_ebpf/compat.h"

/* A run is to begin, unless one goes on. */
typedef void (*clock_cb)(void);

void clock_start(compat_loop *loop, clock_cb cb);
void clock_stop(void);
/* A run begins, whoever asked for it: what happened before, it will see. */
void clock_began(void);
/* It has ended: how long it took, and the CPU time of both threads. */
void clock_ended(int64_t took_us, int64_t cpu_us);

#endif /* DPLANE_EBPF_AUDIT_CLOCK_H */
