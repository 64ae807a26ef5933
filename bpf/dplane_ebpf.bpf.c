// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The forwarding program, at TC ingress of every interface that forwards. It forwards what it is
 * certain about and leaves everything else to the kernel, untouched; it counts each packet once.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>

#include "bpf/local.h"
#include "bpf/nexthop.h"

/* linux/if_packet.h: for this host, by its destination address */
#define PACKET_HOST 0

/* The flags of the interface that the packet came in by; 0: not one of ours. */
static __always_inline __u64 interface_flags(__u32 ifindex)
{
	const __u64 *entries = array_of(&interfaces);
	__u64 entry;

	if (!entries)
		return 0;
	entry = READ_ONCE(entries[ifindex & (FIB_MAX_INTERFACES - 1)]);
	return (__u32)entry == ifindex ? entry : 0;
}

static __always_inline __u32 lookup4(__u64 interface, __u32 addr)
{
	__u32 table = FIB_IF_TABLE(interface), group;

	if (unlikely(interface & FIB_IF_LOCAL)) {
		group = vrf_lookup(FIB_TABLE_LOCAL, (__u64)addr << 32, 0, false);
		if (group != FIB_GROUP_NO_ROUTE)
			return group;
	}
	return table ? vrf_lookup(table, (__u64)addr << 32, 0, false) : fib4_lookup(addr);
}

static __always_inline __u32 lookup6(__u64 interface, const struct in6_addr *addr)
{
	__u32 table = FIB_IF_TABLE(interface), group;

	if (unlikely(interface & FIB_IF_LOCAL)) {
		group = vrf_lookup(FIB_TABLE_LOCAL, ipv6_half(addr, 0), ipv6_half(addr, 1), true);
		if (group != FIB_GROUP_NO_ROUTE)
			return group;
	}
	/* else the compiler would keep the halves over the call, at everybody's cost */
	asm volatile("" : "+r"(addr));
	if (table)
		return vrf_lookup(table, ipv6_half(addr, 0), ipv6_half(addr, 1), true);
	return fib6_lookup(addr);
}

static __always_inline int forward4(struct __sk_buff *skb, __u64 interface)
{
	enum fib_counter verdict;
	const struct iphdr *ip;
	struct packet p;

	if (!(interface & FIB_IF_V4))
		return to_kernel(FIB_CNT_KERNEL_INTERFACE);
	verdict = packet_parse4(skb, &p);
	if (verdict != PACKET_OK)
		return to_kernel(verdict);
	ip = p.data + ETH_HLEN;
	if ((void *)(ip + 1) > p.data_end)
		return to_kernel(FIB_CNT_KERNEL_INTERNAL);
	return forward(skb, &p, lookup4(interface, bpf_ntohl(ip->daddr)), interface, false);
}

static __always_inline int forward6(struct __sk_buff *skb, __u64 interface)
{
	enum fib_counter verdict;
	const struct ipv6hdr *ip;
	struct packet p;

	if (!(interface & FIB_IF_V6))
		return to_kernel(FIB_CNT_KERNEL_INTERFACE);
	verdict = packet_parse6(skb, &p);
	if (verdict != PACKET_OK)
		return to_kernel(verdict);
	ip = p.data + ETH_HLEN;
	if ((void *)(ip + 1) > p.data_end)
		return to_kernel(FIB_CNT_KERNEL_INTERNAL);
	return forward(skb, &p, lookup6(interface, &ip->daddr), interface, true);
}

SEC("tc")
int dplane_ebpf(struct __sk_buff *skb)
{
	__u64 interface;

	if (skb->vlan_present || skb->protocol == bpf_htons(ETH_P_8021Q) ||
	    skb->protocol == bpf_htons(ETH_P_8021AD))
		return to_kernel(FIB_CNT_KERNEL_VLAN);
	if (skb->protocol != bpf_htons(ETH_P_IP) && skb->protocol != bpf_htons(ETH_P_IPV6))
		return to_kernel(FIB_CNT_KERNEL_ETHERTYPE);
	if (skb->pkt_type != PACKET_HOST)
		return to_kernel(FIB_CNT_KERNEL_NOT_HOST);
	/* by a local socket on a veth, a program before ours: only the kernel's rules know what for */
	if (skb->mark)
		return to_kernel(FIB_CNT_KERNEL_MARK);
	interface = interface_flags(skb->ifindex);
	if (skb->protocol == bpf_htons(ETH_P_IP))
		return forward4(skb, interface);
	return forward6(skb, interface);
}

char LICENSE[] SEC("license") = "GPL";
