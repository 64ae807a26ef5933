// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What lies below one slot of the IPv6 root: branches, one for each byte of the
 * address, that hold prefixes and further branches. Each is published as a
 * compressed node; one whose runs change gets a new node, swapped in by one store.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dplane_ebpf/fib/fib_internal.h"

struct fib6_stem {
	uint16_t pos; /* heap position, relative length 1..8 */
	uint16_t gid;
};

struct fib6_twig {
	struct fib6_branch *branch;
	uint8_t index;
};

struct fib6_branch {
	TAILQ_ENTRY(fib6_branch) wait;
	struct fib6_branch *parent; /* NULL: hangs on a root slot */
	struct fib6_stem *prefix;   /* sorted by pos, so that longer ones follow */
	struct fib6_twig *child;    /* sorted by index */
	uint32_t slot;		    /* of the root; for all below it too */
	uint32_t node;		    /* where it is published, 0: nowhere */
	uint32_t wanted;	    /* units that could not be had */
	uint16_t inherit;
	uint16_t prefixes, prefixes_max;
	uint16_t children, children_max;
	uint8_t depth; /* the byte of the address that it looks at */
	uint8_t index; /* in parent */
	bool fresh;    /* not published yet */
	bool waiting;
	bool lost; /* out of ordinary memory: the kernel's for good */
};

/* What a node should say. */
struct image {
	uint32_t word[256];
	uint64_t bits[4];
	uint32_t entries;
};

/* ---- the sorted arrays ---- */

/* The first prefix at or behind pos. */
static unsigned int prefix_find(const struct fib6_branch *branch, uint32_t pos)
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

static unsigned int child_find(const struct fib6_branch *branch, uint8_t index)
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

static struct fib6_branch *child_get(const struct fib6_branch *branch, uint8_t index)
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
static uint16_t branch_find(const struct fib6_branch *branch, uint32_t pos, unsigned int *rel)
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

/* ---- publishing ---- */

static struct fib6_node *node_at(const struct fib *fib, uint32_t node)
{
	return (struct fib6_node *)(fib->memory.v6_node + (size_t)node * FIB6_UNIT);
}

static uint32_t node_entries(const struct fib6_node *node)
{
	return node->rank[3] + (uint32_t)__builtin_popcountll(node->bits[3]);
}

static uint32_t node_units(uint32_t entries)
{
	return (uint32_t)((sizeof(struct fib6_node) + entries * sizeof(uint32_t) + FIB6_UNIT - 1) /
			  FIB6_UNIT);
}

static uint32_t branch_word(const struct fib6_branch *branch)
{
	return branch->node ? FIB6_NODE | branch->node : FIB_GROUP_OVERFLOW;
}

/* Which of its own prefixes covers each index, 0: none. */
static void image_cover(const struct fib6_branch *branch, uint32_t word[256])
{
	memset(word, 0, 256 * sizeof(*word));
	for (unsigned int i = 0; i < branch->prefixes; i++) {
		uint32_t pos = branch->prefix[i].pos;
		unsigned int shift = 8 - (31 - (unsigned int)__builtin_clz(pos));
		uint32_t first = (pos << shift) & 255;

		for (uint32_t index = first; index < first + (1u << shift); index++)
			word[index] = branch->prefix[i].gid;
	}
}

static void image_make(const struct fib6_branch *branch, struct image *image)
{
	uint32_t *word = image->word;

	image_cover(branch, word);
	for (unsigned int i = 0; i < branch->children; i++)
		word[branch->child[i].index] = branch_word(branch->child[i].branch);
	for (unsigned int k = 0; k < 4; k++) {
		uint64_t bits = k ? word[64 * k] != word[64 * k - 1] : 1;

		for (unsigned int i = 1; i < 64; i++)
			bits |= (uint64_t)(word[64 * k + i] != word[64 * k + i - 1]) << i;
		image->bits[k] = bits;
	}
	/* a child always has an entry for itself, so that it can be replaced in place */
	for (unsigned int i = 0; i < branch->children; i++) {
		unsigned int index = branch->child[i].index;

		image->bits[index / 64] |= 1ull << (index % 64);
		if (++index < 256)
			image->bits[index / 64] |= 1ull << (index % 64);
	}
	image->entries = 0;
	for (unsigned int k = 0; k < 4; k++)
		image->entries += (uint32_t)__builtin_popcountll(image->bits[k]);
}

/* Stores what differs, entry by entry, into a node whose runs are at least as fine. */
static void image_store(const struct image *image, struct fib6_node *node)
{
	uint32_t entry = 0;

	for (unsigned int k = 0; k < 4; k++) {
		for (uint64_t bits = node->bits[k]; bits; bits &= bits - 1, entry++) {
			uint32_t word = image->word[64 * k + (unsigned int)__builtin_ctzll(bits)];

			if (node->entry[entry] != word)
				fib_store(&node->entry[entry], word);
		}
	}
}

static void image_write(const struct image *image, uint16_t inherit, struct fib6_node *node)
{
	uint32_t rank = 0;

	for (unsigned int k = 0; k < 4; k++) {
		node->bits[k] = image->bits[k];
		node->rank[k] = (uint8_t)rank;
		for (uint64_t bits = node->bits[k]; bits; bits &= bits - 1)
			node->entry[rank++] =
				image->word[64 * k + (unsigned int)__builtin_ctzll(bits)];
	}
	node->inherit = inherit;
}

static bool image_fits_in(const struct image *image, const struct fib6_node *node)
{
	for (unsigned int k = 0; k < 4; k++) {
		if (image->bits[k] & ~node->bits[k])
			return false;
	}
	return true;
}

static void branch_wait(struct fib *fib, struct fib6_branch *branch, bool waiting)
{
	if (branch->waiting == waiting)
		return;
	branch->waiting = waiting;
	if (waiting)
		TAILQ_INSERT_TAIL(&fib->v6.waiting, branch, wait);
	else
		TAILQ_REMOVE(&fib->v6.waiting, branch, wait);
}

static void branch_publish(struct fib *fib, struct fib6_branch *branch);

/* Makes the published node say what the branch does. */
static void branch_sync(struct fib *fib, struct fib6_branch *branch)
{
	struct fib_pool *pool = &fib->pool[FIB_POOL_V6_NODE];
	struct fib6_node *old = branch->node ? node_at(fib, branch->node) : NULL;
	uint32_t old_node = branch->node, units = 0, node = FIB_POOL_NONE;
	struct image image;

	branch->fresh = false;
	if (!branch->lost) {
		image_make(branch, &image);
		units = node_units(image.entries);
		if (old && image_fits_in(&image, old) &&
		    (node_entries(old) <= 2 * image.entries + 8 || !fib_pool_fits(pool, units))) {
			image_store(&image, old);
			return;
		}
		node = fib_pool_alloc(pool, units);
	}
	branch->node = 0;
	if (node != FIB_POOL_NONE) {
		image_write(&image, branch->inherit, node_at(fib, node));
		branch->node = node;
	}
	branch->wanted = units;
	branch_wait(fib, branch, !branch->node && !branch->lost);
	branch_publish(fib, branch);
	if (old_node)
		fib_retire(fib, FIB_POOL_V6_NODE, old_node, node_units(node_entries(old)));
}

/* Stores the branch's word where readers come from. */
static void branch_publish(struct fib *fib, struct fib6_branch *branch)
{
	struct fib6_branch *parent = branch->parent;
	unsigned int index = branch->index, next = index + 1, rank;
	struct fib6_node *node;
	uint64_t bits;

	if (!parent) {
		fib_store(&fib->memory.v6_root[branch->slot], branch_word(branch));
		return;
	}
	if (!parent->node)
		return;
	node = node_at(fib, parent->node);
	bits = node->bits[index / 64];
	if (!(bits >> (index % 64) & 1) ||
	    (next < 256 && !(node->bits[next / 64] >> (next % 64) & 1))) {
		branch_sync(fib, parent);
		return;
	}
	rank = node->rank[index / 64] +
	       (unsigned int)__builtin_popcountll(bits & ((1ull << (index % 64)) - 1));
	fib_store(&node->entry[rank], branch_word(branch));
}

/* What covers children may have changed. */
static void children_inherit(struct fib *fib, const struct fib6_branch *branch)
{
	uint32_t word[256];

	if (!branch->children)
		return;
	if (branch->prefixes)
		image_cover(branch, word);
	for (unsigned int i = 0; i < branch->children; i++) {
		uint16_t own = branch->prefixes ? (uint16_t)word[branch->child[i].index] : 0;

		fib6_branch_inherit(fib, branch->child[i].branch, own ? own : branch->inherit);
	}
}

void fib6_branch_inherit(struct fib *fib, struct fib6_branch *branch, uint16_t gid)
{
	if (branch->inherit == gid)
		return;
	branch->inherit = gid;
	if (branch->node)
		fib_store(&node_at(fib, branch->node)->inherit, gid);
	children_inherit(fib, branch);
}

/* ---- set and delete ---- */

/* The branch for index below parent, or for a whole slot. NULL: out of memory. */
static struct fib6_branch *branch_new(struct fib *fib, struct fib6_branch *parent, uint32_t slot,
				      unsigned int depth, uint8_t index)
{
	struct fib6_branch *branch;
	unsigned int at = 0, rel;
	uint16_t own = 0;

	if (parent && parent->children == parent->children_max &&
	    !array_grow((void **)&parent->child, &parent->children_max, sizeof(*parent->child)))
		return NULL;
	branch = calloc(1, sizeof(*branch));
	if (!branch)
		return NULL;
	branch->parent = parent;
	branch->slot = slot;
	branch->depth = (uint8_t)depth;
	branch->index = index;
	branch->fresh = true;
	if (!parent) {
		/* no node stands there: the word is what covers the slot */
		branch->inherit = (uint16_t)fib->memory.v6_root[slot];
		fib->v6.branch[slot] = branch;
		return branch;
	}
	own = branch_find(parent, 256u | index, &rel);
	branch->inherit = own ? own : parent->inherit;
	at = child_find(parent, index);
	memmove(&parent->child[at + 1], &parent->child[at],
		(parent->children - at) * sizeof(*parent->child));
	parent->child[at] = (struct fib6_twig){.branch = branch, .index = index};
	parent->children++;
	return branch;
}

/* Heap position of a prefix in the branch where it ends. */
static uint32_t prefix_pos(const struct fib6_branch *branch, const uint8_t *addr, uint8_t len)
{
	unsigned int rel = len - 8u * branch->depth;

	return fib_heap_pos((uint32_t)addr[branch->depth] >> (8 - rel), rel);
}

static int prefix_set(struct fib6_branch *branch, uint32_t pos, uint16_t gid, uint16_t *old)
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
	branch->prefix[i] = (struct fib6_stem){.pos = (uint16_t)pos, .gid = gid};
	branch->prefixes++;
	return 0;
}

int fib6_branch_set(struct fib *fib, uint32_t slot, unsigned int depth, const uint8_t *addr,
		    uint8_t len, uint16_t gid, uint16_t *old)
{
	struct fib6_branch *branch = fib->v6.branch[slot], *child;
	int err = 0;

	if (!branch)
		branch = branch_new(fib, NULL, slot, depth, 0);
	if (!branch)
		return -ENOMEM;
	while (!err && len > 8 * (branch->depth + 1)) {
		uint8_t index = addr[branch->depth];

		child = child_get(branch, index);
		if (!child)
			child = branch_new(fib, branch, slot, branch->depth + 1u, index);
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
	children_inherit(fib, branch);
	do {
		branch_sync(fib, branch);
		branch = branch->parent;
	} while (branch && branch->fresh);
	return err;
}

static bool branch_empty(const struct fib6_branch *branch)
{
	return !branch->prefixes && !branch->children && !branch->lost;
}

static void branch_retire(struct fib *fib, struct fib6_branch *branch)
{
	branch_wait(fib, branch, false);
	if (branch->node)
		fib_retire(fib, FIB_POOL_V6_NODE, branch->node,
			   node_units(node_entries(node_at(fib, branch->node))));
	free(branch->prefix);
	free(branch->child);
	free(branch);
}

/* Removes an empty branch, and those above that become empty by it. */
static void branch_prune(struct fib *fib, struct fib6_branch *branch)
{
	struct fib6_branch *top = branch, *parent;
	unsigned int i;

	while (top->parent && top->parent->children == 1 && !top->parent->prefixes &&
	       !top->parent->lost)
		top = top->parent;
	parent = top->parent;
	if (parent) {
		i = child_find(parent, top->index);
		parent->children--;
		memmove(&parent->child[i], &parent->child[i + 1],
			(parent->children - i) * sizeof(*parent->child));
		branch_sync(fib, parent);
	} else {
		fib->v6.branch[top->slot] = NULL;
		fib_store(&fib->memory.v6_root[top->slot], top->inherit);
	}
	while (branch != parent) {
		struct fib6_branch *above = branch->parent;

		branch_retire(fib, branch);
		branch = above;
	}
}

uint16_t fib6_branch_del(struct fib *fib, uint32_t slot, const uint8_t *addr, uint8_t len)
{
	struct fib6_branch *branch = fib->v6.branch[slot];
	unsigned int i;
	uint32_t pos;
	uint16_t old;

	while (branch && len > 8 * (branch->depth + 1))
		branch = child_get(branch, addr[branch->depth]);
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
	if (branch_empty(branch)) {
		branch_prune(fib, branch);
	} else {
		children_inherit(fib, branch);
		branch_sync(fib, branch);
	}
	return old;
}

/* ---- reading ---- */

uint16_t fib6_branch_cover(const struct fib6_branch *branch, const uint8_t *addr, uint8_t len,
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
		branch = child_get(branch, (uint8_t)byte);
	}
	return best;
}

bool fib6_branch_walk(const struct fib6_branch *branch, uint8_t *addr, fib6_visit visit, void *arg)
{
	for (unsigned int i = 0; i < branch->prefixes; i++) {
		uint32_t pos = branch->prefix[i].pos;
		unsigned int rel = 31 - (unsigned int)__builtin_clz(pos);

		addr[branch->depth] = (uint8_t)(pos << (8 - rel));
		if (!visit(arg, addr, (uint8_t)(8 * branch->depth + rel), branch->prefix[i].gid))
			return false;
	}
	for (unsigned int i = 0; i < branch->children; i++) {
		addr[branch->depth] = branch->child[i].index;
		if (!fib6_branch_walk(branch->child[i].branch, addr, visit, arg))
			return false;
	}
	addr[branch->depth] = 0;
	return true;
}

void fib6_branch_free(struct fib6_branch *branch)
{
	for (unsigned int i = 0; i < branch->children; i++)
		fib6_branch_free(branch->child[i].branch);
	free(branch->prefix);
	free(branch->child);
	free(branch);
}

/* ---- overflow ---- */

void fib6_place(struct fib *fib)
{
	struct fib_pool *pool = &fib->pool[FIB_POOL_V6_NODE];
	struct fib6_branch *branch, *last = TAILQ_LAST(&fib->v6.waiting, fib6_branch_list);
	uint32_t failed = UINT32_MAX;
	bool more = last;

	while (more) {
		branch = TAILQ_FIRST(&fib->v6.waiting);
		more = branch != last;
		branch_wait(fib, branch, false);
		if (branch->wanted < failed && fib_pool_fits(pool, branch->wanted)) {
			branch_sync(fib, branch);
		} else {
			failed = branch->wanted < failed ? branch->wanted : failed;
			branch_wait(fib, branch, true);
		}
	}
}

static uint64_t branch_routes(const struct fib6_branch *branch)
{
	uint64_t routes = branch->prefixes;

	for (unsigned int i = 0; i < branch->children; i++)
		routes += branch_routes(branch->child[i].branch);
	return routes;
}

uint64_t fib6_overflow(const struct fib *fib)
{
	const struct fib6_branch *branch, *above;
	uint64_t routes = 0;

	TAILQ_FOREACH(branch, &fib->v6.waiting, wait)
	{
		for (above = branch->parent; above && above->node;)
			above = above->parent;
		if (!above)
			routes += branch_routes(branch);
	}
	return routes;
}
