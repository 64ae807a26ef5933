// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the forwarding program is measured against: the two ways that others take at TC, with no more than
 * a program needs that forwards at all, and our tables at XDP, with the checks of the real program.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <stddef.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>

#include "bench/forward.h"
#include "bpf/nexthop.h"
#include "bpf/vrf.h"

struct forward_state state;

static __always_inline int give_up(int verdict)
{
	state.given_up++;
	return verdict;
}

/* ---- bpf_fib_lookup ---- */

/* Everything that is in the key of the kernel's lookup, and the length for its MTU. */
static __always_inline bool fib_parameters(struct bpf_fib_lookup *p, void *data, void *end, bool v6)
{
	const struct ipv6hdr *ip6 = data + ETH_HLEN;
	const struct iphdr *ip4 = data + ETH_HLEN;

	if (v6) {
		if ((void *)(ip6 + 1) > end || ip6->hop_limit <= 1)
			return false;
		p->family = AF_INET6;
		p->l4_protocol = ip6->nexthdr;
		p->tot_len = bpf_ntohs(ip6->payload_len);
		p->flowinfo = *(const __be32 *)ip6 & bpf_htonl(0x0fffffff);
		__builtin_memcpy(p->ipv6_src, &ip6->saddr, 16);
		__builtin_memcpy(p->ipv6_dst, &ip6->daddr, 16);
		return true;
	}
	if ((void *)(ip4 + 1) > end || ip4->ihl != 5 || ip4->ttl <= 1)
		return false;
	p->family = AF_INET;
	p->l4_protocol = ip4->protocol;
	p->tot_len = bpf_ntohs(ip4->tot_len);
	p->tos = ip4->tos;
	p->ipv4_src = ip4->saddr;
	p->ipv4_dst = ip4->daddr;
	return true;
}

static __always_inline void hop(void *data, bool v6)
{
	if (v6)
		((struct ipv6hdr *)(data + ETH_HLEN))->hop_limit--;
	else
		ttl_decrement4(data + ETH_HLEN);
}

SEC("tc")
int fib_lookup(struct __sk_buff *skb)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	struct bpf_fib_lookup p = {.ifindex = skb->ingress_ifindex};
	bool v6 = skb->protocol == bpf_htons(ETH_P_IPV6);
	struct ethhdr *eth = data;

	if (!v6 && skb->protocol != bpf_htons(ETH_P_IP))
		return give_up(TC_ACT_OK);
	if (v6 ? !fib_parameters(&p, data, end, true) : !fib_parameters(&p, data, end, false))
		return give_up(TC_ACT_OK);
	if (bpf_fib_lookup(skb, &p, sizeof(p), 0) != BPF_FIB_LKUP_RET_SUCCESS)
		return give_up(TC_ACT_OK);
	if (data + ETH_HLEN + sizeof(struct ipv6hdr) > end)
		return give_up(TC_ACT_OK);
	__builtin_memcpy(eth->h_dest, p.dmac, ETH_ALEN);
	__builtin_memcpy(eth->h_source, p.smac, ETH_ALEN);
	hop(data, v6);
	return bpf_redirect(p.ifindex, 0);
}

/* ---- LPM_TRIE ---- */

struct lpm_key4 {
	__u32 length;
	__u32 addr;
};

struct lpm_key6 {
	__u32 length;
	__u32 addr[4];
};

#define LPM_TRIE(name, key_type) \
	struct { \
		__uint(type, BPF_MAP_TYPE_LPM_TRIE); \
		__uint(map_flags, BPF_F_NO_PREALLOC); \
		__uint(max_entries, 1); \
		__type(key, key_type); \
		__type(value, __u32); \
	} name SEC(".maps")

LPM_TRIE(lpm4, struct lpm_key4);
LPM_TRIE(lpm6, struct lpm_key6);

static __always_inline int lpm_send(void *data, const __u32 *group, bool v6)
{
	const struct forward_nexthop *nexthop;
	struct ethhdr *eth = data;

	if (!group)
		return give_up(TC_ACT_OK);
	nexthop = &state.nexthop[*group & (FORWARD_NEXTHOPS - 1)];
	__builtin_memcpy(eth->h_dest, nexthop->dst, ETH_ALEN);
	__builtin_memcpy(eth->h_source, nexthop->src, ETH_ALEN);
	hop(data, v6);
	return bpf_redirect(nexthop->ifindex, 0);
}

SEC("tc")
int lpm_trie(struct __sk_buff *skb)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	struct lpm_key6 key6 = {.length = 128};
	struct lpm_key4 key4 = {.length = 32};
	struct ipv6hdr *ip6 = data + ETH_HLEN;
	struct iphdr *ip4 = data + ETH_HLEN;

	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		if ((void *)(ip4 + 1) > end || ip4->ihl != 5 || ip4->ttl <= 1)
			return give_up(TC_ACT_OK);
		key4.addr = ip4->daddr;
		return lpm_send(data, bpf_map_lookup_elem(&lpm4, &key4), false);
	}
	if (skb->protocol == bpf_htons(ETH_P_IPV6)) {
		if ((void *)(ip6 + 1) > end || ip6->hop_limit <= 1)
			return give_up(TC_ACT_OK);
		__builtin_memcpy(key6.addr, &ip6->daddr, 16);
		return lpm_send(data, bpf_map_lookup_elem(&lpm6, &key6), true);
	}
	return give_up(TC_ACT_OK);
}

/* ---- our tables at XDP ---- */

/* As packet_parse4() and packet_parse6() do, which read what a program at TC is given. */
static __always_inline bool xdp_parse4(struct packet *p)
{
	const struct iphdr *ip = p->data + ETH_HLEN;

	if ((void *)(ip + 1) > p->data_end)
		return false;
	p->length = bpf_ntohs(ip->tot_len);
	p->protocol = ip->protocol;
	p->l4 = ip->frag_off & bpf_htons(IP_MF | IP_OFFSET) ? 0 : ETH_HLEN + sizeof(*ip);
	return ip->version == 4 && ip->ihl == 5 && p->length >= sizeof(*ip) &&
	       p->length <= p->data_end - p->data - ETH_HLEN;
}

static __always_inline bool xdp_parse6(struct packet *p)
{
	const struct ipv6hdr *ip = p->data + ETH_HLEN;

	if ((void *)(ip + 1) > p->data_end)
		return false;
	p->length = sizeof(*ip) + bpf_ntohs(ip->payload_len);
	p->protocol = ip->nexthdr;
	p->l4 = has_ports(p->protocol) ? ETH_HLEN + sizeof(*ip) : 0;
	return ip->version == 6 && ip->nexthdr != IPPROTO_HOPOPTS &&
	       p->length <= p->data_end - p->data - ETH_HLEN;
}

static __always_inline int xdp_send(const struct packet *p, __u64 interface, __u32 group, bool v6)
{
	__u32 ingress = (__u32)interface;
	const __u64 *groups = array_of(&fib_group);
	const struct fib_nexthop *nexthop;
	void *ip = p->data + ETH_HLEN;
	__u64 desc, dst, src;
	__u32 number;

	if (group < FIB_GROUP_FIRST || group >= FIB_MAX_GROUPS || !groups ||
	    ip + (v6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr)) > p->data_end)
		return give_up(XDP_PASS);
	desc = READ_ONCE(groups[MASK(group, bounds.group)]);
	if ((v6 ? packet_check6(p, ip, interface) : packet_check4(ip)) != PACKET_OK ||
	    !(desc & FIB_DESC_VALID))
		return give_up(XDP_PASS);
	nexthop = group_nexthop(p, desc, ip, v6, &number);
	if (!nexthop)
		return give_up(XDP_PASS);
	dst = READ_ONCE(nexthop->dst);
	src = src_after(nexthop, dst);
	if (FIB_NH_ACTION(dst) != FIB_NH_REWRITE || nexthop->ifindex == ingress ||
	    p->data_end - p->data - ETH_HLEN > FIB_NH_MTU(src))
		return give_up(XDP_PASS);
	ether_rewrite(p->data, dst, src);
	hop(p->data, v6);
	nexthop_count(FIB_CNT_FORWARDED, number, p->length);
	return bpf_redirect(nexthop->ifindex, 0);
}

SEC("xdp")
int xdp_fib(struct xdp_md *ctx)
{
	struct packet p = {.data = (void *)(long)ctx->data,
			   .data_end = (void *)(long)ctx->data_end};
	__u32 ingress = ctx->ingress_ifindex;
	const __u64 *entries = array_of(&interfaces);
	const struct ethhdr *eth = p.data;
	const struct ipv6hdr *ip6 = p.data + ETH_HLEN;
	const struct iphdr *ip4 = p.data + ETH_HLEN;
	__u32 table, group;
	__u64 entry;

	if (!entries || (void *)(ip4 + 1) > p.data_end)
		return give_up(XDP_PASS);
	entry = READ_ONCE(entries[ingress & (FIB_MAX_INTERFACES - 1)]);
	if ((__u32)entry != ingress)
		return give_up(XDP_PASS);
	table = FIB_IF_TABLE(entry);
	if (eth->h_proto == bpf_htons(ETH_P_IP) && entry & FIB_IF_V4 && xdp_parse4(&p)) {
		if (table)
			group = vrf_lookup(table, (__u64)bpf_ntohl(ip4->daddr) << 32, 0, false);
		else
			group = fib4_lookup(bpf_ntohl(ip4->daddr));
		return xdp_send(&p, entry, group, false);
	}
	if (eth->h_proto == bpf_htons(ETH_P_IPV6) && entry & FIB_IF_V6 && xdp_parse6(&p) &&
	    (void *)(ip6 + 1) <= p.data_end) {
		if (table)
			group = vrf_lookup(table, ipv6_half(&ip6->daddr, 0),
					   ipv6_half(&ip6->daddr, 1), true);
		else
			group = fib6_lookup(&ip6->daddr);
		return xdp_send(&p, entry, group, true);
	}
	return give_up(XDP_PASS);
}

/* ---- what the others' figures are compared with ---- */

/* The end of a packet that is not to be forwarded: what is left is the cost of everything around. */
SEC("tc")
int drop(struct __sk_buff *skb)
{
	return TC_ACT_SHOT;
}

SEC("tc")
int empty(struct __sk_buff *skb)
{
	return TC_ACT_UNSPEC;
}

char LICENSE[] SEC("license") = "GPL";
