/* SPDX-License-Identifier: GPL-2.0-or-later */
/* zebra's data-plane contexts in, calls on the FIB out. Contexts pass on untouched, whatever becomes of ours. */
#ifndef DPLANE_EBPF_PROVIDER_H
#define DPLANE_EBPF_PROVIDER_H

#include <stdbool.h>
#include <stdint.h>

#include "dplane_ebpf/compat.h"
#include "dplane_ebpf/fib/fib.h"

/* What became of each context: X(enumerator, name in JSON, what it means) */
#define PROVIDER_COUNTERS(X) \
	X(ROUTE_SET, "routeSets", "routes installed or updated") \
	X(ROUTE_DEL, "routeDeletes", "routes deleted") \
	X(GROUP_SET, "groupSets", "next-hop groups installed or updated") \
	X(GROUP_DEL, "groupDeletes", "next-hop groups deleted") \
	X(IGNORED_OP, "ignoredOperations", \
	  "not about unicast routes: MPLS, neighbours, rules and so on") \
	X(IGNORED_SAFI, "ignoredMulticast", "routes of the multicast RIB") \
	X(IGNORED_VRF, "ignoredVrf", \
	  "routes and groups of VRFs in other network namespaces, or beyond 4095 tables") \
	X(IGNORED_TABLE, "ignoredTable", "routes of tables that only policy rules lead to") \
	X(SOURCE_SPECIFIC, "sourceSpecific", "source-specific routes, left to the kernel") \
	X(GROUP_UNKNOWN, "groupUnknown", "routes whose group came without an id") \
	X(REPAIRED, "repaired", "prefixes that clear dplane ebpf consistency has set right") \
	X(ERROR, "errors", "routes and groups that the tables refused, left to the kernel")

enum provider_counter {
#define X(e, name, help) PROVIDER_##e,
	PROVIDER_COUNTERS(X)
#undef X
		PROVIDER_MAX,
};

struct provider_callbacks {
	/*
	 * In the main thread once zebra has forked and before any context comes: returns the FIB to fill, or
	 * NULL: contexts then only pass through.
	 */
	struct fib *(*start)(void);
	/* In the main thread when zebra begins to end: contexts still come. */
	void (*ending)(void);
	/* In the main thread at the end, when no context can come any more. keep: zebra's routes stay in the kernel. */
	void (*stop)(bool keep);
};

/* Registers with zebra. 0 or what zebra says. */
int provider_register(compat_loop *loop, const struct provider_callbacks *callbacks);

/*
 * Main thread, one at a time. Another FIB beside the one that start() returned: done() is called in the main thread when all
 * contexts from then on are for both. False: out of memory.
 */
bool provider_join(struct fib *fib, void (*done)(void));
/* The older of the two is given up: done() is called when nothing comes to it any more. */
void provider_leave(void (*done)(void));

/* Any thread. */
void provider_counters(uint64_t counters[PROVIDER_MAX]);
/* Contexts seen so far, of any kind. Any thread. */
uint64_t provider_handled(void);

#endif /* DPLANE_EBPF_PROVIDER_H */
