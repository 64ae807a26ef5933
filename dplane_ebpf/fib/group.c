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
	return fib->group ? fib_slots_init(fib) : -ENOMEM;
}

void fib_group_fini(struct fib *fib)
{
	for (uint32_t id = FIB_GROUP_FIRST; fib->group && id < fib->geometry.groups; id++) {
		free(fib->group[id].member);
		free(fib->group[id].home);
	}
	free(fib->group);
	free(fib->candidates);
	fib_slots_fini(fib);
}

static bool group_used(const struct fib *fib, uint32_t group)
{
	return group >= FIB_GROUP_FIRST && group < fib->geometry.groups && fib->group[group].used;
}

bool fib_group_usable(const struct fib *fib, uint32_t group)
{
	if (group < FIB_GROUP_FIRST)
		return group != FIB_GROUP_DEFAULT && group <= FIB_GROUP_KERNEL;
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

/* Members in the making: each next hop once, found again by its mark. */
struct members {
	struct fib_group_member *member;
	uint32_t n;
	uint32_t group;
};

/* The index of a next hop's member, made with a reference if there is none. -ENOSPC: no number is free. */
static int members_find(struct fib *fib, struct members *made, const struct fib_nexthop_key *key)
{
	uint32_t nexthop = fib_nexthop_ref(fib, key);
	struct fib_nexthop_entry *entry = &fib->nexthop[nexthop];
	struct fib_group_member *member = &made->member[made->n];

	if (!nexthop)
		return -ENOSPC;
	if (entry->mark) {
		fib_nexthop_unref(fib, nexthop);
		return (int)entry->mark - 1;
	}
	*member = (struct fib_group_member){.group = made->group, .nexthop = nexthop};
	LIST_INSERT_HEAD(&entry->members, member, sibling);
	entry->mark = ++made->n;
	return (int)entry->mark - 1;
}

static int members_add(struct fib *fib, struct members *made, const struct fib_member *from)
{
	uint32_t weight = from->weight ? from->weight : 1;
	int index = members_find(fib, made, &from->nexthop);
	uint64_t sum;

	if (index < 0)
		return index;
	sum = (uint64_t)made->member[index].weight + weight;
	made->member[index].backup_refused |= from->backup_refused;
	made->member[index].weight = sum < UINT32_MAX ? (uint32_t)sum : UINT32_MAX;
	return 0;
}

static bool has_backup(const struct fib_group_member *member, int index)
{
	for (uint32_t i = 0; i < member->n_backups; i++) {
		if (member->backup[i] == index)
			return true;
	}
	return false;
}

static int members_add_backups(struct fib *fib, struct members *made, const struct fib_member *from)
{
	int own = members_find(fib, made, &from->nexthop);
	struct fib_group_member *member;

	if (own < 0)
		return own;
	member = &made->member[own];
	for (uint32_t i = 0; i < FIB_MAX_BACKUPS && from->backup[i].ifindex; i++) {
		int index = members_find(fib, made, &from->backup[i]);

		if (index < 0)
			return index;
		if (index != own && member->n_backups < FIB_MAX_BACKUPS &&
		    !has_backup(member, index))
			member->backup[member->n_backups++] = (uint16_t)index;
	}
	return 0;
}

/* Members, then those that are backups only, with references to their next hops. */
static int members_make(struct fib *fib, struct members *made, const struct fib_member *members,
			size_t n, size_t n_backups, uint32_t *n_own)
{
	int err = 0;

	*n_own = 0;
	if (!n)
		return 0;
	made->member = calloc(n + n_backups, sizeof(*made->member));
	if (!made->member)
		return -ENOMEM;
	for (size_t i = 0; i < n && !err; i++)
		err = members_add(fib, made, &members[i]);
	*n_own = made->n;
	for (size_t i = 0; i < n && !err; i++)
		err = members_add_backups(fib, made, &members[i]);
	for (uint32_t i = 0; i < made->n; i++)
		fib->nexthop[made->member[i].nexthop].mark = 0;
	if (err) {
		members_free(fib, made->member, made->n);
		*made = (struct members){0};
		*n_own = 0;
	}
	return err;
}

/* The way of those members that are no mere backups; 0: there are none. */
static uint64_t members_way(const struct fib *fib, const struct fib_group *group)
{
	uint64_t way = 0;

	for (uint32_t i = 0; i < group->n_own; i++)
		way = fib_way_add(way, &fib->nexthop[group->member[i].nexthop].key);
	return way;
}

static int group_change(struct fib *fib, uint32_t id, const struct fib_member *members, size_t n,
			size_t n_backups)
{
	struct fib_group *group = &fib->group[id];
	struct fib_group_member *old = group->member;
	struct members made = {.group = id};
	uint32_t n_old = group->n, n_own;
	uint64_t way = group->way;
	int err = members_make(fib, &made, members, n, n_backups, &n_own);

	if (err == -ENOMEM)
		return err;
	group->member = made.member;
	group->n = made.n;
	group->n_own = n_own;
	group->way = members_way(fib, group);
	fib_slots_publish(fib, id);
	if (group->routes && group->way != way)
		fib_overlay_group_changed(fib, id);
	members_free(fib, old, n_old);
	return err;
}

/* How many backups there are, the same one maybe several times. -EINVAL: not usable, or too many. */
static int members_check(const struct fib_member *members, size_t n)
{
	size_t backups = 0;

	if (n > FIB_MAX_GROUP_SLOTS)
		return -EINVAL;
	for (size_t i = 0; i < n; i++) {
		if (!fib_nexthop_key_valid(&members[i].nexthop))
			return -EINVAL;
		for (size_t b = 0; b < FIB_MAX_BACKUPS && members[i].backup[b].ifindex; b++) {
			if (!fib_nexthop_key_valid(&members[i].backup[b]))
				return -EINVAL;
			backups++;
		}
	}
	return n + backups > FIB_MAX_GROUP_SLOTS ? -EINVAL : (int)backups;
}

int fib_group_set(struct fib *fib, uint32_t *group, const struct fib_member *members, size_t n)
{
	uint32_t id = *group;
	int backups = members_check(members, n);
	int err = 0;

	if (backups < 0)
		return backups;
	fib_lock(fib);
	fib->group_sets++;
	if (id) {
		err = group_used(fib, id) && !fib->group[id].dropped
			      ? group_change(fib, id, members, n, backups)
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
			err = group_change(fib, id, members, n, backups);
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

uint32_t fib_group_routes(struct fib *fib, uint32_t group)
{
	uint32_t routes = 0;

	fib_lock(fib);
	if (group_used(fib, group))
		routes = fib->group[group].routes;
	fib_unlock(fib);
	return routes;
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
		info->protected = group->protected;
		info->steered = group->home != NULL;
		info->n = group->n;
		for (uint32_t i = 0; i < group->n; i++) {
			info->members[i].nexthop = group->member[i].nexthop;
			info->members[i].weight = group->member[i].weight;
			info->members[i].slots = group->slots ? group->member[i].slots : 0;
			info->members[i].share = group->member[i].share;
			info->members[i].backup_refused = group->member[i].backup_refused;
			info->members[i].n_backups = group->member[i].n_backups;
			memcpy(info->members[i].backup, group->member[i].backup,
			       sizeof(info->members[i].backup));
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
