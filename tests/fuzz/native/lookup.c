// SPDX-License-Identifier: GPL-2.0-or-later
/* The program's lookups, built to run here, that stop before each word. */
#include "tests/fuzz/native/native.h"
#include "tests/fuzz/native/lookup.h"

static void (*pause_here)(void);

#undef READ_ONCE
#define READ_ONCE(x) \
	({ \
		if (pause_here) \
			pause_here(); \
		*(const volatile typeof(x) *)&(x); \
	})

#include "bpf/nexthop.h"
#include "bpf/vrf.h"

static struct fib_memory tables;

void *bpf_map_lookup_elem(void *map, const void *key)
{
	return map == &fib_header    ? (void *)tables.header
	       : map == &fib4_root   ? (void *)tables.v4_root
	       : map == &fib4_low    ? (void *)tables.v4_low
	       : map == &fib6_root   ? (void *)tables.v6_root
	       : map == &fib_node    ? (void *)tables.node
	       : map == &fib_group   ? (void *)tables.group
	       : map == &fib_slot    ? (void *)tables.slot
	       : map == &fib_nexthop ? (void *)tables.nexthop
				     : NULL;
}

/* no packet is there to be looked into */
long bpf_skb_load_bytes(const void *skb, __u32 offset, void *to, __u32 len)
{
	return -14;
}

void reader_open(const struct fib_memory *memory, const struct fib_geometry *geometry)
{
	struct {
		typeof(bounds.node) node, v4_low, group, slot, nexthop, cpu, nexthop_counter;
	} from = {
		.node = 2ull * geometry->node_bytes - 1,
		.v4_low = (__u64)geometry->v4_low_blocks * FIB4_LOW_SIZE - 1,
		.group = geometry->groups - 1,
		.slot = geometry->slots - 1,
		.nexthop = geometry->nexthops - 1,
	};

	_Static_assert(sizeof(from) == sizeof(bounds), "the program's constants");
	tables = *memory;
	bounds_fill(&from);
}

uint32_t reader_lookup(const struct fib_prefix *addr, void (*pause)(void))
{
	struct in6_addr addr6;
	__u32 group, addr4;

	__builtin_memcpy(&addr4, addr->addr, sizeof(addr4));
	__builtin_memcpy(&addr6, addr->addr, sizeof(addr6));
	addr4 = bpf_ntohl(addr4);
	pause_here = pause;
	if (addr->table && addr->family == AF_INET)
		group = vrf_lookup(addr->table, (__u64)addr4 << 32, 0, false);
	else if (addr->table)
		group = vrf_lookup(addr->table, ipv6_half(&addr6, 0), ipv6_half(&addr6, 1), true);
	else if (addr->family == AF_INET)
		group = fib4_lookup(addr4);
	else
		group = fib6_lookup(&addr6);
	pause_here = NULL;
	return group;
}

uint32_t reader_nexthop(uint32_t group, uint32_t flow, void (*pause)(void))
{
	const __u64 *groups = array_of(&fib_group);
	const struct iphdr ip = {.saddr = flow};
	const struct packet p = {0};
	__u64 desc;
	__u32 number = 0;

	pause_here = pause;
	desc = READ_ONCE(groups[MASK(group, bounds.group)]);
	if (desc & FIB_DESC_VALID)
		group_nexthop(&p, desc, &ip, false, &number);
	pause_here = NULL;
	return number;
}
