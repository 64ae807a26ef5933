// SPDX-License-Identifier: GPL-2.0-or-later
/* Readers beside a writer: what they find was right, and is not reused under them. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/fib/fixture.h"

#define ROUNDS 20000u

/* Odd while the reader is within a lookup: a grace period waits for it to change. */
static atomic_uint reading;
static atomic_bool stop;
static atomic_ulong lookups, wrong;
static uint32_t short_group, long_group;

#define READ(p) __atomic_load_n(p, __ATOMIC_ACQUIRE)

/* As the program does it, from layout.h alone. */
static uint32_t read4(uint32_t addr)
{
	uint32_t value = READ(&memory.v4_root[addr >> 14]), entry = 0;

	if (value & FIB_NODE) {
		struct fib4_node *node = (void *)(memory.node + (value & ~FIB_NODE) * FIB_UNIT);

		for (uint32_t i = 1; i <= (addr >> 8 & 63); i++)
			entry += node->bits >> i & 1;
		value = READ(&node->entry[entry]);
		if (value & FIB4_LOW)
			value = READ(&memory.v4_low[(value & ~FIB4_LOW) * 256 + (addr & 255)]);
	}
	return value ? value : memory.header->table[0].v4_default;
}

static uint32_t read6(const uint8_t *addr)
{
	uint32_t value = READ(&memory.v6_root[(addr[0] & 31) << 16 | addr[1] << 8 | addr[2]]);

	for (int depth = 3; value & FIB_NODE && depth < 16; depth++) {
		struct fib_byte_node *node =
			(void *)(memory.node + FIB_NODE_NUMBER(value) * FIB_UNIT);
		struct fib_small_node *small = (void *)node;
		uint32_t entry = 0;

		if (value & FIB_SMALL) {
			for (int i = 0; i < 8; i++)
				entry += (small->bounds >> 8 * i & 255) > addr[depth];
			value = READ(&small->entry[entry]);
			continue;
		}
		for (uint32_t i = 1; i <= addr[depth]; i++)
			entry += node->bits[i / 64] >> i % 64 & 1;
		value = READ(&node->entry[entry]);
	}
	return value ? value : memory.header->table[0].v6_default;
}

/* A group, its slots and its next hop, as far as a packet goes. */
static bool group_right(uint32_t group)
{
	uint64_t desc = READ(&memory.group[group]);
	uint32_t nexthop;

	if (group == FIB_GROUP_OVERFLOW)
		return true;

	if (!(desc & FIB_DESC_VALID))
		return false;
	nexthop = READ(&memory.slot[FIB_DESC_OFFSET(desc) + (7 & FIB_DESC_MASK(desc))]);
	/* the gateway tells whose it is: below 2 those that stay, 10 the one that comes and goes */
	return nexthop &&
	       (memory.nexthop[nexthop].gate[0] < 2 || memory.nexthop[nexthop].gate[0] == 10);
}

static void *reader(void *arg)
{
	struct fib_prefix p6 = prefix_of("2001:db8:1:2::1");

	while (!atomic_load(&stop)) {
		uint32_t v4, v6;

		atomic_fetch_add(&reading, 1);
		v4 = read4(0x0a010203);
		v6 = read6(p6.addr);
		if (!group_right(v4) || !group_right(v6))
			atomic_fetch_add(&wrong, 1);
		atomic_fetch_add(&reading, 1);
		atomic_fetch_add(&lookups, 1);
	}
	return NULL;
}

static void *reclaimer(void *arg)
{
	while (!atomic_load(&stop)) {
		uint64_t epoch;
		unsigned int was;

		if (!fib_reclaim_wait(fib, 50))
			continue;
		epoch = fib_reclaim_begin(fib);
		was = atomic_load(&reading);
		while (was % 2 && atomic_load(&reading) == was)
			;
		fib_reclaim_end(fib, epoch);
	}
	return NULL;
}

START_TEST(readers_beside_a_writer)
{
	static const char *const mine[] = {
		"10.1.0.0/18",	 "10.1.2.0/24",	    "10.1.2.2/31",	 "10.1.2.3/32",
		"2001:db8::/40", "2001:db8:1::/48", "2001:db8:1:2::/64", "2001:db8:1:2::1/128"};
	char text[64];
	pthread_t threads[2];
	struct fib_prefix prefix;
	uint32_t group;

	random_start(4711);
	fixture_open(&geometry_tiny);
	short_group = group_one(0);
	long_group = group_one(1);
	route_set("10.0.0.0/8", short_group);
	route_set("2001:db8::/32", short_group);
	pthread_create(&threads[0], NULL, reader, NULL);
	pthread_create(&threads[1], NULL, reclaimer, NULL);
	for (uint32_t i = 0; i < ROUNDS || atomic_load(&lookups) < ROUNDS; i++) {
		struct fib_member member = member_of(10, 1);
		uint32_t other = 0;

		/* among others a group that goes at once; OVERFLOW while no id is free */
		ck_assert_int_eq(fib_group_set(fib, &other, &member, 1), 0);
		prefix = prefix_of(mine[random_below(8)]);
		if (random_below(3))
			fib_route_set(fib, &prefix, random_below(2) ? long_group : other);
		else
			fib_route_del(fib, &prefix);
		snprintf(text, sizeof(text), "172.%u.%u.0/%u", 16 + random_below(4),
			 random_below(256), 19 + random_below(13));
		prefix = prefix_of(text);
		fib_route_set(fib, &prefix, FIB_GROUP_BLACKHOLE);
		fib_route_del(fib, &prefix);
		snprintf(text, sizeof(text), "2a00:%x::/%u", random_below(4),
			 25 + random_below(30));
		prefix = prefix_of(text);
		fib_route_set(fib, &prefix, FIB_GROUP_BLACKHOLE);
		fib_route_del(fib, &prefix);
		if (other >= FIB_GROUP_FIRST)
			fib_group_drop(fib, other);
		/* what is set is published, whoever waits for work meanwhile */
		route_set("192.0.2.0/24", i % 2 ? long_group : short_group);
		group = lookup("192.0.2.1");
		ck_assert(group == (i % 2 ? long_group : short_group) ||
			  group == FIB_GROUP_OVERFLOW);
		if (i % 64 == 0)
			fib_compact(fib, true);
	}
	atomic_store(&stop, true);
	fib_reclaim_wake(fib);
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	ck_assert_uint_gt(atomic_load(&lookups), 0);
	ck_assert_uint_eq(atomic_load(&wrong), 0);
	fixture_close();
}
END_TEST

START_TEST(wait_ends)
{
	uint32_t group;

	fixture_open(&geometry_tiny);
	ck_assert(!fib_reclaim_wait(fib, 0));
	fib_reclaim_wake(fib);
	ck_assert(!fib_reclaim_wait(fib, -1));
	group = group_one(1);
	fib_group_drop(fib, group);
	ck_assert(fib_reclaim_wait(fib, -1));
	ck_no_leaks();
	fixture_close();
}
END_TEST

TCase *reclaim_case(void)
{
	TCase *tc = tcase_create("reclaim");

	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, readers_beside_a_writer);
	tcase_add_test(tc, wait_ends);
	return tc;
}
