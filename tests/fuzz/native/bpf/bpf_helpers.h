/* SPDX-License-Identifier: GPL-2.0-or-later */
/* In place of libbpf's header where the program's source runs in a process: the helpers are its functions. */
#ifndef TESTS_FUZZ_NATIVE_BPF_HELPERS_H
#define TESTS_FUZZ_NATIVE_BPF_HELPERS_H

#include <stddef.h>
#include <linux/bpf.h>
#include <linux/stddef.h>
#include <linux/types.h>

#define SEC(name)
#define __uint(name, value) int(*name)[value]
#define __type(name, value) typeof(value) *name
#define __noinline __attribute__((noinline))

/* libbpf has a function of this name */
#define bpf_map_lookup_elem native_map_lookup_elem
void *bpf_map_lookup_elem(void *map, const void *key);
__u64 bpf_ktime_get_coarse_ns(void);
__u32 bpf_get_smp_processor_id(void);
long bpf_skb_pull_data(struct __sk_buff *skb, __u32 len);
long bpf_skb_load_bytes(const void *skb, __u32 offset, void *to, __u32 len);
long bpf_skb_change_tail(struct __sk_buff *skb, __u32 len, __u64 flags);
long bpf_csum_update(struct __sk_buff *skb, __u32 sum);
long bpf_redirect(__u32 ifindex, __u64 flags);
long bpf_redirect_neigh(__u32 ifindex, struct bpf_redir_neigh *to, int len, __u64 flags);

#endif /* TESTS_FUZZ_NATIVE_BPF_HELPERS_H */
