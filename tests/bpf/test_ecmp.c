// SPDX-License-Identifier: GPL-2.0-or-later
/* How flows are spread over the next hops of a group, and that a flow stays where it is. */
#include <arpa/inet.h>
#include <math.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bpf/fixture.h"

#define MEMBERS 4
#define FLOWS 4000

static const uint32_t weights[MEMBERS] = {1, 2, 3, 10};
static struct fib_member members[MEMBERS];
static uint32_t group, numbers[MEMBERS];
static struct frame frame;

static void setup(void)
{
	bed_setup();
	/* groups of one slot each, so that this group's first slot is at no round number */
	for (int i = 0; i < 40; i++) {
		char gate[INET_ADDRSTRLEN];

		snprintf(gate, sizeof(gate), "192.0.2.%d", 100 + i);
		hop_new(gate, FIB_NH_REWRITE, 1500);
	}
	group = 0;
	for (int i = 0; i < MEMBERS; i++) {
		members[i] = (struct fib_member){.weight = weights[i]};
		members[i].nexthop.ifindex = bed.out;
		members[i].nexthop.family = AF_INET;
		memcpy(members[i].nexthop.gate, (const uint8_t[]){192, 0, 2, 1 + i}, 4);
	}
	ck_assert_int_eq(fib_group_set(bed.fib, &group, members, MEMBERS), 0);
	for (int i = 0; i < MEMBERS; i++) {
		struct hop hop = {.key = members[i].nexthop};

		hop.nexthop = numbers[i] = nexthop_number(&hop.key);
		hop_publish(&hop, FIB_NH_REWRITE, 1500, false);
	}
	route("0.0.0.0/0", group);
	route("::/0", group);
}

/* The member that a frame is sent to. */
static int member_of(const struct frame *f)
{
	struct result result;

	run_at(bed.in, f, &result);
	ck_assert_int_eq(result.counter, FIB_CNT_FORWARDED);
	ck_assert(!result.several);
	for (int i = 0; i < MEMBERS; i++) {
		if (numbers[i] == result.nexthop)
			return i;
	}
	ck_abort_msg("next hop %u is no member", result.nexthop);
	return -1;
}

typedef void (*flow_maker)(struct frame *frame, uint32_t flow);

static void ports4(struct frame *f, uint32_t flow)
{
	FRAME4(f, .sport = 1024 + flow, .dport = 443, .protocol = IPPROTO_TCP);
}

static void destination_ports4(struct frame *f, uint32_t flow)
{
	FRAME4(f, .dport = 1024 + flow);
}

static void sources4(struct frame *f, uint32_t flow)
{
	char text[32];

	snprintf(text, sizeof(text), "10.7.%u.%u", flow >> 8, flow & 255);
	FRAME4(f, .src = text);
}

static void destinations4(struct frame *f, uint32_t flow)
{
	char text[32];

	snprintf(text, sizeof(text), "10.8.%u.%u", flow >> 8, flow & 255);
	FRAME4(f, .dst = text, .protocol = IPPROTO_ICMP);
}

static void ports6(struct frame *f, uint32_t flow)
{
	FRAME6(f, .sport = 1024 + flow, .dport = 443, .protocol = IPPROTO_TCP);
}

static void destination_ports6(struct frame *f, uint32_t flow)
{
	FRAME6(f, .dport = 1024 + flow);
}

static void labels6(struct frame *f, uint32_t flow)
{
	FRAME6(f, .label = flow, .protocol = IPPROTO_ESP, .payload = 20);
}

static void high_labels6(struct frame *f, uint32_t flow)
{
	FRAME6(f, .label = flow << 8, .protocol = IPPROTO_ESP, .payload = 20);
}

static void networks6(struct frame *f, uint32_t flow)
{
	char text[64];

	snprintf(text, sizeof(text), "2001:db8:%x::9", flow);
	FRAME6(f, .src = text, .protocol = IPPROTO_ICMPV6);
}

static void hosts6(struct frame *f, uint32_t flow)
{
	char text[64];

	snprintf(text, sizeof(text), "2001:db8::%x", flow + 1);
	FRAME6(f, .dst = text, .protocol = IPPROTO_ICMPV6);
}

static const struct {
	const char *what;
	flow_maker make;
} makers[] = {
	{"IPv4 source ports", ports4},	     {"IPv4 destination ports", destination_ports4},
	{"IPv4 sources", sources4},	     {"IPv4 destinations", destinations4},
	{"IPv6 source ports", ports6},	     {"IPv6 destination ports", destination_ports6},
	{"IPv6 flow labels", labels6},	     {"IPv6 high flow labels", high_labels6},
	{"IPv6 source networks", networks6}, {"IPv6 destination hosts", hosts6},
};

/* Flows that differ in one thing only are spread by weight: within five standard deviations and the slots' rounding. */
START_TEST(spread)
{
	struct fib_group_info info;
	int seen[MEMBERS] = {0};

	ck_assert_int_eq(fib_group_get(bed.fib, group, &info), 0);
	for (uint32_t flow = 0; flow < FLOWS; flow++) {
		makers[_i].make(&frame, flow);
		seen[member_of(&frame)]++;
	}
	for (size_t m = 0; m < info.n; m++) {
		double share = (double)info.members[m].slots / info.slots;
		double wanted = share * FLOWS, deviation = sqrt(wanted * (1 - share));
		int i = 0;

		while (numbers[i] != info.members[m].nexthop)
			i++;
		ck_assert_msg(fabs(seen[i] - wanted) < 5 * deviation,
			      "%s: member %d has %d flows, not %.0f +- %.0f", makers[_i].what, i,
			      seen[i], wanted, deviation);
		ck_assert_double_lt(fabs(share - weights[i] / 16.0), 0.02);
	}
	free(info.members);
}
END_TEST

/* A flow's packets: other lengths, TTLs, identifications, traffic classes, payloads. */
START_TEST(flow_stays)
{
	for (uint32_t flow = 0; flow < 200; flow++) {
		int member;

		FRAME4(&frame, .sport = 2000 + flow);
		member = member_of(&frame);
		for (int i = 1; i < 6; i++) {
			FRAME4(&frame, .sport = 2000 + flow, .ttl = 10 * i, .id = 77 * i,
			       .payload = 200 * i, .fragment = i % 2 ? 0x4000 : 0);
			frame.data[ETHER_LEN + 1] = i << 2;
			frame_checksum4(&frame);
			ck_assert_int_eq(member_of(&frame), member);
		}
		FRAME6(&frame, .sport = 2000 + flow, .label = 5);
		member = member_of(&frame);
		for (int i = 1; i < 6; i++) {
			FRAME6(&frame, .sport = 2000 + flow, .label = 5, .ttl = 10 * i,
			       .payload = 200 * i);
			frame.data[ETHER_LEN] |= i;
			ck_assert_int_eq(member_of(&frame), member);
		}
	}
}
END_TEST

/* A sender that changes its label stays where it is, unless the kernel is told to go by labels. */
START_TEST(labels_beside_ports)
{
	for (int counts = 0; counts < 3; counts++) {
		int moved = 0;

		datapath_label_counts(bed.datapath, counts == 1);
		for (uint32_t flow = 0; flow < 100; flow++) {
			int member;

			FRAME6(&frame, .sport = 2000 + flow, .label = 5);
			member = member_of(&frame);
			FRAME6(&frame, .sport = 2000 + flow, .label = 0x51234);
			moved += member_of(&frame) != member;
		}
		if (counts == 1)
			ck_assert_int_gt(moved, 20);
		else
			ck_assert_int_eq(moved, 0);
	}
}
END_TEST

/* Only the first fragment has ports; all of them go one way. */
START_TEST(fragments4)
{
	static const uint16_t fields[] = {0x2000, 0x2001, 0x20b9, 0x2fff,
					  0x3fff, 0x0001, 0x00b9, 0x1fff};
	int used[MEMBERS] = {0};

	for (uint32_t flow = 0; flow < 300; flow++) {
		char src[32];
		int member = -1;

		snprintf(src, sizeof(src), "10.9.%u.%u", flow >> 8, flow & 255);
		for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
			FRAME4(&frame, .src = src, .fragment = fields[i],
			       .sport = 1 + flow * 31 + i, .dport = 60000 - i * 999,
			       .payload = i * 8);
			if (member < 0)
				member = member_of(&frame);
			ck_assert_msg(member_of(&frame) == member, "fragment %04x of flow %u",
				      fields[i], flow);
		}
		used[member]++;
	}
	for (int i = 0; i < MEMBERS; i++)
		ck_assert_int_gt(used[i], 0);
}
END_TEST

/* The fragments of a flow: the words behind the header (offset, identification, data) do not matter. */
START_TEST(fragments6)
{
	for (uint32_t flow = 0; flow < 300; flow++) {
		int member = -1;

		for (int i = 0; i < 6; i++) {
			FRAME6(&frame, .label = flow, .protocol = IPPROTO_FRAGMENT,
			       .sport = 1 + flow * 31 + i, .dport = 60000 - i * 999,
			       .payload = i * 8);
			if (member < 0)
				member = member_of(&frame);
			ck_assert_int_eq(member_of(&frame), member);
		}
	}
}
END_TEST

/* Behind protocols without ports the same bytes are something else. */
START_TEST(no_ports)
{
	static const uint8_t protocols[] = {IPPROTO_ICMP, IPPROTO_GRE, IPPROTO_ESP, IPPROTO_IPIP};

	for (size_t p = 0; p < sizeof(protocols); p++) {
		int member = -1;

		for (int i = 0; i < 50; i++) {
			FRAME4(&frame, .protocol = protocols[p], .sport = 1 + i, .dport = 9 + i);
			if (member < 0)
				member = member_of(&frame);
			ck_assert_int_eq(member_of(&frame), member);
		}
	}
}
END_TEST

/* Without the one that fails, the others' flows stay; and all is as before when it is back. */
START_TEST(member_down)
{
	static int before[FLOWS / 4];
	struct hop hop = {.key = members[3].nexthop, .nexthop = numbers[3]};
	int moved_to[MEMBERS] = {0};

	for (uint32_t flow = 0; flow < FLOWS / 4; flow++) {
		ports4(&frame, flow);
		before[flow] = member_of(&frame);
	}
	hop_publish(&hop, FIB_NH_KERNEL, 1500, true);
	for (uint32_t flow = 0; flow < FLOWS / 4; flow++) {
		int now;

		ports4(&frame, flow);
		now = member_of(&frame);
		ck_assert_int_ne(now, 3);
		if (before[flow] == 3)
			moved_to[now]++;
		else
			ck_assert_int_eq(now, before[flow]);
	}
	for (int i = 0; i < 3; i++)
		ck_assert_int_gt(moved_to[i], 0);
	hop_publish(&hop, FIB_NH_REWRITE, 1500, false);
	for (uint32_t flow = 0; flow < FLOWS / 4; flow++) {
		ports4(&frame, flow);
		ck_assert_int_eq(member_of(&frame), before[flow]);
	}
}
END_TEST

TCase *ecmp_tests(void)
{
	TCase *tcase = tcase_create("ecmp");

	tcase_add_checked_fixture(tcase, setup, bed_teardown);
	tcase_add_loop_test(tcase, spread, 0, sizeof(makers) / sizeof(makers[0]));
	tcase_add_test(tcase, flow_stays);
	tcase_add_test(tcase, labels_beside_ports);
	tcase_add_test(tcase, fragments4);
	tcase_add_test(tcase, fragments6);
	tcase_add_test(tcase, no_ports);
	tcase_add_test(tcase, member_down);
	return tcase;
}
