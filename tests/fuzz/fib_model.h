/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a FIB must say and do, beside the FIB itself: routes and local addresses, groups, next hops, and
 * which numbers may be in use again. Every check that fails ends the process.
 */
#ifndef TESTS_FUZZ_FIB_MODEL_H
#define TESTS_FUZZ_FIB_MODEL_H

#include <stdint.h>

#include "dplane_ebpf/fib/fib.h"
#include "tests/fib/reference.h"

/* Ends the process with a line unless ok. */
#define must(ok, ...) \
	do { \
		if (!(ok)) \
			model_wrong(__FILE__, __LINE__, #ok, __VA_ARGS__); \
	} while (0)
void model_wrong(const char *file, int line, const char *what, const char *format, ...)
	__attribute__((noreturn, format(printf, 4, 5)));

#define MODEL_GEOMETRIES 3u
extern const struct fib_geometry model_geometry[MODEL_GEOMETRIES];

/* The largest of all geometries. */
#define MODEL_IDS 256u
#define MODEL_NEXTHOPS 256u
#define MODEL_LOCALS 32u
/* The main table and VRFs'. */
#define MODEL_TABLES 3u
#define MODEL_MEMBERS 64u
/* Next hops are known by one byte. */
#define MODEL_KEYS 256u

struct model_member {
	struct fib_nexthop_key key;
	uint8_t byte;	 /* that it is known by */
	uint64_t weight; /* the sum, where it was given more than once; 0: a backup only */
	uint32_t backups;
	const struct model_member *backup[FIB_MAX_BACKUPS];
};

struct model_group {
	bool used, dropped;
	uint32_t routes;
	uint32_t n;
	struct model_member member[MODEL_MEMBERS];
	uint32_t freed; /* the grace period that must have ended before the id is used again */
	uint64_t window[MODEL_KEYS / 64]; /* its members while a reader is on its way */
};

struct model_nexthop {
	bool used;
	struct fib_nexthop_key key;
	struct fib_adjacency adjacency;
	uint32_t freed;
};

struct model_local {
	struct fib_prefix host;
	uint32_t count;
};

struct model {
	struct fib *fib;
	struct fib_memory memory;
	struct fib_geometry geometry;
	size_t allocated; /* by an empty FIB and its reference */
	uint16_t table[MODEL_TABLES];
	struct reference *routes[MODEL_TABLES];
	struct model_local local[MODEL_LOCALS];
	struct model_group group[MODEL_IDS]; /* by id */
	struct model_nexthop nexthop[MODEL_NEXTHOPS];
	uint32_t grace_begun, grace_ended;
	uint64_t group_overflow;	 /* stats at the beginning of an input */
	bool out_of_memory;		 /* an allocation has failed since fib_new() */
	bool lost[MODEL_TABLES][2][256]; /* by family and first byte: an allocation failed there */
	bool moved;			 /* nodes, to the other half */
	unsigned int batches;		 /* that have begun and not ended */
};

extern struct model *model;

/* An empty FIB of a size. It is kept from one input to the next: to make one takes long. */
void model_open(unsigned int geometry);
/* After everything was removed: nothing is left of it in any pool, nor in ordinary memory. */
void model_close(void);
/* Make a FIB while the n-th allocation fails. False: it does not take so many. */
bool model_without_memory(unsigned int n);

/* ---- routes ---- */

/* Where a prefix stands for an address, its length does not count. */
struct fib_prefix model_clean(const struct fib_prefix *prefix);
/* A table's index. */
unsigned int model_table(uint16_t table);
struct reference *model_routes(const struct fib_prefix *prefix);
/* Note that a route came (group 0: went). */
void model_route(const struct fib_prefix *prefix, uint32_t group);
struct model_local *model_local_find(const struct fib_prefix *addr);
/* Out of memory there: the kernel's for good. */
bool *model_lost(const struct fib_prefix *prefix);
/* What a lookup finds, if there is room. */
uint32_t model_lookup(const struct fib_prefix *addr);
/* The group of the table's default route. */
uint32_t model_default(const struct fib_prefix *addr);
/* Whether it may be the kernel's instead. */
bool model_overflow_allowed(const struct fib_prefix *addr);
/* The first and last address of a prefix, those just outside, and one within. */
void model_check_edges(const struct fib_prefix *prefix);
void model_check_covering(const struct fib_prefix *prefix);
void model_check_walk(uint16_t table, uint8_t family);

/* ---- groups and next hops ---- */

struct fib_nexthop_key model_key(uint8_t key);
bool model_group_usable(uint32_t group);
void model_group_new(uint32_t group);
void model_group_members(uint32_t group, const uint8_t *key, const struct fib_member *members,
			 size_t n);
void model_group_free_if_unused(uint32_t group);
void model_check_group(uint32_t group);
void model_check_nexthop(uint32_t nexthop);
void model_watch(void);

#endif /* TESTS_FUZZ_FIB_MODEL_H */
