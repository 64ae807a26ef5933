// SPDX-License-Identifier: GPL-2.0-or-later
/* Our own tables: what was set, and whether the program finds it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include <linux/rtnetlink.h>

#include "dplane_ebpf/audit/audit_internal.h"

#define CHUNK 256u
#define CHUNKS_A_PAUSE 16u

/* Way of each group as it was first seen in this pass; intact: its shared memory is, too. */
struct group_ways {
	uint32_t way[FIB_MAX_GROUPS];
	uint8_t damaged[FIB_MAX_GROUPS];
	uint8_t protected[FIB_MAX_GROUPS]; /* its backups stand in for members */
};

struct pass {
	struct reading *reading;
	struct group_ways *groups;
	struct fib_prefix prefix[CHUNK];
	uint32_t group[CHUNK];
	size_t n;
};

bool reading_pause(const struct reading *reading)
{
	static const struct timespec pause = {.tv_nsec = 4000000};

	if (atomic_load(reading->slow))
		nanosleep(&pause, NULL);
	return !atomic_load(reading->stop);
}

static uint32_t group_way(struct reading *reading, uint32_t group, uint8_t *protected)
{
	struct fib_member few[64], *member = few;
	struct fib_nexthop_info nexthop;
	struct fib_group_info info;
	uint32_t way = WAY_CHANGING;

	if (fib_group_get(reading->fib, group, &info))
		return WAY_CHANGING;
	*protected = info.protected;
	if (info.n > sizeof(few) / sizeof(few[0]))
		member = calloc(info.n, sizeof(*member));
	if (!info.n || !info.slots) {
		way = info.n ? FIB_GROUP_OVERFLOW : FIB_GROUP_UNSUPPORTED;
	} else if (member) {
		size_t i, n = 0;

		for (i = 0; i < info.n; i++) {
			/* backups are no next hops as long as nothing fails, and the kernel has none */
			if (!info.members[i].weight)
				continue;
			if (fib_nexthop_get(reading->fib, info.members[i].nexthop, &nexthop))
				break;
			memset(&member[n], 0, sizeof(member[n]));
			member[n].nexthop = nexthop.key;
			member[n++].weight = info.members[i].weight;
		}
		if (i == info.n)
			way = ways_of(reading->snapshot->ways, member, n);
	}
	if (member != few)
		free(member);
	free(info.members);
	return way;
}

/* The way of a route's group; *damaged: others wrote the group's shared memory. */
static uint32_t way_of(struct pass *pass, uint32_t group, bool *damaged)
{
	struct group_ways *groups = pass->groups;

	*damaged = false;
	if (group < FIB_GROUP_FIRST || group >= FIB_MAX_GROUPS)
		return group;
	if (!groups->way[group]) {
		groups->way[group] = group_way(pass->reading, group, &groups->protected[group]);
		groups->damaged[group] = fib_group_verify(pass->reading->fib, group) == -EBADMSG;
	}
	*damaged = groups->damaged[group];
	return groups->way[group];
}

static void fill(struct pass *pass, struct record *record, const struct fib_prefix *prefix,
		 uint32_t group)
{
	bool damaged;
	int err = fib_route_verify(pass->reading->fib, prefix);

	record->ours = way_of(pass, group, &damaged);
	record->flags &= (uint8_t) ~(RECORD_COVERED | RECORD_DAMAGED | RECORD_PROTECTED);
	if (group >= FIB_GROUP_FIRST && group < FIB_MAX_GROUPS && pass->groups->protected[group])
		record->flags |= RECORD_PROTECTED;
	if (err == -ENOSPC)
		record->ours = FIB_GROUP_OVERFLOW;
	else if (damaged || err == -EBADMSG)
		record->flags |= RECORD_DAMAGED;
}

bool ours_over(struct fib *fib, const struct record *record)
{
	struct fib_prefix prefix;

	record_prefix(record, &prefix);
	if (fib_route_over(fib, &prefix) & ~FIB_OVER_DOUBT)
		return true;
	/* the program may look at the kernel's local table before this one */
	prefix.table = FIB_TABLE_LOCAL;
	return record->flags & RECORD_LOCAL &&
	       fib_table_kernel(fib, FIB_TABLE_LOCAL) == RT_TABLE_LOCAL &&
	       fib_route_covering(fib, &prefix, NULL) == FIB_GROUP_LOCAL;
}

/*
 * Where packets of a prefix would go that has no route of its own, but for the audit's word: by the longest of the
 * shorter ones that is not the kernel's by that alone.
 */
static uint32_t covering(struct fib *fib, const struct fib_prefix *prefix)
{
	struct fib_prefix found, place = *prefix;
	uint32_t group, hidden;

	for (;;) {
		group = fib_route_covering(fib, &place, &found);
		if (group != FIB_GROUP_KERNEL || fib_route_over(fib, &found) != FIB_OVER_DOUBT)
			return group;
		hidden = fib_route_covering(fib, &found, NULL);
		if (hidden != FIB_GROUP_KERNEL)
			return hidden;
		if (!found.len)
			return 0;
		place = found;
		place.len--;
	}
}

/* A prefix that is not there goes where a shorter one leads. */
static void fill_covered(struct pass *pass, struct record *record, const struct fib_prefix *prefix)
{
	uint32_t group = covering(pass->reading->fib, prefix);
	bool damaged;

	record->ours = way_of(pass, group, &damaged);
	record->flags |= RECORD_COVERED;
}

static bool pass_begin(struct pass *pass, struct reading *reading)
{
	pass->reading = reading;
	pass->groups = calloc(1, sizeof(*pass->groups));
	if (!pass->groups)
		reading->snapshot->failed = true;
	return pass->groups;
}

static void collect(void *arg, const struct fib_prefix *prefix, uint32_t group)
{
	struct pass *pass = arg;

	if (snapshot_ignores(prefix))
		return;
	pass->prefix[pass->n] = *prefix;
	pass->group[pass->n++] = group;
}

void ours_read(struct reading *reading, uint16_t table, uint8_t family)
{
	struct snapshot *snapshot = reading->snapshot;
	struct fib_cursor cursor = {0};
	unsigned int chunks = 0;
	struct pass pass;
	bool more = pass_begin(&pass, reading);

	while (more) {
		pass.n = 0;
		more = fib_route_walk(reading->fib, table, family, &cursor, CHUNK, collect, &pass);
		for (size_t i = 0; i < pass.n; i++) {
			struct record *record = snapshot_find(snapshot, &pass.prefix[i]);

			if (!record && reading->all)
				record = snapshot_add(snapshot, &pass.prefix[i]);
			if (record)
				fill(&pass, record, &pass.prefix[i], pass.group[i]);
		}
		*reading->seen += pass.n;
		if (++chunks % CHUNKS_A_PAUSE == 0)
			more &= reading_pause(reading);
	}
	free(pass.groups);
}

void ours_look(struct reading *reading, bool only_kernels)
{
	struct snapshot *snapshot = reading->snapshot;
	struct fib_prefix prefix, found;
	struct pass pass;
	uint32_t group;

	if (!pass_begin(&pass, reading))
		return;
	for (size_t i = 0; i < snapshot->n; i++) {
		struct record *record = &snapshot->record[i];

		if (only_kernels && (record->rib || record->ours))
			continue;
		record_prefix(record, &prefix);
		group = fib_route_covering(reading->fib, &prefix, &found);
		/* what is laid over is no route, but for FRR 10's local addresses */
		if (group && found.len == prefix.len && group != FIB_GROUP_KERNEL &&
		    (group != FIB_GROUP_LOCAL || record->rib == FIB_GROUP_LOCAL))
			fill(&pass, record, &prefix, group);
		else
			fill_covered(&pass, record, &prefix);
		if (i % (CHUNK * CHUNKS_A_PAUSE) == CHUNK && !reading_pause(reading))
			break;
	}
	free(pass.groups);
}
