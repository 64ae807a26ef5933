/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Prefixes that are to be as zebra's RIB has them, to repair tables or to fill new ones: asked for in zebra's main thread, which
 * reads the RIB, and done in its dplane thread, which has the groups.
 */
#ifndef DPLANE_EBPF_REPAIR_H
#define DPLANE_EBPF_REPAIR_H

#include "dplane_ebpf/compat.h"
#include "dplane_ebpf/fib/fib.h"
#include "dplane_ebpf/target.h"

struct repair {
	const struct fib *fib; /* whose prefix it is */
	struct fib_prefix prefix;
	bool again;	      /* shared memory is written again even where nothing has changed */
	bool present;	      /* else it is removed */
	bool source_specific; /* the destination has such a route, */
	struct prefix src;    /* this one; family 0: it is known already */
	bool local;
	bool kernels; /* zebra read it from the kernel */
	uint16_t mtu; /* see members_mtu() */
	uint32_t nhe_id;
	struct nexthop_group ng, backups; /* copies, which the callee frees */
};

/*
 * Main thread. It is done before whatever zebra decides from now on. False: out of memory, nothing is done.
 */
bool repair_ask(struct repair *what);

/* How many were asked for and are not done yet. Any thread. */
size_t repair_waiting(void);

/*
 * Dplane thread, ahead of the contexts that wait there. Does what was asked of these FIBs; what was of others is forgotten.
 * Returns how many prefixes were written again; *err: the first error.
 */
size_t repair_all(struct target *const targets[], size_t n, int *err);

#endif /* DPLANE_EBPF_REPAIR_H */
