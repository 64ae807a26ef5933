/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the fuzzer's bytes may ask of the FIB and its model; each operation takes its own bytes. */
#ifndef TESTS_FUZZ_FIB_OPERATIONS_H
#define TESTS_FUZZ_FIB_OPERATIONS_H

#include "tests/fuzz/allocate.h"
#include "tests/fuzz/fib_model.h"
#include "tests/fuzz/input.h"

extern struct input in;

/* The next operation. */
void operation(void);

/* A call that may run out of memory. */
#define CALL(call) \
	({ \
		int err__; \
		allocate_suspend(false); \
		err__ = (call); \
		allocate_suspend(true); \
		err__; \
	})

/* Whether an error is for want of memory; only after an allocation failed may it be. */
bool no_memory(int err);

/* A verdict, or a group: often one that is there. */
uint32_t take_group(void);

/* ---- fib_routes.c ---- */

void routes_begin(void);
/* Few addresses, so that prefixes meet: the neighbourhood of one that is there, or of these. */
struct fib_prefix take_prefix(void);
void route_set(void);
void route_delete(void);
void route_delete_known(void);
void local_add(void);
void local_delete(void);
void table_clear(void);
/* Batches nest. */
void batch_begin(void);
void batch_end(void);
void routes_check(void);
void routes_end(void);

/* ---- fib_groups.c ---- */

void group_new(void);
void group_change(void);
void group_drop(uint32_t group);
void nexthop_resolve(void);
/* All next hops of an interface fail, or are back. */
void link_change(void);
void groups_check(void);
void groups_end(void);

/* ---- fib_readers.c ---- */

void grace_begin(void);
void grace_end(void);
void compact(void);
/* A lookup during which other operations run. */
void reader(void);

#endif /* TESTS_FUZZ_FIB_OPERATIONS_H */
