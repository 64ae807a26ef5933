// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The main table's IPv6 prefixes: heaps of the short ones, pushed down into the root's words
 * and into the branches (branch.c) that hang on them.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dplane_ebpf/fib/fib_internal.h"

#define ROOT_LEN 24u /* bits of the address that 2000::/3's part of the root uses */

/* Stands for a branch that found no ordinary memory. */
static const uint8_t lost_mark;
#define BRANCH_LOST ((struct fib_branch *)(uintptr_t)&lost_mark)

int fib6_init(struct fib *fib)
{
	fib->v6.heap = calloc(2 * FIB6_ROOT_SIZE, sizeof(*fib->v6.heap));
	fib->v6.branch = calloc(FIB6_SLOTS, sizeof(struct fib_branch *));
	return fib->v6.heap && fib->v6.branch ? 0 : -ENOMEM;
}

void fib6_fini(struct fib *fib)
{
	for (uint32_t slot = 0; fib->v6.branch && slot < FIB6_SLOTS; slot++) {
		if (fib->v6.branch[slot] && fib->v6.branch[slot] != BRANCH_LOST)
			fib_branch_free(fib->v6.branch[slot]);
	}
	free(fib->v6.branch);
	free(fib->v6.heap);
}

static bool in_root(const uint8_t *addr)
{
	return addr[0] >> 5 == 1;
}

static uint32_t root_bits(const uint8_t *addr)
{
	return (addr[0] & 31u) << 16 | (uint32_t)addr[1] << 8 | addr[2];
}

uint32_t fib6_slot_of(const uint8_t *addr)
{
	return in_root(addr) ? root_bits(addr) : FIB6_ROOT_SIZE + addr[0];
}

static void slot_push(struct fib *fib, uint32_t slot, uint16_t gid)
{
	struct fib_branch *branch = fib->v6.branch[slot];

	if (!branch)
		fib_store(&fib->memory.v6_root[slot], gid);
	else if (branch != BRANCH_LOST)
		fib_branch_inherit(fib, branch, gid);
}

static void root_push(struct fib *fib, uint32_t pos, uint16_t gid)
{
	if (pos >= FIB6_ROOT_SIZE) {
		slot_push(fib, pos - FIB6_ROOT_SIZE, gid);
		return;
	}
	for (uint32_t child = 2 * pos; child <= 2 * pos + 1; child++) {
		if (!fib->v6.heap[child])
			root_push(fib, child, gid);
	}
}

static void outer_push(struct fib *fib, uint32_t pos, uint16_t gid)
{
	if (pos == FIB6_ROOT_OUTER) {
		if (!fib->v6.heap[1])
			root_push(fib, 1, gid);
		return;
	}
	if (pos >= FIB6_OUTER_SIZE) {
		slot_push(fib, FIB6_ROOT_SIZE + pos - FIB6_OUTER_SIZE, gid);
		return;
	}
	for (uint32_t child = 2 * pos; child <= 2 * pos + 1; child++) {
		if (!fib->v6.outer[child])
			outer_push(fib, child, gid);
	}
}

/* The heap in which a prefix lies, and its position there. */
uint16_t *fib6_heap_of(struct fib6 *v6, const uint8_t *addr, uint8_t len, uint32_t *pos)
{
	if (len >= 3 && in_root(addr)) {
		if (len > ROOT_LEN)
			return NULL;
		*pos = fib_heap_pos(root_bits(addr) >> (ROOT_LEN - len), len - 3u);
		return v6->heap;
	}
	if (len > 8)
		return NULL;
	*pos = fib_heap_pos((uint32_t)addr[0] >> (8 - len), len);
	return v6->outer;
}

static uint16_t exchange(uint16_t *place, uint16_t gid)
{
	uint16_t old = *place;

	*place = gid;
	return old;
}

static uint16_t fallback_set(struct fib *fib, uint16_t gid)
{
	fib_store(&fib->memory.header->table[0].v6_default, gid ? gid : FIB_GROUP_NO_ROUTE);
	return exchange(&fib->v6.fallback, gid);
}

/* gid 0 deletes. */
static uint16_t heap_set(struct fib *fib, uint16_t *heap, uint32_t pos, uint16_t gid)
{
	uint16_t old = exchange(&heap[pos], gid);
	uint16_t value = gid;

	if (old == gid)
		return old;
	if (!value)
		value = fib_heap_cover(heap, pos);
	if (heap == fib->v6.heap) {
		if (!value)
			value = fib_heap_cover(fib->v6.outer, FIB6_ROOT_OUTER);
		root_push(fib, pos, value);
	} else {
		outer_push(fib, pos, value);
	}
	return old;
}

/* What of the heaps covers a slot, 0: nothing. */
static uint16_t slot_cover(const struct fib6 *v6, uint32_t slot)
{
	uint32_t pos = FIB6_ROOT_SIZE + slot;
	const uint16_t *heap = v6->heap;
	uint16_t gid;

	if (slot < FIB6_ROOT_SIZE) {
		gid = heap[pos] ? heap[pos] : fib_heap_cover(heap, pos);
		return gid ? gid : fib_heap_cover(v6->outer, FIB6_ROOT_OUTER);
	}
	pos = FIB6_OUTER_SIZE + slot - FIB6_ROOT_SIZE;
	return v6->outer[pos] ? v6->outer[pos] : fib_heap_cover(v6->outer, pos);
}

int fib6_set(struct fib *fib, const uint8_t *addr, uint8_t len, uint16_t gid, uint16_t *old)
{
	uint32_t pos, slot = fib6_slot_of(addr);
	struct fib_branch *branch;
	uint16_t *heap;

	if (!len) {
		*old = fallback_set(fib, gid);
		return 0;
	}
	heap = fib6_heap_of(&fib->v6, addr, len, &pos);
	if (heap) {
		*old = heap_set(fib, heap, pos, gid);
		return 0;
	}
	branch = fib->v6.branch[slot];
	if (branch == BRANCH_LOST)
		return -ENOMEM;
	if (!branch)
		branch = fib_branch_new(fib, &fib->v6.branch[slot], &fib->memory.v6_root[slot],
					FIB_SIDE_V6, in_root(addr) ? 3 : 1,
					slot_cover(&fib->v6, slot));
	if (!branch) {
		fib->v6.branch[slot] = BRANCH_LOST;
		fib_store(&fib->memory.v6_root[slot], FIB_GROUP_OVERFLOW);
		return -ENOMEM;
	}
	return fib_branch_set(fib, branch, addr, len, gid, old);
}

struct fib_branch *fib6_branch(const struct fib *fib, uint32_t slot)
{
	struct fib_branch *branch = fib->v6.branch[slot];

	return branch == BRANCH_LOST ? NULL : branch;
}

bool fib6_lost(const struct fib *fib, uint32_t slot)
{
	return fib->v6.branch[slot] == BRANCH_LOST;
}

uint16_t fib6_del(struct fib *fib, const uint8_t *addr, uint8_t len)
{
	uint32_t pos, slot = fib6_slot_of(addr);
	struct fib_branch *branch;
	uint16_t *heap;

	if (!len)
		return fallback_set(fib, 0);
	heap = fib6_heap_of(&fib->v6, addr, len, &pos);
	if (heap)
		return heap_set(fib, heap, pos, 0);
	branch = fib6_branch(fib, slot);
	return branch ? fib_branch_del(fib, branch, addr, len) : 0;
}

/* ---- reading ---- */

uint32_t fib6_lookup(const struct fib *fib, const uint8_t *addr)
{
	uint32_t word = fib_load(&fib->memory.v6_root[fib6_slot_of(addr)]);

	word = fib_branch_lookup(fib, word, addr, in_root(addr) ? 3 : 1, 16);
	return word ? word : fib_load(&fib->memory.header->table[0].v6_default);
}

/* Longest prefix of a heap at or above pos; its relative length in *rel. 0: none. */
static uint16_t heap_find(const uint16_t *heap, uint32_t pos, unsigned int *rel)
{
	while (pos && !heap[pos])
		pos >>= 1;
	if (!pos)
		return 0;
	*rel = 31 - (unsigned int)__builtin_clz(pos);
	return heap[pos];
}

uint16_t fib6_cover(const struct fib *fib, const uint8_t *addr, uint8_t len, uint8_t *found_len)
{
	const struct fib_branch *branch = fib6_branch(fib, fib6_slot_of(addr));
	unsigned int rel, bits;
	uint16_t gid = 0;

	if (branch)
		gid = fib_branch_cover(branch, addr, len, found_len);
	if (gid)
		return gid;
	if (in_root(addr) && len >= 3) {
		bits = len > ROOT_LEN ? ROOT_LEN : len;
		gid = heap_find(fib->v6.heap,
				fib_heap_pos(root_bits(addr) >> (ROOT_LEN - bits), bits - 3), &rel);
		if (gid) {
			*found_len = (uint8_t)(3 + rel);
			return gid;
		}
	}
	bits = len > 8 ? 8 : len;
	gid = heap_find(fib->v6.outer, fib_heap_pos((uint32_t)addr[0] >> (8 - bits), bits), &rel);
	if (gid) {
		*found_len = (uint8_t)rel;
		return gid;
	}
	*found_len = 0;
	return fib->v6.fallback;
}

/* ---- walking: places number ::/0, the positions of the heaps, and the slots ---- */

#define WALK_ROOT (2 * FIB6_OUTER_SIZE)
#define WALK_SLOTS (WALK_ROOT + 2 * FIB6_ROOT_SIZE)
#define WALK_END (WALK_SLOTS + FIB6_SLOTS)

/* The prefix at a position of a heap (or ::/0), 0: none. */
static uint16_t walk_heap(const struct fib6 *v6, uint32_t place, uint8_t addr[16], uint8_t *len)
{
	uint32_t pos = place < WALK_ROOT ? place : place - WALK_ROOT, bits;
	uint16_t gid = place < WALK_ROOT ? v6->outer[pos] : v6->heap[pos];
	unsigned int rel;

	memset(addr, 0, 16);
	*len = 0;
	if (!place)
		return v6->fallback;
	if (!gid)
		return 0;
	rel = 31 - (unsigned int)__builtin_clz(pos);
	if (place < WALK_ROOT) {
		*len = (uint8_t)rel;
		addr[0] = (uint8_t)((pos ^ 1u << rel) << (8 - rel));
	} else {
		*len = (uint8_t)(3 + rel);
		bits = 1u << FIB6_ROOT_BITS | (pos ^ 1u << rel) << (FIB6_ROOT_BITS - rel);
		addr[0] = (uint8_t)(bits >> 16);
		addr[1] = (uint8_t)(bits >> 8);
		addr[2] = (uint8_t)bits;
	}
	return gid;
}

static void slot_addr(uint32_t slot, uint8_t addr[16])
{
	memset(addr, 0, 16);
	addr[0] = (uint8_t)(slot < FIB6_ROOT_SIZE ? 32 | slot >> 16 : slot - FIB6_ROOT_SIZE);
	if (slot < FIB6_ROOT_SIZE) {
		addr[1] = (uint8_t)(slot >> 8);
		addr[2] = (uint8_t)slot;
	}
}

bool fib6_walk(const struct fib *fib, struct fib_cursor *cursor, fib_branch_visit visit, void *arg)
{
	const struct fib_branch *branch;
	uint8_t addr[16], len;
	uint32_t slot;
	uint16_t gid;

	while (cursor->place < WALK_SLOTS) {
		gid = walk_heap(&fib->v6, (uint32_t)cursor->place++, addr, &len);
		if (gid && !visit(arg, addr, len, gid))
			return true;
	}
	for (; cursor->place < WALK_END; cursor->place++) {
		slot = (uint32_t)cursor->place - WALK_SLOTS;
		branch = fib6_branch(fib, slot);
		slot_addr(slot, addr);
		if (branch && fib_branch_resume(branch, addr, cursor, visit, arg))
			return true;
	}
	return false;
}
