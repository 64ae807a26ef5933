// SPDX-License-Identifier: GPL-2.0-or-later
/* Reading the main table's IPv4 prefixes: as readers of the shared memory do, and from the heaps. */
#include "dplane_ebpf/fib/fib_internal.h"

uint32_t fib4_word(const struct fib *fib, uint32_t root, unsigned int index)
{
	const struct fib4_node *node = fib_node_read(fib, root);
	uint64_t below;

	if (!fib_node_is(root))
		return root;
	below = node->bits << (FIB4_MID_SIZE - 1 - index);
	return fib_load(
		&node->entry[(unsigned int)(__builtin_popcountll(below) - 1) % FIB4_MID_SIZE]);
}

uint32_t fib4_lookup(const struct fib *fib, uint32_t addr)
{
	uint32_t value = fib_load(&fib->memory.v4_root[addr >> (32 - FIB4_ROOT_BITS)]);

	if (fib_node_is(value)) {
		value = fib4_word(fib, value, addr >> FIB4_LOW_BITS & (FIB4_MID_SIZE - 1));
		if (value & FIB4_LOW) {
			value &= fib->geometry.v4_low_blocks - 1;
			value = value * FIB4_LOW_SIZE + (addr & (FIB4_LOW_SIZE - 1));
			value = fib_load(&fib->memory.v4_low[value]);
		}
	}
	return value ? value : fib_load(&fib->memory.header->table[0].v4_default);
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
		while (v4->mid[slot] && v4->mid[slot] != &fib4_lost && place < WALK_SLOT) {
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
