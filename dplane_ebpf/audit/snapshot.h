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

struct record {
	uint8_t addr[16];
	uint16_t table; /* the FIB's number */
	uint8_t len;
	uint8_t flags;
	uint32_t rib, kernel, ours; /* ways */
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

/*
 * What the kernel has for a prefix: of several the one with the least metric counts, for IPv6 any of those. add:
 * the prefix is added where it is not known, to be sorted in afterwards; two of the same are then made one.
 */
void snapshot_kernel(struct snapshot *snapshot, const struct fib_prefix *prefix, uint32_t way,
		     uint32_t metric, bool add);

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
	  "zebra believes it installed: removed behind its back, or lost with a next hop; it comes back with the route's next change") \
	X(KERNEL_NEXTHOPS, "kernelOtherNexthops", "the kernel has other next hops", \
	  "changed behind zebra's back; ours follows zebra") \
	X(KERNEL_FEWER, "kernelFewerNexthops", "the kernel has fewer next hops", \
	  "it drops those on a link that goes down, without telling zebra; ours follows zebra") \
	X(KERNEL_UNKNOWN, "kernelOnly", "only the kernel has it", \
	  "zebra does not know it and ours forwards by a shorter prefix; add it with FRR, or remove it")

enum audit_kind {
#define X(e, name, what, why) AUDIT_##e,
	AUDIT_KINDS(X)
#undef X
		AUDIT_KINDS_MAX,
};

/* The kinds that are differences of ours, which a repair sets right. */
#define AUDIT_OURS \
	(1u << AUDIT_MISSING | 1u << AUDIT_LEFTOVER | 1u << AUDIT_NEXTHOPS | 1u << AUDIT_DAMAGED)

/* What differs, as a set of kinds (1 << kind); 0: all is well. */
uint32_t compare(const struct ways *ways, const struct record *record);
/* Whether nothing of a record has changed since the first look; that look is said to be one. */
bool compare_settled(struct record *record, bool first);
/* Whether the program leaves the prefix to the kernel, and so cannot be wrong about it. */
bool compare_left_to_kernel(const struct record *record);

#endif /* DPLANE_EBPF_AUDIT_SNAPSHOT_H */
