// SPDX-License-Identifier: GPL-2.0-or-later
/* When it is told that a part of the tables is nearly full. */
#include <string.h>

#include "dplane_ebpf/notice.h"
#include "dplane_ebpf/pressure.h"
#include "tests/bpf/fixture.h"

START_TEST(nine_tenths_and_eight)
{
	ck_assert(!pressure_is_high(false, 0, 1000));
	ck_assert(!pressure_is_high(false, 900, 1000));
	ck_assert(pressure_is_high(false, 901, 1000));
	ck_assert(pressure_is_high(false, 1000, 1000));
	ck_assert(pressure_is_high(true, 900, 1000));
	ck_assert(pressure_is_high(true, 800, 1000));
	ck_assert(!pressure_is_high(true, 799, 1000));
	/* a part that there is not */
	ck_assert(!pressure_is_high(false, 0, 0));
	/* beyond 32 bits */
	ck_assert(pressure_is_high(false, (91ull << 32) / 100, 1ull << 32));
	ck_assert(!pressure_is_high(false, (89ull << 32) / 100, 1ull << 32));
}
END_TEST

static uint64_t last;

static void expect_notice(enum notice_kind kind, const char *table, uint64_t used, uint64_t size)
{
	struct notice notice;

	ck_assert_uint_eq(notice_read(last, &notice, 1), 1);
	ck_assert_int_eq(notice.kind, kind);
	ck_assert_str_eq(notice.table, table);
	ck_assert_uint_eq(notice.count, used);
	ck_assert_uint_eq(notice.size, size);
	last = notice.number;
}

START_TEST(each_is_told_once)
{
	struct fib_stats stats = {.geometry = small_geometry};
	uint64_t groups = small_geometry.groups, hosts = 0;

	last = notice_last();
	stats.node.size = stats.v4_low.size = 1000;
	pressure_look(&stats, hosts);
	ck_assert_uint_eq(notice_last(), last);

	stats.node.used = 950;
	stats.groups = groups;
	for (int i = 0; i < 3; i++)
		pressure_look(&stats, hosts);
	expect_notice(NOTICE_TABLE_HIGH, "node-pool", 950, 1000);
	expect_notice(NOTICE_TABLE_HIGH, "groups", groups, groups);
	ck_assert_uint_eq(notice_last(), last);

	stats.groups = 0;
	stats.v4_low.used = 1000;
	pressure_look(&stats, hosts);
	expect_notice(NOTICE_TABLE_HIGH, "ipv4-low-pool", 1000, 1000);
	expect_notice(NOTICE_TABLE_NORMAL, "groups", 0, groups);
	ck_assert_uint_eq(notice_last(), last);

	/* hosts of connected networks, and VRFs */
	hosts = small_geometry.neighbours;
	stats.tables = FIB_MAX_TABLES - 1;
	for (int i = 0; i < 3; i++)
		pressure_look(&stats, hosts);
	expect_notice(NOTICE_TABLE_HIGH, "hosts", hosts, hosts);
	expect_notice(NOTICE_TABLE_HIGH, "tables", FIB_MAX_TABLES - 1, FIB_MAX_TABLES);
	hosts = 0;
	stats.tables = 1;
	pressure_look(&stats, hosts);
	expect_notice(NOTICE_TABLE_NORMAL, "hosts", 0, small_geometry.neighbours);
	expect_notice(NOTICE_TABLE_NORMAL, "tables", 1, FIB_MAX_TABLES);

	/* of another size now */
	stats.node.size = stats.v4_low.size = 8000;
	pressure_look(&stats, hosts);
	expect_notice(NOTICE_TABLE_NORMAL, "node-pool", 950, 8000);
	expect_notice(NOTICE_TABLE_NORMAL, "ipv4-low-pool", 1000, 8000);
	ck_assert_uint_eq(notice_last(), last);
}
END_TEST

TCase *pressure_tests(void)
{
	TCase *tcase = tcase_create("pressure");

	tcase_add_test(tcase, nine_tenths_and_eight);
	tcase_add_test(tcase, each_is_told_once);
	return tcase;
}
