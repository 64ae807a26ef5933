/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The FIB: prefix tables, next-hop groups and next hops in memory that the
 * eBPF program reads (bpf/layout.h). Plain C: knows neither FRR nor libbpf.
 *
 * Any thread may call anything here: each function takes the FIB's own lock,
 * for microseconds (a very short prefix over a full table: milliseconds).
 * Readers of the shared memory take none. Functions return 0 or a negative
 * errno; after an error the tables are as before, or send to the kernel.
 *
 * The tables' truth is private memory; what readers see of it is published when the
 * lock is released, all that changed under it at once.
 */
#ifndef DPLANE_EBPF_FIB_H
#define DPLANE_EBPF_FIB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/layout.h"

struct fib;
struct fib_nexthop_key;

/*
 * Where the shared arrays are mapped. The caller owns the memory, which is
 * zeroed at fib_new() and stays mapped until after fib_free().
 */
struct fib_memory {
	struct fib_header *header;
	uint32_t *v4_root;
	uint16_t *v4_low;
	uint32_t *v6_root;
	uint8_t *node;
	uint64_t *group;
	uint16_t *slot;
	struct fib_nexthop *nexthop;
	/* What the program counts for each next hop, by CPU; NULL: nobody counts. */
	const struct fib_nexthop_counters *nexthop_counters;
	/*
	 * Not shared, with the former: what a number had counted when it last became free, or somebody cleared it. Words that any
	 * thread reads and writes.
	 */
	struct fib_nexthop_counters *nexthop_start;
};

/* Which array, for sizes. */
enum fib_array {
	FIB_ARRAY_HEADER,
	FIB_ARRAY_V4_ROOT,
	FIB_ARRAY_V4_LOW,
	FIB_ARRAY_V6_ROOT,
	FIB_ARRAY_NODE,
	FIB_ARRAY_GROUP,
	FIB_ARRAY_SLOT,
	FIB_ARRAY_NEXTHOP,
	FIB_ARRAY_MAX,
};

/* Bytes that an array needs with this geometry, slack included. */
size_t fib_array_size(enum fib_array array, const struct fib_geometry *geometry);

/* True if every size is a power of two within the bounds layout.h gives. */
bool fib_geometry_valid(const struct fib_geometry *geometry);

/* Where a caller without maps (tests, fuzzers, benchmarks) gets the memory. */
int fib_memory_alloc(struct fib_memory *memory, const struct fib_geometry *geometry);
void fib_memory_free(struct fib_memory *memory);

/* An empty FIB: every address is FIB_GROUP_NO_ROUTE. NULL: out of memory, or bad geometry. */
struct fib *fib_new(const struct fib_memory *memory, const struct fib_geometry *geometry);
void fib_free(struct fib *fib);

/*
 * Several calls of one thread as one: it holds the lock from begin to end, and what they change is
 * published at the end, each node once. Others wait meanwhile, so a batch is some hundred calls at most
 * while traffic depends on it. Within a batch fib_lookup() may see what was before. Batches nest.
 */
void fib_batch_begin(struct fib *fib);
void fib_batch_end(struct fib *fib);

/* ---- tables ---- */

/*
 * The number of the table for one of the kernel's, made if it is not there yet. open() is for who knows that the VRF is there:
 * the table stays until close(), and then until it has no routes and no local addresses. Without it a table stays as
 * long as it has some; use() is for who sets a route in the same batch. find() makes none: -ENOENT. The main table
 * (RT_TABLE_MAIN) is 0, and the kernel's local one (RT_TABLE_LOCAL) is FIB_TABLE_LOCAL: both are always there. -ENOSPC:
 * there are FIB_MAX_TABLES.
 */
int fib_table_open(struct fib *fib, uint32_t kernel_table, uint16_t *table);
int fib_table_use(struct fib *fib, uint32_t kernel_table, uint16_t *table);
int fib_table_find(struct fib *fib, uint32_t kernel_table, uint16_t *table);
/*
 * The VRF is gone, and no packets are looked up in its table any more: the number is another one's some time after the grace
 * period in which the table is found empty. Closing what is not open is no error.
 */
void fib_table_close(struct fib *fib, uint16_t table);
/* The kernel's number; 0: there is no such table. */
uint32_t fib_table_kernel(struct fib *fib, uint16_t table);
/* Removes all its routes, not the local addresses. Not for table 0 and FIB_TABLE_LOCAL. */
void fib_table_clear(struct fib *fib, uint16_t table);

/*
 * One VRF may follow another that had the same table, and who writes routes and who sees VRFs go hear of it at different times. So
 * a table's routes belong to an owner (any number but 0 that no two VRFs have, such as their devices'): what another one
 * left is removed before the first route of the next comes. For the one thread that sets routes in it.
 */
void fib_table_claim(struct fib *fib, uint16_t table, uint32_t owner);
/* This owner is gone: as fib_table_clear(), unless the table is another's by now. Any thread, beside the above. */
void fib_table_leave(struct fib *fib, uint16_t table, uint32_t owner);

/* ---- prefixes ---- */

struct fib_prefix {
	uint8_t family; /* AF_INET or AF_INET6 */
	uint8_t len;
	uint8_t addr[16]; /* network byte order; bits beyond len are ignored */
	uint16_t table;
};

/*
 * Install or replace the route of a prefix. group is a verdict below
 * FIB_GROUP_FIRST (not FIB_GROUP_DEFAULT), or an id from fib_group_set() that
 * was not dropped. The route holds a reference to its group.
 *
 * With no room in the pools the route is kept all the same and its addresses go to the
 * kernel (FIB_GROUP_OVERFLOW) until there is: 0 is returned and stats.v4_overflow or
 * v6_overflow counts it. -EINVAL: bad prefix or group. -ENOMEM: out of ordinary
 * memory; the prefix, and what surrounds it, goes to the kernel for good.
 */
int fib_route_set(struct fib *fib, const struct fib_prefix *prefix, uint32_t group);

/* Remove a prefix. -ENOENT: it was not there. */
int fib_route_del(struct fib *fib, const struct fib_prefix *prefix);

/*
 * The same for a route that zebra did not make but read from the kernel (connected networks, and those of other
 * programs): it is in use only while fib_kernel_set() says that the kernel has it like this.
 */
int fib_route_read(struct fib *fib, const struct fib_prefix *prefix, uint32_t group);

/* ---- what is laid over routes: packets of such prefixes are the kernel's. overlay.c tells the idea. ---- */

/*
 * Host addresses that are the kernel's whatever the routes say: own addresses,
 * subnet broadcasts, subnet-router anycast. Counted: as many dels as adds. A
 * route of the same /32 or /128 may come and go meanwhile and takes effect afterwards.
 */
int fib_local_add(struct fib *fib, uint16_t table, uint8_t family, const uint8_t *addr);
int fib_local_del(struct fib *fib, uint16_t table, uint8_t family, const uint8_t *addr);
/* The same of a prefix, in the same count; longer ones are not covered by it. */
int fib_local_prefix(struct fib *fib, const struct fib_prefix *prefix, bool add);

/*
 * A set of next hops as one number, the same whatever their order, weights and MTU; 0: none. fib_way_add() adds one (each
 * once) and starts from 0.
 */
#define FIB_WAY_BLACKHOLE 1ull
uint64_t fib_way_add(uint64_t way, const struct fib_nexthop_key *key);

/*
 * The kernel has a route of its own for a prefix, that is, one that zebra did not make: packets are the kernel's unless zebra's
 * route goes the same way. way: of the kernel's route; FIB_WAY_BLACKHOLE; 0: it is one that the program has
 * no way for, or there are several. -ENOENT: there was none. -ENOMEM: as of fib_route_set().
 */
int fib_kernel_set(struct fib *fib, const struct fib_prefix *prefix, uint64_t way);
int fib_kernel_del(struct fib *fib, const struct fib_prefix *prefix);

/*
 * The kernel does not have what zebra says of this prefix (any more): its packets are the kernel's until zebra sets or deletes the
 * route again, or doubt is taken back. -ENOENT: zebra has no such route.
 */
int fib_route_doubt(struct fib *fib, const struct fib_prefix *prefix, bool doubt);

/*
 * The audit's word: this prefix is the kernel's although zebra has no route for it, until it is taken back. -ENOENT: it was
 * not given.
 */
int fib_audit_set(struct fib *fib, const struct fib_prefix *prefix);
int fib_audit_del(struct fib *fib, const struct fib_prefix *prefix);
/* Calls cb, under the lock, for each prefix that is in doubt or the kernel's by the audit's word. */
void fib_audit_walk(struct fib *fib, void (*cb)(void *arg, const struct fib_prefix *prefix),
		    void *arg);

/* What lies over a prefix and is in force: a set of these, 0: nothing. */
#define FIB_OVER_LOCAL 1u  /* an address of the router */
#define FIB_OVER_KERNEL 2u /* the kernel has another route than zebra */
#define FIB_OVER_DOUBT 4u  /* by the audit's word */
uint32_t fib_route_over(struct fib *fib, const struct fib_prefix *prefix);

/* ---- looking ---- */

/*
 * What the program would find for an address, read from the shared memory.
 * Returns the group id with FIB_GROUP_DEFAULT already resolved.
 */
uint32_t fib_lookup(struct fib *fib, uint16_t table, uint8_t family, const uint8_t *addr);

/*
 * The longest known prefix that covers prefix (same length included). Returns its group, or 0: none.
 * The group is as fib_route_set() had it; FIB_GROUP_LOCAL for a local address without a route of its own, and
 * FIB_GROUP_KERNEL for a prefix that is the kernel's without one.
 */
uint32_t fib_route_covering(struct fib *fib, const struct fib_prefix *prefix,
			    struct fib_prefix *found);

/*
 * Calls cb for every route of a table and family, in no particular order, under the lock in
 * chunks: cursor starts as all zero, at most max routes are visited a call; returns true while there is more.
 * Routes that change between calls may be missed or seen twice. Local addresses are no routes.
 */
struct fib_cursor {
	uint64_t place;
	struct fib_prefix last;
};

typedef void (*fib_route_cb)(void *arg, const struct fib_prefix *prefix, uint32_t group);
bool fib_route_walk(struct fib *fib, uint16_t table, uint8_t family, struct fib_cursor *cursor,
		    size_t max, fib_route_cb cb, void *arg);

/*
 * Whether the program finds this prefix's group at each of its addresses that no longer prefix has, and whether a
 * group's descriptor, slots and next hops in shared memory are what was written. -EBADMSG: they
 * are not. -ENOSPC: there was no room, the kernel has some. -ENOENT: no such prefix or group; of a prefix of length 0 that is not
 * there, only where what no prefix covers is as written. Not within a batch. For short prefixes the lock is free in between.
 */
int fib_route_verify(struct fib *fib, const struct fib_prefix *prefix);
int fib_group_verify(struct fib *fib, uint32_t group);
/* Write again what is not as written; other prefixes of the same node find the same in the one that takes its place. */
int fib_route_rewrite(struct fib *fib, const struct fib_prefix *prefix);
int fib_group_rewrite(struct fib *fib, uint32_t group);

/* ---- next hops and groups ---- */

struct fib_nexthop_key {
	uint32_t ifindex;
	uint8_t family; /* of gate: AF_INET, AF_INET6, or 0: the network is connected */
	uint8_t gate[16];
	uint16_t mtu; /* of the routes that go this way; 0: as the interface's */
};

#define FIB_MAX_BACKUPS 4u

struct fib_member {
	struct fib_nexthop_key nexthop;
	uint32_t weight; /* 0 counts as 1 */
	/* what takes over when no member of the group is up, in order of preference; ifindex 0 ends it */
	struct fib_nexthop_key backup[FIB_MAX_BACKUPS];
	bool backup_refused; /* there is another that the program cannot use: only shown */
};

/*
 * Create (*group == 0) or change a group: its members and zebra's weights. The same
 * next hop twice counts with the sum of its weights, and the backups of both. While a member is up the
 * group does without those that are down, and without backups; with none up, each member's first backup that is up
 * gets its share. Slots change as little as the new
 * weights allow, and all at once. Without a free id or next-hop number *group becomes
 * FIB_GROUP_OVERFLOW on creation, and an existing group sends to the kernel until it is set again;
 * without slots the group exists and sends to the kernel until there are some, and one that has some and
 * finds no room for more goes on with those until there is. 0 is
 * returned and stats.group_overflow counts it. With all next hops down, backups too, the slots are as if
 * all members were up: what a packet meets is the next hops' own action.
 * n == 0: an existing group sends to the kernel. -EINVAL (more than FIB_MAX_GROUP_SLOTS members and backups), -ENOMEM.
 */
int fib_group_set(struct fib *fib, uint32_t *group, const struct fib_member *members, size_t n);

/* The caller's interest ends; the id is freed when no route refers to it any more. */
int fib_group_drop(struct fib *fib, uint32_t group);

/* How many routes refer to a group. */
uint32_t fib_group_routes(struct fib *fib, uint32_t group);

/* What links/ knows of a next hop. */
struct fib_adjacency {
	bool down;	/* out of service: groups do without it while they have another */
	uint8_t action; /* enum fib_nexthop_action */
	uint8_t dst[6]; /* with FIB_NH_REWRITE */
	uint8_t src[6]; /* with FIB_NH_REWRITE */
	uint16_t mtu;
};

/*
 * Publish how a next hop is reached. A new next hop starts as FIB_NH_KERNEL, not down.
 * Where `down` changes, the groups with this member are recomputed. -ENOENT:
 * no such next hop (any more), or key (unless NULL) is not its key.
 */
int fib_nexthop_resolve(struct fib *fib, uint32_t nexthop, const struct fib_nexthop_key *key,
			const struct fib_adjacency *adjacency);

/*
 * Told whenever a next hop appears (added) or is no longer used. Called under
 * the lock, from the thread that changed the group: it must only take note.
 * The watcher is told of what exists already when it is set. NULL: nobody watches.
 */
typedef void (*fib_nexthop_watcher)(void *arg, uint32_t nexthop, const struct fib_nexthop_key *key,
				    bool added);
void fib_nexthop_watch(struct fib *fib, fib_nexthop_watcher watcher, void *arg);

/* Counted since the number's next hop appeared, or fib_nexthop_clear(). Zero where nobody counts. Takes no lock. */
void fib_nexthop_counted(const struct fib_memory *memory, const struct fib_geometry *geometry,
			 uint32_t nexthop, struct fib_nexthop_counters *sum);
void fib_nexthop_clear(const struct fib_memory *memory, const struct fib_geometry *geometry,
		       uint32_t nexthop);

/* ---- steering ---- */

/* A member that is up, as the steerer is asked about it. */
struct fib_candidate {
	const struct fib_nexthop_key *key;
	uint32_t weight; /* zebra's; the steerer writes the share that it is to have, 0: none */
};

/*
 * Asked, under the lock, whenever the slots of a group with several members that are up are computed: a new group of zebra's never
 * has others. False, or no share for anybody: zebra's weights. It may take locks that nobody holds who calls the FIB.
 */
typedef bool (*fib_steerer)(void *arg, struct fib_candidate *candidates, size_t n);

/*
 * Sets who is asked, NULL: nobody, and computes all groups again. What a group would have without steering is remembered: when
 * that ends its flows go back to where they were. -ENOMEM: as before.
 */
int fib_steer(struct fib *fib, fib_steerer steerer, void *arg);

/* The steerer has another answer for groups with a member on these links; NULL: for any. In force on return. */
void fib_steer_again(struct fib *fib, const uint32_t *ifindex, size_t n);

/* ---- for show ---- */

struct fib_nexthop_info {
	uint32_t nexthop;
	struct fib_nexthop_key key;
	struct fib_adjacency adjacency; /* as published */
	uint32_t groups;		/* that have it as a member */
};

struct fib_member_info {
	uint32_t nexthop;
	uint32_t weight; /* as asked; 0: only a backup */
	uint32_t slots;	 /* as published */
	uint64_t
		share; /* of the slots: its weight, what it stands in for, or what the steerer said */
	bool backup_refused;
	/* indices of its backups in fib_group_info.members */
	uint32_t n_backups;
	uint16_t backup[FIB_MAX_BACKUPS];
};

struct fib_group_info {
	uint32_t group;
	uint32_t routes; /* that refer to it */
	uint32_t slots;
	uint32_t generation;
	bool dropped;
	bool protected; /* backups stand in for members */
	bool steered;	/* the steerer's shares, not zebra's */
	size_t n;
	struct fib_member_info *members; /* those of the group first; malloc'ed, caller frees */
};

int fib_nexthop_get(struct fib *fib, uint32_t nexthop, struct fib_nexthop_info *info);
int fib_group_get(struct fib *fib, uint32_t group, struct fib_group_info *info);
/* The first used id at or above `from`, or 0: none. */
uint32_t fib_nexthop_next(struct fib *fib, uint32_t from);
uint32_t fib_group_next(struct fib *fib, uint32_t from);

struct fib_pool_stats {
	uint64_t used;	  /* bytes */
	uint64_t retired; /* bytes, waiting for a grace period */
	uint64_t size;
};

struct fib_stats {
	struct fib_geometry geometry;
	uint64_t tables;		   /* the main one included, the kernel's local one not */
	uint64_t v4_routes, v6_routes;	   /* of all tables */
	uint64_t v4_overflow, v6_overflow; /* routes that now go to the kernel for want of room */
	uint64_t locals;
	uint64_t
		laid_over; /* prefixes that are the kernel's because it has another route than zebra, or none */
	uint64_t groups, group_overflow; /* in use; times that a group found no room */
	uint64_t nexthops, nexthops_down;
	uint64_t groups_protected; /* whose backups stand in now */
	uint64_t groups_steered;   /* whose shares are not zebra's */
	uint64_t failovers;	   /* times that a group did without a member, or with its backup */
	uint64_t slots;
	struct fib_pool_stats node, v4_low;
	uint64_t v4_node_bytes, v6_node_bytes; /* shares of node.used */
	uint64_t node_extent; /* bytes from the first node to the last, gaps included */
	uint64_t compactions, nodes_moved;
	uint64_t route_sets, route_dels, group_sets;
	uint64_t grace_periods;
};
void fib_stats(struct fib *fib, struct fib_stats *stats);

/* ---- reclamation ---- */

/*
 * A thread that can wait for a grace period loops: wait, begin, let every program that
 * runs now end, end. fib_reclaim_wait() returns true once something was
 * retired, false at the timeout or after fib_reclaim_wake(). end() makes everything that was retired
 * before the matching begin() free again, and places routes that had no room.
 */
bool fib_reclaim_wait(struct fib *fib, int timeout_ms);
void fib_reclaim_wake(struct fib *fib);
uint64_t fib_reclaim_begin(struct fib *fib);
void fib_reclaim_end(struct fib *fib, uint64_t epoch);

/*
 * Moves all nodes to the other half of their pool, one beside the other, while readers go on: by some dozens
 * under the lock at a time, each with one store. Returns whether there was anything to do: the gaps
 * must be as large as what is in use, or force. Afterwards the old half is free as soon as a grace period
 * has ended. For the thread that reclaims.
 */
bool fib_compact(struct fib *fib, bool force);

#endif /* DPLANE_EBPF_FIB_H */
