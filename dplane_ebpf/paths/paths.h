/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Link metrics: what the operator says of links, what is measured (not yet), what counts of it, and the split of
 * traffic within each next-hop group that follows. Members and zebra's weights come from zebra, liveness from links/.
 * Knows nothing of FRR.
 */
#ifndef DPLANE_EBPF_PATHS_H
#define DPLANE_EBPF_PATHS_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "dplane_ebpf/fib/fib.h"
#include "dplane_ebpf/links/links.h"

struct paths;

/* A link that nothing is known of counts with this. */
#define PATHS_METRIC_DEFAULT 10u

/* Which of the values are there. */
enum {
	PATHS_METRIC = 1 << 0,
	PATHS_DELAY = 1 << 1,
	PATHS_DELAY_MIN = 1 << 2,
	PATHS_DELAY_MAX = 1 << 3,
	PATHS_DELAY_VARIATION = 1 << 4,
	PATHS_LOSS = 1 << 5,
	PATHS_RESIDUAL_BANDWIDTH = 1 << 6,
	PATHS_AVAILABLE_BANDWIDTH = 1 << 7,
	PATHS_UTILIZED_BANDWIDTH = 1 << 8,
	PATHS_WEIGHT = 1 << 9,
	PATHS_DRAIN = 1 << 10,
};
#define PATHS_VALUES 11

struct paths_values {
	uint32_t has;
	uint32_t metric;
	uint32_t delay, delay_min, delay_max, delay_variation; /* µs */
	uint32_t loss;					       /* millionths of a percent */
	float residual, available, utilized;		       /* bytes a second */
	uint32_t weight;
	bool drain;
};

/* What the operator says of a link (family 0), or of one next hop on it. */
struct paths_override {
	char interface[IF_NAMESIZE];
	uint8_t family;
	uint8_t address[16];
	struct paths_values values;
	int64_t expires; /* seconds since 1970; 0: never */
};

/*
 * Starts with no override. The FIB's groups are steered from now on. A thread of its own lets overrides expire.
 * NULL: out of memory, or no thread.
 */
struct paths *paths_start(struct fib *fib, struct links *links);
/* zebra's weights again. Before links_stop() and fib_free(). NULL is fine. */
void paths_stop(struct paths *paths);

/*
 * Instead of paths_stop(), for a FIB that is given up together with this, while packets may still be forwarded by it: no
 * group is computed again. After links_stop(), when nobody else calls the FIB any more. NULL is fine.
 */
void paths_leave(struct paths *paths);

/* Whether notices are told: where there are two for the same overrides, one is quiet. Any thread. */
void paths_quiet(struct paths *paths, bool quiet);

/*
 * These are all the overrides now, in any order; an interface and an address at most once. What differs from before
 * is in force for packets when this returns, and told as notices (notice.h). Main thread. -ENOMEM: nothing has changed.
 */
int paths_configure(struct paths *paths, const struct paths_override *list, size_t n);

/* What became of an override. */
enum paths_override_state { PATHS_NONE, PATHS_IN_FORCE, PATHS_WAITING, PATHS_EXPIRED };

/* Where a value comes from. */
enum paths_source { PATHS_DEFAULT, PATHS_MEASURED, PATHS_OF_LINK, PATHS_OF_NEXTHOP };

struct paths_link_info {
	char interface[IF_NAMESIZE];
	uint32_t ifindex; /* 0: there is no such interface */
	uint8_t family;	  /* of address; 0: this is the link itself */
	uint8_t address[16];
	enum paths_override_state state;
	struct paths_values configured; /* as said, also while waiting or expired */
	int64_t expires;
	struct paths_values measured;
	struct paths_values effective; /* with PATHS_METRIC in any case */
	/* where each of them comes from, by the number of its bit in `has` */
	enum paths_source source[PATHS_VALUES];
};

/*
 * Links that have next hops in use or an override, sorted by interface; each link itself first, then its next hops by
 * address (those in use, and those with an override of their own). Returns how many; *list is malloc'ed, the
 * caller frees. Any thread.
 */
size_t paths_links(struct paths *paths, struct paths_link_info **list);

#endif /* DPLANE_EBPF_PATHS_H */
