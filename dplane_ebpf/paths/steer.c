// SPDX-License-Identifier: GPL-2.0-or-later
/* From what counts of each link to each member's share of a group. */
#include "dplane_ebpf/paths/paths_internal.h"

#include <string.h>

struct judged {
	uint32_t metric, weight;
	bool drain;
};

static const struct paths_values *in_force(const struct override *override)
{
	return override && !override->expired ? &override->what.values : NULL;
}

static struct judged judge(const struct paths *paths, const struct fib_candidate *candidate)
{
	const struct fib_nexthop_key *key = candidate->key;
	const char *name = paths_name_of(paths, key->ifindex);
	const struct override *of_link = NULL, *of_hop = NULL;
	enum paths_source source[PATHS_VALUES];
	struct paths_values values;

	if (name) {
		of_link = overrides_find(&paths->overrides, name, 0, NULL);
		if (key->family)
			of_hop = overrides_find(&paths->overrides, name, key->family, key->gate);
	}
	paths_effective(in_force(of_hop), in_force(of_link), NULL, &values, source);
	return (struct judged){
		.metric = values.metric,
		.weight = values.has & PATHS_WEIGHT ? values.weight : candidate->weight,
		.drain = values.drain,
	};
}

/*
 * Drained members have nothing, unless all are; of the others those with the lowest metric share by weight. What each
 * is asked for is looked up in each pass, so that no room is needed for the answers.
 */
bool paths_steerer(void *arg, struct fib_candidate *candidates, size_t n)
{
	struct paths *paths = arg;
	uint32_t lowest = UINT32_MAX;
	bool all_drained = true, differs = false;

	pthread_mutex_lock(&paths->lock);
	for (size_t i = 0; i < n && paths->overrides.n; i++)
		all_drained &= judge(paths, &candidates[i]).drain;
	for (size_t i = 0; i < n && paths->overrides.n; i++) {
		struct judged judged = judge(paths, &candidates[i]);

		if ((all_drained || !judged.drain) && judged.metric < lowest)
			lowest = judged.metric;
	}
	for (size_t i = 0; i < n && paths->overrides.n; i++) {
		struct judged judged = judge(paths, &candidates[i]);
		bool out = (judged.drain && !all_drained) || judged.metric > lowest;
		uint32_t share = out ? 0 : judged.weight;

		differs |= share != candidates[i].weight;
		candidates[i].weight = share;
	}
	pthread_mutex_unlock(&paths->lock);
	return differs;
}
