// SPDX-License-Identifier: GPL-2.0-or-later
/* Tables beside one another, batches, and compaction. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <linux/rtnetlink.h>

#include "tests/fib/fixture.h"

static uint32_t lookup_in(uint16_t table, const char *address)
{
	struct fib_prefix prefix = prefix_of(address);

	return fib_lookup(fib, table, prefix.family, prefix.addr);
}

static void set_in(uint16_t table, const char *text, uint32_t group)
{
	struct fib_prefix prefix = prefix_of(text);

	prefix.table = table;
	ck_assert_int_eq(fib_route_set(fib, &prefix, group), 0);
}

START_TEST(tables_are_apart)
{
	uint32_t a, b, c;
	uint16_t red, blue, again;
	struct fib_stats stats;

	fixture_open(&geometry_tiny);
	a = group_one(1);
	b = group_one(2);
	c = group_one(3);
	ck_assert_int_eq(fib_table_open(fib, 10, &red), 0);
	ck_assert_int_eq(fib_table_open(fib, 20, &blue), 0);
	ck_assert_int_eq(fib_table_open(fib, 10, &again), 0);
	ck_assert_uint_eq(red, again);
	ck_assert(red && blue && red != blue);
	ck_assert_uint_eq(fib_table_kernel(fib, red), 10);
	ck_assert_uint_eq(fib_table_kernel(fib, 0), RT_TABLE_MAIN);
	ck_assert_int_eq(fib_table_open(fib, RT_TABLE_MAIN, &again), 0);
	ck_assert_uint_eq(again, 0);

	route_set("0.0.0.0/0", a);
	route_set("10.0.0.0/8", a);
	route_set("::/0", a);
	set_in(red, "10.1.0.0/16", b);
	set_in(red, "2001:db8::/32", b);
	set_in(blue, "10.1.0.0/16", c);
	set_in(blue, "0.0.0.0/0", c);
	ck_assert_uint_eq(lookup_in(0, "10.1.0.1"), a);
	ck_assert_uint_eq(lookup_in(red, "10.1.0.1"), b);
	ck_assert_uint_eq(lookup_in(blue, "10.1.0.1"), c);
	/* a miss in a VRF is a miss, whatever the main table has */
	ck_assert_uint_eq(lookup_in(red, "10.2.0.1"), FIB_GROUP_NO_ROUTE);
	ck_assert_uint_eq(lookup_in(red, "2001:db9::1"), FIB_GROUP_NO_ROUTE);
	ck_assert_uint_eq(lookup_in(red, "2001:db8::1"), b);
	ck_assert_uint_eq(lookup_in(blue, "2001:db8::1"), FIB_GROUP_NO_ROUTE);
	ck_assert_uint_eq(lookup_in(blue, "10.2.0.1"), c);

	/* own addresses too */
	ck_assert_int_eq(fib_local_add(fib, red, AF_INET, prefix_of("10.1.0.1").addr), 0);
	ck_assert_uint_eq(lookup_in(red, "10.1.0.1"), FIB_GROUP_LOCAL);
	ck_assert_uint_eq(lookup_in(blue, "10.1.0.1"), c);
	ck_assert_uint_eq(lookup_in(0, "10.1.0.1"), a);

	fib_table_clear(fib, red);
	ck_assert_uint_eq(lookup_in(red, "10.1.0.2"), FIB_GROUP_NO_ROUTE);
	ck_assert_uint_eq(lookup_in(red, "10.1.0.1"), FIB_GROUP_LOCAL);
	ck_assert_uint_eq(lookup_in(red, "2001:db8::1"), FIB_GROUP_NO_ROUTE);
	ck_assert_uint_eq(lookup_in(blue, "10.1.0.1"), c);
	fib_stats(fib, &stats);
	ck_assert_uint_eq(stats.tables, 3);
	ck_assert_uint_eq(stats.v4_routes, 4);
	ck_assert_int_eq(fib_local_del(fib, red, AF_INET, prefix_of("10.1.0.1").addr), 0);
	fib_table_clear(fib, blue);
	route_del("0.0.0.0/0");
	route_del("10.0.0.0/8");
	route_del("::/0");
	fib_group_drop(fib, a);
	fib_group_drop(fib, b);
	fib_group_drop(fib, c);
	ck_no_leaks();
	fixture_close();
}
END_TEST

/* The local table has a number of its own, which no VRF's table gets, whatever its number hashes to. */
START_TEST(the_local_table_is_always_there)
{
	uint16_t table;
	uint32_t group;

	fixture_open(&geometry_tiny);
	ck_assert_uint_eq(fib_table_kernel(fib, FIB_TABLE_LOCAL), RT_TABLE_LOCAL);
	ck_assert_uint_eq(memory.header->kernel_table[FIB_TABLE_LOCAL], RT_TABLE_LOCAL);
	ck_assert_int_eq(fib_table_open(fib, RT_TABLE_LOCAL, &table), 0);
	ck_assert_uint_eq(table, FIB_TABLE_LOCAL);
	for (uint32_t id = 1; id < 100000; id++) {
		if (id == RT_TABLE_LOCAL || id == RT_TABLE_MAIN)
			continue;
		if (fib_table_open(fib, id, &table))
			break;
		ck_assert_uint_ne(table, FIB_TABLE_LOCAL);
	}
	ck_assert_uint_eq(fib_table_kernel(fib, FIB_TABLE_LOCAL), RT_TABLE_LOCAL);
	/* what is in it stays while VRFs' tables are cleared */
	group = group_one(1);
	set_in(FIB_TABLE_LOCAL, "10.1.0.0/16", group);
	fib_table_clear(fib, FIB_TABLE_LOCAL);
	ck_assert_uint_eq(lookup_in(FIB_TABLE_LOCAL, "10.1.0.1"), group);
	ck_assert_uint_eq(lookup_in(FIB_TABLE_LOCAL, "10.2.0.1"), FIB_GROUP_NO_ROUTE);
	fixture_close();
}
END_TEST

START_TEST(tables_run_out)
{
	struct fib_prefix prefix = prefix_of("10.0.0.0/8");
	uint16_t table, first = 0;

	fixture_open(&geometry_tiny);
	for (uint32_t id = 1000; id < 1000 + FIB_MAX_TABLES - 2; id++) {
		ck_assert_int_eq(fib_table_open(fib, id, &table), 0);
		ck_assert_uint_ne(table, 0);
		ck_assert_uint_lt(table, FIB_MAX_TABLES);
		ck_assert_uint_eq(fib_table_kernel(fib, table), id);
		first = first ? first : table;
	}
	ck_assert_int_eq(fib_table_open(fib, 999, &table), -ENOSPC);
	ck_assert_int_eq(fib_table_open(fib, 1000, &table), 0);
	ck_assert_uint_eq(table, first);
	ck_assert_int_eq(fib_table_open(fib, 0, &table), -EINVAL);
	prefix.table = FIB_MAX_TABLES;
	ck_assert_int_eq(fib_route_set(fib, &prefix, FIB_GROUP_BLACKHOLE), -EINVAL);
	ck_assert_int_eq(fib_route_del(fib, &prefix), -ENOENT);
	ck_assert_uint_eq(fib_route_covering(fib, &prefix, NULL), 0);
	fixture_close();
}
END_TEST

/* VRFs come and go: their numbers do not run out, and none is another's while readers may go by it. */
START_TEST(numbers_are_given_back)
{
	struct fib_stats stats;
	uint16_t table, other, kept[64], found;

	fixture_open(&geometry_tiny);
	/* some that stay, whose places are anywhere between */
	for (uint32_t i = 0; i < 64; i++)
		ck_assert_int_eq(fib_table_open(fib, 500000 + i * 7919, &kept[i]), 0);
	for (uint32_t id = 1000; id < 1000 + 5 * FIB_MAX_TABLES; id++) {
		ck_assert_int_eq(fib_table_open(fib, id, &table), 0);
		set_in(table, "10.0.0.0/8", FIB_GROUP_BLACKHOLE);
		set_in(table, "0.0.0.0/0", FIB_GROUP_REJECT);
		ck_assert_int_eq(fib_local_add(fib, table, AF_INET, prefix_of("10.0.0.1").addr), 0);
		fib_table_clear(fib, table);
		fib_table_close(fib, table);
		/* a local address is still in it */
		ck_assert_uint_eq(fib_table_kernel(fib, table), id);
		ck_assert_int_eq(fib_local_del(fib, table, AF_INET, prefix_of("10.0.0.1").addr), 0);
		ck_assert_uint_eq(fib_table_kernel(fib, table), 0);
		ck_assert_uint_eq(memory.header->kernel_table[table], 0);
		ck_assert_int_eq(fib_table_find(fib, id, &found), -ENOENT);
		if (id % 64 == 0) {
			/* the same VRF again, before the grace period has ended */
			ck_assert_int_eq(fib_table_open(fib, id, &other), 0);
			ck_assert_uint_ne(other, table);
			ck_assert_uint_eq(lookup_in(other, "10.0.0.1"), FIB_GROUP_NO_ROUTE);
			fib_table_close(fib, other);
			reclaim();
		}
	}
	reclaim();
	for (uint32_t i = 0; i < 64; i++) {
		ck_assert_int_eq(fib_table_open(fib, 500000 + i * 7919, &found), 0);
		ck_assert_uint_eq(found, kept[i]);
	}
	fib_stats(fib, &stats);
	ck_assert_uint_eq(stats.tables, 65);
	fixture_close();
}
END_TEST

/* Two that want the same place: the second one is found behind it also when the first one is gone. */
START_TEST(what_stands_behind_a_number_given_back_is_found)
{
	uint16_t first, second, again, third;
	uint32_t id = 1001;

	fixture_open(&geometry_tiny);
	ck_assert_int_eq(fib_table_open(fib, 1000, &first), 0);
	do {
		ck_assert_int_eq(fib_table_open(fib, ++id, &second), 0);
		fib_table_close(fib, second);
		reclaim();
	} while (second != first + 1 || id * 0x9e3779b1u >> 20 != first);
	ck_assert_int_eq(fib_table_open(fib, id, &second), 0);
	ck_assert_uint_eq(second, first + 1);
	fib_table_close(fib, first);
	ck_assert_int_eq(fib_table_open(fib, id, &again), 0);
	ck_assert_uint_eq(again, second);
	reclaim();
	ck_assert_int_eq(fib_table_open(fib, id, &again), 0);
	ck_assert_uint_eq(again, second);
	/* the place that was given back is the next one's */
	ck_assert_int_eq(fib_table_open(fib, 1000, &third), 0);
	ck_assert_uint_eq(third, first);
	fixture_close();
}
END_TEST

/* Routes that zebra sends while nobody knows the VRF, or when it is gone. */
START_TEST(a_table_lives_as_long_as_its_routes)
{
	struct fib_prefix prefix = prefix_of("10.0.0.0/8");
	uint16_t table, found;

	fixture_open(&geometry_tiny);
	ck_assert_int_eq(fib_table_find(fib, 10, &table), -ENOENT);
	fib_batch_begin(fib);
	ck_assert_int_eq(fib_table_use(fib, 10, &prefix.table), 0);
	ck_assert_int_eq(fib_route_set(fib, &prefix, FIB_GROUP_BLACKHOLE), 0);
	fib_batch_end(fib);
	ck_assert_int_eq(fib_table_find(fib, 10, &found), 0);
	ck_assert_uint_eq(found, prefix.table);
	ck_assert_int_eq(fib_route_del(fib, &prefix), 0);
	ck_assert_int_eq(fib_table_find(fib, 10, &found), -ENOENT);
	/* nothing is set after all */
	ck_assert_int_eq(fib_table_use(fib, 11, &table), 0);
	ck_assert_int_eq(fib_table_find(fib, 11, &found), -ENOENT);
	/* its device is told of: it stays when it is empty */
	fib_batch_begin(fib);
	ck_assert_int_eq(fib_table_use(fib, 12, &prefix.table), 0);
	ck_assert_int_eq(fib_route_set(fib, &prefix, FIB_GROUP_BLACKHOLE), 0);
	fib_batch_end(fib);
	ck_assert_int_eq(fib_table_open(fib, 12, &table), 0);
	ck_assert_int_eq(fib_route_del(fib, &prefix), 0);
	ck_assert_int_eq(fib_table_find(fib, 12, &found), 0);
	/* gone, and made again at once */
	fib_table_close(fib, table);
	ck_assert_int_eq(fib_table_find(fib, 12, &found), -ENOENT);
	fib_table_close(fib, table);
	fib_table_close(fib, 0);
	fib_table_close(fib, FIB_TABLE_LOCAL);
	ck_assert_uint_eq(fib_table_kernel(fib, FIB_TABLE_LOCAL), RT_TABLE_LOCAL);
	fixture_close();
}
END_TEST

START_TEST(a_table_that_is_not_there)
{
	struct fib_prefix prefix = prefix_of("10.0.0.0/8");

	fixture_open(&geometry_tiny);
	prefix.table = 7;
	ck_assert_int_eq(fib_route_set(fib, &prefix, FIB_GROUP_BLACKHOLE), -EINVAL);
	ck_assert_int_eq(fib_local_add(fib, 7, AF_INET, prefix.addr), -EINVAL);
	ck_assert_uint_eq(fib_lookup(fib, 7, AF_INET, prefix.addr), FIB_GROUP_NO_ROUTE);
	fixture_close();
}
END_TEST

START_TEST(a_batch_is_published_whole)
{
	uint32_t a, b;

	fixture_open(&geometry_tiny);
	a = group_one(1);
	b = group_one(2);
	route_set("10.1.2.0/24", a);
	route_set("2001:db8:1::/48", a);
	fib_batch_begin(fib);
	fib_batch_begin(fib);
	route_set("10.1.2.0/24", b);
	route_set("2001:db8:1::/48", b);
	fib_batch_end(fib);
	ck_assert_uint_eq(lookup("10.1.2.3"), a);
	ck_assert_uint_eq(lookup("2001:db8:1::1"), a);
	fib_batch_end(fib);
	ck_assert_uint_eq(lookup("10.1.2.3"), b);
	ck_assert_uint_eq(lookup("2001:db8:1::1"), b);

	/* what comes and goes within one leaves nothing behind */
	fib_batch_begin(fib);
	route_set("10.9.9.9/32", a);
	route_set("2001:db8:1:2::3/128", a);
	route_del("10.9.9.9/32");
	route_del("2001:db8:1:2::3/128");
	route_del("10.1.2.0/24");
	route_del("2001:db8:1::/48");
	fib_group_drop(fib, a);
	fib_group_drop(fib, b);
	fib_batch_end(fib);
	ck_assert_uint_eq(lookup("10.1.2.3"), FIB_GROUP_NO_ROUTE);
	ck_no_leaks();
	fixture_close();
}
END_TEST

START_TEST(compaction_closes_gaps)
{
	struct fib_stats before, after;
	struct fib_prefix prefix;
	uint32_t group[2];
	char text[64];
	uint16_t vrf;

	random_start(99);
	fixture_open(&geometry_full);
	group[0] = group_one(1);
	group[1] = group_one(2);
	ck_assert_int_eq(fib_table_open(fib, 10, &vrf), 0);
	ck_assert(!fib_compact(fib, true));
	for (uint32_t round = 0; round < 2; round++) {
		for (uint32_t i = 0; i < 60000; i++) {
			bool v6 = random_below(2);

			if (v6)
				snprintf(text, sizeof(text), "2a%02x:%x:%x00::/%u", random_below(4),
					 random_below(3000), random_below(256),
					 33 + random_below(16));
			else
				snprintf(text, sizeof(text), "10.%u.%u.0/%u", random_below(256),
					 random_below(256), 19 + random_below(6));
			prefix = prefix_of(text);
			prefix.table = random_below(3) ? 0 : vrf;
			if (round && random_below(4))
				fib_route_del(fib, &prefix);
			else
				fib_route_set(fib, &prefix, group[random_below(2)]);
			if (i % 1000 == 0)
				reclaim();
		}
	}
	reclaim();
	fib_stats(fib, &before);
	ck_assert_uint_gt(before.node_extent, before.node.used);
	ck_assert(fib_compact(fib, true));
	/* the other half is not empty yet: nothing to do, whatever is wished */
	ck_assert(!fib_compact(fib, true));
	reclaim();
	fib_stats(fib, &after);
	ck_assert_uint_eq(after.node.used, before.node.used);
	ck_assert_uint_eq(after.node_extent, after.node.used);
	ck_assert_uint_eq(after.node.retired, 0);
	ck_assert_uint_eq(after.compactions, 1);
	ck_assert_uint_gt(after.nodes_moved, 1000);
	/* and back again */
	ck_assert(fib_compact(fib, true));
	reclaim();
	fib_stats(fib, &after);
	ck_assert_uint_eq(after.node_extent, after.node.used);
	fixture_close();
}
END_TEST

/* What moving each node of a VRF with so many prefixes costs, in ns of this thread's time. */
static double compaction_cost(uint32_t prefixes)
{
	struct fib_stats before, after;
	struct timespec from, to;
	struct fib_prefix prefix;
	uint32_t group;
	uint16_t vrf;

	fixture_open(&geometry_full);
	group = group_one(1);
	ck_assert_int_eq(fib_table_open(fib, 10, &vrf), 0);
	for (uint32_t i = 0; i < prefixes; i++) {
		prefix = prefix_of("2a00::/56");
		prefix.table = vrf;
		for (unsigned int k = 1; k < 7; k++)
			prefix.addr[k] = (uint8_t)random_below(k == 1 ? 4 : 256);
		ck_assert_int_eq(fib_route_set(fib, &prefix, group), 0);
	}
	reclaim();
	fib_stats(fib, &before);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
	ck_assert(fib_compact(fib, true));
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to);
	reclaim();
	fib_stats(fib, &after);
	ck_assert_uint_gt(after.nodes_moved, prefixes);
	ck_assert_uint_eq(after.node.used, before.node.used);
	ck_assert_uint_eq(after.node_extent, after.node.used);
	fixture_close();
	return ((double)(to.tv_sec - from.tv_sec) * 1e9 + (double)(to.tv_nsec - from.tv_nsec)) /
	       (double)after.nodes_moved;
}

/* Some nodes at a time, each time from where the last one ended and not from the beginning. */
START_TEST(compaction_is_linear)
{
	double few, many;

	random_start(100);
	few = compaction_cost(2000);
	many = compaction_cost(40000);
	printf("compaction of a VRF: %.0f ns a node of 2,000 prefixes, %.0f of 40,000\n", few,
	       many);
	ck_assert_double_lt(many, 5 * few);
}
END_TEST

TCase *vrf_case(void)
{
	TCase *tc = tcase_create("vrf");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, tables_are_apart);
	tcase_add_test(tc, the_local_table_is_always_there);
	tcase_add_test(tc, tables_run_out);
	tcase_add_test(tc, numbers_are_given_back);
	tcase_add_test(tc, what_stands_behind_a_number_given_back_is_found);
	tcase_add_test(tc, a_table_lives_as_long_as_its_routes);
	tcase_add_test(tc, a_table_that_is_not_there);
	tcase_add_test(tc, a_batch_is_published_whole);
	tcase_add_test(tc, compaction_closes_gaps);
	tcase_add_test(tc, compaction_is_linear);
	return tc;
}
