// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The kernel's own routes, made with ip(8) in a network namespace of the test's own: what is laid over zebra's, and when. The FIB
 * has zebra's part written by hand, as the provider would.
 */
#include <arpa/inet.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dplane_ebpf/links/links_internal.h"
#include "tests/links/test_links.h"

#define DEADLINE_MS 10000
#define HOST4 "203.0.113.7"
#define HOST6 "2001:db8:cb::7"

static const struct fib_geometry geometry = {
	.node_bytes = 1u << 20,
	.v4_low_blocks = 1024,
	.groups = 1024,
	.slots = 4096,
	.nexthops = 256,
	.neighbours = 64,
	.cpus = 1,
};

static struct fib_memory memory;
static struct fib *fib;
static struct route_watch *watch;
static atomic_bool local_wide;
static atomic_uint dropped;
static uint32_t by_default; /* the group of zebra's default routes */

static void run(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void run(const char *format, ...)
{
	char command[512];
	va_list args;

	va_start(args, format);
	vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	ck_assert_msg(system(command) == 0, "failed: %s", command);
}

#define wait_for(condition) \
	do { \
		uint64_t deadline_ = links_now() + DEADLINE_MS; \
		while (!(condition)) { \
			ck_assert_msg(links_now() < deadline_, "in vain: %s", #condition); \
			usleep(1000); \
		} \
	} while (0)

static struct fib_prefix prefix_of(const char *text)
{
	struct fib_prefix prefix = {.family = strchr(text, ':') ? AF_INET6 : AF_INET};
	char address[64];
	int len;

	ck_assert_int_eq(sscanf(text, "%63[^/]/%d", address, &len), 2);
	ck_assert_int_eq(inet_pton(prefix.family, address, prefix.addr), 1);
	prefix.len = (uint8_t)len;
	return prefix;
}

static uint32_t lookup_in(uint16_t table, const char *host)
{
	int family = strchr(host, ':') ? AF_INET6 : AF_INET;
	uint8_t addr[16] = {0};

	ck_assert_int_eq(inet_pton(family, host, addr), 1);
	return fib_lookup(fib, table, family, addr);
}

static uint32_t lookup(const char *host)
{
	return lookup_in(0, host);
}

/* A group by a gateway; NULL: of hosts on the link itself. */
static uint32_t group_by(const char *interface, const char *gate)
{
	struct fib_member member = {.nexthop.ifindex = if_nametoindex(interface)};
	uint32_t group = 0;

	if (gate) {
		member.nexthop.family = strchr(gate, ':') ? AF_INET6 : AF_INET;
		inet_pton(member.nexthop.family, gate, member.nexthop.gate);
	}
	ck_assert_int_eq(fib_group_set(fib, &group, &member, 1), 0);
	return group;
}

static void zebra_has(const char *text, uint32_t group)
{
	struct fib_prefix prefix = prefix_of(text);

	ck_assert_int_eq(fib_route_set(fib, &prefix, group), 0);
}

static void zebra_reads(const char *text, uint32_t group)
{
	struct fib_prefix prefix = prefix_of(text);

	ck_assert_int_eq(fib_route_read(fib, &prefix, group), 0);
}

static void is_dropped(void)
{
	dropped++;
}

static uint64_t readings(void)
{
	struct route_watch_stats stats;

	route_watch_stats(watch, &stats);
	return stats.readings;
}

static void setup(void)
{
	char error[256] = "";

	ck_assert_int_eq(unshare(CLONE_NEWNET), 0);
	run("ip link set dev lo up");
	for (char c = 'x'; c <= 'y'; c++) {
		run("ip link add dev %c0 type veth peer name %c1 && ip link set dev %c1 up && "
		    "ip link set dev %c0 up",
		    c, c, c, c);
		run("ip addr add 10.0.%c.1/24 dev %c0 && ip addr add 2001:db8:%c::1/64 dev %c0 nodad",
		    c == 'x' ? '1' : '2', c, c == 'x' ? '1' : '2', c);
	}
	ck_assert_int_eq(fib_memory_alloc(&memory, &geometry), 0);
	fib = fib_new(&memory, &geometry);
	ck_assert_ptr_nonnull(fib);
	by_default = group_by("x0", "10.0.1.2");
	zebra_has("0.0.0.0/0", by_default);
	zebra_has("::/0", by_default);
	watch = route_watch_open(fib, &local_wide, -1, error, sizeof(error));
	ck_assert_msg(watch != NULL, "%s", error);
	route_watch_tell(watch, is_dropped);
	ck_assert_int_eq(route_watch_start(watch), 0);
	wait_for(readings() > 0);
}

static void teardown(void)
{
	route_watch_close(watch);
	fib_free(fib);
	fib_memory_free(&memory);
}

/* Routes that zebra does not know or not as they are: each alone, beneath nothing but a default route of zebra's. */
static const char *const unknown[] = {
	"local 203.0.113.0/24 dev lo",
	"local 203.0.113.7 dev lo",
	"local 203.0.113.7 dev lo table main",
	"throw 203.0.113.0/24",
	"unreachable 203.0.113.0/24",
	"prohibit 203.0.113.0/24",
	"blackhole 203.0.113.0/24",
	"broadcast 203.0.113.7 dev y0 table main",
	"203.0.113.0/24 via 10.0.2.2",
	"203.0.113.0/24 via 10.0.2.2 tos 0x10",
	"203.0.113.0/24 via 10.0.2.2 metric 4000000000",
	"203.0.113.0/24 dev y0",
	"203.0.113.0/24 via inet6 2001:db8:2::2 dev y0",
	"203.0.113.0/24 encap ip id 7 dst 10.0.2.9 via 10.0.2.2",
	"203.0.113.0/24 nexthop via 10.0.1.2 nexthop via 10.0.2.2",
	"203.0.113.0/24 via 10.0.2.2 proto bird",
	"local 2001:db8:cb::/48 dev lo",
	"anycast 2001:db8:cb::7 dev y0",
	"throw 2001:db8:cb::/48",
	"unreachable 2001:db8:cb::/48",
	"2001:db8:cb::/48 via 2001:db8:2::2",
	"2001:db8:cb::/48 via 2001:db8:2::2 pref low",
	"2001:db8:cb::/48 via 2001:db8:2::2 expires 100",
	"2001:db8:cb::/48 from 2001:db8:1::/64 via 2001:db8:2::2",
	"2001:db8:cb::/48 encap seg6 mode encap segs 2001:db8:2::3 via 2001:db8:2::2 dev y0",
};

START_TEST(what_zebra_does_not_know)
{
	const char *route = unknown[_i], *host;
	const char *family = strchr(route, ':') && !strstr(route, "inet6") ? "-6" : "-4";
	char probe[512];

	host = family[1] == '6' ? HOST6 : HOST4;
	snprintf(probe, sizeof(probe), "ip %s route add %s 2>/dev/null", family, route);
	if (system(probe) != 0)
		return; /* this kernel has no such encapsulation */
	wait_for(lookup(host) >= 2 && lookup(host) < FIB_GROUP_FIRST);
	ck_assert(lookup(host) == FIB_GROUP_KERNEL || lookup(host) == FIB_GROUP_LOCAL);
	ck_assert_uint_eq(lookup("198.51.100.1"), by_default);
	ck_assert_uint_eq(lookup("2001:db8:51::1"), by_default);
	run("ip %s route del %s", family, route);
	wait_for(lookup(host) == by_default);
}
END_TEST

/* What zebra writes is not the kernel's own, whatever program it is that reads it. */
START_TEST(zebras_own_are_left_alone)
{
	struct route_watch_stats before, after;

	zebra_has("203.0.113.0/24", by_default);
	route_watch_stats(watch, &before);
	run("ip route add 203.0.113.0/24 via 10.0.2.2 proto bgp && "
	    "ip route add 198.51.100.0/24 via 10.0.2.2 proto zebra");
	run("ip route add 192.0.2.0/24 via 10.0.2.2");
	wait_for(lookup("192.0.2.1") == FIB_GROUP_KERNEL);
	ck_assert_uint_eq(lookup(HOST4), by_default);
	ck_assert_uint_eq(lookup("198.51.100.1"), by_default);
	wait_for((route_watch_stats(watch, &after), after.routes == before.routes + 1));
}
END_TEST

/* A plain route that zebra has read, too: the fast path; until another one comes beside it, by what the kernel goes. */
START_TEST(as_zebra_read_it)
{
	uint32_t x = group_by("x0", "10.0.1.2"), y = group_by("y0", "10.0.2.2");

	zebra_reads("203.0.113.0/24", y);
	ck_assert_uint_eq(lookup(HOST4), FIB_GROUP_KERNEL);
	run("ip route add 203.0.113.0/24 via 10.0.2.2 metric 100");
	wait_for(lookup(HOST4) == y);
	/* a worse one changes nothing, a better one does */
	run("ip route add 203.0.113.0/24 via 10.0.1.2 metric 200");
	run("ip route add 192.0.2.0/24 via 10.0.2.2"); /* told later: then the one before was read */
	wait_for(lookup("192.0.2.1") == FIB_GROUP_KERNEL);
	ck_assert_uint_eq(lookup(HOST4), y);
	run("ip route add 203.0.113.0/24 via 10.0.1.2 metric 50");
	wait_for(lookup(HOST4) == FIB_GROUP_KERNEL);
	zebra_reads("203.0.113.0/24", x);
	ck_assert_uint_eq(lookup(HOST4), x);
	/* the same metric twice: the kernel goes by their order */
	run("ip route append 203.0.113.0/24 via 10.0.2.2 metric 50");
	wait_for(lookup(HOST4) == FIB_GROUP_KERNEL);
	run("ip route del 203.0.113.0/24 via 10.0.2.2 metric 50");
	wait_for(lookup(HOST4) == x);
	/* for some packets only */
	run("ip route add 203.0.113.0/24 via 10.0.2.2 tos 0x10");
	wait_for(lookup(HOST4) == FIB_GROUP_KERNEL);
	run("ip route del 203.0.113.0/24 via 10.0.2.2 tos 0x10");
	wait_for(lookup(HOST4) == x);
	run("ip route replace 203.0.113.0/24 via 10.0.2.2 metric 50");
	wait_for(lookup(HOST4) == FIB_GROUP_KERNEL);
	zebra_reads("203.0.113.0/24", y);
	ck_assert_uint_eq(lookup(HOST4), y);
	run("ip route flush 203.0.113.0/24");
	wait_for(lookup(HOST4) == FIB_GROUP_KERNEL);
}
END_TEST

START_TEST(ipv6_next_hops_join)
{
	struct fib_member both[] = {
		{.nexthop = {.ifindex = if_nametoindex("x0"), .family = AF_INET6}},
		{.nexthop = {.ifindex = if_nametoindex("y0"), .family = AF_INET6}},
	};
	uint32_t group = 0, one = group_by("x0", "2001:db8:1::2");

	inet_pton(AF_INET6, "2001:db8:1::2", both[0].nexthop.gate);
	inet_pton(AF_INET6, "2001:db8:2::2", both[1].nexthop.gate);
	ck_assert_int_eq(fib_group_set(fib, &group, both, 2), 0);
	run("ip -6 route add 2001:db8:cb::/48 via 2001:db8:1::2");
	zebra_reads("2001:db8:cb::/48", one);
	wait_for(lookup(HOST6) == one);
	/* one route of two next hops, says the kernel */
	run("ip -6 route append 2001:db8:cb::/48 via 2001:db8:2::2");
	wait_for(lookup(HOST6) == FIB_GROUP_KERNEL);
	zebra_reads("2001:db8:cb::/48", group);
	wait_for(lookup(HOST6) == group);
	run("ip -6 route del 2001:db8:cb::/48 via 2001:db8:2::2");
	wait_for(lookup(HOST6) == FIB_GROUP_KERNEL);
	zebra_reads("2001:db8:cb::/48", one);
	wait_for(lookup(HOST6) == one);
}
END_TEST

/* Networks of the router's own interfaces, and what the kernel takes away without a word. */
START_TEST(connected_networks)
{
	uint32_t x = group_by("x0", NULL), y = group_by("y0", NULL),
		 far = group_by("y0", "10.0.2.2");

	zebra_reads("10.0.1.0/24", x);
	zebra_reads("10.0.2.0/24", y);
	zebra_reads("2001:db8:2::/64", y);
	wait_for(lookup("10.0.1.7") == x && lookup("10.0.2.7") == y &&
		 lookup("2001:db8:2::7") == y);
	/* noprefixroute: zebra believes in a network that the kernel has no route for */
	run("ip addr add 10.7.0.1/24 dev y0 noprefixroute");
	zebra_reads("10.7.0.0/24", y);
	ck_assert_uint_eq(lookup("10.7.0.7"), FIB_GROUP_KERNEL);
	/* all addresses of a link go: its routes with them, and only they come back by themselves */
	run("ip route add 203.0.113.0/24 via 10.0.2.2");
	zebra_reads("203.0.113.0/24", far);
	wait_for(lookup(HOST4) == far);
	run("ip -4 addr flush dev y0");
	wait_for(lookup(HOST4) == FIB_GROUP_KERNEL && lookup("10.0.2.7") == FIB_GROUP_KERNEL);
	run("ip addr add 10.0.2.1/24 dev y0");
	wait_for(lookup("10.0.2.7") == y);
	ck_assert_uint_eq(lookup(HOST4), FIB_GROUP_KERNEL);
	/* no carrier: zebra takes the network out, the kernel does not */
	run("ip link set dev y1 down");
	ck_assert_int_eq(fib_route_del(fib, &(struct fib_prefix){.family = AF_INET,
								 .len = 24,
								 .addr = {10, 0, 2}}),
			 0);
	ck_assert_uint_eq(lookup("10.0.2.7"), FIB_GROUP_KERNEL);
	run("ip link set dev y0 down");
	wait_for(lookup("10.0.2.7") == by_default);
}
END_TEST

/* The same network on two links: the kernel goes by their order. */
START_TEST(one_network_twice)
{
	uint32_t x = group_by("x0", NULL);

	run("ip addr add 169.254.0.1/30 dev x0");
	zebra_reads("169.254.0.0/30", x);
	wait_for(lookup("169.254.0.2") == x);
	run("ip addr add 169.254.0.1/30 dev y0");
	wait_for(lookup("169.254.0.2") == FIB_GROUP_KERNEL);
	run("ip link set dev y0 down");
	wait_for(lookup("169.254.0.2") == x);
}
END_TEST

START_TEST(source_address_deleted)
{
	unsigned int before;

	run("ip addr add 10.99.0.1/32 dev lo");
	run("ip route add 203.0.113.0/24 via 10.0.2.2 src 10.99.0.1");
	zebra_reads("203.0.113.0/24", group_by("y0", "10.0.2.2"));
	wait_for(lookup(HOST4) >= FIB_GROUP_FIRST);
	before = dropped;
	run("ip addr del 10.99.0.1/32 dev lo");
	wait_for(lookup(HOST4) == FIB_GROUP_KERNEL);
	/* and who compares zebra's own routes with the kernel's is told */
	wait_for(dropped > before);
}
END_TEST

/* A prefix that the router itself answers for: zebra's longer ones count no more, as the local table is asked first. */
START_TEST(local_table_comes_first)
{
	zebra_has("203.0.113.0/25", by_default);
	ck_assert(!local_wide);
	run("ip route add local 203.0.113.0/24 dev lo");
	wait_for(local_wide);
	ck_assert_uint_eq(lookup("203.0.113.200"), FIB_GROUP_LOCAL);
	ck_assert_uint_eq(lookup_in(FIB_TABLE_LOCAL, HOST4), FIB_GROUP_LOCAL);
	ck_assert_uint_eq(lookup_in(FIB_TABLE_LOCAL, "10.0.1.1"), FIB_GROUP_LOCAL);
	ck_assert_uint_eq(lookup_in(FIB_TABLE_LOCAL, "10.0.1.7"), FIB_GROUP_NO_ROUTE);
	run("ip route del local 203.0.113.0/24 dev lo");
	wait_for(lookup_in(FIB_TABLE_LOCAL, HOST4) == FIB_GROUP_NO_ROUTE);
	/* from the first such route on the kernel looks at sources more closely, for good */
	ck_assert(local_wide);
	ck_assert_uint_eq(lookup("203.0.113.200"), by_default);
}
END_TEST

/* The kernel lets nobody else send from an address of a local route, whatever its table. */
START_TEST(local_in_another_table)
{
	run("ip route add local 203.0.113.0/24 dev lo table main");
	wait_for(local_wide && lookup_in(FIB_TABLE_LOCAL, HOST4) == FIB_GROUP_LOCAL);
	run("ip route add local 203.0.113.0/24 dev lo");
	run("ip route del local 203.0.113.0/24 dev lo table main");
	wait_for(lookup(HOST4) == FIB_GROUP_LOCAL);
	ck_assert_uint_eq(lookup_in(FIB_TABLE_LOCAL, HOST4), FIB_GROUP_LOCAL);
	run("ip route del local 203.0.113.0/24 dev lo");
	wait_for(lookup_in(FIB_TABLE_LOCAL, HOST4) == FIB_GROUP_NO_ROUTE &&
		 lookup(HOST4) == by_default);
}
END_TEST

START_TEST(other_tables)
{
	struct fib_prefix prefix = prefix_of("203.0.113.0/24");
	uint16_t red;

	/* nobody's: not looked at; a VRF's: its own */
	run("ip route add throw 203.0.113.0/24 table 77");
	ck_assert_int_eq(fib_table_open(fib, 10, &red), 0);
	prefix.table = red;
	prefix.len = 16;
	ck_assert_int_eq(fib_route_set(fib, &prefix, by_default), 0);
	run("ip route add throw 203.0.113.0/24 table 10");
	wait_for(lookup_in(red, HOST4) == FIB_GROUP_KERNEL);
	ck_assert_uint_eq(lookup(HOST4), by_default);
	run("ip route del throw 203.0.113.0/24 table 10");
	wait_for(lookup_in(red, HOST4) == by_default);
}
END_TEST

/* More at once than any socket takes. */
START_TEST(fifty_thousand_at_once)
{
	FILE *batch = popen("ip -batch -", "w");

	ck_assert_ptr_nonnull(batch);
	for (int i = 0; i < 50000; i++)
		fprintf(batch, "route add 100.%d.%d.%d/32 via 10.0.2.2\n", 64 + i / 65536,
			i / 256 % 256, i % 256);
	ck_assert_int_eq(pclose(batch), 0);
	for (int i = 0; i < 50000; i += 997) {
		char host[32];

		snprintf(host, sizeof(host), "100.%d.%d.%d", 64 + i / 65536, i / 256 % 256,
			 i % 256);
		wait_for(lookup(host) == FIB_GROUP_KERNEL);
	}
	run("ip link set dev y0 down");
	for (int i = 0; i < 50000; i += 997) {
		char host[32];

		snprintf(host, sizeof(host), "100.%d.%d.%d", 64 + i / 65536, i / 256 % 256,
			 i % 256);
		wait_for(lookup(host) == by_default);
	}
}
END_TEST

TCase *route_case(void)
{
	TCase *tc = tcase_create("routes");

	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, what_zebra_does_not_know, 0, sizeof(unknown) / sizeof(unknown[0]));
	tcase_add_test(tc, zebras_own_are_left_alone);
	tcase_add_test(tc, as_zebra_read_it);
	tcase_add_test(tc, ipv6_next_hops_join);
	tcase_add_test(tc, connected_networks);
	tcase_add_test(tc, one_network_twice);
	tcase_add_test(tc, source_address_deleted);
	tcase_add_test(tc, local_table_comes_first);
	tcase_add_test(tc, local_in_another_table);
	tcase_add_test(tc, other_tables);
	tcase_add_test(tc, fifty_thousand_at_once);
	return tc;
}
