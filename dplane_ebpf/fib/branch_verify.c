// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Whether readers find in shared memory what branches say: on the way down to the branch where a prefix ends, there for each
 * byte that is the prefix's own, and in all branches below for those that inherit its group. A node that says other things
 * of its runs than was written is damaged for all that come by it: what they find may be right by chance. There may be a
 * whole table below: some dozens of branches are looked at before others get the lock.
 */
#include <string.h>

#include "dplane_ebpf/fib/fib_internal.h"

#define CHECK_BATCH 64u

/* ---- which bytes are whose ---- */

static unsigned int stem_len(uint32_t pos)
{
	return 31 - (unsigned int)__builtin_clz(pos);
}

static void mark(bool own[256], uint32_t pos, bool value)
{
	unsigned int shift = 8 - stem_len(pos);

	memset(&own[(pos << shift) & 255], value, (size_t)1 << shift);
}

/* The bytes that a prefix of the branch has, and none longer. NULL: those that none has. */
static void own_bytes(const struct fib_branch *branch, const struct fib_stem *stem, bool own[256])
{
	const struct fib_stem *end = branch->prefix + branch->prefixes;

	memset(own, !stem, 256);
	if (stem)
		mark(own, stem->pos, true);
	/* longer ones follow */
	for (const struct fib_stem *other = stem ? stem + 1 : branch->prefix; other < end;
	     other++) {
		if (!stem ||
		    other->pos >> (stem_len(other->pos) - stem_len(stem->pos)) == stem->pos)
			mark(own, other->pos, false);
	}
}

/* ---- one branch ---- */

static int no_room(const struct fib_branch *branch)
{
	return branch->waiting || branch->lost ? -ENOSPC : 0;
}

/* What readers find in its node for these bytes. */
static int words_check(struct fib *fib, struct fib_branch *branch, const bool own[256],
		       uint16_t gid, bool rewrite)
{
	const struct fib_twig *twig = branch->child, *end = twig + branch->children;
	bool intact = fib_branch_intact(fib, branch);
	int err = no_room(branch);

	for (unsigned int index = 0; fib_node_is(branch->word) && index < 256; index++) {
		uint32_t wanted = gid;

		while (twig < end && twig->index < index)
			twig++;
		if (!own[index])
			continue;
		if (twig < end && twig->index == index) {
			wanted = twig->branch->word;
			err = fib_worse(err, no_room(twig->branch));
		}
		if (!intact || fib_branch_word(fib, branch->word, index) != wanted) {
			if (rewrite)
				fib_branch_anew(fib, branch);
			return -EBADMSG;
		}
	}
	return err;
}

static int root_check(struct fib *fib, const struct fib_branch *top, bool rewrite)
{
	if (fib_load(top->root) == top->word)
		return 0;
	if (rewrite)
		fib_store(top->root, top->word);
	return -EBADMSG;
}

/* The words that lead readers from the root to the branch. */
static int path_check(struct fib *fib, struct fib_branch *branch, const uint8_t *addr, bool rewrite)
{
	struct fib_branch *parent = branch->parent;
	int err;

	if (!parent)
		return root_check(fib, branch, rewrite);
	err = path_check(fib, parent, addr, rewrite);
	if (fib_node_is(parent->word) &&
	    (!fib_branch_intact(fib, parent) ||
	     fib_branch_word(fib, parent->word, addr[parent->depth]) != branch->word)) {
		if (rewrite)
			fib_branch_anew(fib, parent);
		err = -EBADMSG;
	}
	return fib_worse(err, no_room(parent));
}

/* ---- what inherits ---- */

struct inherited {
	const struct fib_branch *from; /* where the prefix ends; NULL: above the topmost branch */
	uint16_t gid;
	bool rewrite;
	int err;
};

static void inherited_check(struct fib *fib, struct fib_branch *branch, void *arg)
{
	struct inherited *inherited = arg;
	const struct fib_branch *below = branch;
	bool own[256];
	int err;

	/* what it inherits may be another prefix's, between */
	if (branch->inherit != inherited->gid)
		return;
	for (; below->parent && below->parent != inherited->from; below = below->parent) {
		if (fib_branch_own(below->parent, below->index))
			return;
	}
	own_bytes(branch, NULL, own);
	err = words_check(fib, branch, own, inherited->gid, inherited->rewrite);
	inherited->err = fib_worse(inherited->err, err);
}

int fib_branch_check_inherited(struct fib *fib, const struct fib_top *top, const uint16_t *gid,
			       bool rewrite)
{
	struct inherited inherited = {.rewrite = rewrite};
	struct fib_branch_place place = {0};
	struct fib_branch *branch = top->get(fib, top->number);
	bool more = branch;

	if (branch)
		inherited.err = root_check(fib, branch, rewrite);
	while (more) {
		uint32_t budget = CHECK_BATCH;

		branch = top->get(fib, top->number);
		inherited.gid = gid ? *gid : FIB_GROUP_DEFAULT;
		more = branch &&
		       !fib_branch_each(fib, branch, &place, &budget, inherited_check, &inherited);
		if (more)
			fib_yield(fib);
	}
	return inherited.err;
}

/* ---- a prefix ---- */

/* The branch where a prefix ends, and its place there. NULL: it is not there. */
static struct fib_branch *branch_of(const struct fib *fib, const struct fib_top *top,
				    const uint8_t *addr, uint8_t len, const struct fib_stem **stem)
{
	struct fib_branch *branch = top->get(fib, top->number);
	unsigned int rel;
	uint32_t pos;

	while (branch && len > 8 * (branch->depth + 1))
		branch = fib_branch_child(branch, addr[branch->depth]);
	if (!branch)
		return NULL;
	rel = len - 8u * branch->depth;
	pos = fib_heap_pos((uint32_t)addr[branch->depth] >> (8 - rel), rel);
	for (unsigned int i = 0; i < branch->prefixes; i++) {
		*stem = &branch->prefix[i];
		if ((*stem)->pos == pos)
			return branch;
	}
	return NULL;
}

/* Those below that inherit the prefix's group, from a place on. False: there are more. */
static bool below_check(struct fib *fib, const struct fib_branch *branch, const bool own[256],
			struct fib_branch_place *place, struct inherited *inherited)
{
	uint32_t budget = CHECK_BATCH;
	unsigned int from = place->depth > branch->depth ? place->path[branch->depth] : 0;

	for (unsigned int i = 0; i < branch->children; i++) {
		const struct fib_twig *twig = &branch->child[i];

		if (!own[twig->index] || twig->index < from)
			continue;
		if (twig->index != from)
			place->depth = 0;
		place->path[branch->depth] = twig->index;
		if (!fib_branch_each(fib, twig->branch, place, &budget, inherited_check, inherited))
			return false;
	}
	return true;
}

int fib_branch_check(struct fib *fib, const struct fib_top *top, const uint8_t *addr, uint8_t len,
		     bool rewrite)
{
	struct inherited inherited = {.rewrite = rewrite};
	struct fib_branch_place place = {0};
	const struct fib_stem *stem;
	struct fib_branch *branch = branch_of(fib, top, addr, len, &stem);
	bool own[256], more = true;
	int err;

	if (!branch)
		return -ENOENT;
	err = path_check(fib, branch, addr, rewrite);
	own_bytes(branch, stem, own);
	err = fib_worse(err, words_check(fib, branch, own, stem->gid, rewrite));
	while (more) {
		inherited.from = branch;
		inherited.gid = stem->gid;
		more = !below_check(fib, branch, own, &place, &inherited);
		if (!more)
			break;
		/* it may be gone, or another one, when the lock was free */
		fib_yield(fib);
		branch = branch_of(fib, top, addr, len, &stem);
		if (!branch)
			break;
		own_bytes(branch, stem, own);
	}
	return fib_worse(err, inherited.err);
}
