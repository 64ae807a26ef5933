// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * All tables but the main one: for each family one branch from the first byte of the address on, so that a table costs
 * what its prefixes need.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <linux/rtnetlink.h>

#include "dplane_ebpf/fib/fib_internal.h"

/* Routes that are removed under the lock at a time. */
#define CLEAR_BATCH 256u

int fib_vrf_init(struct fib *fib)
{
	/* pages of it that no table uses stay untouched */
	fib->vrf = calloc(FIB_MAX_TABLES, sizeof(*fib->vrf));
	if (!fib->vrf)
		return -ENOMEM;
	/* no VRF's, and always there: not counted */
	fib->vrf[FIB_TABLE_LOCAL].kernel_table = RT_TABLE_LOCAL;
	fib->vrf[FIB_TABLE_LOCAL].passed = true;
	return 0;
}

void fib_vrf_fini(struct fib *fib)
{
	for (uint32_t table = 0; fib->vrf && table < FIB_MAX_TABLES; table++) {
		for (int side = 0; side < 2; side++) {
			if (fib->vrf[table].top[side])
				fib_branch_free(fib->vrf[table].top[side]);
		}
	}
	free(fib->vrf);
}

/*
 * ---- numbers: the first free place behind the one that the kernel's number hashes to. A place that was given back is
 * passed when one is looked for, as what stands behind it would not be found otherwise. ----
 */

static uint32_t number_of(const struct fib_vrf *vrf, const struct fib *fib)
{
	return (uint32_t)(vrf - fib->vrf);
}

/* Its place; NULL: there is none, and *vacant is one that may be taken, NULL: all are. */
static struct fib_vrf *vrf_find(const struct fib *fib, uint32_t kernel_table,
				struct fib_vrf **vacant)
{
	uint32_t number = kernel_table * 0x9e3779b1u >> 20;

	*vacant = NULL;
	for (uint32_t tries = 0; tries < FIB_MAX_TABLES; tries++, number++) {
		struct fib_vrf *vrf = &fib->vrf[number %= FIB_MAX_TABLES];

		if (!number || vrf->retired)
			continue;
		if (vrf->kernel_table == kernel_table)
			return vrf;
		if (vrf->kernel_table)
			continue;
		if (!*vacant)
			*vacant = vrf;
		if (!vrf->passed)
			break;
	}
	return NULL;
}

/* It may have to end, which is looked at when the lock is released. */
static void vrf_doubt(struct fib *fib, struct fib_vrf *vrf)
{
	if (vrf->doubted || vrf->open || number_of(vrf, fib) == FIB_TABLE_LOCAL)
		return;
	vrf->doubted = true;
	SLIST_INSERT_HEAD(&fib->vrfs_doubted, vrf, doubt);
}

/* -ENOENT: not there, and not to be made. */
static int table_find(struct fib *fib, uint32_t kernel_table, bool make, bool open, uint16_t *table)
{
	struct fib_vrf *vrf, *vacant;

	*table = 0;
	if (kernel_table == RT_TABLE_MAIN)
		return 0;
	if (!kernel_table)
		return -EINVAL;
	if (kernel_table == RT_TABLE_LOCAL) {
		*table = FIB_TABLE_LOCAL;
		return 0;
	}
	fib_lock(fib);
	vrf = vrf_find(fib, kernel_table, &vacant);
	if (!vrf && make && vacant) {
		vrf = vacant;
		vrf->kernel_table = kernel_table;
		vrf->passed = true;
		fib->vrfs++;
		fib_store(&fib->memory.header->kernel_table[number_of(vrf, fib)], kernel_table);
		vrf_doubt(fib, vrf);
	}
	if (vrf) {
		vrf->open |= open;
		*table = (uint16_t)number_of(vrf, fib);
	}
	fib_unlock(fib);
	return vrf ? 0 : make ? -ENOSPC : -ENOENT;
}

int fib_table_open(struct fib *fib, uint32_t kernel_table, uint16_t *table)
{
	return table_find(fib, kernel_table, true, true, table);
}

int fib_table_use(struct fib *fib, uint32_t kernel_table, uint16_t *table)
{
	return table_find(fib, kernel_table, true, false, table);
}

int fib_table_find(struct fib *fib, uint32_t kernel_table, uint16_t *table)
{
	return table_find(fib, kernel_table, false, false, table);
}

void fib_table_close(struct fib *fib, uint16_t table)
{
	fib_lock(fib);
	if (table && table != FIB_TABLE_LOCAL && fib_table_exists(fib, table)) {
		fib->vrf[table].open = false;
		vrf_doubt(fib, &fib->vrf[table]);
	}
	fib_unlock(fib);
}

static bool is_empty(const struct fib_vrf *vrf)
{
	return !vrf->top[0] && !vrf->top[1] && !vrf->fallback[0] && !vrf->fallback[1];
}

void fib_vrf_end_unused(struct fib *fib)
{
	struct fib_vrf *vrf;

	while ((vrf = SLIST_FIRST(&fib->vrfs_doubted))) {
		SLIST_REMOVE_HEAD(&fib->vrfs_doubted, doubt);
		vrf->doubted = false;
		if (vrf->open || !is_empty(vrf))
			continue;
		/* readers may be in it, and find nothing */
		vrf->kernel_table = 0;
		vrf->retired = true;
		fib->vrfs--;
		fib_store(&fib->memory.header->kernel_table[number_of(vrf, fib)], 0);
		fib_retire(fib, FIB_RETIRE_TABLE, number_of(vrf, fib), 1);
	}
}

void fib_vrf_free(struct fib *fib, uint32_t number)
{
	struct fib_vrf *vrf = &fib->vrf[number];
	struct fib_table *shared = &fib->memory.header->table[number];

	*vrf = (struct fib_vrf){.passed = true};
	/* one that found no ordinary memory may have left something */
	fib_store(&shared->v4_root, 0);
	fib_store(&shared->v6_root, 0);
	/* nothing is looked for behind the last one of a row */
	while (number > FIB_TABLE_LOCAL && fib->vrf[number].passed && number + 1 < FIB_MAX_TABLES &&
	       !fib->vrf[number + 1].passed && !fib->vrf[number].kernel_table &&
	       !fib->vrf[number].retired)
		fib->vrf[number--].passed = false;
}

bool fib_table_exists(const struct fib *fib, uint16_t table)
{
	return !table || (table < FIB_MAX_TABLES && fib->vrf[table].kernel_table);
}

uint32_t fib_table_kernel(struct fib *fib, uint16_t table)
{
	uint32_t kernel = 0;

	if (!table)
		return RT_TABLE_MAIN;
	fib_lock(fib);
	if (table < FIB_MAX_TABLES)
		kernel = fib->vrf[table].kernel_table;
	fib_unlock(fib);
	return kernel;
}

/* ---- set and delete ---- */

static enum fib_side side_of(uint8_t family)
{
	return family == AF_INET ? FIB_SIDE_V4 : FIB_SIDE_V6;
}

static uint32_t *root_of(const struct fib *fib, uint16_t table, enum fib_side side)
{
	struct fib_table *shared = &fib->memory.header->table[table];

	return side == FIB_SIDE_V4 ? &shared->v4_root : &shared->v6_root;
}

static uint32_t *default_of(const struct fib *fib, uint16_t table, enum fib_side side)
{
	struct fib_table *shared = &fib->memory.header->table[table];

	return side == FIB_SIDE_V4 ? &shared->v4_default : &shared->v6_default;
}

static uint16_t fallback_set(struct fib *fib, uint16_t table, enum fib_side side, uint16_t gid)
{
	uint16_t *fallback = &fib->vrf[table].fallback[side], old = *fallback;

	*fallback = gid;
	fib_store(default_of(fib, table, side), gid ? gid : FIB_GROUP_NO_ROUTE);
	return old;
}

int fib_vrf_set(struct fib *fib, const struct fib_prefix *prefix, uint16_t gid, uint16_t *old)
{
	struct fib_vrf *vrf = &fib->vrf[prefix->table];
	enum fib_side side = side_of(prefix->family);

	if (!prefix->len) {
		*old = fallback_set(fib, prefix->table, side, gid);
		return 0;
	}
	if (!vrf->top[side] && !vrf->lost[side] &&
	    !fib_branch_new(fib, &vrf->top[side], root_of(fib, prefix->table, side), side, 0, 0)) {
		vrf->lost[side] = true;
		fib_store(root_of(fib, prefix->table, side), FIB_GROUP_OVERFLOW);
	}
	if (vrf->lost[side])
		return -ENOMEM;
	return fib_branch_set(fib, vrf->top[side], prefix->addr, prefix->len, gid, old);
}

uint16_t fib_vrf_del(struct fib *fib, const struct fib_prefix *prefix)
{
	enum fib_side side = side_of(prefix->family);
	struct fib_branch *top = fib->vrf[prefix->table].top[side];

	/* may be the last */
	vrf_doubt(fib, &fib->vrf[prefix->table]);
	if (!prefix->len)
		return fallback_set(fib, prefix->table, side, 0);
	return top ? fib_branch_del(fib, top, prefix->addr, prefix->len) : 0;
}

struct batch {
	struct fib_prefix prefix[CLEAR_BATCH];
	size_t n;
};

static void batch_add(void *arg, const struct fib_prefix *prefix, uint32_t group)
{
	struct batch *batch = arg;

	(void)group;
	batch->prefix[batch->n++] = *prefix;
}

/* While its routes are this owner's: others come in between two batches. */
static void clear(struct fib *fib, uint16_t table, uint32_t owner)
{
	static const uint8_t families[] = {AF_INET, AF_INET6};
	struct batch batch;

	for (size_t f = 0; f < sizeof(families); f++) {
		struct fib_cursor cursor = {0};
		bool more = true;

		while (more) {
			batch.n = 0;
			fib_batch_begin(fib);
			more = fib->vrf[table].owner == owner &&
			       fib_route_walk(fib, table, families[f], &cursor, CLEAR_BATCH,
					      batch_add, &batch);
			for (size_t i = 0; i < batch.n; i++)
				fib_route_del(fib, &batch.prefix[i]);
			fib_batch_end(fib);
		}
	}
}

static bool is_vrfs(uint16_t table)
{
	return table && table != FIB_TABLE_LOCAL && table < FIB_MAX_TABLES;
}

/* Who it belongs to from now on. Returns who it did. */
static uint32_t own(struct fib *fib, uint16_t table, uint32_t owner)
{
	uint32_t before;

	fib_lock(fib);
	before = fib->vrf[table].owner;
	fib->vrf[table].owner = owner;
	fib_unlock(fib);
	return before;
}

static uint32_t owner_of(struct fib *fib, uint16_t table)
{
	uint32_t owner;

	fib_lock(fib);
	owner = fib->vrf[table].owner;
	fib_unlock(fib);
	return owner;
}

void fib_table_clear(struct fib *fib, uint16_t table)
{
	if (is_vrfs(table))
		clear(fib, table, owner_of(fib, table));
}

void fib_table_claim(struct fib *fib, uint16_t table, uint32_t owner)
{
	uint32_t before;

	if (!is_vrfs(table))
		return;
	before = own(fib, table, owner);
	if (before && before != owner)
		clear(fib, table, owner);
}

void fib_table_leave(struct fib *fib, uint16_t table, uint32_t owner)
{
	uint32_t now;

	if (!is_vrfs(table))
		return;
	now = owner_of(fib, table);
	if (!now || now == owner)
		clear(fib, table, now);
}

/* ---- reading ---- */

uint16_t fib_vrf_cover(const struct fib *fib, const struct fib_prefix *prefix, uint8_t *found_len)
{
	const struct fib_vrf *vrf = &fib->vrf[prefix->table];
	enum fib_side side = side_of(prefix->family);
	uint16_t gid = 0;

	if (vrf->top[side] && prefix->len)
		gid = fib_branch_cover(vrf->top[side], prefix->addr, prefix->len, found_len);
	if (gid)
		return gid;
	*found_len = 0;
	return vrf->fallback[side];
}

uint32_t fib_vrf_lookup(const struct fib *fib, uint16_t table, uint8_t family, const uint8_t *addr)
{
	enum fib_side side = side_of(family);
	uint32_t word;

	if (table >= FIB_MAX_TABLES)
		return FIB_GROUP_NO_ROUTE;
	word = fib_branch_lookup(fib, fib_load(root_of(fib, table, side)), addr, 0,
				 family == AF_INET ? 4 : 16);
	return word ? word : fib_load(default_of(fib, table, side));
}

bool fib_vrf_walk(const struct fib *fib, uint16_t table, uint8_t family, struct fib_cursor *cursor,
		  fib_branch_visit visit, void *arg)
{
	enum fib_side side = side_of(family);
	const struct fib_vrf *vrf;
	uint8_t addr[16] = {0};

	if (!fib_table_exists(fib, table))
		return false;
	vrf = &fib->vrf[table];
	/* place 0: the default route is still to come */
	if (!cursor->place++ && vrf->fallback[side] && !visit(arg, addr, 0, vrf->fallback[side]))
		return true;
	return vrf->top[side] && fib_branch_resume(vrf->top[side], addr, cursor, visit, arg);
}

/* ---- is it as written? ---- */

struct fib_branch *fib_vrf_top(const struct fib *fib, uint32_t number)
{
	return fib->vrf[number / 2].top[number % 2];
}

/* The words of a table that no node has. */
static int header_check(struct fib *fib, uint16_t table, enum fib_side side, bool rewrite)
{
	const struct fib_vrf *vrf = &fib->vrf[table];
	uint32_t *kernel = &fib->memory.header->kernel_table[table], *root;
	uint32_t word = vrf->lost[side] ? FIB_GROUP_OVERFLOW : FIB_GROUP_DEFAULT;
	int err = 0;

	if (fib_load(kernel) != vrf->kernel_table) {
		err = -EBADMSG;
		if (rewrite)
			fib_store(kernel, vrf->kernel_table);
	}
	root = root_of(fib, table, side);
	if (!vrf->top[side] && fib_load(root) != word) {
		err = -EBADMSG;
		if (rewrite)
			fib_store(root, word);
	}
	return err;
}

static int fallback_check(struct fib *fib, uint16_t table, enum fib_side side, bool rewrite)
{
	uint32_t *shared = default_of(fib, table, side);
	uint32_t gid = fib->vrf[table].fallback[side];

	gid = gid ? gid : FIB_GROUP_NO_ROUTE;
	if (fib_load(shared) == gid)
		return 0;
	if (rewrite)
		fib_store(shared, gid);
	return -EBADMSG;
}

int fib_vrf_check(struct fib *fib, const struct fib_prefix *prefix, bool rewrite)
{
	enum fib_side side = side_of(prefix->family);
	struct fib_top top = {fib_vrf_top, 2u * prefix->table + side};
	int err;

	if (!fib_table_exists(fib, prefix->table))
		return -ENOENT;
	err = header_check(fib, prefix->table, side, rewrite);
	if (prefix->len)
		return fib_worse(err,
				 fib_branch_check(fib, &top, prefix->addr, prefix->len, rewrite));
	err = fib_worse(err, fallback_check(fib, prefix->table, side, rewrite));
	err = fib_worse(err, fib_branch_check_inherited(fib, &top, NULL, rewrite));
	return err || fib->vrf[prefix->table].fallback[side] ? err : -ENOENT;
}
