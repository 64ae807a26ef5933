// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Room for nodes: two halves of one array. New nodes are made in one; compaction fills the other with all
 * there are, and then that is the one. Where a half is full, the other helps out.
 */
#include <errno.h>
#include <string.h>

#include "dplane_ebpf/fib/fib_internal.h"

/* Gaps below this much are not worth the work, in units. */
#define GAPS_MIN (256u * 1024 / FIB_UNIT)
/* How many nodes, and how many roots, are looked at under the lock at a time. */
#define MOVE_BATCH 64u
#define LOOK_BATCH 4096u

int fib_node_init(struct fib *fib)
{
	uint32_t units = fib->geometry.node_bytes / FIB_UNIT;

	/* node 0 means "none" */
	if (fib_pool_init(&fib->pool[FIB_POOL_NODE], 1, units) ||
	    fib_pool_init(&fib->pool[FIB_POOL_NODE_OTHER], units, 2 * units))
		return -ENOMEM;
	return 0;
}

static enum fib_pool_id half_of(const struct fib *fib, uint32_t node)
{
	return node < fib->geometry.node_bytes / FIB_UNIT ? FIB_POOL_NODE : FIB_POOL_NODE_OTHER;
}

uint32_t fib_node_alloc(struct fib *fib, enum fib_side side, uint32_t units)
{
	uint32_t node = fib_pool_alloc(&fib->pool[FIB_POOL_NODE + fib->nodes.half], units);

	if (node == FIB_POOL_NONE)
		node = fib_pool_alloc(&fib->pool[FIB_POOL_NODE_OTHER - fib->nodes.half], units);
	if (node == FIB_POOL_NONE)
		return 0;
	fib->nodes.units[side] += units;
	return node;
}

bool fib_node_fits(const struct fib *fib, uint32_t units)
{
	return fib_pool_fits(&fib->pool[FIB_POOL_NODE], units) ||
	       fib_pool_fits(&fib->pool[FIB_POOL_NODE_OTHER], units);
}

void fib_node_retire(struct fib *fib, enum fib_side side, uint32_t node, uint32_t units)
{
	fib->nodes.units[side] -= units;
	fib_retire(fib, half_of(fib, node), node, units);
}

uint32_t fib_node_move(struct fib *fib, enum fib_side side, uint32_t node, uint32_t units)
{
	enum fib_pool_id to = FIB_POOL_NODE + fib->nodes.half;
	uint32_t moved;

	if (half_of(fib, node) == to)
		return 0;
	moved = fib_pool_alloc(&fib->pool[to], units);
	if (moved == FIB_POOL_NONE)
		return 0;
	memcpy(fib->memory.node + (size_t)moved * FIB_UNIT,
	       fib->memory.node + (size_t)node * FIB_UNIT, (size_t)units * FIB_UNIT);
	fib->nodes.units[side] += units;
	fib->nodes.moved++;
	fib_node_retire(fib, side, node, units);
	return moved;
}

/* ---- compaction ---- */

static bool compaction_due(const struct fib *fib, bool force)
{
	const struct fib_pool *pool = &fib->pool[FIB_POOL_NODE + fib->nodes.half];
	const struct fib_pool *other = &fib->pool[FIB_POOL_NODE_OTHER - fib->nodes.half];
	uint32_t gaps = pool->top - pool->first - pool->used - pool->retired;

	/* without room for all, nodes would have to be in both */
	if (other->used || other->retired || pool->used > other->end - other->first)
		return false;
	return force ? pool->used > 0 : gaps > pool->used && gaps > GAPS_MIN;
}

static void move_v4(struct fib *fib)
{
	for (uint32_t slot = 0; slot < FIB4_ROOT_SIZE; slot++) {
		fib4_move(fib, slot);
		if (slot % MOVE_BATCH == 0)
			fib_yield(fib);
	}
}

static void move_branch(struct fib *fib, struct fib_branch *(*get)(const struct fib *fib, uint32_t),
			uint32_t number)
{
	struct fib_branch_place place = {0};
	uint32_t budget = MOVE_BATCH;

	/* it may be gone, or another one, each time that the lock was free */
	while (get(fib, number) &&
	       !fib_branch_each(fib, get(fib, number), &place, &budget, fib_branch_move, NULL)) {
		fib_yield(fib);
		budget = MOVE_BATCH;
	}
	if (budget < MOVE_BATCH)
		fib_yield(fib);
}

bool fib_compact(struct fib *fib, bool force)
{
	bool due;

	fib_lock(fib);
	due = compaction_due(fib, force);
	if (due) {
		fib->nodes.half ^= 1;
		fib->nodes.compactions++;
		move_v4(fib);
		for (uint32_t slot = 0; slot < FIB6_SLOTS; slot++) {
			move_branch(fib, fib6_branch, slot);
			if (slot % LOOK_BATCH == 0)
				fib_yield(fib);
		}
		for (uint32_t number = 0; number < 2 * FIB_MAX_TABLES; number++)
			move_branch(fib, fib_vrf_top, number);
	}
	fib_unlock(fib);
	return due;
}
