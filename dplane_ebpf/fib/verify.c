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

static bool nexthop_intact(const struct fib *fib, uint32_t nexthop)
{
	const struct fib_nexthop_key *key = &fib->nexthop[nexthop].key;
	const struct fib_nexthop *shared = &fib->memory.nexthop[nexthop];

	return shared->ifindex == key->ifindex && shared->family == key->family &&
	       !memcmp(shared->gate, key->gate, sizeof(shared->gate));
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
			err = nexthop_intact(fib, group->member[i].nexthop) ? 0 : -EBADMSG;
	}
	fib_unlock(fib);
	return err;
}

static void nexthop_rewrite(struct fib *fib, uint32_t nexthop)
{
	const struct fib_nexthop_key *key = &fib->nexthop[nexthop].key;
	struct fib_nexthop *shared = &fib->memory.nexthop[nexthop];

	if (nexthop_intact(fib, nexthop))
		return;
	/* the kernel's while it is written; who resolves next hops hears of it as of a new one */
	fib_store(&shared->dst, (uint64_t)FIB_NH_KERNEL << 48);
	shared->ifindex = key->ifindex;
	shared->family = key->family;
	memcpy(shared->gate, key->gate, sizeof(shared->gate));
	if (fib->watcher) {
		fib->watcher(fib->watcher_arg, nexthop, key, false);
		fib->watcher(fib->watcher_arg, nexthop, key, true);
	}
}

int fib_group_rewrite(struct fib *fib, uint32_t id)
{
	struct fib_group *group;
	int err = -ENOENT;

	fib_lock(fib);
	if (group_here(fib, id)) {
		group = &fib->group[id];
		for (uint32_t i = 0; i < group->n; i++)
			nexthop_rewrite(fib, group->member[i].nexthop);
		fib_store(&fib->memory.group[id], desc_of(group));
		if (!slots_intact(fib, group))
			fib_slots_publish(fib, id);
		err = 0;
	}
	fib_unlock(fib);
	return err;
}

/* ---- prefixes ---- */

static void last_address(struct fib_prefix *host)
{
	unsigned int end = host->family == AF_INET ? 32 : 128;

	for (unsigned int bit = host->len; bit < end; bit++)
		host->addr[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
}

/* What the program finds for one address of a prefix, if no longer prefix has it. */
static int verify_address(struct fib *fib, const struct fib_prefix *prefix, struct fib_prefix *host)
{
	const struct fib_overlay *overlay;
	struct fib_prefix found;
	uint32_t wanted, published;

	host->len = host->family == AF_INET ? 32 : 128;
	wanted = fib_route_covering(fib, host, &found);
	overlay = fib_overlay_find(fib, host);
	if (overlay && overlay->published)
		wanted = overlay->published;
	if (!wanted)
		return -ENOENT;
	if (!overlay && found.len != prefix->len)
		return 0;
	published = fib_lookup(fib, host->table, host->family, host->addr);
	if (published == wanted)
		return 0;
	return published == FIB_GROUP_OVERFLOW ? -ENOSPC : -EBADMSG;
}

int fib_route_verify(struct fib *fib, const struct fib_prefix *prefix)
{
	struct fib_prefix first = *prefix, last = *prefix;
	int err;

	last_address(&last);
	fib_lock(fib);
	err = verify_address(fib, prefix, &first);
	if (!err)
		err = verify_address(fib, prefix, &last);
	fib_unlock(fib);
	return err;
}

/* ---- words that lead to nodes ---- */

bool fib_node_inside(const struct fib *fib, uint32_t word)
{
	return (uint64_t)fib_node_number(word) * FIB_UNIT < 2ull * fib->geometry.node_bytes;
}

static void rewrite4(struct fib *fib, const struct fib_prefix *prefix)
{
	uint32_t addr = (uint32_t)prefix->addr[0] << 24 | (uint32_t)prefix->addr[1] << 16 |
			(uint32_t)prefix->addr[2] << 8 | prefix->addr[3];
	uint32_t slot = addr >> (32 - FIB4_ROOT_BITS);
	uint32_t slots = prefix->len < FIB4_ROOT_BITS ? 1u << (FIB4_ROOT_BITS - prefix->len) : 1;

	for (; slots; slots--, slot++) {
		struct fib4_mid *mid = fib->v4.mid[slot];

		if (mid && mid != &fib4_lost && mid->node)
			fib_store(&fib->memory.v4_root[slot], FIB_NODE | mid->node);
	}
}

void fib_root_rewrite(struct fib *fib, const struct fib_prefix *prefix)
{
	unsigned int side = prefix->family == AF_INET ? FIB_SIDE_V4 : FIB_SIDE_V6;

	if (prefix->table)
		fib_branch_rewrite(fib, fib->vrf[prefix->table].top[side], prefix->addr);
	else if (prefix->family == AF_INET)
		rewrite4(fib, prefix);
	else
		fib_branch_rewrite(fib, fib6_branch_of(fib, prefix->addr), prefix->addr);
}
