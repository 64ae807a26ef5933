// SPDX-License-Identifier: GPL-2.0-or-later
/* Repairs on their way from zebra's main thread to its dplane thread. */
#include "dplane_ebpf/compat.h"
#include "dplane_ebpf/repair.h"

#include <pthread.h>

struct waiting {
	struct waiting *next;
	struct repair what;
};

static struct {
	pthread_mutex_t mutex;
	struct waiting *first, **end;
} queue = {.mutex = PTHREAD_MUTEX_INITIALIZER, .end = &queue.first};

static void free_groups(struct repair *what)
{
	nexthops_free(what->ng.nexthop);
	nexthops_free(what->backups.nexthop);
}

bool repair_ask(struct repair *what)
{
	struct waiting *waiting = calloc(1, sizeof(*waiting));

	if (!waiting) {
		free_groups(what);
		return false;
	}
	waiting->what = *what;
	pthread_mutex_lock(&queue.mutex);
	*queue.end = waiting;
	queue.end = &waiting->next;
	pthread_mutex_unlock(&queue.mutex);
	dplane_provider_work_ready();
	return true;
}

/* The group that the prefix is to have, itself as the RIB has it. */
static uint32_t set_group(struct groups *groups, const struct repair *what, bool *owned, int *err)
{
	uint32_t group;

	*owned = false;
	if (what->source_specific)
		return FIB_GROUP_UNSUPPORTED;
	if (what->local)
		return FIB_GROUP_LOCAL;
	if (!groups_find(groups, what->nhe_id, &what->ng, what->mtu, &group))
		return groups_make(groups, &what->ng, &what->backups, what->mtu, owned);
	*err = groups_set(groups, what->nhe_id, &what->ng);
	if (!*err)
		*err = groups_protect(groups, what->nhe_id, &what->ng, &what->backups);
	groups_find(groups, what->nhe_id, &what->ng, what->mtu, &group);
	return group;
}

static int repair_one(struct fib *fib, struct groups *groups, const struct repair *what)
{
	int err = 0, err_route;
	uint32_t group;
	bool owned;

	if (!what->present && !what->source_specific) {
		err = fib_route_del(fib, &what->prefix);
		return err == -ENOENT ? 0 : err;
	}
	group = set_group(groups, what, &owned, &err);
	err_route = fib_route_set(fib, &what->prefix, group);
	if (owned)
		fib_group_drop(fib, group);
	fib_group_rewrite(fib, group);
	fib_route_rewrite(fib, &what->prefix);
	return err ? err : err_route;
}

/*
 * What zebra decided after it asked stands behind in its queue. What it had decided before and is still on its way there will
 * undo the repair, if it is about this prefix; then the next comparison finds it.
 */
size_t repair_all(struct fib *fib, struct groups *groups, int *err)
{
	struct waiting *waiting, *next;
	size_t n = 0;

	*err = 0;
	pthread_mutex_lock(&queue.mutex);
	waiting = queue.first;
	queue.first = NULL;
	queue.end = &queue.first;
	pthread_mutex_unlock(&queue.mutex);
	for (; waiting; waiting = next) {
		int one = fib ? repair_one(fib, groups, &waiting->what) : 0;

		*err = *err ? *err : one;
		next = waiting->next;
		n++;
		free_groups(&waiting->what);
		free(waiting);
	}
	return n;
}
