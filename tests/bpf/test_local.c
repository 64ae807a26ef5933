// SPDX-License-Identifier: GPL-2.0-or-later
/* What is the router's own: as a destination in the kernel's local table, and as a source. */
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

TCase *local_tests(void)
{
	TCase *tcase = tcase_create("local");

	tcase_add_checked_fixture(tcase, setup, bed_teardown);
	tcase_add_test(tcase, local_table_first);
	tcase_add_test(tcase, local_table_empty);
	return tcase;
}
