// SPDX-License-Identifier: GPL-2.0-or-later
/* The one thread that changes both FIBs: announcements, withdrawals, other next hops. */
#include "tests/scale/scale.h"

/* So many batches within one run of neighbouring routes, before another one takes its turn. */
#define TURNS_OF_RUN 256
#define BATCH_CHANGES 8u
/* With plant, one change in so many does not reach our tables. */
#define PLANT_EVERY 1021

static uint32_t group_of(const struct bench_router *router, uint16_t answer)
{
	switch (answer) {
	case ANSWER_BLACKHOLE:
		return FIB_GROUP_BLACKHOLE;
	case ANSWER_REJECT:
		return FIB_GROUP_REJECT;
	default:
		return router->group[answer - 1];
	}
}

static void our_set(struct churn *churn, const struct fib_prefix *prefix, uint16_t answer)
{
	struct fib *fib = churn->router->fib;
	int err = answer == ANSWER_ABSENT
			  ? fib_route_del(fib, prefix)
			  : fib_route_set(fib, prefix, group_of(churn->router, answer));

	/* what was planted may be missing */
	if (err && !churn->plant)
		bench_fail(err, "our tables refused a change");
}

static uint16_t other_answer(uint64_t *seed, uint16_t now)
{
	uint64_t chance = bench_random(seed);
	uint16_t gateway = 1 + chance / 64 % BENCH_GROUPS;

	if (now != ANSWER_ABSENT && chance % 64 < 32)
		return ANSWER_ABSENT;
	if (chance % 64 >= 62)
		return chance % 2 ? ANSWER_BLACKHOLE : ANSWER_REJECT;
	return gateway == now ? gateway % BENCH_GROUPS + 1 : gateway;
}

static struct route *next_route(struct churn *churn, int family)
{
	struct universe *universe = &churn->universe[family];
	uint64_t chance = bench_random(&churn->seed);

	if (chance % 64 == 0)
		return &universe->route[chance / 64 % universe->n];
	return &universe->route[(churn->run[family] + chance / 64 % CHURN_RUN) % universe->n];
}

/*
 * Some changes, one after the other in the kernel and then as one batch in our tables. They stand in log[] before
 * begun counts them, and done counts them once both FIBs have them: so what log[] has from done, as it was before
 * a lookup, to begun, as it is afterwards, is all that the two FIBs may have disagreed about meanwhile.
 */
static void change(struct churn *churn, uint64_t first, unsigned int n)
{
	struct progress *progress = batch_progress();
	struct route *route[BATCH_CHANGES];
	uint16_t answer[BATCH_CHANGES];

	for (unsigned int i = 0; i < n; i++) {
		route[i] = next_route(churn, bench_random(&churn->seed) % FAMILIES);
		answer[i] = other_answer(&churn->seed, route[i]->answer);
		route[i]->answer = answer[i];
		churn->log[first + i] = route[i];
	}
	__atomic_store_n(&progress->begun, first + n, __ATOMIC_SEQ_CST);
	/* as zebra does: the kernel first */
	for (unsigned int i = 0; i < n; i++)
		kernel_set(&route[i]->prefix, answer[i]);
	fib_batch_begin(churn->router->fib);
	for (unsigned int i = 0; i < n; i++) {
		if (!churn->plant || (first + i) % PLANT_EVERY)
			our_set(churn, &route[i]->prefix, answer[i]);
	}
	fib_batch_end(churn->router->fib);
	__atomic_store_n(&progress->done, first + n, __ATOMIC_SEQ_CST);
}

static bool stopped(const struct churn *churn)
{
	return __atomic_load_n(&churn->stop, __ATOMIC_RELAXED);
}

void *churn_run(void *arg)
{
	struct churn *churn = arg;
	uint64_t n = 0;

	for (uint64_t turn = 0; !stopped(churn) && n + BATCH_CHANGES <= churn->max; turn++) {
		/* every second one alone */
		unsigned int together =
			turn % 2 ? 1 : 1 + bench_random(&churn->seed) % BATCH_CHANGES;

		for (int f = 0; turn % TURNS_OF_RUN == 0 && f < FAMILIES; f++)
			__atomic_store_n(&churn->run[f],
					 bench_random(&churn->seed) % churn->universe[f].n,
					 __ATOMIC_RELAXED);
		change(churn, n, together);
		n += together;
	}
	return NULL;
}

void *churn_reclaim(void *arg)
{
	struct churn *churn = arg;
	struct fib *fib = churn->router->fib;

	while (!stopped(churn)) {
		uint64_t epoch;

		fib_reclaim_wait(fib, 10);
		epoch = fib_reclaim_begin(fib);
		if (datapath_grace_period(churn->router->datapath))
			bench_fail(0, "no grace period");
		fib_reclaim_end(fib, epoch);
		churn->compactions += fib_compact(fib, true);
	}
	return NULL;
}

void churn_plant(struct churn *churn, int family)
{
	const struct universe *universe = &churn->universe[family];
	const struct route *route;
	size_t i;

	do {
		i = bench_random(&churn->seed) % (universe->n - 1);
		route = &universe->route[i];
	} while (route->answer == ANSWER_ABSENT ||
		 prefix_covers(&route->prefix, route[1].prefix.addr));
	our_set(churn, &route->prefix, route->answer % BENCH_GROUPS + 1);
}
