// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A FIB from beginning to end, and what there is to know of it.
 */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include <linux/rtnetlink.h>

#include "dplane_ebpf/fib/fib_internal.h"

/* How long whoever yields the lock waits for somebody to take it. */
#define YIELDS 100u

static int pools_init(struct fib *fib)
{
	const struct fib_geometry *geometry = &fib->geometry;
	struct fib_pool *pool = fib->pool;

	/* next hop 0 means "none" */
	if (fib_pool_init(&pool[FIB_POOL_V4_LOW], 0, geometry->v4_low_blocks) ||
	    fib_pool_init(&pool[FIB_POOL_GROUP], FIB_GROUP_FIRST, geometry->groups) ||
	    fib_pool_init(&pool[FIB_POOL_SLOT], 0, geometry->slots) ||
	    fib_pool_init(&pool[FIB_POOL_NEXTHOP], 1, geometry->nexthops))
		return -ENOMEM;
	return 0;
}

static void header_publish(struct fib *fib)
{
	struct fib_header *header = fib->memory.header;

	header->layout_version = FIB_LAYOUT_VERSION;
	header->geometry = fib->geometry;
	header->forward_until = UINT64_MAX;
	header->kernel_table[0] = RT_TABLE_MAIN;
	header->kernel_table[FIB_TABLE_LOCAL] = RT_TABLE_LOCAL;
	for (unsigned int i = 0; i < FIB_MAX_TABLES; i++)
		header->table[i].v4_default = header->table[i].v6_default = FIB_GROUP_NO_ROUTE;
	fib_store(&header->magic, FIB_MAGIC);
}

static void lock_init(struct fib *fib)
{
	pthread_mutexattr_t attr;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
	pthread_mutex_init(&fib->lock, &attr);
	pthread_mutexattr_destroy(&attr);
}

void fib_lock(struct fib *fib)
{
	if (pthread_mutex_trylock(&fib->lock)) {
		fib->wanting++;
		pthread_mutex_lock(&fib->lock);
		fib->wanting--;
	}
	fib->depth++;
}

void fib_unlock(struct fib *fib)
{
	if (fib->depth == 1) {
		fib4_publish(fib);
		fib_branch_publish(fib);
		fib_vrf_end_unused(fib);
	}
	fib->depth--;
	pthread_mutex_unlock(&fib->lock);
}

void fib_yield(struct fib *fib)
{
	fib_unlock(fib);
	/* whoever unlocks and locks again at once is faster than anybody it wakes up */
	for (unsigned int i = 0; fib->wanting && i < YIELDS; i++)
		sched_yield();
	fib_lock(fib);
}

void fib_batch_begin(struct fib *fib)
{
	fib_lock(fib);
}

void fib_batch_end(struct fib *fib)
{
	fib_unlock(fib);
}

struct fib *fib_new(const struct fib_memory *memory, const struct fib_geometry *geometry)
{
	struct fib *fib;

	if (!fib_geometry_valid(geometry))
		return NULL;
	fib = calloc(1, sizeof(*fib));
	if (!fib)
		return NULL;
	if (fib_retire_init(fib)) {
		free(fib);
		return NULL;
	}
	lock_init(fib);
	fib_branch_init(fib);
	fib->memory = *memory;
	fib->geometry = *geometry;
	if (pools_init(fib) || fib_node_init(fib) || fib4_init(fib) || fib6_init(fib) ||
	    fib_vrf_init(fib) || fib_overlay_init(fib) || fib_group_init(fib) ||
	    fib_nexthop_init(fib)) {
		fib_free(fib);
		return NULL;
	}
	header_publish(fib);
	return fib;
}

void fib_free(struct fib *fib)
{
	if (!fib)
		return;
	fib4_fini(fib);
	fib6_fini(fib);
	fib_vrf_fini(fib);
	fib_group_fini(fib);
	fib_nexthop_fini(fib);
	fib_overlay_fini(fib);
	fib_retire_fini(fib);
	for (unsigned int i = 0; i < FIB_POOL_MAX; i++)
		fib_pool_fini(&fib->pool[i]);
	pthread_mutex_destroy(&fib->lock);
	free(fib);
}

static void pool_stats(const struct fib_pool *pool, size_t unit, struct fib_pool_stats *stats)
{
	stats->used = (uint64_t)pool->used * unit;
	stats->retired = (uint64_t)pool->retired * unit;
	stats->size = (uint64_t)pool->end * unit;
}

static void node_stats(const struct fib *fib, struct fib_stats *stats)
{
	const struct fib_pool *half = &fib->pool[FIB_POOL_NODE + fib->nodes.half];
	struct fib_pool_stats other;

	pool_stats(&fib->pool[FIB_POOL_NODE], FIB_UNIT, &stats->node);
	pool_stats(&fib->pool[FIB_POOL_NODE_OTHER], FIB_UNIT, &other);
	stats->node.used += other.used;
	stats->node.retired += other.retired;
	stats->node.size = other.size;
	stats->v4_node_bytes = fib->nodes.units[FIB_SIDE_V4] * FIB_UNIT;
	stats->v6_node_bytes = fib->nodes.units[FIB_SIDE_V6] * FIB_UNIT;
	stats->node_extent = (uint64_t)(half->top - half->first) * FIB_UNIT;
	stats->compactions = fib->nodes.compactions;
	stats->nodes_moved = fib->nodes.moved;
}

void fib_stats(struct fib *fib, struct fib_stats *stats)
{
	const struct fib_pool *pool = fib->pool;

	memset(stats, 0, sizeof(*stats));
	fib_lock(fib);
	stats->geometry = fib->geometry;
	stats->tables = 1 + fib->vrfs;
	stats->v4_routes = fib->routes4;
	stats->v6_routes = fib->routes6;
	stats->v4_overflow = fib4_overflow(fib);
	stats->v4_overflow += fib_branch_overflow(fib, FIB_SIDE_V4);
	stats->v6_overflow = fib_branch_overflow(fib, FIB_SIDE_V6);
	stats->locals = fib->locals;
	stats->laid_over = fib->laid_over;
	stats->groups = pool[FIB_POOL_GROUP].used;
	stats->group_overflow = fib->group_overflow;
	stats->nexthops = pool[FIB_POOL_NEXTHOP].used;
	stats->nexthops_down = fib->nexthops_down;
	stats->groups_protected = fib->groups_protected;
	stats->groups_steered = fib->groups_steered;
	stats->failovers = fib->failovers;
	stats->slots = pool[FIB_POOL_SLOT].used;
	node_stats(fib, stats);
	pool_stats(&pool[FIB_POOL_V4_LOW], FIB4_LOW_SIZE * sizeof(uint16_t), &stats->v4_low);
	stats->route_sets = fib->route_sets;
	stats->route_dels = fib->route_dels;
	stats->group_sets = fib->group_sets;
	stats->grace_periods = fib->retire.grace_periods;
	fib_unlock(fib);
}
