// SPDX-License-Identifier: GPL-2.0-or-later
/* Start and stop, names of interfaces, and the thread that lets overrides expire. */
#include "dplane_ebpf/paths/paths_internal.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

/* More links than these: all groups are looked at, which is cheaper. */
#define LINKS_MAX 16

/* Links of which something else counts now. */
struct affected {
	const struct paths *paths;
	uint32_t ifindex[LINKS_MAX];
	size_t n;
	bool all;
};

static void add_ifindex(struct affected *affected, uint32_t ifindex)
{
	for (size_t i = 0; i < affected->n; i++) {
		if (affected->ifindex[i] == ifindex)
			return;
	}
	if (affected->n == LINKS_MAX)
		affected->all = true;
	else
		affected->ifindex[affected->n++] = ifindex;
}

static void affect(void *arg, const char *interface)
{
	struct affected *affected = arg;
	uint32_t ifindex = paths_ifindex_of(affected->paths, interface);

	if (ifindex)
		add_ifindex(affected, ifindex);
}

static void steer_again(const struct affected *affected)
{
	if (affected->all)
		fib_steer_again(affected->paths->fib, NULL, 0);
	else if (affected->n)
		fib_steer_again(affected->paths->fib, affected->ifindex, affected->n);
}

/* ---- names ---- */

static size_t name_place(const struct paths *paths, uint32_t ifindex)
{
	size_t low = 0, high = paths->n_names;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (paths->names[middle].ifindex < ifindex)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const char *paths_name_of(const struct paths *paths, uint32_t ifindex)
{
	size_t at = name_place(paths, ifindex);

	return at < paths->n_names && paths->names[at].ifindex == ifindex ? paths->names[at].name
									  : NULL;
}

uint32_t paths_ifindex_of(const struct paths *paths, const char *name)
{
	for (size_t i = 0; i < paths->n_names; i++) {
		if (strcmp(paths->names[i].name, name) == 0)
			return paths->names[i].ifindex;
	}
	return 0;
}

/* False: out of memory; overrides of this interface wait until it is named again. */
static bool name_set(struct paths *paths, uint32_t ifindex, const char *name)
{
	size_t at = name_place(paths, ifindex), behind = paths->n_names - at;
	struct path_name *names;

	if (!paths_name_of(paths, ifindex)) {
		names = realloc(paths->names, (paths->n_names + 1) * sizeof(*names));
		if (!names)
			return false;
		paths->names = names;
		memmove(&names[at + 1], &names[at], behind * sizeof(*names));
		paths->n_names++;
	}
	memset(&paths->names[at], 0, sizeof(paths->names[at]));
	paths->names[at].ifindex = ifindex;
	strncpy(paths->names[at].name, name, IF_NAMESIZE - 1);
	return true;
}

static void name_remove(struct paths *paths, uint32_t ifindex)
{
	size_t at = name_place(paths, ifindex);

	if (!paths_name_of(paths, ifindex))
		return;
	paths->n_names--;
	memmove(&paths->names[at], &paths->names[at + 1],
		(paths->n_names - at) * sizeof(*paths->names));
}

void paths_name(void *arg, uint32_t ifindex, const char *name)
{
	struct paths *paths = arg;
	const char *before;
	bool matters;

	pthread_mutex_lock(&paths->lock);
	before = paths_name_of(paths, ifindex);
	matters = paths->overrides.n && (!before || !name || strcmp(before, name) != 0);
	if (name)
		name_set(paths, ifindex, name);
	else
		name_remove(paths, ifindex);
	pthread_mutex_unlock(&paths->lock);
	if (matters)
		fib_steer_again(paths->fib, &ifindex, 1);
}

/* ---- overrides ---- */

int paths_configure(struct paths *paths, const struct paths_override *list, size_t n)
{
	struct overrides new, old;
	struct affected affected = {.paths = paths};

	if (!overrides_copy(&new, list, n, time(NULL)))
		return -ENOMEM;
	pthread_mutex_lock(&paths->lock);
	old = paths->overrides;
	new.quiet = old.quiet;
	paths->overrides = new;
	paths->configured++;
	overrides_compare(&old, &new, affect, &affected);
	pthread_cond_signal(&paths->changed);
	pthread_mutex_unlock(&paths->lock);
	overrides_free(&old);
	steer_again(&affected);
	return 0;
}

void paths_quiet(struct paths *paths, bool quiet)
{
	pthread_mutex_lock(&paths->lock);
	paths->overrides.quiet = quiet;
	pthread_mutex_unlock(&paths->lock);
}

int64_t paths_expire(struct paths *paths, int64_t now)
{
	struct affected affected = {.paths = paths};
	int64_t next;

	pthread_mutex_lock(&paths->lock);
	next = overrides_expire(&paths->overrides, now, affect, &affected);
	pthread_mutex_unlock(&paths->lock);
	steer_again(&affected);
	return next;
}

/* Until the next one's time on the wall's clock, wherever somebody sets that clock meanwhile. */
static void *run(void *arg)
{
	struct paths *paths = arg;

	pthread_setname_np(pthread_self(), "dpe-paths");
	pthread_mutex_lock(&paths->lock);
	while (!paths->stop) {
		unsigned int configured = paths->configured;
		struct timespec until = {0};

		pthread_mutex_unlock(&paths->lock);
		until.tv_sec = paths_expire(paths, time(NULL));
		pthread_mutex_lock(&paths->lock);
		if (paths->stop || paths->configured != configured)
			continue;
		if (until.tv_sec)
			pthread_cond_timedwait(&paths->changed, &paths->lock, &until);
		else
			pthread_cond_wait(&paths->changed, &paths->lock);
	}
	pthread_mutex_unlock(&paths->lock);
	return NULL;
}

/* ---- start and stop ---- */

struct paths *paths_new(struct fib *fib)
{
	struct paths *paths = calloc(1, sizeof(*paths));

	if (!paths)
		return NULL;
	paths->fib = fib;
	pthread_mutex_init(&paths->lock, NULL);
	pthread_cond_init(&paths->changed, NULL);
	if (fib_steer(fib, paths_steerer, paths)) {
		paths_stop(paths);
		return NULL;
	}
	return paths;
}

static int start_thread(struct paths *paths)
{
	sigset_t all, old;
	int err;

	/* signals are for the daemon's own threads */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = pthread_create(&paths->thread, NULL, run, paths);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return err;
}

struct paths *paths_start(struct fib *fib, struct links *links)
{
	struct paths *paths = paths_new(fib);

	if (!paths)
		return NULL;
	if (start_thread(paths)) {
		paths_stop(paths);
		return NULL;
	}
	paths->links = links;
	links_watch_names(links, paths_name, paths);
	return paths;
}

static void stop_thread(struct paths *paths)
{
	pthread_mutex_lock(&paths->lock);
	paths->stop = true;
	pthread_cond_signal(&paths->changed);
	pthread_mutex_unlock(&paths->lock);
	pthread_join(paths->thread, NULL);
}

static void paths_free(struct paths *paths)
{
	overrides_free(&paths->overrides);
	free(paths->names);
	pthread_cond_destroy(&paths->changed);
	pthread_mutex_destroy(&paths->lock);
	free(paths);
}

void paths_stop(struct paths *paths)
{
	if (!paths)
		return;
	if (paths->links) {
		links_watch_names(paths->links, NULL, NULL);
		stop_thread(paths);
	}
	fib_steer(paths->fib, NULL, NULL);
	paths_free(paths);
}

void paths_leave(struct paths *paths)
{
	if (!paths)
		return;
	stop_thread(paths);
	paths_free(paths);
}
