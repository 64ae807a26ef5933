/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Longest prefix match: an address in, a group id out. layout.h describes the tables. */
#ifndef BPF_LOOKUP_H
#define BPF_LOOKUP_H

#include <linux/in6.h>
#include <bpf/bpf_endian.h>

#include "bpf/maps.h"

/* What a lookup returns when the tables are not as they must be. */
#define LOOKUP_BROKEN FIB_MAX_GROUPS

/* addr in host byte order. */
static __always_inline __u32 fib4_lookup(__u32 addr)
{
	const struct fib_header *header;
	const __u32 *root = array_of(&fib4_root);
	__u32 value;

	if (!root)
		return LOOKUP_BROKEN;
	value = READ_ONCE(root[addr >> (32 - FIB4_ROOT_BITS)]);
	if (value & FIB4_BLOCK) {
		const __u16 *mid = array_of(&fib4_mid);
		__u64 index = value & ~FIB4_BLOCK;

		if (!mid)
			return LOOKUP_BROKEN;
		index = index * FIB4_MID_SIZE + (addr >> FIB4_LOW_BITS & (FIB4_MID_SIZE - 1));
		value = READ_ONCE(mid[MASK(index, bounds.v4_mid)]);
		if (value & FIB4_LOW) {
			const __u16 *low = array_of(&fib4_low);

			if (!low)
				return LOOKUP_BROKEN;
			index = value & (FIB4_LOW - 1);
			index = index * FIB4_LOW_SIZE + (addr & (FIB4_LOW_SIZE - 1));
			value = READ_ONCE(low[MASK(index, bounds.v4_low)]);
		}
	}
	if (value)
		return value;
	header = array_of(&fib_header);
	return header ? READ_ONCE(header->v4_default) : LOOKUP_BROKEN;
}

/* Bits set in a word; BPF has no instruction for it. */
static __always_inline __u64 popcount64(__u64 x)
{
	x -= x >> 1 & 0x5555555555555555ull;
	x = (x & 0x3333333333333333ull) + (x >> 2 & 0x3333333333333333ull);
	x = (x + (x >> 4)) & 0x0f0f0f0f0f0f0f0full;
	return x * 0x0101010101010101ull >> 56;
}

/* The word of one node for the next byte of the address. */
static __always_inline __u32 fib6_step(const __u8 *nodes, __u32 node, __u64 byte)
{
	const struct fib6_node *n;
	__u64 word, rank;
	__u32 value;

	/* the pool is FIB6_SLACK longer than its mask says, and a node of 256 entries is shorter than that */
	n = (const void *)(nodes + MASK((__u64)node * FIB6_UNIT, bounds.v6_node & ~7ull));
	word = MASK(byte >> 6, 3);
	rank = READ_ONCE(n->rank[word]) +
	       popcount64(READ_ONCE(n->bits[word]) & ~0ull >> (63 - (byte & 63)));
	value = READ_ONCE(n->entry[MASK(rank - 1, 255)]);
	return value ? value : READ_ONCE(n->inherit);
}

static __always_inline __u32 fib6_lookup(const struct in6_addr *addr)
{
	const struct fib_header *header;
	const __u32 *root = array_of(&fib6_root);
	const __u8 *nodes = array_of(&fib6_node);
	__u32 value;
	__u64 high, low;
	int left;

	if (!root || !nodes)
		return LOOKUP_BROKEN;
	high = (__u64)bpf_ntohl(addr->in6_u.u6_addr32[0]) << 32 |
	       bpf_ntohl(addr->in6_u.u6_addr32[1]);
	low = (__u64)bpf_ntohl(addr->in6_u.u6_addr32[2]) << 32 |
	      bpf_ntohl(addr->in6_u.u6_addr32[3]);
	if (high >> 61 == 1) {
		value = READ_ONCE(root[high >> 40 & (FIB6_ROOT_SIZE - 1)]);
		high = high << 24 | low >> 40;
		low <<= 24;
		left = 13;
	} else {
		value = READ_ONCE(root[FIB6_ROOT_SIZE + (high >> 56)]);
		high = high << 8 | low >> 56;
		low <<= 8;
		left = 15;
	}
	/* the bytes that remain stand at the top of high:low and move up with each node */
#pragma clang loop unroll(disable)
	while (value & FIB6_NODE && left-- > 0) {
		value = fib6_step(nodes, value & ~FIB6_NODE, high >> 56);
		high = high << 8 | low >> 56;
		low <<= 8;
	}
	if (value & FIB6_NODE)
		return LOOKUP_BROKEN;
	if (value)
		return value;
	header = array_of(&fib_header);
	return header ? READ_ONCE(header->v6_default) : LOOKUP_BROKEN;
}

#endif /* BPF_LOOKUP_H */
