/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files of fib/ share. Everything here is called with fib->lock held.
 *
 * The truth is private: prefixes, members and next hops in ordinary memory, and what was made of them in the shared
 * arrays: which ranges, how long, and the shape of each node. The arrays are made from it, and can be made again when a pool
 * had no room. Others may write to them: what is read back decides only whether something has to be written, or is
 * checked. What changes in the prefix tables is marked as dirty and published when the lock is released.
 */
#ifndef DPLANE_EBPF_FIB_INTERNAL_H
#define DPLANE_EBPF_FIB_INTERNAL_H

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
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
	FIB_POOL_NODE, /* the first half of the nodes' array */
	FIB_POOL_NODE_OTHER,
	FIB_POOL_V4_LOW,
	FIB_POOL_GROUP,
	FIB_POOL_SLOT,
	FIB_POOL_NEXTHOP,
	FIB_POOL_MAX,
	FIB_RETIRE_TABLE = FIB_POOL_MAX, /* no pool: the number of a VRF's table */
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

/* ---- node.c: room for nodes, in two halves, and its bookkeeping ---- */

enum fib_side { FIB_SIDE_V4, FIB_SIDE_V6 };

struct fib_nodes {
	unsigned int half; /* where nodes are made: 0 or 1 */
	uint64_t units[2]; /* in use, by enum fib_side */
	uint64_t compactions, moved;
};

int fib_node_init(struct fib *fib);
/* The number of a range of units, or 0: no room in either half. */
uint32_t fib_node_alloc(struct fib *fib, enum fib_side side, uint32_t units);
bool fib_node_fits(const struct fib *fib, uint32_t units);
void fib_node_retire(struct fib *fib, enum fib_side side, uint32_t node, uint32_t units);
/* A copy of a node that stands in the half that is being left, elsewhere; 0: it stands right, or there is no room. */
uint32_t fib_node_move(struct fib *fib, enum fib_side side, uint32_t node, uint32_t units);

static inline bool fib_node_is(uint32_t word)
{
	return word & FIB_NODE;
}

static inline uint32_t fib_node_number(uint32_t word)
{
	return FIB_NODE_NUMBER(word);
}

/* ---- fib4.c, fib4_publish.c, fib4_read.c: IPv4 of the main table ---- */

/* The prefixes /25 to /32 of one /24. */
struct fib4_low {
	TAILQ_ENTRY(fib4_low) wait;
	struct fib4_mid *mid;
	uint32_t block; /* FIB_POOL_NONE: waits for one */
	uint16_t inherit;
	uint16_t prefixes;
	uint8_t index; /* in mid */
	uint16_t heap[2 * FIB4_LOW_SIZE];
};

/* The prefixes /19 to /24 of one /18, and what is below. */
struct fib4_mid {
	TAILQ_ENTRY(fib4_mid) link; /* of the dirty ones, or of those that wait for room */
	struct fib4_low **low;	    /* NULL while there is none */
	uint64_t lost;		    /* /24s that found no ordinary memory: the kernel's for good */
	uint64_t bits;		    /* of its node, as written */
	uint32_t node;		    /* 0: none */
	uint32_t wanted;	    /* units that could not be had */
	uint32_t slot;
	uint16_t inherit;
	uint8_t prefixes;
	uint8_t lows;
	bool dirty;   /* to be published when the lock is released */
	bool waiting; /* for room */
	bool anew;    /* its node was damaged: the next one is not made in place */
	uint16_t heap[2 * FIB4_MID_SIZE];
};

TAILQ_HEAD(fib4_mid_list, fib4_mid);
TAILQ_HEAD(fib4_low_list, fib4_low);

struct fib4 {
	uint16_t *heap;	       /* lengths 1..18 */
	uint16_t fallback;     /* group of 0.0.0.0/0, or 0 */
	struct fib4_mid **mid; /* by root slot */
	struct fib4_mid_list dirty, waiting;
	struct fib4_low_list waiting_low;
};

/* Stands for a mid that found no ordinary memory. */
extern struct fib4_mid fib4_lost;

int fib4_init(struct fib *fib);
void fib4_fini(struct fib *fib);
/* *old: the group it had, 0: none. -ENOMEM: not kept, and its block of addresses is the kernel's. */
int fib4_set(struct fib *fib, uint32_t addr, uint8_t len, uint16_t gid, uint16_t *old);
/* Returns the group it had, 0: was not there. */
uint16_t fib4_del(struct fib *fib, uint32_t addr, uint8_t len);

void fib4_dirty(struct fib *fib, struct fib4_mid *mid);
/* Finds a block, or puts it among those that wait for one. */
void fib4_low_place(struct fib *fib, struct fib4_low *low);
/* pos, and what only it covers, is now gid. */
void fib4_low_push(struct fib *fib, const struct fib4_low *low, uint32_t pos, uint16_t gid);
/* Writes all of it where it stands, and a new node with the next publication. */
void fib4_anew(struct fib *fib, struct fib4_mid *mid);
void fib4_publish(struct fib *fib);
/* Gives room to what waits for it. */
void fib4_place(struct fib *fib);
uint64_t fib4_overflow(const struct fib *fib);
/* Moves the node of a slot, if it has to. */
void fib4_move(struct fib *fib, uint32_t slot);

/* The longest prefix no longer than len. */
uint16_t fib4_cover(const struct fib *fib, uint32_t addr, uint8_t len, uint8_t *found_len);
uint32_t fib4_lookup(const struct fib *fib, uint32_t addr);
/* What a reader finds behind a word of v4_root for one of its /24s. */
uint32_t fib4_word(const struct fib *fib, uint32_t root, unsigned int index);
typedef bool (*fib4_visit)(void *arg, uint32_t addr, uint8_t len, uint16_t gid);
/* Until visit returns false; then true, and *cursor goes on behind that prefix. */
bool fib4_walk(const struct fib *fib, uint64_t *cursor, fib4_visit visit, void *arg);

/* ---- branch.c, branch_publish.c: prefixes below one word, byte by byte ---- */

struct fib_stem {
	uint16_t pos; /* heap position, relative length 1..8 */
	uint16_t gid;
};

struct fib_twig {
	struct fib_branch *branch;
	uint8_t index;
};

/* The prefixes that end in one byte of the address, and what is below. */
struct fib_branch {
	TAILQ_ENTRY(fib_branch) link; /* of the dirty ones, or of those that wait for room */
	struct fib_branch *parent;    /* NULL: hangs on a root */
	struct fib_branch *
		*owner;		 /* where the topmost one is kept, cleared at its end; NULL below */
	uint32_t *root;		 /* the topmost one's word in shared memory */
	struct fib_stem *prefix; /* sorted by pos, so that longer ones follow */
	struct fib_twig *child;	 /* sorted by index */
	uint64_t bits[4];	 /* where its node's runs begin, as written */
	uint32_t word;		 /* as published */
	uint32_t wanted;	 /* units that could not be had */
	uint16_t inherit;	 /* group of the longest prefix that covers all of it, or 0 */
	uint16_t prefixes, prefixes_max;
	uint16_t children, children_max;
	uint16_t entries; /* of its node, as written */
	uint8_t depth;	  /* the byte of the address that it looks at */
	uint8_t index;	  /* in parent */
	uint8_t side;	  /* enum fib_side */
	bool dirty;	  /* to be published when the lock is released */
	bool waiting;	  /* for room */
	bool lost;	  /* out of ordinary memory: the kernel's for good */
	bool anew;	  /* its node was damaged: the next one is not made in place */
};

TAILQ_HEAD(fib_branch_list, fib_branch);

#define FIB_BRANCH_DEPTHS 16

struct fib_branches {
	struct fib_branch_list dirty[FIB_BRANCH_DEPTHS]; /* by depth */
	struct fib_branch_list waiting;
	uint32_t dirty_depths; /* bit set: that list is not empty */
};

void fib_branch_init(struct fib *fib);
/*
 * A topmost branch at *owner, for the word at *root, which is inherit now. NULL: out of memory.
 */
struct fib_branch *fib_branch_new(struct fib *fib, struct fib_branch **owner, uint32_t *root,
				  enum fib_side side, unsigned int depth, uint16_t inherit);
/* As fib4_set() and its siblings; addr is 16 bytes, zero beyond len, and len ends below the branch's root. */
int fib_branch_set(struct fib *fib, struct fib_branch *branch, const uint8_t *addr, uint8_t len,
		   uint16_t gid, uint16_t *old);
/* branch is gone if nothing is left of it. */
uint16_t fib_branch_del(struct fib *fib, struct fib_branch *branch, const uint8_t *addr,
			uint8_t len);
uint16_t fib_branch_cover(const struct fib_branch *branch, const uint8_t *addr, uint8_t len,
			  uint8_t *found_len);
/* The group that covers the whole branch has changed. */
void fib_branch_inherit(struct fib *fib, struct fib_branch *branch, uint16_t gid);
typedef bool (*fib_branch_visit)(void *arg, const uint8_t *addr, uint8_t len, uint16_t gid);
/*
 * Every prefix, behind cursor->last if its length is not 0. addr: the branch's address, used as scratch. True: visit
 * wants no more, and cursor->last says where it was.
 */
bool fib_branch_resume(const struct fib_branch *branch, uint8_t *addr, struct fib_cursor *cursor,
		       fib_branch_visit visit, void *arg);
void fib_branch_free(struct fib_branch *branch);

/* The group of the branch's own prefix that covers an index, 0: none does. */
uint16_t fib_branch_own(const struct fib_branch *branch, uint8_t index);
/* The same of each index, else inherit. */
void fib_branch_words(const struct fib_branch *branch, uint32_t word[256]);
void fib_branch_dirty(struct fib *fib, struct fib_branch *branch);
/* A branch ends: it is in no list any more, and its node is retired. */
void fib_branch_forget(struct fib *fib, struct fib_branch *branch);
void fib_branch_publish(struct fib *fib);
void fib_branch_place(struct fib *fib);
/* Prefixes of one side that are now the kernel's. */
uint64_t fib_branch_overflow(const struct fib *fib, enum fib_side side);
/* Moves its node, if it has to. */
void fib_branch_move(struct fib *fib, struct fib_branch *branch, void *arg);
/* A branch below a topmost one, known by its address, so that it may go and come meanwhile. All zero: the topmost one. */
struct fib_branch_place {
	uint8_t path[FIB_BRANCH_DEPTHS]; /* the bytes of the address above it */
	uint8_t depth;
};
typedef void (*fib_branch_cb)(struct fib *fib, struct fib_branch *branch, void *arg);
/*
 * Calls cb for a branch and all below, from a place on: at most *budget of them, which it counts down. False: the budget was
 * not enough, and place says where to go on.
 */
bool fib_branch_each(struct fib *fib, struct fib_branch *branch, struct fib_branch_place *place,
		     uint32_t *budget, fib_branch_cb cb, void *arg);
/* What a walk from the word finds for the bytes of addr from depth on. */
uint32_t fib_branch_lookup(const struct fib *fib, uint32_t word, const uint8_t *addr,
			   unsigned int depth, unsigned int end);
/* What it finds in the node of a word for one byte. */
uint32_t fib_branch_word(const struct fib *fib, uint32_t word, unsigned int byte);

/* What hangs below at an index, or NULL. */
struct fib_branch *fib_branch_child(const struct fib_branch *branch, uint8_t index);
/* Whether its node, if it has one, says of its runs what was written. */
bool fib_branch_intact(const struct fib *fib, const struct fib_branch *branch);
/* Stores the branch's word again, and makes its node anew with the next publication. */
void fib_branch_anew(struct fib *fib, struct fib_branch *branch);

/* ---- fib6.c: IPv6 of the main table ---- */

#define FIB6_SLOTS (FIB6_ROOT_SIZE + FIB6_OUTER_SIZE)

struct fib6 {
	uint16_t *heap;			     /* 2000::/3: lengths 3..24 */
	uint16_t outer[2 * FIB6_OUTER_SIZE]; /* lengths 1..8, but for 2000::/3 and below */
	uint16_t fallback;		     /* group of ::/0, or 0 */
	struct fib_branch **branch;	     /* by slot of v6_root */
};

int fib6_init(struct fib *fib);
void fib6_fini(struct fib *fib);
/* As their namesakes of IPv4; addr is 16 bytes, zero beyond len. */
int fib6_set(struct fib *fib, const uint8_t *addr, uint8_t len, uint16_t gid, uint16_t *old);
uint16_t fib6_del(struct fib *fib, const uint8_t *addr, uint8_t len);
uint16_t fib6_cover(const struct fib *fib, const uint8_t *addr, uint8_t len, uint8_t *found_len);
uint32_t fib6_lookup(const struct fib *fib, const uint8_t *addr);
bool fib6_walk(const struct fib *fib, struct fib_cursor *cursor, fib_branch_visit visit, void *arg);
/* The topmost branch of a slot, or NULL. */
struct fib_branch *fib6_branch(const struct fib *fib, uint32_t slot);
/* fib6_verify.c's part of fib6.c: a slot whose branch found no ordinary memory. */
bool fib6_lost(const struct fib *fib, uint32_t slot);
/* The place of a prefix in the heaps, NULL: it is longer than they go. */
uint16_t *fib6_heap_of(struct fib6 *v6, const uint8_t *addr, uint8_t len, uint32_t *pos);
uint32_t fib6_slot_of(const uint8_t *addr);

#define FIB6_ROOT_OUTER (8u | 1) /* where the outer heap has 2000::/3 */

/* ---- vrf.c: all tables but the main one ---- */

struct fib_vrf {
	SLIST_ENTRY(fib_vrf) doubt;
	uint32_t kernel_table; /* 0: not in use */
	uint32_t owner;	       /* whose routes are in it, see fib_table_claim(); 0: nobody said */
	uint16_t fallback[2];  /* groups of the default routes, by enum fib_side */
	struct fib_branch *top[2];
	bool lost[2]; /* its top found no ordinary memory */
	bool open;    /* somebody has its device: it stays while it is empty */
	bool doubted; /* is in the list of those that may have to end */
	bool retired; /* its number is free after a grace period */
	bool passed;  /* was in use while numbers behind it were given out */
};

SLIST_HEAD(fib_vrf_list, fib_vrf);

/* Those that are neither open nor have anything end. */
void fib_vrf_end_unused(struct fib *fib);
/* The number may be given out again. */
void fib_vrf_free(struct fib *fib, uint32_t number);

bool fib_table_exists(const struct fib *fib, uint16_t table);
int fib_vrf_init(struct fib *fib);
void fib_vrf_fini(struct fib *fib);
/* These are for tables that exist, and are not the main one. */
int fib_vrf_set(struct fib *fib, const struct fib_prefix *prefix, uint16_t gid, uint16_t *old);
uint16_t fib_vrf_del(struct fib *fib, const struct fib_prefix *prefix);
uint16_t fib_vrf_cover(const struct fib *fib, const struct fib_prefix *prefix, uint8_t *found_len);
uint32_t fib_vrf_lookup(const struct fib *fib, uint16_t table, uint8_t family, const uint8_t *addr);
bool fib_vrf_walk(const struct fib *fib, uint16_t table, uint8_t family, struct fib_cursor *cursor,
		  fib_branch_visit visit, void *arg);
/* The topmost branch of table number / 2, of enum fib_side number % 2, or NULL. */
struct fib_branch *fib_vrf_top(const struct fib *fib, uint32_t number);
int fib_vrf_check(struct fib *fib, const struct fib_prefix *prefix, bool rewrite);

/* ---- route.c: a prefix's table ---- */

/* The prefix with all bits beyond its length zero. False: no such prefix. */
bool fib_prefix_clean(struct fib_prefix *clean, const struct fib_prefix *prefix);
/* These take a clean prefix of a table that exists. *old: the group it had, 0: none. */
int fib_table_set(struct fib *fib, const struct fib_prefix *prefix, uint16_t gid, uint16_t *old);
/* The group it had, 0: none. */
uint16_t fib_table_del(struct fib *fib, const struct fib_prefix *prefix);
/* The longest prefix that covers it, as published; 0: none. */
uint32_t fib_table_cover(const struct fib *fib, const struct fib_prefix *prefix, uint8_t *len);

/* ---- overlay.c: what is laid over zebra's routes ---- */

struct fib_overlay {
	struct fib_overlay *next; /* of the same hash */
	struct fib_prefix prefix; /* clean */
	uint16_t route;		  /* the group of zebra's route, 0: it has none */
	uint16_t published;	  /* what readers find, 0: nothing */
	uint32_t locals;	  /* times that it is an address of the router */
	uint64_t way;		  /* of the kernel's route, see fib_kernel_set() */
	bool kernel;		  /* the kernel has a route of its own */
	bool read;		  /* zebra's is one that it read from the kernel */
	bool doubt;		  /* the kernel does not have zebra's */
	bool audited;		  /* the kernel's, by the audit's word */
};

#define FIB_OVERLAY_BUCKETS 65536u

int fib_overlay_init(struct fib *fib);
void fib_overlay_fini(struct fib *fib);
/* Of a clean prefix; NULL: nothing is laid over it. */
struct fib_overlay *fib_overlay_find(const struct fib *fib, const struct fib_prefix *prefix);
/*
 * zebra's route of a clean prefix is this group, 0: none any more; *old: what it was. The caller sees to the references that
 * routes hold. read: as of fib_route_read(). After an error it is as before.
 */
int fib_overlay_route(struct fib *fib, const struct fib_prefix *prefix, uint16_t group, bool read,
		      uint16_t *old);
/* A group's way is another now: prefixes that were hidden may be so no more, or the reverse. */
void fib_overlay_group_changed(struct fib *fib, uint32_t group);

/* ---- verify.c, fib4_verify.c, fib6_verify.c, branch_verify.c: is it as written? ---- */

/* The worse of two answers: -EBADMSG before others, these before 0. */
static inline int fib_worse(int a, int b)
{
	return a == -EBADMSG || !b ? a : b;
}

/* The slots of a root that a prefix of a heap owns: those that no longer one of the heap covers. */
struct fib_owned {
	const uint16_t *heap,
		*gid; /* gid: where it has the prefix's group; NULL: 0, for what no prefix covers */
	uint32_t leaves;
	uint32_t hole;	/* below this position is another heap; 0: none */
	uint32_t first; /* slot of the first leaf */
	int (*slot)(struct fib *fib, uint32_t slot, const uint16_t *gid, bool rewrite);
	bool rewrite;
	bool hole_owned; /* set if the hole is, too */
};
/* The worst of what slot() says of those below pos. The lock is free between some thousands. */
int fib_owned_check(struct fib *fib, struct fib_owned *owned, uint32_t pos);

/*
 * Whether readers find a prefix's group at all addresses that are its own: 0, -ENOENT: it is not there, -ENOSPC: the kernel has some
 * for want of room, -EBADMSG: they do not. rewrite: what is wrong is written again. Length 0: also where there is none, for the
 * addresses that no prefix covers.
 */
int fib4_check(struct fib *fib, uint32_t addr, uint8_t len, bool rewrite);
int fib6_check(struct fib *fib, const uint8_t *addr, uint8_t len, bool rewrite);

/* A topmost branch, which may go and come while the lock is free. */
struct fib_top {
	struct fib_branch *(*get)(const struct fib *fib, uint32_t number);
	uint32_t number;
};
int fib_branch_check(struct fib *fib, const struct fib_top *top, const uint8_t *addr, uint8_t len,
		     bool rewrite);
/* The addresses below it that no prefix of its own covers. gid as above. */
int fib_branch_check_inherited(struct fib *fib, const struct fib_top *top, const uint16_t *gid,
			       bool rewrite);

/* ---- nexthop.c ---- */

struct fib_group_member {
	LIST_ENTRY(fib_group_member) sibling; /* others of the same next hop */
	uint32_t group;
	uint32_t nexthop;
	uint32_t weight; /* 0: a backup only */
	uint64_t share;	 /* of the slots: its weight, or of those that it stands in for; 0: none */
	uint32_t slots;	 /* as published */
	bool backup_refused;
	uint32_t n_backups;
	uint16_t backup[FIB_MAX_BACKUPS]; /* indices in the group's members */
};

struct fib_nexthop_entry {
	struct fib_nexthop_key key;
	uint32_t next;	   /* of the same hash, 0: none */
	uint32_t refs;	   /* 0: not in use */
	uint32_t mark;	   /* scratch of group.c: index of a member plus 1 */
	uint64_t dst, src; /* as published */
	bool down;
	LIST_HEAD(, fib_group_member) members;
};

int fib_nexthop_init(struct fib *fib);
void fib_nexthop_fini(struct fib *fib);
/* Find or make, with one more reference. 0: no number is free. */
uint32_t fib_nexthop_ref(struct fib *fib, const struct fib_nexthop_key *key);
void fib_nexthop_unref(struct fib *fib, uint32_t nexthop);
/* No reader has it any more: who gets the number next starts from nothing. */
void fib_nexthop_free(struct fib *fib, uint32_t nexthop);
/* Whether what readers find is what was published; and writing it again, the kernel's meanwhile. */
bool fib_nexthop_intact(const struct fib *fib, uint32_t nexthop);
void fib_nexthop_rewrite(struct fib *fib, uint32_t nexthop);
bool fib_nexthop_key_valid(const struct fib_nexthop_key *key);

/* ---- group.c, slots.c ---- */

struct fib_group {
	struct fib_group_member *member;
	uint32_t n;	/* of member[]: backups stand behind members */
	uint32_t n_own; /* without those that are backups only */
	uint32_t routes;
	uint64_t way;		/* of its own members, see fib_way_add() */
	uint32_t overlaid;	/* routes of it that have a record in overlay.c */
	uint32_t offset, slots; /* published range; slots 0: none, desc is 0 */
	uint32_t wanted;	/* slots that could not be had; 0: it has what it wants */
	uint32_t generation;
	bool used;
	bool dropped;
	bool protected; /* backups stand in */
	/* while it is steered: the slots as they would be if it were not; NULL: it is not */
	uint16_t *home;
	uint32_t home_slots;
};

int fib_group_init(struct fib *fib);
void fib_group_fini(struct fib *fib);
/* A verdict that a route may have, or a group that was not dropped. */
bool fib_group_usable(const struct fib *fib, uint32_t group);
void fib_group_ref(struct fib *fib, uint32_t group);
void fib_group_unref(struct fib *fib, uint32_t group);

/* Slots to go by; n is a power of two, or 0. */
struct fib_slot_table {
	const uint16_t *slot;
	uint32_t n;
};

/* Scratch of assign.c, one for each member. */
struct fib_assign {
	uint32_t left; /* slots still to be had */
	uint32_t away; /* slots of others' that it has now */
};

/* assign.c: how many of the slots each share is, by the largest remainder; some share is not 0. */
void fib_quotas(const uint64_t *share, uint32_t n, uint32_t slots, uint32_t *quota);
/*
 * Which slot has which next hop: as many as the quotas say, as few others than in current as can be, those that change as at home
 * where that helps.
 */
void fib_slots_assign(struct fib *fib, const struct fib_group *group, const uint32_t *quota,
		      const struct fib_slot_table *current, const struct fib_slot_table *home,
		      uint16_t *value, uint32_t slots);

/* steer.c: asks the steerer; share[] has those without it, and then its own. False: nothing is steered. */
bool fib_steered_shares(struct fib *fib, const struct fib_group *group, uint64_t *share);

int fib_slots_init(struct fib *fib);
void fib_slots_fini(struct fib *fib);

/* Compute and publish the slots of a group from members, liveness and weights. */
void fib_slots_publish(struct fib *fib, uint32_t group);
/*
 * A route goes from another group to this one. If it is the first to have it, nobody's flows are disturbed when this one's slots are
 * made from the other's; and then none of the route's own but those that have to.
 */
void fib_slots_follow(struct fib *fib, uint32_t group, uint32_t other);
/* Retires the slots; the descriptor goes now, or with the group's id. */
void fib_slots_remove(struct fib *fib, uint32_t group, bool group_ends);
/* Groups that found no slots try again. */
void fib_slots_place(struct fib *fib);

/* ---- all of it ---- */

/* The outermost unlock publishes what has changed. */
void fib_lock(struct fib *fib);
void fib_unlock(struct fib *fib);
/* In long work: let the others have it in between. */
void fib_yield(struct fib *fib);

struct fib {
	pthread_mutex_t lock;	      /* recursive: see fib_lock() */
	unsigned int depth;	      /* how often its holder has it */
	_Atomic unsigned int wanting; /* threads that want it */
	struct fib_memory memory;
	struct fib_geometry geometry;
	struct fib_pool pool[FIB_POOL_MAX];
	struct fib_retire_queue retire;
	struct fib_nodes nodes;
	struct fib4 v4;
	struct fib6 v6;
	struct fib_branches branches;
	struct fib_vrf *vrf; /* FIB_MAX_TABLES, the first unused */
	uint32_t vrfs;
	struct fib_vrf_list vrfs_doubted;
	struct fib_overlay **overlay; /* FIB_OVERLAY_BUCKETS */
	uint64_t overlays, laid_over; /* records; those that FIB_GROUP_KERNEL is published for */
	struct fib_group *group;
	uint32_t groups_waiting;
	struct fib_nexthop_entry *nexthop;
	uint32_t *nexthop_hash; /* geometry.nexthops heads, 0: empty */
	fib_nexthop_watcher watcher;
	void *watcher_arg;
	uint64_t routes4, routes6, locals, nexthops_down;
	uint64_t route_sets, route_dels, group_sets, group_overflow;
	uint64_t groups_protected, failovers, groups_steered;
	fib_steerer steerer;
	void *steerer_arg;
	struct fib_candidate *candidates;
	struct fib_assign *assign;
	struct making *making; /* slots.c's */
};

/* Where a reader goes by a word that it has read, whatever it says: as bpf/lookup.h does. */
static inline const void *fib_node_read(const struct fib *fib, uint32_t word)
{
	size_t mask = 2 * (size_t)fib->geometry.node_bytes - 1;

	return fib->memory.node + (((size_t)fib_node_number(word) * FIB_UNIT) & mask);
}

#endif /* DPLANE_EBPF_FIB_INTERNAL_H */
