// SPDX-License-Identifier: GPL-2.0-or-later
/* Builds packets, runs the program on them, and computes on its own what must come out. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include <bpf/bpf.h>

#include "tests/bpf/fixture.h"

/* ---- building ---- */

static void put16(uint8_t *at, uint16_t value)
{
	at[0] = value >> 8;
	at[1] = value;
}

static uint16_t get16(const uint8_t *at)
{
	return at[0] << 8 | at[1];
}

static void ether(struct frame *frame, const struct spec *spec, uint16_t type)
{
	static const uint8_t sender[6] = {0x02, 0x99, 0x88, 0x77, 0x66, 0x55};

	memset(frame, 0, sizeof(*frame));
	memcpy(frame->data, spec->mac ? spec->mac : bed.in_mac, 6);
	memcpy(frame->data + 6, sender, 6);
	put16(frame->data + 12, type);
}

/* Transport header and payload; returns their length. */
static size_t transport(uint8_t *at, const struct spec *spec, uint8_t protocol)
{
	size_t header = protocol == IPPROTO_TCP ? 20 : 8;

	put16(at, spec->sport ? spec->sport : 1000);
	put16(at + 2, spec->dport ? spec->dport : 2000);
	if (protocol == IPPROTO_TCP)
		at[12] = header / 4 << 4;
	else
		put16(at + 4, header + spec->payload);
	/* bytes that would show if something were moved */
	for (size_t i = 0; i < spec->payload; i++)
		at[header + i] = i * 7 + 3;
	return header + spec->payload;
}

void frame_checksum4(struct frame *frame)
{
	uint8_t *ip = frame->data + ETHER_LEN;
	uint32_t sum = 0;

	put16(ip + 10, 0);
	for (int i = 0; i < (ip[0] & 15) * 4; i += 2)
		sum += get16(ip + i);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	put16(ip + 10, ~sum);
}

void frame4(struct frame *frame, const struct spec *spec)
{
	uint8_t protocol = spec->protocol ? spec->protocol : IPPROTO_UDP;
	uint8_t *ip = frame->data + ETHER_LEN;
	size_t header, length;

	ether(frame, spec, 0x0800);
	header = (spec->ihl ? spec->ihl : 5) * 4;
	ip[0] = 0x40 | header / 4;
	put16(ip + 4, spec->id);
	put16(ip + 6, spec->fragment);
	ip[8] = spec->ttl ? spec->ttl : 64;
	ip[9] = protocol;
	ck_assert_int_eq(inet_pton(AF_INET, spec->src ? spec->src : "10.1.1.1", ip + 12), 1);
	ck_assert_int_eq(inet_pton(AF_INET, spec->dst ? spec->dst : "10.2.2.2", ip + 16), 1);
	for (size_t i = 20; i < header; i++)
		ip[i] = 1; /* no operation */
	length = header + transport(ip + header, spec, protocol);
	ck_assert_uint_le(ETHER_LEN + length, FRAME_MAX);
	put16(ip + 2, length);
	frame->len = ETHER_LEN + length;
	frame_checksum4(frame);
}

void frame6(struct frame *frame, const struct spec *spec)
{
	uint8_t protocol = spec->protocol ? spec->protocol : IPPROTO_UDP;
	uint8_t *ip = frame->data + ETHER_LEN;
	size_t length;

	ether(frame, spec, 0x86dd);
	ip[0] = 0x60;
	ip[1] = spec->label >> 16 & 15;
	put16(ip + 2, spec->label);
	ip[6] = protocol;
	ip[7] = spec->ttl ? spec->ttl : 64;
	ck_assert_int_eq(inet_pton(AF_INET6, spec->src ? spec->src : "2001:db8:1::1", ip + 8), 1);
	ck_assert_int_eq(inet_pton(AF_INET6, spec->dst ? spec->dst : "2001:db8:2::2", ip + 24), 1);
	length = transport(ip + 40, spec, protocol);
	ck_assert_uint_le(ETHER_LEN + 40 + length, FRAME_MAX);
	put16(ip + 4, length);
	frame->len = ETHER_LEN + 40 + length;
}

/* ---- running ---- */

struct counts {
	uint64_t packets[FIB_CNT_MAX];
	struct fib_nexthop_counters nexthop[1u << 7];
};

static void counts_read(struct counts *counts)
{
	datapath_counters(bed.datapath, counts->packets);
	for (uint32_t n = 0; n < small_geometry.nexthops; n++)
		datapath_nexthop_counters(bed.datapath, n, &counts->nexthop[n]);
}

void run_at(uint32_t ifindex, const struct frame *frame, struct result *result)
{
	struct __sk_buff skb = {
		.ifindex = ifindex,
		.mark = frame->mark,
		.gso_size = frame->gso_size,
		.gso_segs = frame->gso_size ? 2 : 0,
	};
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame->data, .data_size_in = frame->len,
		    .data_out = result->out.data, .data_size_out = sizeof(result->out.data),
		    .ctx_in = &skb, .ctx_size_in = sizeof(skb), .ctx_out = &skb,
		    .ctx_size_out = sizeof(skb), .repeat = 1);
	struct counts before, after;

	counts_read(&before);
	ck_assert_msg(bpf_prog_test_run_opts(datapath_program_fd(bed.datapath), &options) == 0,
		      "a frame of %zu bytes cannot be run: %s", frame->len, strerror(errno));
	counts_read(&after);

	result->action = options.retval;
	result->out.len = options.data_size_out;
	result->priority = skb.priority;
	result->counter = FIB_CNT_MAX;
	result->nexthop = NO_NEXTHOP;
	result->nexthop_bytes = 0;
	result->several = false;
	for (int i = 0; i < FIB_CNT_MAX; i++) {
		if (after.packets[i] == before.packets[i])
			continue;
		result->several |=
			result->counter != FIB_CNT_MAX || after.packets[i] != before.packets[i] + 1;
		result->counter = i;
	}
	for (uint32_t n = 0; n < small_geometry.nexthops; n++) {
		if (!memcmp(&after.nexthop[n], &before.nexthop[n], sizeof(after.nexthop[n])))
			continue;
		result->several |= result->nexthop != NO_NEXTHOP ||
				   after.nexthop[n].packets != before.nexthop[n].packets + 1;
		result->nexthop = n;
		result->nexthop_bytes = after.nexthop[n].bytes - before.nexthop[n].bytes;
	}
}

/* ---- expecting ---- */

static const char *counter_name(enum fib_counter counter)
{
	static const char *const names[] = {
#define X(e, n, h) [FIB_CNT_##e] = n,
		FIB_COUNTERS(X)
#undef X
	};

	return counter < FIB_CNT_MAX ? names[counter] : "none";
}

static int action_of(enum fib_counter counter)
{
	if (counter == FIB_CNT_DROP_BLACKHOLE)
		return TC_ACT_SHOT;
	if (counter == FIB_CNT_FORWARDED || counter == FIB_CNT_FORWARDED_NEIGH)
		return TC_ACT_REDIRECT;
	return TC_ACT_UNSPEC;
}

/* Whether all bytes from there on are zero. */
static bool zeros(const struct frame *frame, size_t from)
{
	while (from < frame->len && !frame->data[from])
		from++;
	return from >= frame->len;
}

/*
 * What a forwarded frame looks like behind the program; returns the length by its header. The packet ends it, but for
 * zeros up to the least length of a frame.
 */
static uint64_t forwarded(struct frame *frame, bool macs)
{
	uint8_t *ip = frame->data + ETHER_LEN;
	uint64_t length = ip[0] >> 4 == 6 ? 40 + get16(ip + 4) : get16(ip + 2);

	if (macs) {
		memcpy(frame->data, gateway_mac, 6);
		memcpy(frame->data + 6, egress_mac, 6);
	}
	if (ip[0] >> 4 == 6) {
		ip[7]--;
	} else {
		ip[8]--;
		frame_checksum4(frame);
	}
	if (frame->len > 60 || !zeros(frame, ETHER_LEN + length))
		frame->len = ETHER_LEN + length;
	return length;
}

static bool rewrites(uint32_t nexthop)
{
	struct fib_nexthop_info info;

	return fib_nexthop_get(bed.fib, nexthop, &info) == 0 &&
	       info.adjacency.action == FIB_NH_REWRITE;
}

void expect_at(uint32_t ifindex, const char *what, const struct frame *frame,
	       enum fib_counter counter, uint32_t nexthop)
{
	struct frame wanted = *frame;
	struct result result;
	uint64_t bytes = 0;

	run_at(ifindex, frame, &result);
	ck_assert_msg(result.counter == counter, "%s: counted %s, not %s", what,
		      counter_name(result.counter), counter_name(counter));
	ck_assert_msg(!result.several, "%s: counted more than once", what);
	ck_assert_msg(result.action == action_of(counter), "%s: action %d, not %d", what,
		      result.action, action_of(counter));
	if (action_of(counter) == TC_ACT_REDIRECT)
		bytes = forwarded(&wanted, rewrites(nexthop));
	else
		nexthop = NO_NEXTHOP;
	ck_assert_msg(result.nexthop == nexthop, "%s: next hop %d, not %d", what,
		      (int)result.nexthop, (int)nexthop);
	ck_assert_msg(result.nexthop_bytes == bytes, "%s: counted %llu bytes, not %llu", what,
		      (unsigned long long)result.nexthop_bytes, (unsigned long long)bytes);
	ck_assert_msg(result.out.len == wanted.len, "%s: %zu bytes long, not %zu", what,
		      result.out.len, wanted.len);
	for (size_t i = 0; i < wanted.len; i++)
		ck_assert_msg(result.out.data[i] == wanted.data[i],
			      "%s: byte %zu is %02x, not %02x", what, i, result.out.data[i],
			      wanted.data[i]);
}

void expect(const char *what, const struct frame *frame, enum fib_counter counter, uint32_t nexthop)
{
	expect_at(bed.in, what, frame, counter, nexthop);
}
