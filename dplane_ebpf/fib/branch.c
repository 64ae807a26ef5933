// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Prefixes below one word, byte by byte: a branch for each byte of the address holds the prefixes that end in it and
 * further branches. What becomes of them in shared memory is branch_publish.c's.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dplane_ebpf/fib/fib_internal.h"

/* ---- the sorted arrays ---- */

/* The first prefix at or behind pos. */
static unsigned int prefix_find(const struct fib_branch *branch, uint32_t pos)
{
	unsigned int low = 0, high = branch->prefixes;

	while (low < high) {
		unsigned int middle = (low + high) / 2;

		if (branch->prefix[middle].pos < pos)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static unsigned int child_find(const struct fib_branch *branch, unsigned int index)
{
	unsigned int low = 0, high = branch->children;

	while (low < high) {
		unsigned int middle = (low + high) / 2;

		if (branch->child[middle].index < index)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct fib_branch *fib_branch_child(const struct fib_branch *branch, uint8_t index)
{
	unsigned int i = child_find(branch, index);

	return i < branch->children && branch->child[i].index == index ? branch->child[i].branch
								       : NULL;
}

static bool array_grow(void **array, uint16_t *max, size_t item)
{
	uint16_t wanted = *max ? (uint16_t)(2 * *max) : 2;
	void *grown = realloc(*array, wanted * item);

	if (!grown)
		return false;
	*array = grown;
	*max = wanted;
	return true;
}

/* The group of the longest prefix of the branch at or above pos, or 0. */
static uint16_t branch_find(const struct fib_branch *branch, uint32_t pos, unsigned int *rel)
{
	for (; branch->prefixes && pos > 1; pos >>= 1) {
		unsigned int i = prefix_find(branch, pos);

		if (i == branch->prefixes || branch->prefix[i].pos != pos)
			continue;
		*rel = 31 - (unsigned int)__builtin_clz(pos);
		return branch->prefix[i].gid;
	}
	return 0;
}

/* ---- what covers what ---- */

uint16_t fib_branch_own(const struct fib_branch *branch, uint8_t index)
{
	unsigned int rel;

	return branch_find(branch, fib_heap_pos(index, 8), &rel);
}

void fib_branch_words(const struct fib_branch *branch, uint32_t word[256])
{
	for (unsigned int i = 0; i < 256; i++)
		word[i] = branch->inherit;
	for (unsigned int i = 0; i < branch->prefixes; i++) {
		uint32_t pos = branch->prefix[i].pos;
		unsigned int shift = 8 - (31 - (unsigned int)__builtin_clz(pos));
		uint32_t first = (pos << shift) & 255;

		for (uint32_t index = first; index < first + (1u << shift); index++)
			word[index] = branch->prefix[i].gid;
	}
}

/* What covers children may have changed. */
static void children_inherit(struct fib *fib, const struct fib_branch *branch)
{
	uint32_t word[256];

	if (!branch->children)
		return;
	fib_branch_words(branch, word);
	for (unsigned int i = 0; i < branch->children; i++)
		fib_branch_inherit(fib, branch->child[i].branch,
				   (uint16_t)word[branch->child[i].index]);
}

void fib_branch_inherit(struct fib *fib, struct fib_branch *branch, uint16_t gid)
{
	if (branch->inherit == gid)
		return;
	branch->inherit = gid;
	fib_branch_dirty(fib, branch);
	children_inherit(fib, branch);
}

/* ---- branches come and go ---- */

static struct fib_branch *branch_alloc(struct fib *fib, enum fib_side side, unsigned int depth,
				       uint16_t inherit)
{
	struct fib_branch *branch = calloc(1, sizeof(*branch));

	if (!branch)
		return NULL;
	branch->side = (uint8_t)side;
	branch->depth = (uint8_t)depth;
	branch->inherit = inherit;
	/* until it is published, readers find there what covers it */
	branch->word = inherit;
	fib_branch_dirty(fib, branch);
	return branch;
}

struct fib_branch *fib_branch_new(struct fib *fib, struct fib_branch **owner, uint32_t *root,
				  enum fib_side side, unsigned int depth, uint16_t inherit)
{
	struct fib_branch *branch = branch_alloc(fib, side, depth, inherit);

	if (!branch)
		return NULL;
	branch->owner = owner;
	branch->root = root;
	*owner = branch;
	return branch;
}

static struct fib_branch *child_new(struct fib *fib, struct fib_branch *parent, uint8_t index)
{
	unsigned int at = child_find(parent, index);
	struct fib_branch *branch;
	uint16_t own;

	if (parent->children == parent->children_max &&
	    !array_grow((void **)&parent->child, &parent->children_max, sizeof(*parent->child)))
		return NULL;
	own = fib_branch_own(parent, index);
	branch = branch_alloc(fib, parent->side, parent->depth + 1u, own ? own : parent->inherit);
	if (!branch)
		return NULL;
	branch->parent = parent;
	branch->index = index;
	memmove(&parent->child[at + 1], &parent->child[at],
		(parent->children - at) * sizeof(*parent->child));
	parent->child[at] = (struct fib_twig){.branch = branch, .index = index};
	parent->children++;
	return branch;
}

static void branch_end(struct fib *fib, struct fib_branch *branch)
{
	fib_branch_forget(fib, branch);
	free(branch->prefix);
	free(branch->child);
	free(branch);
}

/* Ends a branch that nothing is left of, and those above of which then nothing is left either. */
static void branch_prune(struct fib *fib, struct fib_branch *branch)
{
	while (branch && !branch->prefixes && !branch->children && !branch->lost) {
		struct fib_branch *parent = branch->parent;

		if (parent) {
			unsigned int i = child_find(parent, branch->index);

			parent->children--;
			memmove(&parent->child[i], &parent->child[i + 1],
				(parent->children - i) * sizeof(*parent->child));
			fib_branch_dirty(fib, parent);
		} else {
			*branch->owner = NULL;
			fib_store(branch->root, branch->inherit);
		}
		branch_end(fib, branch);
		branch = parent;
	}
}

void fib_branch_free(struct fib_branch *branch)
{
	for (unsigned int i = 0; i < branch->children; i++)
		fib_branch_free(branch->child[i].branch);
	free(branch->prefix);
	free(branch->child);
	free(branch);
}

/* ---- set and delete ---- */

/* Heap position of a prefix in the branch where it ends. */
static uint32_t prefix_pos(const struct fib_branch *branch, const uint8_t *addr, uint8_t len)
{
	unsigned int rel = len - 8u * branch->depth;

	return fib_heap_pos((uint32_t)addr[branch->depth] >> (8 - rel), rel);
}

static int prefix_set(struct fib_branch *branch, uint32_t pos, uint16_t gid, uint16_t *old)
{
	unsigned int i = prefix_find(branch, pos);

	if (i < branch->prefixes && branch->prefix[i].pos == pos) {
		*old = branch->prefix[i].gid;
		branch->prefix[i].gid = gid;
		return 0;
	}
	*old = 0;
	if (branch->prefixes == branch->prefixes_max &&
	    !array_grow((void **)&branch->prefix, &branch->prefixes_max, sizeof(*branch->prefix)))
		return -ENOMEM;
	memmove(&branch->prefix[i + 1], &branch->prefix[i],
		(branch->prefixes - i) * sizeof(*branch->prefix));
	branch->prefix[i] = (struct fib_stem){.pos = (uint16_t)pos, .gid = gid};
	branch->prefixes++;
	return 0;
}

int fib_branch_set(struct fib *fib, struct fib_branch *branch, const uint8_t *addr, uint8_t len,
		   uint16_t gid, uint16_t *old)
{
	int err = 0;

	while (!err && len > 8 * (branch->depth + 1)) {
		struct fib_branch *child = fib_branch_child(branch, addr[branch->depth]);

		if (!child)
			child = child_new(fib, branch, addr[branch->depth]);
		if (child)
			branch = child;
		else
			err = -ENOMEM;
	}
	if (!err)
		err = prefix_set(branch, prefix_pos(branch, addr, len), gid, old);
	if (err)
		branch->lost = true;
	else if (*old == gid)
		return 0;
	fib_branch_dirty(fib, branch);
	children_inherit(fib, branch);
	return err;
}

uint16_t fib_branch_del(struct fib *fib, struct fib_branch *branch, const uint8_t *addr,
			uint8_t len)
{
	unsigned int i;
	uint32_t pos;
	uint16_t old;

	while (branch && len > 8 * (branch->depth + 1))
		branch = fib_branch_child(branch, addr[branch->depth]);
	if (!branch)
		return 0;
	pos = prefix_pos(branch, addr, len);
	i = prefix_find(branch, pos);
	if (i == branch->prefixes || branch->prefix[i].pos != pos)
		return 0;
	old = branch->prefix[i].gid;
	branch->prefixes--;
	memmove(&branch->prefix[i], &branch->prefix[i + 1],
		(branch->prefixes - i) * sizeof(*branch->prefix));
	fib_branch_dirty(fib, branch);
	children_inherit(fib, branch);
	branch_prune(fib, branch);
	return old;
}

/* ---- reading ---- */

uint16_t fib_branch_cover(const struct fib_branch *branch, const uint8_t *addr, uint8_t len,
			  uint8_t *found_len)
{
	uint16_t gid, best = 0;
	unsigned int rel;

	while (branch && len > 8 * branch->depth) {
		unsigned int base = 8u * branch->depth, bits = len - base > 8 ? 8 : len - base;
		uint32_t byte = addr[branch->depth];

		gid = branch_find(branch, fib_heap_pos(byte >> (8 - bits), bits), &rel);
		if (gid) {
			best = gid;
			*found_len = (uint8_t)(base + rel);
		}
		branch = fib_branch_child(branch, (uint8_t)byte);
	}
	return best;
}

/* Every prefix, behind `last` (NULL: from the first on). False: visit wants no more. */
static bool branch_walk(const struct fib_branch *branch, uint8_t *addr,
			const struct fib_prefix *last, fib_branch_visit visit, void *arg)
{
	unsigned int i = 0;

	/* behind a prefix of this branch, or behind all of its own and in the middle of its children */
	if (last && last->len <= 8 * (branch->depth + 1))
		i = prefix_find(branch, prefix_pos(branch, last->addr, last->len) + 1);
	else if (last)
		i = branch->prefixes;
	for (; i < branch->prefixes; i++) {
		uint32_t pos = branch->prefix[i].pos;
		unsigned int rel = 31 - (unsigned int)__builtin_clz(pos);

		addr[branch->depth] = (uint8_t)(pos << (8 - rel));
		if (!visit(arg, addr, (uint8_t)(8 * branch->depth + rel), branch->prefix[i].gid))
			return false;
	}
	if (last && last->len <= 8 * (branch->depth + 1))
		last = NULL;
	for (i = last ? child_find(branch, last->addr[branch->depth]) : 0; i < branch->children;
	     i++) {
		uint8_t index = branch->child[i].index;

		addr[branch->depth] = index;
		if (last && index != last->addr[branch->depth])
			last = NULL;
		if (!branch_walk(branch->child[i].branch, addr, last, visit, arg))
			return false;
		last = NULL;
	}
	addr[branch->depth] = 0;
	return true;
}

struct resume {
	struct fib_cursor *cursor;
	fib_branch_visit visit;
	void *arg;
};

static bool visit_and_remember(void *arg, const uint8_t *addr, uint8_t len, uint16_t gid)
{
	struct resume *resume = arg;

	memcpy(resume->cursor->last.addr, addr, sizeof(resume->cursor->last.addr));
	resume->cursor->last.len = len;
	return resume->visit(resume->arg, addr, len, gid);
}

bool fib_branch_resume(const struct fib_branch *branch, uint8_t *addr, struct fib_cursor *cursor,
		       fib_branch_visit visit, void *arg)
{
	struct resume resume = {.cursor = cursor, .visit = visit, .arg = arg};
	const struct fib_prefix last = cursor->last;

	if (!branch_walk(branch, addr, last.len ? &last : NULL, visit_and_remember, &resume))
		return true;
	cursor->last.len = 0;
	return false;
}

bool fib_branch_each(struct fib *fib, struct fib_branch *branch, struct fib_branch_place *place,
		     uint32_t *budget, fib_branch_cb cb, void *arg)
{
	unsigned int depth = branch->depth, i = 0;

	/* what comes before the place has been looked at */
	if (place->depth > depth) {
		i = child_find(branch, place->path[depth]);
		if (i == branch->children || branch->child[i].index != place->path[depth])
			place->depth = 0;
	} else {
		if (!*budget) {
			place->depth = (uint8_t)depth;
			return false;
		}
		--*budget;
		place->depth = 0;
		cb(fib, branch, arg);
	}
	for (; i < branch->children; i++) {
		place->path[depth] = branch->child[i].index;
		if (!fib_branch_each(fib, branch->child[i].branch, place, budget, cb, arg))
			return false;
	}
	return true;
}
