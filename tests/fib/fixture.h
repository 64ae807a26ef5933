/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What all tests of the FIB use: tables, random numbers, prefixes and groups in one line. */
#ifndef TESTS_FIB_FIXTURE_H
#define TESTS_FIB_FIXTURE_H

#include <check.h>

#include "dplane_ebpf/fib/fib.h"
#include "tests/fib/reference.h"

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
/* The FIB's number of the next hop with gateway number n, or 0; what links/ says of it. */
uint32_t nexthop_of(uint32_t n);
void set_down(uint32_t n, bool down);
/* The slots as a reader finds them, and how many there are; how many of them are a next hop's. */
uint32_t slots_read(uint32_t group, uint16_t *slots);
uint32_t slots_count(const uint16_t *slots, uint32_t n, uint32_t nexthop);
void reclaim(void);
/* All pools empty, whether in use or retired. */
void ck_no_leaks(void);

TCase *table_case(void);
TCase *random_case(void);
TCase *group_case(void);
TCase *reclaim_case(void);
TCase *vrf_case(void);
TCase *backup_case(void);
TCase *steer_case(void);
TCase *overlay_case(void);
TCase *damage_case(void);

#endif /* TESTS_FIB_FIXTURE_H */
