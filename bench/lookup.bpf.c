// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The lookups alone: each program does BENCH_LOOKUPS of them over a list of
 * addresses. "Dependent" ones wait for the result of the one before, as a router's next packet
 * waits for nothing but its own loads; independent ones may overlap in the CPU.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

#include "bench/lookup.h"
#include "bpf/lookup.h"

FIB_ARRAY(bench_addresses, sizeof(struct bench_addresses));

struct state {
	struct bench_addresses *list;
	__u32 sum, previous;
};

static __always_inline const struct in6_addr *address(struct state *state, __u32 i)
{
	return (const struct in6_addr *)state->list->addr[MASK(i, BENCH_LOOKUPS - 1)];
}

static int step4(__u32 i, struct state *state)
{
	state->sum += fib4_lookup(address(state, i)->in6_u.u6_addr32[0]);
	return 0;
}

static int step4_dependent(__u32 i, struct state *state)
{
	/* a group id is far below 2^31: the shift gives 0, which neither compiler nor CPU knows */
	state->previous =
		fib4_lookup(address(state, i + (state->previous >> 31))->in6_u.u6_addr32[0]);
	return 0;
}

static int step6(__u32 i, struct state *state)
{
	state->sum += fib6_lookup(address(state, i));
	return 0;
}

static int step6_dependent(__u32 i, struct state *state)
{
	state->previous = fib6_lookup(address(state, i + (state->previous >> 31)));
	return 0;
}

static int step_empty(__u32 i, struct state *state)
{
	state->sum += address(state, i)->in6_u.u6_addr32[0];
	return 0;
}

#define BENCH(name, step) \
	SEC("tc") \
	int name(struct __sk_buff *skb) \
	{ \
		struct state state = {.list = array_of(&bench_addresses)}; \
\
		if (!state.list) \
			return TC_ACT_SHOT; \
		bpf_loop(BENCH_LOOKUPS, step, &state, 0); \
		skb->mark = state.sum + state.previous; \
		return TC_ACT_OK; \
	}

BENCH(lookup4, step4)
BENCH(lookup4_dependent, step4_dependent)
BENCH(lookup6, step6)
BENCH(lookup6_dependent, step6_dependent)
BENCH(lookup_empty, step_empty)

SEC("tc")
int empty(struct __sk_buff *skb)
{
	return TC_ACT_UNSPEC;
}

char LICENSE[] SEC("license") = "GPL";
