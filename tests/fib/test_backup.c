// SPDX-License-Identifier: GPL-2.0-or-later
/* Backup next hops: for failure, not for balancing. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fib/fixture.h"

static void open_full(void)
{
	fixture_open(&geometry_full);
}

static void close_full(void)
{
	ck_no_leaks();
	fixture_close();
}

/* Gateway number n, with these backups; 0 ends them. */
static struct fib_member protected_member(uint32_t n, uint32_t first, uint32_t second)
{
	struct fib_member member = member_of(n, 1);

	if (first)
		member.backup[0] = member_of(first, 1).nexthop;
	if (second)
		member.backup[1] = member_of(second, 1).nexthop;
	return member;
}

/* The only next hop of a group of one slot. */
static uint32_t only_slot(uint32_t group)
{
	uint16_t slots[FIB_MAX_GROUP_SLOTS];

	ck_assert_uint_eq(slots_read(group, slots), 1);
	return slots[0];
}

START_TEST(backup_stands_in_for_the_only_member)
{
	struct fib_member member = protected_member(1, 2, 3);
	uint32_t group = 0;
	struct fib_stats stats;

	ck_assert_int_eq(fib_group_set(fib, &group, &member, 1), 0);
	ck_assert_uint_eq(only_slot(group), nexthop_of(1));
	/* a backup's own failure concerns nobody */
	set_down(2, true);
	ck_assert_uint_eq(only_slot(group), nexthop_of(1));
	set_down(1, true);
	ck_assert_uint_eq(only_slot(group), nexthop_of(3));
	set_down(2, false);
	ck_assert_uint_eq(only_slot(group), nexthop_of(2));
	fib_stats(fib, &stats);
	ck_assert_uint_eq(stats.groups_protected, 1);
	ck_assert_uint_eq(stats.failovers, 1);
	set_down(2, true);
	set_down(3, true);
	/* all are down: the member's own state decides */
	ck_assert_uint_eq(only_slot(group), nexthop_of(1));
	fib_stats(fib, &stats);
	ck_assert_uint_eq(stats.groups_protected, 0);
	set_down(2, false);
	set_down(1, false);
	ck_assert_uint_eq(only_slot(group), nexthop_of(1));
	fib_group_drop(fib, group);
}
END_TEST

START_TEST(survivors_come_before_backups)
{
	struct fib_member members[2] = {protected_member(1, 3, 0), protected_member(2, 4, 0)};
	uint16_t slots[64];
	uint32_t group = 0;

	members[1].weight = 3;
	ck_assert_int_eq(fib_group_set(fib, &group, members, 2), 0);
	ck_assert_uint_eq(slots_read(group, slots), 64);
	ck_assert_uint_eq(slots_count(slots, 64, nexthop_of(1)), 16);
	ck_assert_uint_eq(slots_count(slots, 64, nexthop_of(2)), 48);
	set_down(1, true);
	slots_read(group, slots);
	ck_assert_uint_eq(slots_count(slots, 64, nexthop_of(2)), 64);
	set_down(2, true);
	slots_read(group, slots);
	/* each gets the share of the member that it is for */
	ck_assert_uint_eq(slots_count(slots, 64, nexthop_of(3)), 16);
	ck_assert_uint_eq(slots_count(slots, 64, nexthop_of(4)), 48);
	set_down(3, true);
	slots_read(group, slots);
	ck_assert_uint_eq(slots_count(slots, 64, nexthop_of(4)), 64);
	set_down(1, false);
	slots_read(group, slots);
	ck_assert_uint_eq(slots_count(slots, 64, nexthop_of(1)), 64);
	fib_group_drop(fib, group);
}
END_TEST

/* IS-IS makes members of a group each other's backups. */
START_TEST(members_may_be_backups)
{
	struct fib_member members[2] = {protected_member(1, 2, 0), protected_member(2, 1, 3)};
	struct fib_group_info info;
	uint16_t slots[64];
	uint32_t group = 0;

	ck_assert_int_eq(fib_group_set(fib, &group, members, 2), 0);
	slots_read(group, slots);
	ck_assert_uint_eq(slots_count(slots, 64, nexthop_of(1)), 32);
	ck_assert_int_eq(fib_group_get(fib, group, &info), 0);
	ck_assert_uint_eq(info.n, 3);
	ck_assert_uint_eq(info.members[0].n_backups, 1);
	ck_assert_uint_eq(info.members[0].backup[0], 1);
	ck_assert_uint_eq(info.members[1].n_backups, 2);
	ck_assert_uint_eq(info.members[1].backup[0], 0);
	ck_assert_uint_eq(info.members[1].backup[1], 2);
	ck_assert_uint_eq(info.members[2].weight, 0);
	ck_assert_uint_eq(info.members[2].slots, 0);
	free(info.members);
	set_down(1, true);
	set_down(2, true);
	slots_read(group, slots);
	ck_assert_uint_eq(slots_count(slots, 64, nexthop_of(3)), 64);
	fib_group_drop(fib, group);
}
END_TEST

/* What zebra sends after a failure is what already is: no flow moves a second time. */
START_TEST(the_update_after_a_failover_moves_nothing)
{
	struct fib_member members[3] = {member_of(1, 1), member_of(2, 1), member_of(3, 1)};
	uint16_t before[64], after[64];
	uint32_t group = 0;
	struct fib_member survivors[2];

	ck_assert_int_eq(fib_group_set(fib, &group, members, 3), 0);
	set_down(2, true);
	slots_read(group, before);
	survivors[0] = members[2];
	survivors[1] = members[0];
	ck_assert_int_eq(fib_group_set(fib, &group, survivors, 2), 0);
	slots_read(group, after);
	ck_assert_mem_eq(before, after, sizeof(before));
	fib_group_drop(fib, group);
}
END_TEST

/* zebra gives other members another group: what its first route came from decides where flows are. */
START_TEST(a_new_group_goes_on_where_the_old_was)
{
	struct fib_member members[3] = {member_of(1, 1), member_of(2, 1), member_of(3, 1)};
	uint16_t all[64], failed[64], after[64];
	uint32_t group = 0, two = 0, again = 0;

	ck_assert_int_eq(fib_group_set(fib, &group, members, 3), 0);
	route_set("10.0.0.0/8", group);
	slots_read(group, all);
	set_down(1, true);
	slots_read(group, failed);

	ck_assert_int_eq(fib_group_set(fib, &two, &members[1], 2), 0);
	route_set("10.0.0.0/8", two);
	ck_assert_uint_eq(slots_read(two, after), 64);
	ck_assert_mem_eq(failed, after, sizeof(after));
	/* it has a route now, which others may not disturb */
	set_down(1, false);
	route_set("10.1.0.0/16", group);
	route_set("10.1.0.0/16", two);
	slots_read(two, after);
	ck_assert_mem_eq(failed, after, sizeof(after));

	/* back to three: a third moves, and nothing between the other two */
	ck_assert_int_eq(fib_group_set(fib, &again, members, 3), 0);
	route_set("10.0.0.0/8", again);
	slots_read(again, after);
	for (int i = 0; i < 64; i++)
		ck_assert(after[i] == failed[i] || after[i] == nexthop_of(1));
	ck_assert_uint_le(slots_count(after, 64, nexthop_of(1)), 22);
	route_del("10.0.0.0/8");
	route_del("10.1.0.0/16");
	fib_group_drop(fib, group);
	fib_group_drop(fib, two);
	fib_group_drop(fib, again);
}
END_TEST

START_TEST(backups_come_and_go_with_the_group)
{
	struct fib_member member = protected_member(1, 2, 3);
	uint32_t group = 0;

	ck_assert_int_eq(fib_group_set(fib, &group, &member, 1), 0);
	ck_assert_uint_ne(nexthop_of(3), 0);
	member.backup[1].ifindex = 0;
	ck_assert_int_eq(fib_group_set(fib, &group, &member, 1), 0);
	ck_assert_uint_eq(nexthop_of(3), 0);
	set_down(1, true);
	ck_assert_uint_eq(only_slot(group), nexthop_of(2));
	member.backup[0].ifindex = 0;
	ck_assert_int_eq(fib_group_set(fib, &group, &member, 1), 0);
	ck_assert_uint_eq(only_slot(group), nexthop_of(1));
	member = protected_member(1, 2, 0);
	ck_assert_int_eq(fib_group_set(fib, &group, &member, 1), 0);
	ck_assert_uint_eq(only_slot(group), nexthop_of(2));
	member.backup[0].family = 99;
	ck_assert_int_eq(fib_group_set(fib, &group, &member, 1), -EINVAL);
	fib_group_drop(fib, group);
}
END_TEST

TCase *backup_case(void)
{
	TCase *tcase = tcase_create("backup");

	tcase_add_checked_fixture(tcase, open_full, close_full);
	tcase_add_test(tcase, backup_stands_in_for_the_only_member);
	tcase_add_test(tcase, survivors_come_before_backups);
	tcase_add_test(tcase, members_may_be_backups);
	tcase_add_test(tcase, the_update_after_a_failover_moves_nothing);
	tcase_add_test(tcase, a_new_group_goes_on_where_the_old_was);
	tcase_add_test(tcase, backups_come_and_go_with_the_group);
	return tcase;
}
