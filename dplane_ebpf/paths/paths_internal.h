/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Between the files of paths/. What is shared is guarded by struct paths' lock, which is taken inside the FIB's (the
 * steerer) and inside links' (names): whoever holds it calls neither.
 */
#ifndef DPLANE_EBPF_PATHS_INTERNAL_H
#define DPLANE_EBPF_PATHS_INTERNAL_H

#include <pthread.h>

#include "dplane_ebpf/paths/paths.h"

/* An override, and whether its time is over. */
struct override {
	struct paths_override what;
	bool expired;
};

/* Sorted by interface; a link's own before those of its next hops. */
struct overrides {
	struct override *list;
	size_t n;
	bool quiet; /* nothing is told */
};

/* An interface that exists. */
struct path_name {
	uint32_t ifindex;
	char name[IF_NAMESIZE];
};

struct paths {
	struct fib *fib;
	struct links *links; /* NULL: names come from somebody else (tests) */
	pthread_mutex_t lock;
	pthread_cond_t changed; /* of `overrides`, or stop */
	struct overrides overrides;
	unsigned int configured; /* times */
	struct path_name *names; /* sorted by ifindex */
	size_t n_names;
	pthread_t thread;
	bool stop;
};

/* ---- override.c ---- */

/* A sorted copy. False: out of memory. */
bool overrides_copy(struct overrides *to, const struct paths_override *list, size_t n, int64_t now);
void overrides_free(struct overrides *overrides);
/* The one for a link (family 0) or one of its next hops; NULL: there is none. */
struct override *overrides_find(const struct overrides *overrides, const char *interface,
				uint8_t family, const uint8_t *address);
/* Tells each difference as a notice, and calls cb with the interface of each. */
typedef void (*overrides_cb)(void *arg, const char *interface);
void overrides_compare(const struct overrides *before, const struct overrides *after,
		       overrides_cb cb, void *arg);
/* Marks those whose time is over, tells of each and calls cb. Returns when the next one's is; 0: none's. */
int64_t overrides_expire(struct overrides *overrides, int64_t now, overrides_cb cb, void *arg);

/* ---- effective.c: pure functions ---- */

/* What counts, value by value: the next hop's override before the link's before what was measured; each may be NULL. */
void paths_effective(const struct paths_values *of_hop, const struct paths_values *of_link,
		     const struct paths_values *measured, struct paths_values *effective,
		     enum paths_source source[PATHS_VALUES]);

/* ---- steer.c ---- */

bool paths_steerer(void *arg, struct fib_candidate *candidates, size_t n);

/* ---- paths.c, for tests ---- */

/* Without a thread and without links. */
struct paths *paths_new(struct fib *fib);
/* There is such an interface, by this name now; NULL: there is not. As links/ tells it. */
void paths_name(void *paths, uint32_t ifindex, const char *name);
/* Lets overrides expire; returns when it is to be called again, 0: not before something is configured. */
int64_t paths_expire(struct paths *paths, int64_t now);
/* The name of an interface, NULL: there is none. Under the lock. */
const char *paths_name_of(const struct paths *paths, uint32_t ifindex);
uint32_t paths_ifindex_of(const struct paths *paths, const char *name);

#endif /* DPLANE_EBPF_PATHS_INTERNAL_H */
