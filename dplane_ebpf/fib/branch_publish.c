// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Branches as readers see them: each a compressed node, or no more than a word where all of it is one. A branch
 * whose runs change gets a new node, swapped in by one store; what is below goes first.
 */
#include <string.h>

#include "dplane_ebpf/fib/fib_internal.h"

/* A published node may have so many more entries than it has to before a smaller one takes its place. */
#define SPARE_ENTRIES 8u

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

static struct fib_byte_node *node_at(const struct fib *fib, uint32_t word)
{
	return (struct fib_byte_node *)(fib->memory.node +
					(size_t)fib_node_number(word) * FIB_UNIT);
}

static uint32_t node_entries(const struct fib_byte_node *node)
{
	return node->rank[3] + (uint32_t)__builtin_popcountll(node->bits[3]);
}

static uint32_t entries_units(uint32_t entries)
{
	return (uint32_t)((sizeof(struct fib_byte_node) + entries * sizeof(uint32_t) + FIB_UNIT -
			   1) /
			  FIB_UNIT);
}

static uint32_t word_units(const struct fib *fib, uint32_t word)
{
	return entries_units(node_entries(node_at(fib, word)));
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
static void image_store(const struct image *image, struct fib_byte_node *node)
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

static bool image_fits_in(const struct image *image, const struct fib_byte_node *node)
{
	for (unsigned int k = 0; k < 4; k++) {
		if (image->bits[k] & ~node->bits[k])
			return false;
	}
	return true;
}

/* The word of a new node; FIB_GROUP_OVERFLOW: no room. */
static uint32_t node_new(struct fib *fib, enum fib_side side, const struct image *image)
{
	uint32_t number = fib_node_alloc(fib, side, entries_units(image->entries)), rank = 0;
	struct fib_byte_node *node = node_at(fib, number);

	if (!number)
		return FIB_GROUP_OVERFLOW;
	for (unsigned int k = 0; k < 4; k++) {
		node->bits[k] = image->bits[k];
		node->rank[k] = (uint8_t)rank;
		for (uint64_t bits = node->bits[k]; bits; bits &= bits - 1)
			node->entry[rank++] =
				image->word[64 * k + (unsigned int)__builtin_ctzll(bits)];
	}
	return FIB_NODE | number;
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
	struct fib_byte_node *node;
	uint64_t bits;

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
	node = node_at(fib, parent->word);
	bits = node->bits[index / 64];
	if (!(bits >> (index % 64) & 1) ||
	    (next < 256 && !(node->bits[next / 64] >> (next % 64) & 1))) {
		fib_branch_dirty(fib, branch->parent);
		return;
	}
	rank = node->rank[index / 64] +
	       (unsigned int)__builtin_popcountll(bits & ((1ull << (index % 64)) - 1));
	fib_store(&node->entry[rank], branch->word);
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
	struct fib_byte_node *old = fib_node_is(branch->word) ? node_at(fib, branch->word) : NULL;
	struct image image;
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
	if (old && image_fits_in(&image, old) &&
	    (node_entries(old) <= 2 * image.entries + SPARE_ENTRIES ||
	     !fib_node_fits(fib, branch->wanted))) {
		image_store(&image, old);
		return;
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

bool fib_branch_move(struct fib *fib, struct fib_branch *branch, uint32_t *budget)
{
	uint32_t node;

	if (!*budget)
		return false;
	if (fib_node_is(branch->word)) {
		node = fib_node_move(fib, branch->side, fib_node_number(branch->word),
				     word_units(fib, branch->word));
		if (node) {
			branch->word = FIB_NODE | node;
			word_publish(fib, branch);
			--*budget;
		}
	}
	for (unsigned int i = 0; i < branch->children; i++) {
		if (!fib_branch_move(fib, branch->child[i].branch, budget))
			return false;
	}
	return true;
}

/* ---- reading ---- */

uint32_t fib_branch_lookup(const struct fib *fib, uint32_t word, const uint8_t *addr,
			   unsigned int depth, unsigned int end)
{
	while (fib_node_is(word) && depth < end) {
		const struct fib_byte_node *node = node_at(fib, word);
		unsigned int byte = addr[depth++];
		uint64_t below = node->bits[byte / 64] << (63 - byte % 64);

		word = fib_load(&node->entry[node->rank[byte / 64] +
					     (unsigned int)__builtin_popcountll(below) - 1]);
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
