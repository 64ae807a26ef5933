/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the RIB, the kernel's FIB and ours say of every prefix, side by side, and which of it differs. Plain C:
 * knows neither FRR nor netlink. One thread at a time.
 */
#ifndef DPLANE_EBPF_AUDIT_SNAPSHOT_H
#define DPLANE_EBPF_AUDIT_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dplane_ebpf/fib/fib.h"

/*
 * A way is what becomes of a prefix's packets, as a number: 0: the prefix is not there; a verdict of enum
 * fib_group_id; one of these two; else a set of next hops, the same number for the same set.
 */
#define WAY_NONE 0u
#define WAY_CHANGING 14u /* zebra is about to change it, or it changed while we looked */
#define WAY_UNKNOWN 15u	 /* it is there; where it leads was not said */
#define WAY_FIRST FIB_GROUP_FIRST

/*
 * What the kernel has for a prefix, where that is more or something else than one set of plain next hops, as
 * a way of its own: WAY_ODD and one bit for each reason. X(enumerator, name in JSON, what the kernel has).
 */
#define ODDITIES(X) \
	X(TYPES, "types", "routes of other types, such as throw") \
	X(TOS, "tos", "routes by TOS") \
	X(SOURCE, "source", "source-specific routes") \
	X(ENCAPSULATION, "encapsulation", "routes with labels or encapsulation") \
	X(METRICS, "metrics", "IPv6 routes of one metric among which it chooses") \
	X(NEXTHOPS, "nexthops", "more next hops than are compared") \
	X(NEXTHOP_ID, "nexthopId", "routes by the id of a next hop that is not there")

enum oddity {
#define X(e, name, what) ODDITY_##e,
	ODDITIES(X)
#undef X
		ODDITY_MAX,
};

#define WAY_ODD 0x80000000u
#define WAY_ODD_BY(e) (WAY_ODD | 1u << ODDITY_##e)

struct ways;

struct ways *ways_new(void); /* NULL: out of memory */
void ways_free(struct ways *ways);
/*
 * The number of a set: order does not matter, a next hop that comes twice counts with the sum of its weights.
 * n == 0: WAY_UNKNOWN. Out of memory: WAY_CHANGING, about which nothing is ever told.
 */
uint32_t ways_of(struct ways *ways, const struct fib_member *members, size_t n);
/* The members of a set, sorted; NULL and *n == 0: the way is none. Valid until ways_free(). */
const struct fib_member *ways_members(const struct ways *ways, uint32_t way, size_t *n);
/* Whether every next hop of part, whatever its weight and MTU, is one of whole as well. */
bool ways_within(const struct ways *ways, uint32_t part, uint32_t whole);

/* What is known of a record. */
#define RECORD_V6 1u	     /* its family */
#define RECORD_KERNEL_ANY 2u /* what the kernel has for it says nothing: not compared */
#define RECORD_COVERED 4u    /* ours has a shorter prefix only, and that is what `ours` is */
#define RECORD_DAMAGED 8u    /* the memory that the program reads says something else */
#define RECORD_LOCAL 16u /* the kernel has it in its local table, which it asks before all others */
#define RECORD_OVER 32u	 /* links/ has laid it over: its packets are the kernel's */
#define RECORD_PROTECTED \
	128u /* a failure is bridged by backup next hops, which the kernel does not have */
#define RECORD_DOUBTED 64u /* its packets are the kernel's by the audit's word, `ours` without it */

struct record {
	uint8_t addr[16];
	uint16_t table; /* the FIB's number */
	uint8_t len;
	uint8_t flags;
	uint32_t rib, kernel, ours; /* ways; of ours what is laid over it is hidden */
	uint32_t metric;	    /* of the kernel's route */
	uint32_t before;	    /* what they were at the first look, see compare_settled() */
};

struct snapshot {
	struct record *
		record; /* sorted by table, family, address and length once snapshot_sort() was called */
	size_t n, size;
	size_t sorted; /* so many from the first on */
	struct ways *ways;
	bool failed; /* out of memory: something is missing */
};

int snapshot_init(struct snapshot *snapshot); /* -ENOMEM */
void snapshot_fini(struct snapshot *snapshot);

/*
 * Addresses that the program never forwards, whatever the routes say: multicast, link-local, loopback. zebra, for one,
 * has a fe80::/64 for every interface, and chooses one of them.
 */
bool snapshot_ignores(const struct fib_prefix *prefix);

/* Makes room for so many records; less is no error. */
void snapshot_reserve(struct snapshot *snapshot, size_t n);
/* Adds a prefix, which is not there yet. NULL: out of memory. Valid until the next one is added. */
struct record *snapshot_add(struct snapshot *snapshot, const struct fib_prefix *prefix);
void snapshot_sort(struct snapshot *snapshot);
/* Among the sorted ones. */
struct record *snapshot_find(struct snapshot *snapshot, const struct fib_prefix *prefix);
void record_prefix(const struct record *record, struct fib_prefix *prefix);

/* One of the kernel's routes. */
struct kernel_route {
	struct fib_prefix prefix;
	uint32_t way;
	uint32_t metric;
	bool local; /* of the local table; those are told first */
};

/*
 * Adds it to what is known of its prefix. As in the kernel the least metric counts, and of IPv4 routes of the same metric the
 * one that is told first; among such IPv6 routes the kernel chooses, which is odd. TOS and sources are odd
 * whatever their metric. add: the prefix is added where it is not known, to be sorted in afterwards; two of the same are
 * then made one.
 */
void snapshot_kernel(struct snapshot *snapshot, const struct kernel_route *route, bool add);

/*
 * Differences: X(enumerator, name in JSON, what is wrong, why that is so and what helps).
 */
#define AUDIT_KINDS(X) \
	X(MISSING, "missing", "missing in ours", \
	  "the tables refused it, or a change of zebra's was lost; clear dplane ebpf consistency sets it") \
	X(LEFTOVER, "leftOver", "left over in ours", \
	  "zebra no longer has it, or the kernel refused it; clear dplane ebpf consistency removes it") \
	X(NEXTHOPS, "otherNexthops", "other next hops in ours", \
	  "a change of zebra's was lost; clear dplane ebpf consistency sets it") \
	X(DAMAGED, "damaged", "the program reads something else", \
	  "the pinned maps were written by somebody else; clear dplane ebpf consistency writes them again") \
	X(KERNEL_MISSING, "kernelMissing", "the kernel lacks it", \
	  "zebra believes it installed: removed behind its back, or lost with an address, a link or a next hop; it comes back with the route's next change") \
	X(KERNEL_NEXTHOPS, "kernelOtherNexthops", "the kernel has other next hops", \
	  "changed behind zebra's back") \
	X(KERNEL_FEWER, "kernelFewerNexthops", "the kernel has fewer next hops", \
	  "it drops those on a link that goes down, without telling zebra; ours follows zebra") \
	X(KERNEL_MORE, "kernelMore", "the kernel has more for it", \
	  "routes that zebra does not tell apart: by TOS or source, with encapsulation, throw, several of one metric") \
	X(KERNEL_UNKNOWN, "kernelOnly", "only the kernel has it", \
	  "zebra does not know it and ours would forward by a shorter prefix; add it with FRR, or remove it")

enum audit_kind {
#define X(e, name, what, why) AUDIT_##e,
	AUDIT_KINDS(X)
#undef X
		AUDIT_KINDS_MAX,
};

/* The kinds that are differences of ours, which a repair sets right. */
#define AUDIT_OURS \
	(1u << AUDIT_MISSING | 1u << AUDIT_LEFTOVER | 1u << AUDIT_NEXTHOPS | 1u << AUDIT_DAMAGED)

/*
 * Those in which ours might forward where the kernel would not: until the two agree such a prefix is the kernel's. Not
 * KERNEL_FEWER, where all of ours are next hops that zebra chose; nor DAMAGED, where there is no telling what is read.
 */
#define AUDIT_DOUBTFUL \
	(1u << AUDIT_MISSING | 1u << AUDIT_LEFTOVER | 1u << AUDIT_NEXTHOPS | \
	 1u << AUDIT_KERNEL_MISSING | 1u << AUDIT_KERNEL_NEXTHOPS | 1u << AUDIT_KERNEL_MORE | \
	 1u << AUDIT_KERNEL_UNKNOWN)

/* What differs, as a set of kinds (1 << kind); 0: all is well. */
uint32_t compare(const struct ways *ways, const struct record *record);
/* Whether nothing of a record has changed since the first look; that look is said to be one. */
bool compare_settled(struct record *record, bool first);
/* Whether the program leaves the prefix to the kernel, and so cannot be wrong about it. */
bool compare_left_to_kernel(const struct record *record);
/* Whether its packets are to be the kernel's, by what was found. */
bool compare_doubtful(const struct record *record, uint32_t found);

#endif /* DPLANE_EBPF_AUDIT_SNAPSHOT_H */
