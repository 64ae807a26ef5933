// SPDX-License-Identifier: GPL-2.0-or-later
/* Looks addresses up and compares what it finds with what it has to find. */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

#include "bench/reader.h"
#include "bpf/lookup.h"

FIB_ARRAY(reader_list, sizeof(struct reader_list));

__u64 lookups, wrong;
__u32 first;

struct state {
	const struct reader_list *list;
	__u64 wrong;
};

static int step(__u32 i, struct state *state)
{
	__u64 index = MASK(first + i, READER_LIST - 1);

	state->wrong += fib4_lookup(state->list->addr[index]) != state->list->group[index];
	return 0;
}

SEC("tc")
int reader(struct __sk_buff *skb)
{
	struct state state = {.list = array_of(&reader_list)};

	if (!state.list)
		return TC_ACT_SHOT;
	bpf_loop(READER_RUN, step, &state, 0);
	wrong += state.wrong;
	lookups += READER_RUN;
	first += READER_RUN;
	return TC_ACT_OK;
}

char LICENSE[] SEC("license") = "GPL";
