/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Between testrun.c and lookup.bpf.c: the addresses to look up. */
#ifndef BENCH_LOOKUP_H
#define BENCH_LOOKUP_H

#include <linux/types.h>

#define BENCH_LOOKUPS 65536u

/* IPv4 in the first word, in host byte order; IPv6 in network byte order. */
struct bench_addresses {
	__u32 addr[BENCH_LOOKUPS][4];
};

#endif /* BENCH_LOOKUP_H */
