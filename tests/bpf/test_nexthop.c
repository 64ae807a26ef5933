// SPDX-License-Identifier: GPL-2.0-or-later
/* What a route, its next hop and the interfaces decide about a packet that may be forwarded. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/bpf/fixture.h"

static struct frame packet4, packet6;

/* Both families by one next hop. */
static struct hop everything_by(const char *gate, uint8_t action, uint16_t mtu)
{
	struct hop hop = hop_new(gate, action, mtu);

	route("0.0.0.0/0", hop.group);
	route("::/0", hop.group);
	return hop;
}

static void expect_both(const char *what, enum fib_counter counter, uint32_t nexthop)
{
	char text[128];

	FRAME4(&packet4, .payload = 33);
	snprintf(text, sizeof(text), "%s, IPv4", what);
	expect(text, &packet4, counter, nexthop);
	FRAME6(&packet6, .payload = 33);
	snprintf(text, sizeof(text), "%s, IPv6", what);
	expect(text, &packet6, counter, nexthop);
}

/* ---- routes ---- */

START_TEST(no_route)
{
	expect_both("empty tables", FIB_CNT_KERNEL_NO_ROUTE, NO_NEXTHOP);
}
END_TEST

START_TEST(verdicts)
{
	static const struct {
		const char *what;
		uint32_t group;
		enum fib_counter counter;
	} cases[] = {
		{"no route", FIB_GROUP_NO_ROUTE, FIB_CNT_KERNEL_NO_ROUTE},
		{"local", FIB_GROUP_LOCAL, FIB_CNT_KERNEL_LOCAL},
		{"reject", FIB_GROUP_REJECT, FIB_CNT_KERNEL_REJECT},
		{"unsupported", FIB_GROUP_UNSUPPORTED, FIB_CNT_KERNEL_UNSUPPORTED},
		{"overflow", FIB_GROUP_OVERFLOW, FIB_CNT_KERNEL_OVERFLOW},
		{"blackhole", FIB_GROUP_BLACKHOLE, FIB_CNT_DROP_BLACKHOLE},
		{"kernel's own", FIB_GROUP_KERNEL, FIB_CNT_KERNEL_OWN_ROUTE},
	};
	static const char *const prefixes[][2] = {
		{"0.0.0.0/0", "::/0"},
		{"10.2.0.0/16", "2001:db8:2::/48"},
		{"10.2.2.0/24", "2001:db8:2::/64"},
		{"10.2.2.2/32", "2001:db8:2::2/128"},
	};

	for (size_t p = 0; p < sizeof(prefixes) / sizeof(prefixes[0]); p++) {
		for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
			route(prefixes[p][0], cases[i].group);
			route(prefixes[p][1], cases[i].group);
			expect_both(cases[i].what, cases[i].counter, NO_NEXTHOP);
		}
	}
}
END_TEST

/* Ids that the program knows no meaning of, as a defect of ours would write them. */
START_TEST(unknown_group)
{
	struct fib_memory memory;

	datapath_memory(bed.datapath, &memory);
	for (uint32_t group = FIB_GROUP_KERNEL + 1; group < FIB_GROUP_FIRST; group++) {
		memory.header->table[0].v4_default = memory.header->table[0].v6_default = group;
		expect_both("unknown verdict", FIB_CNT_KERNEL_INTERNAL, NO_NEXTHOP);
	}
	memory.header->table[0].v4_default = memory.header->table[0].v6_default = FIB_MAX_GROUPS;
	expect_both("group out of range", FIB_CNT_KERNEL_INTERNAL, NO_NEXTHOP);
	memory.header->table[0].v4_default = memory.header->table[0].v6_default = 0;
	expect_both("no default at all", FIB_CNT_KERNEL_INTERNAL, NO_NEXTHOP);
}
END_TEST

START_TEST(local_address)
{
	struct hop hop = everything_by("192.0.2.1", FIB_NH_REWRITE, 1500);
	const struct fib_prefix own4 = prefix_of("10.2.2.2/32");
	const struct fib_prefix own6 = prefix_of("2001:db8:2::2/128");

	fib_local_add(bed.fib, 0, AF_INET, own4.addr);
	fib_local_add(bed.fib, 0, AF_INET6, own6.addr);
	expect_both("own address", FIB_CNT_KERNEL_LOCAL, NO_NEXTHOP);
	fib_local_del(bed.fib, 0, AF_INET, own4.addr);
	fib_local_del(bed.fib, 0, AF_INET6, own6.addr);
	expect_both("no longer", FIB_CNT_FORWARDED, hop.nexthop);
}
END_TEST

START_TEST(group_without_members)
{
	struct hop hop = everything_by("192.0.2.1", FIB_NH_REWRITE, 1500);

	ck_assert_int_eq(fib_group_set(bed.fib, &hop.group, NULL, 0), 0);
	expect_both("no members", FIB_CNT_KERNEL_OVERFLOW, NO_NEXTHOP);
}
END_TEST

/* ---- next hops ---- */

START_TEST(action_of_next_hop)
{
	static const struct {
		const char *gate;
		uint8_t action;
		enum fib_counter counter;
	} cases[] = {
		{"192.0.2.1", FIB_NH_REWRITE, FIB_CNT_FORWARDED},
		{"2001:db8::1", FIB_NH_REWRITE, FIB_CNT_FORWARDED},
		{"fe80::1", FIB_NH_REWRITE, FIB_CNT_FORWARDED},
		{"192.0.2.2", FIB_NH_RESOLVE, FIB_CNT_FORWARDED_NEIGH},
		{"2001:db8::2", FIB_NH_RESOLVE, FIB_CNT_FORWARDED_NEIGH},
		{"192.0.2.3", FIB_NH_KERNEL, FIB_CNT_KERNEL_NEXTHOP},
		{"2001:db8::3", FIB_NH_KERNEL, FIB_CNT_KERNEL_NEXTHOP},
		{"", FIB_NH_CONNECTED, FIB_CNT_KERNEL_NEIGHBOUR},
		{"192.0.2.4", FIB_NH_DEVICE, FIB_CNT_FORWARDED},
		{"", FIB_NH_DEVICE, FIB_CNT_FORWARDED},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct hop hop = everything_by(cases[i].gate, cases[i].action, 1500);

		expect_both(cases[i].gate, cases[i].counter, hop.nexthop);
	}
}
END_TEST

START_TEST(new_next_hop_is_the_kernels)
{
	struct fib_member member = {.nexthop = {.ifindex = bed.out, .family = AF_INET}};
	uint32_t group = 0;

	ck_assert_int_eq(fib_group_set(bed.fib, &group, &member, 1), 0);
	route("0.0.0.0/0", group);
	route("::/0", group);
	expect_both("nothing known yet", FIB_CNT_KERNEL_NEXTHOP, NO_NEXTHOP);
}
END_TEST

START_TEST(action_unknown)
{
	struct hop hop = everything_by("192.0.2.1", FIB_NH_REWRITE, 1500);
	struct fib_memory memory;

	datapath_memory(bed.datapath, &memory);
	memory.nexthop[hop.nexthop].dst |= 0xffull << 48;
	expect_both("unknown action", FIB_CNT_KERNEL_NEXTHOP, NO_NEXTHOP);
}
END_TEST

/* A next hop alone in its group is used even while it is down: as its own action says. */
START_TEST(down_alone)
{
	struct hop hop = everything_by("192.0.2.1", FIB_NH_REWRITE, 1500);

	hop_publish(&hop, FIB_NH_KERNEL, 1500, true);
	expect_both("down", FIB_CNT_KERNEL_NEXTHOP, NO_NEXTHOP);
	hop_publish(&hop, FIB_NH_REWRITE, 1500, false);
	expect_both("up again", FIB_CNT_FORWARDED, hop.nexthop);
}
END_TEST

START_TEST(same_interface)
{
	static const uint8_t actions[] = {FIB_NH_REWRITE, FIB_NH_RESOLVE, FIB_NH_DEVICE};
	struct hop hop = everything_by("192.0.2.1", FIB_NH_REWRITE, 1500);

	ck_assert_int_eq(datapath_interface_set(bed.datapath, bed.out, 0, true, true, 0), 0);
	for (size_t i = 0; i < sizeof(actions); i++) {
		hop_publish(&hop, actions[i], 1500, false);
		FRAME4(&packet4, .mac = bed.out_mac);
		expect_at(bed.out, "back, IPv4", &packet4, FIB_CNT_KERNEL_SAME_INTERFACE,
			  NO_NEXTHOP);
		FRAME6(&packet6, .mac = bed.out_mac);
		expect_at(bed.out, "back, IPv6", &packet6, FIB_CNT_KERNEL_SAME_INTERFACE,
			  NO_NEXTHOP);
	}
}
END_TEST

/* ---- connected networks ---- */

START_TEST(connected)
{
	struct hop hop = everything_by("", FIB_NH_CONNECTED, 1500);
	const struct fib_prefix host4 = prefix_of("10.2.2.2/32");
	const struct fib_prefix host6 = prefix_of("2001:db8:2::2/128");
	struct fib_neigh_key key4 = {.ifindex = bed.out, .family = AF_INET};
	struct fib_neigh_key key6 = {.ifindex = bed.out, .family = AF_INET6};
	struct fib_neigh_key other;

	memcpy(key4.addr, host4.addr, 4);
	memcpy(key6.addr, host6.addr, 16);
	expect_both("unknown", FIB_CNT_KERNEL_NEIGHBOUR, NO_NEXTHOP);

	/* of another interface, another address, another family */
	other = key4;
	other.ifindex = bed.in;
	ck_assert_int_eq(datapath_neighbour_set(bed.datapath, &other), 0);
	expect_both("other interface", FIB_CNT_KERNEL_NEIGHBOUR, NO_NEXTHOP);
	datapath_neighbour_del(bed.datapath, &other);
	other = key4;
	other.family = AF_INET6;
	ck_assert_int_eq(datapath_neighbour_set(bed.datapath, &other), 0);
	expect_both("other family", FIB_CNT_KERNEL_NEIGHBOUR, NO_NEXTHOP);
	datapath_neighbour_del(bed.datapath, &other);
	other = key4;
	other.addr[3]++;
	ck_assert_int_eq(datapath_neighbour_set(bed.datapath, &other), 0);
	other = key6;
	other.addr[15]++;
	ck_assert_int_eq(datapath_neighbour_set(bed.datapath, &other), 0);
	expect_both("other host", FIB_CNT_KERNEL_NEIGHBOUR, NO_NEXTHOP);

	ck_assert_int_eq(datapath_neighbour_set(bed.datapath, &key4), 0);
	FRAME4(&packet4, .payload = 10);
	FRAME6(&packet6, .payload = 10);
	expect("known, IPv4", &packet4, FIB_CNT_FORWARDED_NEIGH, hop.nexthop);
	expect("IPv6 not yet", &packet6, FIB_CNT_KERNEL_NEIGHBOUR, NO_NEXTHOP);
	ck_assert_int_eq(datapath_neighbour_set(bed.datapath, &key6), 0);
	expect_both("known", FIB_CNT_FORWARDED_NEIGH, hop.nexthop);

	/* once more is no error, and gone is gone */
	ck_assert_int_eq(datapath_neighbour_set(bed.datapath, &key6), 0);
	ck_assert_int_eq(datapath_neighbour_del(bed.datapath, &key4), 0);
	ck_assert_int_eq(datapath_neighbour_del(bed.datapath, &key6), 0);
	ck_assert_int_eq(datapath_neighbour_del(bed.datapath, &key6), 0);
	expect_both("forgotten", FIB_CNT_KERNEL_NEIGHBOUR, NO_NEXTHOP);
}
END_TEST

/* ---- size ---- */

START_TEST(mtu_to_the_byte)
{
	static const uint8_t actions[] = {FIB_NH_REWRITE, FIB_NH_DEVICE, FIB_NH_RESOLVE};
	struct hop hop = everything_by("192.0.2.1", FIB_NH_REWRITE, 1500);

	for (uint16_t mtu = 1300; mtu <= 1500; mtu += 100) {
		for (size_t i = 0; i < sizeof(actions); i++) {
			enum fib_counter sent = actions[i] == FIB_NH_RESOLVE
							? FIB_CNT_FORWARDED_NEIGH
							: FIB_CNT_FORWARDED;

			hop_publish(&hop, actions[i], mtu, false);
			for (int more = -1; more <= 1; more++) {
				enum fib_counter counter = more > 0 ? FIB_CNT_KERNEL_MTU : sent;

				FRAME4(&packet4, .payload = mtu - 28 + more);
				expect("MTU, IPv4", &packet4, counter, hop.nexthop);
				FRAME4(&packet4, .payload = mtu - 28 + more, .fragment = 0x4000);
				expect("MTU, DF", &packet4, counter, hop.nexthop);
				FRAME6(&packet6, .payload = mtu - 48 + more);
				expect("MTU, IPv6", &packet6, counter, hop.nexthop);
			}
		}
	}
	/* what stands behind the packet in its frame is not sent along, and does not count */
	for (size_t len = 129; len <= 2000; len += 1371) {
		FRAME4(&packet4, .payload = 100);
		packet4.len = ETHER_LEN + len;
		expect("trailer, IPv4", &packet4, FIB_CNT_FORWARDED_NEIGH, hop.nexthop);
		FRAME6(&packet6, .payload = 80);
		packet6.len = ETHER_LEN + len;
		expect("trailer, IPv6", &packet6, FIB_CNT_FORWARDED_NEIGH, hop.nexthop);
	}
}
END_TEST

/* Of what is to be sent as segments nothing can be cut off here. */
START_TEST(gso_with_a_trailer)
{
	everything_by("192.0.2.1", FIB_NH_REWRITE, 1500);
	FRAME4(&packet4, .payload = 2000, .protocol = IPPROTO_TCP);
	packet4.gso_size = 500;
	packet4.len++;
	expect("GSO, IPv4", &packet4, FIB_CNT_KERNEL_MALFORMED, NO_NEXTHOP);
	FRAME6(&packet6, .payload = 2000, .protocol = IPPROTO_TCP);
	packet6.gso_size = 500;
	packet6.len++;
	expect("GSO, IPv6", &packet6, FIB_CNT_KERNEL_MALFORMED, NO_NEXTHOP);
}
END_TEST

START_TEST(mtu_of_nothing_and_all)
{
	struct hop hop = everything_by("192.0.2.1", FIB_NH_REWRITE, 0);

	expect_both("MTU of 0", FIB_CNT_KERNEL_MTU, NO_NEXTHOP);
	hop_publish(&hop, FIB_NH_REWRITE, 65535, false);
	FRAME4(&packet4, .payload = 2900);
	expect("jumbo frame", &packet4, FIB_CNT_FORWARDED, hop.nexthop);
}
END_TEST

/* Judged by the segments: header of layer 3, header of layer 4 and gso_size, to the byte. */
START_TEST(gso)
{
	static const struct {
		const char *what;
		uint8_t protocol;
		int tcp_words; /* 0: no TCP */
	} cases[] = {
		{"TCP", IPPROTO_TCP, 5},
		{"TCP with timestamps", IPPROTO_TCP, 8},
		{"TCP, all options", IPPROTO_TCP, 15},
		{"UDP", IPPROTO_UDP, 0},
	};
	struct hop hop = everything_by("192.0.2.1", FIB_NH_REWRITE, 1500);

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint32_t header = cases[i].tcp_words ? cases[i].tcp_words * 4 : 8;

		for (int more = -1; more <= 1; more++) {
			enum fib_counter counter =
				more > 0 ? FIB_CNT_KERNEL_MTU : FIB_CNT_FORWARDED;

			FRAME4(&packet4, .protocol = cases[i].protocol, .payload = 2800);
			FRAME6(&packet6, .protocol = cases[i].protocol, .payload = 2800);
			if (cases[i].tcp_words) {
				packet4.data[ETHER_LEN + 20 + 12] = cases[i].tcp_words << 4;
				packet6.data[ETHER_LEN + 40 + 12] = cases[i].tcp_words << 4;
			}
			packet4.gso_size = 1500 - 20 - header + more;
			packet6.gso_size = 1500 - 40 - header + more;
			expect(cases[i].what, &packet4, counter, hop.nexthop);
			expect(cases[i].what, &packet6, counter, hop.nexthop);
		}
	}
}
END_TEST

START_TEST(gso_unknown)
{
	static const uint8_t protocols[] = {IPPROTO_SCTP, IPPROTO_GRE, IPPROTO_IPIP, 253};
	struct hop hop = everything_by("192.0.2.1", FIB_NH_REWRITE, 1500);

	for (size_t i = 0; i < sizeof(protocols); i++) {
		FRAME4(&packet4, .protocol = protocols[i], .payload = 2800);
		packet4.gso_size = 500;
		expect("unknown protocol, IPv4", &packet4, FIB_CNT_KERNEL_MTU, NO_NEXTHOP);
		FRAME6(&packet6, .protocol = protocols[i], .payload = 2800);
		packet6.gso_size = 500;
		expect("unknown protocol, IPv6", &packet6, FIB_CNT_KERNEL_MTU, NO_NEXTHOP);
	}
	FRAME4(&packet4, .fragment = 0x2000, .payload = 2800);
	packet4.gso_size = 500;
	expect("fragment", &packet4, FIB_CNT_KERNEL_MTU, NO_NEXTHOP);
	/* what fits as it is needs no segments */
	FRAME4(&packet4, .protocol = IPPROTO_GRE, .payload = 1000);
	packet4.gso_size = 500;
	expect("small", &packet4, FIB_CNT_FORWARDED, hop.nexthop);
}
END_TEST

/* ---- the queue on the way out ---- */

/* The kernel's word on it: what it makes of a socket's TOS. */
static uint32_t kernels_priority(int fd, int tos)
{
	int priority = -1;
	socklen_t len = sizeof(priority);

	ck_assert_int_eq(setsockopt(fd, IPPROTO_IP, IP_TOS, &tos, sizeof(tos)), 0);
	ck_assert_int_eq(getsockopt(fd, SOL_SOCKET, SO_PRIORITY, &priority, &len), 0);
	return priority;
}

START_TEST(priority_of_tos)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct result result;
	uint32_t wanted;

	everything_by("192.0.2.1", FIB_NH_REWRITE, 1500);
	for (int tos = 255; tos >= 0; tos--) {
		wanted = kernels_priority(fd, tos);
		FRAME4(&packet4, .payload = 9);
		packet4.data[ETHER_LEN + 1] = tos;
		frame_checksum4(&packet4);
		run_at(bed.in, &packet4, &result);
		ck_assert_int_eq(result.counter, FIB_CNT_FORWARDED);
		ck_assert_msg(result.priority == wanted, "TOS %#x: %u, not %u", tos,
			      result.priority, wanted);
	}
	/* not what is the kernel's, and not IPv6 */
	FRAME4(&packet4, .ttl = 1);
	packet4.data[ETHER_LEN + 1] = 0x10;
	frame_checksum4(&packet4);
	run_at(bed.in, &packet4, &result);
	ck_assert_uint_eq(result.priority, 0);
	FRAME6(&packet6, .payload = 9);
	packet6.data[ETHER_LEN] = 0x61;
	run_at(bed.in, &packet6, &result);
	ck_assert_uint_eq(result.priority, 0);
	close(fd);
}
END_TEST

/* ---- the interface it came in by ---- */

START_TEST(interface_flags)
{
	struct hop hop = everything_by("192.0.2.1", FIB_NH_REWRITE, 1500);

	FRAME4(&packet4, .payload = 5);
	FRAME6(&packet6, .payload = 5);
	for (int flags = 0; flags < 4; flags++) {
		bool v4 = flags & 1, v6 = flags & 2;

		ck_assert_int_eq(datapath_interface_set(bed.datapath, bed.in, 0, v4, v6, 0), 0);
		expect("IPv4", &packet4, v4 ? FIB_CNT_FORWARDED : FIB_CNT_KERNEL_INTERFACE,
		       hop.nexthop);
		expect("IPv6", &packet6, v6 ? FIB_CNT_FORWARDED : FIB_CNT_KERNEL_INTERFACE,
		       hop.nexthop);
	}
	/* "out" was never told */
	memcpy(packet4.data, bed.out_mac, 6);
	memcpy(packet6.data, bed.out_mac, 6);
	expect_at(bed.out, "IPv4", &packet4, FIB_CNT_KERNEL_INTERFACE, NO_NEXTHOP);
	expect_at(bed.out, "IPv6", &packet6, FIB_CNT_KERNEL_INTERFACE, NO_NEXTHOP);
}
END_TEST

/* Entries are shared by what is equal modulo FIB_MAX_INTERFACES: nobody gets another's flags. */
START_TEST(interface_collision)
{
	uint32_t twin = bed.in + FIB_MAX_INTERFACES;

	everything_by("192.0.2.1", FIB_NH_REWRITE, 1500);
	ck_assert_int_eq(datapath_interface_set(bed.datapath, twin, 0, true, false, 0), -ENOSPC);
	expect_both("refused twin", FIB_CNT_FORWARDED,
		    nexthop_number(&(struct fib_nexthop_key){
			    .ifindex = bed.out, .family = AF_INET, .gate = {192, 0, 2, 1}}));
	/* taking nothing away from another's entry */
	ck_assert_int_eq(datapath_interface_set(bed.datapath, twin, 0, false, false, 0), 0);
	FRAME4(&packet4, .payload = 5);
	expect("still ours", &packet4, FIB_CNT_FORWARDED, 1);
	ck_assert_int_eq(datapath_interface_set(bed.datapath, bed.in, 0, false, false, 0), 0);
	ck_assert_int_eq(datapath_interface_set(bed.datapath, twin, 0, true, true, 0), 0);
	expect_both("twin's entry", FIB_CNT_KERNEL_INTERFACE, NO_NEXTHOP);
}
END_TEST

TCase *nexthop_tests(void)
{
	TCase *tcase = tcase_create("nexthop");

	tcase_add_checked_fixture(tcase, bed_setup, bed_teardown);
	tcase_add_test(tcase, no_route);
	tcase_add_test(tcase, verdicts);
	tcase_add_test(tcase, unknown_group);
	tcase_add_test(tcase, local_address);
	tcase_add_test(tcase, group_without_members);
	tcase_add_test(tcase, action_of_next_hop);
	tcase_add_test(tcase, new_next_hop_is_the_kernels);
	tcase_add_test(tcase, action_unknown);
	tcase_add_test(tcase, down_alone);
	tcase_add_test(tcase, same_interface);
	tcase_add_test(tcase, connected);
	tcase_add_test(tcase, mtu_to_the_byte);
	tcase_add_test(tcase, mtu_of_nothing_and_all);
	tcase_add_test(tcase, gso);
	tcase_add_test(tcase, gso_unknown);
	tcase_add_test(tcase, gso_with_a_trailer);
	tcase_add_test(tcase, priority_of_tos);
	tcase_add_test(tcase, interface_flags);
	tcase_add_test(tcase, interface_collision);
	return tcase;
}
