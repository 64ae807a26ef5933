// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The lookups alone: each program does `count` of them, from number `first` on, over a list of addresses, with one kind of
 * table. A dependent lookup waits for the result of the one before; independent ones may overlap in the CPU.
 */
#include <linux/bpf.h>
#include <linux/in6.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

#include "bench/lookup.h"
#include "bpf/lookup.h"

#define AF_INET 2
#define AF_INET6 10

FIB_ARRAY(addresses, sizeof(struct lookup_addresses));
FIB_ARRAY(found, sizeof(struct lookup_found));
FIB_ARRAY(dir24, DIR24_SIZE * sizeof(__u32));
FIB_ARRAY(dir8, sizeof(__u64));

#define LPM_TRIE(name, bytes) \
	struct { \
		__uint(type, BPF_MAP_TYPE_LPM_TRIE); \
		__uint(map_flags, BPF_F_NO_PREALLOC); \
		__uint(max_entries, 1); \
		__uint(key_size, 4 + (bytes)); \
		__uint(value_size, 4); \
	} name SEC(".maps")

LPM_TRIE(lpm4, 4);
LPM_TRIE(lpm6, 16);

const volatile __u64 dir8_bound; /* words, a power of two less one */
const volatile __u32 ifindex_in; /* for bpf_fib_lookup() */
__u32 first, count;		 /* which one */

struct state {
	struct __sk_buff *skb;
	const struct lookup_addresses *addresses;
	struct lookup_found *found;
	__u32 first;
	__u32 last; /* what was found */
};

static __always_inline const struct in6_addr *address(const struct state *state, __u32 i)
{
	const __u32 *addr = state->addresses->addr[MASK(state->first + i, LOOKUP_LIST - 1)];

	return (const struct in6_addr *)addr;
}

/* ---- the tables ---- */

static __always_inline __u32 ours4(struct state *state, const struct in6_addr *addr)
{
	return fib4_lookup(bpf_ntohl(addr->in6_u.u6_addr32[0]));
}

static __always_inline __u32 ours6(struct state *state, const struct in6_addr *addr)
{
	return fib6_lookup(addr);
}

static __always_inline __u32 lpm_trie4(struct state *state, const struct in6_addr *addr)
{
	const struct {
		__u32 length, addr;
	} key = {32, addr->in6_u.u6_addr32[0]};
	const __u32 *value = bpf_map_lookup_elem(&lpm4, &key);

	return value ? *value : LOOKUP_NOTHING;
}

static __always_inline __u32 lpm_trie6(struct state *state, const struct in6_addr *addr)
{
	const struct {
		__u32 length;
		struct in6_addr addr;
	} key = {128, *addr};
	const __u32 *value = bpf_map_lookup_elem(&lpm6, &key);

	return value ? *value : LOOKUP_NOTHING;
}

/* The kernel puts the gateway into the place of the destination; its last byte tells which one it is. */
static __always_inline __u32 fib_lookup4(struct state *state, const struct in6_addr *addr)
{
	struct bpf_fib_lookup query = {
		.family = AF_INET,
		.tot_len = 46,
		.ifindex = ifindex_in,
		.ipv4_dst = addr->in6_u.u6_addr32[0],
	};

	if (bpf_fib_lookup(state->skb, &query, sizeof(query), BPF_FIB_LOOKUP_SKIP_NEIGH))
		return LOOKUP_NOTHING;
	return (bpf_ntohl(query.ipv4_dst) - 1) & 0xff;
}

static __always_inline __u32 fib_lookup6(struct state *state, const struct in6_addr *addr)
{
	struct bpf_fib_lookup query = {
		.family = AF_INET6,
		.tot_len = 46,
		.ifindex = ifindex_in,
	};

	for (int i = 0; i < 4; i++)
		query.ipv6_dst[i] = addr->in6_u.u6_addr32[i];
	if (bpf_fib_lookup(state->skb, &query, sizeof(query), BPF_FIB_LOOKUP_SKIP_NEIGH))
		return LOOKUP_NOTHING;
	return (bpf_ntohl(query.ipv6_dst[3]) - 1) & 0xff;
}

static __always_inline __u32 dir_24_8(struct state *state, const struct in6_addr *addr)
{
	__u32 host = bpf_ntohl(addr->in6_u.u6_addr32[0]), value;
	const __u32 *words = array_of(&dir24);
	__u64 index;

	if (!words)
		return LOOKUP_NOTHING;
	value = words[host >> 8];
	if (value & DIR24_BLOCK) {
		words = array_of(&dir8);
		if (!words)
			return LOOKUP_NOTHING;
		index = (__u64)(value & ~DIR24_BLOCK) << 8 | (host & 0xff);
		value = words[MASK(index, dir8_bound)];
	}
	return value;
}

static __always_inline __u32 nothing4(struct state *state, const struct in6_addr *addr)
{
	return addr->in6_u.u6_addr32[0] & LOOKUP_NOTHING;
}

static __always_inline __u32 nothing6(struct state *state, const struct in6_addr *addr)
{
	return (addr->in6_u.u6_addr32[0] ^ addr->in6_u.u6_addr32[1] ^ addr->in6_u.u6_addr32[2] ^
		addr->in6_u.u6_addr32[3]) &
	       LOOKUP_NOTHING;
}

/* ---- the programs ---- */

static __always_inline int run(struct __sk_buff *skb, int (*step)(__u32 i, struct state *state))
{
	struct state state = {
		.skb = skb,
		.addresses = array_of(&addresses),
		.found = array_of(&found),
		.first = first,
	};

	if (!state.addresses || !state.found)
		return TC_ACT_SHOT;
	bpf_loop(count, step, &state, 0);
	skb->mark = state.last;
	return TC_ACT_OK;
}

/* What was found is less than 2^31: the shift gives 0, which neither compiler nor CPU knows. */
#define BENCH(table) \
	static int table##_step(__u32 i, struct state *state) \
	{ \
		struct in6_addr addr = *address(state, i); \
\
		state->last += table(state, &addr); \
		return 0; \
	} \
	static int table##_step_dependent(__u32 i, struct state *state) \
	{ \
		struct in6_addr addr = *address(state, i); \
		__u32 last = state->last; \
\
		asm volatile("" : "+r"(last)); \
		addr.in6_u.u6_addr32[0] += last >> 31; \
		state->last = table(state, &addr); \
		return 0; \
	} \
	SEC("tc") \
	int table##_indep(struct __sk_buff *skb) \
	{ \
		return run(skb, table##_step); \
	} \
	SEC("tc") \
	int table##_dep(struct __sk_buff *skb) \
	{ \
		return run(skb, table##_step_dependent); \
	}

BENCH(ours4)
BENCH(ours6)
BENCH(lpm_trie4)
BENCH(lpm_trie6)
BENCH(fib_lookup4)
BENCH(fib_lookup6)
BENCH(dir_24_8)
BENCH(nothing4)
BENCH(nothing6)

/* ---- do they agree? ---- */

static int compare4_step(__u32 i, struct state *state)
{
	struct in6_addr addr = *address(state, i);
	__u32 *group = state->found->group[MASK(i, LOOKUP_RUN - 1)];

	group[LOOKUP_OURS] = ours4(state, &addr);
	group[LOOKUP_LPM_TRIE] = lpm_trie4(state, &addr);
	group[LOOKUP_FIB_LOOKUP] = fib_lookup4(state, &addr);
	group[LOOKUP_DIR_24_8] = dir_24_8(state, &addr);
	return 0;
}

static int compare6_step(__u32 i, struct state *state)
{
	struct in6_addr addr = *address(state, i);
	__u32 *group = state->found->group[MASK(i, LOOKUP_RUN - 1)];

	group[LOOKUP_OURS] = ours6(state, &addr);
	group[LOOKUP_LPM_TRIE] = lpm_trie6(state, &addr);
	group[LOOKUP_FIB_LOOKUP] = fib_lookup6(state, &addr);
	return 0;
}

SEC("tc")
int compare4(struct __sk_buff *skb)
{
	return run(skb, compare4_step);
}

SEC("tc")
int compare6(struct __sk_buff *skb)
{
	return run(skb, compare6_step);
}

char LICENSE[] SEC("license") = "GPL";
