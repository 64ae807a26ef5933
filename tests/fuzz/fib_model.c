// SPDX-License-Identifier: GPL-2.0-or-later
/* The FIB's life, and its routes against the reference. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <linux/rtnetlink.h>

#include "tests/fuzz/allocate.h"
#include "tests/fuzz/fib_model.h"

struct model *model;

/* Nearly no room, little, and enough. */
const struct fib_geometry model_geometry[MODEL_GEOMETRIES] = {
	{.node_bytes = 256,
	 .v4_low_blocks = 2,
	 .groups = 32,
	 .slots = 128,
	 .nexthops = 8,
	 .neighbours = 1,
	 .cpus = 1},
	{.node_bytes = 4096,
	 .v4_low_blocks = 8,
	 .groups = 64,
	 .slots = 512,
	 .nexthops = 64,
	 .neighbours = 1,
	 .cpus = 1},
	{.node_bytes = 1u << 20,
	 .v4_low_blocks = 1u << 9,
	 .groups = MODEL_IDS,
	 .slots = 1u << 16,
	 .nexthops = MODEL_NEXTHOPS,
	 .neighbours = 1,
	 .cpus = 1},
};

void model_wrong(const char *file, int line, const char *what, const char *format, ...)
{
	va_list args;

	fprintf(stderr, "%s:%d: not so: %s: ", file, line, what);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	abort();
}

/* ---- from empty to empty ---- */

static size_t live_at_open;

static void create(const struct fib_geometry *geometry)
{
	size_t before = allocate_live();
	struct fib_member member = {.nexthop.ifindex = 1};
	uint32_t group = 0;

	memset(model, 0, sizeof(*model));
	for (unsigned int i = 0; i < MODEL_TABLES; i++)
		model->routes[i] = reference_new();
	model->geometry = *geometry;
	must(!fib_memory_alloc(&model->memory, geometry), "no memory");
	model->fib = fib_new(&model->memory, geometry);
	must(model->fib, "no FIB");
	for (unsigned int i = 0; i < MODEL_TABLES; i++) {
		uint32_t number = i ? 1000 + i : RT_TABLE_MAIN;

		must(!fib_table_open(model->fib, number, &model->table[i]), "table %u", number);
		must(!model->table[i] == !i, "table %u is %u", number, model->table[i]);
	}
	/* the queue of what is retired grows with the first of it */
	must(!fib_group_set(model->fib, &group, &member, 1), "the first group");
	must(!fib_group_drop(model->fib, group), "the first group");
	fib_reclaim_end(model->fib, fib_reclaim_begin(model->fib));
	model->allocated = allocate_live() - before;
	model_watch();
}

static void destroy(void)
{
	fib_free(model->fib);
	fib_memory_free(&model->memory);
	for (unsigned int i = 0; i < MODEL_TABLES; i++)
		reference_free(model->routes[i]);
	model->fib = NULL;
	must(allocate_live() == live_at_open - model->allocated, "%zu are never freed",
	     allocate_live() + model->allocated - live_at_open);
}

void model_open(unsigned int geometry)
{
	static struct model models[MODEL_GEOMETRIES];
	struct fib_stats stats;

	allocate_suspend(true);
	model = &models[geometry];
	if (!model->fib)
		create(&model_geometry[geometry]);
	live_at_open = allocate_live();
	fib_stats(model->fib, &stats);
	model->group_overflow = stats.group_overflow;
}

void model_close(void)
{
	struct fib_stats stats;

	fib_stats(model->fib, &stats);
	must(stats.v4_routes + stats.v6_routes + stats.locals == 0, "routes are left");
	must(stats.nexthops_down == 0, "%d", (int)stats.nexthops_down);
	must(stats.groups == 0 && stats.nexthops == 0 && stats.slots == 0, "%d, %d, %d",
	     (int)stats.groups, (int)stats.nexthops, (int)stats.slots);
	if (!model->out_of_memory) {
		must(stats.v4_overflow + stats.v6_overflow == 0, "nothing is there without room");
		must(stats.node.used + stats.node.retired == 0, "%d", (int)stats.node.used);
		must(stats.v4_node_bytes + stats.v6_node_bytes == 0, "%d",
		     (int)stats.v4_node_bytes);
		must(stats.v4_low.used + stats.v4_low.retired == 0, "%d", (int)stats.v4_low.used);
		must(allocate_live() == live_at_open, "%zu are not freed",
		     allocate_live() - live_at_open);
	}
	/* what was lost for good, or stands in the other half, must not meet the next input */
	if (model->out_of_memory || model->moved)
		destroy();
}

bool model_without_memory(unsigned int n)
{
	const struct fib_geometry *sizes = &model_geometry[0];
	size_t before = allocate_live();
	struct fib_memory memory;
	struct fib *fib = NULL;
	bool failed;
	int err;

	allocate_fail(n);
	allocate_suspend(false);
	err = fib_memory_alloc(&memory, sizes);
	if (!err)
		fib = fib_new(&memory, sizes);
	allocate_suspend(true);
	failed = allocate_fail(0);
	must(failed == !fib, "allocation %u", n);
	fib_free(fib);
	if (!err)
		fib_memory_free(&memory);
	must(allocate_live() == before, "%zu are never freed", allocate_live() - before);
	return failed;
}

/* ---- routes ---- */

static uint8_t width(uint8_t family)
{
	return family == AF_INET ? 32 : 128;
}

struct fib_prefix model_clean(const struct fib_prefix *prefix)
{
	struct fib_prefix clean;

	memset(&clean, 0, sizeof(clean));
	clean.family = prefix->family;
	clean.len = prefix->len;
	clean.table = prefix->table;
	for (unsigned int i = 0; i < prefix->len; i++)
		clean.addr[i / 8] |= prefix->addr[i / 8] & (uint8_t)(0x80 >> i % 8);
	return clean;
}

unsigned int model_table(uint16_t table)
{
	unsigned int i = 0;

	while (model->table[i] != table)
		i++;
	return i;
}

struct reference *model_routes(const struct fib_prefix *prefix)
{
	return model->routes[model_table(prefix->table)];
}

void model_route(const struct fib_prefix *prefix, uint32_t group)
{
	uint32_t old = reference_set(model_routes(prefix), prefix, group);

	if (group >= FIB_GROUP_FIRST)
		model->group[group].routes++;
	if (old >= FIB_GROUP_FIRST) {
		model->group[old].routes--;
		model_group_free_if_unused(old);
	}
}

struct model_local *model_local_find(const struct fib_prefix *addr)
{
	for (unsigned int i = 0; i < MODEL_LOCALS; i++) {
		struct model_local *local = &model->local[i];

		if (local->count && local->host.family == addr->family &&
		    local->host.table == addr->table &&
		    !memcmp(local->host.addr, addr->addr, width(addr->family) / 8))
			return local;
	}
	return NULL;
}

bool *model_lost(const struct fib_prefix *prefix)
{
	/* a VRF's table has one root for all */
	return &model->lost[model_table(prefix->table)][prefix->family == AF_INET6]
			   [prefix->table ? 0 : prefix->addr[0]];
}

uint32_t model_lookup(const struct fib_prefix *addr)
{
	struct fib_prefix found;

	if (model_local_find(addr))
		return FIB_GROUP_LOCAL;
	return reference_lookup(model_routes(addr), addr->family, addr->addr, width(addr->family),
				&found);
}

uint32_t model_default(const struct fib_prefix *addr)
{
	struct fib_prefix found;

	return reference_lookup(model_routes(addr), addr->family, addr->addr, 0, &found);
}

bool model_overflow_allowed(const struct fib_prefix *addr)
{
	struct fib_stats stats;

	if (*model_lost(addr))
		return true;
	fib_stats(model->fib, &stats);
	return addr->family == AF_INET ? stats.v4_overflow : stats.v6_overflow;
}

static void check_lookup(const struct fib_prefix *addr)
{
	uint32_t is = fib_lookup(model->fib, addr->table, addr->family, addr->addr);
	uint32_t wanted = model_lookup(addr);

	if (is != wanted)
		must(is == FIB_GROUP_OVERFLOW && model_overflow_allowed(addr),
		     "table %u, %02x%02x:%02x%02x:%02x%02x:%02x%02x... is %u, not %u", addr->table,
		     addr->addr[0], addr->addr[1], addr->addr[2], addr->addr[3], addr->addr[4],
		     addr->addr[5], addr->addr[6], addr->addr[7], is, wanted);
}

void model_check_edges(const struct fib_prefix *prefix)
{
	struct fib_prefix first = model_clean(prefix), last = first, addr = first;
	int bytes = width(prefix->family) / 8, i;

	/* published at the end */
	if (model->batches)
		return;
	for (i = prefix->len; i < bytes * 8; i++)
		last.addr[i / 8] |= (uint8_t)(0x80 >> i % 8);
	check_lookup(&first);
	check_lookup(&last);
	for (i = 0; i < bytes; i++)
		addr.addr[i] = first.addr[i] | (prefix->addr[i] & last.addr[i]);
	check_lookup(&addr);
	for (i = bytes - 1; i >= 0 && first.addr[i]-- == 0; i--)
		;
	check_lookup(&first);
	for (i = bytes - 1; i >= 0 && ++last.addr[i] == 0; i--)
		;
	check_lookup(&last);
}

void model_check_covering(const struct fib_prefix *prefix)
{
	struct fib_prefix found, wanted;
	struct reference *routes = model_routes(prefix);
	uint32_t is = fib_route_covering(model->fib, prefix, &found);
	uint32_t group =
		reference_lookup(routes, prefix->family, prefix->addr, prefix->len, &wanted);

	if (prefix->len == width(prefix->family) && model_local_find(prefix) &&
	    !reference_get(routes, prefix)) {
		group = FIB_GROUP_LOCAL;
		wanted = *prefix;
	}
	/* without any the reference says so with an empty prefix, which may also be there */
	if (group == FIB_GROUP_NO_ROUTE && !wanted.len && !reference_get(routes, &wanted))
		group = 0;
	must(is == group, "the prefix that covers has %u, not %u", is, group);
	if (is)
		must(found.len == wanted.len && found.family == wanted.family &&
			     found.table == prefix->table && !memcmp(found.addr, wanted.addr, 16),
		     "/%u covers, not /%u", found.len, wanted.len);
}

static void walked(void *arg, const struct fib_prefix *prefix, uint32_t group)
{
	uint32_t wanted = reference_get(model_routes(prefix), prefix);
	size_t *n = arg;

	must(group == wanted, "a /%u has group %u, not %u", prefix->len, group, wanted);
	++*n;
}

void model_check_walk(uint16_t table, uint8_t family)
{
	const struct reference *routes = model->routes[model_table(table)];
	struct fib_cursor cursor = {0};
	size_t n = 0;

	while (fib_route_walk(model->fib, table, family, &cursor, 7, walked, &n))
		;
	must(n == reference_count(routes, family), "%zu routes, not %zu", n,
	     reference_count(routes, family));
}
