/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From a group id to the wire: slot, next hop, MTU, rewriting, redirecting. */
#ifndef BPF_NEXTHOP_H
#define BPF_NEXTHOP_H

#include <linux/pkt_cls.h>

#include "bpf/counters.h"
#include "bpf/local.h"
#include "bpf/lookup.h"
#include "bpf/packet.h"

#define AF_INET 2
#define AF_INET6 10

/* To other programs that may be attached after this one, and then up the stack. */
static __always_inline int to_kernel(enum fib_counter reason)
{
	count(reason);
	return TC_ACT_UNSPEC;
}

/* A group id that is a verdict. */
static __always_inline int group_verdict(__u32 group)
{
	switch (group) {
	case FIB_GROUP_NO_ROUTE:
		return to_kernel(FIB_CNT_KERNEL_NO_ROUTE);
	case FIB_GROUP_LOCAL:
		return to_kernel(FIB_CNT_KERNEL_LOCAL);
	case FIB_GROUP_REJECT:
		return to_kernel(FIB_CNT_KERNEL_REJECT);
	case FIB_GROUP_UNSUPPORTED:
		return to_kernel(FIB_CNT_KERNEL_UNSUPPORTED);
	case FIB_GROUP_KERNEL:
		return to_kernel(FIB_CNT_KERNEL_OWN_ROUTE);
	case FIB_GROUP_OVERFLOW:
		return to_kernel(FIB_CNT_KERNEL_OVERFLOW);
	case FIB_GROUP_BLACKHOLE:
		count(FIB_CNT_DROP_BLACKHOLE);
		return TC_ACT_SHOT;
	}
	return to_kernel(FIB_CNT_KERNEL_INTERNAL);
}

/*
 * The next hop of a flow, and its number; NULL where the tables are not as they must be. Most groups have one
 * slot, for which nothing has to be hashed.
 */
static __always_inline const struct fib_nexthop *
group_nexthop(const struct packet *p, __u64 desc, const void *ip, bool v6, __u32 *number)
{
	const struct fib_nexthop *nexthops = array_of(&fib_nexthop);
	const __u16 *slots = array_of(&fib_slot);
	__u64 slot = FIB_DESC_OFFSET(desc);

	if (!slots || !nexthops)
		return NULL;
	if (FIB_DESC_MASK(desc))
		slot += (v6 ? packet_hash6(p, ip) : packet_hash4(p, ip)) & FIB_DESC_MASK(desc);
	*number = READ_ONCE(slots[MASK(slot, bounds.slot)]);
	return &nexthops[MASK(*number, bounds.nexthop)];
}

/*
 * Does it fit? A packet that GRO or a sender's GSO put together is judged by the segments it will
 * be sent as; where their size cannot be told, the kernel shall see to it.
 */
static __always_inline bool mtu_fits(const struct __sk_buff *skb, const struct packet *p, __u32 mtu)
{
	const struct tcphdr *tcp;

	if (p->length <= mtu)
		return true;
	if (!skb->gso_size || !p->l4)
		return false;
	if (p->protocol == IPPROTO_UDP)
		return p->l4 - ETH_HLEN + 8 + skb->gso_size <= mtu;
	if (p->protocol != IPPROTO_TCP)
		return false;
	tcp = p->data + p->l4;
	if ((void *)(tcp + 1) > p->data_end)
		return false;
	return p->l4 - ETH_HLEN + tcp->doff * 4u + skb->gso_size <= mtu;
}

/* One hop less. The IPv4 checksum is adapted as RFC 1141 does, in network byte order. */
static __always_inline void ttl_decrement4(struct iphdr *ip)
{
	__u32 sum = ip->check;

	sum += bpf_htons(0x0100);
	ip->check = (__u16)(sum + (sum >= 0xffff));
	ip->ttl--;
}

/*
 * The kernel's ip_tos2prio[], by the TOS field's four bits, first entry lowest: what it makes of the TOS of each IPv4
 * packet that it forwards, and qdiscs and drivers choose a queue by.
 */
#define TOS_PRIORITY 0x4444666622220000ull

static __always_inline __u32 tos_priority(const struct iphdr *ip)
{
	return TOS_PRIORITY >> (ip->tos & 0x1e) * 2 & 15;
}

static __always_inline void ttl_decrement6(struct __sk_buff *skb, struct ipv6hdr *ip)
{
	ip->hop_limit--;
	/* no checksum in the header: what a device summed over all of the packet must follow */
	bpf_csum_update(skb, bpf_htons(0xfffe));
}

static __always_inline void ether_rewrite(struct ethhdr *eth, __u64 dst, __u64 src)
{
	__u16 *to = (__u16 *)eth;

	to[0] = (__u16)dst;
	to[1] = (__u16)(dst >> 16);
	to[2] = (__u16)(dst >> 32);
	to[3] = (__u16)src;
	to[4] = (__u16)(src >> 16);
	to[5] = (__u16)(src >> 32);
}

static __always_inline void nexthop_count(enum fib_counter counter, __u32 number, __u32 bytes)
{
	count(counter);
	count_nexthop(number, bytes);
}

/* Out through the kernel's neighbour table, which has the MAC address or finds it. */
static __always_inline int redirect_neighbour(__u32 ifindex, struct bpf_redir_neigh *to)
{
	return bpf_redirect_neigh(ifindex, to, sizeof(*to), 0);
}

/* The gateway of a next hop whose MAC address is not known. */
static __always_inline int send_resolve(const struct fib_nexthop *nexthop)
{
	const __u32 *gate = (const __u32 *)nexthop->gate;
	struct bpf_redir_neigh to = {.nh_family = nexthop->family};

	/* an IPv4 gateway takes the first word; the rest is zero */
	to.ipv6_nh[0] = gate[0];
	to.ipv6_nh[1] = gate[1];
	to.ipv6_nh[2] = gate[2];
	to.ipv6_nh[3] = gate[3];
	return redirect_neighbour(nexthop->ifindex, &to);
}

/* Is the destination a host of a connected network that the kernel knows? */
static __always_inline bool neighbour_known(struct fib_neigh_key *key)
{
	return bpf_map_lookup_elem(&neighbours, key) != NULL;
}

static __always_inline int send_connected(const struct fib_neigh_key *key)
{
	const __u32 *addr = (const __u32 *)key->addr;
	struct bpf_redir_neigh to = {.nh_family = key->family};

	to.ipv6_nh[0] = addr[0];
	to.ipv6_nh[1] = addr[1];
	to.ipv6_nh[2] = addr[2];
	to.ipv6_nh[3] = addr[3];
	return redirect_neighbour(key->ifindex, &to);
}

/* A known host of a connected network: the key of "neighbours" for a packet's destination. */
static __always_inline void connected_key(struct fib_neigh_key *key, __u32 ifindex, const void *ip,
					  bool v6)
{
	const struct ipv6hdr *ip6 = ip;
	const struct iphdr *ip4 = ip;

	key->ifindex = ifindex;
	key->family = v6 ? AF_INET6 : AF_INET;
	if (v6)
		__builtin_memcpy(key->addr, &ip6->daddr, sizeof(ip6->daddr));
	else
		__builtin_memcpy(key->addr, &ip4->daddr, sizeof(ip4->daddr));
}

/* Nobody keeps the tables true any more, or nobody is fast enough to. */
static __always_inline bool abandoned(const struct fib_header *header)
{
	return bpf_ktime_get_coarse_ns() > READ_ONCE(header->forward_until);
}

/* Is all that stands behind the packet the zeros that Ethernet's shortest frame is filled up with? Drivers do the same. */
static __always_inline bool padded_with_zeros(const struct __sk_buff *skb, const struct packet *p)
{
	const __u8 *at = p->data + ETH_HLEN + MASK(p->length, 63);

	if (skb->len > ETH_ZLEN || p->data_end - p->data < skb->len)
		return false;
#pragma clang loop unroll(disable)
	for (int i = 0; i < ETH_ZLEN - ETH_HLEN && (void *)(at + 1) <= p->data_end; i++, at++) {
		if (*at)
			return false;
	}
	return true;
}

/*
 * What stands behind the packet in its frame stays here, as in the kernel: padding in which a careless sender leaves what
 * was in its memory, or anything else. False: it cannot be cut off, and nothing has changed; of a packet that
 * is to be sent as segments the kernel knows best where it ends.
 */
static __always_inline bool packet_cut(struct __sk_buff *skb, struct packet *p)
{
	if (padded_with_zeros(skb, p))
		return true;
	if (skb->gso_size || bpf_skb_change_tail(skb, ETH_HLEN + p->length, 0))
		return false;
	p->data = (void *)(long)skb->data;
	p->data_end = (void *)(long)skb->data_end;
	return true;
}

/*
 * A next hop's src, read after dst, which tells that it is valid and is written last. CPUs such as arm64's may read later words
 * first, unless the address depends on what was read before: it does, by zero.
 */
static __always_inline __u64 src_after(const struct fib_nexthop *nexthop, __u64 dst)
{
	const void *src = &nexthop->src;

	return READ_ONCE(*(const __u64 *)(src + MASK(dst, 0)));
}

/*
 * Forward a parsed packet whose prefix has this group; interface: the word of the one that it came in by. v6 is a constant where
 * this is inlined. Everything that may still send the packet to the kernel comes before
 * the first byte is changed; what the tables have no way for is not checked any further.
 */
static __always_inline int forward(struct __sk_buff *skb, struct packet *p, __u32 group,
				   __u64 interface, bool v6)
{
	const struct fib_header *header = array_of(&fib_header);
	const __u64 *groups = array_of(&fib_group);
	const struct fib_nexthop *nexthop;
	struct fib_neigh_key key = {};
	void *ip = p->data + ETH_HLEN;
	__u32 number, action;
	enum fib_counter verdict;
	__u64 desc, dst, src;

	if (group < FIB_GROUP_FIRST && group != FIB_GROUP_BLACKHOLE)
		return group_verdict(group);
	if (group >= FIB_MAX_GROUPS || !groups || !header ||
	    ip + (v6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr)) > p->data_end)
		return to_kernel(FIB_CNT_KERNEL_INTERNAL);
	if (abandoned(header))
		return to_kernel(FIB_CNT_KERNEL_ABANDONED);
	desc = READ_ONCE(groups[MASK(group, bounds.group)]);
	verdict = v6 ? packet_check6(p, ip, interface) : packet_check4(ip);
	if (verdict != PACKET_OK)
		return to_kernel(verdict);
	/* only now: a default one also covers link-local and broadcast, which may be the kernel's own */
	if (group == FIB_GROUP_BLACKHOLE)
		return group_verdict(group);
	if (!v6 && own_source4(header, interface, ((const struct iphdr *)ip)->saddr))
		return to_kernel(FIB_CNT_KERNEL_OWN_SOURCE);
	if (!(desc & FIB_DESC_VALID))
		return to_kernel(FIB_CNT_KERNEL_OVERFLOW);
	nexthop = group_nexthop(p, desc, ip, v6, &number);
	if (!nexthop)
		return to_kernel(FIB_CNT_KERNEL_INTERNAL);

	dst = READ_ONCE(nexthop->dst);
	src = src_after(nexthop, dst);
	action = FIB_NH_ACTION(dst);
	if (action == FIB_NH_KERNEL || action >= FIB_NH_MAX)
		return to_kernel(FIB_CNT_KERNEL_NEXTHOP);
	if (nexthop->ifindex == skb->ifindex)
		return to_kernel(FIB_CNT_KERNEL_SAME_INTERFACE);
	if (!mtu_fits(skb, p, FIB_NH_MTU(src)))
		return to_kernel(FIB_CNT_KERNEL_MTU);
	if (action == FIB_NH_CONNECTED) {
		connected_key(&key, nexthop->ifindex, ip, v6);
		if (!neighbour_known(&key))
			return to_kernel(FIB_CNT_KERNEL_NEIGHBOUR);
	}
	if (unlikely(skb->len > ETH_HLEN + p->length)) {
		if (!packet_cut(skb, p))
			return to_kernel(FIB_CNT_KERNEL_MALFORMED);
		ip = p->data + ETH_HLEN;
		if (ip + (v6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr)) > p->data_end)
			return to_kernel(FIB_CNT_KERNEL_INTERNAL);
	}

	if (action == FIB_NH_REWRITE)
		ether_rewrite(p->data, dst, src);
	if (v6) {
		ttl_decrement6(skb, ip);
	} else {
		skb->priority = tos_priority(ip);
		ttl_decrement4(ip);
	}

	if (action == FIB_NH_REWRITE || action == FIB_NH_DEVICE) {
		nexthop_count(FIB_CNT_FORWARDED, number, p->length);
		return bpf_redirect(nexthop->ifindex, 0);
	}
	nexthop_count(FIB_CNT_FORWARDED_NEIGH, number, p->length);
	return action == FIB_NH_CONNECTED ? send_connected(&key) : send_resolve(nexthop);
}

#endif /* BPF_NEXTHOP_H */
