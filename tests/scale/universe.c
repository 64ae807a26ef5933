// SPDX-License-Identifier: GPL-2.0-or-later
/* Every prefix that is ever announced, and addresses in and around them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/scale/scale.h"

typedef unsigned __int128 number;

static unsigned int bits_of(uint8_t family)
{
	return family == AF_INET ? 32 : 128;
}

static number to_number(uint8_t family, const uint8_t *addr)
{
	number value = 0;

	for (unsigned int i = 0; i < bits_of(family) / 8; i++)
		value = value << 8 | addr[i];
	return value;
}

static void to_address(uint8_t family, number value, uint8_t addr[16])
{
	memset(addr, 0, 16);
	for (unsigned int i = bits_of(family) / 8; i-- > 0; value >>= 8)
		addr[i] = (uint8_t)value;
}

static number host_mask(uint8_t family, unsigned int len)
{
	unsigned int host = bits_of(family) - len;

	return host >= 128 ? ~(number)0 : ((number)1 << host) - 1;
}

static number random_number(uint64_t *seed)
{
	number high = bench_random(seed);

	return high << 64 | bench_random(seed);
}

bool prefix_covers(const struct fib_prefix *prefix, const uint8_t *addr)
{
	number differs = to_number(prefix->family, prefix->addr) ^ to_number(prefix->family, addr);

	return !(differs & ~host_mask(prefix->family, prefix->len));
}

/*
 * Connected networks, and what a router never looks up a route for: loopback, link-local,
 * multicast. There the kernel has routes of its own.
 */
static const struct fib_prefix special[] = {
	{.family = AF_INET, .len = 24, .addr = {198, 18, 0}},
	{.family = AF_INET, .len = 24, .addr = {198, 19, 0}},
	{.family = AF_INET, .len = 8, .addr = {127}},
	{.family = AF_INET, .len = 4, .addr = {224}},
	{.family = AF_INET6, .len = 48, .addr = {0x20, 0x01, 0, 2}},
	{.family = AF_INET6, .len = 10, .addr = {0xfe, 0x80}},
	{.family = AF_INET6, .len = 8, .addr = {0xff}},
	{.family = AF_INET6, .len = 96},
};

static bool is_special(uint8_t family, const uint8_t *addr)
{
	for (size_t i = 0; i < sizeof(special) / sizeof(special[0]); i++) {
		if (special[i].family == family && prefix_covers(&special[i], addr))
			return true;
	}
	return false;
}

/*
 * A prefix near those of the table: within one or around one, as operators announce them; a
 * few of any length within, and fewer around very many. More than a few below /24 and /64 is
 * what no Internet table has, and our tables have no room for.
 */
static unsigned int extra_length(const struct fib_prefix *near, uint64_t *seed)
{
	unsigned int bits = bits_of(near->family), usual = near->family == AF_INET ? 24 : 64;
	uint64_t kind = bench_random(seed) % 1000, chance = bench_random(seed);

	if (kind < 5)
		return chance % 8;
	if (kind < 25 && near->len < bits)
		return near->len + 1 + chance % (bits - near->len);
	if (kind < 600 && near->len < usual)
		return near->len + 1 + chance % (usual - near->len);
	return near->len - chance % (near->len > 8 ? near->len - 7 : 1);
}

static void make_extra(const struct bench_table *table, uint64_t *seed, struct fib_prefix *prefix)
{
	const struct fib_prefix *near = &table->list[bench_random(seed) % table->n].prefix;
	unsigned int len = extra_length(near, seed);
	number value;

	value = to_number(near->family, near->addr);
	value ^= random_number(seed) & host_mask(near->family, near->len);
	value &= ~host_mask(near->family, len);
	*prefix = (struct fib_prefix){
		.family = near->family, .len = (uint8_t)len, .table = near->table};
	to_address(near->family, value, prefix->addr);
}

static int by_address(const void *a, const void *b)
{
	const struct route *x = a, *y = b;
	int order = memcmp(x->prefix.addr, y->prefix.addr, sizeof(x->prefix.addr));

	if (!order)
		order = (int)x->prefix.len - y->prefix.len;
	/* of equal ones the one that is announced comes first, and stays */
	return order ? order : (int)y->answer - x->answer;
}

void universe_make(struct universe *universe, const struct bench_table *table, uint64_t *seed)
{
	size_t extra = table->n / 10, n = 0;
	struct route *route = calloc(table->n + extra, sizeof(*route));

	if (!route)
		bench_fail(ENOMEM, "the routes");
	for (size_t i = 0; i < table->n; i++)
		route[n++] = (struct route){.prefix = table->list[i].prefix,
					    .answer = 1 + (uint16_t)bench_group(&table->list[i])};
	for (size_t i = 0; i < extra; i++) {
		make_extra(table, seed, &route[n].prefix);
		/* a shorter one may be around special addresses, not one of them */
		n += route[n].prefix.len < 8 || !is_special(table->family, route[n].prefix.addr);
	}
	qsort(route, n, sizeof(*route), by_address);
	*universe = (struct universe){.family = table->family, .route = route};
	for (size_t i = 0; i < n; i++) {
		struct route *last = universe->n ? &route[universe->n - 1] : NULL;

		if (!last || last->prefix.len != route[i].prefix.len ||
		    memcmp(last->prefix.addr, route[i].prefix.addr, sizeof(last->prefix.addr)))
			route[universe->n++] = route[i];
	}
}

size_t addresses_of_route(const struct route *route, uint64_t *seed,
			  uint8_t addr[ADDRESSES_OF_ROUTE][16])
{
	uint8_t family = route->prefix.family;
	number mask = host_mask(family, route->prefix.len);
	number first = to_number(family, route->prefix.addr) & ~mask, last = first | mask;
	number value[ADDRESSES_OF_ROUTE] = {first, last, first - 1, last + 1,
					    first | (random_number(seed) & mask)};
	size_t n = 0;

	for (int i = 0; i < ADDRESSES_OF_ROUTE; i++) {
		/* what is before the first of all addresses is the last of all */
		to_address(family, value[i], addr[n]);
		n += !is_special(family, addr[n]);
	}
	return n;
}

void address_anywhere(const struct universe *universe, uint64_t *seed, uint8_t addr[16])
{
	do {
		number value = random_number(seed);

		/* most of what IPv6 has is far from any route */
		if (universe->family == AF_INET6 && bench_random(seed) % 4)
			value = (value & host_mask(AF_INET6, 3)) | (number)1 << 125;
		to_address(universe->family, value, addr);
	} while (is_special(universe->family, addr));
}
