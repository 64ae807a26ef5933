// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Bits that others flip in the shared arrays, between random changes. Nothing is believed that is read back: no access beyond an
 * array (which the sanitizer sees, as the arrays stand in memory of their own), no prefix that was right goes
 * wrong, all that is wrong is found, and writing it again mends it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/fib/fixture.h"

/* Fewer next hops than a slot's bits could name. */
static const struct fib_geometry geometry = {
	.v4_low_blocks = 64,
	.node_bytes = 1u << 16,
	.groups = 64,
	.slots = 1u << 14,
	.nexthops = 64,
	.neighbours = 1,
	.cpus = 1,
};

#define ROUNDS 30u
#define CHANGES 30u
#define FLIPS_MAX 6u
#define PREFIXES 400u
#define GROUPS 8u
#define KERNEL_TABLE 1000u

/* Where a table is 0 the main one, and 1 the VRF's. */
static struct {
	struct fib_prefix prefix[PREFIXES];
	bool right[PREFIXES]; /* before the last changes */
	size_t n;
	struct reference *routes[2];
	uint16_t vrf;
	uint32_t group[GROUPS];
} all;

static struct reference *routes_of(const struct fib_prefix *prefix)
{
	return all.routes[prefix->table != 0];
}

static void *array(enum fib_array which)
{
	void *memory_of_it = calloc(1, fib_array_size(which, &geometry));

	ck_assert_ptr_nonnull(memory_of_it);
	return memory_of_it;
}

static void open_all(void)
{
	memory = (struct fib_memory){
		.header = array(FIB_ARRAY_HEADER),
		.v4_root = array(FIB_ARRAY_V4_ROOT),
		.v4_low = array(FIB_ARRAY_V4_LOW),
		.v6_root = array(FIB_ARRAY_V6_ROOT),
		.node = array(FIB_ARRAY_NODE),
		.group = array(FIB_ARRAY_GROUP),
		.slot = array(FIB_ARRAY_SLOT),
		.nexthop = array(FIB_ARRAY_NEXTHOP),
	};
	fib = fib_new(&memory, &geometry);
	ck_assert_ptr_nonnull(fib);
	ck_assert_int_eq(fib_table_open(fib, KERNEL_TABLE, &all.vrf), 0);
	all.routes[0] = reference_new();
	all.routes[1] = reference_new();
	all.n = 0;
	for (uint32_t i = 0; i < GROUPS; i++)
		all.group[i] = group_one(i);
}

static void close_all(void)
{
	fib_free(fib);
	free(memory.header);
	free(memory.v4_root);
	free(memory.v4_low);
	free(memory.v6_root);
	free(memory.node);
	free(memory.group);
	free(memory.slot);
	free(memory.nexthop);
	reference_free(all.routes[0]);
	reference_free(all.routes[1]);
}

/* ---- changes ---- */

/* Few blocks of addresses, so that nodes have many prefixes. */
static struct fib_prefix some_prefix(void)
{
	struct fib_prefix prefix = {.family = random_below(2) ? AF_INET6 : AF_INET};
	unsigned int width = prefix.family == AF_INET ? 32 : 128, len;

	prefix.table = random_below(2) ? all.vrf : 0;
	if (prefix.family == AF_INET) {
		prefix.addr[0] = 10;
		prefix.addr[1] = (uint8_t)random_below(2);
		prefix.addr[2] = (uint8_t)random_below(128);
		prefix.addr[3] = (uint8_t)random32();
		len = random_below(8) ? 14 + random_below(19) : 1 + random_below(14);
	} else {
		prefix.addr[0] = random_below(8) ? 0x20 : 0xfc;
		prefix.addr[1] = 1;
		for (unsigned int i = 2; i < 16; i++)
			prefix.addr[i] = (uint8_t)random_below(i < 4 ? 2 : 8) << (i % 6);
		len = random_below(8) ? 16 + random_below(49) : 8 + random_below(121);
	}
	prefix.len = (uint8_t)(len > width ? width : len);
	for (unsigned int bit = prefix.len; bit < 128; bit++)
		prefix.addr[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
	return prefix;
}

static size_t known(const struct fib_prefix *prefix)
{
	size_t i = 0;

	while (i < all.n && memcmp(&all.prefix[i], prefix, sizeof(*prefix)) != 0)
		i++;
	return i;
}

static void change_group(void)
{
	struct fib_member members[4];
	uint32_t i = random_below(GROUPS), n = 1 + random_below(4);

	for (uint32_t k = 0; k < n; k++)
		members[k] = member_of(random_below(12), 1 + random_below(3));
	ck_assert_int_eq(fib_group_set(fib, &all.group[i], members, n), 0);
	if (random_below(2) && nexthop_of(i))
		set_down(i, random_below(2));
}

/* Addresses of a prefix that comes or goes, damaged or not, are another's from then on: of one that covers it. */
static void ask_no_more(const struct fib_prefix *prefix)
{
	for (size_t i = 0; i < all.n; i++) {
		const struct fib_prefix *other = &all.prefix[i];
		bool covers = other->table == prefix->table && other->family == prefix->family &&
			      other->len <= prefix->len;

		for (unsigned int bit = 0; covers && bit < other->len; bit++)
			covers = !((other->addr[bit / 8] ^ prefix->addr[bit / 8]) &
				   (0x80 >> bit % 8));
		if (covers)
			all.right[i] = false;
	}
}

static void change(void)
{
	struct fib_prefix prefix = some_prefix();
	uint32_t group = all.group[random_below(GROUPS)];
	size_t i = known(&prefix);

	if (!random_below(20))
		change_group();
	if (all.n > PREFIXES / 2 && random_below(2)) {
		i = random_below((uint32_t)all.n);
		prefix = all.prefix[i];
		ask_no_more(&prefix);
		ck_assert_int_eq(fib_route_del(fib, &prefix), 0);
		reference_set(routes_of(&prefix), &prefix, 0);
		all.prefix[i] = all.prefix[--all.n];
		all.right[i] = all.right[all.n];
		return;
	}
	if (all.n == PREFIXES && i == all.n)
		return;
	ask_no_more(&prefix);
	ck_assert_int_eq(fib_route_set(fib, &prefix, group), 0);
	reference_set(routes_of(&prefix), &prefix, group);
	all.prefix[i] = prefix;
	all.right[i] = false;
	all.n += i == all.n;
}

static void changes(void)
{
	for (unsigned int i = 0; i < CHANGES; i++)
		change();
	if (random_below(2))
		reclaim();
	if (!random_below(3))
		fib_compact(fib, true);
}

/* ---- damage ---- */

static void flip(void *words, size_t size)
{
	size_t bit = ((size_t)random32() << 8 | random_below(256)) % (size * 8);

	((uint8_t *)words)[bit / 8] ^= (uint8_t)(1u << bit % 8);
}

static void damage(void)
{
	struct fib_prefix prefix = some_prefix();
	struct fib_stats stats;

	fib_stats(fib, &stats);
	switch (random_below(9)) {
	case 0:
	case 1: /* nodes fill one of the halves from its beginning on */
		flip(memory.node, stats.node_extent);
		break;
	case 2:
		flip(memory.node + geometry.node_bytes, stats.node_extent);
		break;
	case 3: /* of both, words that are in use and any */
		flip(&memory.v4_root[random_below(2) ? 10u << 10 : 0],
		     random_below(2) ? 16 * sizeof(uint32_t)
				     : (FIB4_ROOT_SIZE - (10u << 10)) * sizeof(uint32_t));
		if (prefix.family == AF_INET6 && prefix.addr[0] == 0x20)
			flip(&memory.v6_root[prefix.addr[1] << 8 | prefix.addr[2]],
			     sizeof(uint32_t));
		break;
	case 4:
		flip(memory.v6_root, fib_array_size(FIB_ARRAY_V6_ROOT, &geometry));
		break;
	case 5:
		flip(memory.v4_low, stats.v4_low.used ? stats.v4_low.used : 1);
		break;
	case 6:
		flip(memory.group, fib_array_size(FIB_ARRAY_GROUP, &geometry));
		flip(memory.slot, 2048);
		break;
	case 7:
		flip(memory.nexthop, 16 * sizeof(*memory.nexthop));
		break;
	case 8:
		flip(&memory.header->table[random_below(2) ? all.vrf : 0],
		     sizeof(memory.header->table[0]));
		flip(&memory.header->kernel_table[all.vrf], sizeof(uint32_t));
		break;
	}
}

/* ---- what is wrong ---- */

static uint32_t wanted_of(const struct fib_prefix *host, struct fib_prefix *found)
{
	return reference_lookup(routes_of(host), host->family, host->addr, host->len, found);
}

/* An address in a prefix: the first, the last or any. */
static struct fib_prefix host_in(const struct fib_prefix *prefix, unsigned int which)
{
	struct fib_prefix host = *prefix;

	host.len = prefix->family == AF_INET ? 32 : 128;
	for (unsigned int bit = prefix->len; bit < host.len; bit++) {
		if (which == 1 || (which == 2 && random_below(2)))
			host.addr[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
	}
	return host;
}

/* Wrong answers for an address must be told of its prefix. */
static void check_told(const struct fib_prefix *host)
{
	struct fib_prefix found;
	uint32_t wanted = wanted_of(host, &found);

	if (fib_lookup(fib, host->table, host->family, host->addr) == wanted)
		return;
	found.table = host->table;
	found.family = host->family;
	ck_assert_int_eq(fib_route_verify(fib, &found), -EBADMSG);
}

static void check_right(const struct fib_prefix *host)
{
	struct fib_prefix found;

	ck_assert_uint_eq(fib_lookup(fib, host->table, host->family, host->addr),
			  wanted_of(host, &found));
}

static void each_address(void (*check)(const struct fib_prefix *host))
{
	struct fib_prefix host;

	for (size_t i = 0; i < all.n; i++) {
		for (unsigned int which = 0; which < 3; which++) {
			host = host_in(&all.prefix[i], which);
			check(&host);
		}
	}
	for (unsigned int i = 0; i < 300; i++) {
		host = some_prefix();
		host = host_in(&host, 2);
		check(&host);
	}
}

static void mend(const struct fib_prefix *prefix)
{
	int err = fib_route_verify(fib, prefix);

	if (err != -EBADMSG)
		return;
	ck_assert_int_ne(fib_route_rewrite(fib, prefix), -EINVAL);
}

static void mend_all(void)
{
	for (size_t i = 0; i < all.n; i++)
		mend(&all.prefix[i]);
	/* what no prefix has: the defaults' places tell it, with a route there or without */
	for (unsigned int i = 0; i < 4; i++) {
		struct fib_prefix none = {.family = i % 2 ? AF_INET6 : AF_INET,
					  .table = i / 2 ? all.vrf : 0};

		mend(&none);
		ck_assert_int_eq(fib_route_verify(fib, &none), -ENOENT);
	}
	for (unsigned int i = 0; i < GROUPS; i++) {
		if (fib_group_verify(fib, all.group[i]) == -EBADMSG)
			ck_assert_int_eq(fib_group_rewrite(fib, all.group[i]), 0);
	}
}

static void check_all_right(void)
{
	for (size_t i = 0; i < all.n; i++)
		ck_assert_int_eq(fib_route_verify(fib, &all.prefix[i]), 0);
	for (unsigned int i = 0; i < GROUPS; i++)
		ck_assert_int_eq(fib_group_verify(fib, all.group[i]), 0);
	ck_assert_uint_eq(memory.header->kernel_table[all.vrf], KERNEL_TABLE);
	each_address(check_right);
}

START_TEST(flipped_bits)
{
	random_start(_i);
	open_all();
	for (unsigned int round = 0; round < ROUNDS; round++) {
		changes();
		check_all_right();
		for (uint32_t left = 1 + random_below(FLIPS_MAX); left; left--)
			damage();
		each_address(check_told);
		for (size_t i = 0; i < all.n; i++)
			all.right[i] = fib_route_verify(fib, &all.prefix[i]) == 0;
		changes();
		for (size_t i = 0; i < all.n; i++) {
			if (all.right[i])
				ck_assert_int_eq(fib_route_verify(fib, &all.prefix[i]), 0);
		}
		mend_all();
		check_all_right();
	}
	close_all();
}
END_TEST

TCase *damage_case(void)
{
	TCase *tc = tcase_create("damage");

	tcase_set_timeout(tc, 300);
	tcase_add_loop_test(tc, flipped_bits, 0, 3);
	return tc;
}
