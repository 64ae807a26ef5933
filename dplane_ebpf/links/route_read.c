// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Routes as rtnetlink tells of them. What counts of a route is where it leads, if the program can go there: a plain next hop or
 * several, or nowhere (blackhole). Whatever else there is to a route makes it one that only the kernel can follow.
 */
#include "dplane_ebpf/links/route.h"

#include <sys/socket.h>

#include <libmnl/libmnl.h>
#include <linux/icmpv6.h>
#include <linux/lwtunnel.h>
#include <linux/rtnetlink.h>

bool route_is_zebras(uint8_t protocol)
{
	return protocol == RTPROT_ZEBRA || protocol == RTPROT_BABEL ||
	       (protocol >= RTPROT_BGP && protocol <= ROUTE_ZEBRAS_LAST);
}

static size_t address_len(uint8_t family)
{
	return family == AF_INET ? 4 : 16;
}

static uint64_t mix(uint64_t hash, uint64_t word)
{
	hash = (hash ^ word) * 0x9e3779b97f4a7c15ull;
	return hash ^ hash >> 29;
}

static uint64_t mix_bytes(uint64_t hash, const void *bytes, size_t len)
{
	return mix(hash, (uint64_t)len << 32 | table_hash(bytes, len));
}

/* What is read of one next hop, and of all. */
struct hop {
	struct fib_nexthop_key key;
	bool special; /* more than a neighbour on an interface */
};

struct hops {
	uint64_t way;
	unsigned int n;
	bool special, gateway;
	uint64_t rest; /* of the identity: what the way does not say */
};

static void hop_attribute(struct hop *hop, struct hops *hops, const struct nlattr *attr,
			  uint8_t family)
{
	size_t len = mnl_attr_get_payload_len(attr);
	const uint8_t *data = mnl_attr_get_payload(attr);
	uint16_t type = 0;

	switch (mnl_attr_get_type(attr)) {
	case RTA_OIF:
		if (len == sizeof(uint32_t))
			hop->key.ifindex = mnl_attr_get_u32(attr);
		break;
	case RTA_GATEWAY:
		if (len != address_len(family))
			break;
		hop->key.family = family;
		memcpy(hop->key.gate, data, len);
		break;
	case RTA_VIA:
		memcpy(&type, data, len >= sizeof(type) ? sizeof(type) : 0);
		hop->special |= type != AF_INET && type != AF_INET6;
		if (hop->special || len != sizeof(type) + address_len((uint8_t)type))
			break;
		hop->key.family = (uint8_t)type;
		memcpy(hop->key.gate, data + sizeof(type), len - sizeof(type));
		break;
	case RTA_ENCAP_TYPE:
		hop->special |=
			len != sizeof(uint16_t) || mnl_attr_get_u16(attr) != LWTUNNEL_ENCAP_NONE;
		break;
	case RTA_ENCAP:
	case RTA_NEWDST:
		hop->special = true;
		hops->rest = mix_bytes(hops->rest, data, len);
		break;
	}
}

static void hops_add(struct hops *hops, const struct hop *hop)
{
	hops->special |= hop->special || !hop->key.ifindex;
	hops->gateway |= hop->key.family != AF_UNSPEC;
	hops->way = fib_way_add(hops->way, &hop->key);
	hops->n++;
}

static void read_multipath(struct hops *hops, const struct nlattr *multipath, uint8_t family)
{
	const struct rtnexthop *rtnh = mnl_attr_get_payload(multipath);
	size_t left = mnl_attr_get_payload_len(multipath);

	while (left >= sizeof(*rtnh) && rtnh->rtnh_len >= sizeof(*rtnh) && rtnh->rtnh_len <= left) {
		struct hop hop = {.key.ifindex = (uint32_t)rtnh->rtnh_ifindex};
		size_t used = MNL_ALIGN(rtnh->rtnh_len);
		const struct nlattr *attr;

		mnl_attr_for_each_payload((const struct nlattr *)(rtnh + 1),
					  rtnh->rtnh_len - sizeof(*rtnh))
			hop_attribute(&hop, hops, attr, family);
		hops_add(hops, &hop);
		if (used >= left)
			break;
		left -= used;
		rtnh = (const void *)((const char *)rtnh + used);
	}
}

/* Attributes that make a route more than its next hops say. */
static bool is_special(const struct nlattr *attr)
{
	const struct rta_cacheinfo *cache = mnl_attr_get_payload(attr);

	switch (mnl_attr_get_type(attr)) {
	case RTA_SRC:	/* by the source of packets, too */
	case RTA_NH_ID: /* another program's object, which changes under the route */
		return true;
	case RTA_CACHEINFO:
		/* from that moment on the kernel steps over it, though it is still there */
		return mnl_attr_get_payload_len(attr) >= sizeof(*cache) && cache->rta_expires;
	case RTA_PREF:
		return mnl_attr_get_payload_len(attr) != 1 ||
		       mnl_attr_get_u8(attr) != ICMPV6_ROUTER_PREF_MEDIUM;
	}
	return false;
}

static uint64_t way_of(const struct rtmsg *rtm, const struct hops *hops)
{
	if (hops->special || rtm->rtm_tos || rtm->rtm_src_len)
		return 0;
	if (rtm->rtm_type == RTN_BLACKHOLE)
		return FIB_WAY_BLACKHOLE;
	return rtm->rtm_type == RTN_UNICAST && hops->n ? hops->way : 0;
}

/* Loopback, IPv6 link-local and multicast: every interface has such routes, and the program leaves all of it to the kernel. */
static bool is_never_forwarded(const struct fib_prefix *prefix)
{
	const uint8_t *addr = prefix->addr;

	if (prefix->family == AF_INET)
		return prefix->len >= 8 && addr[0] == 127;
	return (prefix->len >= 8 && addr[0] == 0xff) ||
	       (prefix->len >= 10 && addr[0] == 0xfe && (addr[1] & 0xc0) == 0x80);
}

bool route_read(const struct nlmsghdr *nlh, struct route *route)
{
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *attr, *multipath = NULL;
	struct hops hops = {0};
	struct hop hop = {0};
	bool special = false;

	if ((nlh->nlmsg_type != RTM_NEWROUTE && nlh->nlmsg_type != RTM_DELROUTE) ||
	    mnl_nlmsg_get_payload_len(nlh) < sizeof(*rtm) || rtm->rtm_flags & RTM_F_CLONED ||
	    (rtm->rtm_family != AF_INET && rtm->rtm_family != AF_INET6) ||
	    rtm->rtm_dst_len > 8 * address_len(rtm->rtm_family))
		return false;
	memset(route, 0, sizeof(*route));
	route->kernel_table = rtm->rtm_table;
	route->prefix.family = rtm->rtm_family;
	route->prefix.len = rtm->rtm_dst_len;
	route->tos = rtm->rtm_tos;
	route->type = rtm->rtm_type;
	route->protocol = rtm->rtm_protocol;
	route->replaces = nlh->nlmsg_flags & NLM_F_REPLACE;
	mnl_attr_for_each(attr, nlh, sizeof(*rtm)) {
		size_t len = mnl_attr_get_payload_len(attr);

		special |= is_special(attr);
		switch (mnl_attr_get_type(attr)) {
		case RTA_DST:
			if (len == address_len(rtm->rtm_family))
				memcpy(route->prefix.addr, mnl_attr_get_payload(attr), len);
			break;
		case RTA_SRC:
			hops.rest = mix_bytes(hops.rest, mnl_attr_get_payload(attr), len);
			break;
		case RTA_NH_ID:
			if (len == sizeof(uint32_t))
				hops.rest = mix(hops.rest, mnl_attr_get_u32(attr));
			break;
		case RTA_PRIORITY:
			if (len == sizeof(route->metric))
				route->metric = mnl_attr_get_u32(attr);
			break;
		case RTA_TABLE:
			if (len == sizeof(route->kernel_table))
				route->kernel_table = mnl_attr_get_u32(attr);
			break;
		case RTA_MULTIPATH:
			multipath = attr;
			break;
		default:
			hop_attribute(&hop, &hops, attr, rtm->rtm_family);
		}
	}
	if (multipath)
		read_multipath(&hops, multipath, rtm->rtm_family);
	else if (hop.key.ifindex || hop.special)
		hops_add(&hops, &hop);
	hops.special |= special;
	route->gateway = hops.gateway;
	route->way = way_of(rtm, &hops);
	route->identity = mix(mix(mix(hops.way, hops.rest), route->metric),
			      (uint64_t)rtm->rtm_src_len << 24 | rtm->rtm_protocol << 16 |
				      rtm->rtm_type << 8 | rtm->rtm_tos);
	return !is_never_forwarded(&route->prefix);
}
