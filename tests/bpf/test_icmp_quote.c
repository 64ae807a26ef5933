// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * ICMP errors go with the flow that they are about: a router on the way of a server's reply quotes the reply, and its error must
 * reach the server that the client's packets reach, of several with one address.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "tests/bpf/fixture.h"

#define MEMBERS 4
#define FLOWS 200

static struct frame frame;
static uint32_t group, numbers[MEMBERS];

static void setup(void)
{
	struct fib_member members[MEMBERS] = {0};

	bed_setup();
	group = 0;
	for (int i = 0; i < MEMBERS; i++) {
		members[i] = (struct fib_member){.weight = 1};
		members[i].nexthop.ifindex = bed.out;
		members[i].nexthop.family = AF_INET;
		members[i].nexthop.gate[3] = (uint8_t)(i + 1);
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

static uint32_t way(const struct frame *f)
{
	struct result result;

	run_at(bed.in, f, &result);
	ck_assert_int_eq(result.counter, FIB_CNT_FORWARDED);
	return result.nexthop;
}

struct ends {
	char client[64], server[64], router[64];
	uint16_t port;
	bool v6;
};

static struct ends ends_of(bool v6, unsigned int i)
{
	struct ends ends = {.port = (uint16_t)(4000 + i), .v6 = v6};

	snprintf(ends.client, sizeof(ends.client), v6 ? "2001:db8:192::%x" : "192.0.2.%u",
		 i % 250 + 1);
	snprintf(ends.server, sizeof(ends.server), v6 ? "2001:db8:cb::1" : "203.0.113.1");
	snprintf(ends.router, sizeof(ends.router), v6 ? "2001:db8:198::%x" : "198.18.%u.1",
		 i % 250);
	return ends;
}

/* From the client, or to it. */
static void packet(struct frame *f, const struct ends *ends, uint8_t protocol, bool reply)
{
	struct spec spec = {
		.src = reply ? ends->server : ends->client,
		.dst = reply ? ends->client : ends->server,
		.sport = reply ? 443 : ends->port,
		.dport = reply ? ends->port : 443,
		.protocol = protocol,
		.payload = 40,
	};

	if (ends->v6)
		frame6(f, &spec);
	else
		frame4(f, &spec);
}

/* An error from a router on the way to the client, with the first bytes of the reply that the server sent. */
static void error(const struct ends *ends, uint8_t type, const struct frame *reply, size_t quoted)
{
	size_t header = ends->v6 ? 40 : 20;
	struct spec spec = {
		.src = ends->router,
		.dst = ends->server,
		.protocol = ends->v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP,
		.payload = quoted,
	};

	if (ends->v6)
		frame6(&frame, &spec);
	else
		frame4(&frame, &spec);
	memset(frame.data + ETHER_LEN + header, 0, 8);
	frame.data[ETHER_LEN + header] = type;
	memcpy(frame.data + ETHER_LEN + header + 8, reply->data + ETHER_LEN, quoted);
}

static const struct {
	bool v6;
	uint8_t type, protocol;
	bool follows;
} cases[] = {
	{false, 3, IPPROTO_UDP, true},
	{false, 4, IPPROTO_TCP, true},
	{false, 5, IPPROTO_UDP, true},
	{false, 11, IPPROTO_TCP, true},
	{false, 12, IPPROTO_SCTP, true},
	{false, 3, IPPROTO_ESP, true},
	{false, 11, IPPROTO_ICMP, true},
	{true, 1, IPPROTO_UDP, true},
	{true, 2, IPPROTO_TCP, true},
	{true, 3, IPPROTO_SCTP, true},
	{true, 4, IPPROTO_UDP, true},
	{true, 2, IPPROTO_ESP, true},
	/* no errors: what stands there is a payload */
	{false, 8, IPPROTO_UDP, false},
	{false, 13, IPPROTO_UDP, false},
	{true, 128, IPPROTO_UDP, false},
	{true, 5, IPPROTO_UDP, false},
};

START_TEST(with_its_flow)
{
	int together = 0, ways[FIB_MAX_GROUP_SLOTS] = {0};

	for (unsigned int i = 0; i < FLOWS; i++) {
		struct ends ends = ends_of(cases[_i].v6, i);
		struct frame forward, reply;
		uint32_t member;

		packet(&forward, &ends, cases[_i].protocol, false);
		packet(&reply, &ends, cases[_i].protocol, true);
		error(&ends, cases[_i].type, &reply, reply.len - ETHER_LEN);
		member = way(&forward);
		ways[member]++;
		together += way(&frame) == member;
	}
	for (int i = 0; i < MEMBERS; i++)
		ck_assert_int_gt(ways[numbers[i]], 0);
	if (cases[_i].follows)
		ck_assert_int_eq(together, FLOWS);
	else
		ck_assert_int_lt(together, FLOWS / 2);
}
END_TEST

/* As little of the packet as RFC 792 wants, then less: down to the ports it is the flow's, and always some member. */
START_TEST(short_quotes)
{
	for (unsigned int i = 0; i < FLOWS; i++) {
		struct ends ends = ends_of(_i, i);
		size_t header = _i ? 40 : 20;
		struct frame forward, reply;

		packet(&forward, &ends, IPPROTO_UDP, false);
		packet(&reply, &ends, IPPROTO_UDP, true);
		for (size_t quoted = 0; quoted <= header + 8; quoted++) {
			error(&ends, _i ? 2 : 3, &reply, quoted);
			if (quoted >= header + 4)
				ck_assert_uint_eq(way(&frame), way(&forward));
			else
				way(&frame);
		}
	}
}
END_TEST

/* Errors in fragments stay together, as all fragments: the first one, too, is not looked into. */
START_TEST(error_in_fragments)
{
	int together = 0;

	for (unsigned int i = 0; i < FLOWS; i++) {
		struct ends ends = ends_of(false, i);
		struct frame forward, reply;
		uint32_t first;

		packet(&forward, &ends, IPPROTO_UDP, false);
		packet(&reply, &ends, IPPROTO_UDP, true);
		error(&ends, 3, &reply, 60);
		frame.data[ETHER_LEN + 6] = 0x20;
		frame_checksum4(&frame);
		first = way(&frame);
		together += first == way(&forward);
		frame.data[ETHER_LEN + 6] = 0;
		frame.data[ETHER_LEN + 7] = 8;
		frame.data[ETHER_LEN + 20] = 99;
		frame_checksum4(&frame);
		ck_assert_uint_eq(way(&frame), first);
	}
	ck_assert_int_lt(together, FLOWS / 2);
}
END_TEST

/* Of a fragment that is not the first one the ports are not known, and the data is not taken for them. */
START_TEST(quoted_fragment)
{
	for (unsigned int i = 0; i < FLOWS; i++) {
		struct ends ends = ends_of(false, i);
		struct frame reply;
		uint32_t member;

		packet(&reply, &ends, IPPROTO_UDP, true);
		reply.data[ETHER_LEN + 7] = 8;
		error(&ends, 3, &reply, 60);
		member = way(&frame);
		memset(reply.data + ETHER_LEN + 20, 0x5a, 8);
		error(&ends, 3, &reply, 60);
		ck_assert_uint_eq(way(&frame), member);
	}
}
END_TEST

/* Linux gives a connection that gets no answer another label: with ports it stays where it is. */
START_TEST(label_counts_without_ports_only)
{
	static const uint8_t with[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP};

	for (uint16_t port = 1; port < 100; port++) {
		for (size_t p = 0; p < sizeof(with); p++) {
			uint32_t member;

			FRAME6(&frame, .sport = port, .protocol = with[p], .label = 1);
			member = way(&frame);
			for (uint32_t label = 7919; label < 0xfffff; label += 99991) {
				FRAME6(&frame, .sport = port, .protocol = with[p], .label = label);
				ck_assert_uint_eq(way(&frame), member);
			}
		}
	}
}
END_TEST

/* Only one member is still used; UINT32_MAX: all of them are. */
static void others_to_kernel(uint32_t member)
{
	for (uint8_t i = 0; i < MEMBERS; i++) {
		struct hop hop = {.nexthop = numbers[i]};
		bool used = member == UINT32_MAX || numbers[i] == member;

		hop.key = (struct fib_nexthop_key){.ifindex = bed.out, .family = AF_INET};
		hop.key.gate[3] = (uint8_t)(i + 1);
		hop_publish(&hop, used ? FIB_NH_REWRITE : FIB_NH_KERNEL, 1500, false);
	}
}

/* What stands behind the packet in its frame is not of the flow: neither ports nor a quote. */
START_TEST(trailer_does_not_count)
{
	for (int v6 = 0; v6 < 2; v6++) {
		for (int icmp = 0; icmp < 2; icmp++) {
			uint32_t member = 0;

			for (uint16_t i = 0; i < 50; i++) {
				size_t header = v6 ? 40 : 20;
				struct ends ends = ends_of(v6, 1);
				struct frame reply;

				ends.port = (uint16_t)(4000 + i);
				packet(&frame, &ends, IPPROTO_UDP, false);
				if (icmp) {
					packet(&reply, &ends, IPPROTO_UDP, true);
					error(&ends, v6 ? 2 : 3, &reply, 60);
				}
				/* only the ICMP header is of the packet, or nothing of UDP's */
				frame.data[ETHER_LEN + (v6 ? 5 : 3)] =
					(uint8_t)((v6 ? 0 : header) + (icmp ? 8 : 0));
				frame.data[ETHER_LEN + (v6 ? 4 : 2)] = 0;
				if (!v6)
					frame_checksum4(&frame);
				if (!i) {
					member = way(&frame);
					others_to_kernel(member);
				}
				ck_assert_uint_eq(way(&frame), member);
			}
			others_to_kernel(UINT32_MAX);
		}
	}
}
END_TEST

TCase *icmp_quote_tests(void)
{
	TCase *tcase = tcase_create("icmp-quote");

	tcase_add_checked_fixture(tcase, setup, bed_teardown);
	tcase_add_loop_test(tcase, with_its_flow, 0, sizeof(cases) / sizeof(cases[0]));
	tcase_add_loop_test(tcase, short_quotes, 0, 2);
	tcase_add_test(tcase, error_in_fragments);
	tcase_add_test(tcase, quoted_fragment);
	tcase_add_test(tcase, trailer_does_not_count);
	tcase_add_test(tcase, label_counts_without_ports_only);
	return tcase;
}
