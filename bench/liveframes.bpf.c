// SPDX-License-Identifier: GPL-2.0-or-later
/* Where the frames come from and where they end: XDP programs of the measuring programs. */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <stddef.h>
#include <bpf/bpf_helpers.h>

#include "bench/frames.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct frames_list);
} destinations SEC(".maps");

struct frames_control control;
struct frames_sink sink;

/* The next place in the list. A page comes back with what the router made of it: all headers are written. */
static __always_inline __u64 write_head(__u64 *to)
{
	__u64 place = control.position++ & control.mask;

	for (__u32 i = 0; i < FRAMES_HEAD / 8; i++)
		to[i] = control.head[i];
	return place & (FRAMES_LIST - 1);
}

static __always_inline int send(void)
{
	if (!control.task)
		control.task = bpf_get_current_task();
	return control.redirect ? bpf_redirect(control.redirect, 0) : XDP_PASS;
}

SEC("xdp")
int send4(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	const __u32 zero = 0;
	struct frames_list *list = bpf_map_lookup_elem(&destinations, &zero);
	struct iphdr *ip = data + ETH_HLEN;
	__u32 addr, sum;

	if (!list || data + FRAMES_HEAD > end)
		return XDP_ABORTED;
	addr = list->v4[write_head(data)];
	sum = control.sum + (addr & 0xffff) + (addr >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	ip->check = ~sum;
	ip->daddr = addr;
	return send();
}

SEC("xdp")
int send6(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	const __u32 zero = 0;
	struct frames_list *list = bpf_map_lookup_elem(&destinations, &zero);
	__u64 *daddr = data + ETH_HLEN + offsetof(struct ipv6hdr, daddr), place;

	if (!list || data + FRAMES_HEAD > end)
		return XDP_ABORTED;
	place = write_head(data);
	daddr[0] = list->v6[place][0];
	daddr[1] = list->v6[place][1];
	return send();
}

static __always_inline void arrive(const __u64 *head, const void *end, __u32 length)
{
	if (!(sink.frames++ & 63)) {
		sink.asked++;
		sink.own += bpf_get_current_task() == control.task;
	}
	if (!sink.record || (void *)head + FRAMES_HEAD > end)
		return;
	for (__u32 i = 0; i < FRAMES_HEAD / 8; i++)
		sink.head[i] = head[i];
	sink.length = length;
}

SEC("xdp")
int sink_xdp(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;

	arrive(data, end, end - data);
	return XDP_DROP;
}

SEC("tc")
int sink_tc(struct __sk_buff *skb)
{
	arrive((void *)(long)skb->data, (void *)(long)skb->data_end, skb->len);
	return TC_ACT_SHOT;
}

char LICENSE[] SEC("license") = "GPL";
