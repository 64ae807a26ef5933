/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Counting: each CPU has rows of its own, so plain additions do. */
#ifndef BPF_COUNTERS_H
#define BPF_COUNTERS_H

#include "bpf/maps.h"

static __always_inline void count(enum fib_counter counter)
{
	struct fib_cpu_counters *rows = array_of(&counters);

	if (rows)
		rows[MASK(bpf_get_smp_processor_id(), bounds.cpu)].packets[counter]++;
}

static __always_inline void count_nexthop(__u32 nexthop, __u32 bytes)
{
	struct fib_nexthop_counters *rows = array_of(&nexthop_counters);
	__u64 row = bpf_get_smp_processor_id();

	if (!rows)
		return;
	row = MASK(row * (bounds.nexthop + 1) + nexthop, bounds.nexthop_counter);
	rows[row].packets++;
	rows[row].bytes += bytes;
}

#endif /* BPF_COUNTERS_H */
