// SPDX-License-Identifier: GPL-2.0-or-later
/* Groups: shares, moves, liveness, lives of ids and next hops. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

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

/* Slots that differ, the smaller table repeated. */
static uint32_t moved(const uint16_t *a, uint32_t na, const uint16_t *b, uint32_t nb)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i < (na > nb ? na : nb); i++)
		sum += a[i % na] != b[i % nb];
	return sum;
}

START_TEST(shares_follow_weights)
{
	static const uint32_t weights[][3] = {
		{1, 1, 1}, {1, 2, 3}, {100, 1, 1}, {7, 0, 250}, {1, 1, 65535}};
	/* as many slots as give the smallest weight two, within the limit */
	static const uint32_t sizes[] = {64, 64, 256, 1024, 2048};
	uint16_t slots[FIB_MAX_GROUP_SLOTS];
	uint32_t group = 0;

	for (size_t w = 0; w < 5; w++) {
		struct fib_member members[3];
		double total = 0, exact;
		uint32_t n;

		for (uint32_t i = 0; i < 3; i++) {
			members[i] = member_of(i, weights[w][i]);
			total += weights[w][i] ? weights[w][i] : 1;
		}
		ck_assert_int_eq(fib_group_set(fib, &group, members, 3), 0);
		n = slots_read(group, slots);
		ck_assert_uint_eq(n, sizes[w]);
		for (uint32_t i = 0; i < 3; i++) {
			if (w < 4)
				ck_assert_uint_gt(slots_count(slots, n, nexthop_of(i)), 0);
			exact = n * (weights[w][i] ? weights[w][i] : 1) / total;
			/* the largest remainder never misses by a whole slot */
			ck_assert_double_lt(slots_count(slots, n, nexthop_of(i)), exact + 1);
			ck_assert_double_gt(slots_count(slots, n, nexthop_of(i)), exact - 1);
		}
	}
	fib_group_drop(fib, group);
}
END_TEST

START_TEST(same_nexthop_twice_adds_up)
{
	struct fib_member members[3] = {member_of(1, 1), member_of(2, 2), member_of(1, 1)};
	uint16_t slots[64];
	uint32_t group = 0;

	ck_assert_int_eq(fib_group_set(fib, &group, members, 3), 0);
	ck_assert_uint_eq(slots_read(group, slots), 64);
	ck_assert_uint_eq(slots_count(slots, 64, nexthop_of(1)), 32);
	fib_group_drop(fib, group);
}
END_TEST

START_TEST(down_moves_only_its_own)
{
	struct fib_member members[4];
	uint16_t before[64], after[64];
	uint32_t group = 0, victim;

	for (uint32_t i = 0; i < 4; i++)
		members[i] = member_of(i, 1);
	ck_assert_int_eq(fib_group_set(fib, &group, members, 4), 0);
	slots_read(group, before);
	victim = nexthop_of(2);
	set_down(2, true);
	slots_read(group, after);
	for (uint32_t i = 0; i < 64; i++) {
		ck_assert(after[i] != victim);
		ck_assert(before[i] == victim || after[i] == before[i]);
	}
	ck_assert_uint_ge(slots_count(after, 64, nexthop_of(0)), 21);
	memcpy(before, after, sizeof(before));
	set_down(2, false);
	slots_read(group, after);
	ck_assert_uint_eq(slots_count(after, 64, victim), 16);
	ck_assert_uint_eq(moved(before, 64, after, 64), 16);
	/* nobody is left: all count again, and the next hops' own state decides */
	for (uint32_t i = 0; i < 4; i++)
		set_down(i, true);
	ck_assert_uint_eq(slots_read(group, after), 64);
	set_down(3, false);
	slots_read(group, after);
	ck_assert_uint_eq(slots_count(after, 64, nexthop_of(3)), 64);
	fib_group_drop(fib, group);
}
END_TEST

START_TEST(changes_move_the_fewest)
{
	uint16_t before[256], after[256];
	struct fib_member members[5];
	uint32_t group = 0, generation;

	for (uint32_t i = 0; i < 5; i++)
		members[i] = member_of(i, 1);
	ck_assert_int_eq(fib_group_set(fib, &group, members, 1), 0);
	ck_assert_uint_eq(slots_read(group, before), 1);
	ck_assert_int_eq(fib_group_set(fib, &group, members, 2), 0);
	ck_assert_uint_eq(slots_read(group, after), 64);
	ck_assert_uint_eq(moved(before, 1, after, 64), 32);
	ck_assert_int_eq(fib_group_set(fib, &group, members, 4), 0);
	slots_read(group, before);
	/* the same again: nothing is published */
	generation = FIB_DESC_GENERATION(memory.group[group]);
	ck_assert_int_eq(fib_group_set(fib, &group, members, 4), 0);
	ck_assert_uint_eq(FIB_DESC_GENERATION(memory.group[group]), generation);
	/* twice the weight: 16 to 25.6 */
	members[0].weight = 2;
	ck_assert_int_eq(fib_group_set(fib, &group, members, 4), 0);
	slots_read(group, after);
	ck_assert_uint_le(moved(before, 64, after, 64), 10);
	ck_assert_uint_ge(slots_count(after, 64, nexthop_of(0)), 25);
	members[0].weight = 1;
	/* one leaves, one returns */
	ck_assert_int_eq(fib_group_set(fib, &group, members, 4), 0);
	slots_read(group, before);
	ck_assert_int_eq(fib_group_set(fib, &group, members + 1, 3), 0);
	slots_read(group, after);
	ck_assert_uint_eq(moved(before, 64, after, 64), 16);
	/* five need 128: those that stay keep their flows */
	ck_assert_int_eq(fib_group_set(fib, &group, members, 4), 0);
	slots_read(group, before);
	ck_assert_int_eq(fib_group_set(fib, &group, members, 5), 0);
	ck_assert_uint_eq(slots_read(group, after), 128);
	ck_assert_uint_le(moved(before, 64, after, 128), 26);
	fib_group_drop(fib, group);
}
END_TEST

START_TEST(ids_live_as_long_as_routes)
{
	uint32_t group = group_one(1), number = nexthop_of(1), again, other = 0;
	struct fib_member member = member_of(2, 1);
	struct fib_prefix prefix = prefix_of("10.0.0.0/8");
	uint64_t epoch;

	route_set("10.0.0.0/8", group);
	ck_assert_int_eq(fib_group_drop(fib, group), 0);
	ck_assert_int_eq(fib_group_drop(fib, group), -ENOENT);
	ck_assert_int_eq(fib_route_set(fib, &prefix, group), -EINVAL);
	ck_assert_uint_eq(lookup("10.0.0.1"), group);
	ck_assert(memory.group[group] & FIB_DESC_VALID);
	epoch = fib_reclaim_begin(fib);
	route_del("10.0.0.0/8"); /* after begin: end must not free it */
	ck_assert_int_eq(fib_group_set(fib, &other, &member, 1), 0);
	ck_assert_uint_ne(other, group);
	ck_assert_uint_ne(nexthop_of(2), number);
	fib_reclaim_end(fib, epoch);
	again = group_one(3);
	ck_assert_uint_ne(again, group);
	ck_assert_uint_ne(nexthop_of(3), number);
	reclaim();
	ck_assert_uint_eq(memory.group[group], 0);
	fib_group_drop(fib, again);
	again = group_one(4);
	ck_assert_uint_eq(again, group);
	ck_assert_uint_eq(nexthop_of(4), number);
	fib_group_drop(fib, again);
	fib_group_drop(fib, other);
}
END_TEST

START_TEST(adjacency_words)
{
	struct fib_adjacency adjacency = {
		.action = FIB_NH_REWRITE,
		.dst = {1, 2, 3, 4, 5, 6},
		.src = {7, 8, 9, 10, 11, 12},
		.mtu = 1500,
	};
	uint32_t group = group_one(1), number = nexthop_of(1);
	struct fib_member stranger = member_of(2, 1);
	const struct fib_nexthop *shared = &memory.nexthop[number];

	ck_assert_uint_eq(FIB_NH_ACTION(shared->dst), FIB_NH_KERNEL);
	ck_assert_uint_ne(shared->ifindex, 0);
	ck_assert_uint_eq(shared->family, AF_INET);
	ck_assert_int_eq(fib_nexthop_resolve(fib, number, NULL, &adjacency), 0);
	ck_assert_mem_eq(&shared->dst, adjacency.dst, 6);
	ck_assert_mem_eq(&shared->src, adjacency.src, 6);
	ck_assert_uint_eq(FIB_NH_ACTION(shared->dst), FIB_NH_REWRITE);
	ck_assert_uint_eq(FIB_NH_MTU(shared->src), 1500);
	ck_assert_int_eq(fib_nexthop_resolve(fib, number, &stranger.nexthop, &adjacency), -ENOENT);
	ck_assert_int_eq(fib_nexthop_resolve(fib, 0, NULL, &adjacency), -ENOENT);
	adjacency.action = FIB_NH_RESOLVE;
	ck_assert_int_eq(fib_nexthop_resolve(fib, number, NULL, &adjacency), 0);
	ck_assert_uint_eq(shared->dst, (uint64_t)FIB_NH_RESOLVE << 48);
	fib_group_drop(fib, group);
	ck_assert_int_eq(fib_nexthop_resolve(fib, number, NULL, &adjacency), -ENOENT);
	reclaim();
	ck_assert_uint_eq(shared->dst, 0);
}
END_TEST

START_TEST(no_members_and_no_room)
{
	struct fib_member members[300];
	uint32_t full[16], group = 0;
	struct fib_stats stats;

	fixture_close();
	fixture_open(&geometry_tiny);
	for (uint32_t i = 0; i < 300; i++)
		members[i] = member_of(i, 1);
	/* next-hop numbers */
	ck_assert_int_eq(fib_group_set(fib, &group, members, 300), 0);
	ck_assert_uint_eq(group, FIB_GROUP_OVERFLOW);
	reclaim();
	/* slots: 8 groups of 64 fit, more wait */
	for (uint32_t i = 0; i < 9; i++) {
		full[i] = 0;
		ck_assert_int_eq(fib_group_set(fib, &full[i], members + i, 2), 0);
		ck_assert_uint_eq(!!(memory.group[full[i]] & FIB_DESC_VALID), i < 8);
	}
	/* a failure takes effect although there is no room to write it at once */
	set_down(0, true);
	ck_assert_uint_eq(memory.slot[FIB_DESC_OFFSET(memory.group[full[0]])], nexthop_of(1));
	ck_assert_int_eq(fib_group_set(fib, &full[1], NULL, 0), 0);
	ck_assert_uint_eq(memory.group[full[1]], 0);
	ck_assert_uint_eq(memory.group[full[8]], 0);
	reclaim();
	ck_assert(memory.group[full[8]] & FIB_DESC_VALID);
	fib_stats(fib, &stats);
	ck_assert_uint_eq(stats.group_overflow, 2);
	for (uint32_t i = 0; i < 9; i++)
		fib_group_drop(fib, full[i]);
	members[0].nexthop.family = 77;
	group = 0;
	ck_assert_int_eq(fib_group_set(fib, &group, members, 1), -EINVAL);
	group = 99;
	ck_assert_int_eq(fib_group_set(fib, &group, members + 1, 1), -EINVAL);
}
END_TEST

/* Slots for so many: what a group of several takes up to four members, of those above up to eight. */
#define FEW 64u
#define MORE 128u

START_TEST(without_room_for_more_slots_a_group_keeps_its_own)
{
	uint32_t group = 0, others[8], single, crowded = 0;
	uint16_t before[FEW], after[MORE];
	struct fib_member members[100];
	struct fib_stats stats;

	fixture_close();
	fixture_open(&geometry_tiny);
	for (uint32_t i = 0; i < 100; i++)
		members[i] = member_of(i, 1);
	single = group_one(50);
	ck_assert_int_eq(fib_group_set(fib, &group, members, 4), 0);
	ck_assert_uint_eq(slots_read(group, before), FEW);
	for (uint32_t i = 0; i < 6; i++) {
		others[i] = 0;
		ck_assert_int_eq(fib_group_set(fib, &others[i], members, 2), 0);
	}
	/* of 512 slots 63 are left: the fifth member is in, the others give it what they can */
	ck_assert_int_eq(fib_group_set(fib, &group, members, 5), 0);
	ck_assert_uint_eq(slots_read(group, after), FEW);
	for (uint32_t i = 0; i < 5; i++)
		ck_assert_uint_ge(slots_count(after, FEW, nexthop_of(i)), FEW / 5);
	ck_assert_uint_le(moved(before, FEW, after, FEW), FEW / 5 + 1);
	ck_assert_int_eq(fib_group_verify(fib, group), 0);
	/* a failure is followed all the same */
	set_down(1, true);
	slots_read(group, after);
	ck_assert_uint_eq(slots_count(after, FEW, nexthop_of(1)), 0);
	ck_assert_uint_ge(slots_count(after, FEW, nexthop_of(4)), FEW / 4);
	set_down(1, false);
	/* more members than slots: as many as there are slots, here one */
	ck_assert_int_eq(fib_group_set(fib, &single, members + 50, 3), 0);
	ck_assert_uint_eq(slots_read(single, after), 1);
	ck_assert_uint_eq(after[0], nexthop_of(50));
	/* one that leaves is in no slot any more */
	ck_assert_int_eq(fib_group_set(fib, &single, members + 51, 2), 0);
	ck_assert_uint_eq(slots_read(single, after), 1);
	ck_assert(after[0] == nexthop_of(51) || after[0] == nexthop_of(52));
	/* and one that has none at all is the kernel's as before */
	ck_assert_int_eq(fib_group_set(fib, &crowded, members, 8), 0);
	ck_assert_uint_eq(memory.group[crowded], 0);
	fib_stats(fib, &stats);
	ck_assert_uint_eq(stats.group_overflow, 3);

	/* with room again each has what it should have */
	for (uint32_t i = 0; i < 6; i++)
		ck_assert_int_eq(fib_group_drop(fib, others[i]), 0);
	reclaim();
	ck_assert_uint_eq(slots_read(group, after), MORE);
	for (uint32_t i = 0; i < 5; i++)
		ck_assert_uint_ge(slots_count(after, MORE, nexthop_of(i)), MORE / 5);
	ck_assert_uint_eq(slots_read(single, after), FEW);
	ck_assert_uint_eq(slots_read(crowded, after), MORE);
	fib_stats(fib, &stats);
	ck_assert_uint_eq(stats.group_overflow, 3);
	/* what has what it wants waits for nothing: it keeps its place */
	reclaim();
	ck_assert_uint_eq(slots_read(group, after), MORE);
	fib_group_drop(fib, group);
	fib_group_drop(fib, single);
	fib_group_drop(fib, crowded);
}
END_TEST

START_TEST(no_nexthop_number_for_all_members)
{
	struct fib_member members[300];
	uint32_t kept, changed = 0, refused = 0, fresh = 0;
	uint16_t slots[64];

	fixture_close();
	fixture_open(&geometry_tiny);
	for (uint32_t i = 0; i < 300; i++)
		members[i] = member_of(i, 1);
	kept = group_one(7);
	ck_assert_int_eq(fib_group_set(fib, &changed, members, 2), 0);
	ck_assert_int_eq(fib_group_set(fib, &refused, members, 300), 0);
	ck_assert_uint_eq(refused, FIB_GROUP_OVERFLOW);
	reclaim();
	/* a next hop that others hold is nobody's second mention afterwards */
	ck_assert_int_eq(fib_group_set(fib, &fresh, members + 6, 2), 0);
	ck_assert_uint_eq(slots_read(fresh, slots), 64);
	ck_assert_uint_eq(slots_count(slots, 64, nexthop_of(7)), 32);
	/* who has an id keeps it, and its packets go to the kernel */
	refused = changed;
	ck_assert_int_eq(fib_group_set(fib, &refused, members, 300), 0);
	ck_assert_uint_eq(refused, changed);
	ck_assert_uint_eq(memory.group[changed], 0);
	ck_assert_int_eq(fib_group_drop(fib, changed), 0);
	ck_assert_int_eq(fib_group_drop(fib, fresh), 0);
	ck_assert_int_eq(fib_group_drop(fib, kept), 0);
}
END_TEST

static uint32_t watched[4096];

static void watcher(void *arg, uint32_t nexthop, const struct fib_nexthop_key *key, bool added)
{
	ck_assert_uint_eq(watched[nexthop], !added);
	ck_assert_uint_ne(key->ifindex, 0);
	watched[nexthop] = added;
}

START_TEST(watcher_is_told)
{
	uint32_t first = group_one(1), second;

	fib_nexthop_watch(fib, watcher, NULL);
	ck_assert_uint_eq(watched[nexthop_of(1)], 1);
	second = group_one(2);
	ck_assert_uint_eq(watched[nexthop_of(2)], 1);
	fib_group_drop(fib, first);
	ck_assert_uint_eq(watched[1], 0);
	ck_assert_uint_eq(watched[nexthop_of(2)], 1);
	fib_group_drop(fib, second);
}
END_TEST

TCase *group_case(void)
{
	TCase *tc = tcase_create("groups");

	tcase_add_checked_fixture(tc, open_full, close_full);
	tcase_add_test(tc, shares_follow_weights);
	tcase_add_test(tc, same_nexthop_twice_adds_up);
	tcase_add_test(tc, down_moves_only_its_own);
	tcase_add_test(tc, changes_move_the_fewest);
	tcase_add_test(tc, ids_live_as_long_as_routes);
	tcase_add_test(tc, adjacency_words);
	tcase_add_test(tc, no_members_and_no_room);
	tcase_add_test(tc, without_room_for_more_slots_a_group_keeps_its_own);
	tcase_add_test(tc, no_nexthop_number_for_all_members);
	tcase_add_test(tc, watcher_is_told);
	return tc;
}
