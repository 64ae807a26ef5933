// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Whether readers find the main table's IPv4 prefixes in shared memory: what they find for each word of a prefix, damaged or
 * not, is compared with what the heaps say, word by word, so that damage is told of the prefixes that it meets. A node
 * whose bits are not as written is damaged for all in it: what they find may be right by chance.
 */
#include "dplane_ebpf/fib/fib_internal.h"

/* What only pos covers. */
static int block_check(const struct fib *fib, const struct fib4_low *low, uint32_t pos,
		       uint16_t gid)
{
	const uint16_t *word = &fib->memory.v4_low[low->block * FIB4_LOW_SIZE];
	int err = 0;

	if (pos >= FIB4_LOW_SIZE)
		return fib_load(&word[pos - FIB4_LOW_SIZE]) == gid ? 0 : -EBADMSG;
	for (uint32_t child = 2 * pos; !err && child <= 2 * pos + 1; child++) {
		if (!low->heap[child])
			err = block_check(fib, low, child, gid);
	}
	return err;
}

/* The word of a /24; gid: of what covers it. -ENOSPC: it is the kernel's. */
static int word_check(const struct fib *fib, const struct fib4_mid *mid, unsigned int index,
		      uint16_t gid)
{
	uint32_t root = fib_load(&fib->memory.v4_root[mid->slot]);
	const struct fib4_low *low = mid->low ? mid->low[index] : NULL;
	uint32_t wanted = gid;

	if (mid->lost >> index & 1 || (low && low->block == FIB_POOL_NONE))
		wanted = FIB_GROUP_OVERFLOW;
	else if (low)
		wanted = FIB4_LOW | low->block;
	if (fib4_word(fib, root, index) != wanted)
		return -EBADMSG;
	return wanted == FIB_GROUP_OVERFLOW && gid != FIB_GROUP_OVERFLOW ? -ENOSPC : 0;
}

/* What only pos covers, down to single addresses. */
static int words_check(const struct fib *fib, const struct fib4_mid *mid, uint32_t pos,
		       uint16_t gid)
{
	int err = 0;

	if (pos >= FIB4_MID_SIZE) {
		unsigned int index = pos - FIB4_MID_SIZE;

		err = word_check(fib, mid, index, gid);
		return !err && mid->low && mid->low[index]
			       ? block_check(fib, mid->low[index], 1, gid)
			       : err;
	}
	for (uint32_t child = 2 * pos; err != -EBADMSG && child <= 2 * pos + 1; child++) {
		if (!mid->heap[child])
			err = fib_worse(err, words_check(fib, mid, child, gid));
	}
	return err;
}

/* Whether readers come to the node, if it has one, and it has the runs that were written. */
static int root_check(const struct fib *fib, const struct fib4_mid *mid)
{
	uint32_t root = fib_load(&fib->memory.v4_root[mid->slot]);

	if (mid->waiting)
		return root == FIB_GROUP_OVERFLOW ? -ENOSPC : -EBADMSG;
	if (mid->node) {
		const struct fib4_node *node = fib_node_read(fib, mid->node);

		return root == (FIB_NODE | mid->node) && node->bits == mid->bits ? 0 : -EBADMSG;
	}
	return fib_node_is(root) ? -EBADMSG : 0;
}

static int mid_check(struct fib *fib, struct fib4_mid *mid, uint32_t pos, uint16_t gid,
		     bool rewrite)
{
	int err = root_check(fib, mid);

	if (!err)
		err = words_check(fib, mid, pos, gid);
	if (err == -EBADMSG && rewrite)
		fib4_anew(fib, mid);
	return err;
}

static int low_check(struct fib *fib, struct fib4_mid *mid, uint32_t addr, uint8_t len,
		     bool rewrite)
{
	unsigned int index = addr >> FIB4_LOW_BITS & (FIB4_MID_SIZE - 1);
	const struct fib4_low *low = mid->low ? mid->low[index] : NULL;
	uint32_t pos = fib_heap_pos(addr >> (32 - len), len - 24u);
	int err;

	if (!low || !low->heap[pos])
		return -ENOENT;
	err = root_check(fib, mid);
	if (!err)
		/* no group of one word covers it */
		err = word_check(fib, mid, index, FIB_GROUP_DEFAULT);
	if (!err)
		err = block_check(fib, low, pos, low->heap[pos]);
	if (err == -EBADMSG && rewrite)
		fib4_anew(fib, mid);
	return err;
}

static int slot_check(struct fib *fib, uint32_t slot, const uint16_t *place, bool rewrite)
{
	struct fib4_mid *mid = fib->v4.mid[slot];
	uint16_t gid = place ? *place : FIB_GROUP_DEFAULT;
	uint32_t wanted = mid ? FIB_GROUP_OVERFLOW : gid;

	if (mid && mid != &fib4_lost)
		return mid_check(fib, mid, 1, gid, rewrite);
	if (fib_load(&fib->memory.v4_root[slot]) == wanted)
		return mid ? -ENOSPC : 0;
	if (rewrite)
		fib_store(&fib->memory.v4_root[slot], wanted);
	return -EBADMSG;
}

static int fallback_check(struct fib *fib, bool rewrite)
{
	uint32_t *shared = &fib->memory.header->table[0].v4_default;
	uint32_t gid = fib->v4.fallback ? fib->v4.fallback : FIB_GROUP_NO_ROUTE;

	if (fib_load(shared) == gid)
		return 0;
	if (rewrite)
		fib_store(shared, gid);
	return -EBADMSG;
}

int fib4_check(struct fib *fib, uint32_t addr, uint8_t len, bool rewrite)
{
	struct fib_owned owned = {
		.heap = fib->v4.heap,
		.leaves = FIB4_ROOT_SIZE,
		.slot = slot_check,
		.rewrite = rewrite,
	};
	struct fib4_mid *mid;
	uint32_t pos = 1;
	int err;

	if (!len) {
		err = fallback_check(fib, rewrite);
		err = fib_worse(err, fib_owned_check(fib, &owned, pos));
		return err || fib->v4.fallback ? err : -ENOENT;
	}
	if (len <= FIB4_ROOT_BITS) {
		pos = fib_heap_pos(addr >> (32 - len), len);
		owned.gid = &fib->v4.heap[pos];
		return *owned.gid ? fib_owned_check(fib, &owned, pos) : -ENOENT;
	}
	mid = fib->v4.mid[addr >> (32 - FIB4_ROOT_BITS)];
	if (!mid || mid == &fib4_lost)
		return -ENOENT;
	if (len > 24)
		return low_check(fib, mid, addr, len, rewrite);
	pos = fib_heap_pos(addr >> (32 - len), len - FIB4_ROOT_BITS);
	return mid->heap[pos] ? mid_check(fib, mid, pos, mid->heap[pos], rewrite) : -ENOENT;
}
