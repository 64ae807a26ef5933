// SPDX-License-Identifier: GPL-2.0-or-later
/* Next-hop groups by zebra's id. */
#include "dplane_ebpf/groups.h"

#include "dplane_ebpf/members.h"

#include "lib/jhash.h"
#include "lib/typesafe.h"

PREDECL_HASH(nhe_table);

/* The FIB's group for those of an id's routes that have this MTU. */
struct nhe_group {
	struct nhe_group *next;
	uint16_t mtu; /* 0: none of their own, the first of each id */
	uint32_t group;
};

struct nhe {
	struct nhe_table_item item;
	uint32_t id;
	struct nhe_group groups;
	/* those members that have backups: zebra's next-hop contexts come without, so routes bring them */
	struct fib_member *protected;
	size_t n_protected;
};

static int nhe_cmp(const struct nhe *a, const struct nhe *b)
{
	return numcmp(a->id, b->id);
}

static uint32_t nhe_hash(const struct nhe *nhe)
{
	return jhash_1word(nhe->id, 0);
}

DECLARE_HASH(nhe_table, struct nhe, item, nhe_cmp, nhe_hash);

/* How many ids may come before those without routes are looked for again. */
#define SWEEP_AFTER_MIN 64

struct groups {
	struct fib *fib;
	struct nhe_table_head table;
	size_t sweep_at; /* ids */
};

static bool is_protected(const struct fib_member *member)
{
	return member->backup[0].ifindex || member->backup_refused;
}

struct groups *groups_new(struct fib *fib)
{
	struct groups *groups = calloc(1, sizeof(*groups));

	if (!groups)
		return NULL;
	groups->fib = fib;
	nhe_table_init(&groups->table);
	groups->sweep_at = SWEEP_AFTER_MIN;
	return groups;
}

static void forget(struct groups *groups, struct nhe *nhe)
{
	struct nhe_group *group = &nhe->groups, *next;

	nhe_table_del(&groups->table, nhe);
	for (; group; group = next) {
		next = group->next;
		if (group->group >= FIB_GROUP_FIRST)
			fib_group_drop(groups->fib, group->group);
		if (group != &nhe->groups)
			free(group);
	}
	free(nhe->protected);
	free(nhe);
}

void groups_free(struct groups *groups)
{
	struct nhe *nhe;

	if (!groups)
		return;
	while ((nhe = nhe_table_first(&groups->table)))
		forget(groups, nhe);
	nhe_table_fini(&groups->table);
	free(groups);
}

static struct nhe *find(struct groups *groups, uint32_t id)
{
	struct nhe key = {.id = id};

	return nhe_table_find(&groups->table, &key);
}

static bool has_routes(const struct groups *groups, const struct nhe *nhe)
{
	for (const struct nhe_group *group = &nhe->groups; group; group = group->next) {
		if (group->group >= FIB_GROUP_FIRST && fib_group_routes(groups->fib, group->group))
			return true;
	}
	return false;
}

/*
 * zebra says nothing of an id that it forgets while a link is down, as the kernel has dropped the next hop by itself. So
 * ids without routes are forgotten after a while; if zebra still has one, the next route with it brings it back. A
 * protocol's are never forgotten: what they are is not the routes' to say.
 */
static void sweep(struct groups *groups)
{
	size_t left;
	struct nhe *nhe;

	frr_each_safe(nhe_table, &groups->table, nhe) {
		if (nhe->id < ZEBRA_NHG_PROTO_LOWER && !has_routes(groups, nhe))
			forget(groups, nhe);
	}
	left = nhe_table_count(&groups->table);
	groups->sweep_at = left + MAX(left / 4, SWEEP_AFTER_MIN);
}

static struct nhe *add(struct groups *groups, uint32_t id)
{
	struct nhe *nhe = calloc(1, sizeof(*nhe));

	if (!nhe)
		return NULL;
	if (nhe_table_count(&groups->table) >= groups->sweep_at)
		sweep(groups);
	nhe->id = id;
	nhe_table_add(&groups->table, nhe);
	return nhe;
}

static void set_mtu(struct fib_member *members, size_t n, uint16_t mtu)
{
	for (size_t i = 0; i < n; i++) {
		members[i].nexthop.mtu = mtu;
		for (size_t b = 0; b < FIB_MAX_BACKUPS && members[i].backup[b].ifindex; b++)
			members[i].backup[b].mtu = mtu;
	}
}

/* Writes the members of one of an id's groups, with its MTU, or none after a verdict. */
static int publish_one(struct groups *groups, struct nhe_group *to, struct fib_member *members,
		       size_t n)
{
	/* Routes hold the FIB's group, so it stays whatever becomes of its members. */
	uint32_t group = to->group >= FIB_GROUP_FIRST ? to->group : 0;
	int err;

	set_mtu(members, n, to->mtu);
	err = fib_group_set(groups->fib, &group, members, n);
	if (err == 0) {
		to->group = group;
		return 0;
	}
	/* The old members are not what zebra wants any more. */
	if (group)
		fib_group_set(groups->fib, &group, NULL, 0);
	else
		to->group = FIB_GROUP_OVERFLOW;
	return err;
}

static int publish(struct groups *groups, struct nhe *nhe, struct fib_member *members, size_t n)
{
	int err = 0;

	for (struct nhe_group *group = &nhe->groups; group; group = group->next) {
		int one = publish_one(groups, group, members, n);

		err = err ? err : one;
	}
	return err;
}

bool groups_known(struct groups *groups, uint32_t nhe_id)
{
	return nhe_id && find(groups, nhe_id) != NULL;
}

/* What routes said of these members before. */
static void recall_backups(const struct nhe *nhe, struct fib_member *members, size_t n)
{
	for (size_t p = 0; p < nhe->n_protected; p++) {
		const struct fib_member *known = &nhe->protected[p];

		for (size_t i = 0; i < n; i++) {
			if (memcmp(&members[i].nexthop, &known->nexthop, sizeof(known->nexthop)))
				continue;
			memcpy(members[i].backup, known->backup, sizeof(known->backup));
			members[i].backup_refused = known->backup_refused;
		}
	}
}

int groups_set(struct groups *groups, uint32_t nhe_id, const struct nexthop_group *ng)
{
	struct fib_member members[MEMBERS_MAX];
	struct nhe *nhe = find(groups, nhe_id);
	size_t n;
	uint32_t verdict = members_read(ng, members, &n);

	if (!nhe)
		nhe = add(groups, nhe_id);
	if (!nhe)
		return -ENOMEM;
	/*
	 * zebra's own ids never change from blackhole to something else. A protocol's may, while routes go on
	 * using it: those get a group without members, which sends to the kernel.
	 */
	if (verdict < FIB_GROUP_FIRST && nhe->groups.group < FIB_GROUP_FIRST &&
	    nhe_id < ZEBRA_NHG_PROTO_LOWER) {
		nhe->groups.group = verdict;
		return 0;
	}
	if (verdict < FIB_GROUP_FIRST)
		n = 0;
	recall_backups(nhe, members, n);
	return publish(groups, nhe, members, n);
}

/* Keeps what is to be recalled. False: it is known already. */
static bool remember_backups(struct nhe *nhe, const struct fib_member *members, size_t n)
{
	struct fib_member *protected;
	size_t count = 0;

	for (size_t i = 0; i < n; i++)
		count += is_protected(&members[i]);
	protected = count ? calloc(count, sizeof(*protected)) : NULL;
	/* out of memory: as if there were none, which costs only the protection */
	if (!protected)
		count = 0;
	for (size_t i = 0, to = 0; i < n && to < count; i++) {
		if (is_protected(&members[i]))
		protected[to++] = members[i];
	}
	if (count == nhe->n_protected &&
	    (!count || !memcmp(protected, nhe->protected, count * sizeof(*protected)))) {
		free(protected);
		return false;
	}
	free(nhe->protected);
	nhe->protected = protected;
	nhe->n_protected = count;
	return true;
}

int groups_protect(struct groups *groups, uint32_t nhe_id, const struct nexthop_group *ng,
		   const struct nexthop_group *backups)
{
	struct nhe *nhe = find(groups, nhe_id);
	struct fib_member members[MEMBERS_MAX];
	size_t n;

	if (!nhe || nhe->groups.group < FIB_GROUP_FIRST || (!backups->nexthop && !nhe->n_protected))
		return 0;
	if (members_read(ng, members, &n) < FIB_GROUP_FIRST)
		return 0;
	members_add_backups(members, n, ng, backups);
	if (!remember_backups(nhe, members, n))
		return 0;
	return publish(groups, nhe, members, n);
}

void groups_del(struct groups *groups, uint32_t nhe_id)
{
	struct nhe *nhe = find(groups, nhe_id);

	if (nhe)
		forget(groups, nhe);
}

/* The group for routes with this MTU, made if it is the first. */
static uint32_t group_of_mtu(struct groups *groups, struct nhe *nhe, const struct nexthop_group *ng,
			     uint16_t mtu)
{
	struct fib_member members[MEMBERS_MAX];
	struct nhe_group *group = &nhe->groups;
	size_t n;

	for (; group; group = group->next) {
		if (group->mtu == mtu)
			return group->group;
	}
	/* a verdict has no MTU */
	if (nhe->groups.group < FIB_GROUP_FIRST)
		return nhe->groups.group;
	group = calloc(1, sizeof(*group));
	if (!group)
		return FIB_GROUP_OVERFLOW;
	group->mtu = mtu;
	if (members_read(ng, members, &n) < FIB_GROUP_FIRST)
		n = 0;
	recall_backups(nhe, members, n);
	group->next = nhe->groups.next;
	nhe->groups.next = group;
	publish_one(groups, group, members, n);
	return group->group;
}

bool groups_find(struct groups *groups, uint32_t nhe_id, const struct nexthop_group *ng,
		 uint16_t mtu, uint32_t *group)
{
	struct nhe *nhe = NULL;

	if (nhe_id) {
		nhe = find(groups, nhe_id);
		if (!nhe && !groups_set(groups, nhe_id, ng))
			nhe = find(groups, nhe_id);
	}
	if (nhe)
		*group = group_of_mtu(groups, nhe, ng, mtu);
	return nhe != NULL;
}

uint32_t groups_make(struct groups *groups, const struct nexthop_group *ng,
		     const struct nexthop_group *backups, uint16_t mtu, bool *owned)
{
	struct fib_member members[MEMBERS_MAX];
	uint32_t group = 0;
	size_t n;
	uint32_t verdict = members_read(ng, members, &n);

	*owned = false;
	if (verdict < FIB_GROUP_FIRST)
		return verdict;
	members_add_backups(members, n, ng, backups);
	set_mtu(members, n, mtu);
	if (fib_group_set(groups->fib, &group, members, n))
		return FIB_GROUP_OVERFLOW;
	*owned = group >= FIB_GROUP_FIRST;
	return group;
}
