/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * zebra's RIB, read in its main thread for some milliseconds at a time. Between two calls nothing of
 * zebra's is held: where to go on is a prefix, and tables may come and go.
 */
#ifndef DPLANE_EBPF_AUDIT_RIB_H
#define DPLANE_EBPF_AUDIT_RIB_H

#include "dplane_ebpf/audit/snapshot.h"
#include "dplane_ebpf/compat.h"
#include "dplane_ebpf/repair.h"

struct rib_cursor {
	vrf_id_t vrf;
	int afi;
	bool begun; /* last is the prefix after which to go on */
	struct prefix last;
	uint64_t seen[2]; /* prefixes so far: IPv4, IPv6 */
	uint64_t nodes;	  /* of rib_nodes(), so far */
};

/* About how many there are to walk: at least as many as prefixes. */
uint64_t rib_nodes(struct fib *fib);

/* All zero: the beginning. Adds what it sees until the deadline (monotime in µs); true while there is more. */
bool rib_walk(struct rib_cursor *cursor, struct snapshot *snapshot, struct fib *fib,
	      int64_t deadline);

/* Looks at the records from *next on again; true while there are more. */
bool rib_look(struct snapshot *snapshot, size_t *next, struct fib *fib, int64_t deadline);

/* What a repair needs to know of a prefix. False: zebra is changing it. The caller hands it to repair_ask(). */
bool rib_repair(const struct fib_prefix *prefix, struct fib *fib, struct repair *repair);

/*
 * For a FIB that is filled anew. Asks for each route that zebra has (repair_ask()) until the deadline; true while there are
 * more. changing() is told of prefixes that zebra is changing now, which are left out.
 */
typedef void (*rib_changing_cb)(const struct fib_prefix *prefix);
bool rib_fill(struct rib_cursor *cursor, struct fib *fib, rib_changing_cb changing,
	      int64_t deadline);
/* The same for one prefix, if there still is such a route. */
void rib_fill_one(const struct fib_prefix *prefix, struct fib *fib, rib_changing_cb changing);

/* µs on a clock that only goes forward. */
int64_t rib_now(void);

#endif /* DPLANE_EBPF_AUDIT_RIB_H */
