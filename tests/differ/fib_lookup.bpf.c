// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The second witness: what bpf_fib_lookup() says of a packet. It is the kernel's own function too, but reads the FIB by
 * another way than RTM_GETROUTE, and has the MAC addresses that the kernel would write.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

/* In: the question. Out: the answer. */
struct bpf_fib_lookup question;
/* BPF_FIB_LKUP_RET_*, or a negative errno */
long outcome;

SEC("tc")
int fib_lookup(struct __sk_buff *skb)
{
	outcome = bpf_fib_lookup(skb, &question, sizeof(question), 0);
	return TC_ACT_OK;
}

char LICENSE[] SEC("license") = "GPL";
