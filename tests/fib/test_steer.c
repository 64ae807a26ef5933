// SPDX-License-Identifier: GPL-2.0-or-later
/* Steering: shares that somebody else gives, fewest moves on the way there, and none left on the way back. */
#include <stdlib.h>
#include <string.h>

#include "tests/fib/fixture.h"

#define MEMBERS 8

/* What the steerer says, by gateway number; 0: nothing. */
static uint32_t wanted[MEMBERS + 1];
static bool steering;
static unsigned int asked;

static bool steerer(void *arg, struct fib_candidate *candidates, size_t n)
{
	asked++;
	for (size_t i = 0; i < n && steering; i++) {
		for (uint32_t gate = 1; gate <= MEMBERS; gate++) {
			struct fib_member member = member_of(gate, 1);

			if (memcmp(candidates[i].key, &member.nexthop, sizeof(member.nexthop)) == 0)
				candidates[i].weight = wanted[gate];
		}
	}
	return steering;
}

static void open_full(void)
{
	fixture_open(&geometry_full);
	steering = false;
	memset(wanted, 0, sizeof(wanted));
	ck_assert_int_eq(fib_steer(fib, steerer, NULL), 0);
}

static void close_full(void)
{
	ck_no_leaks();
	fixture_close();
}

static uint32_t group_of(const uint32_t *weights)
{
	struct fib_member members[MEMBERS];
	uint32_t group = 0;
	size_t n = 0;

	for (uint32_t i = 0; i < MEMBERS; i++) {
		if (weights[i])
			members[n++] = member_of(i + 1, weights[i]);
	}
	ck_assert_int_eq(fib_group_set(fib, &group, members, n), 0);
	return group;
}

/* A group's slots, each flow's member among the largest number there can be. */
struct flows {
	uint16_t of[FIB_MAX_GROUP_SLOTS];
	uint32_t slots;
};

static void flows_read(uint32_t group, struct flows *flows)
{
	flows->slots = slots_read(group, flows->of);
	for (uint32_t i = flows->slots; i < FIB_MAX_GROUP_SLOTS; i++)
		flows->of[i] = flows->of[i & (flows->slots - 1)];
}

static void steer(const uint32_t *shares)
{
	steering = shares != NULL;
	for (uint32_t i = 0; shares && i < MEMBERS; i++)
		wanted[i + 1] = shares[i];
	fib_steer_again(fib, NULL, 0);
}

/* Each member's slots are its share of them, to within one. */
static void ck_shares(uint32_t group, const uint32_t *shares)
{
	struct flows flows;
	double total = 0;

	flows_read(group, &flows);
	for (uint32_t i = 0; i < MEMBERS; i++)
		total += shares[i];
	for (uint32_t i = 0; i < MEMBERS; i++) {
		uint32_t nexthop = nexthop_of(i + 1);
		double has = nexthop ? slots_count(flows.of, flows.slots, nexthop) : 0;
		double ideal = flows.slots * shares[i] / total;

		ck_assert_msg(has > ideal - 1 && has < ideal + 1, "%u: %g of %g, %u slots", i, has,
			      ideal, flows.slots);
	}
}

/* How many of the flows must change, whatever one does: what members win. */
static void ck_fewest_moves(const struct flows *before, const struct flows *after)
{
	uint32_t moved = 0, won = 0,
		 n = after->slots > before->slots ? after->slots : before->slots;

	for (uint32_t i = 0; i < n; i++)
		moved += before->of[i] != after->of[i];
	for (uint32_t gate = 1; gate <= MEMBERS; gate++) {
		uint32_t nexthop = nexthop_of(gate), had, has;

		if (!nexthop)
			continue;
		had = slots_count(before->of, n, nexthop);
		has = slots_count(after->of, n, nexthop);
		won += has > had ? has - had : 0;
	}
	ck_assert_uint_eq(moved, won);
}

START_TEST(shares_are_those_of_the_steerer)
{
	const uint32_t equal[MEMBERS] = {1, 1, 1}, first[MEMBERS] = {1}, split[MEMBERS] = {3, 1, 0};
	uint32_t group = group_of(equal);
	struct fib_group_info info;
	struct flows before, after;
	struct fib_stats stats;

	flows_read(group, &before);
	steer(first);
	ck_shares(group, first);
	fib_group_get(fib, group, &info);
	ck_assert(info.steered);
	ck_assert_uint_eq(info.members[0].share, 1);
	ck_assert_uint_eq(info.members[1].share, 0);
	ck_assert_uint_eq(info.members[1].weight, 1);
	free(info.members);
	ck_assert_int_eq(fib_group_verify(fib, group), 0);
	steer(split);
	ck_shares(group, split);
	fib_stats(fib, &stats);
	ck_assert_uint_eq(stats.groups_steered, 1);
	steer(NULL);
	flows_read(group, &after);
	ck_assert_uint_eq(after.slots, before.slots);
	ck_assert_mem_eq(after.of, before.of, sizeof(before.of));
	fib_stats(fib, &stats);
	ck_assert_uint_eq(stats.groups_steered, 0);
	fib_group_drop(fib, group);
}
END_TEST

START_TEST(nothing_for_anybody_is_as_zebra_says)
{
	const uint32_t equal[MEMBERS] = {1, 2}, none[MEMBERS] = {0};
	uint32_t group = group_of(equal);

	steer(none);
	ck_shares(group, equal);
	fib_group_drop(fib, group);
}
END_TEST

/* Any shares after any others, members failing and coming back in between: exact, with the fewest moves, and home again. */
START_TEST(random_shares_move_the_fewest_flows)
{
	random_start(21);
	for (int round = 0; round < 60; round++) {
		uint32_t weights[MEMBERS] = {0}, shares[MEMBERS],
			 members = 2 + random_below(MEMBERS - 1);
		struct flows home, before, after;
		uint32_t group;

		for (uint32_t i = 0; i < members; i++)
			weights[i] = 1 + random_below(5);
		steering = false;
		group = group_of(weights);
		/* home is then another place than a new group's slots */
		set_down(1, true);
		set_down(2, true);
		set_down(1, false);
		set_down(2, false);
		flows_read(group, &home);
		for (int change = random_below(20); change >= 0; change--) {
			for (uint32_t i = 0; i < MEMBERS; i++)
				shares[i] = i < members && random_below(3) ? random_below(40) : 0;
			if (!shares[0])
				shares[0] = 1 + random_below(3);
			flows_read(group, &before);
			steer(shares);
			flows_read(group, &after);
			ck_shares(group, shares);
			ck_fewest_moves(&before, &after);
			ck_assert_int_eq(fib_group_verify(fib, group), 0);
		}
		steer(NULL);
		flows_read(group, &after);
		ck_assert_uint_eq(after.slots, home.slots);
		ck_assert_mem_eq(after.of, home.of, sizeof(home.of));
		fib_group_drop(fib, group);
		reclaim();
	}
}
END_TEST

START_TEST(a_failure_while_steered)
{
	const uint32_t equal[MEMBERS] = {1, 1, 1}, split[MEMBERS] = {6, 3, 1};
	const uint32_t without[MEMBERS] = {0, 3, 1}, two[MEMBERS] = {0, 1, 1};
	uint32_t group = group_of(equal);

	steer(split);
	set_down(1, true);
	ck_shares(group, without);
	steer(NULL);
	ck_shares(group, two);
	set_down(1, false);
	ck_shares(group, equal);
	steer(split);
	set_down(1, true);
	set_down(1, false);
	ck_shares(group, split);
	/* with one left, or none, there is nothing to steer */
	asked = 0;
	set_down(1, true);
	set_down(2, true);
	ck_assert_uint_eq(asked, 1);
	set_down(3, true);
	ck_assert_uint_eq(asked, 1);
	ck_shares(group, equal);
	fib_group_drop(fib, group);
}
END_TEST

/* zebra gives a route another group: at no moment is it without steering, and flows stay. */
START_TEST(a_new_group_of_zebra_follows)
{
	const uint32_t three[MEMBERS] = {1, 1, 1}, two[MEMBERS] = {1, 1},
		       split[MEMBERS] = {3, 1, 4};
	uint32_t first, second;
	struct flows before, after, home;

	first = group_of(three);
	route_set("192.0.2.0/24", first);
	flows_read(first, &home);
	steer(split);
	flows_read(first, &before);
	second = group_of(three);
	ck_shares(second, split);
	route_set("192.0.2.0/24", second);
	flows_read(second, &after);
	ck_assert_mem_eq(after.of, before.of, sizeof(before.of));
	fib_group_drop(fib, first);
	steer(NULL);
	flows_read(second, &after);
	ck_assert_mem_eq(after.of, home.of, sizeof(home.of));
	steer(split);
	first = group_of(two);
	flows_read(second, &before);
	route_set("192.0.2.0/24", first);
	flows_read(first, &after);
	ck_fewest_moves(&before, &after);
	route_del("192.0.2.0/24");
	fib_group_drop(fib, first);
	fib_group_drop(fib, second);
}
END_TEST

START_TEST(only_groups_on_the_link_are_asked_again)
{
	const uint32_t equal[MEMBERS] = {1, 1};
	uint32_t group = group_of(equal), ifindex = member_of(1, 1).nexthop.ifindex;
	const uint32_t other = ifindex + 1000;

	asked = 0;
	fib_steer_again(fib, &other, 1);
	ck_assert_uint_eq(asked, 0);
	fib_steer_again(fib, &ifindex, 1);
	ck_assert_uint_eq(asked, 1);
	fib_group_drop(fib, group);
}
END_TEST

TCase *steer_case(void)
{
	TCase *tc = tcase_create("steer");

	tcase_add_checked_fixture(tc, open_full, close_full);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, shares_are_those_of_the_steerer);
	tcase_add_test(tc, nothing_for_anybody_is_as_zebra_says);
	tcase_add_test(tc, random_shares_move_the_fewest_flows);
	tcase_add_test(tc, a_failure_while_steered);
	tcase_add_test(tc, a_new_group_of_zebra_follows);
	tcase_add_test(tc, only_groups_on_the_link_are_asked_again);
	return tc;
}
