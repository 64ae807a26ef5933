// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What readers may still hold waits here, oldest first, until a grace period that began
 * after it was retired has ended.
 */
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "dplane_ebpf/fib/fib_internal.h"

/* How much is freed before others get the lock. */
#define RECLAIM_BATCH 256u

int fib_retire_init(struct fib *fib)
{
	struct fib_retire_queue *queue = &fib->retire;
	pthread_condattr_t attr;
	int err;

	queue->epoch = 1;
	err = pthread_condattr_init(&attr);
	if (err)
		return -err;
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	err = pthread_cond_init(&queue->filled, &attr);
	pthread_condattr_destroy(&attr);
	return -err;
}

void fib_retire_fini(struct fib *fib)
{
	free(fib->retire.ring);
	pthread_cond_destroy(&fib->retire.filled);
}

static bool queue_grow(struct fib_retire_queue *queue)
{
	uint32_t size = queue->size ? 2 * queue->size : 1024;
	struct fib_retired *ring = malloc(size * sizeof(*ring));

	if (!ring)
		return false;
	for (uint32_t i = 0; i < queue->count; i++)
		ring[i] = queue->ring[(queue->head + i) & (queue->size - 1)];
	free(queue->ring);
	queue->ring = ring;
	queue->size = size;
	queue->head = 0;
	return true;
}

void fib_retire(struct fib *fib, enum fib_pool_id pool, uint32_t at, uint32_t n)
{
	struct fib_retire_queue *queue = &fib->retire;

	if (pool < FIB_POOL_MAX) {
		fib->pool[pool].used -= n;
		fib->pool[pool].retired += n;
	}
	/* out of memory: it stays retired for good, which is safe */
	if (queue->count == queue->size && !queue_grow(queue))
		return;
	queue->ring[(queue->head + queue->count) & (queue->size - 1)] = (struct fib_retired){
		.epoch = queue->epoch,
		.at = at,
		.n = n,
		.pool = pool,
	};
	if (!queue->count++)
		pthread_cond_broadcast(&queue->filled);
}

static void retired_free(struct fib *fib, const struct fib_retired *retired)
{
	struct fib_pool *pool;

	if (retired->pool == FIB_RETIRE_TABLE) {
		fib_vrf_free(fib, retired->at);
		return;
	}
	pool = &fib->pool[retired->pool];
	if (retired->pool == FIB_POOL_GROUP)
		fib_store(&fib->memory.group[retired->at], 0);
	else if (retired->pool == FIB_POOL_NEXTHOP)
		fib_nexthop_free(fib, retired->at);
	pool->retired -= retired->n;
	pool->used += retired->n;
	fib_pool_free(pool, retired->at, retired->n);
}

bool fib_reclaim_wait(struct fib *fib, int timeout_ms)
{
	struct fib_retire_queue *queue = &fib->retire;
	struct timespec until;
	bool filled;
	int err = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	if (timeout_ms > 0) {
		until.tv_sec += timeout_ms / 1000;
		until.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
		if (until.tv_nsec >= 1000000000) {
			until.tv_sec++;
			until.tv_nsec -= 1000000000;
		}
	}
	fib_lock(fib);
	/* waiting gives the lock away, and with it the right to publish */
	fib->depth--;
	while (!queue->count && !queue->wake && !err) {
		if (timeout_ms < 0)
			err = pthread_cond_wait(&queue->filled, &fib->lock);
		else
			err = pthread_cond_timedwait(&queue->filled, &fib->lock, &until);
	}
	fib->depth++;
	filled = queue->count && !queue->wake;
	queue->wake = false;
	fib_unlock(fib);
	return filled;
}

void fib_reclaim_wake(struct fib *fib)
{
	fib_lock(fib);
	fib->retire.wake = true;
	pthread_cond_broadcast(&fib->retire.filled);
	fib_unlock(fib);
}

uint64_t fib_reclaim_begin(struct fib *fib)
{
	uint64_t epoch;

	fib_lock(fib);
	epoch = fib->retire.epoch++;
	fib_unlock(fib);
	return epoch;
}

void fib_reclaim_end(struct fib *fib, uint64_t epoch)
{
	struct fib_retire_queue *queue = &fib->retire;
	uint32_t batch = 0;

	fib_lock(fib);
	queue->grace_periods++;
	while (queue->count && queue->ring[queue->head].epoch <= epoch) {
		retired_free(fib, &queue->ring[queue->head]);
		queue->head = (queue->head + 1) & (queue->size - 1);
		queue->count--;
		if (++batch % RECLAIM_BATCH == 0)
			fib_yield(fib);
	}
	fib_slots_place(fib);
	fib4_place(fib);
	fib_branch_place(fib);
	fib_unlock(fib);
}
