// SPDX-License-Identifier: GPL-2.0-or-later
/* Which IPv6 packets are forwarded, and what becomes of their bytes. */
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "tests/bpf/fixture.h"

static struct hop hop;
static struct frame frame;

static void setup(void)
{
	bed_setup();
	hop = hop_new("2001:db8::1", FIB_NH_REWRITE, 1500);
	route("::/0", hop.group);
}

static uint8_t *ip(void)
{
	return frame.data + ETHER_LEN;
}

static void set_payload(uint16_t len)
{
	ip()[4] = len >> 8;
	ip()[5] = len;
}

START_TEST(hop_limit)
{
	for (int limit = 0; limit < 256; limit++) {
		FRAME6(&frame, .payload = 50);
		ip()[7] = limit;
		expect("hop limit", &frame, limit > 1 ? FIB_CNT_FORWARDED : FIB_CNT_KERNEL_TTL,
		       hop.nexthop);
	}
}
END_TEST

START_TEST(extension_headers)
{
	static const struct {
		uint8_t header;
		enum fib_counter counter;
	} cases[] = {
		{IPPROTO_HOPOPTS, FIB_CNT_KERNEL_OPTIONS}, {IPPROTO_ROUTING, FIB_CNT_FORWARDED},
		{IPPROTO_FRAGMENT, FIB_CNT_FORWARDED},	   {IPPROTO_DSTOPTS, FIB_CNT_FORWARDED},
		{IPPROTO_AH, FIB_CNT_FORWARDED},	   {IPPROTO_ESP, FIB_CNT_FORWARDED},
		{IPPROTO_MH, FIB_CNT_FORWARDED},	   {IPPROTO_NONE, FIB_CNT_FORWARDED},
		{IPPROTO_ICMPV6, FIB_CNT_FORWARDED},	   {IPPROTO_SCTP, FIB_CNT_FORWARDED},
		{IPPROTO_TCP, FIB_CNT_FORWARDED},	   {253, FIB_CNT_FORWARDED},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		FRAME6(&frame, .payload = 64);
		ip()[6] = cases[i].header;
		expect("next header", &frame, cases[i].counter, hop.nexthop);
	}
	/* a jumbogram: no length, and the option that has it */
	FRAME6(&frame, .payload = 64);
	ip()[6] = IPPROTO_HOPOPTS;
	memcpy(ip() + 40, (const uint8_t[]){IPPROTO_UDP, 0, 0xc2, 4, 0, 1, 0, 0}, 8);
	set_payload(0);
	expect("jumbogram", &frame, FIB_CNT_KERNEL_OPTIONS, NO_NEXTHOP);
}
END_TEST

START_TEST(lengths)
{
	static const struct {
		const char *what;
		int more; /* than what is there */
		enum fib_counter counter;
	} cases[] = {
		{"equal", 0, FIB_CNT_FORWARDED},
		{"padded", -1, FIB_CNT_FORWARDED},
		{"nothing behind the header", -80, FIB_CNT_FORWARDED},
		{"one too long", 1, FIB_CNT_KERNEL_MALFORMED},
		{"as long as can be", 65535 - 80, FIB_CNT_KERNEL_MALFORMED},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		FRAME6(&frame, .payload = 72);
		set_payload(80 + cases[i].more);
		expect(cases[i].what, &frame, cases[i].counter, hop.nexthop);
	}
	FRAME6(&frame, .protocol = IPPROTO_NONE);
	set_payload(0);
	frame.len = ETHER_LEN + 40;
	expect("header only", &frame, FIB_CNT_FORWARDED, hop.nexthop);
}
END_TEST

START_TEST(truncated)
{
	for (size_t len = ETHER_LEN + 40; len < ETHER_LEN + 48; len++) {
		FRAME6(&frame, .payload = 0);
		frame.len = len;
		expect("truncated", &frame, FIB_CNT_KERNEL_MALFORMED, NO_NEXTHOP);
	}
}
END_TEST

START_TEST(version)
{
	for (int v = 0; v < 16; v++) {
		FRAME6(&frame, .payload = 20);
		ip()[0] = v << 4;
		expect("version", &frame, v == 6 ? FIB_CNT_FORWARDED : FIB_CNT_KERNEL_MALFORMED,
		       hop.nexthop);
	}
}
END_TEST

START_TEST(traffic_class_and_label_stay)
{
	FRAME6(&frame, .label = 0xabcde, .payload = 20);
	ip()[0] |= 0x0b;
	ip()[1] |= 0x80;
	expect("traffic class", &frame, FIB_CNT_FORWARDED, hop.nexthop);
}
END_TEST

START_TEST(martians)
{
	static const struct {
		const char *addr;
		bool martian;
	} cases[] = {
		{"::", true},
		{"::1", true},
		{"::2", false},
		{"::fffe:1.2.3.4", false},
		{"::ffff:0.0.0.0", true},
		{"::ffff:10.1.1.1", true},
		{"::ffff:255.255.255.255", true},
		{"::1:0:0:0", false},
		{"0:0:0:1::", false},
		{"0:0:0:1::1", false},
		{"64:ff9b::10.1.1.1", false},
		{"fe7f:ffff::1", false},
		{"fe80::1", true},
		{"fe80:1::1", true},
		{"febf:ffff::1", true},
		{"fec0::1", false},
		{"fc00::1", false},
		{"fdff::1", false},
		{"feff::1", false},
		{"ff00::", true},
		{"ff02::1", true},
		{"ff0e::1", true},
		{"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", true},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		enum fib_counter counter =
			cases[i].martian ? FIB_CNT_KERNEL_MARTIAN : FIB_CNT_FORWARDED;

		FRAME6(&frame, .src = cases[i].addr);
		expect(cases[i].addr, &frame, counter, hop.nexthop);
		FRAME6(&frame, .dst = cases[i].addr);
		expect(cases[i].addr, &frame, counter, hop.nexthop);
	}
}
END_TEST

/* Only policy rules know what for. */
START_TEST(marked)
{
	static const uint32_t marks[] = {1, 0x100, 0x80000000, UINT32_MAX};

	for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
		FRAME6(&frame, .payload = 8);
		expect("without a mark", &frame, FIB_CNT_FORWARDED, hop.nexthop);
		frame.mark = marks[i];
		expect("marked", &frame, FIB_CNT_KERNEL_MARK, NO_NEXTHOP);
	}
}
END_TEST

START_TEST(other_macs)
{
	static const uint8_t macs[][6] = {
		{0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
		{0x33, 0x33, 0x00, 0x00, 0x00, 0x01},
		{0x02, 0xab, 0xcd, 0xef, 0x01, 0x02},
	};

	for (size_t i = 0; i < sizeof(macs) / sizeof(macs[0]); i++) {
		FRAME6(&frame, .mac = macs[i]);
		expect("MAC address", &frame, FIB_CNT_KERNEL_NOT_HOST, NO_NEXTHOP);
	}
}
END_TEST

START_TEST(said_to_be_ipv4)
{
	FRAME6(&frame, .payload = 40);
	frame.data[12] = 0x08;
	frame.data[13] = 0x00;
	expect("IPv6 as IPv4", &frame, FIB_CNT_KERNEL_MALFORMED, NO_NEXTHOP);
}
END_TEST

/* Such addresses may be the kernel's own, whatever the routes say. */
START_TEST(martians_in_a_blackhole)
{
	static const char *const addr[] = {"fe80::1", "ff02::5", "::1"};

	route("::/0", FIB_GROUP_BLACKHOLE);
	FRAME6(&frame, .dst = "2001:db9::1");
	expect("blackhole", &frame, FIB_CNT_DROP_BLACKHOLE, NO_NEXTHOP);
	for (size_t i = 0; i < sizeof(addr) / sizeof(addr[0]); i++) {
		FRAME6(&frame, .dst = addr[i]);
		expect(addr[i], &frame, FIB_CNT_KERNEL_MARTIAN, NO_NEXTHOP);
	}
}
END_TEST

/* Solicitations for a host that the kernel answers for reach it, and only they are kept from the fast path. */
START_TEST(neighbour_discovery)
{
	static const uint8_t extensions[] = {IPPROTO_ROUTING, IPPROTO_FRAGMENT, IPPROTO_AH,
					     IPPROTO_DSTOPTS};
	static const uint8_t others[] = {IPPROTO_UDP, IPPROTO_TCP, IPPROTO_SCTP,
					 IPPROTO_ESP, IPPROTO_GRE, IPPROTO_NONE};

	for (int proxy = 0; proxy < 2; proxy++) {
		datapath_interface_set(bed.datapath, bed.in, 0, true, true,
				       proxy ? FIB_IF_PROXY : 0);
		for (int type = 0; type < 256; type++) {
			bool discovery = type >= 133 && type <= 137;

			FRAME6(&frame, .protocol = IPPROTO_ICMPV6, .payload = 24, .ttl = 255);
			ip()[40] = type;
			expect("ICMPv6", &frame,
			       discovery ? FIB_CNT_KERNEL_DISCOVERY : FIB_CNT_FORWARDED,
			       hop.nexthop);
		}
		for (size_t i = 0; i < sizeof(extensions); i++) {
			FRAME6(&frame, .protocol = extensions[i], .payload = 64);
			expect("extension header", &frame,
			       proxy ? FIB_CNT_KERNEL_DISCOVERY : FIB_CNT_FORWARDED, hop.nexthop);
		}
		for (size_t i = 0; i < sizeof(others); i++) {
			FRAME6(&frame, .protocol = others[i], .payload = 64);
			ip()[40] = 135;
			expect("another protocol", &frame, FIB_CNT_FORWARDED, hop.nexthop);
		}
	}
	/* nothing behind the header, and to the router itself */
	FRAME6(&frame, .protocol = IPPROTO_ICMPV6);
	set_payload(0);
	frame.len = ETHER_LEN + 40;
	expect("header only", &frame, FIB_CNT_FORWARDED, hop.nexthop);
	FRAME6(&frame, .protocol = IPPROTO_ICMPV6);
	ip()[40] = 135;
	route("2001:db8:2::2/128", FIB_GROUP_LOCAL);
	expect("own address", &frame, FIB_CNT_KERNEL_LOCAL, NO_NEXTHOP);
}
END_TEST

TCase *packet6_tests(void)
{
	TCase *tcase = tcase_create("packet6");

	tcase_add_checked_fixture(tcase, setup, bed_teardown);
	tcase_add_test(tcase, hop_limit);
	tcase_add_test(tcase, extension_headers);
	tcase_add_test(tcase, lengths);
	tcase_add_test(tcase, truncated);
	tcase_add_test(tcase, version);
	tcase_add_test(tcase, traffic_class_and_label_stay);
	tcase_add_test(tcase, martians);
	tcase_add_test(tcase, martians_in_a_blackhole);
	tcase_add_test(tcase, other_macs);
	tcase_add_test(tcase, marked);
	tcase_add_test(tcase, said_to_be_ipv4);
	tcase_add_test(tcase, neighbour_discovery);
	return tcase;
}
