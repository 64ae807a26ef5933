// SPDX-License-Identifier: GPL-2.0-or-later
/* Whether readers find the main table's IPv6 prefixes in shared memory: the words of the root, and what hangs on them. */
#include "dplane_ebpf/fib/fib_internal.h"

static int slot_check(struct fib *fib, uint32_t slot, const uint16_t *place, bool rewrite)
{
	const struct fib_top top = {fib6_branch, slot};
	uint32_t wanted = place ? *place : FIB_GROUP_DEFAULT;
	bool lost = fib6_lost(fib, slot);

	if (lost)
		wanted = FIB_GROUP_OVERFLOW;
	else if (fib6_branch(fib, slot))
		return fib_branch_check_inherited(fib, &top, place, rewrite);
	if (fib_load(&fib->memory.v6_root[slot]) == wanted)
		return lost ? -ENOSPC : 0;
	if (rewrite)
		fib_store(&fib->memory.v6_root[slot], wanted);
	return -EBADMSG;
}

static int fallback_check(struct fib *fib, bool rewrite)
{
	uint32_t *shared = &fib->memory.header->table[0].v6_default;
	uint32_t gid = fib->v6.fallback ? fib->v6.fallback : FIB_GROUP_NO_ROUTE;

	if (fib_load(shared) == gid)
		return 0;
	if (rewrite)
		fib_store(shared, gid);
	return -EBADMSG;
}

/* gid: NULL for what no prefix covers. */
static int heaps_check(struct fib *fib, const uint16_t *heap, uint32_t pos, const uint16_t *gid,
		       bool rewrite)
{
	struct fib_owned outer = {
		.heap = fib->v6.outer,
		.gid = gid,
		.leaves = FIB6_OUTER_SIZE,
		.hole = FIB6_ROOT_OUTER,
		.first = FIB6_ROOT_SIZE,
		.slot = slot_check,
		.rewrite = rewrite,
	};
	struct fib_owned root = {
		.heap = fib->v6.heap,
		.gid = gid,
		.leaves = FIB6_ROOT_SIZE,
		.slot = slot_check,
		.rewrite = rewrite,
	};
	int err;

	if (heap == fib->v6.heap)
		return fib_owned_check(fib, &root, pos);
	err = fib_owned_check(fib, &outer, pos);
	if (outer.hole_owned && !fib->v6.heap[1])
		err = fib_worse(err, fib_owned_check(fib, &root, 1));
	return err;
}

int fib6_check(struct fib *fib, const uint8_t *addr, uint8_t len, bool rewrite)
{
	const struct fib_top top = {fib6_branch, fib6_slot_of(addr)};
	uint16_t *heap;
	uint32_t pos;
	int err;

	if (!len) {
		err = fallback_check(fib, rewrite);
		err = fib_worse(err, heaps_check(fib, fib->v6.outer, 1, NULL, rewrite));
		return err || fib->v6.fallback ? err : -ENOENT;
	}
	heap = fib6_heap_of(&fib->v6, addr, len, &pos);
	if (!heap)
		return fib_branch_check(fib, &top, addr, len, rewrite);
	return heap[pos] ? heaps_check(fib, heap, pos, &heap[pos], rewrite) : -ENOENT;
}
