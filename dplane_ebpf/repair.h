/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Prefixes that are to be as zebra's RIB has them: asked for in zebra's main thread, which reads the RIB, and done in its dplane
 * thread, which has the groups.
 */
#ifndef DPLANE_EBPF_REPAIR_H
#define DPLANE_EBPF_REPAIR_H

#include "dplane_ebpf/compat.h"
#include "dplane_ebpf/fib/fib.h"
#include "dplane_ebpf/groups.h"

struct repair {
	struct fib_prefix prefix;
	bool present;	      /* else it is removed */
	bool source_specific; /* the destination has such a route */
	bool local;
	uint16_t mtu; /* see members_mtu() */
	uint32_t nhe_id;
	struct nexthop_group ng, backups; /* copies, which the callee frees */
};

/*
 * Main thread. It is done before whatever zebra decides from now on. False: out of memory, nothing is done.
 */
bool repair_ask(struct repair *what);

/*
 * Dplane thread, ahead of the contexts that wait there. Sets what was asked for, and writes its shared memory and its group's
 * again. Returns how many prefixes; *err: the first error. Without a FIB they are only forgotten.
 */
size_t repair_all(struct fib *fib, struct groups *groups, int *err);

#endif /* DPLANE_EBPF_REPAIR_H */
