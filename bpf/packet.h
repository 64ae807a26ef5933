/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Is a packet one that may be forwarded? Finds the network header, checks it
 * (RFC 1812 5.2.2, RFC 8200) and hashes the flow, each no sooner than it is needed.
 */
#ifndef BPF_PACKET_H
#define BPF_PACKET_H

#include <stdbool.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>

#include <bpf/bpf_endian.h>

#include "bpf/hash.h"
#include "bpf/lookup.h"
#include "bpf/maps.h"

/* linux/ip.h keeps these to the kernel */
#define IP_MF 0x2000
#define IP_OFFSET 0x1fff

struct packet {
	struct __sk_buff *skb; /* NULL: at XDP, where errors of ICMP are not looked into */
	void *data;
	void *data_end;
	__u32 length; /* of layer 3, as its header says */
	__u32 l4; /* offset of the transport header; 0: a fragment, or behind an extension header */
	__u8 protocol;
};

/* A check's answer where no counter is due yet. */
#define PACKET_OK FIB_CNT_MAX

/*
 * Make headers readable: at least need bytes, and want bytes where the packet has them, so that all packets
 * of a flow are hashed alike. False: the packet is shorter than need.
 */
static __always_inline bool packet_headers(struct __sk_buff *skb, struct packet *p, __u32 need,
					   __u32 want)
{
	p->skb = skb;
	p->data = (void *)(long)skb->data;
	p->data_end = (void *)(long)skb->data_end;
	if (p->data + want <= p->data_end)
		return true;
	if (p->data_end - p->data < skb->len) {
		if (bpf_skb_pull_data(skb, skb->len < want ? skb->len : want))
			return false;
		p->data = (void *)(long)skb->data;
		p->data_end = (void *)(long)skb->data_end;
	}
	return p->data + need <= p->data_end;
}

static __always_inline bool has_ports(__u8 protocol)
{
	return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP || protocol == IPPROTO_SCTP;
}

/* The packet itself, without what may stand behind it in its frame, has so many bytes from there on. */
static __always_inline bool packet_reaches(const struct packet *p, __u32 at, __u32 bytes)
{
	return at - ETH_HLEN + bytes <= p->length;
}

/* Where the packet has the ports of a transport header: as one word for the hash. */
static __always_inline bool packet_ports(const struct packet *p, const __u32 *header, __u32 *ports)
{
	if (!p->l4 || !has_ports(p->protocol) || !packet_reaches(p, p->l4, sizeof(*ports)) ||
	    (void *)(header + 1) > p->data_end)
		return false;
	*ports = *header;
	return true;
}

/* Of the flow in the other direction. */
static __always_inline __u32 ports_swapped(__u32 ports)
{
	return ports << 16 | ports >> 16;
}

/*
 * ICMP errors quote the packet that they are about, and go to its sender: by the way of the flow that goes there as well,
 * whose addresses and ports are the quoted ones swapped. Else a server behind an anycast address would not hear of a
 * smaller MTU on the way to its client. The quote stands behind 8 bytes. It is copied, so that only errors pay for it: for all
 * others the headers are readable as they are.
 */
struct icmp_quote4 {
	__u8 type;
	__u8 rest[7];
	struct iphdr ip;
};

struct icmp_quote6 {
	__u8 type;
	__u8 rest[7];
	struct ipv6hdr ip;
};

/* Bits by type: destination unreachable, source quench, redirect, time exceeded, parameter problem. */
#define ICMP_ERRORS (1u << 3 | 1u << 4 | 1u << 5 | 1u << 11 | 1u << 12)
/* destination unreachable, packet too big, time exceeded, parameter problem */
#define ICMPV6_ERRORS (1u << 1 | 1u << 2 | 1u << 3 | 1u << 4)

static __always_inline bool icmp_error(__u8 type, __u32 errors)
{
	return type < 32 && errors >> type & 1;
}

/* ---- IPv4 ---- */

/* True if the header's checksum is right (RFC 1071): the sum of its ten words is all ones. */
static __always_inline bool ipv4_checksum_right(const struct iphdr *ip)
{
	const __u32 *word = (const __u32 *)ip;
	__u64 sum = (__u64)word[0] + word[1] + word[2] + word[3] + word[4];

	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return sum == 0xffff;
}

/* 0/8, 127/8, 224/4 and 240/4 are not forwarded, to or from (RFC 1812 5.3.7, RFC 1122 3.2.1.3). */
static __always_inline bool ipv4_martian(__u32 addr)
{
	return addr >> 24 == 0 || addr >> 24 == 127 || addr >= 0xe0000000u;
}

/* Is it an IPv4 packet at all? What is left to check is for those that have a way to go. */
static __always_inline enum fib_counter packet_parse4(struct __sk_buff *skb, struct packet *p)
{
	const struct iphdr *ip;

	/* the shortest frame to its end, for its padding is looked at too */
	if (!packet_headers(skb, p, ETH_HLEN + sizeof(*ip), ETH_ZLEN))
		return FIB_CNT_KERNEL_MALFORMED;
	ip = p->data + ETH_HLEN;
	if ((void *)(ip + 1) > p->data_end)
		return FIB_CNT_KERNEL_MALFORMED;
	p->length = bpf_ntohs(ip->tot_len);
	if (ip->version != 4 || ip->ihl < 5 || p->length < ip->ihl * 4u ||
	    p->length > skb->len - ETH_HLEN)
		return FIB_CNT_KERNEL_MALFORMED;
	if (ip->ihl > 5)
		return FIB_CNT_KERNEL_OPTIONS;
	p->protocol = ip->protocol;
	p->l4 = ip->frag_off & bpf_htons(IP_MF | IP_OFFSET) ? 0 : ETH_HLEN + sizeof(*ip);
	return PACKET_OK;
}

/* May it be forwarded? */
static __always_inline enum fib_counter packet_check4(const struct iphdr *ip)
{
	if (!ipv4_checksum_right(ip))
		return FIB_CNT_KERNEL_CHECKSUM;
	if (ipv4_martian(bpf_ntohl(ip->saddr)) || ipv4_martian(bpf_ntohl(ip->daddr)))
		return FIB_CNT_KERNEL_MARTIAN;
	if (ip->ttl <= 1)
		return FIB_CNT_KERNEL_TTL;
	return PACKET_OK;
}

static __always_inline __u32 flow_hash4(__u8 protocol, __u32 saddr, __u32 daddr, __u32 ports)
{
	__u64 hash = hash_mix(flow_seed ^ protocol, (__u64)saddr << 32 | daddr);

	return hash_end(hash_mix(hash, ports));
}

/* What the error's flow is hashed to; false: it is no error, or quotes nothing. */
static __always_inline bool quote_hash4(const struct packet *p, __u32 *hash)
{
	struct icmp_quote4 quote;
	__u32 ports = 0;

	if (!p->l4 || !packet_reaches(p, p->l4, sizeof(quote)) ||
	    bpf_skb_load_bytes(p->skb, p->l4, &quote, sizeof(quote)) ||
	    !icmp_error(quote.type, ICMP_ERRORS) || quote.ip.version != 4)
		return false;
	/* ports that are there; what a first fragment is about is mostly sent whole the other way */
	if (has_ports(quote.ip.protocol) && quote.ip.ihl == 5 &&
	    !(quote.ip.frag_off & bpf_htons(IP_OFFSET)) &&
	    packet_reaches(p, p->l4 + sizeof(quote), sizeof(ports)) &&
	    bpf_skb_load_bytes(p->skb, p->l4 + sizeof(quote), &ports, sizeof(ports)))
		ports = 0;
	*hash = flow_hash4(quote.ip.protocol, quote.ip.daddr, quote.ip.saddr, ports_swapped(ports));
	return true;
}

/* A datagram's fragments stay together: none of them is hashed by its ports. */
static __always_inline __u32 packet_hash4(const struct packet *p, const struct iphdr *ip)
{
	__u32 ports = 0, hash;

	if (unlikely(p->protocol == IPPROTO_ICMP) && p->skb && quote_hash4(p, &hash))
		return hash;
	packet_ports(p, (const __u32 *)(ip + 1), &ports);
	return flow_hash4(p->protocol, ip->saddr, ip->daddr, ports);
}

/* ---- IPv6 ---- */

/*
 * Multicast, link-local, and of ::/8 the unspecified and loopback addresses and IPv4-mapped ones, are
 * not forwarded (RFC 4291 2.5, RFC 4007 9). high and low: the address in host byte order.
 */
static __always_inline bool ipv6_martian(__u64 high, __u64 low)
{
	if (high >> 56 == 0xff || high >> 54 == 0xfe80ull >> 6)
		return true;
	return high == 0 && (low <= 1 || low >> 32 == 0xffff);
}

static __always_inline enum fib_counter packet_parse6(struct __sk_buff *skb, struct packet *p)
{
	const struct ipv6hdr *ip;

	if (!packet_headers(skb, p, ETH_HLEN + sizeof(*ip), ETH_HLEN + sizeof(*ip) + 20))
		return FIB_CNT_KERNEL_MALFORMED;
	ip = p->data + ETH_HLEN;
	if ((void *)(ip + 1) > p->data_end)
		return FIB_CNT_KERNEL_MALFORMED;
	p->length = sizeof(*ip) + bpf_ntohs(ip->payload_len);
	if (ip->version != 6 || p->length > skb->len - ETH_HLEN)
		return FIB_CNT_KERNEL_MALFORMED;
	/* every router has to look into it; a length of 0 with it is a jumbogram's */
	if (ip->nexthdr == IPPROTO_HOPOPTS)
		return FIB_CNT_KERNEL_OPTIONS;
	p->protocol = ip->nexthdr;
	p->l4 = 0;
	if (has_ports(p->protocol))
		p->l4 = ETH_HLEN + sizeof(*ip);
	return PACKET_OK;
}

/*
 * May it be neighbour discovery (RFC 4861: ICMPv6 types 133 to 137), which the kernel answers for others where it is
 * a proxy for them? Behind an extension header, too, so that all of those are its own where one is configured.
 */
static __always_inline bool ipv6_discovery(const struct packet *p, const struct ipv6hdr *ip,
					   bool proxy)
{
	const __u8 *type = (const __u8 *)(ip + 1);

	if (p->protocol == IPPROTO_ICMPV6)
		return (void *)(type + 1) <= p->data_end && *type >= 133 && *type <= 137;
	return proxy && (p->protocol == IPPROTO_ROUTING || p->protocol == IPPROTO_FRAGMENT ||
			 p->protocol == IPPROTO_AH || p->protocol == IPPROTO_DSTOPTS);
}

/* May it be forwarded? interface: the word of the one it came in by. */
static __always_inline enum fib_counter packet_check6(const struct packet *p,
						      const struct ipv6hdr *ip, __u64 interface)
{
	if (ipv6_martian(ipv6_half(&ip->saddr, 0), ipv6_half(&ip->saddr, 1)) ||
	    ipv6_martian(ipv6_half(&ip->daddr, 0), ipv6_half(&ip->daddr, 1)))
		return FIB_CNT_KERNEL_MARTIAN;
	if (ip->hop_limit <= 1)
		return FIB_CNT_KERNEL_TTL;
	if (unlikely(!p->l4) && ipv6_discovery(p, ip, interface & FIB_IF_PROXY))
		return FIB_CNT_KERNEL_DISCOVERY;
	return PACKET_OK;
}

static __always_inline __u32 flow_hash6(const struct in6_addr *saddr, const struct in6_addr *daddr,
					__u64 rest)
{
	__u64 hash = hash_mix(flow_seed, ipv6_half(saddr, 0));

	hash = hash_mix(hash, ipv6_half(saddr, 1));
	hash = hash_mix(hash, ipv6_half(daddr, 0));
	hash = hash_mix(hash, ipv6_half(daddr, 1));
	return hash_end(hash_mix(hash, rest));
}

static __always_inline __u64 flow_label(const struct ipv6hdr *ip)
{
	return bpf_ntohl(*(const __be32 *)ip) & FIB_LABEL;
}

/* Ports and protocol as one word, with what counts of the label. */
static __always_inline __u64 flow_rest(__u32 ports, __u8 protocol, __u64 label)
{
	const struct fib_header *header = array_of(&fib_header);
	__u64 mask = header ? READ_ONCE(header->label_mask) : 0;

	return (__u64)ports << 8 | protocol | (label & mask) << 40;
}

static __always_inline bool quote_hash6(const struct packet *p, __u32 *hash)
{
	const __u32 at = ETH_HLEN + sizeof(struct ipv6hdr);
	struct icmp_quote6 quote;
	/* of what has no ports the label in the other direction is not known */
	__u64 rest = 0;
	__u32 ports;

	if (!packet_reaches(p, at, sizeof(quote)) ||
	    bpf_skb_load_bytes(p->skb, at, &quote, sizeof(quote)) ||
	    !icmp_error(quote.type, ICMPV6_ERRORS) || quote.ip.version != 6)
		return false;
	if (has_ports(quote.ip.nexthdr) && packet_reaches(p, at + sizeof(quote), sizeof(ports)) &&
	    !bpf_skb_load_bytes(p->skb, at + sizeof(quote), &ports, sizeof(ports)))
		rest = flow_rest(ports_swapped(ports), quote.ip.nexthdr, flow_label(&quote.ip));
	*hash = flow_hash6(&quote.ip.daddr, &quote.ip.saddr, rest);
	return true;
}

/*
 * Addresses and ports. The flow label only where there are none, as behind an extension header: it is the same in every
 * fragment (RFC 6437), but Linux changes it when a connection gets no answer, and shall not leave its way for that. Where the
 * kernel is told to go by it (net.ipv6.fib_multipath_hash_policy=0) it counts beside the ports.
 */
static __always_inline __u32 packet_hash6(const struct packet *p, const struct ipv6hdr *ip)
{
	__u64 rest = flow_label(ip);
	__u32 ports, hash;

	if (unlikely(p->protocol == IPPROTO_ICMPV6) && p->skb && quote_hash6(p, &hash))
		return hash;
	if (packet_ports(p, (const __u32 *)(ip + 1), &ports))
		rest = flow_rest(ports, p->protocol, rest);
	return flow_hash6(&ip->saddr, &ip->daddr, rest);
}

#endif /* BPF_PACKET_H */
