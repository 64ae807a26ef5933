// SPDX-License-Identifier: GPL-2.0-or-later
/* What is the router's own: as a destination in the kernel's local table, and as a source. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <linux/rtnetlink.h>

#include "tests/bpf/fixture.h"

static struct hop hop;
static struct frame frame;

static void setup(void)
{
	bed_setup();
	hop = hop_new("192.0.2.1", FIB_NH_REWRITE, 1500);
}

static void route_in(uint16_t table, const char *text, uint32_t group)
{
	struct fib_prefix prefix = prefix_of(text);

	prefix.table = table;
	ck_assert_int_eq(fib_route_set(bed.fib, &prefix, group), 0);
}

static void expect_to(const char *dst, enum fib_counter counter)
{
	if (strchr(dst, ':'))
		FRAME6(&frame, .dst = dst, .payload = 9);
	else
		FRAME4(&frame, .dst = dst, .payload = 9);
	expect(dst, &frame, counter, hop.nexthop);
}

/* ---- destinations ---- */

/* As "ip rule" has it: 0: local, then the table of the interface; only where the interface's word says so. */
START_TEST(local_table_first)
{
	static const char *const inside[] = {"10.2.2.2", "10.77.0.1", "10.77.255.255",
					     "2001:db8:2::2", "2001:db8:77::1"};
	static const char *const outside[] = {"10.2.2.1",      "10.2.2.3",	"10.78.0.0",
					      "10.76.255.255", "2001:db8:2::3", "2001:db8:78::"};
	uint16_t tables[2] = {0}, local;

	ck_assert_int_eq(fib_table_open(bed.fib, 1001, &tables[1]), 0);
	ck_assert_int_eq(fib_table_open(bed.fib, RT_TABLE_LOCAL, &local), 0);
	ck_assert_uint_eq(local, FIB_TABLE_LOCAL);
	route_in(local, "10.2.2.2/32", FIB_GROUP_LOCAL);
	route_in(local, "10.77.0.0/16", FIB_GROUP_LOCAL);
	route_in(local, "2001:db8:2::2/128", FIB_GROUP_LOCAL);
	route_in(local, "2001:db8:77::/48", FIB_GROUP_LOCAL);
	for (int t = 0; t < 2; t++) {
		route_in(tables[t], "0.0.0.0/0", hop.group);
		route_in(tables[t], "::/0", hop.group);
		/* longer prefixes do not win over another table's */
		route_in(tables[t], "10.77.0.1/32", hop.group);
		route_in(tables[t], "2001:db8:77::1/128", hop.group);
		for (int first = 0; first < 2; first++) {
			ck_assert_int_eq(datapath_interface_set(bed.datapath, bed.in, tables[t],
								true, true,
								first ? FIB_IF_LOCAL : 0),
					 0);
			for (size_t i = 0; i < sizeof(inside) / sizeof(inside[0]); i++)
				expect_to(inside[i],
					  first ? FIB_CNT_KERNEL_LOCAL : FIB_CNT_FORWARDED);
			for (size_t i = 0; i < sizeof(outside) / sizeof(outside[0]); i++)
				expect_to(outside[i], FIB_CNT_FORWARDED);
		}
	}
}
END_TEST

/* Nobody has filled it: nothing is in it. */
START_TEST(local_table_empty)
{
	route_in(0, "0.0.0.0/0", hop.group);
	route_in(0, "::/0", hop.group);
	ck_assert_int_eq(datapath_interface_set(bed.datapath, bed.in, 0, true, true, FIB_IF_LOCAL),
			 0);
	expect_to("10.2.2.2", FIB_CNT_FORWARDED);
	expect_to("2001:db8:2::2", FIB_CNT_FORWARDED);
}
END_TEST

/* ---- sources ---- */

static void own_set(const char *addr)
{
	uint8_t bytes[4];

	ck_assert_int_eq(inet_pton(AF_INET, addr, bytes), 1);
	ck_assert_int_eq(datapath_own_set(bed.datapath, bytes), 0);
}

static int own_del(const char *addr)
{
	uint8_t bytes[4];

	ck_assert_int_eq(inet_pton(AF_INET, addr, bytes), 1);
	return datapath_own_del(bed.datapath, bytes);
}

static void expect_from(const char *src, enum fib_counter counter)
{
	FRAME4(&frame, .src = src, .payload = 9);
	expect(src, &frame, counter, hop.nexthop);
}

/* Another address with the same bit. */
static const char *twin_of(const char *addr)
{
	static char text[INET_ADDRSTRLEN];
	struct in_addr own, twin;

	ck_assert_int_eq(inet_pton(AF_INET, addr, &own), 1);
	for (uint32_t i = 1; i < 1u << 24; i++) {
		twin.s_addr = htonl(0x0b000000u + i);
		if (FIB_OWN_BIT(twin.s_addr) == FIB_OWN_BIT(own.s_addr))
			break;
	}
	return inet_ntop(AF_INET, &twin, text, sizeof(text));
}

START_TEST(own_source)
{
	const char *twin = twin_of("10.1.1.1");
	uint16_t vrf;

	ck_assert_int_eq(fib_table_open(bed.fib, 1001, &vrf), 0);
	route_in(0, "0.0.0.0/0", hop.group);
	route_in(vrf, "0.0.0.0/0", hop.group);
	expect_from("10.1.1.1", FIB_CNT_FORWARDED);
	own_set("10.1.1.1");
	for (int t = 0; t < 2; t++) {
		/* whatever the VRF, as the kernel has it */
		datapath_interface_set(bed.datapath, bed.in, t ? vrf : 0, true, true, 0);
		expect_from("10.1.1.1", FIB_CNT_KERNEL_OWN_SOURCE);
		expect_from("10.1.1.0", FIB_CNT_FORWARDED);
		expect_from("1.1.1.10", FIB_CNT_FORWARDED);
		expect_from(twin, FIB_CNT_FORWARDED);
	}
	/* to the router itself: the kernel has to see to it anyway */
	route_in(vrf, "10.2.2.2/32", FIB_GROUP_LOCAL);
	expect_from("10.1.1.1", FIB_CNT_KERNEL_LOCAL);
	route_in(vrf, "10.2.2.2/32", hop.group);

	/* one of two with a bit goes, then the other */
	own_set(twin);
	ck_assert_int_eq(own_del("10.1.1.1"), 0);
	expect_from("10.1.1.1", FIB_CNT_FORWARDED);
	expect_from(twin, FIB_CNT_KERNEL_OWN_SOURCE);
	ck_assert_int_eq(own_del(twin), 0);
	expect_from(twin, FIB_CNT_FORWARDED);
	ck_assert_int_eq(own_del(twin), -ENOENT);
}
END_TEST

/* As many as there are interfaces that have it. */
START_TEST(own_source_counted)
{
	route_in(0, "0.0.0.0/0", hop.group);
	own_set("10.1.1.1");
	own_set("10.1.1.1");
	ck_assert_int_eq(own_del("10.1.1.1"), 0);
	expect_from("10.1.1.1", FIB_CNT_KERNEL_OWN_SOURCE);
	ck_assert_int_eq(own_del("10.1.1.1"), 0);
	expect_from("10.1.1.1", FIB_CNT_FORWARDED);
}
END_TEST

/* Of all sources these alone, and each of them. */
START_TEST(own_sources_only)
{
	int wrong = 0;

	route_in(0, "0.0.0.0/0", hop.group);
	for (uint32_t i = 0; i < 300; i++) {
		char text[INET_ADDRSTRLEN];

		snprintf(text, sizeof(text), "20.%u.%u.1", i * 7 % 256, i % 256);
		own_set(text);
	}
	for (uint32_t i = 0; i < 20000; i++) {
		uint32_t second = i * 7 % 256, third = i % 300;
		struct result result;
		char text[INET_ADDRSTRLEN];
		bool own = i < 300;

		if (own)
			third = i % 256;
		else
			second = i / 300 + 1, third = third % 256;
		snprintf(text, sizeof(text), "%u.%u.%u.1", own ? 20 : 21, second, third);
		FRAME4(&frame, .src = text);
		run_at(bed.in, &frame, &result);
		wrong += result.counter != (own ? FIB_CNT_KERNEL_OWN_SOURCE : FIB_CNT_FORWARDED);
	}
	ck_assert_int_eq(wrong, 0);
}
END_TEST

/* Without room for all of them no own address is missed; with room again no other is taken for one. */
START_TEST(own_sources_full)
{
	uint32_t n = FIB_MAX_OWN + 100;
	char text[INET_ADDRSTRLEN];
	const char *twin;

	route_in(0, "0.0.0.0/0", hop.group);
	for (uint32_t i = 0; i < n; i++) {
		snprintf(text, sizeof(text), "30.1.%u.%u", i / 256, i % 256);
		own_set(text);
	}
	twin = twin_of("30.1.0.0");
	expect_from("30.1.0.0", FIB_CNT_KERNEL_OWN_SOURCE);
	expect_from(text, FIB_CNT_KERNEL_OWN_SOURCE);
	expect_from(twin, FIB_CNT_KERNEL_OWN_SOURCE);
	for (uint32_t i = 1; i <= 100; i++) {
		char gone[INET_ADDRSTRLEN];

		snprintf(gone, sizeof(gone), "30.1.%u.%u", i / 256, i % 256);
		ck_assert_int_eq(own_del(gone), 0);
	}
	expect_from("30.1.0.0", FIB_CNT_KERNEL_OWN_SOURCE);
	expect_from(text, FIB_CNT_KERNEL_OWN_SOURCE);
	expect_from(twin, FIB_CNT_FORWARDED);
	expect_from("30.1.0.50", FIB_CNT_FORWARDED);
}
END_TEST

/* A full lookup of the source, where the kernel makes one: in its local table, and in the interface's own. */
START_TEST(local_source)
{
	uint16_t vrf, local;

	ck_assert_int_eq(fib_table_open(bed.fib, 1001, &vrf), 0);
	ck_assert_int_eq(fib_table_open(bed.fib, RT_TABLE_LOCAL, &local), 0);
	route_in(vrf, "0.0.0.0/0", hop.group);
	route_in(vrf, "10.5.0.255/32", FIB_GROUP_LOCAL);
	route_in(vrf, "10.6.0.0/16", FIB_GROUP_REJECT);
	route_in(local, "10.4.0.0/16", FIB_GROUP_LOCAL);
	for (int first = 0; first < 2; first++) {
		enum fib_counter counter = first ? FIB_CNT_KERNEL_OWN_SOURCE : FIB_CNT_FORWARDED;

		datapath_interface_set(bed.datapath, bed.in, vrf, true, true,
				       first ? FIB_IF_LOCAL : 0);
		expect_from("10.4.3.2", counter);
		expect_from("10.5.0.255", counter);
		expect_from("10.5.0.254", FIB_CNT_FORWARDED);
		expect_from("10.6.1.1", FIB_CNT_FORWARDED);
		expect_from("10.3.255.255", FIB_CNT_FORWARDED);
	}
}
END_TEST

TCase *local_tests(void)
{
	TCase *tcase = tcase_create("local");

	tcase_add_checked_fixture(tcase, setup, bed_teardown);
	tcase_add_test(tcase, local_table_first);
	tcase_add_test(tcase, local_table_empty);
	tcase_add_test(tcase, own_source);
	tcase_add_test(tcase, own_source_counted);
	tcase_add_test(tcase, own_sources_only);
	tcase_add_test(tcase, own_sources_full);
	tcase_add_test(tcase, local_source);
	return tcase;
}
