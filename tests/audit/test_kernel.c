// SPDX-License-Identifier: GPL-2.0-or-later
/* What is read of the kernel's routes. */
#include <sys/socket.h>
#include <linux/rtnetlink.h>

#include "tests/audit/namespace.h"

static uint32_t kernel_way(const char *text)
{
	const struct record *record = record_of(text);

	return record ? record->kernel : WAY_NONE;
}

START_TEST(kernel_routes)
{
	struct reading r = reading(true);
	uint32_t a = set_of(via(link_a, AF_INET, ADDRESS_A, 1));

	run("ip route add 192.0.2.0/24 via 10.0.1.2 && "
	    "ip route add 192.0.2.0/25 nexthop via 10.0.1.2 weight 3 nexthop via 10.0.2.2 weight 1 && "
	    "ip route add 198.51.100.0/24 via inet6 2001:db8:2::2 dev y0 && "
	    "ip route add blackhole 203.0.113.0/24 && ip route add unreachable 203.0.114.0/24 && "
	    "ip route add prohibit 203.0.115.0/24 && ip route add throw 203.0.116.0/24 && "
	    "ip route add 203.0.117.0/24 via 10.0.2.2 metric 50 && "
	    "ip route add 203.0.117.0/24 via 10.0.1.2 metric 10 && "
	    "ip route add 203.0.118.0/24 via 10.0.1.2 table 100 && "
	    "ip nexthop add id 7 via 10.0.1.2 dev x0 && ip nexthop add id 8 via 10.0.2.2 dev y0 && "
	    "ip nexthop add id 9 group 7/8 && ip route add 203.0.119.0/24 nhid 9 && "
	    "ip nexthop add id 10 blackhole && ip route add 203.0.120.0/24 nhid 10");
	ck_assert_int_eq(kernel_read(&r, RT_TABLE_MAIN, 0, AF_INET), 0);
	ck_assert_uint_eq(kernel_way("10.0.1.0/24"), set_of(via(link_a, 0, NULL, 1)));
	ck_assert_uint_eq(kernel_way("192.0.2.0/24"), a);
	ck_assert_uint_eq(kernel_way("192.0.2.0/25"), set_of2(via(link_a, AF_INET, ADDRESS_A, 3),
							      via(link_b, AF_INET, ADDRESS_B, 1)));
	ck_assert_uint_eq(kernel_way("198.51.100.0/24"),
			  set_of(via(link_b, AF_INET6, "2001:db8:2::2", 1)));
	ck_assert_uint_eq(kernel_way("203.0.113.0/24"), FIB_GROUP_BLACKHOLE);
	ck_assert_uint_eq(kernel_way("203.0.114.0/24"), FIB_GROUP_REJECT);
	ck_assert_uint_eq(kernel_way("203.0.115.0/24"), FIB_GROUP_REJECT);
	ck_assert_uint_eq(kernel_way("203.0.116.0/24"), WAY_ODD_BY(TYPES));
	ck_assert_uint_eq(kernel_way("203.0.117.0/24"), a);
	ck_assert_uint_eq(kernel_way("203.0.118.0/24"), WAY_NONE);
	ck_assert_uint_eq(
		kernel_way("203.0.119.0/24"),
		set_of2(via(link_a, AF_INET, ADDRESS_A, 1), via(link_b, AF_INET, ADDRESS_B, 1)));
	ck_assert_uint_eq(kernel_way("203.0.120.0/24"), FIB_GROUP_BLACKHOLE);
	ck_assert_uint_eq(kernel_way("10.0.1.1/32"), WAY_NONE);
	ck_assert_uint_eq(seen, 13);
}
END_TEST

/* Whatever makes the kernel treat packets of a prefix otherwise than by one set of plain next hops. */
START_TEST(kernel_has_more)
{
	struct reading r = reading(true);

	run("ip route add 192.0.2.0/24 via 10.0.1.2 && ip route add 192.0.2.0/24 tos 0x10 via 10.0.2.2 && "
	    "ip route add 192.0.3.0/24 tos 0x10 via 10.0.2.2 && "
	    "ip route add 192.0.4.0/24 encap ip6 dst 2001:db8:2::2 via 10.0.1.2 dev x0 && "
	    "ip route add 192.0.5.0/24 metric 5 encap ip6 dst 2001:db8:2::2 via 10.0.1.2 dev x0 && "
	    "ip route add 192.0.5.0/24 metric 20 via 10.0.1.2 && "
	    "ip route add 192.0.6.0/24 metric 50 encap ip6 dst 2001:db8:2::2 via 10.0.1.2 dev x0 && "
	    "ip route add 192.0.6.0/24 metric 20 via 10.0.2.2 && "
	    "ip route add 192.0.7.0/24 nexthop via 10.0.1.2 dev x0 "
	    "nexthop encap ip6 dst 2001:db8:2::2 via 10.0.2.2 dev y0 && "
	    "ip route add local 192.0.8.0/24 dev lo table main && "
	    "ip route add throw 192.0.9.0/24 metric 5 && ip route add 192.0.9.0/24 metric 20 via 10.0.1.2 && "
	    "ip route add 192.0.10.0/24 via 10.0.1.2 metric 7 && ip route append 192.0.10.0/24 via 10.0.2.2 metric 7");
	ck_assert_int_eq(kernel_read(&r, RT_TABLE_MAIN, 0, AF_INET), 0);
	ck_assert_uint_eq(kernel_way("192.0.2.0/24"), WAY_ODD_BY(TOS));
	ck_assert_uint_eq(kernel_way("192.0.3.0/24"), WAY_ODD_BY(TOS));
	ck_assert_uint_eq(kernel_way("192.0.4.0/24"), WAY_ODD_BY(ENCAPSULATION));
	ck_assert_uint_eq(kernel_way("192.0.5.0/24"), WAY_ODD_BY(ENCAPSULATION));
	ck_assert_uint_eq(kernel_way("192.0.6.0/24"), set_of(via(link_b, AF_INET, ADDRESS_B, 1)));
	ck_assert_uint_eq(kernel_way("192.0.7.0/24"), WAY_ODD_BY(ENCAPSULATION));
	ck_assert_uint_eq(kernel_way("192.0.8.0/24"), FIB_GROUP_LOCAL);
	ck_assert_uint_eq(kernel_way("192.0.9.0/24"), WAY_ODD_BY(TYPES));
	ck_assert_uint_eq(kernel_way("192.0.10.0/24"), set_of(via(link_a, AF_INET, ADDRESS_A, 1)));
}
END_TEST

START_TEST(kernel_has_more6)
{
	struct reading r = reading(true);

	run("ip route add 2001:db8:70::/48 encap seg6 mode encap segs 2001:db8:2::2 via 2001:db8:1::2 dev x0 && "
	    "ip route add 2001:db8:71::/48 from 2001:db8:5::/48 via 2001:db8:1::2 && "
	    "ip route add 2001:db8:72::/48 via 2001:db8:1::2 && "
	    "ip route add 2001:db8:72::/48 from 2001:db8:5::/48 via 2001:db8:2::2 && "
	    "ip route add throw 2001:db8:73::/48 && ip route add prohibit 2001:db8:74::/48 && "
	    /* such do not become one route of two next hops */
	    "ip route add 2001:db8:75::/48 dev x0 && ip route append 2001:db8:75::/48 dev y0 && "
	    "ip route add 2001:db8:76::/48 via 2001:db8:1::2 pref low && "
	    "ip route add 2001:db8:77::/48 via 2001:db8:1::2 expires 100");
	ck_assert_int_eq(kernel_read(&r, RT_TABLE_MAIN, 0, AF_INET6), 0);
	ck_assert_uint_eq(kernel_way("2001:db8:70::/48"), WAY_ODD_BY(ENCAPSULATION));
	ck_assert_uint_eq(kernel_way("2001:db8:71::/48"), WAY_ODD_BY(SOURCE));
	ck_assert_uint_eq(kernel_way("2001:db8:72::/48"), WAY_ODD_BY(SOURCE));
	ck_assert_uint_eq(kernel_way("2001:db8:73::/48"), WAY_ODD_BY(TYPES));
	ck_assert_uint_eq(kernel_way("2001:db8:74::/48"), FIB_GROUP_REJECT);
	ck_assert_uint_eq(kernel_way("2001:db8:75::/48"), WAY_ODD_BY(METRICS));
	ck_assert_uint_eq(kernel_way("2001:db8:76::/48"),
			  set_of(via(link_a, AF_INET6, "2001:db8:1::2", 1)));
	ck_assert_uint_eq(kernel_way("2001:db8:77::/48"),
			  set_of(via(link_a, AF_INET6, "2001:db8:1::2", 1)));
}
END_TEST

/* Routes over a link without carrier: the kernel passes over them where it is told to, and else does not. */
START_TEST(kernel_without_carrier)
{
	struct reading r = reading(true);

	run("ip route add 192.0.2.0/24 via 10.0.1.2 metric 5 && ip route add 192.0.2.0/24 via 10.0.2.2 metric 20 && "
	    "ip route add 192.0.3.0/24 via 10.0.1.2 && "
	    "ip route add 192.0.4.0/24 nexthop via 10.0.1.2 nexthop via 10.0.2.2 && "
	    "ip link set x1 down && until ip link show x0 | grep -q NO-CARRIER; do sleep 0.01; done");
	for (int ignored = 0; ignored < 2; ignored++) {
		snapshot.n = snapshot.sorted = 0;
		ck_assert_int_eq(kernel_read(&r, RT_TABLE_MAIN, 0, AF_INET), 0);
		ck_assert_uint_eq(kernel_way("192.0.2.0/24"),
				  set_of(ignored ? via(link_b, AF_INET, ADDRESS_B, 1)
						 : via(link_a, AF_INET, ADDRESS_A, 1)));
		ck_assert_uint_eq(kernel_way("192.0.3.0/24"),
				  ignored ? WAY_NONE : set_of(via(link_a, AF_INET, ADDRESS_A, 1)));
		ck_assert_uint_eq(kernel_way("10.0.1.0/24"),
				  ignored ? WAY_NONE : set_of(via(link_a, 0, NULL, 1)));
		ck_assert_uint_eq(kernel_way("192.0.4.0/24"),
				  set_of2(via(link_a, AF_INET, ADDRESS_A, 1),
					  via(link_b, AF_INET, ADDRESS_B, 1)));
		run("sysctl -qw net.ipv4.conf.all.ignore_routes_with_linkdown=1");
	}
}
END_TEST

/* The local table comes before the main one, and says what the kernel does with a prefix that both have. */
START_TEST(kernel_local_table)
{
	struct reading r = reading(true);
	uint32_t a = set_of(via(link_a, AF_INET, ADDRESS_A, 1));

	run("ip route add local 192.0.2.0/24 dev lo && ip route add 192.0.2.0/24 via 10.0.1.2 && "
	    "ip route add local 192.0.3.0/24 dev lo && ip route add blackhole 192.0.4.0/24 table local && "
	    "ip route add throw 192.0.5.0/24 table local && ip route add 192.0.5.0/24 via 10.0.1.2 && "
	    "ip route add 192.0.6.0/24 via 10.0.1.2 table local && "
	    "ip route add anycast 2001:db8:70::1 dev x0 && ip route add local 2001:db8:71::/48 dev lo");
	for (int known = 0; known < 2; known++) {
		struct fib_prefix prefix = prefix_of("192.0.2.0/24");

		snapshot.n = snapshot.sorted = 0;
		if (known)
			snapshot_add(&snapshot, &prefix);
		ck_assert_int_eq(kernel_read(&r, RT_TABLE_LOCAL, 0, AF_INET), 0);
		ck_assert_int_eq(kernel_read(&r, RT_TABLE_MAIN, 0, AF_INET), 0);
		ck_assert_int_eq(kernel_read(&r, RT_TABLE_LOCAL, 0, AF_INET6), 0);
		ck_assert_uint_eq(kernel_way("192.0.2.0/24"), FIB_GROUP_LOCAL);
		ck_assert_uint_eq(kernel_way("192.0.3.0/24"), FIB_GROUP_LOCAL);
		ck_assert_uint_eq(kernel_way("192.0.4.0/24"), FIB_GROUP_BLACKHOLE);
		ck_assert_uint_eq(kernel_way("192.0.5.0/24"), a);
		ck_assert_uint_eq(kernel_way("192.0.6.0/24"), a);
		ck_assert_uint_eq(kernel_way("10.0.1.1/32"), FIB_GROUP_LOCAL);
		ck_assert_uint_eq(kernel_way("10.0.1.255/32"), FIB_GROUP_LOCAL);
		ck_assert_uint_eq(kernel_way("2001:db8:1::1/128"), FIB_GROUP_LOCAL);
		ck_assert_uint_eq(kernel_way("2001:db8:70::1/128"), FIB_GROUP_LOCAL);
		ck_assert_uint_eq(kernel_way("2001:db8:71::/48"), FIB_GROUP_LOCAL);
		ck_assert_uint_eq(kernel_way("127.0.0.1/32"), WAY_NONE);
	}
}
END_TEST

START_TEST(kernel_routes6)
{
	struct reading r = reading(true);

	run("ip route add 2001:db8:77::/48 via 2001:db8:1::2 && "
	    "ip route add 2001:db8:78::/48 nexthop via 2001:db8:1::2 nexthop via 2001:db8:2::2 && "
	    "ip route add blackhole 2001:db8:79::/48 && ip route add unreachable 2001:db8:7a::/48 && "
	    "ip route add 2001:db8:7b::/48 via 2001:db8:1::2 metric 9 && "
	    "ip route add 2001:db8:7b::/48 via 2001:db8:2::2 metric 8");
	ck_assert_int_eq(kernel_read(&r, RT_TABLE_MAIN, 0, AF_INET6), 0);
	ck_assert_uint_eq(kernel_way("2001:db8:1::/64"), set_of(via(link_a, 0, NULL, 1)));
	ck_assert_uint_eq(kernel_way("2001:db8:77::/48"),
			  set_of(via(link_a, AF_INET6, "2001:db8:1::2", 1)));
	ck_assert_uint_eq(kernel_way("2001:db8:78::/48"),
			  set_of2(via(link_a, AF_INET6, "2001:db8:1::2", 1),
				  via(link_b, AF_INET6, "2001:db8:2::2", 1)));
	ck_assert_uint_eq(kernel_way("2001:db8:79::/48"), FIB_GROUP_BLACKHOLE);
	ck_assert_uint_eq(kernel_way("2001:db8:7a::/48"), FIB_GROUP_REJECT);
	ck_assert_uint_eq(kernel_way("2001:db8:7b::/48"),
			  set_of(via(link_b, AF_INET6, "2001:db8:2::2", 1)));
	ck_assert_uint_eq(kernel_way("fe80::/64"), WAY_NONE);
}
END_TEST

START_TEST(kernel_other_tables)
{
	struct reading r = reading(true);
	struct fib_prefix prefix = prefix_of("203.0.118.0/24");

	run("ip route add 203.0.118.0/24 via 10.0.1.2 table 100000 && ip route add 203.0.119.0/24 via 10.0.1.2");
	ck_assert_int_eq(kernel_read(&r, 100000, 5, AF_INET), 0);
	ck_assert_int_eq(kernel_read(&r, 100000, 5, AF_INET6), 0);
	ck_assert_int_eq(kernel_read(&r, 4711, 6, AF_INET), 0);
	ck_assert_uint_eq(snapshot.n, 1);
	prefix.table = 5;
	snapshot_sort(&snapshot);
	ck_assert_uint_eq(snapshot_find(&snapshot, &prefix)->kernel,
			  set_of(via(link_a, AF_INET, ADDRESS_A, 1)));
}
END_TEST

START_TEST(kernel_says_only_ids)
{
	struct reading r = reading(true);

	run("sysctl -qw net.ipv4.nexthop_compat_mode=0 && ip nexthop add id 7 via 10.0.1.2 dev x0 && "
	    "ip nexthop add id 8 via 10.0.2.2 dev y0 && ip nexthop add id 9 group 7,3/8 && "
	    "ip nexthop add id 10 blackhole && ip nexthop add id 11 encap ip6 dst 2001:db8:2::2 via 10.0.1.2 dev x0 && "
	    "ip nexthop add id 12 via 2001:db8:1::2 dev x0 && ip nexthop add id 13 dev y0 && "
	    "ip route add 203.0.119.0/24 nhid 7 && ip route add 203.0.120.0/24 nhid 9 && "
	    "ip route add 203.0.121.0/24 nhid 10 && ip route add 203.0.122.0/24 nhid 11 && "
	    "ip route add 203.0.123.0/24 nhid 12 && ip route add 203.0.124.0/24 nhid 13 && "
	    "ip route add 2001:db8:70::/48 nhid 12");
	ck_assert_int_eq(kernel_read(&r, RT_TABLE_MAIN, 0, AF_INET), 0);
	ck_assert_int_eq(kernel_read(&r, RT_TABLE_MAIN, 0, AF_INET6), 0);
	ck_assert_uint_eq(kernel_way("203.0.119.0/24"), set_of(via(link_a, AF_INET, ADDRESS_A, 1)));
	ck_assert_uint_eq(
		kernel_way("203.0.120.0/24"),
		set_of2(via(link_a, AF_INET, ADDRESS_A, 3), via(link_b, AF_INET, ADDRESS_B, 1)));
	ck_assert_uint_eq(kernel_way("203.0.121.0/24"), FIB_GROUP_BLACKHOLE);
	ck_assert_uint_eq(kernel_way("203.0.122.0/24"), WAY_ODD_BY(ENCAPSULATION));
	ck_assert_uint_eq(kernel_way("203.0.123.0/24"),
			  set_of(via(link_a, AF_INET6, "2001:db8:1::2", 1)));
	ck_assert_uint_eq(kernel_way("203.0.124.0/24"), set_of(via(link_b, 0, NULL, 1)));
	ck_assert_uint_eq(kernel_way("2001:db8:70::/48"),
			  set_of(via(link_a, AF_INET6, "2001:db8:1::2", 1)));
}
END_TEST

TCase *kernel_case(void)
{
	TCase *tcase = tcase_create("kernel");

	tcase_add_checked_fixture(tcase, namespace_setup, namespace_teardown);
	tcase_set_timeout(tcase, 30);
	tcase_add_test(tcase, kernel_routes);
	tcase_add_test(tcase, kernel_has_more);
	tcase_add_test(tcase, kernel_has_more6);
	tcase_add_test(tcase, kernel_without_carrier);
	tcase_add_test(tcase, kernel_local_table);
	tcase_add_test(tcase, kernel_routes6);
	tcase_add_test(tcase, kernel_other_tables);
	tcase_add_test(tcase, kernel_says_only_ids);
	return tcase;
}
