// SPDX-License-Identifier: GPL-2.0-or-later
/* Groups and next hops against what was asked of them, as a reader of the shared memory finds them. */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/fuzz/allocate.h"
#include "tests/fuzz/fib_model.h"

struct fib_nexthop_key model_key(uint8_t key)
{
	static const uint8_t family[4] = {0, AF_INET, AF_INET6, AF_INET6};
	struct fib_nexthop_key is = {.ifindex = 1 + (key & 3), .family = family[key >> 2 & 3]};

	if (is.family)
		is.gate[0] = key >> 3;
	if (is.family == AF_INET6)
		is.gate[15] = 1;
	return is;
}

static bool key_equal(const struct fib_nexthop_key *a, const struct fib_nexthop_key *b)
{
	return a->ifindex == b->ifindex && a->family == b->family &&
	       !memcmp(a->gate, b->gate, sizeof(a->gate));
}

/* ---- groups ---- */

bool model_group_usable(uint32_t group)
{
	if (group < FIB_GROUP_FIRST)
		return group && group <= FIB_GROUP_KERNEL;
	return group < model->geometry.groups && model->group[group].used &&
	       !model->group[group].dropped;
}

void model_group_new(uint32_t id)
{
	struct model_group *group;

	must(id >= FIB_GROUP_FIRST && id < model->geometry.groups, "group %u", id);
	group = &model->group[id];
	must(!group->used, "group %u is in use", id);
	must(group->freed <= model->grace_ended, "group %u is in use again before a grace period",
	     id);
	memset(group, 0, sizeof(*group));
	group->used = true;
}

static uint8_t byte_of(const struct fib_nexthop_key *key)
{
	for (unsigned int byte = 0; byte < MODEL_KEYS; byte++) {
		const struct fib_nexthop_key is = model_key((uint8_t)byte);

		if (key_equal(&is, key))
			return (uint8_t)byte;
	}
	must(false, "a next hop of no byte");
	return 0;
}

/* Found, or new without weight. */
static struct model_member *member_with(struct model_group *group,
					const struct fib_nexthop_key *key)
{
	for (uint32_t i = 0; i < group->n; i++) {
		if (key_equal(&group->member[i].key, key))
			return &group->member[i];
	}
	group->member[group->n] = (struct model_member){.key = *key, .byte = byte_of(key)};
	return &group->member[group->n++];
}

static void add_backup(struct model_member *member, const struct model_member *backup)
{
	if (member == backup || member->backups == FIB_MAX_BACKUPS)
		return;
	for (uint32_t i = 0; i < member->backups; i++) {
		if (member->backup[i] == backup)
			return;
	}
	member->backup[member->backups++] = backup;
}

void model_group_members(uint32_t id, const uint8_t *key, const struct fib_member *members,
			 size_t n)
{
	struct model_group *group = &model->group[id];

	group->n = 0;
	for (size_t i = 0; i < n; i++) {
		const struct fib_nexthop_key is = model_key(key[i]);
		uint64_t weight = members[i].weight ? members[i].weight : 1;
		struct model_member *member = member_with(group, &is);

		weight += member->weight;
		member->weight = weight < UINT32_MAX ? weight : UINT32_MAX;
	}
	for (size_t i = 0; i < n; i++) {
		const struct fib_nexthop_key is = model_key(key[i]);
		struct model_member *member = member_with(group, &is);

		for (size_t b = 0; b < FIB_MAX_BACKUPS && members[i].backup[b].ifindex; b++)
			add_backup(member, member_with(group, &members[i].backup[b]));
	}
}

void model_group_free_if_unused(uint32_t id)
{
	struct model_group *group = &model->group[id];

	if (!group->dropped || group->routes)
		return;
	group->used = false;
	group->freed = model->grace_begun + 1;
}

static const struct model_member *member_of(const struct model_group *group, uint32_t nexthop)
{
	must(nexthop < model->geometry.nexthops && model->nexthop[nexthop].used,
	     "next hop %u is not in use", nexthop);
	for (uint32_t i = 0; i < group->n; i++) {
		if (key_equal(&group->member[i].key, &model->nexthop[nexthop].key))
			return &group->member[i];
	}
	return NULL;
}

static bool is_up(const struct model_member *member)
{
	for (uint32_t i = 0; i < model->geometry.nexthops; i++) {
		if (model->nexthop[i].used && key_equal(&model->nexthop[i].key, &member->key))
			return !model->nexthop[i].adjacency.down;
	}
	must(false, "a member without a next hop");
	return false;
}

static const struct model_member *stand_in(const struct model_member *member)
{
	for (uint32_t i = 0; i < member->backups; i++) {
		if (is_up(member->backup[i]))
			return member->backup[i];
	}
	return NULL;
}

/* What a member's slots go by: its weight, or that of those for which it stands in. */
static uint64_t share_of(const struct model_group *group, const struct model_member *member)
{
	bool any = false, any_backup = false;
	uint64_t share = 0;

	for (uint32_t i = 0; i < group->n; i++) {
		const struct model_member *other = &group->member[i];

		if (!other->weight)
			continue;
		any |= is_up(other);
		any_backup |= stand_in(other) != NULL;
		if (stand_in(other) == member)
			share += other->weight;
	}
	if (any)
		return is_up(member) ? member->weight : 0;
	return any_backup ? share : member->weight;
}

/* Shares by weight among those that are up, else among their backups, else among all; never off by a slot. */
static void check_shares(uint32_t id, const struct fib_group_info *info)
{
	uint64_t desc = model->memory.group[id], total = 0;
	uint32_t slots = FIB_DESC_MASK(desc) + 1, offset = FIB_DESC_OFFSET(desc), sum = 0;
	uint32_t count[MODEL_NEXTHOPS] = {0};

	must(!(slots & (slots - 1)) && slots <= FIB_MAX_GROUP_SLOTS, "%u slots", slots);
	must(offset <= model->geometry.slots && slots <= model->geometry.slots - offset,
	     "slots %u and %u more", offset, slots);
	for (uint32_t i = 0; i < slots; i++) {
		uint16_t nexthop = model->memory.slot[offset + i];

		must(member_of(&model->group[id], nexthop), "slot %u has next hop %u, no member", i,
		     nexthop);
		count[nexthop]++;
	}
	for (uint32_t i = 0; i < model->group[id].n; i++)
		total += share_of(&model->group[id], &model->group[id].member[i]);
	for (size_t i = 0; i < info->n; i++) {
		uint32_t nexthop = info->members[i].nexthop;
		uint64_t share =
			slots * share_of(&model->group[id], member_of(&model->group[id], nexthop));

		must(count[nexthop] * total < share + total &&
			     count[nexthop] * total + total > share,
		     "next hop %u has %u of %u slots", nexthop, count[nexthop], slots);
		must(info->members[i].slots == count[nexthop], "next hop %u has %u slots, not %u",
		     nexthop, count[nexthop], info->members[i].slots);
		sum += count[nexthop];
	}
	must(sum == slots, "%u slots of %u", sum, slots);
}

static bool group_without_room(void)
{
	struct fib_stats stats;

	fib_stats(model->fib, &stats);
	return stats.group_overflow > model->group_overflow;
}

void model_check_group(uint32_t id)
{
	const struct model_group *group = &model->group[id];
	struct fib_group_info info;
	int err = fib_group_get(model->fib, id, &info);

	must(err == (group->used ? 0 : -2), "group %u: %d", id, err);
	if (err)
		return;
	must(info.routes == group->routes, "group %u: %u routes, not %u", id, info.routes,
	     group->routes);
	must(info.dropped == group->dropped, "group %u", id);
	must(info.n == group->n, "group %u: %zu members, not %u", id, info.n, group->n);
	for (size_t i = 0; i < info.n; i++) {
		const struct model_member *member = member_of(group, info.members[i].nexthop);

		must(member && info.members[i].weight == member->weight, "group %u, member %zu", id,
		     i);
	}
	if (model->memory.group[id] & FIB_DESC_VALID) {
		must(group->n && info.slots == FIB_DESC_MASK(model->memory.group[id]) + 1,
		     "group %u has %u slots", id, info.slots);
		check_shares(id, &info);
	} else {
		must(!group->n || group_without_room(), "group %u goes to the kernel", id);
	}
	free(info.members);
}

/* ---- next hops ---- */

static bool telling_all;
static size_t told;

static void watcher(void *arg, uint32_t number, const struct fib_nexthop_key *key, bool added)
{
	struct model_nexthop *nexthop = &model->nexthop[number];

	must(number && number < model->geometry.nexthops, "next hop %u", number);
	if (telling_all || !added)
		must(nexthop->used && key_equal(&nexthop->key, key), "next hop %u", number);
	if (telling_all) {
		told++;
	} else if (added) {
		must(!nexthop->used, "next hop %u is in use", number);
		must(nexthop->freed <= model->grace_ended,
		     "next hop %u is in use again before a grace period", number);
		*nexthop = (struct model_nexthop){.used = true, .key = *key};
	} else {
		nexthop->used = false;
		nexthop->freed = model->grace_begun + 1;
	}
}

void model_watch(void)
{
	size_t used = 0;

	for (uint32_t i = 0; i < model->geometry.nexthops; i++)
		used += model->nexthop[i].used;
	told = 0;
	telling_all = true;
	fib_nexthop_watch(model->fib, watcher, NULL);
	telling_all = false;
	must(told == used, "told of %zu next hops, not %zu", told, used);
}

void model_check_nexthop(uint32_t number)
{
	const struct model_nexthop *nexthop = &model->nexthop[number];
	const struct fib_adjacency *must_be = &nexthop->adjacency;
	struct fib_nexthop_info info;
	uint32_t groups = 0;
	int err = fib_nexthop_get(model->fib, number, &info);

	must(err == (nexthop->used ? 0 : -2), "next hop %u: %d", number, err);
	if (err)
		return;
	must(key_equal(&info.key, &nexthop->key), "next hop %u", number);
	must(info.adjacency.down == must_be->down && info.adjacency.action == must_be->action &&
		     info.adjacency.mtu == must_be->mtu,
	     "next hop %u", number);
	if (must_be->action == FIB_NH_REWRITE)
		must(!memcmp(info.adjacency.dst, must_be->dst, 6) &&
			     !memcmp(info.adjacency.src, must_be->src, 6),
		     "next hop %u", number);
	must(model->memory.nexthop[number].ifindex == nexthop->key.ifindex &&
		     model->memory.nexthop[number].family == nexthop->key.family &&
		     !memcmp(model->memory.nexthop[number].gate, nexthop->key.gate, 16),
	     "next hop %u as readers find it", number);
	for (uint32_t i = 0; i < model->geometry.groups; i++)
		groups += model->group[i].used && member_of(&model->group[i], number);
	must(groups == info.groups, "next hop %u in %u groups, not %u", number, info.groups,
	     groups);
}
