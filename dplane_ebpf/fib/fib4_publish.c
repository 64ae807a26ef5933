// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The main table's IPv4 prefixes as readers see them: nodes and blocks made from the heaps, and what
 * waits for room.
 */
#include <stdlib.h>

#include "dplane_ebpf/fib/fib_internal.h"

/* A published node may be so much larger than it has to be, in units, before a smaller one takes its place. */
#define SPARE_UNITS 4u

/* What a node should say. */
struct image {
	uint16_t word[FIB4_MID_SIZE];
	uint64_t bits;
};

/* ---- blocks below /24 ---- */

void fib4_low_push(struct fib *fib, const struct fib4_low *low, uint32_t pos, uint16_t gid)
{
	if (pos >= FIB4_LOW_SIZE) {
		fib_store(&fib->memory.v4_low[low->block * FIB4_LOW_SIZE + pos - FIB4_LOW_SIZE],
			  gid);
		return;
	}
	for (uint32_t child = 2 * pos; child <= 2 * pos + 1; child++) {
		if (!low->heap[child])
			fib4_low_push(fib, low, child, gid);
	}
}

static void low_inherit(struct fib *fib, struct fib4_low *low, uint16_t gid)
{
	if (low->inherit == gid)
		return;
	low->inherit = gid;
	if (low->block != FIB_POOL_NONE)
		fib4_low_push(fib, low, 1, gid);
}

static void low_write(struct fib *fib, const struct fib4_low *low)
{
	uint16_t *word = &fib->memory.v4_low[low->block * FIB4_LOW_SIZE];
	uint16_t value[2 * FIB4_LOW_SIZE];

	value[1] = low->inherit;
	for (unsigned int pos = 2; pos < 2 * FIB4_LOW_SIZE; pos++)
		value[pos] = low->heap[pos] ? low->heap[pos] : value[pos / 2];
	for (unsigned int i = 0; i < FIB4_LOW_SIZE; i++)
		fib_store(&word[i], value[FIB4_LOW_SIZE + i]);
}

/* Finds a block and fills it; nobody reads it until the node above is published. */
static bool low_fill(struct fib *fib, struct fib4_low *low)
{
	low->block = fib_pool_alloc(&fib->pool[FIB_POOL_V4_LOW], 1);
	if (low->block == FIB_POOL_NONE)
		return false;
	low_write(fib, low);
	return true;
}

void fib4_low_place(struct fib *fib, struct fib4_low *low)
{
	if (!low_fill(fib, low))
		TAILQ_INSERT_TAIL(&fib->v4.waiting_low, low, wait);
}

/* ---- nodes ---- */

static struct fib4_node *node_at(const struct fib *fib, uint32_t node)
{
	return (struct fib4_node *)(fib->memory.node + (size_t)node * FIB_UNIT);
}

static uint32_t bits_units(uint64_t bits)
{
	uint32_t runs = (uint32_t)__builtin_popcountll(bits);

	return (uint32_t)((sizeof(struct fib4_node) + runs * sizeof(uint16_t) + FIB_UNIT - 1) /
			  FIB_UNIT);
}

static void image_make(struct fib *fib, struct fib4_mid *mid, struct image *image)
{
	uint16_t value[2 * FIB4_MID_SIZE], *word = image->word;

	value[1] = mid->inherit;
	for (unsigned int pos = 2; pos < FIB4_MID_SIZE; pos++)
		value[pos] = mid->heap[pos] ? mid->heap[pos] : value[pos / 2];
	for (unsigned int pos = FIB4_MID_SIZE; pos < 2 * FIB4_MID_SIZE; pos++)
		word[pos - FIB4_MID_SIZE] = mid->heap[pos] ? mid->heap[pos] : value[pos / 2];
	for (unsigned int i = 0; mid->low && i < FIB4_MID_SIZE; i++) {
		struct fib4_low *low = mid->low[i];

		if (!low)
			continue;
		low_inherit(fib, low, word[i]);
		word[i] = (uint16_t)(low->block == FIB_POOL_NONE ? FIB_GROUP_OVERFLOW
								 : FIB4_LOW | low->block);
	}
	for (uint64_t lost = mid->lost; lost; lost &= lost - 1)
		word[__builtin_ctzll(lost)] = FIB_GROUP_OVERFLOW;
	image->bits = 1;
	for (unsigned int i = 1; i < FIB4_MID_SIZE; i++)
		image->bits |= (uint64_t)(word[i] != word[i - 1]) << i;
}

/* Stores what differs, entry by entry, into a node whose runs, as told by bits, are at least as fine. */
static void image_store(const struct image *image, struct fib4_node *node, uint64_t bits)
{
	uint32_t entry = 0;

	for (; bits; bits &= bits - 1, entry++) {
		uint16_t word = image->word[__builtin_ctzll(bits)];

		if (node->entry[entry] != word)
			fib_store(&node->entry[entry], word);
	}
}

static uint32_t node_new(struct fib *fib, const struct image *image)
{
	uint32_t number = fib_node_alloc(fib, FIB_SIDE_V4, bits_units(image->bits)), entry = 0;
	struct fib4_node *node = node_at(fib, number);

	if (!number)
		return 0;
	node->bits = image->bits;
	for (uint64_t bits = image->bits; bits; bits &= bits - 1)
		node->entry[entry++] = image->word[__builtin_ctzll(bits)];
	return number;
}

static void mid_unlist(struct fib *fib, struct fib4_mid *mid)
{
	if (mid->dirty)
		TAILQ_REMOVE(&fib->v4.dirty, mid, link);
	else if (mid->waiting)
		TAILQ_REMOVE(&fib->v4.waiting, mid, link);
	mid->dirty = mid->waiting = false;
}

void fib4_dirty(struct fib *fib, struct fib4_mid *mid)
{
	if (mid->dirty)
		return;
	mid_unlist(fib, mid);
	mid->dirty = true;
	TAILQ_INSERT_TAIL(&fib->v4.dirty, mid, link);
}

static void mid_wait(struct fib *fib, struct fib4_mid *mid)
{
	mid->waiting = true;
	TAILQ_INSERT_TAIL(&fib->v4.waiting, mid, link);
}

static void node_end(struct fib *fib, struct fib4_mid *mid, uint32_t word, uint64_t bits)
{
	uint32_t old = mid->node, units = bits_units(mid->bits);

	mid->node = fib_node_is(word) ? fib_node_number(word) : 0;
	mid->bits = bits;
	fib_store(&fib->memory.v4_root[mid->slot], word);
	if (old)
		fib_node_retire(fib, FIB_SIDE_V4, old, units);
}

/* Whether the image can be stored where the node is, which has not been damaged. */
static bool fits_in_place(const struct fib *fib, const struct fib4_mid *mid,
			  const struct image *image)
{
	return mid->node && !mid->anew && !(image->bits & ~mid->bits) &&
	       (bits_units(mid->bits) <= mid->wanted + SPARE_UNITS ||
		!fib_node_fits(fib, mid->wanted)) &&
	       node_at(fib, mid->node)->bits == mid->bits;
}

static void mid_publish(struct fib *fib, struct fib4_mid *mid)
{
	struct image image;
	bool in_place;
	uint32_t node;

	image_make(fib, mid, &image);
	mid->wanted = bits_units(image.bits);
	in_place = fits_in_place(fib, mid, &image);
	mid->anew = false;
	if (image.bits == 1) {
		node_end(fib, mid, image.word[0], 1);
		return;
	}
	if (in_place) {
		image_store(&image, node_at(fib, mid->node), mid->bits);
		return;
	}
	node = node_new(fib, &image);
	node_end(fib, mid, node ? FIB_NODE | node : FIB_GROUP_OVERFLOW, image.bits);
	if (!node)
		mid_wait(fib, mid);
}

void fib4_anew(struct fib *fib, struct fib4_mid *mid)
{
	for (unsigned int i = 0; mid->low && i < FIB4_MID_SIZE; i++) {
		if (mid->low[i] && mid->low[i]->block != FIB_POOL_NONE)
			low_write(fib, mid->low[i]);
	}
	mid->anew = true;
	fib4_dirty(fib, mid);
}

void fib4_publish(struct fib *fib)
{
	struct fib4_mid *mid;

	while ((mid = TAILQ_FIRST(&fib->v4.dirty))) {
		mid_unlist(fib, mid);
		if (mid->prefixes || mid->lows || mid->lost) {
			mid_publish(fib, mid);
			continue;
		}
		node_end(fib, mid, mid->inherit, 1);
		fib->v4.mid[mid->slot] = NULL;
		free(mid->low);
		free(mid);
	}
}

void fib4_move(struct fib *fib, uint32_t slot)
{
	struct fib4_mid *mid = fib->v4.mid[slot];
	uint32_t node;

	if (!mid || !mid->node)
		return;
	node = fib_node_move(fib, FIB_SIDE_V4, mid->node, bits_units(mid->bits));
	if (!node)
		return;
	mid->node = node;
	fib_store(&fib->memory.v4_root[slot], FIB_NODE | node);
}

/* ---- overflow ---- */

void fib4_place(struct fib *fib)
{
	struct fib4_mid *mid, *last = TAILQ_LAST(&fib->v4.waiting, fib4_mid_list);
	struct fib4_low *low;
	bool more = last;

	while (more) {
		mid = TAILQ_FIRST(&fib->v4.waiting);
		more = mid != last;
		mid_unlist(fib, mid);
		if (fib_node_fits(fib, mid->wanted))
			mid_publish(fib, mid);
		else
			mid_wait(fib, mid);
	}
	while ((low = TAILQ_FIRST(&fib->v4.waiting_low)) && low_fill(fib, low)) {
		TAILQ_REMOVE(&fib->v4.waiting_low, low, wait);
		fib4_dirty(fib, low->mid);
	}
}

uint64_t fib4_overflow(const struct fib *fib)
{
	const struct fib4_mid *mid;
	const struct fib4_low *low;
	uint64_t routes = 0;

	TAILQ_FOREACH(mid, &fib->v4.waiting, link)
	{
		routes += mid->prefixes;
		for (unsigned int i = 0; mid->low && i < FIB4_MID_SIZE; i++)
			routes += mid->low[i] ? mid->low[i]->prefixes : 0;
	}
	TAILQ_FOREACH(low, &fib->v4.waiting_low, wait)
	{
		if (!low->mid->waiting)
			routes += low->prefixes;
	}
	return routes;
}
