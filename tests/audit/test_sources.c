// SPDX-License-Identifier: GPL-2.0-or-later
/* The kernel's FIB, ours, and a whole run of both against a RIB. Each test has a network namespace of its own. */
#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <linux/rtnetlink.h>

#include "dplane_ebpf/audit/audit_internal.h"
#include "dplane_ebpf/audit/worker.h"
#include "tests/audit/test_audit.h"
#include "tests/fib/fixture.h"

#define ADDRESS_A "10.0.1.2"
#define ADDRESS_B "10.0.2.2"

static struct snapshot snapshot;
static uint32_t link_a, link_b;
static _Atomic bool no;
static _Atomic uint64_t seen;

static void run(const char *command)
{
	ck_assert_msg(system(command) == 0, "failed: %s", command);
}

static void setup(void)
{
	ck_assert_int_eq(unshare(CLONE_NEWNET), 0);
	run("ip link add dev x0 type veth peer name x1 && ip link add dev y0 type veth peer name y1 && "
	    "for i in lo x0 x1 y0 y1; do ip link set $i up; done && "
	    "until [ $(ip -o link show up | grep -c 'state UP') -eq 4 ]; do sleep 0.01; done && "
	    "ip address add 10.0.1.1/24 dev x0 && ip address add 10.0.2.1/24 dev y0 && "
	    "ip address add 2001:db8:1::1/64 dev x0 nodad && ip address add 2001:db8:2::1/64 dev y0 nodad");
	link_a = if_nametoindex("x0");
	link_b = if_nametoindex("y0");
	fixture_open(&geometry_tiny);
	ck_assert_int_eq(snapshot_init(&snapshot), 0);
}

static void teardown(void)
{
	snapshot_fini(&snapshot);
	fixture_close();
}

static struct reading reading(bool all)
{
	seen = 0;
	return (struct reading){.snapshot = &snapshot,
				.fib = fib,
				.all = all,
				.slow = &no,
				.stop = &no,
				.seen = &seen};
}

static struct fib_member via(uint32_t ifindex, int family, const char *gate, uint32_t weight)
{
	struct fib_member member = {.nexthop = {.ifindex = ifindex}, .weight = weight};
	struct fib_prefix host;

	if (gate) {
		host = prefix_of(gate);
		member.nexthop.family = (uint8_t)family;
		memcpy(member.nexthop.gate, host.addr, sizeof(host.addr));
	}
	return member;
}

static uint32_t set_of(struct fib_member a)
{
	return ways_of(snapshot.ways, &a, 1);
}

static uint32_t set_of2(struct fib_member a, struct fib_member b)
{
	struct fib_member both[] = {a, b};

	return ways_of(snapshot.ways, both, 2);
}

static const struct record *record_of(const char *text)
{
	struct fib_prefix prefix = prefix_of(text);

	snapshot_sort(&snapshot);
	return snapshot_find(&snapshot, &prefix);
}

/* ---- the kernel ---- */

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

/* ---- ours ---- */

static void read_ours(bool look)
{
	struct reading r = reading(true);

	if (look) {
		ours_look(&r, false);
		return;
	}
	snapshot.n = snapshot.sorted = 0;
	ours_read(&r, 0, AF_INET);
	ours_read(&r, 0, AF_INET6);
	snapshot_sort(&snapshot);
}

static bool damaged(const char *text)
{
	return record_of(text)->flags & RECORD_DAMAGED;
}

static uint32_t group_to(const struct fib_member *members, size_t n)
{
	uint32_t group = 0;

	ck_assert_int_eq(fib_group_set(fib, &group, members, n), 0);
	return group;
}

START_TEST(ours_is_read)
{
	struct fib_member a = via(link_a, AF_INET, ADDRESS_A, 1),
			  b = via(link_b, AF_INET, ADDRESS_B, 2);
	struct fib_member both[] = {b, a};
	uint32_t one = group_to(&a, 1), two = group_to(both, 2), none = group_to(NULL, 0);
	struct fib_prefix local = prefix_of("192.0.2.1/32");

	a.backup[0] = b.nexthop;
	route_set("0.0.0.0/0", one);
	route_set("192.0.2.0/24", two);
	route_set("192.0.2.128/25", none);
	route_set("203.0.113.0/24", FIB_GROUP_BLACKHOLE);
	route_set("2001:db8::/32", one);
	route_set("2001:db8:1:2::/64", group_to(&a, 1));
	route_set("192.0.2.1/32", one);
	ck_assert_int_eq(fib_local_add(fib, 0, AF_INET, local.addr), 0);
	for (int look = 0; look < 2; look++) {
		read_ours(look);
		ck_assert_uint_eq(record_of("0.0.0.0/0")->ours, set_of(a));
		ck_assert_uint_eq(record_of("192.0.2.0/24")->ours, set_of2(a, b));
		ck_assert_uint_eq(record_of("192.0.2.128/25")->ours, FIB_GROUP_UNSUPPORTED);
		ck_assert_uint_eq(record_of("203.0.113.0/24")->ours, FIB_GROUP_BLACKHOLE);
		ck_assert_uint_eq(record_of("2001:db8::/32")->ours, set_of(a));
		/* its backup is no next hop of the route */
		ck_assert_uint_eq(record_of("2001:db8:1:2::/64")->ours, set_of(a));
		ck_assert_uint_eq(record_of("192.0.2.1/32")->ours, set_of(a));
		for (size_t i = 0; i < snapshot.n; i++)
			ck_assert_uint_eq(snapshot.record[i].flags & ~RECORD_V6, 0);
	}
	route_del("192.0.2.0/24");
	read_ours(true);
	ck_assert_uint_eq(record_of("192.0.2.0/24")->flags, RECORD_COVERED);
	ck_assert_uint_eq(record_of("192.0.2.0/24")->ours, set_of(a));
}
END_TEST

/* Every prefix of a small table in turn: what was written over it is told, for it, and can be written again. */
START_TEST(damage_is_found_and_mended)
{
	static const char *const prefixes[] = {
		"10.0.0.0/8",	 "192.0.2.0/24",      "192.0.2.128/25",	     "203.0.113.7/32",
		"2001:db8::/32", "2001:db8:1:2::/64", "2001:db8:1:2::3/128", "fc00::/7"};
	size_t n = sizeof(prefixes) / sizeof(prefixes[0]);
	struct fib_member a = via(link_a, AF_INET, ADDRESS_A, 1),
			  b = via(link_b, AF_INET, ADDRESS_B, 1);
	uint32_t one = group_to(&a, 1), other = group_to(&b, 1);

	for (size_t i = 0; i < n; i++)
		route_set(prefixes[i], i % 2 ? one : other);
	read_ours(false);
	for (size_t i = 0; i < n; i++)
		ck_assert(!damaged(prefixes[i]));
	for (size_t i = 0; i < n; i++) {
		struct fib_prefix prefix = prefix_of(prefixes[i]);
		uint32_t *root =
			prefix.family == AF_INET6
				? &memory.v6_root[prefix.addr[0] >> 5 == 1
							  ? (prefix.addr[0] & 31u) << 16 |
								    (uint32_t)prefix.addr[1] << 8 |
								    prefix.addr[2]
							  : FIB6_ROOT_SIZE + prefix.addr[0]]
				: &memory.v4_root[((uint32_t)prefix.addr[0] << 24 |
						   (uint32_t)prefix.addr[1] << 16 |
						   (uint32_t)prefix.addr[2] << 8) >>
						  14];

		for (int value = 0; value < 2; value++) {
			*root = value ? FIB_NODE | 0x3ffffff0u : FIB_GROUP_BLACKHOLE;
			ck_assert_int_eq(fib_route_verify(fib, &prefix), -EBADMSG);
			read_ours(true);
			ck_assert_msg(damaged(prefixes[i]), "%s", prefixes[i]);
			ck_assert_int_eq(fib_route_rewrite(fib, &prefix), 0);
			read_ours(true);
			for (size_t k = 0; k < n; k++)
				ck_assert_msg(!damaged(prefixes[k]), "%s after %s", prefixes[k],
					      prefixes[i]);
		}
	}
}
END_TEST

START_TEST(damaged_groups)
{
	struct fib_member both[] = {via(link_a, AF_INET, ADDRESS_A, 1),
				    via(link_b, AF_INET, ADDRESS_B, 1)};
	struct fib_member third = via(link_a, AF_INET, "10.0.1.3", 1);
	uint32_t group = group_to(both, 2), other = group_to(&third, 1);
	struct fib_group_info info;
	uint32_t offset, stranger;

	route_set("192.0.2.0/24", group);
	route_set("192.0.3.0/24", other);
	ck_assert_int_eq(fib_group_get(fib, other, &info), 0);
	stranger = info.members[0].nexthop;
	free(info.members);
	ck_assert_int_eq(fib_group_get(fib, group, &info), 0);
	offset = FIB_DESC_OFFSET(memory.group[group]);
	for (int what = 0; what < 5; what++) {
		read_ours(false);
		ck_assert(!damaged("192.0.2.0/24"));
		switch (what) {
		case 0:
			memory.group[group] = 0;
			break;
		case 1:
			memory.slot[offset + 1] = (uint16_t)stranger;
			break;
		case 2: /* a member, but not where it stood: one has more than its share */
			memory.slot[offset] = memory.slot[offset + info.slots - 1];
			memory.slot[offset + 1] = memory.slot[offset];
			memory.slot[offset + info.slots / 2] = memory.slot[offset];
			break;
		case 3:
			memory.nexthop[info.members[0].nexthop].ifindex++;
			break;
		case 4:
			memory.nexthop[info.members[1].nexthop].gate[3]++;
			break;
		}
		read_ours(false);
		ck_assert_msg(damaged("192.0.2.0/24"), "%d", what);
		ck_assert(!damaged("192.0.3.0/24"));
		ck_assert_int_eq(fib_group_rewrite(fib, group), 0);
		ck_assert_int_eq(fib_group_verify(fib, group), 0);
		offset = FIB_DESC_OFFSET(memory.group[group]);
	}
	free(info.members);
}
END_TEST

/* ---- a run ---- */

static _Atomic bool ended;

static void end(void)
{
	ended = true;
}

static struct fib_prefix moved;

static bool passed(const struct fib_prefix *prefix)
{
	return !memcmp(prefix, &moved, sizeof(moved));
}

static void give(struct worker *worker, struct run *whole, enum pass pass)
{
	ended = false;
	worker_give(worker, whole, pass);
	while (!ended)
		sched_yield();
	ck_assert_int_eq(worker_take(worker), 0);
}

/* What zebra says of a prefix: a set of one next hop on link a. */
static void rib_has(struct run *whole, const char *text, struct fib_member member)
{
	struct fib_prefix prefix = prefix_of(text);

	snapshot_add(&whole->snapshot, &prefix)->rib = ways_of(whole->snapshot.ways, &member, 1);
}

/* What links/ knows of the router's own addresses. */
static void know_locals(void)
{
	static const char *const address[] = {
		"10.0.1.1",	 "10.0.1.255",	 "10.0.2.1",	  "10.0.2.255",
		"2001:db8:1::1", "2001:db8:1::", "2001:db8:2::1", "2001:db8:2::"};

	for (size_t i = 0; i < sizeof(address) / sizeof(address[0]); i++) {
		struct fib_prefix host = prefix_of(address[i]);

		ck_assert_int_eq(fib_local_add(fib, 0, host.family, host.addr), 0);
	}
}

START_TEST(a_run)
{
	struct fib_member a = via(link_a, AF_INET, ADDRESS_A, 1),
			  b = via(link_b, AF_INET, ADDRESS_B, 1);
	struct fib_member on_a = via(link_a, 0, NULL, 1), on_b = via(link_b, 0, NULL, 1);
	uint32_t to_a = group_to(&a, 1), to_b = group_to(&b, 1);
	struct worker *worker = worker_start(end, passed);
	struct run whole = {.fib = fib};
	static const struct {
		const char *prefix;
		uint32_t kinds;
	} expected[] = {
		{"198.51.100.0/26", 1u << AUDIT_MISSING},
		{"198.51.100.64/26", 1u << AUDIT_LEFTOVER},
		{"198.51.100.128/26", 1u << AUDIT_NEXTHOPS},
		{"203.0.113.0/24", 1u << AUDIT_KERNEL_MISSING},
	};

	ck_assert_ptr_nonnull(worker);
	ck_assert_int_eq(snapshot_init(&whole.snapshot), 0);
	know_locals();
	run("for p in 192.0.2.0/24 198.51.100.0/26 198.51.100.128/26 198.51.100.192/26; do ip route add $p via 10.0.1.2; done && "
	    "ip route add 203.0.115.0/24 via 10.0.2.2");
	rib_has(&whole, "10.0.1.0/24", on_a);
	rib_has(&whole, "10.0.2.0/24", on_b);
	route_set("10.0.1.0/24", group_to(&on_a, 1));
	route_set("10.0.2.0/24", group_to(&on_b, 1));
	rib_has(&whole, "192.0.2.0/24", a);
	route_set("192.0.2.0/24", to_a);
	rib_has(&whole, "198.51.100.0/26", a);
	route_set("198.51.100.64/26", to_a);
	rib_has(&whole, "198.51.100.128/26", a);
	route_set("198.51.100.128/26", to_b);
	rib_has(&whole, "203.0.113.0/24", a);
	route_set("203.0.113.0/24", to_a);
	/* these two will be set right, or pass by, while it is looked at */
	rib_has(&whole, "198.51.100.192/26", a);
	rib_has(&whole, "203.0.114.0/24", a);
	moved = prefix_of("203.0.114.0/24");
	/* IPv6 is the kernel's alone, and nothing of ours covers it; the connected networks too */
	give(worker, &whole, PASS_ALL);
	ck_assert_uint_eq(whole.snapshot.n, 6);
	route_set("198.51.100.192/26", to_a);
	give(worker, &whole, PASS_FIRST_LOOK);
	ck_assert_uint_eq(whole.unsettled, 1);
	give(worker, &whole, PASS_LOOK);
	give(worker, &whole, PASS_LAST_LOOK);
	ck_assert_uint_eq(whole.differing, 4);
	ck_assert_uint_eq(whole.snapshot.n, 4);
	for (size_t i = 0; i < 4; i++) {
		struct fib_prefix prefix = prefix_of(expected[i].prefix);
		const struct record *record = snapshot_find(&whole.snapshot, &prefix);

		ck_assert_ptr_nonnull(record);
		ck_assert_uint_eq(compare(whole.snapshot.ways, record), expected[i].kinds);
	}
	worker_stop(worker);
	snapshot_fini(&whole.snapshot);
}
END_TEST

/* A whole run with what zebra says: all of these prefixes by link a, and the connected networks. */
static struct run last_run;

static void run_all(struct worker *worker, const char *const *says, size_t n)
{
	struct fib_member a = via(link_a, AF_INET, ADDRESS_A, 1);
	struct fib_member a6 = via(link_a, AF_INET6, "2001:db8:1::2", 1);
	struct fib_member on_a = via(link_a, 0, NULL, 1), on_b = via(link_b, 0, NULL, 1);

	snapshot_fini(&last_run.snapshot);
	memset(&last_run, 0, sizeof(last_run));
	last_run.fib = fib;
	ck_assert_int_eq(snapshot_init(&last_run.snapshot), 0);
	rib_has(&last_run, "10.0.1.0/24", on_a);
	rib_has(&last_run, "10.0.2.0/24", on_b);
	rib_has(&last_run, "2001:db8:1::/64", on_a);
	rib_has(&last_run, "2001:db8:2::/64", on_b);
	for (size_t i = 0; i < n; i++)
		rib_has(&last_run, says[i], strchr(says[i], ':') ? a6 : a);
	give(worker, &last_run, PASS_ALL);
	if (!last_run.snapshot.n)
		return;
	give(worker, &last_run, PASS_FIRST_LOOK);
	give(worker, &last_run, PASS_LOOK);
	give(worker, &last_run, PASS_LAST_LOOK);
}

static uint32_t differs(const char *text)
{
	struct fib_prefix prefix = prefix_of(text);
	const struct record *record = snapshot_find(&last_run.snapshot, &prefix);

	return record ? compare(last_run.snapshot.ways, record) : 0;
}

static void ours_has(const char *const *says, size_t n)
{
	struct fib_member a = via(link_a, AF_INET, ADDRESS_A, 1);
	struct fib_member a6 = via(link_a, AF_INET6, "2001:db8:1::2", 1);
	struct fib_member on_a = via(link_a, 0, NULL, 1), on_b = via(link_b, 0, NULL, 1);

	route_set("10.0.1.0/24", group_to(&on_a, 1));
	route_set("10.0.2.0/24", group_to(&on_b, 1));
	route_set("2001:db8:1::/64", group_to(&on_a, 1));
	route_set("2001:db8:2::/64", group_to(&on_b, 1));
	for (size_t i = 0; i < n; i++)
		route_set(says[i], group_to(strchr(says[i], ':') ? &a6 : &a, 1));
	know_locals();
}

/* Each by which the kernel goes another way than ours would: told, given to the kernel, and taken back when it is over. */
START_TEST(doubt_is_the_kernels)
{
	static const char *const zebra[] = {"0.0.0.0/0",       "::/0",	       "192.0.2.0/24",
					    "192.0.3.0/24",    "192.0.4.0/24", "192.0.5.0/24",
					    "2001:db8:70::/48"};
	static const struct {
		const char *name, *begin, *end, *prefix, *address;
		uint32_t kinds;
		int oddity;
	} cases[] = {
		{"local", "ip route add local 203.0.113.0/24 dev lo",
		 "ip route del local 203.0.113.0/24 dev lo", "203.0.113.0/24", "203.0.113.7",
		 1u << AUDIT_KERNEL_UNKNOWN, -1},
		{"local over zebra's", "ip route add local 192.0.2.0/24 dev lo",
		 "ip route del local 192.0.2.0/24 dev lo", "192.0.2.0/24", "192.0.2.7",
		 1u << AUDIT_KERNEL_NEXTHOPS, -1},
		{"throw", "ip route add throw 203.0.113.0/24", "ip route del throw 203.0.113.0/24",
		 "203.0.113.0/24", "203.0.113.7", 1u << AUDIT_KERNEL_UNKNOWN, ODDITY_TYPES},
		{"unreachable", "ip route add unreachable 203.0.113.0/24",
		 "ip route del unreachable 203.0.113.0/24", "203.0.113.0/24", "203.0.113.7",
		 1u << AUDIT_KERNEL_UNKNOWN, -1},
		{"anycast", "ip route add anycast 2001:db8:cb::1 dev y0",
		 "ip route del anycast 2001:db8:cb::1 dev y0", "2001:db8:cb::1/128",
		 "2001:db8:cb::1", 1u << AUDIT_KERNEL_UNKNOWN, -1},
		{"tos", "ip route add 192.0.3.0/24 tos 0x10 via 10.0.2.2",
		 "ip route del 192.0.3.0/24 tos 0x10", "192.0.3.0/24", "192.0.3.7",
		 1u << AUDIT_KERNEL_MORE, ODDITY_TOS},
		{"source", "ip route add 2001:db8:70::/48 from 2001:db8:5::/48 via 2001:db8:2::2",
		 "ip route del 2001:db8:70::/48 from 2001:db8:5::/48", "2001:db8:70::/48",
		 "2001:db8:70::7", 1u << AUDIT_KERNEL_MORE, ODDITY_SOURCE},
		{"encap",
		 "ip route add 203.0.113.0/24 encap ip6 dst 2001:db8:2::2 via 10.0.2.2 dev y0",
		 "ip route del 203.0.113.0/24", "203.0.113.0/24", "203.0.113.7",
		 1u << AUDIT_KERNEL_UNKNOWN, ODDITY_ENCAPSULATION},
		{"metric", "ip route add 192.0.4.0/24 metric 5 via 10.0.2.2",
		 "ip route del 192.0.4.0/24 metric 5", "192.0.4.0/24", "192.0.4.7",
		 1u << AUDIT_KERNEL_NEXTHOPS, -1},
		{"one metric", "ip route append 2001:db8:1::/64 dev y0 metric 256 proto kernel",
		 "ip route del 2001:db8:1::/64 dev y0", "2001:db8:1::/64", "2001:db8:1::7",
		 1u << AUDIT_KERNEL_MORE, ODDITY_METRICS},
		{"deleted", "ip route del 192.0.5.0/24",
		 "ip route add 192.0.5.0/24 via 10.0.1.2 metric 20", "192.0.5.0/24", "192.0.5.7",
		 1u << AUDIT_KERNEL_MISSING, -1},
	};
	struct worker *worker = worker_start(end, passed);

	memset(&last_run, 0, sizeof(last_run));
	memset(&moved, 0, sizeof(moved));
	run("ip route add default via 10.0.1.2 metric 20 && ip route add default via 2001:db8:1::2 metric 20 && "
	    "for i in 2 3 4 5; do ip route add 192.0.$i.0/24 via 10.0.1.2 metric 20; done && "
	    "ip route add 2001:db8:70::/48 via 2001:db8:1::2 metric 20");
	ours_has(zebra, sizeof(zebra) / sizeof(zebra[0]));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint32_t before = lookup(cases[i].address);

		ck_assert_msg(before >= FIB_GROUP_FIRST, "%s", cases[i].name);
		run_all(worker, zebra, sizeof(zebra) / sizeof(zebra[0]));
		ck_assert_uint_eq(last_run.differing, 0);
		ck_assert_uint_eq(last_run.sent_to_kernel, 0);
		run(cases[i].begin);
		for (int again = 0; again < 2; again++) {
			run_all(worker, zebra, sizeof(zebra) / sizeof(zebra[0]));
			ck_assert_msg(differs(cases[i].prefix) == cases[i].kinds, "%s: %x",
				      cases[i].name, differs(cases[i].prefix));
			ck_assert_uint_eq(last_run.differing, 1);
			ck_assert_uint_eq(last_run.sent_to_kernel, 1);
			ck_assert_msg(lookup(cases[i].address) == FIB_GROUP_KERNEL, "%s",
				      cases[i].name);
			for (int k = 0; k < ODDITY_MAX; k++)
				ck_assert_msg(last_run.by_oddity[k] == (k == cases[i].oddity),
					      "%s: %d", cases[i].name, k);
		}
		run(cases[i].end);
		run_all(worker, zebra, sizeof(zebra) / sizeof(zebra[0]));
		ck_assert_msg(last_run.differing == 0, "%s", cases[i].name);
		ck_assert_uint_eq(last_run.sent_to_kernel, 0);
		ck_assert_msg(lookup(cases[i].address) == before, "%s", cases[i].name);
	}
	worker_stop(worker);
	snapshot_fini(&last_run.snapshot);
}
END_TEST

/* Differences of ours are the kernel's as well until they are set right; fewer next hops are no reason. */
START_TEST(doubt_about_ours)
{
	static const char *const zebra[] = {"0.0.0.0/0", "192.0.2.0/24", "192.0.3.0/24"};
	struct fib_member b = via(link_b, AF_INET, ADDRESS_B, 1);
	struct worker *worker = worker_start(end, passed);
	uint32_t right;

	memset(&last_run, 0, sizeof(last_run));
	memset(&moved, 0, sizeof(moved));
	run("for i in 0.0.0.0/0 192.0.2.0/24 192.0.3.0/24; do ip route add $i via 10.0.1.2; done");
	ours_has(zebra, 3);
	right = lookup("192.0.3.7");
	route_del("192.0.2.0/24");
	route_set("192.0.3.0/24", group_to(&b, 1));
	route_set("192.0.4.0/24", group_to(&b, 1));
	run_all(worker, zebra, 3);
	ck_assert_uint_eq(differs("192.0.2.0/24"), 1u << AUDIT_MISSING);
	ck_assert_uint_eq(differs("192.0.3.0/24"), 1u << AUDIT_NEXTHOPS);
	ck_assert_uint_eq(differs("192.0.4.0/24"), 1u << AUDIT_LEFTOVER);
	ck_assert_uint_eq(last_run.sent_to_kernel, 3);
	ck_assert_uint_eq(lookup("192.0.2.7"), FIB_GROUP_KERNEL);
	ck_assert_uint_eq(lookup("192.0.3.7"), FIB_GROUP_KERNEL);
	ck_assert_uint_eq(lookup("192.0.4.7"), FIB_GROUP_KERNEL);
	/* as clear does */
	route_set("192.0.2.0/24", right);
	route_set("192.0.3.0/24", right);
	route_del("192.0.4.0/24");
	run_all(worker, zebra, 3);
	ck_assert_uint_eq(last_run.differing, 0);
	ck_assert_uint_eq(last_run.sent_to_kernel, 0);
	ck_assert_uint_eq(lookup("192.0.2.7"), right);
	ck_assert_uint_eq(lookup("192.0.3.7"), right);
	worker_stop(worker);
	snapshot_fini(&last_run.snapshot);
}
END_TEST

/* What links/ leaves to the kernel already is no difference. */
START_TEST(laid_over_by_links)
{
	static const char *const zebra[] = {"0.0.0.0/0", "192.0.2.0/24"};
	struct worker *worker = worker_start(end, passed);
	struct fib_prefix longer = prefix_of("203.0.113.0/24"), same = prefix_of("192.0.2.0/24");

	memset(&last_run, 0, sizeof(last_run));
	memset(&moved, 0, sizeof(moved));
	run("for i in 0.0.0.0/0 192.0.2.0/24; do ip route add $i via 10.0.1.2 metric 20; done && "
	    "ip route add throw 203.0.113.0/24 && ip route add 192.0.2.0/24 tos 0x10 via 10.0.2.2 && "
	    /* this one lies within a prefix that is the kernel's */
	    "ip route add 203.0.113.128/25 via 10.0.2.2");
	ours_has(zebra, 2);
	ck_assert_int_eq(fib_kernel_set(fib, &longer, 0), 0);
	ck_assert_int_eq(fib_kernel_set(fib, &same, 0), 0);
	run_all(worker, zebra, 2);
	ck_assert_uint_eq(last_run.differing, 0);
	ck_assert_uint_eq(last_run.sent_to_kernel, 0);
	ck_assert_uint_eq(last_run.left_to_kernel, 3);
	ck_assert_uint_eq(last_run.by_oddity[ODDITY_TYPES], 1);
	ck_assert_uint_eq(last_run.by_oddity[ODDITY_TOS], 1);
	/* then links/ no longer says so: the audit does */
	ck_assert_int_eq(fib_kernel_del(fib, &longer), 0);
	run_all(worker, zebra, 2);
	ck_assert_uint_eq(last_run.differing, 2);
	ck_assert_uint_eq(last_run.sent_to_kernel, 2);
	run_all(worker, zebra, 2);
	ck_assert_uint_eq(last_run.sent_to_kernel, 2);
	ck_assert_uint_eq(lookup("203.0.113.200"), FIB_GROUP_KERNEL);
	/* and does so no longer when links/ says it again */
	ck_assert_int_eq(fib_kernel_set(fib, &longer, 0), 0);
	run_all(worker, zebra, 2);
	ck_assert_uint_eq(last_run.differing, 0);
	ck_assert_uint_eq(last_run.sent_to_kernel, 0);
	ck_assert_uint_eq(lookup("203.0.113.200"), FIB_GROUP_KERNEL);
	worker_stop(worker);
	snapshot_fini(&last_run.snapshot);
}
END_TEST

/* It is ended at once, whatever it does. */
START_TEST(stopped_in_between)
{
	struct run whole = {.fib = fib, .slow = true};
	struct worker *worker = worker_start(end, passed);

	ck_assert_int_eq(snapshot_init(&whole.snapshot), 0);
	worker_give(worker, &whole, PASS_ALL);
	worker_stop(worker);
	snapshot_fini(&whole.snapshot);
}
END_TEST

TCase *sources_case(void)
{
	TCase *tcase = tcase_create("sources");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 30);
	tcase_add_test(tcase, kernel_routes);
	tcase_add_test(tcase, kernel_routes6);
	tcase_add_test(tcase, kernel_has_more);
	tcase_add_test(tcase, kernel_has_more6);
	tcase_add_test(tcase, kernel_without_carrier);
	tcase_add_test(tcase, kernel_local_table);
	tcase_add_test(tcase, kernel_other_tables);
	tcase_add_test(tcase, kernel_says_only_ids);
	tcase_add_test(tcase, ours_is_read);
	tcase_add_test(tcase, damage_is_found_and_mended);
	tcase_add_test(tcase, damaged_groups);
	tcase_add_test(tcase, a_run);
	tcase_add_test(tcase, doubt_is_the_kernels);
	tcase_add_test(tcase, doubt_about_ours);
	tcase_add_test(tcase, laid_over_by_links);
	tcase_add_test(tcase, stopped_in_between);
	return tcase;
}
