/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the FIB must say: every prefix in one hash, looked up length by length.
 * Slow, and shares no idea with the real thing. Also the fixture of the tests.
 */
#ifndef TESTS_FIB_REFERENCE_H
#define TESTS_FIB_REFERENCE_H

#include <check.h>

#include "dplane_ebpf/fib/fib.h"

struct reference;
struct reference *reference_new(void);
void reference_free(struct reference *ref);
/* Both return the group that was there, or 0. Group 0 deletes. */
uint32_t reference_set(struct reference *ref, const struct fib_prefix *prefix, uint32_t group);
uint32_t reference_get(const struct reference *ref, const struct fib_prefix *prefix);
/* Longest match, no longer than len; FIB_GROUP_NO_ROUTE and found->len 0 without any. */
uint32_t reference_lookup(const struct reference *ref, uint8_t family, const uint8_t *addr,
			  unsigned int len, struct fib_prefix *found);
size_t reference_count(const struct reference *ref, uint8_t family);

extern const struct fib_geometry geometry_full, geometry_tiny;

extern struct fib_memory memory;
extern struct fib *fib;
void fixture_open(const struct fib_geometry *geometry);
void fixture_close(void);

/* Seed of this run (FIB_TEST_SEED); the generator's next number. */
extern uint64_t test_seed;
void random_start(uint64_t salt);
uint32_t random32(void);
uint32_t random_below(uint32_t n);

struct fib_prefix prefix_of(const char *text);
void route_set(const char *text, uint32_t group);
void route_del(const char *text);
uint32_t lookup(const char *address);
/* A group of one next hop, gateway number n. */
uint32_t group_one(uint32_t n);
struct fib_member member_of(uint32_t n, uint32_t weight);
void reclaim(void);
/* All pools empty, whether in use or retired. */
void ck_no_leaks(void);

TCase *table_case(void);
TCase *random_case(void);
TCase *group_case(void);
TCase *reclaim_case(void);

#endif
