// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The IPv4 table, 18-6-8. Each stride of addresses has a heap of the prefixes
 * that end in it; what a prefix covers is pushed down to the leaves that no longer
 * prefix covers, and through them into the blocks below.
 */
#include <errno.h>
#include <stdlib.h>

#include "dplane_ebpf/fib/fib_internal.h"

/* The prefixes /25 to /32 of one /24. */
struct fib4_low {
	TAILQ_ENTRY(fib4_low) wait;
	struct fib4_mid *mid;
	uint32_t block; /* FIB_POOL_NONE: waits for one */
	uint16_t inherit;
	uint16_t prefixes;
	uint8_t index; /* in mid */
	uint16_t heap[2 * FIB4_LOW_SIZE];
};

/* The prefixes /19 to /24 of one /18, and what is below. */
struct fib4_mid {
	TAILQ_ENTRY(fib4_mid) wait;
	struct fib4_low **low; /* NULL while there is none */
	uint64_t lost;	       /* /24s that found no ordinary memory: the kernel's for good */
	uint32_t block;	       /* FIB_POOL_NONE: waits for one */
	uint32_t slot;
	uint16_t inherit;
	uint8_t prefixes;
	uint8_t lows;
	uint16_t heap[2 * FIB4_MID_SIZE];
};

/* Stands for a mid that found no ordinary memory. */
static struct fib4_mid lost_mid;

int fib4_init(struct fib *fib)
{
	struct fib4 *v4 = &fib->v4;

	TAILQ_INIT(&v4->waiting_mid);
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

		if (!mid || mid == &lost_mid)
			continue;
		for (unsigned int i = 0; mid->low && i < FIB4_MID_SIZE; i++)
			free(mid->low[i]);
		free(mid->low);
		free(mid);
	}
	free(v4->mid);
	free(v4->heap);
}

/* ---- publishing ---- */

static void low_link(struct fib *fib, const struct fib4_low *low)
{
	if (low->mid->block != FIB_POOL_NONE)
		fib_store(&fib->memory.v4_mid[low->mid->block * FIB4_MID_SIZE + low->index],
			  (uint16_t)(low->block == FIB_POOL_NONE ? FIB_GROUP_OVERFLOW
								 : FIB4_LOW | low->block));
}

static void mid_link(struct fib *fib, const struct fib4_mid *mid)
{
	fib_store(&fib->memory.v4_root[mid->slot],
		  mid->block == FIB_POOL_NONE ? FIB_GROUP_OVERFLOW : FIB4_BLOCK | mid->block);
}

/* Find a block, fill it, publish it. False: none is free, and the /24 is the kernel's. */
static bool low_place(struct fib *fib, struct fib4_low *low)
{
	uint16_t value[2 * FIB4_LOW_SIZE];
	uint16_t *word;

	low->block = fib_pool_alloc(&fib->pool[FIB_POOL_V4_LOW], 1);
	if (low->block != FIB_POOL_NONE) {
		word = &fib->memory.v4_low[low->block * FIB4_LOW_SIZE];
		value[1] = low->inherit;
		for (unsigned int pos = 2; pos < 2 * FIB4_LOW_SIZE; pos++)
			value[pos] = low->heap[pos] ? low->heap[pos] : value[pos / 2];
		for (unsigned int i = 0; i < FIB4_LOW_SIZE; i++)
			fib_store(&word[i], value[FIB4_LOW_SIZE + i]);
	}
	low_link(fib, low);
	return low->block != FIB_POOL_NONE;
}

static bool mid_place(struct fib *fib, struct fib4_mid *mid)
{
	uint16_t value[2 * FIB4_MID_SIZE];
	uint16_t *word;

	mid->block = fib_pool_alloc(&fib->pool[FIB_POOL_V4_MID], 1);
	if (mid->block != FIB_POOL_NONE) {
		word = &fib->memory.v4_mid[mid->block * FIB4_MID_SIZE];
		value[1] = mid->inherit;
		for (unsigned int pos = 2; pos < 2 * FIB4_MID_SIZE; pos++)
			value[pos] = mid->heap[pos] ? mid->heap[pos] : value[pos / 2];
		for (unsigned int i = 0; i < FIB4_MID_SIZE; i++) {
			if (mid->low && mid->low[i])
				low_link(fib, mid->low[i]);
			else if (mid->lost >> i & 1)
				fib_store(&word[i], FIB_GROUP_OVERFLOW);
			else
				fib_store(&word[i], value[FIB4_MID_SIZE + i]);
		}
	}
	mid_link(fib, mid);
	return mid->block != FIB_POOL_NONE;
}

/* pos, and what only it covers, is now gid. */
static void low_push(struct fib *fib, const struct fib4_low *low, uint32_t pos, uint16_t gid)
{
	if (pos >= FIB4_LOW_SIZE) {
		fib_store(&fib->memory.v4_low[low->block * FIB4_LOW_SIZE + pos - FIB4_LOW_SIZE],
			  gid);
		return;
	}
	for (uint32_t child = 2 * pos; child <= 2 * pos + 1; child++) {
		if (!low->heap[child])
			low_push(fib, low, child, gid);
	}
}

static void mid_push(struct fib *fib, const struct fib4_mid *mid, uint32_t pos, uint16_t gid)
{
	if (pos >= FIB4_MID_SIZE) {
		uint32_t index = pos - FIB4_MID_SIZE;
		struct fib4_low *low = mid->low ? mid->low[index] : NULL;

		if (low) {
			low->inherit = gid;
			if (low->block != FIB_POOL_NONE)
				low_push(fib, low, 1, gid);
		} else if (mid->block != FIB_POOL_NONE && !(mid->lost >> index & 1)) {
			fib_store(&fib->memory.v4_mid[mid->block * FIB4_MID_SIZE + index], gid);
		}
		return;
	}
	for (uint32_t child = 2 * pos; child <= 2 * pos + 1; child++) {
		if (!mid->heap[child])
			mid_push(fib, mid, child, gid);
	}
}

static void root_push(struct fib *fib, uint32_t pos, uint16_t gid)
{
	if (pos >= FIB4_ROOT_SIZE) {
		uint32_t slot = pos - FIB4_ROOT_SIZE;
		struct fib4_mid *mid = fib->v4.mid[slot];

		if (!mid) {
			fib_store(&fib->memory.v4_root[slot], gid);
		} else if (mid != &lost_mid) {
			mid->inherit = gid;
			mid_push(fib, mid, 1, gid);
		}
		return;
	}
	for (uint32_t child = 2 * pos; child <= 2 * pos + 1; child++) {
		if (!fib->v4.heap[child])
			root_push(fib, child, gid);
	}
}

/* ---- blocks come and go ---- */

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

static struct fib4_mid *mid_new(struct fib *fib, uint32_t slot)
{
	struct fib4_mid *mid = calloc(1, sizeof(*mid));

	if (!mid) {
		fib->v4.mid[slot] = &lost_mid;
		fib_store(&fib->memory.v4_root[slot], FIB_GROUP_OVERFLOW);
		return NULL;
	}
	mid->block = FIB_POOL_NONE;
	mid->slot = slot;
	/* no block stands there: the word is what covers the slot */
	mid->inherit = (uint16_t)fib->memory.v4_root[slot];
	fib->v4.mid[slot] = mid;
	return mid;
}

static struct fib4_low *low_new(struct fib *fib, struct fib4_mid *mid, unsigned int index)
{
	uint32_t leaf = FIB4_MID_SIZE + index;
	struct fib4_low *low = calloc(1, sizeof(*low));

	if (!mid->low)
		mid->low = calloc(FIB4_MID_SIZE, sizeof(struct fib4_low *));
	if (!low || !mid->low) {
		free(low);
		mid->lost |= 1ull << index;
		if (mid->block != FIB_POOL_NONE)
			fib_store(&fib->memory.v4_mid[mid->block * FIB4_MID_SIZE + index],
				  FIB_GROUP_OVERFLOW);
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

/* Ends a block that nothing needs: its word is a leaf again. */
static void low_remove(struct fib *fib, struct fib4_low *low)
{
	struct fib4_mid *mid = low->mid;

	if (mid->block != FIB_POOL_NONE)
		fib_store(&fib->memory.v4_mid[mid->block * FIB4_MID_SIZE + low->index],
			  low->inherit);
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

static void mid_remove_if_empty(struct fib *fib, struct fib4_mid *mid)
{
	if (mid->prefixes || mid->lows || mid->lost)
		return;
	fib_store(&fib->memory.v4_root[mid->slot], mid->inherit);
	if (mid->block != FIB_POOL_NONE)
		fib_retire(fib, FIB_POOL_V4_MID, mid->block, 1);
	else
		TAILQ_REMOVE(&fib->v4.waiting_mid, mid, wait);
	fib->v4.mid[mid->slot] = NULL;
	free(mid->low);
	free(mid);
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
	fib_store(&fib->memory.header->v4_default, gid ? gid : FIB_GROUP_NO_ROUTE);
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
	if (fresh) {
		if (!low_place(fib, low))
			TAILQ_INSERT_TAIL(&fib->v4.waiting_low, low, wait);
	} else if (low->block != FIB_POOL_NONE) {
		low_push(fib, low, pos, gid);
	}
	return 0;
}

int fib4_set(struct fib *fib, uint32_t addr, uint8_t len, uint16_t gid, uint16_t *old)
{
	uint32_t pos, slot = addr >> (32 - FIB4_ROOT_BITS);
	struct fib4_mid *mid;
	bool fresh;
	int err = 0;

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
	if (mid == &lost_mid)
		return -ENOMEM;
	fresh = !mid;
	if (fresh) {
		mid = mid_new(fib, slot);
		if (!mid)
			return -ENOMEM;
	}
	if (len <= 24) {
		pos = fib_heap_pos(addr >> (32 - len), len - FIB4_ROOT_BITS);
		*old = exchange(&mid->heap[pos], gid);
		mid->prefixes += !*old;
		if (!fresh && *old != gid)
			mid_push(fib, mid, pos, gid);
	} else {
		err = low_set(fib, mid, addr, len, gid, old);
	}
	if (fresh && !mid_place(fib, mid))
		TAILQ_INSERT_TAIL(&fib->v4.waiting_mid, mid, wait);
	return err;
}

uint16_t fib4_del(struct fib *fib, uint32_t addr, uint8_t len)
{
	struct fib4_mid *mid = fib->v4.mid[addr >> (32 - FIB4_ROOT_BITS)];
	struct fib4_low *low;
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
	if (!mid || mid == &lost_mid)
		return 0;
	if (len <= 24) {
		pos = fib_heap_pos(addr >> (32 - len), len - FIB4_ROOT_BITS);
		old = exchange(&mid->heap[pos], 0);
		if (!old)
			return 0;
		mid->prefixes--;
		if (mid->prefixes || mid->lows || mid->lost)
			mid_push(fib, mid, pos, mid_cover(mid, pos));
	} else {
		low = mid->low ? mid->low[addr >> FIB4_LOW_BITS & (FIB4_MID_SIZE - 1)] : NULL;
		if (!low)
			return 0;
		pos = fib_heap_pos(addr >> (32 - len), len - 24u);
		old = exchange(&low->heap[pos], 0);
		if (!old)
			return 0;
		if (!--low->prefixes)
			low_remove(fib, low);
		else if (low->block != FIB_POOL_NONE)
			low_push(fib, low, pos, low_cover(low, pos));
	}
	mid_remove_if_empty(fib, mid);
	return old;
}

void fib4_place(struct fib *fib)
{
	struct fib4_mid *mid;
	struct fib4_low *low;

	while ((mid = TAILQ_FIRST(&fib->v4.waiting_mid)) && mid_place(fib, mid))
		TAILQ_REMOVE(&fib->v4.waiting_mid, mid, wait);
	while ((low = TAILQ_FIRST(&fib->v4.waiting_low)) && low_place(fib, low))
		TAILQ_REMOVE(&fib->v4.waiting_low, low, wait);
}

uint64_t fib4_overflow(const struct fib *fib)
{
	const struct fib4_mid *mid;
	const struct fib4_low *low;
	uint64_t routes = 0;

	TAILQ_FOREACH(mid, &fib->v4.waiting_mid, wait)
	{
		routes += mid->prefixes;
		for (unsigned int i = 0; mid->low && i < FIB4_MID_SIZE; i++)
			routes += mid->low[i] ? mid->low[i]->prefixes : 0;
	}
	TAILQ_FOREACH(low, &fib->v4.waiting_low, wait)
	{
		if (low->mid->block != FIB_POOL_NONE)
			routes += low->prefixes;
	}
	return routes;
}

/* ---- reading ---- */

uint32_t fib4_lookup(const struct fib *fib, uint32_t addr)
{
	const struct fib_memory *memory = &fib->memory;
	uint32_t value = fib_load(&memory->v4_root[addr >> (32 - FIB4_ROOT_BITS)]);

	if (value & FIB4_BLOCK) {
		value = (value & ~FIB4_BLOCK) * FIB4_MID_SIZE +
			(addr >> FIB4_LOW_BITS & (FIB4_MID_SIZE - 1));
		value = fib_load(&memory->v4_mid[value]);
		if (value & FIB4_LOW) {
			value = (value & ~FIB4_LOW) * FIB4_LOW_SIZE + (addr & (FIB4_LOW_SIZE - 1));
			value = fib_load(&memory->v4_low[value]);
		}
	}
	return value ? value : fib_load(&memory->header->v4_default);
}

/* Longest prefix at or above pos in a heap; its relative length, or 0: none. */
static unsigned int heap_find(const uint16_t *heap, uint32_t pos)
{
	while (pos > 1 && !heap[pos])
		pos >>= 1;
	return 31 - (unsigned int)__builtin_clz(pos);
}

uint16_t fib4_cover(const struct fib *fib, uint32_t addr, uint8_t len, uint8_t *found_len)
{
	const struct fib4_mid *mid = fib->v4.mid[addr >> (32 - FIB4_ROOT_BITS)];
	const struct fib4_low *low;
	unsigned int rel, bits;

	if (mid && len > 24) {
		low = mid->low ? mid->low[addr >> FIB4_LOW_BITS & (FIB4_MID_SIZE - 1)] : NULL;
		rel = low ? heap_find(low->heap, fib_heap_pos(addr >> (32 - len), len - 24u)) : 0;
		if (rel) {
			*found_len = (uint8_t)(24 + rel);
			return low->heap[fib_heap_pos(addr >> (8 - rel), rel)];
		}
	}
	if (mid && len > FIB4_ROOT_BITS) {
		bits = len > 24 ? 24 : len;
		rel = heap_find(mid->heap,
				fib_heap_pos(addr >> (32 - bits), bits - FIB4_ROOT_BITS));
		if (rel) {
			*found_len = (uint8_t)(FIB4_ROOT_BITS + rel);
			return mid->heap[fib_heap_pos(addr >> (14 - rel), rel)];
		}
	}
	if (len) {
		bits = len > FIB4_ROOT_BITS ? FIB4_ROOT_BITS : len;
		rel = heap_find(fib->v4.heap, fib_heap_pos(addr >> (32 - bits), bits));
		if (rel) {
			*found_len = (uint8_t)rel;
			return fib->v4.heap[fib_heap_pos(addr >> (32 - rel), rel)];
		}
	}
	*found_len = 0;
	return fib->v4.fallback;
}

/* ---- walking: the cursor numbers every place where a prefix could be ---- */

#define WALK_LOWS (2 * FIB4_MID_SIZE)
#define WALK_SLOT (WALK_LOWS + FIB4_MID_SIZE * 2 * FIB4_LOW_SIZE)
#define WALK_MIDS (2 * FIB4_ROOT_SIZE)

static uint32_t heap_addr(uint32_t pos, unsigned int rel, unsigned int width)
{
	return (pos ^ 1u << rel) << (width - rel);
}

/* The prefix at a place of a slot; *place moves to the next place worth a look. */
static uint16_t walk_slot(const struct fib4_mid *mid, uint32_t *place, uint32_t *addr, uint8_t *len)
{
	uint32_t index, pos = *place;
	const uint16_t *heap = mid->heap;
	unsigned int rel;

	if (pos < WALK_LOWS) {
		++*place;
		if (pos < 2)
			return 0;
		rel = 31 - (unsigned int)__builtin_clz(pos);
		*addr = heap_addr(pos, rel, FIB4_MID_BITS) << FIB4_LOW_BITS;
		*len = (uint8_t)(FIB4_ROOT_BITS + rel);
	} else {
		index = (pos - WALK_LOWS) / (2 * FIB4_LOW_SIZE);
		pos = (pos - WALK_LOWS) % (2 * FIB4_LOW_SIZE);
		if (!mid->low || !mid->low[index]) {
			*place = mid->low ? *place + 2 * FIB4_LOW_SIZE - pos : WALK_SLOT;
			return 0;
		}
		++*place;
		if (pos < 2)
			return 0;
		heap = mid->low[index]->heap;
		rel = 31 - (unsigned int)__builtin_clz(pos);
		*addr = index << FIB4_LOW_BITS | heap_addr(pos, rel, FIB4_LOW_BITS);
		*len = (uint8_t)(24 + rel);
	}
	return heap[pos];
}

bool fib4_walk(const struct fib *fib, uint64_t *cursor, fib4_visit visit, void *arg)
{
	const struct fib4 *v4 = &fib->v4;
	uint32_t slot, place, addr, rel;
	uint16_t gid;
	uint8_t len;

	while (*cursor < WALK_MIDS) {
		uint32_t pos = (uint32_t)(*cursor)++;

		gid = pos ? v4->heap[pos] : v4->fallback;
		if (!gid)
			continue;
		rel = pos ? 31 - (uint32_t)__builtin_clz(pos) : 0;
		addr = pos ? (pos ^ 1u << rel) << (32 - rel) : 0;
		if (!visit(arg, addr, (uint8_t)rel, gid))
			return true;
	}
	for (slot = (uint32_t)((*cursor - WALK_MIDS) / WALK_SLOT); slot < FIB4_ROOT_SIZE; slot++) {
		place = (uint32_t)((*cursor - WALK_MIDS) % WALK_SLOT);
		while (v4->mid[slot] && v4->mid[slot] != &lost_mid && place < WALK_SLOT) {
			gid = walk_slot(v4->mid[slot], &place, &addr, &len);
			if (!gid || visit(arg, slot << (32 - FIB4_ROOT_BITS) | addr, len, gid))
				continue;
			*cursor = WALK_MIDS + (uint64_t)slot * WALK_SLOT + place;
			return true;
		}
		*cursor = WALK_MIDS + (uint64_t)(slot + 1) * WALK_SLOT;
	}
	return false;
}
