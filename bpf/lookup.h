/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Longest prefix match in the main table: an address in, a group id out. layout.h describes the tables. */
#ifndef BPF_LOOKUP_H
#define BPF_LOOKUP_H

#include <stdbool.h>
#include <linux/in6.h>
#include <bpf/bpf_endian.h>

#include "bpf/maps.h"

/* What a lookup returns when the tables are not as they must be. */
#define LOOKUP_BROKEN FIB_MAX_GROUPS

/* The table's default takes the place of value 0. table is below FIB_MAX_TABLES, and known to be. */
static __always_inline __u32 group_or_default(__u32 value, __u64 table, bool v6)
{
	const struct fib_header *header;

	if (value)
		return value;
	header = array_of(&fib_header);
	if (!header)
		return LOOKUP_BROKEN;
	return v6 ? READ_ONCE(header->table[table].v6_default)
		  : READ_ONCE(header->table[table].v4_default);
}

/* Bits set in a word; BPF has no instruction for it. */
static __always_inline __u64 popcount64(__u64 x)
{
	x -= x >> 1 & 0x5555555555555555ull;
	x = (x & 0x3333333333333333ull) + (x >> 2 & 0x3333333333333333ull);
	x = (x + (x >> 4)) & 0x0f0f0f0f0f0f0f0full;
	return x * 0x0101010101010101ull >> 56;
}

/* A node; what it has may be read without a check, for the pool is FIB_NODE_SLACK longer than its mask says. */
static __always_inline const void *node_at(const __u8 *nodes, __u32 value)
{
	return nodes + MASK((__u64)FIB_NODE_NUMBER(value) * FIB_UNIT, bounds.node & ~7ull);
}

/* addr in host byte order. */
static __always_inline __u32 fib4_lookup(__u32 addr)
{
	const __u32 *root = array_of(&fib4_root);
	__u32 value;

	if (!root)
		return LOOKUP_BROKEN;
	value = READ_ONCE(root[addr >> (32 - FIB4_ROOT_BITS)]);
	if (value & FIB_NODE) {
		const __u8 *nodes = array_of(&fib_node);
		const struct fib4_node *node;
		__u64 rank;

		if (!nodes)
			return LOOKUP_BROKEN;
		node = node_at(nodes, value);
		/* the bits above the address's fall off at the top */
		rank = popcount64(
			READ_ONCE(node->bits)
			<< (FIB4_MID_SIZE - 1 - (addr >> FIB4_LOW_BITS & (FIB4_MID_SIZE - 1))));
		value = READ_ONCE(node->entry[MASK(rank - 1, FIB4_MID_SIZE - 1)]);
		if (value & FIB4_LOW) {
			const __u16 *low = array_of(&fib4_low);
			__u64 index = value & (FIB4_LOW - 1);

			if (!low)
				return LOOKUP_BROKEN;
			index = index * FIB4_LOW_SIZE + (addr & (FIB4_LOW_SIZE - 1));
			value = READ_ONCE(low[MASK(index, bounds.v4_low)]);
		}
	}
	return group_or_default(value, 0, false);
}

/* How many of eight bytes are at or below one: each is subtracted from it in a lane of its own. */
static __always_inline __u64 bytes_up_to(__u64 bytes, __u64 byte)
{
	const __u64 ones = 0x0101010101010101ull, tops = 0x8080808080808080ull;
	__u64 wide = byte * ones, rest = (wide | tops) - (bytes & ~tops);

	rest = ((wide & ~bytes) | (~(wide ^ bytes) & rest)) & tops;
	return (rest >> 7) * ones >> 56;
}

/* The word of one node for the next byte of the address. */
static __always_inline __u32 byte_step(const __u8 *nodes, __u32 value, __u64 byte)
{
	const struct fib_byte_node *node = node_at(nodes, value);
	__u64 word, rank;

	if (value & FIB_SMALL) {
		const struct fib_small_node *small = (const void *)node;

		rank = 8 - bytes_up_to(READ_ONCE(small->bounds), byte);
		return READ_ONCE(small->entry[MASK(rank, 15)]);
	}
	word = MASK(byte >> 6, 3);
	rank = READ_ONCE(node->rank[word]) +
	       popcount64(READ_ONCE(node->bits[word]) << (63 - (byte & 63)));
	return READ_ONCE(node->entry[MASK(rank - 1, 255)]);
}

/* From a word down, at most `left` bytes of the address, which stand at the top of high:low. */
static __always_inline __u32 byte_walk(__u32 value, __u64 high, __u64 low, int left)
{
	const __u8 *nodes = array_of(&fib_node);

	if (!nodes)
		return LOOKUP_BROKEN;
#pragma clang loop unroll(disable)
	while (value & FIB_NODE && left-- > 0) {
		value = byte_step(nodes, value, high >> 56);
		high = high << 8 | low >> 56;
		low <<= 8;
	}
	return value & FIB_NODE ? LOOKUP_BROKEN : value;
}

/* Half 0 or 1 of an address in host byte order. */
static __always_inline __u64 ipv6_half(const struct in6_addr *addr, int half)
{
	return (__u64)bpf_ntohl(addr->in6_u.u6_addr32[2 * half]) << 32 |
	       bpf_ntohl(addr->in6_u.u6_addr32[2 * half + 1]);
}

static __always_inline __u32 fib6_lookup(const struct in6_addr *addr)
{
	__u64 high = ipv6_half(addr, 0), low = ipv6_half(addr, 1);
	const __u32 *root = array_of(&fib6_root);
	__u32 value;

	if (!root)
		return LOOKUP_BROKEN;
	if (high >> 61 == 1) {
		value = READ_ONCE(root[high >> 40 & (FIB6_ROOT_SIZE - 1)]);
		value = byte_walk(value, high << 24 | low >> 40, low << 24, 13);
	} else {
		value = READ_ONCE(root[FIB6_ROOT_SIZE + (high >> 56)]);
		value = byte_walk(value, high << 8 | low >> 56, low << 8, 15);
	}
	return group_or_default(value, 0, true);
}

#endif /* BPF_LOOKUP_H */
