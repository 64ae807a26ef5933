// SPDX-License-Identifier: GPL-2.0-or-later
/* Groups change their members, next hops how they are reached. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/fuzz/fib_operations.h"

/* Few next hops, so that all of a group are down now and then. */
#define PROTECTED_KEYS 8u

/* Up to three backups for each member of a small group, others or members too. */
static void take_backups(struct fib_member *member)
{
	uint8_t how = take8(&in);

	for (unsigned int i = 0; i < (how & 3u); i++)
		member->backup[i] = model_key((how >> 2 << i ^ how >> 5) % PROTECTED_KEYS);
}

static size_t take_members(struct fib_member *members, uint8_t *key)
{
	uint8_t how = take8(&in), first = take8(&in);
	size_t n = how < 128 ? how % 5 : how % (MODEL_MEMBERS + 1);

	for (size_t i = 0; i < n; i++) {
		bool protect = n < 5 && how & 8;

		key[i] = n < 5 ? take8(&in) : (uint8_t)(first + i * (how & 1 ? 1 : 12));
		if (protect)
			key[i] %= PROTECTED_KEYS;
		members[i] = (struct fib_member){
			.nexthop = model_key(key[i]),
			.weight = how & 32   ? first >> (i & 7)
				  : how & 16 ? 1u << (first + i) % 32
					     : 1,
		};
		/* what is behind a gateway's address does not count */
		if (how & 64 && members[i].nexthop.family != AF_INET6)
			members[i].nexthop.gate[15] = how;
		if (protect)
			take_backups(&members[i]);
	}
	return n;
}

void group_new(void)
{
	struct fib_member members[MODEL_MEMBERS];
	uint8_t key[MODEL_MEMBERS];
	size_t n = take_members(members, key);
	uint32_t group = 0;
	struct fib_stats before, after;
	int err;

	fib_stats(model->fib, &before);
	err = CALL(fib_group_set(model->fib, &group, members, n));
	fib_stats(model->fib, &after);
	if (no_memory(err)) {
		must(!group, "group %u", group);
		return;
	}
	must(!err, "%d", err);
	if (group == FIB_GROUP_OVERFLOW) {
		must(after.group_overflow == before.group_overflow + 1, "not counted");
		return;
	}
	model_group_new(group);
	model_group_members(group, key, members, n);
	model_check_group(group);
}

void group_change(void)
{
	struct fib_member members[MODEL_MEMBERS];
	uint8_t key[MODEL_MEMBERS];
	uint32_t group = take_group(), id = group;
	size_t n = take_members(members, key);
	struct fib_stats before, after;
	int err;

	if (!group)
		return;
	fib_stats(model->fib, &before);
	err = CALL(fib_group_set(model->fib, &group, members, n));
	fib_stats(model->fib, &after);
	must(group == id, "group %u became %u", id, group);
	if (no_memory(err))
		return;
	must(err == (id >= FIB_GROUP_FIRST && model_group_usable(id) ? 0 : -EINVAL), "%d", err);
	if (err)
		return;
	if (after.group_overflow > before.group_overflow) {
		struct fib_group_info info;

		/* without next-hop numbers it is as one without members, without slots it goes on with those it has */
		must(!fib_group_get(model->fib, id, &info), "group %u", id);
		must(info.n || !(model->memory.group[id] & FIB_DESC_VALID), "group %u forwards",
		     id);
		free(info.members);
		n = info.n ? n : 0;
	}
	model_group_members(id, key, members, n);
	model_check_group(id);
}

void group_drop(uint32_t group)
{
	bool there = group >= FIB_GROUP_FIRST && model_group_usable(group);
	int err = CALL(fib_group_drop(model->fib, group));

	no_memory(err);
	must(err == (there ? 0 : -ENOENT), "%d", err);
	if (!there)
		return;
	model->group[group].dropped = true;
	model_group_free_if_unused(group);
	model_check_group(group);
}

void nexthop_resolve(void)
{
	uint8_t how = take8(&in), byte = take8(&in);
	uint32_t number = byte % model->geometry.nexthops;
	struct model_nexthop *nexthop;
	struct fib_adjacency adjacency = {
		.down = how & 1,
		.action = how >> 1 & 7,
		.dst = {byte, 1, 2, 3, 4, how},
		.src = {how, 5, 6, 7, 8, byte},
		.mtu = (uint16_t)(byte << 8 | how),
	};
	struct fib_nexthop_key key;
	bool there;
	int err;

	if (adjacency.action > FIB_NH_MAX)
		adjacency.action = FIB_NH_REWRITE;
	for (uint32_t i = 0; i < model->geometry.nexthops && how & 16; i++) {
		if (model->nexthop[number].used)
			break;
		number = (number + 1) % model->geometry.nexthops;
	}
	nexthop = &model->nexthop[number];
	there = nexthop->used;
	key = there ? nexthop->key : model_key(byte);
	if (how >> 6 == 3) {
		key.ifindex++;
		there = false;
	}
	err = CALL(fib_nexthop_resolve(model->fib, number, how >> 6 ? &key : NULL, &adjacency));
	no_memory(err);
	must(err == (adjacency.action >= FIB_NH_MAX ? -EINVAL : there ? 0 : -ENOENT), "%d", err);
	if (!err)
		nexthop->adjacency = adjacency;
	model_check_nexthop(number);
}

void link_change(void)
{
	uint8_t how = take8(&in);

	for (uint32_t number = 1; number < model->geometry.nexthops; number++) {
		struct model_nexthop *nexthop = &model->nexthop[number];

		if (!nexthop->used || nexthop->key.ifindex != 1 + (how & 3u))
			continue;
		nexthop->adjacency.down = how & 4;
		must(!fib_nexthop_resolve(model->fib, number, &nexthop->key, &nexthop->adjacency),
		     "next hop %u", number);
	}
	groups_check();
}

void groups_check(void)
{
	for (uint32_t id = FIB_GROUP_FIRST; id < model->geometry.groups; id++)
		model_check_group(id);
	for (uint32_t number = 1; number < model->geometry.nexthops; number++)
		model_check_nexthop(number);
	model_watch();
}

void groups_end(void)
{
	for (uint32_t id = FIB_GROUP_FIRST; id < model->geometry.groups; id++) {
		if (model->group[id].used)
			group_drop(id);
	}
}
