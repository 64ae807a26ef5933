// SPDX-License-Identifier: GPL-2.0-or-later
/* Which IPv4 packets are forwarded, and what becomes of their bytes. */
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "tests/bpf/fixture.h"

static struct hop hop;
static struct frame frame;

static void setup(void)
{
	bed_setup();
	hop = hop_new("192.0.2.1", FIB_NH_REWRITE, 1500);
	route("0.0.0.0/0", hop.group);
}

static uint8_t *ip(void)
{
	return frame.data + ETHER_LEN;
}

static void set16(size_t offset, uint16_t value)
{
	ip()[offset] = value >> 8;
	ip()[offset + 1] = value;
}

START_TEST(ttl)
{
	static const struct {
		uint8_t ttl;
		enum fib_counter counter;
	} cases[] = {
		{0, FIB_CNT_KERNEL_TTL}, {1, FIB_CNT_KERNEL_TTL},  {2, FIB_CNT_FORWARDED},
		{64, FIB_CNT_FORWARDED}, {128, FIB_CNT_FORWARDED}, {255, FIB_CNT_FORWARDED},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		FRAME4(&frame, .payload = 100);
		ip()[8] = cases[i].ttl;
		frame_checksum4(&frame);
		expect("TTL", &frame, cases[i].counter, hop.nexthop);
	}
}
END_TEST

START_TEST(options)
{
	for (uint8_t ihl = 6; ihl <= 15; ihl++) {
		FRAME4(&frame, .ihl = ihl);
		expect("options", &frame, FIB_CNT_KERNEL_OPTIONS, NO_NEXTHOP);
	}
}
END_TEST

START_TEST(checksum_wrong)
{
	for (int bit = 0; bit < 16; bit++) {
		FRAME4(&frame, .payload = 20);
		ip()[10 + bit / 8] ^= 1 << bit % 8;
		expect("checksum", &frame, FIB_CNT_KERNEL_CHECKSUM, NO_NEXTHOP);
	}
	/* a bit anywhere in the header, where nothing that is looked at before */
	for (int byte = 4; byte < 20; byte++) {
		FRAME4(&frame, .payload = 20);
		ip()[byte] ^= 0x10;
		expect("header", &frame, FIB_CNT_KERNEL_CHECKSUM, NO_NEXTHOP);
	}
}
END_TEST

/* Every value of the identification gives every checksum there is. */
START_TEST(checksum_adapted)
{
	for (uint32_t id = 0; id <= 0xffff; id++) {
		FRAME4(&frame, .id = id, .ttl = 1 + id % 254 + 1);
		expect("checksum after TTL", &frame, FIB_CNT_FORWARDED, hop.nexthop);
	}
}
END_TEST

/* Zero has two forms in ones' complement; both are right, and both must stay right. */
START_TEST(checksum_zero)
{
	struct result result;
	int zeros = 0;

	for (uint32_t id = 0; id <= 0xffff; id++) {
		uint32_t sum = 0;

		FRAME4(&frame, .id = id);
		if (ip()[10] || ip()[11])
			continue;
		zeros++;
		set16(10, 0xffff);
		run_at(bed.in, &frame, &result);
		ck_assert_int_eq(result.counter, FIB_CNT_FORWARDED);
		for (int i = 0; i < 20; i += 2)
			sum += result.out.data[ETHER_LEN + i] << 8 |
			       result.out.data[ETHER_LEN + i + 1];
		ck_assert_uint_eq((sum & 0xffff) + (sum >> 16), 0xffff);
	}
	ck_assert_int_ge(zeros, 1);
}
END_TEST

START_TEST(lengths)
{
	static const struct {
		const char *what;
		int total; /* more than what is there */
		enum fib_counter counter;
	} cases[] = {
		{"equal", 0, FIB_CNT_FORWARDED},
		{"padded", -1, FIB_CNT_FORWARDED},
		{"much padded", -60, FIB_CNT_FORWARDED},
		{"one too long", 1, FIB_CNT_KERNEL_MALFORMED},
		{"far too long", 20000, FIB_CNT_KERNEL_MALFORMED},
	};
	static const uint16_t impossible[] = {0, 1, 18, 19};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		FRAME4(&frame, .payload = 72);
		set16(2, 100 + cases[i].total);
		frame_checksum4(&frame);
		expect(cases[i].what, &frame, cases[i].counter, hop.nexthop);
	}
	for (size_t i = 0; i < sizeof(impossible) / sizeof(impossible[0]); i++) {
		FRAME4(&frame, .payload = 72);
		set16(2, impossible[i]);
		frame_checksum4(&frame);
		expect("shorter than its header", &frame, FIB_CNT_KERNEL_MALFORMED, NO_NEXTHOP);
	}
	/* nothing behind the header, with and without the padding of Ethernet */
	for (size_t len = 34; len <= 60; len += 26) {
		FRAME4(&frame, .payload = 72);
		set16(2, 20);
		frame_checksum4(&frame);
		frame.len = len;
		expect("header only", &frame, FIB_CNT_FORWARDED, hop.nexthop);
	}
	/* in Ethernet's padding may be what a sender left there: of that nothing gets out */
	for (size_t at = 42; at < 60; at++) {
		for (int leak = 0; leak < 2; leak++) {
			FRAME4(&frame, .payload = 0);
			frame.len = 60;
			frame.data[at] = leak;
			expect("padding", &frame, FIB_CNT_FORWARDED, hop.nexthop);
		}
	}
	/* a header that says it is longer than the packet */
	FRAME4(&frame, .payload = 72);
	ip()[0] = 0x4f;
	set16(2, 59);
	expect("header longer than total", &frame, FIB_CNT_KERNEL_MALFORMED, NO_NEXTHOP);
}
END_TEST

START_TEST(truncated)
{
	for (size_t len = ETHER_LEN + 20; len < ETHER_LEN + 28; len++) {
		FRAME4(&frame, .payload = 0);
		frame.len = len;
		expect("truncated", &frame, FIB_CNT_KERNEL_MALFORMED, NO_NEXTHOP);
	}
}
END_TEST

START_TEST(version_and_header_length)
{
	for (int first = 0; first < 256; first++) {
		bool sane = first >> 4 == 4 && (first & 15) >= 5;

		if (first == 0x45)
			continue;
		FRAME4(&frame, .payload = 100);
		ip()[0] = first;
		if (sane)
			frame_checksum4(&frame);
		expect("first byte", &frame,
		       sane ? FIB_CNT_KERNEL_OPTIONS : FIB_CNT_KERNEL_MALFORMED, NO_NEXTHOP);
	}
}
END_TEST

START_TEST(martians)
{
	static const struct {
		const char *addr;
		bool martian;
	} cases[] = {
		{"0.0.0.0", true},	    {"0.0.0.1", true},		{"0.255.255.255", true},
		{"1.0.0.0", false},	    {"126.255.255.255", false}, {"127.0.0.0", true},
		{"127.0.0.1", true},	    {"127.255.255.255", true},	{"128.0.0.0", false},
		{"223.255.255.255", false}, {"224.0.0.0", true},	{"224.0.0.5", true},
		{"239.255.255.255", true},  {"240.0.0.0", true},	{"255.255.255.255", true},
		{"169.254.0.1", false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		enum fib_counter counter =
			cases[i].martian ? FIB_CNT_KERNEL_MARTIAN : FIB_CNT_FORWARDED;

		FRAME4(&frame, .src = cases[i].addr);
		expect(cases[i].addr, &frame, counter, hop.nexthop);
		FRAME4(&frame, .dst = cases[i].addr);
		expect(cases[i].addr, &frame, counter, hop.nexthop);
	}
}
END_TEST

/* Only policy rules know what for. */
START_TEST(marked)
{
	static const uint32_t marks[] = {1, 0x100, 0x80000000, UINT32_MAX};

	for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
		FRAME4(&frame, .payload = 8);
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
		{0x01, 0x00, 0x5e, 0x02, 0x02, 0x02},
		{0x02, 0xab, 0xcd, 0xef, 0x01, 0x02},
	};

	for (size_t i = 0; i < sizeof(macs) / sizeof(macs[0]); i++) {
		FRAME4(&frame, .mac = macs[i]);
		expect("MAC address", &frame, FIB_CNT_KERNEL_NOT_HOST, NO_NEXTHOP);
	}
}
END_TEST

START_TEST(ethertypes)
{
	static const struct {
		uint16_t type;
		enum fib_counter counter;
	} cases[] = {
		{0x8100, FIB_CNT_KERNEL_VLAN},	    {0x88a8, FIB_CNT_KERNEL_VLAN},
		{0x0806, FIB_CNT_KERNEL_ETHERTYPE}, {0x8847, FIB_CNT_KERNEL_ETHERTYPE},
		{0x88cc, FIB_CNT_KERNEL_ETHERTYPE}, {0x0801, FIB_CNT_KERNEL_ETHERTYPE},
		{0x0027, FIB_CNT_KERNEL_ETHERTYPE}, {0x8864, FIB_CNT_KERNEL_ETHERTYPE},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		FRAME4(&frame, .payload = 40);
		frame.data[12] = cases[i].type >> 8;
		frame.data[13] = cases[i].type;
		expect("ethertype", &frame, cases[i].counter, NO_NEXTHOP);
	}
	/* said to be IPv6, but is IPv4 */
	FRAME4(&frame, .payload = 40);
	frame.data[12] = 0x86;
	frame.data[13] = 0xdd;
	expect("IPv4 as IPv6", &frame, FIB_CNT_KERNEL_MALFORMED, NO_NEXTHOP);
}
END_TEST

START_TEST(protocols)
{
	for (int protocol = 1; protocol < 256; protocol++) {
		FRAME4(&frame, .protocol = protocol, .payload = 30);
		expect("protocol", &frame, FIB_CNT_FORWARDED, hop.nexthop);
	}
}
END_TEST

/* Such addresses may be the kernel's own, whatever the routes say. */
START_TEST(martians_in_a_blackhole)
{
	static const char *const addr[] = {"255.255.255.255", "127.0.0.1", "224.0.0.5"};

	route("0.0.0.0/0", FIB_GROUP_BLACKHOLE);
	FRAME4(&frame, .dst = "11.0.0.1");
	expect("blackhole", &frame, FIB_CNT_DROP_BLACKHOLE, NO_NEXTHOP);
	for (size_t i = 0; i < sizeof(addr) / sizeof(addr[0]); i++) {
		FRAME4(&frame, .dst = addr[i]);
		expect(addr[i], &frame, FIB_CNT_KERNEL_MARTIAN, NO_NEXTHOP);
	}
}
END_TEST

TCase *packet4_tests(void)
{
	TCase *tcase = tcase_create("packet4");

	tcase_add_checked_fixture(tcase, setup, bed_teardown);
	tcase_add_test(tcase, ttl);
	tcase_add_test(tcase, options);
	tcase_add_test(tcase, checksum_wrong);
	tcase_add_test(tcase, checksum_adapted);
	tcase_add_test(tcase, checksum_zero);
	tcase_add_test(tcase, lengths);
	tcase_add_test(tcase, truncated);
	tcase_add_test(tcase, version_and_header_length);
	tcase_add_test(tcase, martians);
	tcase_add_test(tcase, martians_in_a_blackhole);
	tcase_add_test(tcase, other_macs);
	tcase_add_test(tcase, marked);
	tcase_add_test(tcase, ethertypes);
	tcase_add_test(tcase, protocols);
	return tcase;
}
