// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * An allocator of ranges: best fit from lists by length, neighbours joined when they
 * come back, what joins the untouched rest returns to it. Its books are private
 * memory: the units themselves are never touched here.
 */
#include <errno.h>
#include <stdlib.h>

#include "dplane_ebpf/fib/fib_internal.h"

/* How many ranges of a list of mixed lengths are tried. */
#define LIST_TRIES 32

static unsigned int pool_bin(uint32_t n)
{
	return n < FIB_POOL_EXACT ? n : FIB_POOL_EXACT + (31 - (unsigned int)__builtin_clz(n));
}

int fib_pool_init(struct fib_pool *pool, uint32_t first, uint32_t end)
{
	pool->first = pool->top = first;
	pool->end = end;
	pool->used = pool->retired = 0;
	for (unsigned int i = 0; i < FIB_POOL_BINS; i++)
		pool->bin[i] = FIB_POOL_NONE;
	/* pages of it that no range was freed in stay untouched */
	pool->range = calloc(end, sizeof(*pool->range));
	return pool->range ? 0 : -ENOMEM;
}

void fib_pool_fini(struct fib_pool *pool)
{
	free(pool->range);
	pool->range = NULL;
}

static void range_insert(struct fib_pool *pool, uint32_t at, uint32_t n)
{
	unsigned int bin = pool_bin(n);
	struct fib_pool_range *range = &pool->range[at];

	range->length = pool->range[at + n - 1].length = n;
	range->prev = FIB_POOL_NONE;
	range->next = pool->bin[bin];
	if (range->next != FIB_POOL_NONE)
		pool->range[range->next].prev = at;
	pool->bin[bin] = at;
	pool->filled[bin / 64] |= 1ull << (bin % 64);
}

static void range_remove(struct fib_pool *pool, uint32_t at)
{
	struct fib_pool_range *range = &pool->range[at];
	unsigned int bin = pool_bin(range->length);

	if (range->next != FIB_POOL_NONE)
		pool->range[range->next].prev = range->prev;
	if (range->prev != FIB_POOL_NONE)
		pool->range[range->prev].next = range->next;
	else
		pool->bin[bin] = range->next;
	if (pool->bin[bin] == FIB_POOL_NONE)
		pool->filled[bin / 64] &= ~(1ull << (bin % 64));
	pool->range[at + range->length - 1].length = 0;
	range->length = 0;
}

/* A free range of at least n units. */
static uint32_t range_find(const struct fib_pool *pool, uint32_t n)
{
	unsigned int bin = pool_bin(n);

	if (n >= FIB_POOL_EXACT) {
		uint32_t at = pool->bin[bin];

		for (int i = 0; at != FIB_POOL_NONE && i < LIST_TRIES; i++) {
			if (pool->range[at].length >= n)
				return at;
			at = pool->range[at].next;
		}
		bin++;
	}
	for (unsigned int word = bin / 64; word < sizeof(pool->filled) / sizeof(pool->filled[0]);
	     word++) {
		uint64_t filled = pool->filled[word];

		if (word == bin / 64)
			filled &= ~0ull << (bin % 64);
		if (filled)
			return pool->bin[word * 64 + (unsigned int)__builtin_ctzll(filled)];
	}
	return FIB_POOL_NONE;
}

bool fib_pool_fits(const struct fib_pool *pool, uint32_t n)
{
	return pool->end - pool->top >= n || range_find(pool, n) != FIB_POOL_NONE;
}

uint32_t fib_pool_alloc(struct fib_pool *pool, uint32_t n)
{
	uint32_t at = range_find(pool, n);

	if (at != FIB_POOL_NONE) {
		uint32_t length = pool->range[at].length;

		range_remove(pool, at);
		if (length > n)
			range_insert(pool, at + n, length - n);
	} else {
		if (pool->end - pool->top < n)
			return FIB_POOL_NONE;
		at = pool->top;
		pool->top += n;
	}
	pool->used += n;
	return at;
}

void fib_pool_free(struct fib_pool *pool, uint32_t at, uint32_t n)
{
	uint32_t length;

	pool->used -= n;
	if (at > pool->first && (length = pool->range[at - 1].length) != 0) {
		at -= length;
		range_remove(pool, at);
		n += length;
	}
	if (at + n < pool->top && (length = pool->range[at + n].length) != 0) {
		range_remove(pool, at + n);
		n += length;
	}
	if (at + n == pool->top)
		pool->top = at;
	else
		range_insert(pool, at, n);
}
