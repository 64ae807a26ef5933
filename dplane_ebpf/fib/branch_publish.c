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

/* The entry of the rank-th run of a branch's node. */
static uint32_t *node_entry(const struct fib *fib, const struct fib_branch *branch, uint32_t rank)
{
	struct fib_small_node *small = node_at(fib, branch->word);
	struct fib_byte_node *node = node_at(fib, branch->word);

	return branch->word & FIB_SMALL ? &small->entry[branch->entries - 1u - rank]
					: &node->entry[rank];
}

/* Where the runs begin, as a small node says it. */
static uint64_t small_bounds(const uint64_t bits[4])
{
	uint64_t bounds = 0;

	for (unsigned int k = 0; k < 4; k++) {
		for (uint64_t rest = k ? bits[k] : bits[k] & ~1ull; rest; rest &= rest - 1)
			bounds = bounds >> 8 |
				 (uint64_t)(64 * k + (unsigned int)__builtin_ctzll(rest)) << 56;
	}
	return bounds;
}

bool fib_branch_intact(const struct fib *fib, const struct fib_branch *branch)
{
	const struct fib_small_node *small = node_at(fib, branch->word);
	const struct fib_byte_node *node = node_at(fib, branch->word);
	uint8_t rank = 0;

	if (!fib_node_is(branch->word))
		return true;
	if (branch->word & FIB_SMALL)
		return small->bounds == small_bounds(branch->bits);
	for (unsigned int k = 0; k < 4; k++) {
		if (node->bits[k] != branch->bits[k] || node->rank[k] != rank)
			return false;
		rank += (uint8_t)__builtin_popcountll(branch->bits[k]);
	}
	return true;
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

/* Stores what differs, entry by entry, into the branch's node, whose runs are at least as fine. */
static void image_store(const struct fib *fib, const struct fib_branch *branch,
			const struct image *image)
{
	uint32_t rank = 0;

	for (unsigned int k = 0; k < 4; k++) {
		for (uint64_t bits = branch->bits[k]; bits; bits &= bits - 1, rank++) {
			uint32_t word = image->word[64 * k + (unsigned int)__builtin_ctzll(bits)];
			uint32_t *entry = node_entry(fib, branch, rank);

			if (*entry != word)
				fib_store(entry, word);
		}
	}
}

/* Whether the image can be stored where the node is, which has not been damaged. */
static bool fits_in_place(const struct fib *fib, const struct fib_branch *branch,
			  const struct image *image)
{
	if (!fib_node_is(branch->word) || branch->anew)
		return false;
	for (unsigned int k = 0; k < 4; k++) {
		if (image->bits[k] & ~branch->bits[k])
			return false;
	}
	return (branch->entries <= image->entries + SPARE_ENTRIES ||
		!fib_node_fits(fib, branch->wanted)) &&
	       fib_branch_intact(fib, branch);
}

static void write_small(const struct image *image, struct fib_small_node *node)
{
	uint32_t rank = image->entries;

	node->bounds = small_bounds(image->bits);
	for (unsigned int k = 0; k < 4; k++) {
		for (uint64_t bits = image->bits[k]; bits; bits &= bits - 1)
			node->entry[--rank] =
				image->word[64 * k + (unsigned int)__builtin_ctzll(bits)];
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
				entries_units(branch->entries));
}

/* ---- publishing ---- */

/*
 * Stores the branch's word where readers come from. A parent whose node has no entry for this child alone, or
 * was damaged, has to be made anew.
 */
static void word_publish(struct fib *fib, struct fib_branch *branch)
{
	const struct fib_branch *parent = branch->parent;
	unsigned int index = branch->index, next = index + 1, rank;

	if (!parent) {
		fib_store(branch->root, branch->word);
		return;
	}
	if (parent->dirty)
		return;
	if (!fib_node_is(parent->word) || !fib_branch_intact(fib, parent)) {
		fib_branch_dirty(fib, branch->parent);
		return;
	}
	if (!(parent->bits[index / 64] >> (index % 64) & 1) ||
	    (next < 256 && !(parent->bits[next / 64] >> (next % 64) & 1))) {
		fib_branch_dirty(fib, branch->parent);
		return;
	}
	rank = (unsigned int)__builtin_popcountll(parent->bits[index / 64] &
						  ((1ull << (index % 64)) - 1));
	for (unsigned int k = 0; k < index / 64; k++)
		rank += (unsigned int)__builtin_popcountll(parent->bits[k]);
	fib_store(node_entry(fib, parent, rank), branch->word);
}

void fib_branch_anew(struct fib *fib, struct fib_branch *branch)
{
	word_publish(fib, branch);
	branch->anew = true;
	fib_branch_dirty(fib, branch);
}

/* image: of the node that word leads to, if it does. */
static void word_change(struct fib *fib, struct fib_branch *branch, uint32_t word,
			const struct image *image)
{
	uint32_t old = branch->word, units = entries_units(branch->entries);

	if (old == word)
		return;
	branch->word = word;
	branch->entries = (uint16_t)image->entries;
	memcpy(branch->bits, image->bits, sizeof(branch->bits));
	word_publish(fib, branch);
	if (fib_node_is(old))
		fib_node_retire(fib, branch->side, fib_node_number(old), units);
}

static void branch_publish(struct fib *fib, struct fib_branch *branch)
{
	struct image image;
	bool in_place;
	uint32_t word;

	image_make(branch, &image);
	if (branch->lost) {
		word_change(fib, branch, FIB_GROUP_OVERFLOW, &image);
		return;
	}
	branch->wanted = entries_units(image.entries);
	in_place = fits_in_place(fib, branch, &image);
	branch->anew = false;
	if (image.entries == 1) {
		word_change(fib, branch, image.word[0], &image);
		return;
	}
	if (in_place) {
		image_store(fib, branch, &image);
		return;
	}
	word = node_new(fib, branch->side, &image);
	word_change(fib, branch, word, &image);
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

void fib_branch_move(struct fib *fib, struct fib_branch *branch, void *arg)
{
	uint32_t node;

	(void)arg;
	if (!fib_node_is(branch->word))
		return;
	node = fib_node_move(fib, branch->side, fib_node_number(branch->word),
			     entries_units(branch->entries));
	if (!node)
		return;
	branch->word = FIB_NODE | (branch->word & FIB_SMALL) | node;
	word_publish(fib, branch);
}

/* ---- reading ---- */

uint32_t fib_branch_word(const struct fib *fib, uint32_t word, unsigned int byte)
{
	const struct fib_small_node *small = fib_node_read(fib, word);
	const struct fib_byte_node *node = fib_node_read(fib, word);
	unsigned int rank = 0;

	if (word & FIB_SMALL) {
		for (unsigned int i = 0; i < FIB_SMALL_RUNS - 1; i++)
			rank += (uint8_t)(small->bounds >> 8 * i) <= byte;
		return fib_load(&small->entry[FIB_SMALL_RUNS - 1 - rank]);
	}
	rank = node->rank[byte / 64];
	rank += (unsigned int)__builtin_popcountll(node->bits[byte / 64] << (63 - byte % 64));
	return fib_load(&node->entry[(rank - 1) % 256]);
}

uint32_t fib_branch_lookup(const struct fib *fib, uint32_t word, const uint8_t *addr,
			   unsigned int depth, unsigned int end)
{
	while (fib_node_is(word) && depth < end)
		word = fib_branch_word(fib, word, addr[depth++]);
	/* deeper than there are bytes: the program gives the packet to the kernel */
	return fib_node_is(word) ? FIB_MAX_GROUPS : word;
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
