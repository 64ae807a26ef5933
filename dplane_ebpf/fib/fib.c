// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A FIB from beginning to end, and what there is to know of it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dplane_ebpf/fib/fib_internal.h"

static int pools_init(struct fib *fib)
{
	const struct fib_geometry *geometry = &fib->geometry;
	struct fib_pool *pool = fib->pool;

	/* node 0 and next hop 0 mean "none" */
	if (fib_pool_init(&pool[FIB_POOL_V4_MID], 0, geometry->v4_mid_blocks) ||
	    fib_pool_init(&pool[FIB_POOL_V4_LOW], 0, geometry->v4_low_blocks) ||
	    fib_pool_init(&pool[FIB_POOL_V6_NODE], 1, geometry->v6_node_bytes / FIB6_UNIT) ||
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
	header->v4_default = FIB_GROUP_NO_ROUTE;
	header->v6_default = FIB_GROUP_NO_ROUTE;
	fib_store(&header->magic, FIB_MAGIC);
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
	pthread_mutex_init(&fib->lock, NULL);
	fib->memory = *memory;
	fib->geometry = *geometry;
	if (pools_init(fib) || fib4_init(fib) || fib6_init(fib) || fib_group_init(fib) ||
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
	fib_group_fini(fib);
	fib_nexthop_fini(fib);
	fib_local_fini(fib);
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

void fib_stats(struct fib *fib, struct fib_stats *stats)
{
	const struct fib_pool *pool = fib->pool;

	memset(stats, 0, sizeof(*stats));
	pthread_mutex_lock(&fib->lock);
	stats->geometry = fib->geometry;
	stats->v4_routes = fib->routes4;
	stats->v6_routes = fib->routes6;
	stats->v4_overflow = fib4_overflow(fib);
	stats->v6_overflow = fib6_overflow(fib);
	stats->locals = fib->locals;
	stats->groups = pool[FIB_POOL_GROUP].used;
	stats->group_overflow = fib->group_overflow;
	stats->nexthops = pool[FIB_POOL_NEXTHOP].used;
	stats->nexthops_down = fib->nexthops_down;
	stats->slots = pool[FIB_POOL_SLOT].used;
	pool_stats(&pool[FIB_POOL_V4_MID], FIB4_MID_SIZE * sizeof(uint16_t), &stats->v4_mid);
	pool_stats(&pool[FIB_POOL_V4_LOW], FIB4_LOW_SIZE * sizeof(uint16_t), &stats->v4_low);
	pool_stats(&pool[FIB_POOL_V6_NODE], FIB6_UNIT, &stats->v6_node);
	stats->route_sets = fib->route_sets;
	stats->route_dels = fib->route_dels;
	stats->group_sets = fib->group_sets;
	stats->grace_periods = fib->retire.grace_periods;
	pthread_mutex_unlock(&fib->lock);
}
