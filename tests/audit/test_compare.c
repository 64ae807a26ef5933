// SPDX-License-Identifier: GPL-2.0-or-later
/* Sets of next hops, records, and what three ways mean together. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "dplane_ebpf/audit/marks.h"
#include "dplane_ebpf/audit/snapshot.h"
#include "tests/audit/test_audit.h"
#include "tests/fib/fixture.h"

static struct snapshot snapshot;

static void setup(void)
{
	ck_assert_int_eq(snapshot_init(&snapshot), 0);
}

static void teardown(void)
{
	snapshot_fini(&snapshot);
}

/* A next hop by interface and last byte of an IPv4 gateway. */
static struct fib_member hop(uint32_t ifindex, uint8_t gate, uint32_t weight)
{
	return (struct fib_member){
		.nexthop = {.ifindex = ifindex, .family = AF_INET, .gate = {10, 0, 0, gate}},
		.weight = weight,
	};
}

static uint32_t way1(struct fib_member a)
{
	return ways_of(snapshot.ways, &a, 1);
}

static uint32_t way2(struct fib_member a, struct fib_member b)
{
	struct fib_member both[] = {a, b};

	return ways_of(snapshot.ways, both, 2);
}

START_TEST(ways_are_sets)
{
	uint32_t a = way1(hop(1, 1, 1)), ab = way2(hop(1, 1, 1), hop(2, 2, 1));
	const struct fib_member *member;
	size_t n;

	ck_assert_uint_ge(a, WAY_FIRST);
	ck_assert_uint_ne(a, ab);
	ck_assert_uint_eq(way1(hop(1, 1, 0)), a);
	ck_assert_uint_eq(way2(hop(2, 2, 1), hop(1, 1, 1)), ab);
	ck_assert_uint_eq(way2(hop(1, 1, 1), hop(1, 1, 1)), way1(hop(1, 1, 2)));
	ck_assert_uint_ne(way1(hop(1, 1, 2)), a);
	ck_assert_uint_ne(way1(hop(2, 1, 1)), a);
	ck_assert_uint_ne(way1(hop(1, 2, 1)), a);
	ck_assert(ways_within(snapshot.ways, a, ab));
	ck_assert(!ways_within(snapshot.ways, ab, a));
	ck_assert(ways_within(snapshot.ways, way1(hop(1, 1, 7)), a));
	ck_assert(!ways_within(snapshot.ways, WAY_NONE, a));
	ck_assert_uint_eq(ways_of(snapshot.ways, NULL, 0), WAY_UNKNOWN);
	member = ways_members(snapshot.ways, ab, &n);
	ck_assert_uint_eq(n, 2);
	ck_assert_uint_eq(member[0].nexthop.ifindex, 1);
	ck_assert_ptr_null(ways_members(snapshot.ways, FIB_GROUP_BLACKHOLE, &n));
	ck_assert_uint_eq(n, 0);
}
END_TEST

START_TEST(many_ways)
{
	uint32_t way[5000];
	struct fib_member member;

	for (uint32_t round = 0; round < 2; round++) {
		for (uint32_t i = 0; i < 5000; i++) {
			uint32_t found;

			member = hop(i / 250 + 1, (uint8_t)(i % 250), 1);
			found = ways_of(snapshot.ways, &member, 1);
			if (!round)
				way[i] = found;
			ck_assert_uint_eq(found, way[i]);
			ck_assert_uint_eq(found, WAY_FIRST + i);
		}
	}
}
END_TEST

START_TEST(records_are_found)
{
	static const char *const text[] = {"10.0.0.0/8",    "0.0.0.0/0",      "10.0.0.0/9",
					   "2001:db8::/32", "192.0.2.128/25", "::/0",
					   "192.0.2.0/24"};
	struct fib_prefix prefix, back, vrf;

	for (size_t i = 0; i < sizeof(text) / sizeof(text[0]); i++) {
		prefix = prefix_of(text[i]);
		snapshot_add(&snapshot, &prefix)->rib = 100 + (uint32_t)i;
	}
	vrf = prefix_of("10.0.0.0/8");
	vrf.table = 3;
	snapshot_add(&snapshot, &vrf)->rib = 99;
	snapshot_sort(&snapshot);
	ck_assert_uint_eq(snapshot.n, sizeof(text) / sizeof(text[0]) + 1);
	for (size_t i = 0; i < sizeof(text) / sizeof(text[0]); i++) {
		prefix = prefix_of(text[i]);
		ck_assert_uint_eq(snapshot_find(&snapshot, &prefix)->rib, 100 + i);
		record_prefix(snapshot_find(&snapshot, &prefix), &back);
		ck_assert(!memcmp(&back, &prefix, sizeof(back)));
	}
	ck_assert_uint_eq(snapshot_find(&snapshot, &vrf)->rib, 99);
	prefix = prefix_of("10.0.0.0/10");
	ck_assert_ptr_null(snapshot_find(&snapshot, &prefix));
}
END_TEST

static void kernel_has(const char *text, uint32_t way, uint32_t metric, bool local, bool add)
{
	struct kernel_route route = {
		.prefix = prefix_of(text), .way = way, .metric = metric, .local = local};

	snapshot_kernel(&snapshot, &route, add);
}

static uint32_t kernel_of(const char *text)
{
	struct fib_prefix prefix = prefix_of(text);

	return snapshot_find(&snapshot, &prefix)->kernel;
}

START_TEST(kernels_best_metric)
{
	static const char *const v4 = "10.0.0.0/8", *const v6 = "2001:db8::/32";
	static const char *const other = "10.1.0.0/16";
	struct fib_prefix prefix = prefix_of(v4);

	snapshot_add(&snapshot, &prefix)->rib = 20;
	prefix = prefix_of(v6);
	snapshot_add(&snapshot, &prefix)->rib = 20;
	snapshot_sort(&snapshot);
	kernel_has(v4, 21, 30, false, true);
	kernel_has(v4, 22, 20, false, true);
	kernel_has(v4, 20, 20, false, true);
	kernel_has(v4, 24, 40, false, true);
	ck_assert_uint_eq(kernel_of(v4), 22);
	kernel_has(v6, 22, 20, false, true);
	ck_assert_uint_eq(kernel_of(v6), 22);
	kernel_has(v6, 22, 20, false, true);
	ck_assert_uint_eq(kernel_of(v6), 22);
	/* which the kernel chooses of these, only it knows */
	kernel_has(v6, 20, 20, false, true);
	kernel_has(v6, 22, 20, false, true);
	ck_assert_uint_eq(kernel_of(v6), WAY_ODD_BY(METRICS));
	kernel_has(v6, 23, 19, false, true);
	ck_assert_uint_eq(kernel_of(v6), 23);
	/* one that nobody knew, told thrice */
	kernel_has(other, 25, 30, false, false);
	kernel_has(other, 26, 30, false, true);
	kernel_has(other, 27, 10, false, true);
	kernel_has(other, 28, 20, false, true);
	snapshot_sort(&snapshot);
	ck_assert_uint_eq(snapshot.n, 3);
	ck_assert_uint_eq(kernel_of(other), 27);
}
END_TEST

/* What is for some packets of a prefix only stays odd, in whatever order it is told; the local table comes before all. */
START_TEST(kernels_odd_routes)
{
	static const struct {
		uint32_t way, metric;
		bool local;
	} told[] = {
		{20, 10, false},
		{WAY_ODD_BY(TOS), 50, false},
		{WAY_ODD_BY(ENCAPSULATION), 20, false},
		{30, 5, true},
	};
	static const char *const prefix = "192.0.2.0/24";
	static const uint8_t orders[][4] = {{0, 1, 2, 3}, {1, 0, 2, 3}, {2, 1, 0, 3}, {0, 2, 1, 3}};

	for (size_t known = 0; known < 2; known++) {
		for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
			struct fib_prefix key = prefix_of(prefix);

			snapshot.n = snapshot.sorted = 0;
			if (known)
				snapshot_add(&snapshot, &key);
			for (size_t k = 0; k < 3; k++)
				kernel_has(prefix, told[orders[i][k]].way,
					   told[orders[i][k]].metric, false, true);
			snapshot_sort(&snapshot);
			ck_assert_uint_eq(snapshot.n, 1);
			ck_assert(kernel_of(prefix) & WAY_ODD);
			ck_assert(kernel_of(prefix) & 1u << ODDITY_TOS);
		}
	}
	/* the best of these is plain */
	snapshot.n = snapshot.sorted = 0;
	kernel_has(prefix, 20, 10, false, true);
	kernel_has(prefix, WAY_ODD_BY(ENCAPSULATION), 20, false, true);
	kernel_has(prefix, WAY_ODD_BY(TYPES), 30, false, true);
	ck_assert_uint_eq(kernel_of(prefix), 20);
	kernel_has(prefix, WAY_ODD_BY(TYPES), 5, false, true);
	ck_assert_uint_eq(kernel_of(prefix), WAY_ODD_BY(TYPES));
	kernel_has(prefix, FIB_GROUP_LOCAL, 0, true, true);
	kernel_has(prefix, 21, 0, false, true);
	kernel_has(prefix, WAY_ODD_BY(TOS), 0, false, true);
	ck_assert_uint_eq(kernel_of(prefix), FIB_GROUP_LOCAL);
}
END_TEST

START_TEST(what_is_ignored)
{
	static const char *const ignored[] = {"224.0.0.0/4", "239.1.0.0/16", "127.0.0.0/8",
					      "ff00::/8",    "fe80::/64",    "fe80::1/128",
					      "::1/128"};
	static const char *const compared[] = {"0.0.0.0/0", "128.0.0.0/1", "126.0.0.0/7",
					       "::/0",	    "fec0::/10",   "fc00::/7",
					       "::2/128",   "f000::/4"};
	struct fib_prefix prefix;

	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++) {
		prefix = prefix_of(ignored[i]);
		ck_assert_msg(snapshot_ignores(&prefix), "%s", ignored[i]);
	}
	for (size_t i = 0; i < sizeof(compared) / sizeof(compared[0]); i++) {
		prefix = prefix_of(compared[i]);
		ck_assert_msg(!snapshot_ignores(&prefix), "%s", compared[i]);
	}
}
END_TEST

/* Ways by letter, and what is to be found. */
struct expectation {
	const char *rib, *kernel, *ours;
	uint8_t flags;
	uint32_t kinds;
};

static uint32_t way_of(const char *text)
{
	static const struct {
		const char *text;
		uint32_t way;
	} words[] = {
		{"-", WAY_NONE},
		{"changing", WAY_CHANGING},
		{"unknown", WAY_UNKNOWN},
		{"local", FIB_GROUP_LOCAL},
		{"reject", FIB_GROUP_REJECT},
		{"unsupported", FIB_GROUP_UNSUPPORTED},
		{"overflow", FIB_GROUP_OVERFLOW},
		{"blackhole", FIB_GROUP_BLACKHOLE},
		{"kernel", FIB_GROUP_KERNEL},
		{"throw", WAY_ODD_BY(TYPES)},
		{"tos", WAY_ODD_BY(TOS)},
		{"encap", WAY_ODD_BY(ENCAPSULATION)},
		{"id", WAY_ODD_BY(NEXTHOP_ID)},
	};
	struct fib_member six = {
		.nexthop = {.ifindex = 1, .family = AF_INET6, .gate = {0xfe, 0x80}}, .weight = 1};
	struct fib_member stand_in = {
		.nexthop = {.ifindex = 1, .family = AF_INET, .gate = {169, 254, 0, 1}},
		.weight = 1};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (!strcmp(words[i].text, text))
			return words[i].way;
	}
	if (!strcmp(text, "a"))
		return way1(hop(1, 1, 1));
	if (!strcmp(text, "b"))
		return way1(hop(2, 2, 1));
	if (!strcmp(text, "ab"))
		return way2(hop(1, 1, 1), hop(2, 2, 1));
	if (!strcmp(text, "a3b"))
		return way2(hop(1, 1, 3), hop(2, 2, 1));
	if (!strcmp(text, "six"))
		return ways_of(snapshot.ways, &six, 1);
	if (!strcmp(text, "standin"))
		return ways_of(snapshot.ways, &stand_in, 1);
	ck_abort_msg("no way %s", text);
}

#define KIND(kind) (1u << AUDIT_##kind)

START_TEST(kinds_of_differences)
{
	static const struct expectation cases[] = {
		{"a", "a", "a", 0, 0},
		{"ab", "ab", "ab", 0, 0},
		{"blackhole", "blackhole", "blackhole", 0, 0},
		{"reject", "reject", "reject", 0, 0},
		/* ours */
		{"a", "a", "-", 0, KIND(MISSING)},
		{"a", "a", "b", RECORD_COVERED, KIND(MISSING)},
		{"-", "-", "a", 0, KIND(LEFTOVER)},
		{"-", "a", "a", 0, KIND(LEFTOVER)},
		{"-", "-", "blackhole", 0, KIND(LEFTOVER)},
		{"a", "a", "b", 0, KIND(NEXTHOPS)},
		{"ab", "ab", "a", 0, KIND(NEXTHOPS)},
		{"ab", "ab", "a3b", 0, KIND(NEXTHOPS)},
		{"a", "a", "blackhole", 0, KIND(NEXTHOPS)},
		{"blackhole", "blackhole", "a", 0, KIND(NEXTHOPS)},
		{"unsupported", "unknown", "a", 0, KIND(NEXTHOPS)},
		{"a", "a", "a", RECORD_DAMAGED, KIND(DAMAGED)},
		/* left to the kernel */
		{"a", "a", "overflow", 0, 0},
		{"a", "a", "unsupported", 0, 0},
		{"unsupported", "unknown", "unsupported", 0, 0},
		{"local", "-", "local", RECORD_KERNEL_ANY, 0},
		/* the kernel */
		{"a", "-", "a", 0, KIND(KERNEL_MISSING)},
		{"unsupported", "-", "unsupported", 0, KIND(KERNEL_MISSING)},
		{"a", "-", "a", RECORD_KERNEL_ANY, 0},
		{"a", "b", "a", 0, KIND(KERNEL_NEXTHOPS)},
		{"a", "ab", "a", 0, KIND(KERNEL_NEXTHOPS)},
		{"a", "blackhole", "a", 0, KIND(KERNEL_NEXTHOPS)},
		{"reject", "blackhole", "reject", 0, KIND(KERNEL_NEXTHOPS)},
		{"ab", "a", "ab", 0, KIND(KERNEL_FEWER)},
		{"a3b", "ab", "a3b", 0, 0},
		{"a", "unknown", "a", 0, 0},
		{"six", "standin", "six", 0, 0},
		{"a", "standin", "a", 0, KIND(KERNEL_NEXTHOPS)},
		/* both */
		{"a", "-", "-", 0, KIND(MISSING) | KIND(KERNEL_MISSING)},
		/* routes that only the kernel has: ours has what covers them */
		{"-", "a", "b", RECORD_COVERED, KIND(KERNEL_UNKNOWN)},
		{"-", "blackhole", "b", RECORD_COVERED, KIND(KERNEL_UNKNOWN)},
		{"-", "a", "a", RECORD_COVERED, 0},
		{"-", "a", "-", RECORD_COVERED, 0},
		{"-", "a", "unsupported", RECORD_COVERED, 0},
		{"-", "a", "local", RECORD_COVERED, 0},
		{"-", "throw", "b", RECORD_COVERED, KIND(KERNEL_UNKNOWN)},
		{"-", "tos", "b", RECORD_COVERED, KIND(KERNEL_UNKNOWN)},
		{"-", "local", "b", RECORD_COVERED, KIND(KERNEL_UNKNOWN)},
		{"-", "local", "local", RECORD_COVERED, 0},
		{"-", "throw", "kernel", RECORD_COVERED, 0},
		/* the kernel has more than a set of next hops */
		{"a", "tos", "a", 0, KIND(KERNEL_MORE)},
		{"a", "encap", "a", 0, KIND(KERNEL_MORE)},
		{"a", "throw", "blackhole", 0, KIND(KERNEL_MORE) | KIND(NEXTHOPS)},
		{"unsupported", "encap", "unsupported", 0, 0},
		{"a", "tos", "unsupported", 0, 0},
		{"a", "local", "a", 0, KIND(KERNEL_NEXTHOPS)},
		{"a", "id", "a", 0, 0},
		/* links/ has laid it over: what the kernel has is what is done; ours can be wrong beneath */
		{"a", "tos", "a", RECORD_OVER, 0},
		{"a", "local", "a", RECORD_OVER, 0},
		{"a", "-", "a", RECORD_OVER, 0},
		{"a", "b", "b", RECORD_OVER, KIND(NEXTHOPS)},
		/* by the audit's own word: it differs as if that was not */
		{"a", "-", "a", RECORD_DOUBTED, KIND(KERNEL_MISSING)},
		/* what moves is not judged */
		{"changing", "-", "-", 0, 0},
		{"changing", "a", "b", 0, 0},
		{"a", "a", "changing", 0, 0},
		{"a", "changing", "a", 0, 0},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct record record = {
			.rib = way_of(cases[i].rib),
			.kernel = way_of(cases[i].kernel),
			.ours = way_of(cases[i].ours),
			.flags = cases[i].flags,
		};
		uint32_t found = compare(snapshot.ways, &record);

		ck_assert_msg(found == cases[i].kinds,
			      "zebra %s, kernel %s, ours %s, flags %x: %x instead of %x",
			      cases[i].rib, cases[i].kernel, cases[i].ours, cases[i].flags, found,
			      cases[i].kinds);
	}
}
END_TEST

START_TEST(settled_or_not)
{
	struct record record = {.rib = 20, .kernel = 21, .ours = 22};
	struct record changed;

	ck_assert(compare_settled(&record, true));
	ck_assert(compare_settled(&record, false));
	changed = record;
	changed.rib = 23;
	ck_assert(!compare_settled(&changed, false));
	changed = record;
	changed.kernel = 0;
	ck_assert(!compare_settled(&changed, false));
	changed = record;
	changed.ours = 20;
	ck_assert(!compare_settled(&changed, false));
	changed = record;
	changed.flags = RECORD_DAMAGED;
	ck_assert(!compare_settled(&changed, false));
	ck_assert(compare_settled(&changed, true));
}
END_TEST

START_TEST(marks_of_what_passes)
{
	struct fib_prefix one = prefix_of("192.0.2.0/24"), longer = prefix_of("192.0.2.0/25");
	struct fib_prefix six = prefix_of("2001:db8::/32"), vrf = one;

	vrf.table = 1;
	marks_leave(&one);
	marks_watch();
	ck_assert(!marks_has(&one));
	marks_leave(&one);
	marks_leave(&six);
	ck_assert(marks_has(&one) && marks_has(&six));
	ck_assert(!marks_has(&longer) && !marks_has(&vrf));
	marks_end();
	marks_leave(&longer);
	ck_assert(marks_has(&one) && !marks_has(&longer));
	marks_watch();
	ck_assert(!marks_has(&one));
	marks_end();
}
END_TEST

TCase *compare_case(void)
{
	TCase *tcase = tcase_create("compare");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, ways_are_sets);
	tcase_add_test(tcase, many_ways);
	tcase_add_test(tcase, records_are_found);
	tcase_add_test(tcase, kernels_best_metric);
	tcase_add_test(tcase, kernels_odd_routes);
	tcase_add_test(tcase, what_is_ignored);
	tcase_add_test(tcase, kinds_of_differences);
	tcase_add_test(tcase, settled_or_not);
	tcase_add_test(tcase, marks_of_what_passes);
	return tcase;
}
