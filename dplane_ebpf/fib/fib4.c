// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The main table's IPv4 prefixes: heaps of those that end in each stride of the address, 18-6-8, and
 * which strides have anything longer.
 */
#include <errno.h>
#include <stdlib.h>

#include "dplane_ebpf/fib/fib_internal.h"

struct fib4_mid fib4_lost;

int fib4_init(struct fib *fib)
{
	struct fib4 *v4 = &fib->v4;

	TAILQ_INIT(&v4->dirty);
	TAILQ_INIT(&v4->waiting);
	TAILQ_INIT(&v4->waiting_low);
	v4->heap = calloc(2 * FIB4_ROOT_SIZE, sizeof(*v4->heap));
	v4->mid = calloc(FIB4_ROOT_SIZE, sizeof(struct fib4_mid *));
	return v4->heap && v4->mid ? 0 : -ENOMEM;
}

void fib4_fini(struct fib *fib)
{
	struct fib4 *v4 = &fib->v4;

	for (uint32_t slot = 0; v4->mid && slot < FIB4_ROOT_SIZE; slot++) {
		struct fib4_mid *mid = v4->mid[slot];

		if (!mid || mid == &fib4_lost)
			continue;
		for (unsigned int i = 0; mid->low && i < FIB4_MID_SIZE; i++)
			free(mid->low[i]);
		free(mid->low);
		free(mid);
	}
	free(v4->mid);
	free(v4->heap);
}

/* ---- what covers what ---- */

static uint16_t mid_cover(const struct fib4_mid *mid, uint32_t pos)
{
	uint16_t gid = fib_heap_cover(mid->heap, pos);

	return gid ? gid : mid->inherit;
}

static uint16_t low_cover(const struct fib4_low *low, uint32_t pos)
{
	uint16_t gid = fib_heap_cover(low->heap, pos);

	return gid ? gid : low->inherit;
}

static uint16_t root_cover(const struct fib *fib, uint32_t slot)
{
	uint32_t pos = FIB4_ROOT_SIZE + slot;
	const uint16_t *heap = fib->v4.heap;

	return heap[pos] ? heap[pos] : fib_heap_cover(heap, pos);
}

static void root_push(struct fib *fib, uint32_t pos, uint16_t gid)
{
	if (pos >= FIB4_ROOT_SIZE) {
		uint32_t slot = pos - FIB4_ROOT_SIZE;
		struct fib4_mid *mid = fib->v4.mid[slot];

		if (!mid) {
			fib_store(&fib->memory.v4_root[slot], gid);
		} else if (mid != &fib4_lost) {
			mid->inherit = gid;
			fib4_dirty(fib, mid);
		}
		return;
	}
	for (uint32_t child = 2 * pos; child <= 2 * pos + 1; child++) {
		if (!fib->v4.heap[child])
			root_push(fib, child, gid);
	}
}

/* ---- strides come; they go when they are published and empty ---- */

static struct fib4_mid *mid_new(struct fib *fib, uint32_t slot)
{
	struct fib4_mid *mid = calloc(1, sizeof(*mid));

	if (!mid) {
		fib->v4.mid[slot] = &fib4_lost;
		fib_store(&fib->memory.v4_root[slot], FIB_GROUP_OVERFLOW);
		return NULL;
	}
	mid->slot = slot;
	mid->inherit = root_cover(fib, slot);
	fib->v4.mid[slot] = mid;
	fib4_dirty(fib, mid);
	return mid;
}

static struct fib4_low *low_new(struct fib *fib, struct fib4_mid *mid, unsigned int index)
{
	uint32_t leaf = FIB4_MID_SIZE + index;
	struct fib4_low *low = calloc(1, sizeof(*low));

	fib4_dirty(fib, mid);
	if (!mid->low)
		mid->low = calloc(FIB4_MID_SIZE, sizeof(struct fib4_low *));
	if (!low || !mid->low) {
		free(low);
		mid->lost |= 1ull << index;
		return NULL;
	}
	low->block = FIB_POOL_NONE;
	low->mid = mid;
	low->index = (uint8_t)index;
	low->inherit = mid->heap[leaf] ? mid->heap[leaf] : mid_cover(mid, leaf);
	mid->low[index] = low;
	mid->lows++;
	return low;
}

static void low_remove(struct fib *fib, struct fib4_low *low)
{
	struct fib4_mid *mid = low->mid;

	fib4_dirty(fib, mid);
	if (low->block != FIB_POOL_NONE)
		fib_retire(fib, FIB_POOL_V4_LOW, low->block, 1);
	else
		TAILQ_REMOVE(&fib->v4.waiting_low, low, wait);
	mid->low[low->index] = NULL;
	if (!--mid->lows) {
		free(mid->low);
		mid->low = NULL;
	}
	free(low);
}

/* ---- set and delete ---- */

static uint16_t exchange(uint16_t *place, uint16_t gid)
{
	uint16_t old = *place;

	*place = gid;
	return old;
}

static uint16_t fallback_set(struct fib *fib, uint16_t gid)
{
	fib_store(&fib->memory.header->table[0].v4_default, gid ? gid : FIB_GROUP_NO_ROUTE);
	return exchange(&fib->v4.fallback, gid);
}

static int low_set(struct fib *fib, struct fib4_mid *mid, uint32_t addr, uint8_t len, uint16_t gid,
		   uint16_t *old)
{
	unsigned int index = addr >> FIB4_LOW_BITS & (FIB4_MID_SIZE - 1);
	struct fib4_low *low = mid->low ? mid->low[index] : NULL;
	uint32_t pos = fib_heap_pos(addr >> (32 - len), len - 24u);
	bool fresh = !low;

	if (mid->lost >> index & 1)
		return -ENOMEM;
	if (fresh) {
		low = low_new(fib, mid, index);
		if (!low)
			return -ENOMEM;
	}
	*old = exchange(&low->heap[pos], gid);
	low->prefixes += !*old;
	if (fresh)
		fib4_low_place(fib, low);
	else if (low->block != FIB_POOL_NONE && *old != gid)
		fib4_low_push(fib, low, pos, gid);
	return 0;
}

int fib4_set(struct fib *fib, uint32_t addr, uint8_t len, uint16_t gid, uint16_t *old)
{
	uint32_t pos, slot = addr >> (32 - FIB4_ROOT_BITS);
	struct fib4_mid *mid;

	if (!len) {
		*old = fallback_set(fib, gid);
		return 0;
	}
	if (len <= FIB4_ROOT_BITS) {
		pos = fib_heap_pos(addr >> (32 - len), len);
		*old = exchange(&fib->v4.heap[pos], gid);
		if (*old != gid)
			root_push(fib, pos, gid);
		return 0;
	}
	mid = fib->v4.mid[slot];
	if (mid == &fib4_lost)
		return -ENOMEM;
	if (!mid)
		mid = mid_new(fib, slot);
	if (!mid)
		return -ENOMEM;
	if (len > 24)
		return low_set(fib, mid, addr, len, gid, old);
	pos = fib_heap_pos(addr >> (32 - len), len - FIB4_ROOT_BITS);
	*old = exchange(&mid->heap[pos], gid);
	mid->prefixes += !*old;
	if (*old != gid)
		fib4_dirty(fib, mid);
	return 0;
}

static uint16_t low_del(struct fib *fib, struct fib4_mid *mid, uint32_t addr, uint8_t len)
{
	struct fib4_low *low =
		mid->low ? mid->low[addr >> FIB4_LOW_BITS & (FIB4_MID_SIZE - 1)] : NULL;
	uint32_t pos = fib_heap_pos(addr >> (32 - len), len - 24u);
	uint16_t old = low ? exchange(&low->heap[pos], 0) : 0;

	if (!old)
		return 0;
	if (!--low->prefixes)
		low_remove(fib, low);
	else if (low->block != FIB_POOL_NONE)
		fib4_low_push(fib, low, pos, low_cover(low, pos));
	return old;
}

uint16_t fib4_del(struct fib *fib, uint32_t addr, uint8_t len)
{
	struct fib4_mid *mid = fib->v4.mid[addr >> (32 - FIB4_ROOT_BITS)];
	uint32_t pos;
	uint16_t old;

	if (!len)
		return fallback_set(fib, 0);
	if (len <= FIB4_ROOT_BITS) {
		pos = fib_heap_pos(addr >> (32 - len), len);
		old = exchange(&fib->v4.heap[pos], 0);
		if (old)
			root_push(fib, pos, fib_heap_cover(fib->v4.heap, pos));
		return old;
	}
	if (!mid || mid == &fib4_lost)
		return 0;
	if (len > 24)
		return low_del(fib, mid, addr, len);
	pos = fib_heap_pos(addr >> (32 - len), len - FIB4_ROOT_BITS);
	old = exchange(&mid->heap[pos], 0);
	if (old) {
		mid->prefixes--;
		fib4_dirty(fib, mid);
	}
	return old;
}
