// SPDX-License-Identifier: GPL-2.0-or-later
/* What is laid over zebra's routes: the kernel's own, doubts, the audit's word; in every order. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/fib/fixture.h"

#define HOST_IN "203.0.113.7"

static uint32_t g[3]; /* groups of the next hops 1, 2, and 1 and 2 */
static uint64_t way[3];
static struct fib_prefix prefix;

static uint64_t way_of(const struct fib_member *members, size_t n)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < n; i++)
		sum = fib_way_add(sum, &members[i].nexthop);
	return sum;
}

static void open_groups(void)
{
	struct fib_member both[] = {member_of(2, 5), member_of(1, 3)};

	fixture_open(&geometry_tiny);
	g[0] = group_one(1);
	g[1] = group_one(2);
	g[2] = 0;
	ck_assert_int_eq(fib_group_set(fib, &g[2], both, 2), 0);
	way[0] = way_of(&both[1], 1);
	way[1] = way_of(&both[0], 1);
	way[2] = way_of(both, 2);
	ck_assert(way[0] != way[1] && way[0] != way[2] && way[1] != way[2]);
	prefix = prefix_of("203.0.113.0/24");
}

static void close_groups(void)
{
	for (int i = 0; i < 3; i++)
		fib_group_drop(fib, g[i]);
	reclaim();
	ck_no_leaks();
	fixture_close();
}

static void expect(uint32_t group)
{
	struct fib_stats stats;

	fib_stats(fib, &stats);
	ck_assert_uint_eq(lookup(HOST_IN), group);
	ck_assert_uint_eq(stats.laid_over, group == FIB_GROUP_KERNEL);
	ck_assert_uint_eq(!!(fib_route_over(fib, &prefix) & ~FIB_OVER_LOCAL),
			  group == FIB_GROUP_KERNEL);
}

/* The kernel has a route where zebra has none, beneath a shorter one of zebra's. */
START_TEST(only_the_kernel)
{
	route_set("0.0.0.0/0", g[0]);
	expect(g[0]);
	ck_assert_int_eq(fib_kernel_set(fib, &prefix, 0), 0);
	expect(FIB_GROUP_KERNEL);
	ck_assert_int_eq(fib_kernel_set(fib, &prefix, way[1]), 0);
	expect(FIB_GROUP_KERNEL);
	/* the same next hop as the shorter one: still a prefix that zebra does not know */
	ck_assert_int_eq(fib_kernel_set(fib, &prefix, way[0]), 0);
	expect(FIB_GROUP_KERNEL);
	ck_assert_int_eq(fib_kernel_del(fib, &prefix), 0);
	expect(g[0]);
	ck_assert_int_eq(fib_kernel_del(fib, &prefix), -ENOENT);
	route_del("0.0.0.0/0");
}
END_TEST

/* Zebra's own route beside one of the kernel's: in force if both lead to the same next hops, in whatever order they come. */
START_TEST(beside_zebras)
{
	struct fib_member one = member_of(1, 1), two = member_of(2, 1);

	route_set("203.0.113.0/24", g[1]);
	expect(g[1]);
	ck_assert_int_eq(fib_kernel_set(fib, &prefix, way[0]), 0);
	expect(FIB_GROUP_KERNEL);
	route_set("203.0.113.0/24", g[0]);
	expect(g[0]);
	route_set("203.0.113.0/24", g[2]);
	expect(FIB_GROUP_KERNEL);
	ck_assert_int_eq(fib_kernel_set(fib, &prefix, way[2]), 0);
	expect(g[2]);
	/* the group's members change under the route */
	ck_assert_int_eq(fib_group_set(fib, &g[2], &one, 1), 0);
	expect(FIB_GROUP_KERNEL);
	ck_assert_int_eq(fib_kernel_set(fib, &prefix, way[1]), 0);
	expect(FIB_GROUP_KERNEL);
	ck_assert_int_eq(fib_group_set(fib, &g[2], &two, 1), 0);
	expect(g[2]);
	route_set("203.0.113.0/24", FIB_GROUP_BLACKHOLE);
	expect(FIB_GROUP_KERNEL);
	ck_assert_int_eq(fib_kernel_set(fib, &prefix, FIB_WAY_BLACKHOLE), 0);
	expect(FIB_GROUP_BLACKHOLE);
	/* what is the kernel's all the same is told for what it is */
	ck_assert_int_eq(fib_kernel_set(fib, &prefix, 0), 0);
	route_set("203.0.113.0/24", FIB_GROUP_REJECT);
	expect(FIB_GROUP_REJECT);
	route_set("203.0.113.0/24", g[1]);
	expect(FIB_GROUP_KERNEL);
	ck_assert_int_eq(fib_kernel_del(fib, &prefix), 0);
	expect(g[1]);
	route_del("203.0.113.0/24");
}
END_TEST

/* A route that zebra read from the kernel is used only while the kernel has it like this. */
START_TEST(read_from_the_kernel)
{
	route_set("0.0.0.0/0", g[1]);
	ck_assert_int_eq(fib_route_read(fib, &prefix, g[0]), 0);
	expect(FIB_GROUP_KERNEL);
	ck_assert_int_eq(fib_kernel_set(fib, &prefix, way[0]), 0);
	expect(g[0]);
	/* dropped in silence: zebra has it yet */
	ck_assert_int_eq(fib_kernel_del(fib, &prefix), 0);
	expect(FIB_GROUP_KERNEL);
	ck_assert_int_eq(fib_kernel_set(fib, &prefix, way[0]), 0);
	ck_assert_int_eq(fib_route_read(fib, &prefix, g[1]), 0);
	expect(FIB_GROUP_KERNEL);
	/* zebra takes it out, the kernel keeps it (a connected network without carrier) */
	route_del("203.0.113.0/24");
	expect(FIB_GROUP_KERNEL);
	ck_assert_int_eq(fib_kernel_del(fib, &prefix), 0);
	expect(g[1]);
	/* and now one of its own */
	ck_assert_int_eq(fib_route_read(fib, &prefix, g[0]), 0);
	route_set("203.0.113.0/24", g[2]);
	expect(g[2]);
	route_del("203.0.113.0/24");
	route_del("0.0.0.0/0");
}
END_TEST

START_TEST(doubts)
{
	struct fib_prefix found;

	ck_assert_int_eq(fib_route_doubt(fib, &prefix, true), -ENOENT);
	route_set("0.0.0.0/0", g[1]);
	ck_assert_int_eq(fib_route_doubt(fib, &prefix, true), -ENOENT);
	expect(g[1]);
	route_set("203.0.113.0/24", g[0]);
	ck_assert_int_eq(fib_route_doubt(fib, &prefix, true), 0);
	expect(FIB_GROUP_KERNEL);
	ck_assert_uint_eq(fib_route_covering(fib, &prefix, &found), g[0]);
	ck_assert_uint_eq(found.len, 24);
	ck_assert_int_eq(fib_route_verify(fib, &prefix), 0);
	ck_assert_int_eq(fib_route_rewrite(fib, &prefix), 0);
	expect(FIB_GROUP_KERNEL);
	ck_assert_int_eq(fib_route_doubt(fib, &prefix, false), 0);
	expect(g[0]);
	/* zebra says it again: then the kernel has it */
	ck_assert_int_eq(fib_route_doubt(fib, &prefix, true), 0);
	route_set("203.0.113.0/24", g[0]);
	expect(g[0]);
	ck_assert_int_eq(fib_route_doubt(fib, &prefix, true), 0);
	route_del("203.0.113.0/24");
	expect(g[1]);
	/* the audit's word, which is nobody else's to take back */
	ck_assert_int_eq(fib_audit_set(fib, &prefix), 0);
	expect(FIB_GROUP_KERNEL);
	route_set("203.0.113.0/24", g[0]);
	ck_assert_int_eq(fib_kernel_set(fib, &prefix, way[0]), 0);
	expect(FIB_GROUP_KERNEL);
	ck_assert_int_eq(fib_audit_del(fib, &prefix), 0);
	expect(g[0]);
	ck_assert_int_eq(fib_audit_del(fib, &prefix), -ENOENT);
	ck_assert_int_eq(fib_kernel_del(fib, &prefix), 0);
	route_del("203.0.113.0/24");
	route_del("0.0.0.0/0");
}
END_TEST

/* The default route, IPv6, a VRF's table, a host that is an address of the router as well. */
START_TEST(every_kind_of_prefix)
{
	static const char *const texts[] = {"0.0.0.0/0", "203.0.112.0/20", "203.0.113.7/32"};
	struct fib_prefix host = prefix_of("203.0.113.7/32");
	uint16_t red;

	ck_assert_int_eq(fib_table_open(fib, 10, &red), 0);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		for (int in_red = 0; in_red < 2; in_red++) {
			struct fib_prefix at = prefix_of(texts[i]);

			at.table = in_red ? red : 0;
			ck_assert_int_eq(fib_route_set(fib, &at, g[0]), 0);
			ck_assert_int_eq(fib_kernel_set(fib, &at, 0), 0);
			ck_assert_uint_eq(fib_lookup(fib, at.table, AF_INET, host.addr),
					  FIB_GROUP_KERNEL);
			ck_assert_int_eq(fib_kernel_del(fib, &at), 0);
			ck_assert_uint_eq(fib_lookup(fib, at.table, AF_INET, host.addr), g[0]);
			ck_assert_int_eq(fib_route_del(fib, &at), 0);
		}
	}
	prefix = prefix_of("2001:db8::/32");
	ck_assert_int_eq(fib_kernel_set(fib, &prefix, 0), 0);
	ck_assert_uint_eq(lookup("2001:db8::1"), FIB_GROUP_KERNEL);
	ck_assert_uint_eq(lookup("2001:db9::1"), FIB_GROUP_NO_ROUTE);
	ck_assert_int_eq(fib_kernel_del(fib, &prefix), 0);

	prefix = host;
	ck_assert_int_eq(fib_local_add(fib, 0, AF_INET, host.addr), 0);
	ck_assert_int_eq(fib_kernel_set(fib, &host, way[0]), 0);
	ck_assert_int_eq(fib_route_read(fib, &host, g[0]), 0);
	expect(FIB_GROUP_LOCAL);
	ck_assert_int_eq(fib_local_del(fib, 0, AF_INET, host.addr), 0);
	expect(g[0]);
	ck_assert_int_eq(fib_kernel_del(fib, &host), 0);
	expect(FIB_GROUP_KERNEL);
	route_del("203.0.113.7/32");
	ck_assert_int_eq(
		fib_kernel_set(fib, &(struct fib_prefix){.family = AF_INET, .table = 77}, 0),
		-EINVAL);
}
END_TEST

/* Walks and counts see zebra's routes, not what lies over them. */
static void count_route(void *arg, const struct fib_prefix *at, uint32_t group)
{
	(void)at;
	ck_assert_uint_eq(group, g[0]);
	++*(int *)arg;
}

START_TEST(walks_see_zebras)
{
	struct fib_prefix other = prefix_of("198.51.100.0/24");
	struct fib_cursor cursor = {0};
	struct fib_stats stats;
	int n = 0;

	route_set("203.0.113.0/24", g[0]);
	ck_assert_int_eq(fib_route_doubt(fib, &prefix, true), 0);
	ck_assert_int_eq(fib_kernel_set(fib, &other, 0), 0);
	ck_assert(!fib_route_walk(fib, 0, AF_INET, &cursor, 100, count_route, &n));
	ck_assert_int_eq(n, 1);
	fib_stats(fib, &stats);
	ck_assert_uint_eq(stats.v4_routes, 1);
	ck_assert_uint_eq(stats.laid_over, 2);
	ck_assert_int_eq(fib_kernel_del(fib, &other), 0);
	route_del("203.0.113.0/24");
}
END_TEST

TCase *overlay_case(void)
{
	TCase *tc = tcase_create("overlay");

	tcase_add_checked_fixture(tc, open_groups, close_groups);
	tcase_add_test(tc, only_the_kernel);
	tcase_add_test(tc, beside_zebras);
	tcase_add_test(tc, read_from_the_kernel);
	tcase_add_test(tc, doubts);
	tcase_add_test(tc, every_kind_of_prefix);
	tcase_add_test(tc, walks_see_zebras);
	return tc;
}
