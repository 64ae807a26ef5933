// SPDX-License-Identifier: GPL-2.0-or-later
/* Link metrics: what counts, what follows for groups, what is told of it, and when it ends. */
#include <arpa/inet.h>
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dplane_ebpf/notice.h"
#include "dplane_ebpf/paths/paths_internal.h"
#include "tests/fib/fixture.h"

static struct paths *paths;
static uint64_t told;

/* Members are gateways 1, 2, 3 of the fixture, each on a link of its own here. */
static struct fib_member on_link(uint32_t link, uint32_t gateway, uint32_t weight)
{
	struct fib_member member = member_of(gateway, weight);

	member.nexthop.ifindex = link;
	return member;
}

static void open_paths(void)
{
	fixture_open(&geometry_full);
	paths = paths_new(fib);
	ck_assert_ptr_nonnull(paths);
	paths_name(paths, 1, "eth1");
	paths_name(paths, 2, "eth2");
	paths_name(paths, 3, "eth3");
	told = notice_last();
}

static void close_paths(void)
{
	paths_stop(paths);
	ck_no_leaks();
	fixture_close();
}

static uint32_t group_on(uint32_t links, uint32_t weight_of_first)
{
	struct fib_member members[3];
	uint32_t group = 0;

	for (uint32_t i = 0; i < links; i++)
		members[i] = on_link(i + 1, i + 1, i ? 1 : weight_of_first);
	ck_assert_int_eq(fib_group_set(fib, &group, members, links), 0);
	return group;
}

static struct paths_override override_of(const char *interface, uint32_t has, uint32_t value)
{
	struct paths_override override = {.values.has = has};

	snprintf(override.interface, sizeof(override.interface), "%s", interface);
	override.values.metric = override.values.weight = value;
	override.values.drain = has & PATHS_DRAIN;
	return override;
}

static void configure(const struct paths_override *list, size_t n)
{
	ck_assert_int_eq(paths_configure(paths, list, n), 0);
}

/* The shares of the group's members, as published. */
static void ck_shares(uint32_t group, uint64_t a, uint64_t b, uint64_t c)
{
	const uint64_t expected[] = {a, b, c};
	struct fib_group_info info;

	ck_assert_int_eq(fib_group_get(fib, group, &info), 0);
	for (size_t i = 0; i < info.n; i++)
		ck_assert_msg(info.members[i].share == expected[i], "member %zu: %llu, not %llu", i,
			      (unsigned long long)info.members[i].share,
			      (unsigned long long)expected[i]);
	free(info.members);
}

static void ck_steered(uint32_t group, bool steered)
{
	struct fib_group_info info;

	ck_assert_int_eq(fib_group_get(fib, group, &info), 0);
	ck_assert_int_eq(info.steered, steered);
	free(info.members);
}

/* The next thing told is this, of this link. */
static void ck_told(enum notice_kind kind, const char *interface, const char *address)
{
	struct notice notice;

	ck_assert_uint_eq(notice_read(told, &notice, 1), 1);
	ck_assert_uint_eq(notice.number, ++told);
	ck_assert_int_eq(notice.kind, kind);
	ck_assert_str_eq(notice.interface, interface);
	ck_assert_str_eq(notice.address, address);
}

static void ck_told_all(void)
{
	ck_assert_uint_eq(notice_last(), told);
}

START_TEST(lowest_metric_gets_the_traffic)
{
	uint32_t group = group_on(3, 1);
	struct paths_override list[3] = {override_of("eth2", PATHS_METRIC, 5)};

	configure(list, 1);
	ck_shares(group, 0, 1, 0);
	list[1] = override_of("eth3", PATHS_METRIC, 5);
	configure(list, 2);
	ck_shares(group, 0, 1, 1);
	/* one that nothing is said of counts with 10 */
	list[0].values.metric = list[1].values.metric = PATHS_METRIC_DEFAULT;
	configure(list, 2);
	ck_shares(group, 1, 1, 1);
	ck_steered(group, false);
	list[0].values.metric = PATHS_METRIC_DEFAULT + 1;
	configure(list, 2);
	ck_shares(group, 1, 0, 1);
	configure(NULL, 0);
	ck_shares(group, 1, 1, 1);
	ck_steered(group, false);
	fib_group_drop(fib, group);
}
END_TEST

START_TEST(weights_split_among_the_lowest)
{
	uint32_t group = group_on(3, 4);
	struct paths_override list[2] = {override_of("eth2", PATHS_WEIGHT, 7)};

	configure(list, 1);
	ck_shares(group, 4, 7, 1);
	list[1] = override_of("eth1", PATHS_METRIC | PATHS_WEIGHT, 11);
	configure(list, 2);
	ck_shares(group, 0, 7, 1);
	fib_group_drop(fib, group);
}
END_TEST

START_TEST(drained_links_are_left)
{
	uint32_t group = group_on(3, 2);
	struct paths_override list[3] = {override_of("eth1", PATHS_DRAIN, 0)};

	configure(list, 1);
	ck_shares(group, 0, 1, 1);
	/* also where it alone has the lowest metric */
	list[0].values.has |= PATHS_METRIC;
	list[0].values.metric = 1;
	configure(list, 1);
	ck_shares(group, 0, 1, 1);
	list[0].values.has = PATHS_DRAIN;
	list[1] = override_of("eth2", PATHS_DRAIN, 0);
	list[2] = override_of("eth3", PATHS_DRAIN, 0);
	configure(list, 2);
	ck_shares(group, 0, 0, 1);
	/* nowhere to go: as if none were */
	configure(list, 3);
	ck_shares(group, 2, 1, 1);
	list[0].values.has |= PATHS_WEIGHT;
	list[0].values.weight = 9;
	list[1].values.has |= PATHS_METRIC;
	list[1].values.metric = PATHS_METRIC_DEFAULT + 1;
	configure(list, 3);
	ck_shares(group, 9, 0, 1);
	fib_group_drop(fib, group);
}
END_TEST

START_TEST(next_hop_before_link)
{
	struct fib_member members[2] = {on_link(1, 1, 1), on_link(1, 2, 1)};
	struct paths_override list[2] = {override_of("eth1", PATHS_WEIGHT, 2),
					 override_of("eth1", PATHS_WEIGHT, 5)};
	uint32_t group = 0;

	ck_assert_int_eq(fib_group_set(fib, &group, members, 2), 0);
	list[1].family = members[1].nexthop.family;
	memcpy(list[1].address, members[1].nexthop.gate, sizeof(list[1].address));
	configure(list, 2);
	ck_shares(group, 2, 5, 0);
	fib_group_drop(fib, group);
}
END_TEST

START_TEST(an_override_waits_for_its_interface)
{
	struct paths_override override = override_of("late0", PATHS_METRIC, 1);
	struct fib_member members[2] = {on_link(1, 1, 1), on_link(7, 2, 1)};
	struct paths_link_info *info;
	uint32_t group = 0;

	configure(&override, 1);
	ck_assert_int_eq(fib_group_set(fib, &group, members, 2), 0);
	ck_shares(group, 1, 1, 0);
	ck_assert_uint_eq(paths_links(paths, &info), 3);
	ck_assert_str_eq(info[2].interface, "late0");
	ck_assert_int_eq(info[2].state, PATHS_WAITING);
	free(info);
	paths_name(paths, 7, "other");
	ck_shares(group, 1, 1, 0);
	paths_name(paths, 7, "late0");
	ck_shares(group, 0, 1, 0);
	paths_name(paths, 7, "renamed");
	ck_shares(group, 1, 1, 0);
	paths_name(paths, 7, "late0");
	paths_name(paths, 7, NULL);
	ck_shares(group, 1, 1, 0);
	fib_group_drop(fib, group);
}
END_TEST

START_TEST(time_runs_out)
{
	struct paths_override list[2] = {override_of("eth1", PATHS_METRIC, 1),
					 override_of("eth2", PATHS_DRAIN, 0)};
	uint32_t group = group_on(3, 1);
	int64_t now = time(NULL);

	list[0].expires = now + 100;
	list[1].expires = now + 50;
	configure(list, 2);
	ck_told(NOTICE_OVERRIDE_SET, "eth1", "");
	ck_told(NOTICE_OVERRIDE_SET, "eth2", "");
	ck_shares(group, 1, 0, 0);
	ck_assert_int_eq(paths_expire(paths, now + 49), now + 50);
	ck_told_all();
	ck_assert_int_eq(paths_expire(paths, now + 50), now + 100);
	ck_told(NOTICE_OVERRIDE_EXPIRED, "eth2", "");
	ck_assert_int_eq(paths_expire(paths, now + 100), 0);
	ck_told(NOTICE_OVERRIDE_EXPIRED, "eth1", "");
	ck_shares(group, 1, 1, 1);
	/* the same again is no change, and is over already */
	list[0].expires = now - 1;
	configure(list, 1);
	ck_told(NOTICE_OVERRIDE_CHANGED, "eth1", "");
	ck_told(NOTICE_OVERRIDE_EXPIRED, "eth1", "");
	ck_told(NOTICE_OVERRIDE_REMOVED, "eth2", "");
	ck_shares(group, 1, 1, 1);
	configure(list, 1);
	ck_told_all();
	fib_group_drop(fib, group);
}
END_TEST

START_TEST(values_and_their_sources)
{
	const struct paths_values hop = {.has = PATHS_WEIGHT, .weight = 3};
	const struct paths_values link = {.has = PATHS_METRIC | PATHS_WEIGHT | PATHS_DELAY,
					  .metric = 20,
					  .weight = 9,
					  .delay = 100};
	const struct paths_values measured = {
		.has = PATHS_DELAY | PATHS_LOSS, .delay = 5, .loss = 7};
	struct paths_values effective;
	enum paths_source source[16];

	paths_effective(&hop, &link, &measured, &effective, source);
	ck_assert_uint_eq(effective.has, PATHS_METRIC | PATHS_WEIGHT | PATHS_DELAY | PATHS_LOSS);
	ck_assert_uint_eq(effective.metric, 20);
	ck_assert_uint_eq(effective.weight, 3);
	ck_assert_uint_eq(effective.delay, 100);
	ck_assert_uint_eq(effective.loss, 7);
	ck_assert_int_eq(source[0], PATHS_OF_LINK);
	ck_assert_int_eq(source[1], PATHS_OF_LINK);
	ck_assert_int_eq(source[5], PATHS_MEASURED);
	ck_assert_int_eq(source[9], PATHS_OF_NEXTHOP);
	paths_effective(NULL, NULL, NULL, &effective, source);
	ck_assert_uint_eq(effective.has, PATHS_METRIC);
	ck_assert_uint_eq(effective.metric, PATHS_METRIC_DEFAULT);
	ck_assert_int_eq(source[0], PATHS_DEFAULT);
}
END_TEST

START_TEST(a_thousand_overrides)
{
	struct paths_override *list = calloc(1000, sizeof(*list));
	uint32_t group = group_on(3, 1);

	for (uint32_t i = 0; i < 1000; i++) {
		list[i] = override_of("", PATHS_METRIC, 1000 - i);
		snprintf(list[i].interface, sizeof(list[i].interface), "eth%u", i);
	}
	configure(list, 1000);
	/* eth1, eth2, eth3 have 999, 998, 997 */
	ck_shares(group, 0, 0, 1);
	configure(NULL, 0);
	ck_shares(group, 1, 1, 1);
	free(list);
	fib_group_drop(fib, group);
}
END_TEST

START_TEST(stopping_ends_steering)
{
	struct paths_override override = override_of("eth1", PATHS_METRIC, 1);
	uint32_t group = group_on(3, 1);

	configure(&override, 1);
	ck_shares(group, 1, 0, 0);
	paths_stop(paths);
	paths = NULL;
	ck_shares(group, 1, 1, 1);
	fib_group_drop(fib, group);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("paths");
	TCase *tc = tcase_create("paths");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tc, open_paths, close_paths);
	tcase_add_test(tc, lowest_metric_gets_the_traffic);
	tcase_add_test(tc, weights_split_among_the_lowest);
	tcase_add_test(tc, drained_links_are_left);
	tcase_add_test(tc, next_hop_before_link);
	tcase_add_test(tc, an_override_waits_for_its_interface);
	tcase_add_test(tc, time_runs_out);
	tcase_add_test(tc, values_and_their_sources);
	tcase_add_test(tc, a_thousand_overrides);
	tcase_add_test(tc, stopping_ends_steering);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
