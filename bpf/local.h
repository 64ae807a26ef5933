/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is the router's own as an IPv4 source: nobody outside may speak with it (fib_validate_source() of the kernel). */
#ifndef BPF_LOCAL_H
#define BPF_LOCAL_H

#include "bpf/vrf.h"

/* saddr as the packet has it. */
static __always_inline bool own_address(const struct fib_header *header, __u32 saddr)
{
	__u64 bit = FIB_OWN_BIT(saddr);

	if (!unlikely(READ_ONCE(header->own[MASK(bit >> 6, FIB_OWN_WORDS - 1)]) >> (bit & 63) & 1))
		return false;
	return READ_ONCE(header->own_unlisted) || bpf_map_lookup_elem(&own_addresses, &saddr);
}

/*
 * Would the kernel take the source for its own? Where its rules, or what stands in its local table, are not only what it
 * makes by itself, it looks the source up as a destination: all that is local counts then, broadcast addresses too.
 */
static __always_inline bool own_source4(const struct fib_header *header, __u64 interface,
					__u32 saddr)
{
	__u64 high = (__u64)bpf_ntohl(saddr) << 32;
	__u32 table = FIB_IF_TABLE(interface);

	if (own_address(header, saddr))
		return true;
	if (!unlikely(interface & FIB_IF_LOCAL))
		return false;
	return vrf_lookup(FIB_TABLE_LOCAL, high, 0, false) == FIB_GROUP_LOCAL ||
	       (table && vrf_lookup(table, high, 0, false) == FIB_GROUP_LOCAL);
}

#endif /* BPF_LOCAL_H */
