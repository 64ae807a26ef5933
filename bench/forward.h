/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Between forward.c and forward.bpf.c. */
#ifndef BENCH_FORWARD_H
#define BENCH_FORWARD_H

#include <linux/types.h>

#define FORWARD_NEXTHOPS 64u

/* What an LPM_TRIE's value stands for. */
struct forward_nexthop {
	__u32 ifindex;
	__u8 dst[6], src[6];
};

struct forward_state {
	struct forward_nexthop nexthop[FORWARD_NEXTHOPS];
	__u64 given_up; /* frames that a program left to the kernel */
};

#endif /* BENCH_FORWARD_H */
