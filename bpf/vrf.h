/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Longest prefix match in the table of a VRF, or in the kernel's local one. */
#ifndef BPF_VRF_H
#define BPF_VRF_H

#include "bpf/lookup.h"

/*
 * IPv4 addresses stand in the upper half of high. A function of its own: what is
 * looked up in the main table should not have to carry it.
 */
static __noinline __u32 vrf_lookup(__u32 table, __u64 high, __u64 low, bool v6)
{
	const struct fib_header *header = array_of(&fib_header);
	__u64 number = MASK(table, FIB_MAX_TABLES - 1);
	__u32 value;

	if (!header)
		return LOOKUP_BROKEN;
	value = v6 ? READ_ONCE(header->table[number].v6_root)
		   : READ_ONCE(header->table[number].v4_root);
	value = byte_walk(value, high, low, v6 ? 16 : 4);
	return group_or_default(value, number, v6);
}

#endif /* BPF_VRF_H */
