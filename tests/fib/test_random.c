// SPDX-License-Identifier: GPL-2.0-or-later
/* 10^6 random operations a family against the reference: with and without room, in the main table and another. */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <linux/rtnetlink.h>

#include "tests/fib/fixture.h"

#define OPERATIONS 1000000u
#define GROUPS 40u
#define LIVE 20000u
#define LOCALS 16u

static struct reference *ref;
static struct fib_prefix *live;
static size_t n_live;
static uint32_t group[GROUPS];
static uint8_t local_addr[LOCALS][16];
static uint32_t local_count[LOCALS];
static bool tiny;
static uint16_t table;
static uint32_t batch; /* operations until it ends */
static uint64_t overflows;

static const uint8_t len4[] = {8, 12, 16, 17, 18, 19, 20, 21, 22, 22, 23, 24, 24, 24, 24, 24, 32};
static const uint8_t len6[] = {19, 24, 25, 28, 29, 32, 32, 36, 40, 44, 48, 48, 48, 48, 56, 64, 128};

static struct fib_prefix random_prefix(uint8_t family)
{
	static const uint8_t first6[] = {0x20, 0x20, 0x2a, 0x3f, 0x1f, 0x40, 0xfc, 0x00, 0xff};
	unsigned int width = family == AF_INET ? 32 : 128;
	struct fib_prefix prefix = {.family = family, .table = table};

	if (n_live && random_below(3) == 0) {
		/* near one that is there: the same, above, below, beside */
		unsigned int bit;

		prefix = live[random_below((uint32_t)n_live)];
		bit = prefix.len ? prefix.len - 1 : 0;
		if (random_below(3) == 0)
			prefix.addr[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
		if (random_below(2)) {
			bit = prefix.len + random_below(17);
			prefix.len = (uint8_t)(bit < 8 ? 0 : bit - 8 > width ? width : bit - 8);
		}
		return prefix;
	}
	for (unsigned int i = 0; i < width / 8; i++)
		prefix.addr[i] = (uint8_t)(random_below(3) ? random_below(4) * 85 : random32());
	if (family == AF_INET)
		prefix.len = len4[random_below(sizeof(len4))];
	else
		prefix.len = len6[random_below(sizeof(len6))];
	if (family == AF_INET6)
		prefix.addr[0] = first6[random_below(sizeof(first6))];
	/* very short ones seldom: each touches much */
	if (random_below(4) == 0)
		prefix.len =
			(uint8_t)(random_below(200) ? width / 4 + random_below(width * 3 / 4 + 1)
						    : random_below(width / 4));
	return prefix;
}

static void check(uint8_t family, const uint8_t *addr)
{
	struct fib_prefix found;
	uint32_t is = fib_lookup(fib, table, family, addr);
	uint32_t must = reference_lookup(ref, family, addr, family == AF_INET ? 32 : 128, &found);

	/* what a batch changes may be seen at its end */
	if (batch)
		return;
	for (unsigned int i = 0; i < LOCALS; i++) {
		if (local_count[i] && !memcmp(local_addr[i], addr, family == AF_INET ? 4 : 16))
			must = FIB_GROUP_LOCAL;
	}
	if (tiny && is == FIB_GROUP_OVERFLOW)
		overflows++;
	else if (is != must)
		ck_abort_msg("%02x%02x%02x%02x %02x%02x%02x%02x is %u, must be %u by /%u", addr[0],
			     addr[1], addr[2], addr[3], addr[4], addr[5], addr[6], addr[7], is,
			     must, found.len);
}

/* The first and last address of a prefix, those just outside, and one within. */
static void check_edges(const struct fib_prefix *prefix)
{
	int width = prefix->family == AF_INET ? 4 : 16, i;
	uint8_t first[16] = {0}, last[16] = {0}, within[16] = {0};

	for (i = 0; i < width * 8; i++) {
		uint8_t bit = (uint8_t)(0x80 >> i % 8);
		bool host = i >= prefix->len;

		first[i / 8] |= host ? 0 : prefix->addr[i / 8] & bit;
		last[i / 8] |= host ? bit : prefix->addr[i / 8] & bit;
	}
	for (i = 0; i < width; i++)
		within[i] = first[i] | ((uint8_t)random32() & (first[i] ^ last[i]));
	check(prefix->family, first);
	check(prefix->family, last);
	/* the reference is slow: one of the others at a time */
	switch (random_below(3)) {
	case 0:
		check(prefix->family, within);
		break;
	case 1:
		for (i = width - 1; i >= 0 && first[i]-- == 0; i--)
			;
		check(prefix->family, first);
		break;
	default:
		for (i = width - 1; i >= 0 && ++last[i] == 0; i--)
			;
		check(prefix->family, last);
	}
}

static void change(uint8_t family)
{
	struct fib_prefix prefix = random_prefix(family), found, must;
	uint32_t gid, other;
	uint32_t what = random_below(100);

	if (what < 3) {
		uint32_t i = random_below(LOCALS);

		if (random_below(2)) {
			ck_assert_int_eq(fib_local_add(fib, table, family, local_addr[i]), 0);
			local_count[i]++;
		} else {
			ck_assert_int_eq(fib_local_del(fib, table, family, local_addr[i]),
					 local_count[i] ? 0 : -2);
			local_count[i] -= local_count[i] > 0;
		}
		memcpy(prefix.addr, local_addr[i], 16);
		prefix.len = family == AF_INET ? 32 : 128;
		if (random_below(2))
			check_edges(&prefix);
	} else if (what < 8) {
		gid = reference_lookup(ref, family, prefix.addr, prefix.len, &must);
		other = fib_route_covering(fib, &prefix, &found);
		if (other == FIB_GROUP_LOCAL) /* a local address without a route */
			return;
		ck_assert_uint_eq(other ? other : FIB_GROUP_NO_ROUTE, gid);
		must.table = table;
		if (other)
			ck_assert_mem_eq(&found, &must, sizeof(found));
		return;
	} else if (what < (n_live < LIVE ? 60u : 50u) && n_live < LIVE + 5000) {
		gid = group[random_below(GROUPS)];
		ck_assert_int_eq(fib_route_set(fib, &prefix, gid), 0);
		if (!reference_set(ref, &prefix, gid))
			live[n_live++] = prefix;
	} else {
		uint32_t i = n_live ? random_below((uint32_t)n_live) : 0;

		if (n_live && random_below(10))
			prefix = live[i];
		gid = reference_set(ref, &prefix, 0);
		ck_assert_int_eq(fib_route_del(fib, &prefix), gid ? 0 : -2);
		if (gid && !memcmp(&prefix, &live[i], sizeof(prefix)))
			live[i] = live[--n_live];
		/* a stale entry of live[] is only one more prefix to try */
	}
	check_edges(&prefix);
}

static void count_route(void *arg, const struct fib_prefix *prefix, uint32_t gid)
{
	size_t *count = arg;

	ck_assert_uint_eq(reference_get(ref, prefix), gid);
	++*count;
}

static void check_walk(uint8_t family)
{
	size_t count = 0, calls = 0;
	struct fib_cursor cursor = {0};

	while (fib_route_walk(fib, table, family, &cursor, 1000, count_route, &count))
		calls++;
	ck_assert_uint_eq(count, reference_count(ref, family));
	ck_assert_uint_ge(calls + 1, count / 1000);
}

static void delete_all(uint8_t family)
{
	for (size_t i = 0; i < n_live; i++) {
		bool was = reference_set(ref, &live[i], 0);

		ck_assert_int_eq(fib_route_del(fib, &live[i]), was ? 0 : -2);
		if (i % 64 == 0)
			check_edges(&live[i]);
	}
	n_live = 0;
	ck_assert_uint_eq(reference_count(ref, family), 0);
}

static void batch_now_and_then(void)
{
	if (batch && !--batch) {
		fib_batch_end(fib);
	} else if (!batch && random_below(100) == 0) {
		batch = 1 + random_below(50);
		fib_batch_begin(fib);
	}
}

static void run(uint8_t family, const struct fib_geometry *geometry, uint32_t operations,
		uint32_t kernel_table)
{
	struct fib_stats stats;
	uint64_t epoch = 0;

	random_start(family + geometry->slots);
	fixture_open(geometry);
	ck_assert_int_eq(fib_table_open(fib, kernel_table, &table), 0);
	tiny = geometry == &geometry_tiny;
	ref = reference_new();
	live = calloc(operations, sizeof(*live));
	for (unsigned int i = 0; i < GROUPS; i++)
		group[i] = i == 3 ? FIB_GROUP_BLACKHOLE : i == 4 ? FIB_GROUP_REJECT : group_one(i);
	for (unsigned int i = 0; i < LOCALS; i++) {
		struct fib_prefix prefix = random_prefix(family);

		memcpy(local_addr[i], prefix.addr, 16);
	}
	for (uint32_t i = 0; i < operations; i++) {
		change(family);
		batch_now_and_then();
		if (random_below(20000) == 0)
			fib_compact(fib, true);
		if (random_below(500) == 0) {
			if (epoch)
				fib_reclaim_end(fib, epoch);
			epoch = epoch && random_below(2) ? 0 : fib_reclaim_begin(fib);
		}
		if (i % (operations / 4) == operations / 8)
			check_walk(family);
	}
	if (batch)
		fib_batch_end(fib);
	batch = 0;
	for (unsigned int i = 0; i < LOCALS; i++) {
		for (; local_count[i]; local_count[i]--)
			ck_assert_int_eq(fib_local_del(fib, table, family, local_addr[i]), 0);
	}
	/* what is left fits after a while, and is then exactly right */
	while (tiny && n_live > 3) {
		struct fib_prefix prefix = live[--n_live];
		bool was = reference_set(ref, &prefix, 0);

		ck_assert_int_eq(fib_route_del(fib, &prefix), was ? 0 : -2);
	}
	reclaim();
	reclaim();
	fib_stats(fib, &stats);
	ck_assert_uint_eq(stats.v4_overflow + stats.v6_overflow, 0);
	if (tiny)
		ck_assert_uint_gt(overflows, operations / 100);
	tiny = false;
	for (size_t i = 0; i < n_live; i++)
		check_edges(&live[i]);
	check_walk(family);
	delete_all(family);
	for (unsigned int i = 0; i < GROUPS; i++) {
		if (group[i] >= FIB_GROUP_FIRST)
			ck_assert_int_eq(fib_group_drop(fib, group[i]), 0);
	}
	ck_no_leaks();
	free(live);
	reference_free(ref);
	fixture_close();
}

START_TEST(random_v4)
{
	run(AF_INET, &geometry_full, OPERATIONS, RT_TABLE_MAIN);
}
END_TEST

START_TEST(random_v6)
{
	run(AF_INET6, &geometry_full, OPERATIONS, RT_TABLE_MAIN);
}
END_TEST

START_TEST(random_v4_without_room)
{
	run(AF_INET, &geometry_tiny, OPERATIONS / 4, RT_TABLE_MAIN);
}
END_TEST

START_TEST(random_v6_without_room)
{
	run(AF_INET6, &geometry_tiny, OPERATIONS / 4, RT_TABLE_MAIN);
}
END_TEST

START_TEST(random_v4_vrf)
{
	run(AF_INET, &geometry_full, OPERATIONS / 4, 1001);
}
END_TEST

START_TEST(random_v6_vrf)
{
	run(AF_INET6, &geometry_full, OPERATIONS / 4, 1001);
}
END_TEST

START_TEST(random_v4_vrf_without_room)
{
	run(AF_INET, &geometry_tiny, OPERATIONS / 4, 1001);
}
END_TEST

TCase *random_case(void)
{
	TCase *tc = tcase_create("random");

	tcase_set_timeout(tc, 300);
	tcase_add_test(tc, random_v4);
	tcase_add_test(tc, random_v6);
	tcase_add_test(tc, random_v4_without_room);
	tcase_add_test(tc, random_v6_without_room);
	tcase_add_test(tc, random_v4_vrf);
	tcase_add_test(tc, random_v6_vrf);
	tcase_add_test(tc, random_v4_vrf_without_room);
	return tc;
}
