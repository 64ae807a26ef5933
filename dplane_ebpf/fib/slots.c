// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The slots of a group, from its members, which of them are up, their weights and backups,
 * with the fewest moves: the only place where slots are written.
 */
#include <string.h>

#include "dplane_ebpf/fib/fib_internal.h"

/*
 * A group of several starts with this many slots at least, this many for each, and so many
 * that the smallest weight has two, up to a limit: unequal weights must not use up the pool.
 */
#define SLOTS_MIN 64u
#define SLOTS_PER_MEMBER 16u
#define SLOTS_FOR_WEIGHTS 2048u

static uint32_t slots_wanted(const struct fib_group *group)
{
	uint32_t wanted = SLOTS_MIN, least = UINT32_MAX;
	uint64_t total = 0;

	if (group->n_own == 1)
		return 1;
	for (uint32_t i = 0; i < group->n_own; i++) {
		total += group->member[i].weight;
		if (group->member[i].weight < least)
			least = group->member[i].weight;
	}
	while ((wanted < SLOTS_PER_MEMBER * group->n_own && wanted < FIB_MAX_GROUP_SLOTS) ||
	       ((uint64_t)wanted * least < 2 * total && wanted < SLOTS_FOR_WEIGHTS))
		wanted *= 2;
	return wanted;
}

static bool member_up(const struct fib *fib, const struct fib_group *group, uint32_t i)
{
	return !fib->nexthop[group->member[i].nexthop].down;
}

/* Who has slots, and how much of them: the members that are up; with none, their backups; with none, all members. */
static void shares(const struct fib *fib, struct fib_group *group, bool *protected)
{
	bool any = false;

	*protected = false;
	for (uint32_t i = 0; i < group->n; i++) {
		group->member[i].share = member_up(fib, group, i) ? group->member[i].weight : 0;
		any |= group->member[i].share != 0;
	}
	if (any)
		return;
	for (uint32_t i = 0; i < group->n_own; i++) {
		const struct fib_group_member *member = &group->member[i];

		for (uint32_t b = 0; b < member->n_backups; b++) {
			if (!member_up(fib, group, member->backup[b]))
				continue;
			group->member[member->backup[b]].share += member->weight;
			*protected = true;
			break;
		}
	}
	for (uint32_t i = 0; i < group->n_own && !*protected; i++)
		group->member[i].share = group->member[i].weight;
}

/* Each member's number of slots into member[].slots, by the largest remainder. */
static void slots_share(struct fib_group *group, uint32_t slots)
{
	uint64_t total = 0;
	uint32_t left = slots;

	for (uint32_t i = 0; i < group->n; i++)
		total += group->member[i].share;
	for (uint32_t i = 0; i < group->n; i++) {
		group->member[i].slots = (uint32_t)(slots * group->member[i].share / total);
		left -= group->member[i].slots;
	}
	/* fewer are left than members with a remainder: one more each, the largest first */
	for (uint64_t above = total; left;) {
		uint64_t largest = 0, rest;

		for (uint32_t i = 0; i < group->n; i++) {
			rest = slots * group->member[i].share % total;
			if (rest < above && rest > largest)
				largest = rest;
		}
		for (uint32_t i = 0; i < group->n && left; i++) {
			rest = slots * group->member[i].share % total;
			if (rest == largest) {
				group->member[i].slots++;
				left--;
			}
		}
		above = largest;
	}
}

/* Fills value[] with next hops, the same as in the other group's slots wherever a next hop has a share left. */
static void slots_assign(struct fib *fib, const struct fib_group *group,
			 const struct fib_group *like, uint16_t *value, uint32_t slots)
{
	const uint16_t *old = &fib->memory.slot[like->offset];
	uint32_t quota[FIB_MAX_GROUP_SLOTS], next = 0, mark;

	for (uint32_t i = 0; i < group->n; i++) {
		quota[i] = group->member[i].slots;
		fib->nexthop[group->member[i].nexthop].mark = i + 1;
	}
	for (uint32_t i = 0; i < slots; i++) {
		/* flows that an old slot had find it again in a larger table */
		value[i] = like->slots ? old[i & (like->slots - 1)] : 0;
		mark = fib->nexthop[value[i]].mark;
		if (mark && quota[mark - 1])
			quota[mark - 1]--;
		else
			value[i] = 0;
	}
	for (uint32_t i = 0; i < slots; i++) {
		if (value[i])
			continue;
		while (!quota[next])
			next++;
		quota[next]--;
		value[i] = (uint16_t)group->member[next].nexthop;
	}
	for (uint32_t i = 0; i < group->n; i++)
		fib->nexthop[group->member[i].nexthop].mark = 0;
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

static void group_wait(struct fib *fib, struct fib_group *group, bool waiting)
{
	fib->groups_waiting -= group->waiting;
	group->waiting = waiting;
	fib->groups_waiting += waiting;
}

static void group_protect(struct fib *fib, struct fib_group *group, bool protected)
{
	fib->groups_protected -= group->protected;
	group->protected = protected;
	fib->groups_protected += protected;
}

void fib_slots_remove(struct fib *fib, uint32_t id, bool group_ends)
{
	struct fib_group *group = &fib->group[id];
	uint32_t slots = group->slots;

	group_wait(fib, group, false);
	group_protect(fib, group, false);
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

/* Flows stay where they are in another group's slots, or its own. */
static void slots_publish(struct fib *fib, uint32_t id, const struct fib_group *like)
{
	struct fib_group *group = &fib->group[id];
	uint32_t old = group->slots, old_offset = group->offset, slots, offset;
	uint16_t value[FIB_MAX_GROUP_SLOTS];
	bool protected;

	if (!group->n) {
		fib_slots_remove(fib, id, false);
		return;
	}
	slots = slots_wanted(group);
	/* larger is kept: to shrink would move flows */
	if (group->n_own > 1 && slots < like->slots)
		slots = like->slots;
	shares(fib, group, &protected);
	group_protect(fib, group, protected);
	slots_share(group, slots);
	slots_assign(fib, group, like, value, slots);
	if (is_published(fib, group, value, slots))
		return;
	offset = fib_pool_alloc(&fib->pool[FIB_POOL_SLOT], slots);
	if (offset == FIB_POOL_NONE) {
		if (slots == old) {
			/* no room to do it at once: slot by slot, each right for its flows */
			for (uint32_t i = 0; i < slots; i++)
				fib_store(&fib->memory.slot[old_offset + i], value[i]);
			desc_publish(fib, id);
			return;
		}
		if (!group->waiting)
			fib->group_overflow++;
		fib_slots_remove(fib, id, false);
		group_wait(fib, group, true);
		return;
	}
	group_wait(fib, group, false);
	for (uint32_t i = 0; i < slots; i++)
		fib_store(&fib->memory.slot[offset + i], value[i]);
	group->offset = offset;
	group->slots = slots;
	desc_publish(fib, id);
	if (old)
		fib_retire(fib, FIB_POOL_SLOT, old_offset, old);
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
	for (uint32_t id = FIB_GROUP_FIRST;
	     fib->groups_waiting && id < fib->pool[FIB_POOL_GROUP].top; id++) {
		if (fib->group[id].waiting)
			fib_slots_publish(fib, id);
	}
}
