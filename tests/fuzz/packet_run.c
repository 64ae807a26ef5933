// SPDX-License-Identifier: GPL-2.0-or-later
/* One packet through the kernel by BPF_PROG_TEST_RUN, and through the program built natively. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "dplane_ebpf/datapath/datapath_internal.h"
#include "dplane_ebpf/datapath/dplane_ebpf.skel.h"
#include "tests/bpf/fixture.h"
#include "tests/fuzz/packet.h"

#define NEXTHOPS_MAX 64u

static struct fib_cpu_counters *native_counters;
static struct fib_nexthop_counters *native_nexthop_counters;
static uint32_t nexthops;

struct counts {
	uint64_t packets[FIB_CNT_MAX];
	struct fib_nexthop_counters nexthop[NEXTHOPS_MAX];
};

static void counts_compare(const struct counts *before, const struct counts *after,
			   struct packet_out *out)
{
	out->counter = FIB_CNT_MAX;
	out->counted = 0;
	for (unsigned int i = 0; i < FIB_CNT_MAX; i++) {
		uint64_t more = after->packets[i] - before->packets[i];

		if (more)
			out->counter = i;
		out->counted += (unsigned int)more;
	}
	out->nexthop = NEXTHOP_NONE;
	out->nexthop_packets = 0;
	out->nexthop_bytes = 0;
	for (uint32_t n = 0; n < nexthops; n++) {
		uint64_t more = after->nexthop[n].packets - before->nexthop[n].packets;

		if (more)
			out->nexthop = n;
		out->nexthop_packets += (unsigned int)more;
		out->nexthop_bytes += after->nexthop[n].bytes - before->nexthop[n].bytes;
	}
}

static void kernel_counts(struct counts *counts)
{
	datapath_counters(bed.datapath, counts->packets);
	for (uint32_t n = 0; n < nexthops; n++)
		datapath_nexthop_counters(bed.datapath, n, &counts->nexthop[n]);
}

bool run_kernel(const struct packet_in *in, struct packet_out *out)
{
	struct __sk_buff skb = {
		.ifindex = in->from->ifindex,
		.gso_size = in->gso_size,
		.gso_segs = in->gso_size ? 2 : 0,
	};
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = in->data,
		    .data_size_in = (uint32_t)in->len, .data_out = out->data,
		    .data_size_out = sizeof(out->data), .ctx_in = &skb, .ctx_size_in = sizeof(skb),
		    .repeat = 1);
	static struct counts before, after;
	int err;

	kernel_counts(&before);
	err = bpf_prog_test_run_opts(datapath_program_fd(bed.datapath), &options);
	/* newer kernels refuse what is shorter than its network header */
	if (err == -EINVAL && in->len < ETHER_HEADER + (in->protocol == ETH_P_IP ? 20 : 40))
		return false;
	must(!err, "%zu bytes cannot be run: %s", in->len, strerror(-err));
	kernel_counts(&after);
	out->action = (int)options.retval;
	out->len = options.data_size_out;
	counts_compare(&before, &after, out);
	return true;
}

void run_native(const struct packet_in *in, struct packet_out *out)
{
	struct __sk_buff skb = {
		.ifindex = in->from->ifindex,
		.gso_size = in->gso_size,
		.protocol = htons(in->protocol),
		.pkt_type = in->pkt_type,
		.vlan_present = in->vlan,
	};
	static const struct counts none;
	static struct counts counts;

	memset(native_counters, 0, sizeof(*native_counters));
	memset(native_nexthop_counters, 0, nexthops * sizeof(*native_nexthop_counters));
	memcpy(out->data, in->data, in->len);
	out->action = program_run(&skb, out->data, in->len, in->linear, &out->effects);
	out->len = out->effects.len;
	memcpy(counts.packets, native_counters->packets, sizeof(counts.packets));
	memcpy(counts.nexthop, native_nexthop_counters, nexthops * sizeof(*counts.nexthop));
	counts_compare(&none, &counts, out);
}

void run_open(void)
{
	struct dplane_ebpf_bpf *skel = bed.datapath->skel;
	const char *missing;
	struct bpf_map *map;

	bpf_object__for_each_map(map, skel->obj)
	{
		const uint32_t zero = 0;
		void *memory;

		if (bpf_map__type(map) != BPF_MAP_TYPE_ARRAY)
			continue;
		memory = malloc(bpf_map__value_size(map));
		must(memory && !bpf_map_lookup_elem(bpf_map__fd(map), &zero, memory), "map %s",
		     bpf_map__name(map));
		if (!program_map(bpf_map__name(map), memory))
			free(memory);
		else if (map == skel->maps.counters)
			native_counters = memory;
		else if (map == skel->maps.nexthop_counters)
			native_nexthop_counters = memory;
	}
	must(!program_map_missing(&missing), "no map %s", missing);
	program_bounds(&skel->rodata->bounds, sizeof(skel->rodata->bounds));
	nexthops = tables_nexthops();
	must(nexthops <= NEXTHOPS_MAX, "%u next hops", nexthops);
}
