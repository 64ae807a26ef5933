/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The maps, and the bounds of their indices. User space sets value sizes and
 * bounds from the geometry before it loads the program.
 */
#ifndef BPF_MAPS_H
#define BPF_MAPS_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "bpf/layout.h"

/* One element that user space maps. The value's size is a placeholder where it depends on the geometry. */
#define FIB_ARRAY(name, size) \
	struct { \
		__uint(type, BPF_MAP_TYPE_ARRAY); \
		__uint(map_flags, BPF_F_MMAPABLE); \
		__uint(max_entries, 1); \
		__uint(key_size, sizeof(__u32)); \
		__uint(value_size, size); \
	} name SEC(".maps")

FIB_ARRAY(fib_header, sizeof(struct fib_header));
FIB_ARRAY(fib4_root, FIB4_ROOT_SIZE * sizeof(__u32));
FIB_ARRAY(fib4_low, sizeof(__u64));
FIB_ARRAY(fib6_root, (FIB6_ROOT_SIZE + FIB6_OUTER_SIZE) * sizeof(__u32));
FIB_ARRAY(fib_node, sizeof(__u64));
FIB_ARRAY(fib_group, sizeof(__u64));
FIB_ARRAY(fib_slot, sizeof(__u64));
FIB_ARRAY(fib_nexthop, sizeof(struct fib_nexthop));
FIB_ARRAY(interfaces, FIB_MAX_INTERFACES * sizeof(__u64));
FIB_ARRAY(counters, sizeof(struct fib_cpu_counters));
FIB_ARRAY(nexthop_counters, sizeof(struct fib_nexthop_counters));

/* Most routers have few such hosts: each takes its memory when it comes. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1);
	__type(key, struct fib_neigh_key);
	__type(value, __u8);
} neighbours SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, FIB_MAX_OWN);
	__type(key, __u32);
	__type(value, __u8);
} own_addresses SEC(".maps");

/* Number of elements less one, a power of two less one; fib_node's is in bytes. */
const volatile struct {
	__u64 node;
	__u64 v4_low;
	__u64 group;
	__u64 slot;
	__u64 nexthop;
	__u64 cpu;
	__u64 nexthop_counter;
} bounds;

/* What makes this router's choice among the members of a group another than its neighbours': any number, well mixed. */
const volatile __u64 flow_seed;

/*
 * Bound an index where the verifier can see it and the compiler cannot take it away. In 64 bits, and as the last
 * step: Linux 6.1 forgets the bounds of what is computed in 32.
 */
#define MASK(index, mask) \
	({ \
		__u64 bounded__ = (index); \
		__u64 mask__ = (mask); \
		asm volatile("%0 &= %1" : "+r"(bounded__) : "r"(mask__)); \
		bounded__; \
	})

/* Moves what is rare out of the way of the rest. */
#define unlikely(x) __builtin_expect(!!(x), 0)

#define READ_ONCE(x) (*(const volatile typeof(x) *)&(x))

/* The array behind a map of one element. Never NULL, but the verifier wants to see it tested. */
static __always_inline void *array_of(void *map)
{
	const __u32 zero = 0;

	return bpf_map_lookup_elem(map, &zero);
}

#endif /* BPF_MAPS_H */
