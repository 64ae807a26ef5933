// SPDX-License-Identifier: GPL-2.0-or-later
/* Repairs on their way from zebra's main thread to its dplane thread. */
#include "dplane_ebpf/compat.h"
#include "dplane_ebpf/repair.h"

#include <pthread.h>
#include <stdatomic.h>

/* So many under a FIB's lock at a time. */
#define BATCH 128u

struct waiting {
	struct waiting *next;
	struct repair what;
};

static struct {
	pthread_mutex_t mutex;
	struct waiting *first, **end;
	_Atomic size_t n;
} queue = {.mutex = PTHREAD_MUTEX_INITIALIZER, .end = &queue.first};

static void free_groups(struct repair *what)
{
	nexthops_free(what->ng.nexthop);
	nexthops_free(what->backups.nexthop);
}

bool repair_ask(struct repair *what)
{
	struct waiting *waiting = calloc(1, sizeof(*waiting));
	bool first;

	if (!waiting) {
		free_groups(what);
		return false;
	}
	waiting->what = *what;
	atomic_fetch_add(&queue.n, 1);
	pthread_mutex_lock(&queue.mutex);
	first = !queue.first;
	*queue.end = waiting;
	queue.end = &waiting->next;
	pthread_mutex_unlock(&queue.mutex);
	if (first)
		dplane_provider_work_ready();
	return true;
}

size_t repair_waiting(void)
{
	return atomic_load(&queue.n);
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
	*err = what->again ? groups_set(groups, what->nhe_id, &what->ng) : 0;
	if (!*err)
		*err = groups_protect(groups, what->nhe_id, &what->ng, &what->backups);
	groups_find(groups, what->nhe_id, &what->ng, what->mtu, &group);
	return group;
}

static int repair_one(struct target *target, const struct repair *what)
{
	struct fib *fib = target->fib;
	int err = 0, err_route;
	uint32_t group;
	bool owned;

	if (what->src.family) {
		struct prefix dest;

		fib_to_prefix(&what->prefix, &dest);
		err = srcdest_add(target->srcdest, what->prefix.table, &dest, &what->src);
		if (err)
			return err;
	}
	if (!what->present && !what->source_specific) {
		err = fib_route_del(fib, &what->prefix);
		return err == -ENOENT ? 0 : err;
	}
	group = set_group(target->groups, what, &owned, &err);
	err_route = what->kernels ? fib_route_read(fib, &what->prefix, group)
				  : fib_route_set(fib, &what->prefix, group);
	if (owned)
		fib_group_drop(fib, group);
	if (what->again) {
		fib_group_rewrite(fib, group);
		fib_route_rewrite(fib, &what->prefix);
	}
	return err ? err : err_route;
}

static struct target *target_of(struct target *const targets[], size_t n, const struct fib *fib)
{
	for (size_t i = 0; i < n; i++) {
		if (targets[i]->fib == fib)
			return targets[i];
	}
	return NULL;
}

/*
 * What zebra decided after it asked stands behind in its queue. What it had decided before and is still on its way there will
 * undo the repair, if it is about this prefix; then the next comparison finds it.
 */
size_t repair_all(struct target *const targets[], size_t n, int *err)
{
	struct waiting *waiting, *next;
	struct fib *batch = NULL;
	size_t again = 0, done = 0;

	*err = 0;
	pthread_mutex_lock(&queue.mutex);
	waiting = queue.first;
	queue.first = NULL;
	queue.end = &queue.first;
	pthread_mutex_unlock(&queue.mutex);
	for (; waiting; waiting = next, done++) {
		struct target *target = target_of(targets, n, waiting->what.fib);
		int one = 0;

		if (batch && (done % BATCH == 0 || !target || batch != target->fib)) {
			fib_batch_end(batch);
			batch = NULL;
		}
		if (target) {
			if (!batch)
				fib_batch_begin(target->fib);
			batch = target->fib;
			one = repair_one(target, &waiting->what);
			again += waiting->what.again;
		}
		*err = *err ? *err : one;
		next = waiting->next;
		free_groups(&waiting->what);
		free(waiting);
		atomic_fetch_sub(&queue.n, 1);
	}
	if (batch)
		fib_batch_end(batch);
	return again;
}
