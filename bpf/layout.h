/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The memory that zebra writes and the eBPF program reads: the only file that
 * both sides include. Change FIB_LAYOUT_VERSION with anything in here.
 *
 *   prefix tables ──value──▶ group[gid] ──▶ slot[offset + hash & mask] ──▶ nexthop[n]
 *
 * Everything is an array of naturally aligned 16, 32 or 64 bit words, each
 * written by one release store and read by one load, so that a reader never
 * sees half a change. What is taken out of use is reused after a grace period.
 */
#ifndef BPF_LAYOUT_H
#define BPF_LAYOUT_H

#include <linux/types.h>

#define FIB_MAGIC 0x44504542u /* "DPEB" */
#define FIB_LAYOUT_VERSION 5u

/*
 * Group ids. What a prefix table holds is a group id; the low ones are
 * verdicts that need no group. 0 is what an empty table is full of.
 */
enum fib_group_id {
	FIB_GROUP_DEFAULT = 0,	   /* no better prefix: use the table's v4_default or v6_default */
	FIB_GROUP_NO_ROUTE = 1,	   /* kernel: nothing matches (and the defaults' first value) */
	FIB_GROUP_LOCAL = 2,	   /* kernel: an address of this router, or a subnet broadcast */
	FIB_GROUP_REJECT = 3,	   /* kernel: unreachable and prohibit, it sends the ICMP error */
	FIB_GROUP_UNSUPPORTED = 4, /* kernel: labels, encapsulation, devices we cannot use */
	FIB_GROUP_OVERFLOW = 5,	   /* kernel: no room in our tables */
	FIB_GROUP_BLACKHOLE = 6,   /* drop silently, as the kernel's blackhole */
	FIB_GROUP_KERNEL = 7,	   /* kernel: it has a route of its own, or lacks zebra's */
	FIB_GROUP_FIRST = 16,	   /* the first id with a descriptor of its own */
};

/*
 * Nodes, of IPv4 and IPv6, stand in one pool and are addressed in units of FIB_UNIT
 * bytes from its start; node 0 is never used. A node compresses the words of a stride of the address to its
 * runs of equal ones: bit i is set where word i differs from word i - 1 (bit 0 always), and
 * may be set elsewhere; word i is entry[number of bits set in 0..i, less one]. Entries
 * may be replaced in place, each by one store; bits and ranks, and with them the number of entries, of a
 * published node never change. Where all words of a stride are equal there is no node: the word above says it.
 *
 * The pool's map is FIB_NODE_SLACK longer than the pool, whose size is a power of two, so that a masked
 * offset may be read past without a check.
 */
#define FIB_NODE 0x80000000u
#define FIB_NODE_NUMBER(word) ((word)&0x3fffffffu)
#define FIB_UNIT 8u
#define FIB_NODE_SLACK 2048u

/*
 * IPv4 of the main table, 18-6-8.
 *   v4_root[addr >> 14], u32: FIB_NODE | node, else a group id
 *   the node's word addr >> 8 & 63, u16: FIB4_LOW | low block, else a group id
 *   v4_low[block * 256 + (addr & 255)], u16: a group id
 * A group id therefore has 15 bits.
 */
#define FIB4_ROOT_BITS 18
#define FIB4_MID_BITS 6
#define FIB4_LOW_BITS 8
#define FIB4_ROOT_SIZE (1u << FIB4_ROOT_BITS)
#define FIB4_MID_SIZE (1u << FIB4_MID_BITS)
#define FIB4_LOW_SIZE (1u << FIB4_LOW_BITS)
#define FIB4_LOW 0x8000u
#define FIB_MAX_GROUPS 0x8000u

struct fib4_node {
	__u64 bits;
	__u16 entry[];
};

/*
 * IPv6 of the main table. v6_root has two parts: FIB6_ROOT_SIZE words for 2000::/3, indexed by
 * address bits 3..23, then 256 words for everything else, indexed by the first
 * byte. Below stand nodes that consume one byte of the address each (the next after byte 2, or after byte
 * 0), as deep as there are prefixes, to /128. A word is FIB_NODE | node, maybe with FIB_SMALL, else a group id.
 *
 * rank[k] is the number of bits set in bits[0..k-1], so that one 64-bit population count
 * is enough (it is 0 for k = 0 and at most 192).
 *
 * Nine nodes in ten have few runs, and then take less than a cache line in another form, told by FIB_SMALL in the word:
 * where its runs begin but for the first, in ascending order in the upper bytes of bounds, 0 in those left over. Entries
 * are in descending order: with n bounds at or below the byte of the address, zeros included, it is entry[8 - n].
 */
#define FIB_SMALL 0x40000000u
#define FIB_SMALL_RUNS 9u

#define FIB6_ROOT_BITS 21
#define FIB6_ROOT_SIZE (1u << FIB6_ROOT_BITS)
#define FIB6_OUTER_SIZE 256u

struct fib_byte_node {
	__u64 bits[4];
	__u8 rank[4];
	__u32 entry[];
};

struct fib_small_node {
	__u64 bounds;
	__u32 entry[];
};

/*
 * Tables. Number 0 is the main one, with the large roots above; any other is a VRF's and costs what its
 * prefixes need: both its families consist of struct fib_byte_node from the first byte of the address on,
 * and its root is one word. A packet is looked up in the table of the interface it came in by, and in no other. The number of
 * one that is gone is another's after a grace period.
 */
#define FIB_MAX_TABLES 4096u

/*
 * The kernel's local table (255), which its rules ask before all others: FIB_GROUP_LOCAL for what has a route there,
 * FIB_GROUP_NO_ROUTE for all else. Packets of interfaces with FIB_IF_LOCAL are looked up there first.
 */
#define FIB_TABLE_LOCAL 1u

struct fib_table {
	__u32 v4_root;	  /* not of table 0 */
	__u32 v4_default; /* group id for addresses whose value is 0 */
	__u32 v6_root;
	__u32 v6_default;
};

/*
 * A group's descriptor, one u64: bits 0..31 the offset of its first slot,
 * 32..47 the number of slots less one (a power of two less one), 48..62 a
 * generation that each change raises, 63 set: valid. A group that is not valid has
 * no room or no members: its packets are the kernel's, counted as FIB_CNT_KERNEL_OVERFLOW.
 * The offset is any number: add, do not or.
 */
#define FIB_DESC_VALID (1ull << 63)
#define FIB_DESC_OFFSET(d) ((__u32)(d))
#define FIB_DESC_MASK(d) ((__u32)((d) >> 32) & 0xffffu)
#define FIB_DESC_GENERATION(d) ((__u32)((d) >> 48) & 0x7fffu)
#define FIB_MAX_GROUP_SLOTS 8192u

/* What to do with a packet for a next hop: bits 48..55 of fib_nexthop.dst. */
enum fib_nexthop_action {
	FIB_NH_KERNEL = 0,  /* give it to the kernel: not usable, or not by us */
	FIB_NH_REWRITE = 1, /* MACs known: rewrite and redirect */
	FIB_NH_RESOLVE = 2, /* MAC of the gateway not known: bpf_redirect_neigh resolves it */
	FIB_NH_CONNECTED =
		3, /* the destination itself is the neighbour: see struct fib_neigh_key */
	FIB_NH_DEVICE =
		4, /* a device without MAC addresses (tun): redirect, the kernel takes the header off */
	FIB_NH_MAX,
};

/*
 * A next hop, one cache line. dst and src are each read and written as one
 * word: the six bytes of a MAC in memory order, lowest byte first, then 16 bits. A dst by which src is
 * used is stored after it, with release; the program reads src by an address that depends on dst.
 */
struct fib_nexthop {
	__u64 dst;     /* bytes 0..5 gateway's MAC, byte 6 enum fib_nexthop_action, byte 7 zero */
	__u64 src;     /* bytes 0..5 interface's MAC, bytes 6..7 the MTU (u16, at most 65535) */
	__u32 ifindex; /* egress; never changes while the next hop is in use */
	__u16 family;  /* of gate: AF_INET, AF_INET6, 0 for none; never changes either */
	__u16 reserved0;
	__u8 gate[16];
	__u8 reserved[24];
};

#define FIB_WORD_MAC 0x0000ffffffffffffull
#define FIB_NH_ACTION(dst) ((__u32)((dst) >> 48) & 0xffu)
#define FIB_NH_MTU(src) ((__u32)((src) >> 48))

/*
 * Interfaces that the program forwards for, a direct-mapped array by the low
 * bits of ifindex. An entry is one u64 word: the ifindex in bits 0..31, flags
 * above, the number of its table in bits 48..63. Any other packet is the kernel's.
 */
#define FIB_MAX_INTERFACES 4096u
#define FIB_IF_V4 (1ull << 32)	  /* net.ipv4.conf.IF.forwarding */
#define FIB_IF_V6 (1ull << 33)	  /* net.ipv6.conf.IF.forwarding */
#define FIB_IF_LOCAL (1ull << 34) /* FIB_TABLE_LOCAL first */
#define FIB_IF_PROXY (1ull << 35) /* net.ipv6.conf.IF.proxy_ndp */
#define FIB_IF_TABLE(entry) ((__u32)((entry) >> 48))

/*
 * The router's own IPv4 addresses, of all its interfaces: a packet that has one as its source is the kernel's, which drops
 * it unless accept_local is set. fib_header.own has a bit for each, by a hash, so that other packets pay one load; where
 * the bit is set the hash map "own_addresses" decides, unless it had no room for all (fib_header.own_unlisted).
 * addr is a word as the packet has it.
 */
#define FIB_OWN_BITS 15
#define FIB_OWN_WORDS (1u << (FIB_OWN_BITS - 6))
#define FIB_OWN_BIT(addr) ((__u32)((addr)*0x9e3779b1u) >> (32 - FIB_OWN_BITS))
#define FIB_MAX_OWN 8192u

/* Hash map "neighbours": hosts of connected networks whose MAC the kernel knows. */
struct fib_neigh_key {
	__u32 ifindex;
	__u32 family;
	__u8 addr[16]; /* IPv4 in the first four */
};

/*
 * What the program did with each packet: counted once, per CPU, in
 * counters[cpu].packets[]. X(enumerator, name in show and JSON, what it means).
 */
#define FIB_COUNTERS(X) \
	X(FORWARDED, "forwarded", "rewritten from the tables and sent out") \
	X(FORWARDED_NEIGH, "forwarded-neighbour", "sent out, MAC address filled in by the kernel") \
	X(KERNEL_INTERFACE, "kernel-interface", "came in where we do not forward this family") \
	X(KERNEL_NOT_HOST, "kernel-not-host", "multicast, broadcast or another's MAC address") \
	X(KERNEL_VLAN, "kernel-vlan", "VLAN tagged") \
	X(KERNEL_ETHERTYPE, "kernel-ethertype", "neither IPv4 nor IPv6 (ARP, MPLS, ...)") \
	X(KERNEL_MARK, "kernel-mark", "carries a mark, which policy rules may go by") \
	X(KERNEL_MALFORMED, "kernel-malformed", \
	  "truncated, a version or length that cannot be, or a trailer that cannot be cut off") \
	X(KERNEL_CHECKSUM, "kernel-checksum", "IPv4 header checksum wrong") \
	X(KERNEL_OPTIONS, "kernel-options", "IPv4 options or IPv6 hop-by-hop header") \
	X(KERNEL_TTL, "kernel-ttl", "TTL or hop limit of 1 or 0") \
	X(KERNEL_MARTIAN, "kernel-martian", "source or destination that is not forwarded") \
	X(KERNEL_OWN_SOURCE, "kernel-own-source", "its source is an address of this router") \
	X(KERNEL_LOCAL, "kernel-local", "for an address of this router or a subnet broadcast") \
	X(KERNEL_DISCOVERY, "kernel-discovery", \
	  "IPv6 neighbour discovery, which the kernel may answer for others (proxy_ndp)") \
	X(KERNEL_NO_ROUTE, "kernel-no-route", "no prefix matches") \
	X(KERNEL_REJECT, "kernel-reject", "unreachable or prohibit route") \
	X(KERNEL_UNSUPPORTED, "kernel-unsupported", \
	  "route with labels, encapsulation or a device we do not use") \
	X(KERNEL_OWN_ROUTE, "kernel-own-route", \
	  "prefix for which the kernel has a route that zebra does not, or lacks zebra's") \
	X(KERNEL_OVERFLOW, "kernel-overflow", "prefix for which our tables had no room") \
	X(KERNEL_NEXTHOP, "kernel-nexthop", "next hop down, or its neighbour failed") \
	X(KERNEL_NEIGHBOUR, "kernel-neighbour", \
	  "connected host whose MAC address is not known yet") \
	X(KERNEL_MTU, "kernel-mtu", "larger than the MTU of the way out") \
	X(KERNEL_SAME_INTERFACE, "kernel-same-interface", \
	  "would leave by the interface it came in by") \
	X(KERNEL_ABANDONED, "kernel-abandoned", \
	  "zebra has not been heard of, so the tables may be old") \
	X(KERNEL_INTERNAL, "kernel-internal", "tables not as expected: a defect, please report") \
	X(DROP_BLACKHOLE, "drop-blackhole", "blackhole route")

enum fib_counter {
#define X(e, n, h) FIB_CNT_##e,
	FIB_COUNTERS(X)
#undef X
		FIB_CNT_MAX,
};

/* Rows of counters are a power of two long, so that indices can be masked. */
#define FIB_CNT_ROW 32u

struct fib_cpu_counters {
	__u64 packets[FIB_CNT_ROW];
} __attribute__((aligned(64)));

/* nexthop_counters[cpu * nexthops + n] */
struct fib_nexthop_counters {
	__u64 packets;
	__u64 bytes; /* of layer 3, as sent */
};

/* Sizes, all powers of two, fixed when the maps are made. */
struct fib_geometry {
	__u32 node_bytes;    /* of one half of the pool, at most 2^27 */
	__u32 v4_low_blocks; /* at most 2^15 */
	__u32 groups;	     /* at most FIB_MAX_GROUPS */
	__u32 slots;	     /* at most 2^22 */
	__u32 nexthops;	     /* at most 2^16: slots have 16 bits, 0 is none */
	__u32 neighbours;    /* hosts; takes memory when they come */
	__u32 cpus;	     /* possible CPUs, rounded up */
};

#define FIB_LABEL 0xfffffull /* the bits of an IPv6 flow label */

/* The first thing in the pinned maps: map "fib_header". */
struct fib_header {
	__u32 magic;
	__u32 layout_version;
	struct fib_geometry geometry;
	/*
	 * ns of CLOCK_MONOTONIC, put off again and again by whoever keeps the tables true; afterwards packets that have a
	 * way are the kernel's.
	 */
	__u64 forward_until;
	/* of the IPv6 flow label what counts where there are ports, too: see packet_hash6() */
	__u64 label_mask;
	__u64 own_unlisted; /* own addresses that "own_addresses" had no room for */
	__u64 own[FIB_OWN_WORDS];
	struct fib_table table[FIB_MAX_TABLES];
	__u32 kernel_table[FIB_MAX_TABLES]; /* the kernel's number of each; 0: not in use */
};

#endif /* BPF_LAYOUT_H */
