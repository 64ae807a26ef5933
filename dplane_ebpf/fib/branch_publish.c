// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Branches as readers see them: each a compressed node, or no more than a word where all of it is one. A branch
 * whose runs change gets a new node, swapped in by one store; what is below goes first.
 */
#include <string.h>

#include "dplane_ebpf/fib/fib_internal.h"

/* A published node may have so many more entries than it has to before a smaller one takes its place. */
#define SPARE_ENTRIES 4u

/* What a node should say. */
struct image {
	uint32_t word[256];
	uint64_t bits[4];
	uint32_t entries;
};

void fib_branch_init(struct fib *fib)
{
	TAILQ_INIT(&fib->branches.waiting);
	for (unsigned int i = 0; i < FIB_BRANCH_DEPTHS; i++)
		TAILQ_INIT(&fib->branches.dirty[i]);
}

/* ---- nodes ---- */

/* A published node of either form. */
struct view {
	uint64_t bits[4];
	uint32_t entries;
	bool small;
	uint32_t *entry;
};

static void *node_at(const struct fib *fib, uint32_t word)
{
	return fib->memory.node + (size_t)fib_node_number(word) * FIB_UNIT;
}

static uint32_t entries_units(uint32_t entries)
{
	size_t head = entries <= FIB_SMALL_RUNS ? sizeof(struct fib_small_node)
						: sizeof(struct fib_byte_node);

	return (uint32_t)((head + entries * sizeof(uint32_t) + FIB_UNIT - 1) / FIB_UNIT);
}

static void view_node(const struct fib *fib, uint32_t word, struct view *view)
{
	struct fib_small_node *small = node_at(fib, word);
	struct fib_byte_node *node = node_at(fib, word);

	view->small = word & FIB_SMALL;
	if (!view->small) {
		memcpy(view->bits, node->bits, sizeof(view->bits));
		view->entries = node->rank[3] + (uint32_t)__builtin_popcountll(node->bits[3]);
		view->entry = node->entry;
		return;
	}
	memset(view->bits, 0, sizeof(view->bits));
	view->bits[0] = 1;
	view->entries = 1;
	view->entry = small->entry;
	for (uint64_t bounds = small->bounds; bounds; bounds <<= 8) {
		unsigned int index = bounds >> 56;

		view->bits[index / 64] |= 1ull << (index % 64);
		view->entries++;
	}
}

/* The entry of the rank-th run. */
static uint32_t *view_entry(const struct view *view, uint32_t rank)
{
	return &view->entry[view->small ? view->entries - 1 - rank : rank];
}

static uint32_t word_units(const struct fib *fib, uint32_t word)
{
	struct view view;

	view_node(fib, word, &view);
	return entries_units(view.entries);
}

static void image_make(const struct fib_branch *branch, struct image *image)
{
	uint32_t *word = image->word;

	fib_branch_words(branch, word);
	for (unsigned int i = 0; i < branch->children; i++)
		word[branch->child[i].index] = branch->child[i].branch->word;
	image->entries = 0;
	for (unsigned int k = 0; k < 4; k++) {
		uint64_t bits = k ? word[64 * k] != word[64 * k - 1] : 1;

		for (unsigned int i = 1; i < 64; i++)
			bits |= (uint64_t)(word[64 * k + i] != word[64 * k + i - 1]) << i;
		image->bits[k] = bits;
		image->entries += (uint32_t)__builtin_popcountll(bits);
	}
}

/* Stores what differs, entry by entry, into a node whose runs are at least as fine. */
static void image_store(const struct image *image, const struct view *view)
{
	uint32_t rank = 0;

	for (unsigned int k = 0; k < 4; k++) {
		for (uint64_t bits = view->bits[k]; bits; bits &= bits - 1, rank++) {
			uint32_t word = image->word[64 * k + (unsigned int)__builtin_ctzll(bits)];
			uint32_t *entry = view_entry(view, rank);

			if (*entry != word)
				fib_store(entry, word);
		}
	}
}

static bool image_fits_in(const struct image *image, const struct view *view)
{
	for (unsigned int k = 0; k < 4; k++) {
		if (image->bits[k] & ~view->bits[k])
			return false;
	}
	return true;
}

static void write_small(const struct image *image, struct fib_small_node *node)
{
	uint32_t rank = image->entries;

	node->bounds = 0;
	for (unsigned int k = 0; k < 4; k++) {
		for (uint64_t bits = image->bits[k]; bits; bits &= bits - 1) {
			unsigned int index = 64 * k + (unsigned int)__builtin_ctzll(bits);

			node->bounds = node->bounds >> 8 | (uint64_t)index << 56;
			node->entry[--rank] = image->word[index];
		}
	}
}

static void write_large(const struct image *image, struct fib_byte_node *node)
{
	uint32_t rank = 0;

	for (unsigned int k = 0; k < 4; k++) {
		node->bits[k] = image->bits[k];
		node->rank[k] = (uint8_t)rank;
		for (uint64_t bits = node->bits[k]; bits; bits &= bits - 1)
			node->entry[rank++] =
				image->word[64 * k + (unsigned int)__builtin_ctzll(bits)];
	}
}

/* The word of a new node; FIB_GROUP_OVERFLOW: no room. */
static uint32_t node_new(struct fib *fib, enum fib_side side, const struct image *image)
{
	uint32_t number = fib_node_alloc(fib, side, entries_units(image->entries));

	if (!number)
		return FIB_GROUP_OVERFLOW;
	if (image->entries > FIB_SMALL_RUNS) {
		write_large(image, node_at(fib, number));
		return FIB_NODE | number;
	}
	write_small(image, node_at(fib, number));
	return FIB_NODE | FIB_SMALL | number;
}

/* ---- lists ---- */

static void branch_unlist(struct fib *fib, struct fib_branch *branch)
{
	struct fib_branches *branches = &fib->branches;

	if (branch->dirty) {
		TAILQ_REMOVE(&branches->dirty[branch->depth], branch, link);
		if (TAILQ_EMPTY(&branches->dirty[branch->depth]))
			branches->dirty_depths &= ~(1u << branch->depth);
	} else if (branch->waiting) {
		TAILQ_REMOVE(&branches->waiting, branch, link);
	}
	branch->dirty = branch->waiting = false;
}

void fib_branch_dirty(struct fib *fib, struct fib_branch *branch)
{
	if (branch->dirty)
		return;
	branch_unlist(fib, branch);
	branch->dirty = true;
	TAILQ_INSERT_TAIL(&fib->branches.dirty[branch->depth], branch, link);
	fib->branches.dirty_depths |= 1u << branch->depth;
}

static void branch_wait(struct fib *fib, struct fib_branch *branch)
{
	branch->waiting = true;
	TAILQ_INSERT_TAIL(&fib->branches.waiting, branch, link);
}

void fib_branch_forget(struct fib *fib, struct fib_branch *branch)
{
	branch_unlist(fib, branch);
	if (fib_node_is(branch->word))
		fib_node_retire(fib, branch->side, fib_node_number(branch->word),
				word_units(fib, branch->word));
}

/* ---- publishing ---- */

/*
 * Stores the branch's word where readers come from. A parent whose node has no entry for this child alone
 * has to be made anew.
 */
static void word_publish(struct fib *fib, struct fib_branch *branch)
{
	const struct fib_branch *parent = branch->parent;
	unsigned int index = branch->index, next = index + 1, rank;
	struct view view;

	if (!parent) {
		fib_store(branch->root, branch->word);
		return;
	}
	if (parent->dirty)
		return;
	if (!fib_node_is(parent->word)) {
		fib_branch_dirty(fib, branch->parent);
		return;
	}
	view_node(fib, parent->word, &view);
	if (!(view.bits[index / 64] >> (index % 64) & 1) ||
	    (next < 256 && !(view.bits[next / 64] >> (next % 64) & 1))) {
		fib_branch_dirty(fib, branch->parent);
		return;
	}
	rank = (unsigned int)__builtin_popcountll(view.bits[index / 64] &
						  ((1ull << (index % 64)) - 1));
	for (unsigned int k = 0; k < index / 64; k++)
		rank += (unsigned int)__builtin_popcountll(view.bits[k]);
	fib_store(view_entry(&view, rank), branch->word);
}

void fib_branch_rewrite(struct fib *fib, struct fib_branch *branch, const uint8_t *addr)
{
	while (branch) {
		word_publish(fib, branch);
		branch = fib_branch_child(branch, addr[branch->depth]);
	}
}

static void word_change(struct fib *fib, struct fib_branch *branch, uint32_t word)
{
	uint32_t old = branch->word;

	if (old == word)
		return;
	branch->word = word;
	word_publish(fib, branch);
	if (fib_node_is(old))
		fib_node_retire(fib, branch->side, fib_node_number(old), word_units(fib, old));
}

static void branch_publish(struct fib *fib, struct fib_branch *branch)
{
	struct image image;
	struct view old;
	uint32_t word;

	if (branch->lost) {
		word_change(fib, branch, FIB_GROUP_OVERFLOW);
		return;
	}
	image_make(branch, &image);
	branch->wanted = entries_units(image.entries);
	if (image.entries == 1) {
		word_change(fib, branch, image.word[0]);
		return;
	}
	if (fib_node_is(branch->word)) {
		view_node(fib, branch->word, &old);
		if (image_fits_in(&image, &old) && (old.entries <= image.entries + SPARE_ENTRIES ||
						    !fib_node_fits(fib, branch->wanted))) {
			image_store(&image, &old);
			return;
		}
	}
	word = node_new(fib, branch->side, &image);
	word_change(fib, branch, word);
	if (!fib_node_is(word))
		branch_wait(fib, branch);
}

void fib_branch_publish(struct fib *fib)
{
	struct fib_branches *branches = &fib->branches;

	while (branches->dirty_depths) {
		unsigned int deepest = 31 - (unsigned int)__builtin_clz(branches->dirty_depths);
		struct fib_branch *branch = TAILQ_FIRST(&branches->dirty[deepest]);

		branch_unlist(fib, branch);
		branch_publish(fib, branch);
	}
}

static void branch_move(struct fib *fib, struct fib_branch *branch)
{
	uint32_t node;

	if (!fib_node_is(branch->word))
		return;
	node = fib_node_move(fib, branch->side, fib_node_number(branch->word),
			     word_units(fib, branch->word));
	if (!node)
		return;
	branch->word = FIB_NODE | (branch->word & FIB_SMALL) | node;
	word_publish(fib, branch);
}

bool fib_branch_move(struct fib *fib, struct fib_branch *branch, struct fib_branch_place *place,
		     uint32_t *budget)
{
	unsigned int depth = branch->depth, i = 0;

	/* what comes before the place has been looked at */
	if (place->depth > depth) {
		i = fib_branch_child_from(branch, place->path[depth]);
		if (i == branch->children || branch->child[i].index != place->path[depth])
			place->depth = 0;
	} else {
		if (!*budget) {
			place->depth = (uint8_t)depth;
			return false;
		}
		--*budget;
		place->depth = 0;
		branch_move(fib, branch);
	}
	for (; i < branch->children; i++) {
		place->path[depth] = branch->child[i].index;
		if (!fib_branch_move(fib, branch->child[i].branch, place, budget))
			return false;
	}
	return true;
}

/* ---- reading ---- */

uint32_t fib_branch_lookup(const struct fib *fib, uint32_t word, const uint8_t *addr,
			   unsigned int depth, unsigned int end)
{
	while (fib_node_is(word) && depth < end) {
		unsigned int byte = addr[depth++], rank = 0;
		struct view view;

		if (!fib_node_inside(fib, word))
			return FIB_GROUP_NO_ROUTE;
		view_node(fib, word, &view);
		for (unsigned int k = 0; k < byte / 64; k++)
			rank += (unsigned int)__builtin_popcountll(view.bits[k]);
		rank += (unsigned int)__builtin_popcountll(view.bits[byte / 64]
							   << (63 - byte % 64));
		if (!rank)
			return FIB_GROUP_NO_ROUTE;
		word = fib_load(view_entry(&view, rank - 1));
	}
	return word;
}

/* ---- overflow ---- */

void fib_branch_place(struct fib *fib)
{
	struct fib_branch *branch;
	uint32_t tries = 0;

	/* publishing one can take others off the list, or put them back at its end */
	TAILQ_FOREACH(branch, &fib->branches.waiting, link)
	{
		tries++;
	}
	while (tries-- && (branch = TAILQ_FIRST(&fib->branches.waiting))) {
		branch_unlist(fib, branch);
		if (fib_node_fits(fib, branch->wanted))
			branch_publish(fib, branch);
		else
			branch_wait(fib, branch);
	}
}

static uint64_t branch_routes(const struct fib_branch *branch)
{
	uint64_t routes = branch->prefixes;

	for (unsigned int i = 0; i < branch->children; i++)
		routes += branch_routes(branch->child[i].branch);
	return routes;
}

uint64_t fib_branch_overflow(const struct fib *fib, enum fib_side side)
{
	const struct fib_branch *branch, *above;
	uint64_t routes = 0;

	TAILQ_FOREACH(branch, &fib->branches.waiting, link)
	{
		/* one that lies below another that waits is counted with that */
		for (above = branch->parent; above && !above->waiting;)
			above = above->parent;
		if (!above && branch->side == side)
			routes += branch_routes(branch);
	}
	return routes;
}
