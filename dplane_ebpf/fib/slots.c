// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The slots of a group, from its members, which of them are up, their weights and backups,
 * with the fewest moves: the only place where slots are written.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dplane_ebpf/fib/fib_internal.h"

/*
 * A group of several starts with this many slots at least, this many for each, and so many
 * that the smallest weight has two, up to a limit: unequal weights must not use up the pool.
 */
#define SLOTS_MIN 64u
#define SLOTS_PER_MEMBER 16u
#define SLOTS_FOR_WEIGHTS 2048u

/* So many groups that waited get their slots before others get the lock. */
#define PLACE_BATCH 32u

/* How many slots these shares want. */
static uint32_t slots_wanted(const struct fib_group *group, const uint64_t *share, uint32_t n)
{
	uint32_t wanted = SLOTS_MIN;
	uint64_t total = 0, least = UINT64_MAX;

	if (group->n_own == 1)
		return 1;
	for (uint32_t i = 0; i < n; i++) {
		total += share[i];
		if (share[i] && share[i] < least)
			least = share[i];
	}
	while ((wanted < SLOTS_PER_MEMBER * group->n_own && wanted < FIB_MAX_GROUP_SLOTS) ||
	       (wanted * least < 2 * total && wanted < SLOTS_FOR_WEIGHTS))
		wanted *= 2;
	return wanted;
}

static bool member_up(const struct fib *fib, const struct fib_group *group, uint32_t i)
{
	return !fib->nexthop[group->member[i].nexthop].down;
}

/* Who has slots, and how much of them: the members that are up; with none, their backups; with none, all members. */
static bool natural_shares(const struct fib *fib, const struct fib_group *group, uint64_t *share,
			   bool *protected)
{
	bool any = false;

	*protected = false;
	for (uint32_t i = 0; i < group->n; i++) {
		share[i] = member_up(fib, group, i) ? group->member[i].weight : 0;
		any |= share[i] != 0;
	}
	if (any)
		return true;
	for (uint32_t i = 0; i < group->n_own; i++) {
		const struct fib_group_member *member = &group->member[i];

		for (uint32_t b = 0; b < member->n_backups; b++) {
			if (!member_up(fib, group, member->backup[b]))
				continue;
			share[member->backup[b]] += member->weight;
			*protected = true;
			break;
		}
	}
	for (uint32_t i = 0; i < group->n_own && !*protected; i++)
		share[i] = group->member[i].weight;
	return false;
}

static void desc_publish(struct fib *fib, uint32_t id)
{
	struct fib_group *group = &fib->group[id];
	uint64_t desc = 0;

	group->generation = (group->generation + 1) & 0x7fff;
	if (group->slots)
		desc = FIB_DESC_VALID | (uint64_t)group->generation << 48 |
		       (uint64_t)(group->slots - 1) << 32 | group->offset;
	fib_store(&fib->memory.group[id], desc);
}

/* wanted: slots that could not be had; 0: it has what it wants. */
static void group_wait(struct fib *fib, struct fib_group *group, uint32_t wanted)
{
	if (wanted && !group->wanted)
		fib->group_overflow++;
	fib->groups_waiting -= group->wanted != 0;
	group->wanted = wanted;
	fib->groups_waiting += wanted != 0;
}

static void group_protect(struct fib *fib, struct fib_group *group, bool protected)
{
	fib->groups_protected -= group->protected;
	group->protected = protected;
	fib->groups_protected += protected;
}

static void home_forget(struct fib *fib, struct fib_group *group)
{
	fib->groups_steered -= group->home != NULL;
	free(group->home);
	group->home = NULL;
	group->home_slots = 0;
}

/* False: out of memory; the group is then as if nobody steered it. */
static bool home_keep(struct fib *fib, struct fib_group *group, const uint16_t *value,
		      uint32_t slots)
{
	uint16_t *home = realloc(group->home, slots * sizeof(*home));

	if (!home) {
		home_forget(fib, group);
		return false;
	}
	fib->groups_steered += group->home == NULL;
	memcpy(home, value, slots * sizeof(*home));
	group->home = home;
	group->home_slots = slots;
	return true;
}

/* The slots as zebra's weights alone have them. */
static struct fib_slot_table home_of(const struct fib *fib, const struct fib_group *group)
{
	if (group->home)
		return (struct fib_slot_table){group->home, group->home_slots};
	return (struct fib_slot_table){&fib->memory.slot[group->offset], group->slots};
}

static struct fib_slot_table current_of(const struct fib *fib, const struct fib_group *group)
{
	return (struct fib_slot_table){&fib->memory.slot[group->offset], group->slots};
}

void fib_slots_remove(struct fib *fib, uint32_t id, bool group_ends)
{
	struct fib_group *group = &fib->group[id];
	uint32_t slots = group->slots;

	group_wait(fib, group, 0);
	group_protect(fib, group, false);
	home_forget(fib, group);
	if (!slots)
		return;
	group->slots = 0;
	/* of a group that ends, readers who have its id may use all until the grace period is over */
	if (!group_ends)
		desc_publish(fib, id);
	fib_retire(fib, FIB_POOL_SLOT, group->offset, slots);
}

static bool is_published(const struct fib *fib, const struct fib_group *group,
			 const uint16_t *value, uint32_t slots)
{
	return slots == group->slots &&
	       !memcmp(value, &fib->memory.slot[group->offset], slots * sizeof(*value));
}

/* Slots in the making. */
struct making {
	uint64_t share[FIB_MAX_GROUP_SLOTS];
	uint32_t quota[FIB_MAX_GROUP_SLOTS];
	uint16_t home[FIB_MAX_GROUP_SLOTS], value[FIB_MAX_GROUP_SLOTS];
};

int fib_slots_init(struct fib *fib)
{
	fib->assign = calloc(FIB_MAX_GROUP_SLOTS, sizeof(*fib->assign));
	fib->making = calloc(1, sizeof(*fib->making));
	return fib->assign && fib->making ? 0 : -ENOMEM;
}

void fib_slots_fini(struct fib *fib)
{
	free(fib->assign);
	free(fib->making);
}

/* Puts making->value in force. False: there is no room for so many. */
static bool place(struct fib *fib, uint32_t id, const struct making *making, uint32_t slots)
{
	struct fib_group *group = &fib->group[id];
	uint32_t old = group->slots, old_offset = group->offset, offset;

	for (uint32_t i = 0; i < group->n; i++) {
		group->member[i].share = making->share[i];
		group->member[i].slots = making->quota[i];
	}
	if (is_published(fib, group, making->value, slots))
		return true;
	offset = fib_pool_alloc(&fib->pool[FIB_POOL_SLOT], slots);
	if (offset == FIB_POOL_NONE) {
		if (slots != old)
			return false;
		/* no room to do it at once: slot by slot, each right for its flows */
		for (uint32_t i = 0; i < slots; i++)
			fib_store(&fib->memory.slot[old_offset + i], making->value[i]);
		desc_publish(fib, id);
		return true;
	}
	for (uint32_t i = 0; i < slots; i++)
		fib_store(&fib->memory.slot[offset + i], making->value[i]);
	group->offset = offset;
	group->slots = slots;
	desc_publish(fib, id);
	if (old)
		fib_retire(fib, FIB_POOL_SLOT, old_offset, old);
	return true;
}

/* As link metrics have it, if they have anything to say: fewest moves from what another group, or this one, has now. */
static bool publish_steered(struct fib *fib, uint32_t id, const struct fib_slot_table *current,
			    uint32_t home_slots)
{
	struct fib_group *group = &fib->group[id];
	struct making *making = fib->making;
	struct fib_slot_table home = {making->home, home_slots};
	uint32_t slots, old = group->slots;

	if (!fib_steered_shares(fib, group, making->share))
		return false;
	slots = slots_wanted(group, making->share, group->n);
	if (slots < home_slots)
		slots = home_slots;
	/* larger is kept: to shrink would move flows */
	if (slots < current->n)
		slots = current->n;
	if (!home_keep(fib, group, making->home, home_slots))
		return false;
	fib_quotas(making->share, group->n, slots, making->quota);
	fib_slots_assign(fib, group, making->quota, current, &home, making->value, slots);
	if (place(fib, id, making, slots))
		return true;
	if (old < home_slots || old == slots) {
		home_forget(fib, group);
		return false;
	}
	/* no room for a finer split */
	fib_quotas(making->share, group->n, old, making->quota);
	fib_slots_assign(fib, group, making->quota, current, &home, making->value, old);
	return place(fib, id, making, old);
}

/*
 * Without room for as many slots as it should have, a group goes on with those it has: shares as good as they go, and of more
 * members than slots as many as there are. False: it has none.
 */
static bool make_do(struct fib *fib, uint32_t id, const struct fib_slot_table *current)
{
	const struct fib_slot_table none = {NULL, 0};
	struct fib_group *group = &fib->group[id];
	struct making *making = fib->making;
	uint32_t slots = group->slots;

	if (!slots)
		return false;
	fib_quotas(making->share, group->n, slots, making->quota);
	fib_slots_assign(fib, group, making->quota, current, &none, making->value, slots);
	return place(fib, id, making, slots);
}

/* Flows stay where they are in another group's slots, or its own. */
static void slots_publish(struct fib *fib, uint32_t id, const struct fib_group *like)
{
	struct fib_slot_table like_home = home_of(fib, like), current = current_of(fib, like);
	const struct fib_slot_table none = {NULL, 0};
	struct fib_group *group = &fib->group[id];
	struct making *making = fib->making;
	bool protected, up;
	uint32_t slots;

	if (!group->n) {
		fib_slots_remove(fib, id, false);
		return;
	}
	for (uint32_t i = 0; i < group->n_own; i++)
		making->share[i] = group->member[i].weight;
	slots = slots_wanted(group, making->share, group->n_own);
	/* larger is kept: to shrink would move flows */
	if (group->n_own > 1 && slots < like_home.n)
		slots = like_home.n;
	up = natural_shares(fib, group, making->share, &protected);
	group_protect(fib, group, protected);
	fib_quotas(making->share, group->n, slots, making->quota);
	fib_slots_assign(fib, group, making->quota, &like_home, &none, making->home, slots);
	if (fib->steerer && up && group->n_own > 1 && publish_steered(fib, id, &current, slots)) {
		group_wait(fib, group, 0);
		return;
	}
	natural_shares(fib, group, making->share, &protected);
	fib_quotas(making->share, group->n, slots, making->quota);
	memcpy(making->value, making->home, slots * sizeof(making->value[0]));
	home_forget(fib, group);
	if (place(fib, id, making, slots)) {
		group_wait(fib, group, 0);
		return;
	}
	if (!make_do(fib, id, &current))
		fib_slots_remove(fib, id, false);
	group_wait(fib, group, slots);
}

void fib_slots_publish(struct fib *fib, uint32_t id)
{
	slots_publish(fib, id, &fib->group[id]);
}

void fib_slots_follow(struct fib *fib, uint32_t id, uint32_t other)
{
	if (id < FIB_GROUP_FIRST || other < FIB_GROUP_FIRST || id == other)
		return;
	if (!fib->group[id].routes && fib->group[id].slots && fib->group[other].slots)
		slots_publish(fib, id, &fib->group[other]);
}

void fib_slots_place(struct fib *fib)
{
	uint32_t tried = 0;

	for (uint32_t id = FIB_GROUP_FIRST;
	     fib->groups_waiting && id < fib->pool[FIB_POOL_GROUP].top; id++) {
		uint32_t wanted = fib->group[id].wanted;

		if (!wanted || !fib_pool_fits(&fib->pool[FIB_POOL_SLOT], wanted))
			continue;
		fib_slots_publish(fib, id);
		if (++tried % PLACE_BATCH == 0)
			fib_yield(fib);
	}
}
