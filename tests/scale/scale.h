/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Our tables against the kernel's FIB, with the full tables in both. What the files of this
 * directory share; scale.c says what is compared and when.
 */
#ifndef TESTS_SCALE_SCALE_H
#define TESTS_SCALE_SCALE_H

#include "bench/bench.h"
#include "tests/scale/batch.h"

enum { V4, V6, FAMILIES };

/* ---- universe.c: every prefix that is ever announced, and addresses in and around them ---- */

struct route {
	struct fib_prefix prefix;
	uint16_t answer; /* now, in both FIBs */
};

struct universe {
	uint8_t family;
	size_t n;
	struct route *route; /* in the order of addresses, a prefix before those that it covers */
};

/* The table as it is announced at first, and a tenth more prefixes, of any length, that are not announced yet. */
void universe_make(struct universe *universe, const struct bench_table *table, uint64_t *seed);
bool prefix_covers(const struct fib_prefix *prefix, const uint8_t *addr);

#define ADDRESSES_OF_ROUTE 5

/* Its first and last address, the ones before and after, a random one: those that a router would look up. */
size_t addresses_of_route(const struct route *route, uint64_t *seed,
			  uint8_t addr[ADDRESSES_OF_ROUTE][16]);
/* Any address at all. */
void address_anywhere(const struct universe *universe, uint64_t *seed, uint8_t addr[16]);

/* ---- batch.c ---- */

struct counts {
	uint64_t compared, different;
	uint64_t in_flight; /* not compared: a change of a covering prefix was under way */
	uint64_t no_room;   /* compared, and left to the kernel by our tables */
};

struct churn;

/* table: ours, which is asked. */
void batch_open(struct bench_router *router, const struct bench_network *network, uint16_t table);
/* Adds one address; asks and compares when the batch has `size` of them. churn: what goes on meanwhile. */
void batch_add(uint8_t family, const uint8_t addr[16], uint32_t size, const struct churn *churn,
	       struct counts *counts);
/* Asks and compares what is left. */
void batch_flush(uint8_t family, const struct churn *churn, struct counts *counts);
/* The first differences are shown; after this, those that come next. */
void batch_show_again(void);
struct progress *batch_progress(void);

/* ---- churn.c: the one thread that changes both FIBs, and the one that tidies up behind it ---- */

/* A run of neighbouring routes is churned for a while, so that a reader can look there. */
#define CHURN_RUN 256u

struct churn {
	struct bench_router *router;
	struct universe *universe; /* of both families */
	uint64_t seed;
	bool plant;		  /* now and then forget our tables */
	const struct route **log; /* change number n was of log[n] */
	uint64_t max;
	size_t run[FAMILIES]; /* where the run starts */
	bool stop;
	uint64_t compactions;
};

/* Threads, until stop is set: change routes (or until log is full); reclaim, and move all nodes again and again. */
void *churn_run(void *churn);
void *churn_reclaim(void *churn);
/* One route of our tables, unknown to the kernel: a route without routes within, so that addresses see it. */
void churn_plant(struct churn *churn, int family);

/* ---- kernel.c ---- */

void kernel_open(void);
/* answer: a gateway's number, ANSWER_BLACKHOLE, ANSWER_REJECT, or ANSWER_ABSENT: withdraw. */
void kernel_set(const struct fib_prefix *prefix, uint16_t answer);

#endif /* TESTS_SCALE_SCALE_H */
