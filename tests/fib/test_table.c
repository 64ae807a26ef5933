// SPDX-License-Identifier: GPL-2.0-or-later
/* The corner cases of both prefix tables, by name. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/fib/fixture.h"

static void open_full(void)
{
	fixture_open(&geometry_full);
}

/* As long as group ids go: any small number will do for a route. */
static uint32_t g[8];

static void open_groups(void)
{
	open_full();
	for (uint32_t i = 0; i < 8; i++)
		g[i] = group_one(i);
}

static void close_groups(void)
{
	for (uint32_t i = 0; i < 8; i++)
		fib_group_drop(fib, g[i]);
	ck_no_leaks();
	fixture_close();
}

START_TEST(default_routes)
{
	ck_assert_uint_eq(lookup("8.8.8.8"), FIB_GROUP_NO_ROUTE);
	ck_assert_uint_eq(lookup("2001:db8::1"), FIB_GROUP_NO_ROUTE);
	route_set("0.0.0.0/0", g[0]);
	ck_assert_uint_eq(lookup("0.0.0.0"), g[0]);
	ck_assert_uint_eq(lookup("255.255.255.255"), g[0]);
	ck_assert_uint_eq(lookup("::"), FIB_GROUP_NO_ROUTE);
	route_set("::/0", g[1]);
	ck_assert_uint_eq(lookup("::"), g[1]);
	ck_assert_uint_eq(lookup("2001:db8::1"), g[1]);
	/* a node is below: 0 there is the default as well */
	route_set("2001:db8::/32", g[2]);
	ck_assert_uint_eq(lookup("2001:db9::1"), g[1]);
	route_del("2001:db8::/32");
	route_set("::/0", g[3]);
	ck_assert_uint_eq(lookup("4000::"), g[3]);
	route_del("0.0.0.0/0");
	route_del("::/0");
	ck_assert_uint_eq(lookup("8.8.8.8"), FIB_GROUP_NO_ROUTE);
	ck_assert_uint_eq(lookup("2001:db8::1"), FIB_GROUP_NO_ROUTE);
}
END_TEST

/* Every length over one address, in, then out in another order. */
static void nesting(const char *address, unsigned int width)
{
	char text[64];

	for (unsigned int len = 0; len <= width; len++) {
		snprintf(text, sizeof(text), "%s/%u", address, len);
		route_set(text, g[len % 8]);
		ck_assert_uint_eq(lookup(address), g[len % 8]);
	}
	/* the longest two stay away one by one: what covers takes over at once */
	for (unsigned int len = width; len > 0; len--) {
		snprintf(text, sizeof(text), "%s/%u", address, len);
		route_del(text);
		ck_assert_uint_eq(lookup(address), g[(len - 1) % 8]);
	}
	for (unsigned int len = width; len > 0; len--) {
		snprintf(text, sizeof(text), "%s/%u", address, len);
		route_set(text, g[len % 8]);
		ck_assert_uint_eq(lookup(address), g[width % 8]);
	}
	for (unsigned int len = 0; len < width; len++) {
		snprintf(text, sizeof(text), "%s/%u", address, len);
		route_del(text);
		ck_assert_uint_eq(lookup(address), g[width % 8]);
	}
	snprintf(text, sizeof(text), "%s/%u", address, width);
	route_del(text);
	ck_assert_uint_eq(lookup(address), FIB_GROUP_NO_ROUTE);
}

START_TEST(nesting_all_lengths)
{
	nesting("10.11.12.13", 32);
	nesting("255.255.255.255", 32);
	nesting("2001:db8:1:2:3:4:5:6", 128);
	nesting("fe80::1", 128);
	nesting("3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 128);
	nesting("::", 128);
}
END_TEST

START_TEST(stride_boundaries_v4)
{
	route_set("10.0.0.0/18", g[0]);
	route_set("10.0.32.0/19", g[1]);
	route_set("10.0.33.0/24", g[2]);
	route_set("10.0.33.128/25", g[3]);
	route_set("10.0.33.255/32", g[4]);
	ck_assert_uint_eq(lookup("10.0.31.255"), g[0]);
	ck_assert_uint_eq(lookup("10.0.32.255"), g[1]);
	ck_assert_uint_eq(lookup("10.0.33.127"), g[2]);
	ck_assert_uint_eq(lookup("10.0.33.128"), g[3]);
	ck_assert_uint_eq(lookup("10.0.33.255"), g[4]);
	ck_assert_uint_eq(lookup("10.0.34.0"), g[1]);
	ck_assert_uint_eq(lookup("10.0.64.0"), FIB_GROUP_NO_ROUTE);
	route_del("10.0.33.0/24");
	ck_assert_uint_eq(lookup("10.0.33.1"), g[1]);
	route_set("10.0.0.0/8", g[5]);
	route_del("10.0.0.0/18");
	route_del("10.0.32.0/19");
	/* the push goes through both kinds of blocks */
	ck_assert_uint_eq(lookup("10.0.33.1"), g[5]);
	route_set("10.0.0.0/8", g[6]);
	ck_assert_uint_eq(lookup("10.0.33.1"), g[6]);
	ck_assert_uint_eq(lookup("10.0.32.1"), g[6]);
	ck_assert_uint_eq(lookup("10.0.33.128"), g[3]);
	route_del("10.0.33.255/32");
	route_del("10.0.33.128/25");
	route_del("10.0.0.0/8");
}
END_TEST

START_TEST(edges_of_2000_3)
{
	route_set("2000::/3", g[0]);
	ck_assert_uint_eq(lookup("1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), FIB_GROUP_NO_ROUTE);
	ck_assert_uint_eq(lookup("2000::"), g[0]);
	ck_assert_uint_eq(lookup("3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), g[0]);
	ck_assert_uint_eq(lookup("4000::"), FIB_GROUP_NO_ROUTE);
	route_set("::/1", g[1]);
	route_set("8000::/1", g[2]);
	ck_assert_uint_eq(lookup("1fff::"), g[1]);
	ck_assert_uint_eq(lookup("2000::"), g[0]);
	ck_assert_uint_eq(lookup("4000::"), g[1]);
	ck_assert_uint_eq(lookup("7fff::"), g[1]);
	ck_assert_uint_eq(lookup("8000::"), g[2]);
	route_set("2001:db8:1::/48", g[3]);
	route_del("2000::/3");
	ck_assert_uint_eq(lookup("2000::"), g[1]);
	ck_assert_uint_eq(lookup("2001:db8:2::"), g[1]);
	ck_assert_uint_eq(lookup("2001:db8:1::"), g[3]);
	route_set("::/2", g[4]);
	ck_assert_uint_eq(lookup("2001:db8:2::"), g[4]);
	ck_assert_uint_eq(lookup("3fff::"), g[4]);
	ck_assert_uint_eq(lookup("4000::"), g[1]);
	route_set("1fff::/16", g[5]);
	ck_assert_uint_eq(lookup("1fff::1"), g[5]);
	ck_assert_uint_eq(lookup("1ffe::1"), g[4]);
	route_del("::/2");
	ck_assert_uint_eq(lookup("1ffe::1"), g[1]);
	ck_assert_uint_eq(lookup("2001:db8:2::"), g[1]);
	route_del("::/1");
	ck_assert_uint_eq(lookup("2001:db8:2::"), FIB_GROUP_NO_ROUTE);
	route_del("8000::/1");
	route_del("2001:db8:1::/48");
	route_del("1fff::/16");
}
END_TEST

START_TEST(replace_and_delete_absent)
{
	struct fib_prefix prefix = prefix_of("10.1.2.0/24");

	ck_assert_int_eq(fib_route_del(fib, &prefix), -ENOENT);
	route_set("10.1.2.0/24", g[0]);
	route_set("10.1.2.77/24", g[1]); /* the same prefix: host bits do not count */
	ck_assert_uint_eq(lookup("10.1.2.3"), g[1]);
	ck_assert_int_eq(fib_route_del(fib, &prefix), 0);
	ck_assert_int_eq(fib_route_del(fib, &prefix), -ENOENT);
	ck_assert_int_eq(fib_route_set(fib, &prefix, FIB_GROUP_DEFAULT), -EINVAL);
	ck_assert_int_eq(fib_route_set(fib, &prefix, FIB_GROUP_KERNEL + 1), -EINVAL);
	ck_assert_int_eq(fib_route_set(fib, &prefix, 20000), -EINVAL);
	ck_assert_int_eq(fib_route_set(fib, &prefix, 1u << 20), -EINVAL);
	prefix.len = 33;
	ck_assert_int_eq(fib_route_set(fib, &prefix, g[0]), -EINVAL);
	prefix.family = 99;
	ck_assert_int_eq(fib_route_del(fib, &prefix), -EINVAL);
}
END_TEST

static void local_overlay_of(const char *host, const char *net, const char *address)
{
	struct fib_prefix prefix = prefix_of(host), found;
	struct fib_stats stats;

	route_set(net, g[0]);
	ck_assert_int_eq(fib_local_del(fib, 0, prefix.family, prefix.addr), -ENOENT);
	ck_assert_int_eq(fib_local_add(fib, 0, prefix.family, prefix.addr), 0);
	ck_assert_uint_eq(lookup(address), FIB_GROUP_LOCAL);
	ck_assert_uint_eq(fib_route_covering(fib, &prefix, &found), FIB_GROUP_LOCAL);
	ck_assert_int_eq(fib_route_del(fib, &prefix), -ENOENT);
	route_set(host, g[1]);
	ck_assert_uint_eq(lookup(address), FIB_GROUP_LOCAL);
	ck_assert_uint_eq(fib_route_covering(fib, &prefix, &found), g[1]);
	ck_assert_int_eq(fib_local_add(fib, 0, prefix.family, prefix.addr), 0);
	route_set(host, g[2]);
	fib_stats(fib, &stats);
	ck_assert_uint_eq(stats.v4_routes + stats.v6_routes, 2);
	ck_assert_uint_eq(stats.locals, 1);
	ck_assert_int_eq(fib_local_del(fib, 0, prefix.family, prefix.addr), 0);
	ck_assert_uint_eq(lookup(address), FIB_GROUP_LOCAL);
	ck_assert_int_eq(fib_local_del(fib, 0, prefix.family, prefix.addr), 0);
	ck_assert_uint_eq(lookup(address), g[2]);
	ck_assert_int_eq(fib_local_add(fib, 0, prefix.family, prefix.addr), 0);
	route_del(host);
	ck_assert_uint_eq(lookup(address), FIB_GROUP_LOCAL);
	ck_assert_int_eq(fib_local_del(fib, 0, prefix.family, prefix.addr), 0);
	ck_assert_uint_eq(lookup(address), g[0]);
	route_del(net);
}

START_TEST(local_overlay)
{
	local_overlay_of("192.0.2.1/32", "192.0.2.0/24", "192.0.2.1");
	local_overlay_of("2001:db8::1/128", "2001:db8::/64", "2001:db8::1");
	local_overlay_of("fe80::1/128", "fe80::/10", "fe80::1");
}
END_TEST

TCase *table_case(void)
{
	TCase *tc = tcase_create("tables");

	tcase_add_checked_fixture(tc, open_groups, close_groups);
	tcase_add_test(tc, default_routes);
	tcase_add_test(tc, nesting_all_lengths);
	tcase_add_test(tc, stride_boundaries_v4);
	tcase_add_test(tc, edges_of_2000_3);
	tcase_add_test(tc, replace_and_delete_absent);
	tcase_add_test(tc, local_overlay);
	return tc;
}
