// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What has to become of a packet, from RFCs and the README: why it may not be forwarded, in layers, and
 * if there is no reason, what it must look like on its way out.
 */
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/pkt_cls.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/fuzz/packet.h"

#define WHY(counter) (1ull << FIB_CNT_##counter)

/* A packet's layer 3, once it is known to be well-formed. */
struct layer3 {
	const uint8_t *ip;
	uint8_t family;
	size_t header, length; /* as the header says, the header included */
	const uint8_t *src, *dst;
	uint8_t ttl, protocol;
	bool ports; /* the transport header follows, of a whole datagram */
};

static uint64_t why_link(const struct packet_in *in)
{
	uint64_t why = 0;

	if (in->vlan || in->protocol == ETH_P_8021Q || in->protocol == ETH_P_8021AD)
		why |= WHY(KERNEL_VLAN);
	else if (in->protocol != ETH_P_IP && in->protocol != ETH_P_IPV6)
		why |= WHY(KERNEL_ETHERTYPE);
	if (in->pkt_type != PACKET_HOST)
		why |= WHY(KERNEL_NOT_HOST);
	if ((in->protocol == ETH_P_IP && !in->from->v4) ||
	    (in->protocol == ETH_P_IPV6 && !in->from->v6))
		why |= WHY(KERNEL_INTERFACE);
	return why;
}

/* False: malformed. */
static bool parse(const struct packet_in *in, struct layer3 *l3)
{
	const uint8_t *ip = in->data + ETHER_HEADER;
	size_t there = in->len - ETHER_HEADER;

	l3->ip = ip;
	if (in->protocol == ETH_P_IP) {
		if (there < 20 || ip[0] >> 4 != 4)
			return false;
		l3->family = AF_INET;
		l3->header = (ip[0] & 15) * 4u;
		l3->length = get16(ip + 2);
		l3->ttl = ip[8];
		l3->protocol = ip[9];
		l3->src = ip + 12;
		l3->dst = ip + 16;
		l3->ports = !(get16(ip + 6) & 0x3fff);
		if (l3->header < 20)
			return false;
	} else {
		if (there < 40 || ip[0] >> 4 != 6)
			return false;
		l3->family = AF_INET6;
		l3->header = 40;
		l3->length = 40u + get16(ip + 4);
		l3->protocol = ip[6];
		l3->ttl = ip[7];
		l3->src = ip + 8;
		l3->dst = ip + 24;
		l3->ports = true;
	}
	l3->ports &= l3->protocol == IPPROTO_TCP || l3->protocol == IPPROTO_UDP ||
		     l3->protocol == IPPROTO_SCTP;
	return l3->length >= l3->header && l3->length <= there;
}

/* RFC 1812 5.3.7, RFC 4291 2.5: not to be forwarded, to or from. */
static bool martian(uint8_t family, const uint8_t *addr)
{
	static const uint8_t zero[16], mapped[12] = {[10] = 0xff, [11] = 0xff};

	if (family == AF_INET)
		return addr[0] == 0 || addr[0] == 127 || addr[0] >= 224;
	return addr[0] == 0xff || (addr[0] == 0xfe && addr[1] >> 6 == 2) ||
	       (!memcmp(addr, zero, 15) && addr[15] <= 1) || !memcmp(addr, mapped, 12);
}

/* RFC 4861, directly behind the header; behind an extension header it may be there where the kernel is a proxy. */
static bool discovery(const struct packet_in *in, const struct layer3 *l3)
{
	if (l3->family == AF_INET)
		return false;
	if (l3->protocol == IPPROTO_ICMPV6)
		return in->len > ETHER_HEADER + 40 && l3->ip[40] >= 133 && l3->ip[40] <= 137;
	return in->from->more & FIB_IF_PROXY &&
	       (l3->protocol == IPPROTO_ROUTING || l3->protocol == IPPROTO_FRAGMENT ||
		l3->protocol == IPPROTO_AH || l3->protocol == IPPROTO_DSTOPTS);
}

static uint64_t why_header(const struct layer3 *l3)
{
	uint64_t why = 0;

	if (l3->family == AF_INET ? l3->header > 20 : l3->protocol == IPPROTO_HOPOPTS)
		why |= WHY(KERNEL_OPTIONS);
	if (l3->family == AF_INET && checksum4(l3->ip))
		why |= WHY(KERNEL_CHECKSUM);
	if (martian(l3->family, l3->src) || martian(l3->family, l3->dst))
		why |= WHY(KERNEL_MARTIAN);
	if (l3->ttl <= 1)
		why |= WHY(KERNEL_TTL);
	return why;
}

static uint64_t why_group(uint32_t group)
{
	switch (group) {
	case FIB_GROUP_NO_ROUTE:
		return WHY(KERNEL_NO_ROUTE);
	case FIB_GROUP_LOCAL:
		return WHY(KERNEL_LOCAL);
	case FIB_GROUP_REJECT:
		return WHY(KERNEL_REJECT);
	case FIB_GROUP_UNSUPPORTED:
		return WHY(KERNEL_UNSUPPORTED);
	case FIB_GROUP_BLACKHOLE:
		return WHY(DROP_BLACKHOLE);
	case FIB_GROUP_KERNEL:
		return WHY(KERNEL_OWN_ROUTE);
	}
	return tables_ways(group) ? 0 : WHY(KERNEL_OVERFLOW);
}

static bool fits(const struct packet_in *in, const struct layer3 *l3, uint32_t mtu)
{
	const uint8_t *transport = l3->ip + l3->header;
	size_t there = in->len - ETHER_HEADER;

	if (l3->length <= mtu)
		return true;
	if (!in->gso_size || !l3->ports)
		return false;
	if (l3->protocol == IPPROTO_UDP)
		return l3->header + 8 + in->gso_size <= mtu;
	return l3->protocol == IPPROTO_TCP && there >= l3->header + 20 &&
	       l3->header + (transport[12] >> 4) * 4u + in->gso_size <= mtu;
}

/* To the least length of a frame, with zeros. */
static bool padded(const struct packet_in *in, const struct layer3 *l3)
{
	size_t at = ETHER_HEADER + l3->length;

	while (at < in->len && !in->data[at])
		at++;
	return in->len <= 60 && at >= in->len;
}

static uint64_t why_way(const struct packet_in *in, const struct layer3 *l3, const struct way *way)
{
	uint64_t why = 0;

	if (way->adjacency.action == FIB_NH_KERNEL)
		why |= WHY(KERNEL_NEXTHOP);
	if (way->key.ifindex == in->from->ifindex)
		why |= WHY(KERNEL_SAME_INTERFACE);
	if (!fits(in, l3, way->adjacency.mtu))
		why |= WHY(KERNEL_MTU);
	/* what is to become segments has no trailer that could be cut off */
	if (in->gso_size && in->len > ETHER_HEADER + l3->length && !padded(in, l3))
		why |= WHY(KERNEL_MALFORMED);
	if (way->adjacency.action == FIB_NH_CONNECTED &&
	    !tables_neighbour(way->key.ifindex, l3->family, l3->dst))
		why |= WHY(KERNEL_NEIGHBOUR);
	return why;
}

/* ---- on its way out ---- */

static uint32_t sum16(const uint8_t *at, size_t len)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < len; i++)
		sum += i % 2 ? at[i] : (uint32_t)at[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* A checksum that a device computed over layer 3 must still be right: helpers sum in memory's order. */
static bool sums_agree(const struct packet_in *in, const struct packet_out *out, size_t length)
{
	uint32_t was = sum16(in->data + ETHER_HEADER, length);
	uint32_t is = sum16(out->data + ETHER_HEADER, length);

	was += ntohs((uint16_t)out->effects.checksum);
	while (was >> 16)
		was = (was & 0xffff) + (was >> 16);
	return was % 0xffff == is % 0xffff;
}

static bool by_neighbour(const struct way *way)
{
	return way->adjacency.action == FIB_NH_RESOLVE || way->adjacency.action == FIB_NH_CONNECTED;
}

static void judge_redirect(const struct layer3 *l3, const struct packet_out *out,
			   const struct way *way)
{
	const struct program_effects *did = &out->effects;
	const uint8_t *to = way->key.gate;
	uint8_t family = way->key.family;

	must(did->redirects == 1 && did->ifindex == way->key.ifindex, "%u times to %u, not %u",
	     did->redirects, did->ifindex, way->key.ifindex);
	must(did->neighbour == by_neighbour(way), "next hop %u", way->nexthop);
	if (!did->neighbour)
		return;
	if (way->adjacency.action == FIB_NH_CONNECTED) {
		to = l3->dst;
		family = l3->family;
	}
	must(did->to.nh_family == family &&
		     !memcmp(did->to.ipv6_nh, to, family == AF_INET ? 4 : 16),
	     "next hop %u, another gateway", way->nexthop);
}

static void judge_forwarded(const struct packet_in *in, const struct layer3 *l3,
			    const struct packet_out *out)
{
	const struct way *way = tables_way(out->nexthop);
	uint8_t wanted[PACKET_MAX], *ip = wanted + ETHER_HEADER;

	must(out->action == TC_ACT_REDIRECT, "action %d", out->action);
	must(out->counter == (by_neighbour(way) ? FIB_CNT_FORWARDED_NEIGH : FIB_CNT_FORWARDED),
	     "counter %d", out->counter);
	must(out->nexthop_packets == 1 && out->nexthop_bytes == l3->length, "%d packets, %d bytes",
	     out->nexthop_packets, (int)out->nexthop_bytes);
	memcpy(wanted, in->data, in->len);
	if (way->adjacency.action == FIB_NH_REWRITE) {
		memcpy(wanted, way->adjacency.dst, 6);
		memcpy(wanted + 6, way->adjacency.src, 6);
	}
	ip[l3->family == AF_INET ? 8 : 7]--;
	if (l3->family == AF_INET) {
		/* 0 and 0xffff say the same */
		memcpy(ip + 10, out->data + ETHER_HEADER + 10, 2);
		must(!checksum4(ip), "checksum %04x", get16(ip + 10));
	}
	/* nothing of what stands behind the packet, but for zeros up to the least length of a frame */
	must(out->len == ETHER_HEADER + l3->length || (out->len == in->len && padded(in, l3)),
	     "%zu bytes, not %zu", out->len, ETHER_HEADER + l3->length);
	for (size_t i = 0; i < out->len; i++)
		must(out->data[i] == wanted[i], "byte %zu is %02x, not %02x", i, out->data[i],
		     wanted[i]);
	must(sums_agree(in, out, l3->length), "sum %08x", out->effects.checksum);
	judge_redirect(l3, out, way);
}

/* An ICMP error, which quotes a packet of a flow. */
static bool error(const struct layer3 *l3)
{
	uint8_t type = l3->ip[l3->header];

	if (l3->length == l3->header)
		return false;
	if (l3->family == AF_INET)
		return l3->protocol == IPPROTO_ICMP &&
		       (type == 3 || type == 4 || type == 5 || type == 11 || type == 12);
	return l3->protocol == IPPROTO_ICMPV6 && type >= 1 && type <= 4;
}

/*
 * All packets of a flow leave by one way: what is behind the ports, and the ports too where there are none
 * or the datagram is in fragments, must not count.
 */
static void judge_flow(const struct packet_in *in, const struct layer3 *l3, uint32_t nexthop)
{
	size_t from = l3->header + (l3->ports ? 4 : 0);
	static struct packet_in other;
	static struct packet_out out;
	uint8_t *ip = other.data + ETHER_HEADER;

	/* it goes with the flow that it quotes */
	if (!l3->ports && error(l3))
		return;
	other = *in;
	/* of ICMP the type tells what it is; no other becomes an error's */
	from += l3->protocol == IPPROTO_ICMPV6 || l3->protocol == IPPROTO_ICMP;
	for (size_t i = ETHER_HEADER + from; i < ETHER_HEADER + l3->length; i++)
		other.data[i] ^= 0xff;
	if (l3->family == AF_INET) {
		ip[1] ^= 0xff;
		ip[4] ^= 0xff;
		ip[8] = 17;
		/* the first fragment, one in the middle, the last */
		if (get16(ip + 6) & 0x3fff)
			put16(ip + 6, get16(ip + 6) & 0x1fff ? 0x2000 : 0x20b9);
		put16(ip + 10, 0);
		put16(ip + 10, checksum4(ip));
	} else {
		/* the label too, where ports are there */
		ip[1] ^= l3->ports && l3->length >= from ? 0xff : 0xf0;
		ip[7] = 17;
	}
	run_native(&other, &out);
	must(out.nexthop == nexthop, "the same flow by %d and %d", (int)nexthop, (int)out.nexthop);
}

void judge(const struct packet_in *in, const struct packet_out *out)
{
	uint64_t why = why_link(in), counted = 1ull << out->counter;
	const struct ways *ways = NULL;
	struct layer3 l3;

	must(out->counted == 1, "%u counters, the last %d", out->counted, out->counter);
	if (!why && !parse(in, &l3))
		why = WHY(KERNEL_MALFORMED);
	if (!why) {
		uint32_t group = tables_lookup(in->from, l3.family, l3.dst);

		/* whatever the routes say: broadcast, multicast and link-local may be for the kernel itself */
		why = why_header(&l3);
		if (group != FIB_GROUP_BLACKHOLE || !martian(l3.family, l3.dst))
			why |= why_group(group);
		if (l3.family == AF_INET && tables_own_source(in->from, l3.src))
			why |= WHY(KERNEL_OWN_SOURCE);
		if (discovery(in, &l3))
			why |= WHY(KERNEL_DISCOVERY);
		ways = tables_ways(group);
	}
	if (!why && out->nexthop == NEXTHOP_NONE) {
		/* any of the group's ways may have been the flow's */
		for (unsigned int i = 0; i < ways->n; i++)
			why |= why_way(in, &l3, &ways->way[i]);
	} else if (!why) {
		bool one_of = false;

		for (unsigned int i = 0; i < ways->n; i++)
			one_of |= ways->way[i].nexthop == out->nexthop;
		must(one_of, "next hop %u is not the group's", out->nexthop);
		why = why_way(in, &l3, tables_way(out->nexthop));
	}
	if (why) {
		must(counted & why, "counter %d, reasons %llx", out->counter,
		     (unsigned long long)why);
		must(out->action ==
			     (out->counter == FIB_CNT_DROP_BLACKHOLE ? TC_ACT_SHOT : TC_ACT_UNSPEC),
		     "action %d", out->action);
		must(out->len == in->len && !memcmp(in->data, out->data, in->len),
		     "changed, and not forwarded: %zu, then %zu bytes, counter %d", in->len,
		     out->len, out->counter);
		must(out->nexthop == NEXTHOP_NONE && !out->effects.redirects &&
			     !out->effects.checksum,
		     "by next hop %d, and not forwarded", (int)out->nexthop);
		return;
	}
	judge_forwarded(in, &l3, out);
	if (ways->n > 1 && l3.length <= tables_way(out->nexthop)->adjacency.mtu)
		judge_flow(in, &l3, out->nexthop);
}
