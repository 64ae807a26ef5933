// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Groups: members, and how long an id lives: until its owner dropped it and no route
 * refers to it any more.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dplane_ebpf/fib/fib_internal.h"

int fib_group_init(struct fib *fib)
{
	fib->group = calloc(fib->geometry.groups, sizeof(*fib->group));
	return fib->group ? 0 : -ENOMEM;
}

void fib_group_fini(struct fib *fib)
{
	for (uint32_t id = FIB_GROUP_FIRST; fib->group && id < fib->geometry.groups; id++)
		free(fib->group[id].member);
	free(fib->group);
}

static bool group_used(const struct fib *fib, uint32_t group)
{
	return group >= FIB_GROUP_FIRST && group < fib->geometry.groups && fib->group[group].used;
}

bool fib_group_usable(const struct fib *fib, uint32_t group)
{
	if (group < FIB_GROUP_FIRST)
		return group != FIB_GROUP_DEFAULT && group <= FIB_GROUP_BLACKHOLE;
	return group_used(fib, group) && !fib->group[group].dropped;
}

static void members_free(struct fib *fib, struct fib_group_member *member, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		LIST_REMOVE(&member[i], sibling);
		fib_nexthop_unref(fib, member[i].nexthop);
	}
	free(member);
}

static void group_free_if_unused(struct fib *fib, uint32_t id)
{
	struct fib_group *group = &fib->group[id];
	struct fib_group_member *member = group->member;
	uint32_t n = group->n;

	if (!group->dropped || group->routes)
		return;
	group->n = 0;
	group->member = NULL;
	group->used = false;
	fib_slots_remove(fib, id, true);
	members_free(fib, member, n);
	fib_retire(fib, FIB_POOL_GROUP, id, 1);
}

void fib_group_ref(struct fib *fib, uint32_t group)
{
	if (group >= FIB_GROUP_FIRST)
		fib->group[group].routes++;
}

void fib_group_unref(struct fib *fib, uint32_t group)
{
	if (group < FIB_GROUP_FIRST)
		return;
	fib->group[group].routes--;
	group_free_if_unused(fib, group);
}

/* Members with references to their next hops, the same one summed up. */
static int members_make(struct fib *fib, uint32_t id, const struct fib_member *members, size_t n,
			struct fib_group_member **made, uint32_t *n_made)
{
	struct fib_group_member *member;
	uint32_t count = 0;
	int err = 0;

	*made = NULL;
	*n_made = 0;
	if (!n)
		return 0;
	member = calloc(n, sizeof(*member));
	if (!member)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		uint32_t weight = members[i].weight ? members[i].weight : 1;
		uint32_t nexthop = fib_nexthop_ref(fib, &members[i].nexthop);
		struct fib_nexthop_entry *entry = &fib->nexthop[nexthop];

		if (!nexthop) {
			err = -ENOSPC;
			break;
		}
		if (entry->mark) {
			uint64_t sum = (uint64_t)member[entry->mark - 1].weight + weight;

			member[entry->mark - 1].weight =
				sum < UINT32_MAX ? (uint32_t)sum : UINT32_MAX;
			fib_nexthop_unref(fib, nexthop);
			continue;
		}
		member[count] = (struct fib_group_member){
			.group = id,
			.nexthop = nexthop,
			.weight = weight,
		};
		LIST_INSERT_HEAD(&entry->members, &member[count], sibling);
		entry->mark = ++count;
	}
	for (uint32_t i = 0; i < count; i++)
		fib->nexthop[member[i].nexthop].mark = 0;
	if (err) {
		members_free(fib, member, count);
		return err;
	}
	*made = member;
	*n_made = count;
	return 0;
}

static int group_change(struct fib *fib, uint32_t id, const struct fib_member *members, size_t n)
{
	struct fib_group *group = &fib->group[id];
	struct fib_group_member *old = group->member, *member;
	uint32_t n_old = group->n, count;
	int err = members_make(fib, id, members, n, &member, &count);

	if (err == -ENOMEM)
		return err;
	group->member = member;
	group->n = count;
	fib_slots_publish(fib, id);
	members_free(fib, old, n_old);
	return err;
}

int fib_group_set(struct fib *fib, uint32_t *group, const struct fib_member *members, size_t n)
{
	uint32_t id = *group;
	int err = 0;

	if (n > FIB_MAX_GROUP_SLOTS)
		return -EINVAL;
	for (size_t i = 0; i < n; i++) {
		if (!fib_nexthop_key_valid(&members[i].nexthop))
			return -EINVAL;
	}
	fib_lock(fib);
	fib->group_sets++;
	if (id) {
		err = group_used(fib, id) && !fib->group[id].dropped
			      ? group_change(fib, id, members, n)
			      : -EINVAL;
	} else {
		id = fib_pool_alloc(&fib->pool[FIB_POOL_GROUP], 1);
		if (id == FIB_POOL_NONE) {
			err = -ENOSPC;
		} else {
			uint32_t generation = fib->group[id].generation;

			fib->group[id] = (struct fib_group){
				.used = true,
				.generation = generation,
			};
			err = group_change(fib, id, members, n);
			if (err) {
				fib->group[id].used = false;
				/* nobody was told of it */
				fib_pool_free(&fib->pool[FIB_POOL_GROUP], id, 1);
			}
		}
		if (!err)
			*group = id;
		else if (err == -ENOSPC && !*group)
			*group = FIB_GROUP_OVERFLOW;
	}
	if (err == -ENOSPC) {
		fib->group_overflow++;
		err = 0;
	}
	fib_unlock(fib);
	return err;
}

int fib_group_drop(struct fib *fib, uint32_t group)
{
	int err = -ENOENT;

	fib_lock(fib);
	if (group_used(fib, group) && !fib->group[group].dropped) {
		fib->group[group].dropped = true;
		group_free_if_unused(fib, group);
		err = 0;
	}
	fib_unlock(fib);
	return err;
}

int fib_group_get(struct fib *fib, uint32_t id, struct fib_group_info *info)
{
	const struct fib_group *group;
	int err = -ENOENT;

	memset(info, 0, sizeof(*info));
	fib_lock(fib);
	if (group_used(fib, id)) {
		group = &fib->group[id];
		info->members = calloc(group->n ? group->n : 1, sizeof(*info->members));
		err = info->members ? 0 : -ENOMEM;
	}
	if (!err) {
		info->group = id;
		info->routes = group->routes;
		info->slots = group->slots;
		info->generation = group->generation;
		info->dropped = group->dropped;
		info->n = group->n;
		for (uint32_t i = 0; i < group->n; i++) {
			info->members[i].nexthop = group->member[i].nexthop;
			info->members[i].weight = group->member[i].weight;
			info->members[i].slots = group->slots ? group->member[i].slots : 0;
		}
	}
	fib_unlock(fib);
	return err;
}

uint32_t fib_group_next(struct fib *fib, uint32_t from)
{
	uint32_t found = 0, id = from > FIB_GROUP_FIRST ? from : FIB_GROUP_FIRST;

	fib_lock(fib);
	for (; !found && id < fib->pool[FIB_POOL_GROUP].top; id++) {
		if (fib->group[id].used)
			found = id;
	}
	fib_unlock(fib);
	return found;
}
