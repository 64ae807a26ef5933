// SPDX-License-Identifier: GPL-2.0-or-later
/* Next-hop groups by zebra's id. */
#include "dplane_ebpf/groups.h"

#include "lib/jhash.h"
#include "lib/typesafe.h"

/* More members than zebra is built for cannot come; a group with more goes to the kernel. */
#define MEMBERS_MAX MULTIPATH_NUM

PREDECL_HASH(nhe_table);

struct nhe {
	struct nhe_table_item item;
	uint32_t id;
	uint32_t group;
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

struct groups {
	struct fib *fib;
	struct nhe_table_head table;
};

/* What the kernel does with such a route; see RTN_* in zebra's rt_netlink.c. */
static uint32_t blackhole_verdict(const struct nexthop *nexthop)
{
	switch (nexthop->bh_type) {
	case BLACKHOLE_REJECT:
	case BLACKHOLE_ADMINPROHIB:
		return FIB_GROUP_REJECT;
	case BLACKHOLE_UNSPEC:
	case BLACKHOLE_NULL:
		return FIB_GROUP_BLACKHOLE;
	}
	return FIB_GROUP_UNSUPPORTED;
}

/* Whether the program can send packets this way: plain IP, on an interface that zebra named. */
static bool plain(const struct nexthop *nexthop)
{
	return nexthop->ifindex > 0 && !nexthop->nh_label && !nexthop->nh_srv6 &&
	       !nexthop->nh_encap_type && !CHECK_FLAG(nexthop->flags, NEXTHOP_FLAG_EVPN);
}

static void fill_member(struct fib_member *member, const struct nexthop *nexthop)
{
	memset(member, 0, sizeof(*member));
	member->nexthop.ifindex = nexthop->ifindex;
	member->weight = nexthop->weight;
	switch (nexthop->type) {
	case NEXTHOP_TYPE_IPV4:
	case NEXTHOP_TYPE_IPV4_IFINDEX:
		/* 0.0.0.0 is how some protocols write "on this interface" */
		if (nexthop->gate.ipv4.s_addr != INADDR_ANY)
			member->nexthop.family = AF_INET;
		memcpy(member->nexthop.gate, &nexthop->gate.ipv4, sizeof(nexthop->gate.ipv4));
		break;
	case NEXTHOP_TYPE_IPV6:
	case NEXTHOP_TYPE_IPV6_IFINDEX:
		if (!IN6_IS_ADDR_UNSPECIFIED(&nexthop->gate.ipv6))
			member->nexthop.family = AF_INET6;
		memcpy(member->nexthop.gate, &nexthop->gate.ipv6, sizeof(nexthop->gate.ipv6));
		break;
	case NEXTHOP_TYPE_IFINDEX:
	case NEXTHOP_TYPE_BLACKHOLE:
		break;
	}
}

/* The members that count, maybe none; or a verdict for the whole group. */
static uint32_t read_members(const struct nexthop_group *ng, struct fib_member *members, size_t *n)
{
	const struct nexthop *nexthop;

	*n = 0;
	if (!ng)
		return FIB_GROUP_UNSUPPORTED;
	for (ALL_NEXTHOPS_PTR(ng, nexthop)) {
		if (CHECK_FLAG(nexthop->flags, NEXTHOP_FLAG_RECURSIVE) ||
		    !NEXTHOP_IS_ACTIVE(nexthop->flags))
			continue;
		if (nexthop->type == NEXTHOP_TYPE_BLACKHOLE)
			return *n ? FIB_GROUP_UNSUPPORTED : blackhole_verdict(nexthop);
		if (!plain(nexthop) || *n == MEMBERS_MAX)
			return FIB_GROUP_UNSUPPORTED;
		fill_member(&members[(*n)++], nexthop);
	}
	return FIB_GROUP_FIRST;
}

struct groups *groups_new(struct fib *fib)
{
	struct groups *groups = calloc(1, sizeof(*groups));

	if (!groups)
		return NULL;
	groups->fib = fib;
	nhe_table_init(&groups->table);
	return groups;
}

static void forget(struct groups *groups, struct nhe *nhe)
{
	nhe_table_del(&groups->table, nhe);
	if (nhe->group >= FIB_GROUP_FIRST)
		fib_group_drop(groups->fib, nhe->group);
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

int groups_set(struct groups *groups, uint32_t nhe_id, const struct nexthop_group *ng)
{
	struct fib_member members[MEMBERS_MAX];
	struct nhe *nhe = find(groups, nhe_id);
	size_t n;
	uint32_t verdict = read_members(ng, members, &n);
	uint32_t group;
	int err;

	if (!nhe) {
		nhe = calloc(1, sizeof(*nhe));
		if (!nhe)
			return -ENOMEM;
		nhe->id = nhe_id;
		nhe_table_add(&groups->table, nhe);
	}

	/* Routes hold the FIB's group, so it stays whatever becomes of its members. */
	group = nhe->group >= FIB_GROUP_FIRST ? nhe->group : 0;
	/*
	 * zebra's own ids never change from blackhole to something else. A protocol's may, while routes go on
	 * using it: those get a group without members, which sends to the kernel.
	 */
	if (verdict < FIB_GROUP_FIRST && !group && nhe_id < ZEBRA_NHG_PROTO_LOWER) {
		nhe->group = verdict;
		return 0;
	}
	if (verdict < FIB_GROUP_FIRST)
		n = 0;

	err = fib_group_set(groups->fib, &group, members, n);
	if (err == 0) {
		nhe->group = group;
		return 0;
	}
	/* The old members are not what zebra wants any more. */
	if (group)
		fib_group_set(groups->fib, &group, NULL, 0);
	else
		nhe->group = FIB_GROUP_OVERFLOW;
	return err;
}

void groups_del(struct groups *groups, uint32_t nhe_id)
{
	struct nhe *nhe = find(groups, nhe_id);

	if (nhe)
		forget(groups, nhe);
}

bool groups_find(struct groups *groups, uint32_t nhe_id, uint32_t *group)
{
	struct nhe *nhe = nhe_id ? find(groups, nhe_id) : NULL;

	if (nhe)
		*group = nhe->group;
	return nhe != NULL;
}

uint32_t groups_make(struct groups *groups, const struct nexthop_group *ng, bool *owned)
{
	struct fib_member members[MEMBERS_MAX];
	uint32_t group = 0;
	size_t n;
	uint32_t verdict = read_members(ng, members, &n);

	*owned = false;
	if (verdict < FIB_GROUP_FIRST)
		return verdict;
	if (fib_group_set(groups->fib, &group, members, n))
		return FIB_GROUP_OVERFLOW;
	*owned = group >= FIB_GROUP_FIRST;
	return group;
}
