// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The kernel's routes, by RTM_GETROUTE: all of them, of every type, and of each prefix that one by which the kernel
 * forwards. What no set of plain next hops can express is told as odd, with its reason (ODDITIES).
 *
 * The kernel asks its local table first. What that has is what the kernel has for a prefix, whatever else there is.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/lwtunnel.h>
#include <linux/rtnetlink.h>

#include "dplane_ebpf/audit/kernel.h"

#define ATTEMPTS 4

struct dump {
	struct reading *reading;
	uint32_t kernel_table;
	uint16_t table;
	struct kernel_nexthops *nexthops; /* read when a route needs them */
	bool has_nexthops;
	struct kernel_hops hops;
};

static size_t address_len(uint8_t family)
{
	return family == AF_INET ? 4 : 16;
}

/* ---- next hops ---- */

/* The attributes that say how one next hop is reached. */
static void hop_attribute(struct kernel_hop *hop, const struct nlattr *attr, uint8_t family)
{
	size_t len = mnl_attr_get_payload_len(attr);
	const uint8_t *data = mnl_attr_get_payload(attr);
	uint16_t type;

	switch (mnl_attr_get_type(attr)) {
	case RTA_OIF:
		if (len >= sizeof(uint32_t))
			hop->key.ifindex = mnl_attr_get_u32(attr);
		break;
	case RTA_GATEWAY:
		kernel_hop_gate(hop, family, data, len);
		break;
	case RTA_VIA:
		memcpy(&type, data, len >= sizeof(type) ? sizeof(type) : 0);
		if (len >= sizeof(type) && (type == AF_INET || type == AF_INET6))
			kernel_hop_gate(hop, (uint8_t)type, data + sizeof(type),
					len - sizeof(type));
		break;
	case RTA_ENCAP_TYPE:
		hop->encap |=
			len >= sizeof(uint16_t) && mnl_attr_get_u16(attr) != LWTUNNEL_ENCAP_NONE;
		break;
	}
}

/* True: the kernel does without each of them. */
static bool read_multipath(struct kernel_hops *hops, const struct nlattr *multipath, uint8_t family)
{
	const struct rtnexthop *rtnh = mnl_attr_get_payload(multipath);
	size_t left = mnl_attr_get_payload_len(multipath);
	bool dead = true;

	while (left >= sizeof(*rtnh) && rtnh->rtnh_len >= sizeof(*rtnh) && rtnh->rtnh_len <= left) {
		struct kernel_hop hop = {.key.ifindex = (uint32_t)rtnh->rtnh_ifindex};
		const struct nlattr *attr;
		size_t used = MNL_ALIGN(rtnh->rtnh_len);

		mnl_attr_for_each_payload((const struct nlattr *)(rtnh + 1),
					  rtnh->rtnh_len - sizeof(*rtnh))
			hop_attribute(&hop, attr, family);
		kernel_hops_add(hops, &hop, rtnh->rtnh_hops + 1u);
		dead &= (rtnh->rtnh_flags & RTNH_F_DEAD) != 0;
		if (used >= left)
			break;
		left -= used;
		rtnh = (const void *)((const char *)rtnh + used);
	}
	return dead && hops->n + hops->odd;
}

/* ---- routes ---- */

/* What a message says beside its header. */
struct route_attributes {
	const struct nlattr *dst, *multipath;
	uint32_t kernel_table, metric, nexthop_id;
	struct kernel_hop hop;
};

static void read_attributes(struct route_attributes *said, const struct nlmsghdr *nlh,
			    const struct rtmsg *rtm)
{
	const struct nlattr *attr;

	said->kernel_table = rtm->rtm_table;
	mnl_attr_for_each(attr, nlh, sizeof(*rtm)) {
		size_t len = mnl_attr_get_payload_len(attr);

		switch (mnl_attr_get_type(attr)) {
		case RTA_DST:
			said->dst = len == address_len(rtm->rtm_family) ? attr : NULL;
			break;
		case RTA_PRIORITY:
			said->metric = len >= sizeof(uint32_t) ? mnl_attr_get_u32(attr) : 0;
			break;
		case RTA_TABLE:
			if (len >= sizeof(uint32_t))
				said->kernel_table = mnl_attr_get_u32(attr);
			break;
		case RTA_NH_ID:
			said->nexthop_id = len >= sizeof(uint32_t) ? mnl_attr_get_u32(attr) : 0;
			break;
		case RTA_MULTIPATH:
			said->multipath = attr;
			break;
		default:
			hop_attribute(&said->hop, attr, rtm->rtm_family);
			break;
		}
	}
}

static uint32_t nexthop_way(struct dump *dump, uint32_t id)
{
	if (!dump->has_nexthops)
		dump->nexthops = kernel_nexthops_read(dump->reading);
	dump->has_nexthops = true;
	return kernel_nexthops_way(dump->nexthops, dump->reading->snapshot->ways, id, &dump->hops);
}

/* WAY_NONE: the kernel passes over the route, as all its next hops are dead. */
static uint32_t unicast_way(struct dump *dump, const struct rtmsg *rtm,
			    const struct route_attributes *said)
{
	bool dead = rtm->rtm_flags & RTNH_F_DEAD;

	/* with net.ipv4.nexthop_compat_mode=0 there is no more than the number */
	if (said->nexthop_id && !said->multipath && !said->hop.key.ifindex)
		return nexthop_way(dump, said->nexthop_id);
	dump->hops.n = 0;
	dump->hops.odd = 0;
	if (said->multipath)
		dead = read_multipath(&dump->hops, said->multipath, rtm->rtm_family);
	else
		kernel_hops_add(&dump->hops, &said->hop, 1);
	return dead ? WAY_NONE : kernel_hops_way(dump->reading->snapshot->ways, &dump->hops);
}

static uint32_t route_way(struct dump *dump, const struct rtmsg *rtm,
			  const struct route_attributes *said)
{
	/* such a route is for some packets only, whose other ones go by another */
	if (rtm->rtm_tos)
		return WAY_ODD_BY(TOS);
	if (rtm->rtm_src_len)
		return WAY_ODD_BY(SOURCE);
	switch (rtm->rtm_type) {
	case RTN_UNICAST:
		return unicast_way(dump, rtm, said);
	case RTN_LOCAL:
	case RTN_BROADCAST:
	case RTN_ANYCAST:
		return FIB_GROUP_LOCAL;
	case RTN_BLACKHOLE:
		return FIB_GROUP_BLACKHOLE;
	case RTN_UNREACHABLE:
	case RTN_PROHIBIT:
		return FIB_GROUP_REJECT;
	case RTN_THROW:
		/* behind the local table there is another */
		return dump->kernel_table == RT_TABLE_LOCAL ? WAY_NONE : WAY_ODD_BY(TYPES);
	default:
		return WAY_ODD_BY(TYPES);
	}
}

static void read_route(void *arg, const struct nlmsghdr *nlh)
{
	struct dump *dump = arg;
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(nlh);
	struct route_attributes said = {0};
	struct kernel_route route = {.local = dump->kernel_table == RT_TABLE_LOCAL};
	struct fib_prefix *prefix = &route.prefix;

	if (nlh->nlmsg_type != RTM_NEWROUTE || mnl_nlmsg_get_payload_len(nlh) < sizeof(*rtm) ||
	    (rtm->rtm_family != AF_INET && rtm->rtm_family != AF_INET6) ||
	    rtm->rtm_flags & RTM_F_CLONED)
		return;
	read_attributes(&said, nlh, rtm);
	prefix->table = dump->table;
	prefix->family = rtm->rtm_family;
	prefix->len = rtm->rtm_dst_len;
	if (said.dst)
		memcpy(prefix->addr, mnl_attr_get_payload(said.dst), address_len(prefix->family));
	if (said.kernel_table != dump->kernel_table ||
	    prefix->len > 8 * address_len(prefix->family) || snapshot_ignores(prefix))
		return;
	*dump->reading->seen += 1;
	route.metric = said.metric;
	route.way = route_way(dump, rtm, &said);
	if (route.way)
		snapshot_kernel(dump->reading->snapshot, &route, dump->reading->all);
}

/* ---- a table ---- */

static void make_request(struct nlmsghdr *nlh, uint32_t kernel_table, uint8_t family, uint32_t seq)
{
	struct rtmsg *rtm;

	nlh->nlmsg_type = RTM_GETROUTE;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	nlh->nlmsg_seq = seq;
	rtm = mnl_nlmsg_put_extra_header(nlh, sizeof(*rtm));
	rtm->rtm_family = family;
	mnl_attr_put_u32(nlh, RTA_TABLE, kernel_table);
}

static void forget(struct snapshot *snapshot, uint16_t table, uint8_t family, bool local)
{
	uint8_t v6 = family == AF_INET6 ? RECORD_V6 : 0;

	for (size_t i = 0; i < snapshot->n; i++) {
		struct record *record = &snapshot->record[i];

		if (record->table != table || (record->flags & RECORD_V6) != v6)
			continue;
		/* the local table is read first */
		if (!local && record->flags & RECORD_LOCAL)
			continue;
		record->kernel = WAY_NONE;
		record->flags &= (uint8_t)~RECORD_LOCAL;
	}
}

int kernel_read(struct reading *reading, uint32_t kernel_table, uint16_t table, uint8_t family)
{
	struct dump *dump = calloc(1, sizeof(*dump));
	char *buffer = malloc(KERNEL_BUFFER);
	uint64_t seen = *reading->seen;
	bool interrupted = true;
	int err = -ENOMEM, fd = -1;

	if (dump && buffer) {
		dump->reading = reading;
		dump->kernel_table = kernel_table;
		dump->table = table;
		fd = kernel_open();
		err = fd < 0 ? fd : 0;
	}
	/* what is missed after the last attempt is seen at the next look */
	for (uint32_t i = 1; !err && interrupted && i <= ATTEMPTS; i++) {
		char message[MNL_ALIGN(sizeof(struct nlmsghdr)) + 64] = {0};
		struct nlmsghdr *nlh = mnl_nlmsg_put_header(message);

		interrupted = false;
		*reading->seen = seen;
		if (i > 1)
			forget(reading->snapshot, table, family, kernel_table == RT_TABLE_LOCAL);
		make_request(nlh, kernel_table, family, i);
		err = kernel_dump(reading, fd, nlh, buffer, read_route, dump, &interrupted);
	}
	if (fd >= 0)
		close(fd);
	if (dump)
		kernel_nexthops_free(dump->nexthops);
	free(dump);
	free(buffer);
	return err;
}
