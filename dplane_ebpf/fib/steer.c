// SPDX-License-Identifier: GPL-2.0-or-later
/* Steering: somebody else's word on how the members of a group share its slots. */
#include "dplane_ebpf/fib/fib_internal.h"

#include <errno.h>
#include <stdlib.h>

/* So many groups at a time under the lock: a link that fails must not wait for all of them. */
#define CHUNK 32

bool fib_steered_shares(struct fib *fib, const struct fib_group *group, uint64_t *share)
{
	struct fib_candidate *candidates = fib->candidates;
	bool any = false;
	size_t n = 0;

	for (uint32_t i = 0; i < group->n; i++) {
		if (!share[i])
			continue;
		candidates[n].key = &fib->nexthop[group->member[i].nexthop].key;
		candidates[n++].weight = (uint32_t)share[i];
	}
	if (n < 2 || !fib->steerer(fib->steerer_arg, candidates, n))
		return false;
	for (size_t i = 0; i < n; i++)
		any |= candidates[i].weight != 0;
	if (!any)
		return false;
	for (uint32_t i = 0, at = 0; i < group->n; i++) {
		if (share[i])
			share[i] = candidates[at++].weight;
	}
	return true;
}

static bool has_link(const struct fib *fib, const struct fib_group *group, const uint32_t *ifindex,
		     size_t n)
{
	for (uint32_t i = 0; i < group->n_own; i++) {
		uint32_t own = fib->nexthop[group->member[i].nexthop].key.ifindex;

		for (size_t k = 0; k < n; k++) {
			if (ifindex[k] == own)
				return true;
		}
	}
	return false;
}

void fib_steer_again(struct fib *fib, const uint32_t *ifindex, size_t n)
{
	uint32_t id = FIB_GROUP_FIRST, top;

	do {
		fib_lock(fib);
		top = fib->pool[FIB_POOL_GROUP].top;
		for (unsigned int done = 0; id < top && done < CHUNK; id++) {
			const struct fib_group *group = &fib->group[id];

			if (!group->used || group->n_own < 2 ||
			    (ifindex && !has_link(fib, group, ifindex, n)))
				continue;
			fib_slots_publish(fib, id);
			done++;
		}
		fib_unlock(fib);
	} while (id < top);
}

int fib_steer(struct fib *fib, fib_steerer steerer, void *arg)
{
	int err = 0;

	fib_lock(fib);
	if (steerer && !fib->candidates)
		fib->candidates = calloc(FIB_MAX_GROUP_SLOTS, sizeof(*fib->candidates));
	if (steerer && !fib->candidates) {
		err = -ENOMEM;
	} else {
		fib->steerer = steerer;
		fib->steerer_arg = arg;
	}
	fib_unlock(fib);
	if (!err)
		fib_steer_again(fib, NULL, 0);
	return err;
}
