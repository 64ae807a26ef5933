/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A flow's hash: which slot of a group its packets take. bpf_get_hash_recalc() costs twenty times as much. It begins with the
 * router's own seed: routers in a row that chose alike would leave members of the second one's groups without a flow.
 */
#ifndef BPF_HASH_H
#define BPF_HASH_H

#include <linux/types.h>

/* Two odd constants with well-spread bits (the golden ratio's and a prime's). */
#define HASH_A 0x9e3779b97f4a7c15ull
#define HASH_B 0xc2b2ae3d27d4eb4full

static __always_inline __u64 hash_mix(__u64 hash, __u64 word)
{
	hash = (hash ^ word) * HASH_A;
	return hash ^ hash >> 32;
}

/* Every input bit reaches the low bits, which choose the slot. */
static __always_inline __u32 hash_end(__u64 hash)
{
	hash *= HASH_B;
	return (__u32)(hash ^ hash >> 29 ^ hash >> 47);
}

#endif /* BPF_HASH_H */
