// SPDX-License-Identifier: GPL-2.0-or-later
/* Routes and local addresses come and go. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/fuzz/fib_operations.h"

#define LIVE_MAX 256u
/* Root entries that short prefixes may touch, which is what takes time. */
#define EFFORT (1u << 17)

static struct fib_prefix live[LIVE_MAX];
static unsigned int n_live;
static uint32_t effort;

void routes_begin(void)
{
	n_live = 0;
	effort = EFFORT;
}

static uint8_t width(uint8_t family)
{
	return family == AF_INET ? 32 : 128;
}

struct fib_prefix take_prefix(void)
{
	static const uint8_t first4[] = {10, 10, 192, 0};
	static const uint8_t first6[] = {0x20, 0x20, 0x2a, 0x3f, 0x1f, 0x40, 0xfc, 0x00};
	uint8_t how = take8(&in), len = take8(&in);
	struct fib_prefix prefix = {.family = how & 1 ? AF_INET6 : AF_INET};

	if (how & 2 && n_live) {
		prefix = live[len % n_live];
		if (how & 4 && prefix.len)
			prefix.addr[(prefix.len - 1) / 8] ^= 0x80 >> (prefix.len - 1) % 8;
		if (how & 8)
			prefix.len =
				(uint8_t)((prefix.len + (how >> 4)) % (width(prefix.family) + 1));
		else
			prefix.len = (uint8_t)(prefix.len > how >> 4 ? prefix.len - (how >> 4) : 0);
		return prefix;
	}
	prefix.len = len % (width(prefix.family) + 1);
	prefix.table = model->table[len / (width(prefix.family) + 1) % MODEL_TABLES];
	if (prefix.family == AF_INET) {
		prefix.addr[0] = first4[how >> 2 & 3];
		prefix.addr[1] = how >> 6;
		prefix.addr[2] = take8(&in);
		prefix.addr[3] = take8(&in);
	} else {
		prefix.addr[0] = first6[how >> 2 & 7];
		for (unsigned int i = 0; i <= how >> 6; i++) {
			uint8_t place = take8(&in);

			prefix.addr[1 + place % 15] = take8(&in) >> (place >> 6);
		}
	}
	return prefix;
}

/* Short prefixes touch much of the roots: only so many of them. */
static bool too_much(const struct fib_prefix *prefix)
{
	unsigned int bits = prefix->table		? 0
			    : prefix->family == AF_INET ? 18
			    : prefix->addr[0] >> 5 == 1 ? 24
							: 8;
	uint32_t touched = prefix->len && prefix->len < bits ? 1u << (bits - prefix->len) : 1;

	/* one that contains 2000::/3 touches all of it */
	if (!prefix->table && prefix->family == AF_INET6 && prefix->len && prefix->len <= 3)
		touched = 1u << 21;
	if (touched > effort)
		return true;
	effort -= touched;
	return false;
}

/* The same of a prefix, whose surroundings are then the kernel's for good. */
static bool no_memory_for(const struct fib_prefix *prefix, int err)
{
	bool *lost = model_lost(prefix);

	*lost |= no_memory(*lost ? 0 : err);
	return err == -ENOMEM;
}

static void note_live(const struct fib_prefix *prefix)
{
	struct fib_prefix clean = model_clean(prefix);

	if (!reference_get(model_routes(&clean), &clean))
		live[n_live++] = clean;
}

void route_set(void)
{
	struct fib_prefix prefix = take_prefix();
	uint32_t group = take_group();
	int err;

	if (n_live == LIVE_MAX || too_much(&prefix))
		return;
	err = CALL(fib_route_set(model->fib, &prefix, group));
	if (!no_memory_for(&prefix, err)) {
		must(err == (model_group_usable(group) ? 0 : -EINVAL), "%d", err);
		if (!err) {
			note_live(&prefix);
			model_route(&prefix, group);
		}
	}
	model_check_edges(&prefix);
}

static void route_del(struct fib_prefix prefix)
{
	struct fib_prefix clean = model_clean(&prefix);
	bool there = reference_get(model_routes(&clean), &clean);
	int err = CALL(fib_route_del(model->fib, &prefix));

	no_memory(err);
	must(err == (there ? 0 : -ENOENT), "%d", err);
	for (unsigned int i = 0; there && i < n_live; i++) {
		if (!memcmp(&live[i], &clean, sizeof(clean))) {
			live[i] = live[--n_live];
			break;
		}
	}
	if (there)
		model_route(&clean, 0);
	model_check_edges(&prefix);
}

static void local_change(bool add)
{
	struct fib_prefix prefix = take_prefix();
	struct model_local *local = model_local_find(&prefix);
	int err;

	prefix.len = width(prefix.family);
	if (!add) {
		err = CALL(fib_local_del(model->fib, prefix.table, prefix.family, prefix.addr));
		no_memory(err);
		must(err == (local ? 0 : -ENOENT), "%d", err);
		if (local)
			local->count--;
	} else {
		for (unsigned int i = 0; !local && i < MODEL_LOCALS; i++)
			local = model->local[i].count ? NULL : &model->local[i];
		if (!local || local->count > 100)
			return;
		err = CALL(fib_local_add(model->fib, prefix.table, prefix.family, prefix.addr));
		if (!no_memory_for(&prefix, err)) {
			must(!err, "%d", err);
			local->host = prefix;
			local->count++;
		}
	}
	model_check_edges(&prefix);
}

void route_delete(void)
{
	struct fib_prefix prefix = take_prefix();

	if (!too_much(&prefix))
		route_del(prefix);
}

void route_delete_known(void)
{
	uint8_t byte = take8(&in);

	if (n_live)
		route_del(live[byte % n_live]);
}

void local_add(void)
{
	local_change(true);
}

void local_delete(void)
{
	local_change(false);
}

void table_clear(void)
{
	unsigned int i = 1 + take8(&in) % (MODEL_TABLES - 1), kept = 0;
	uint16_t table;

	must(!fib_table_open(model->fib, 1000 + i, &table) && table == model->table[i], "table %u",
	     table);
	must(fib_table_kernel(model->fib, table) == 1000 + i, "table %u", table);
	must(!CALL((fib_table_clear(model->fib, table), 0)), "table %u", table);
	no_memory(0);
	for (unsigned int k = 0; k < n_live; k++) {
		if (live[k].table == table)
			model_route(&live[k], 0);
		else
			live[kept++] = live[k];
	}
	n_live = kept;
}

/* ---- batches ---- */

void batch_begin(void)
{
	if (model->batches == 3)
		return;
	fib_batch_begin(model->fib);
	model->batches++;
}

void batch_end(void)
{
	if (!model->batches)
		return;
	must(!CALL((fib_batch_end(model->fib), 0)), "a batch");
	no_memory(0);
	model->batches--;
	routes_check();
}

void routes_check(void)
{
	for (unsigned int i = 0; i < n_live; i++)
		model_check_edges(&live[i]);
}

void routes_end(void)
{
	while (model->batches)
		batch_end();
	while (n_live)
		route_del(live[n_live - 1]);
	for (unsigned int i = 0; i < MODEL_LOCALS; i++) {
		struct model_local *local = &model->local[i];

		while (local->count) {
			must(!fib_local_del(model->fib, local->host.table, local->host.family,
					    local->host.addr),
			     "local %u", i);
			local->count--;
		}
	}
}
