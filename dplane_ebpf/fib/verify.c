// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Whether the shared memory still says what was written into it: anybody with the right to write the pinned maps may
 * have changed it. And writing it again.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "dplane_ebpf/fib/fib_internal.h"

/* ---- groups ---- */

static uint64_t desc_of(const struct fib_group *group)
{
	if (!group->slots)
		return 0;
	return FIB_DESC_VALID | (uint64_t)group->generation << 48 |
	       (uint64_t)(group->slots - 1) << 32 | group->offset;
}

/* Every slot has a member, and each member as many as it was given. */
static bool slots_intact(struct fib *fib, const struct fib_group *group)
{
	uint32_t count[FIB_MAX_GROUP_SLOTS], mark;
	bool intact = true;

	for (uint32_t i = 0; i < group->n; i++) {
		count[i] = 0;
		fib->nexthop[group->member[i].nexthop].mark = i + 1;
	}
	for (uint32_t i = 0; i < group->slots && intact; i++) {
		uint32_t nexthop = fib_load(&fib->memory.slot[group->offset + i]);

		mark = nexthop < fib->geometry.nexthops ? fib->nexthop[nexthop].mark : 0;
		intact = mark;
		if (mark)
			count[mark - 1]++;
	}
	for (uint32_t i = 0; i < group->n; i++) {
		intact &= !group->slots || count[i] == group->member[i].slots;
		fib->nexthop[group->member[i].nexthop].mark = 0;
	}
	return intact;
}

static bool group_here(const struct fib *fib, uint32_t id)
{
	return id >= FIB_GROUP_FIRST && id < fib->geometry.groups && fib->group[id].used;
}

int fib_group_verify(struct fib *fib, uint32_t id)
{
	const struct fib_group *group;
	int err = -ENOENT;

	fib_lock(fib);
	if (group_here(fib, id)) {
		group = &fib->group[id];
		err = fib_load(&fib->memory.group[id]) == desc_of(group) && slots_intact(fib, group)
			      ? 0
			      : -EBADMSG;
		for (uint32_t i = 0; !err && i < group->n; i++)
			err = fib_nexthop_intact(fib, group->member[i].nexthop) ? 0 : -EBADMSG;
	}
	fib_unlock(fib);
	return err;
}

int fib_group_rewrite(struct fib *fib, uint32_t id)
{
	struct fib_group *group;
	int err = -ENOENT;

	fib_lock(fib);
	if (group_here(fib, id)) {
		group = &fib->group[id];
		for (uint32_t i = 0; i < group->n; i++)
			fib_nexthop_rewrite(fib, group->member[i].nexthop);
		fib_store(&fib->memory.group[id], desc_of(group));
		if (!slots_intact(fib, group))
			fib_slots_publish(fib, id);
		err = 0;
	}
	fib_unlock(fib);
	return err;
}

/* ---- prefixes ---- */

/* So many slots are looked at before others get the lock. */
#define CHUNK 4096u

static int owned_below(struct fib *fib, struct fib_owned *owned, uint32_t pos)
{
	int err = 0;

	if (pos == owned->hole && pos) {
		owned->hole_owned = true;
		return 0;
	}
	if (pos >= owned->leaves)
		return owned->slot(fib, owned->first + pos - owned->leaves, owned->gid,
				   owned->rewrite);
	for (uint32_t child = 2 * pos; child <= 2 * pos + 1; child++) {
		if (!owned->heap[child])
			err = fib_worse(err, owned_below(fib, owned, child));
	}
	return err;
}

int fib_owned_check(struct fib *fib, struct fib_owned *owned, uint32_t pos)
{
	uint32_t len = 31 - (uint32_t)__builtin_clz(pos);
	uint32_t leaves = owned->leaves >> len, chunks = 1;
	int err = 0;

	while (leaves / chunks > CHUNK)
		chunks *= 2;
	for (uint32_t i = 0; i < chunks; i++) {
		uint32_t chunk = pos * chunks + i, longer = chunk;

		while (longer > pos && !owned->heap[longer])
			longer >>= 1;
		if (longer == pos)
			err = fib_worse(err, owned_below(fib, owned, chunk));
		if (chunks == 1)
			break;
		fib_yield(fib);
		/* it may be gone when the lock was free */
		if (owned->gid && !*owned->gid)
			break;
	}
	return err;
}

static int route_check(struct fib *fib, const struct fib_prefix *prefix, bool rewrite)
{
	struct fib_prefix clean;
	int err;

	if (!fib_prefix_clean(&clean, prefix))
		return -EINVAL;
	fib_lock(fib);
	if (clean.table)
		err = fib_vrf_check(fib, &clean, rewrite);
	else if (clean.family == AF_INET)
		err = fib4_check(fib,
				 (uint32_t)clean.addr[0] << 24 | (uint32_t)clean.addr[1] << 16 |
					 (uint32_t)clean.addr[2] << 8 | clean.addr[3],
				 clean.len, rewrite);
	else
		err = fib6_check(fib, clean.addr, clean.len, rewrite);
	fib_unlock(fib);
	return err;
}

int fib_route_verify(struct fib *fib, const struct fib_prefix *prefix)
{
	return route_check(fib, prefix, false);
}

int fib_route_rewrite(struct fib *fib, const struct fib_prefix *prefix)
{
	int err = route_check(fib, prefix, true);

	return err == -EBADMSG || err == -ENOSPC ? 0 : err;
}
