/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files of fib/ share. Everything here is called with fib->lock held.
 *
 * The truth is private: prefixes, members and next hops in ordinary memory. The shared
 * arrays are made from it, and can be made again when a pool had no room.
 */
#ifndef DPLANE_EBPF_FIB_INTERNAL_H
#define DPLANE_EBPF_FIB_INTERNAL_H

#include <pthread.h>
#include <sys/queue.h>

#include "dplane_ebpf/fib/fib.h"

#define fib_store(p, value) __atomic_store_n(p, value, __ATOMIC_RELEASE)
#define fib_load(p) __atomic_load_n(p, __ATOMIC_ACQUIRE)

/* ---- pool.c: ranges of units (blocks, 8-byte units, slots, numbers) ---- */

#define FIB_POOL_NONE UINT32_MAX
#define FIB_POOL_EXACT 256u /* free ranges shorter than this have a list per length */
#define FIB_POOL_BINS (FIB_POOL_EXACT + 32u)

struct fib_pool_range {
	uint32_t next, prev; /* in the list of its length */
	uint32_t length;     /* at the first and last unit of a free range, elsewhere 0 */
};

struct fib_pool {
	uint32_t first, end; /* units that may be handed out */
	uint32_t top;	     /* nothing at or above was handed out, or all of it came back */
	uint32_t used, retired;
	struct fib_pool_range *range;
	uint32_t bin[FIB_POOL_BINS];
	uint64_t filled[(FIB_POOL_BINS + 63) / 64]; /* bins that are not empty */
};

int fib_pool_init(struct fib_pool *pool, uint32_t first, uint32_t end);
void fib_pool_fini(struct fib_pool *pool);
/* FIB_POOL_NONE: no room. */
uint32_t fib_pool_alloc(struct fib_pool *pool, uint32_t n);
bool fib_pool_fits(const struct fib_pool *pool, uint32_t n);
/* Back from used at once; what readers may have seen goes through fib_retire(). */
void fib_pool_free(struct fib_pool *pool, uint32_t at, uint32_t n);

enum fib_pool_id {
	FIB_POOL_V4_MID,
	FIB_POOL_V4_LOW,
	FIB_POOL_V6_NODE,
	FIB_POOL_GROUP,
	FIB_POOL_SLOT,
	FIB_POOL_NEXTHOP,
	FIB_POOL_MAX,
};

/* ---- reclaim.c ---- */

struct fib_retired {
	uint64_t epoch;
	uint32_t at, n;
	enum fib_pool_id pool;
};

struct fib_retire_queue {
	struct fib_retired *ring;
	uint32_t head, count, size; /* size: power of two or 0 */
	uint64_t epoch;		    /* stamped on what is retired now */
	uint64_t grace_periods;
	bool wake;
	pthread_cond_t filled;
};

int fib_retire_init(struct fib *fib);
void fib_retire_fini(struct fib *fib);
/* Free after a grace period. Nothing reachable may refer to it any more. */
void fib_retire(struct fib *fib, enum fib_pool_id pool, uint32_t at, uint32_t n);

/* ---- heaps: prefixes of one stride, at 1 << relative length | bits ---- */

static inline uint32_t fib_heap_pos(uint32_t bits, unsigned int len)
{
	return 1u << len | (bits & ((1u << len) - 1));
}

/* The group of the longest prefix that is shorter than pos and covers it, or 0. */
static inline uint16_t fib_heap_cover(const uint16_t *heap, uint32_t pos)
{
	while (pos >>= 1) {
		if (heap[pos])
			return heap[pos];
	}
	return 0;
}

/* ---- fib4.c ---- */

struct fib4_mid;
struct fib4_low;

struct fib4 {
	uint16_t *heap;					 /* lengths 1..18 */
	uint16_t fallback;				 /* group of 0.0.0.0/0, or 0 */
	struct fib4_mid **mid;				 /* by root slot */
	TAILQ_HEAD(fib4_mid_list, fib4_mid) waiting_mid; /* that found no block */
	TAILQ_HEAD(fib4_low_list, fib4_low) waiting_low;
};

int fib4_init(struct fib *fib);
void fib4_fini(struct fib *fib);
/* *old: the group it had, 0: none. -ENOMEM: not kept, and its block of addresses is the kernel's. */
int fib4_set(struct fib *fib, uint32_t addr, uint8_t len, uint16_t gid, uint16_t *old);
/* Returns the group it had, 0: was not there. */
uint16_t fib4_del(struct fib *fib, uint32_t addr, uint8_t len);
/* The longest prefix no longer than len. */
uint16_t fib4_cover(const struct fib *fib, uint32_t addr, uint8_t len, uint8_t *found_len);
uint32_t fib4_lookup(const struct fib *fib, uint32_t addr);
/* Gives blocks to what waits for one. */
void fib4_place(struct fib *fib);
uint64_t fib4_overflow(const struct fib *fib);
typedef bool (*fib4_visit)(void *arg, uint32_t addr, uint8_t len, uint16_t gid);
/* Until visit returns false; then true, and *cursor goes on behind that prefix. */
bool fib4_walk(const struct fib *fib, uint64_t *cursor, fib4_visit visit, void *arg);

/* ---- fib6.c ---- */

struct fib6_branch;

#define FIB6_SLOTS (FIB6_ROOT_SIZE + FIB6_OUTER_SIZE)

struct fib6 {
	uint16_t *heap;			     /* 2000::/3: lengths 3..24 */
	uint16_t outer[2 * FIB6_OUTER_SIZE]; /* lengths 1..8, but for 2000::/3 and below */
	uint16_t fallback;		     /* group of ::/0, or 0 */
	struct fib6_branch **branch;	     /* by slot of v6_root */
	TAILQ_HEAD(fib6_branch_list, fib6_branch) waiting; /* that found no node */
};

int fib6_init(struct fib *fib);
void fib6_fini(struct fib *fib);
/* As their namesakes of IPv4; addr is 16 bytes, zero beyond len. */
int fib6_set(struct fib *fib, const uint8_t *addr, uint8_t len, uint16_t gid, uint16_t *old);
uint16_t fib6_del(struct fib *fib, const uint8_t *addr, uint8_t len);
uint16_t fib6_cover(const struct fib *fib, const uint8_t *addr, uint8_t len, uint8_t *found_len);
uint32_t fib6_lookup(const struct fib *fib, const uint8_t *addr);
typedef bool (*fib6_visit)(void *arg, const uint8_t *addr, uint8_t len, uint16_t gid);
bool fib6_walk(const struct fib *fib, uint64_t *cursor, fib6_visit visit, void *arg);

/* ---- fib6_branch.c: what lies below one slot of v6_root ---- */

int fib6_branch_set(struct fib *fib, uint32_t slot, unsigned int depth, const uint8_t *addr,
		    uint8_t len, uint16_t gid, uint16_t *old);
uint16_t fib6_branch_del(struct fib *fib, uint32_t slot, const uint8_t *addr, uint8_t len);
uint16_t fib6_branch_cover(const struct fib6_branch *branch, const uint8_t *addr, uint8_t len,
			   uint8_t *found_len);
/* The group that covers the whole slot has changed. */
void fib6_branch_inherit(struct fib *fib, struct fib6_branch *branch, uint16_t gid);
/* addr: the slot's address, used as scratch. False: visit wants no more. */
bool fib6_branch_walk(const struct fib6_branch *branch, uint8_t *addr, fib6_visit visit, void *arg);
void fib6_branch_free(struct fib6_branch *branch);
void fib6_place(struct fib *fib);
uint64_t fib6_overflow(const struct fib *fib);

/* ---- route.c: what is laid over the tables ---- */

struct fib_local {
	struct fib_local *next;
	uint8_t family;
	uint8_t addr[16];
	uint32_t count;
	uint16_t route; /* group of the host route that is hidden meanwhile, or 0 */
};

#define FIB_LOCAL_BUCKETS 4096u

struct fib_local *fib_local_find(struct fib *fib, const struct fib_prefix *prefix);
void fib_local_fini(struct fib *fib);

/* ---- nexthop.c ---- */

struct fib_group_member {
	LIST_ENTRY(fib_group_member) sibling; /* others of the same next hop */
	uint32_t group;
	uint32_t nexthop;
	uint32_t weight;
	uint32_t slots; /* as published */
};

struct fib_nexthop_entry {
	struct fib_nexthop_key key;
	uint32_t next; /* of the same hash, 0: none */
	uint32_t refs; /* 0: not in use */
	uint32_t mark; /* scratch of group.c: index of a member plus 1 */
	bool down;
	LIST_HEAD(, fib_group_member) members;
};

int fib_nexthop_init(struct fib *fib);
void fib_nexthop_fini(struct fib *fib);
/* Find or make, with one more reference. 0: no number is free. */
uint32_t fib_nexthop_ref(struct fib *fib, const struct fib_nexthop_key *key);
void fib_nexthop_unref(struct fib *fib, uint32_t nexthop);
bool fib_nexthop_key_valid(const struct fib_nexthop_key *key);

/* ---- group.c, slots.c ---- */

struct fib_group {
	struct fib_group_member *member;
	uint32_t n;
	uint32_t routes;
	uint32_t offset, slots; /* published range; slots 0: none, desc is 0 */
	uint32_t generation;
	bool used;
	bool dropped;
	bool waiting; /* for slots */
};

int fib_group_init(struct fib *fib);
void fib_group_fini(struct fib *fib);
/* A verdict that a route may have, or a group that was not dropped. */
bool fib_group_usable(const struct fib *fib, uint32_t group);
void fib_group_ref(struct fib *fib, uint32_t group);
void fib_group_unref(struct fib *fib, uint32_t group);

/* Compute and publish the slots of a group from members, liveness and weights. */
void fib_slots_publish(struct fib *fib, uint32_t group);
/* Retires the slots; the descriptor goes now, or with the group's id. */
void fib_slots_remove(struct fib *fib, uint32_t group, bool group_ends);
/* Groups that found no slots try again. */
void fib_slots_place(struct fib *fib);

/* ---- all of it ---- */

struct fib {
	pthread_mutex_t lock;
	struct fib_memory memory;
	struct fib_geometry geometry;
	struct fib_pool pool[FIB_POOL_MAX];
	struct fib_retire_queue retire;
	struct fib4 v4;
	struct fib6 v6;
	struct fib_local *local[FIB_LOCAL_BUCKETS];
	struct fib_group *group;
	uint32_t groups_waiting;
	struct fib_nexthop_entry *nexthop;
	uint32_t *nexthop_hash; /* geometry.nexthops heads, 0: empty */
	fib_nexthop_watcher watcher;
	void *watcher_arg;
	uint64_t routes4, routes6, locals, nexthops_down;
	uint64_t route_sets, route_dels, group_sets, group_overflow;
};

#endif /* DPLANE_EBPF_FIB_INTERNAL_H */
