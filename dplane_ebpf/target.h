/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What zebra's contexts are turned into: a FIB, and what has to be known of zebra to fill it. */
#ifndef DPLANE_EBPF_TARGET_H
#define DPLANE_EBPF_TARGET_H

#include "dplane_ebpf/compat.h"
#include "dplane_ebpf/fib/fib.h"
#include "dplane_ebpf/groups.h"
#include "dplane_ebpf/srcdest.h"

/* Filled by zebra's dplane thread. */
struct target {
	struct fib *fib; /* the caller's */
	struct groups *groups;
	struct srcdest *srcdest;
};

/* NULL: out of memory. */
struct target *target_new(struct fib *fib);
/* Before fib_free(); the FIB keeps what routes refer to. NULL is fine. */
void target_free(struct target *target);

/* A prefix as zebra has it. */
void fib_to_prefix(const struct fib_prefix *from, struct prefix *to);

#endif /* DPLANE_EBPF_TARGET_H */
