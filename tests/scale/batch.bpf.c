// SPDX-License-Identifier: GPL-2.0-or-later
/* Asks the kernel's FIB, our tables and the kernel's FIB again for each address of a batch. */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

#include "bpf/lookup.h"
#include "bpf/vrf.h"
#include "tests/scale/batch.h"

#define AF_INET 2
#define AF_INET6 10

FIB_ARRAY(batch, sizeof(struct batch));
FIB_ARRAY(progress, sizeof(struct progress));

struct state {
	struct __sk_buff *skb;
	struct batch *batch;
	struct progress *progress;
};

static __always_inline __u32 kernel_lookup(struct state *state, const __u32 *addr, __u8 family)
{
	struct bpf_fib_lookup fib = {.family = family, .ifindex = state->batch->ifindex};
	long err;

	if (family == AF_INET)
		fib.ipv4_dst = addr[0];
	else
		__builtin_memcpy(fib.ipv6_dst, addr, sizeof(fib.ipv6_dst));
	err = bpf_fib_lookup(state->skb, &fib, sizeof(fib), 0);
	switch (err) {
	case BPF_FIB_LKUP_RET_SUCCESS:
		return bpf_ntohl(family == AF_INET ? fib.ipv4_dst : fib.ipv6_dst[3]) & 0xff;
	case BPF_FIB_LKUP_RET_BLACKHOLE:
		return ANSWER_BLACKHOLE;
	case BPF_FIB_LKUP_RET_UNREACHABLE:
	case BPF_FIB_LKUP_RET_PROHIBIT:
		return ANSWER_REJECT;
	case BPF_FIB_LKUP_RET_NOT_FWDED:
		return ANSWER_NO_ROUTE;
	default:
		return ANSWER_BROKEN;
	}
}

static __always_inline __u32 our_lookup4(__u32 table, const __u32 *addr)
{
	__u32 host = bpf_ntohl(addr[0]);

	return table ? vrf_lookup(table, (__u64)host << 32, 0, false) : fib4_lookup(host);
}

static __always_inline __u32 our_lookup6(__u32 table, const __u32 *addr)
{
	const struct in6_addr *in6 = (const void *)addr;

	return table ? vrf_lookup(table, ipv6_half(in6, 0), ipv6_half(in6, 1), true)
		     : fib6_lookup(in6);
}

/* An atomic addition that returns the old value is a full barrier: the three lookups stay between the two. */
#define ORDERED_READ(x) __sync_fetch_and_add(&(x), 0)

#define ASK(name, family, our_lookup) \
	static int name##_one(__u32 i, struct state *state) \
	{ \
		struct batch_item *item = &state->batch->item[MASK(i, BATCH_MAX - 1)]; \
\
		item->done = ORDERED_READ(state->progress->done); \
		item->kernel[0] = kernel_lookup(state, item->addr, family); \
		item->group = our_lookup(state->batch->table, item->addr); \
		item->kernel[1] = kernel_lookup(state, item->addr, family); \
		item->begun = ORDERED_READ(state->progress->begun); \
		return 0; \
	} \
\
	SEC("tc") \
	int name(struct __sk_buff *skb) \
	{ \
		struct state state = {skb, array_of(&batch), array_of(&progress)}; \
\
		if (!state.batch || !state.progress) \
			return TC_ACT_SHOT; \
		bpf_loop(state.batch->n, name##_one, &state, 0); \
		return TC_ACT_OK; \
	}

ASK(ask4, AF_INET, our_lookup4)
ASK(ask6, AF_INET6, our_lookup6)

char LICENSE[] SEC("license") = "GPL";
