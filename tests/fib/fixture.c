// SPDX-License-Identifier: GPL-2.0-or-later
/* Tables of two sizes, random numbers that can be repeated, and what saves lines in the tests. */
#include "tests/fib/fixture.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct fib_geometry geometry_full = {
	.v4_low_blocks = 1u << 15,
	.node_bytes = 1u << 25,
	.groups = 1u << 15,
	.slots = 1u << 20,
	.nexthops = 1u << 12,
	.neighbours = 1,
	.cpus = 1,
};

const struct fib_geometry geometry_tiny = {
	.v4_low_blocks = 16,
	.node_bytes = 4096,
	.groups = 256,
	.slots = 512,
	.nexthops = 256,
	.neighbours = 1,
	.cpus = 1,
};

struct fib_memory memory;
struct fib *fib;
uint64_t test_seed = 20261123;
static uint64_t random_state;

void fixture_open(const struct fib_geometry *geometry)
{
	ck_assert_int_eq(fib_memory_alloc(&memory, geometry), 0);
	fib = fib_new(&memory, geometry);
	ck_assert_ptr_nonnull(fib);
}

void fixture_close(void)
{
	fib_free(fib);
	fib_memory_free(&memory);
}

void random_start(uint64_t salt)
{
	random_state = test_seed * 0x9e3779b97f4a7c15ull + salt;
}

uint32_t random32(void)
{
	uint64_t z = random_state += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return (uint32_t)(z >> 32);
}

uint32_t random_below(uint32_t n)
{
	return random32() % n;
}

struct fib_prefix prefix_of(const char *text)
{
	char address[64];
	const char *slash = strchr(text, '/');
	struct fib_prefix prefix = {.family = strchr(text, ':') ? AF_INET6 : AF_INET};

	snprintf(address, sizeof(address), "%.*s", slash ? (int)(slash - text) : 63, text);
	ck_assert_int_eq(inet_pton(prefix.family, address, prefix.addr), 1);
	prefix.len = (uint8_t)(slash ? atoi(slash + 1) : prefix.family == AF_INET ? 32 : 128);
	return prefix;
}

void route_set(const char *text, uint32_t group)
{
	struct fib_prefix prefix = prefix_of(text);

	ck_assert_int_eq(fib_route_set(fib, &prefix, group), 0);
}

void route_del(const char *text)
{
	struct fib_prefix prefix = prefix_of(text);

	ck_assert_int_eq(fib_route_del(fib, &prefix), 0);
}

uint32_t lookup(const char *address)
{
	struct fib_prefix prefix = prefix_of(address);

	return fib_lookup(fib, 0, prefix.family, prefix.addr);
}

struct fib_member member_of(uint32_t n, uint32_t weight)
{
	struct fib_member member = {
		.nexthop = {.ifindex = 1 + n % 7, .family = AF_INET},
		.weight = weight,
	};

	memcpy(member.nexthop.gate, &n, sizeof(n));
	return member;
}

uint32_t group_one(uint32_t n)
{
	struct fib_member member = member_of(n, 1);
	uint32_t group = 0;

	ck_assert_int_eq(fib_group_set(fib, &group, &member, 1), 0);
	ck_assert_uint_ge(group, FIB_GROUP_FIRST);
	return group;
}

void reclaim(void)
{
	fib_reclaim_end(fib, fib_reclaim_begin(fib));
}

void ck_no_leaks(void)
{
	struct fib_stats stats;

	reclaim();
	fib_stats(fib, &stats);
	ck_assert_uint_eq(stats.v4_routes + stats.v6_routes + stats.locals, 0);
	ck_assert_uint_eq(stats.node.used + stats.node.retired, 0);
	ck_assert_uint_eq(stats.v4_node_bytes + stats.v6_node_bytes, 0);
	ck_assert_uint_eq(stats.v4_low.used + stats.v4_low.retired, 0);
	ck_assert_uint_eq(stats.v4_overflow + stats.v6_overflow, 0);
	ck_assert_uint_eq(stats.groups, 0);
	ck_assert_uint_eq(stats.nexthops, 0);
	ck_assert_uint_eq(stats.slots, 0);
}

uint32_t slots_read(uint32_t group, uint16_t *slots)
{
	uint64_t desc = memory.group[group];
	uint32_t n = FIB_DESC_MASK(desc) + 1;

	if (!(desc & FIB_DESC_VALID))
		return 0;
	for (uint32_t i = 0; i < n; i++)
		slots[i] = memory.slot[FIB_DESC_OFFSET(desc) + i];
	return n;
}

uint32_t slots_count(const uint16_t *slots, uint32_t n, uint32_t nexthop)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i < n; i++)
		sum += slots[i] == nexthop;
	return sum;
}

uint32_t nexthop_of(uint32_t n)
{
	struct fib_nexthop_info info;
	struct fib_member member = member_of(n, 1);

	for (uint32_t i = 0; (i = fib_nexthop_next(fib, i + 1)) != 0;) {
		ck_assert_int_eq(fib_nexthop_get(fib, i, &info), 0);
		if (!memcmp(info.key.gate, member.nexthop.gate, 4))
			return i;
	}
	return 0;
}

void set_down(uint32_t n, bool down)
{
	struct fib_member member = member_of(n, 1);
	struct fib_adjacency adjacency = {.down = down, .action = FIB_NH_RESOLVE, .mtu = 1500};

	ck_assert_int_eq(fib_nexthop_resolve(fib, nexthop_of(n), &member.nexthop, &adjacency), 0);
}
