// SPDX-License-Identifier: GPL-2.0-or-later
/* From zebra's next hops to the FIB's members. */
#include "dplane_ebpf/members.h"

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

/* In a VRF that is a network namespace of its own: its interfaces' numbers are those of others here. */
static bool elsewhere(const struct nexthop *nexthop)
{
	return vrf_is_backend_netns() && nexthop->vrf_id != VRF_DEFAULT;
}

/* Whether the program can send packets this way: plain IP, on an interface that zebra named. */
static bool plain(const struct nexthop *nexthop)
{
	return nexthop->ifindex > 0 && !elsewhere(nexthop) && !nexthop->nh_label &&
	       !nexthop->nh_srv6 && !nexthop->nh_encap_type &&
	       !CHECK_FLAG(nexthop->flags, NEXTHOP_FLAG_EVPN);
}

static void fill_key(struct fib_nexthop_key *key, const struct nexthop *nexthop)
{
	memset(key, 0, sizeof(*key));
	key->ifindex = nexthop->ifindex;
	switch (nexthop->type) {
	case NEXTHOP_TYPE_IPV4:
	case NEXTHOP_TYPE_IPV4_IFINDEX:
		/* 0.0.0.0 is how some protocols write "on this interface" */
		if (nexthop->gate.ipv4.s_addr != INADDR_ANY)
			key->family = AF_INET;
		memcpy(key->gate, &nexthop->gate.ipv4, sizeof(nexthop->gate.ipv4));
		break;
	case NEXTHOP_TYPE_IPV6:
	case NEXTHOP_TYPE_IPV6_IFINDEX:
		if (!IN6_IS_ADDR_UNSPECIFIED(&nexthop->gate.ipv6))
			key->family = AF_INET6;
		memcpy(key->gate, &nexthop->gate.ipv6, sizeof(nexthop->gate.ipv6));
		break;
	case NEXTHOP_TYPE_IFINDEX:
	case NEXTHOP_TYPE_BLACKHOLE:
		break;
	}
}

static void fill_member(struct fib_member *member, const struct nexthop *nexthop)
{
	memset(member, 0, sizeof(*member));
	fill_key(&member->nexthop, nexthop);
	member->weight = nexthop->weight;
}

/* Whether the next hop counts: not one that only stands for those it resolves to. */
static bool counts(const struct nexthop *nexthop)
{
	return !CHECK_FLAG(nexthop->flags, NEXTHOP_FLAG_RECURSIVE) &&
	       NEXTHOP_IS_ACTIVE(nexthop->flags);
}

uint32_t members_read(const struct nexthop_group *ng, struct fib_member *members, size_t *n)
{
	const struct nexthop *nexthop;

	*n = 0;
	if (!ng)
		return FIB_GROUP_UNSUPPORTED;
	for (ALL_NEXTHOPS_PTR(ng, nexthop)) {
		if (!counts(nexthop))
			continue;
		if (nexthop->type == NEXTHOP_TYPE_BLACKHOLE)
			return *n ? FIB_GROUP_UNSUPPORTED : blackhole_verdict(nexthop);
		if (!plain(nexthop) || *n == MEMBERS_MAX)
			return FIB_GROUP_UNSUPPORTED;
		fill_member(&members[(*n)++], nexthop);
	}
	return FIB_GROUP_FIRST;
}

bool members_same(const struct nexthop_group *a, const struct nexthop_group *b)
{
	struct fib_member members_a[MEMBERS_MAX], members_b[MEMBERS_MAX];
	size_t n_a, n_b;

	if (members_read(a, members_a, &n_a) != members_read(b, members_b, &n_b) || n_a != n_b)
		return false;
	for (size_t i = 0; i < n_a; i++) {
		if (memcmp(&members_a[i].nexthop, &members_b[i].nexthop,
			   sizeof(members_a[i].nexthop)))
			return false;
	}
	return true;
}

/* The backup of this number in zebra's list, NULL: there is none. */
static const struct nexthop *backup_at(const struct nexthop_group *backups, unsigned int index)
{
	const struct nexthop *nexthop = backups->nexthop;

	while (nexthop && index--)
		nexthop = nexthop->next;
	return nexthop;
}

static void fill_backups(struct fib_member *member, const struct nexthop *nexthop,
			 const struct nexthop_group *backups)
{
	size_t n = 0;

	for (unsigned int i = 0; i < nexthop->backup_num && n < FIB_MAX_BACKUPS; i++) {
		const struct nexthop *backup = backup_at(backups, nexthop->backup_idx[i]);

		if (backup && CHECK_FLAG(backup->flags, NEXTHOP_FLAG_RECURSIVE))
			backup = backup->resolved;
		if (!backup || backup->type == NEXTHOP_TYPE_BLACKHOLE)
			continue;
		if (plain(backup))
			fill_key(&member->backup[n++], backup);
		else
			member->backup_refused = true;
	}
}

void members_add_backups(struct fib_member *members, size_t n, const struct nexthop_group *ng,
			 const struct nexthop_group *backups)
{
	const struct nexthop *nexthop;
	size_t i = 0;

	if (!backups || !backups->nexthop)
		return;
	for (ALL_NEXTHOPS_PTR(ng, nexthop)) {
		if (!counts(nexthop))
			continue;
		if (i < n && CHECK_FLAG(nexthop->flags, NEXTHOP_FLAG_HAS_BACKUP))
			fill_backups(&members[i], nexthop, backups);
		i++;
	}
}

uint16_t members_mtu(uint32_t mtu, uint32_t resolved)
{
	if (!mtu || (resolved && resolved < mtu))
		mtu = resolved;
	return mtu < UINT16_MAX ? (uint16_t)mtu : 0;
}
