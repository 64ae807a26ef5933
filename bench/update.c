// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What changes cost: loading a table, random and BGP-like churn, compaction; and what a
 * reader on another CPU sees of it, in wrong answers and in speed.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/bench.h"
#include "bench/reader.h"
#include "bench/traffic.h"

/* As many contexts as zebra gives a provider at a time. */
#define BATCH 200
#define CHURN 400000
#define COMPACTION_TRIES 100

static struct bench_network network;
static uint64_t seed = 42;

/* ---- loading ---- */

static struct bench_router router_new(void)
{
	struct bench_router router;

	bench_router_open(&router, &network, &datapath_geometry_full);
	return router;
}

static double load_batches(struct bench_router *router, const struct bench_table *table)
{
	uint64_t began = bench_now();

	for (size_t i = 0; i < table->n;) {
		fib_batch_begin(router->fib);
		for (size_t end = i + BATCH; i < end && i < table->n; i++) {
			const struct bench_prefix *p = &table->list[i];

			if (fib_route_set(router->fib, &p->prefix, router->group[bench_group(p)]))
				bench_fail(0, "cannot load the table");
		}
		fib_batch_end(router->fib);
	}
	return (double)(bench_now() - began) / 1e6;
}

static void measure_loads(const struct bench_options *options, const struct bench_table *v4,
			  const struct bench_table *v6)
{
	double all[BENCH_ROUNDS_MAX], one[BENCH_ROUNDS_MAX], mixed[BENCH_ROUNDS_MAX],
		six[BENCH_ROUNDS_MAX];
	struct bench_table random = {.family = v4->family, .n = v4->n};

	random.list = malloc(v4->n * sizeof(*v4->list));
	if (!random.list)
		bench_fail(ENOMEM, "a table");
	memcpy(random.list, v4->list, v4->n * sizeof(*v4->list));
	bench_table_shuffle(&random, 3);
	for (size_t i = 0; i < options->rounds; i++) {
		struct bench_router router;

		bench_say("loading, round %zu of %zu", i + 1, options->rounds);
		router = router_new();
		all[i] = load_batches(&router, v4);
		six[i] = load_batches(&router, v6);
		bench_router_close(&router);
		router = router_new();
		one[i] = bench_router_load(&router, v4);
		bench_router_close(&router);
		router = router_new();
		mixed[i] = load_batches(&router, &random);
		bench_router_close(&router);
	}
	free(random.list);
	bench_result("update.load_all.ms", all, options->rounds);
	bench_result("update.load_one_by_one.ms", one, options->rounds);
	bench_result("update.load_random_order.ms", mixed, options->rounds);
	bench_result("update.load_all_v6.ms", six, options->rounds);
}

/* ---- churn ---- */

struct change {
	uint32_t prefix; /* index in the table */
	uint32_t group;	 /* 0: withdrawn */
};

/* Any prefix, at any time: withdrawn if it is there, announced with some next hop if not. */
static void make_random(struct change *changes, size_t n, const struct bench_table *table,
			const uint32_t *group)
{
	uint8_t *gone = calloc(table->n, 1);

	for (size_t i = 0; gone && i < n; i++) {
		uint32_t prefix = (uint32_t)(bench_random(&seed) % table->n);

		gone[prefix] ^= 1;
		changes[i] = (struct change){
			prefix,
			gone[prefix] ? 0 : group[bench_random(&seed) % BENCH_GROUPS],
		};
	}
	if (!gone)
		bench_fail(ENOMEM, "churn");
	free(gone);
}

/*
 * As BGP has it: few prefixes cause most of it. A burst is what one AS announces (neighbours in the table), which
 * moves to another next hop together and often comes back; some prefixes flap on their own.
 */
static void make_bgp(struct change *changes, size_t n, const struct bench_table *table,
		     const uint32_t *group)
{
	size_t i = 0;

	while (i < n) {
		uint32_t first = (uint32_t)(bench_random(&seed) % table->n);
		uint32_t kind = bench_random(&seed) % 10;
		uint32_t count = kind < 4 ? 1 : 1 + (uint32_t)(bench_random(&seed) % 40);
		uint32_t flaps = kind < 4 ? 1 + (uint32_t)(bench_random(&seed) % 6) : 1;
		uint32_t next = group[bench_random(&seed) % BENCH_GROUPS];

		for (uint32_t flap = 0; flap < flaps; flap++) {
			for (uint32_t k = 0; k < count && i < n && first + k < table->n; k++)
				changes[i++] = (struct change){first + k,
							       kind == 9 || kind < 4 ? 0 : next};
			for (uint32_t k = 0; k < count && i < n && first + k < table->n; k++)
				changes[i++] = (struct change){
					first + k, group[bench_group(&table->list[first + k])]};
		}
	}
}

struct churn_result {
	double mean, p50, p99, max; /* ns each */
};

static int by_time(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static struct churn_result apply(struct bench_router *router, const struct bench_table *table,
				 const struct change *changes, size_t n)
{
	uint32_t *time = malloc(n * sizeof(*time));
	uint64_t began = bench_now(), before = began, now;
	struct churn_result result;

	if (!time)
		bench_fail(ENOMEM, "churn");
	for (size_t i = 0; i < n; i++) {
		const struct fib_prefix *prefix = &table->list[changes[i].prefix].prefix;

		if (changes[i].group)
			fib_route_set(router->fib, prefix, changes[i].group);
		else
			fib_route_del(router->fib, prefix);
		now = bench_now();
		time[i] = (uint32_t)(now - before);
		before = now;
	}
	result.mean = (double)(before - began) / (double)n;
	qsort(time, n, sizeof(*time), by_time);
	result.p50 = time[n / 2];
	result.p99 = time[n - n / 100];
	result.max = time[n - 1];
	free(time);
	return result;
}

static void restore(struct bench_router *router, const struct bench_table *table)
{
	load_batches(router, table);
	bench_router_settle(router);
}

static void measure_churn(const struct bench_options *options, struct bench_router *router,
			  const struct bench_table *table, const char *name,
			  void (*make)(struct change *, size_t, const struct bench_table *,
				       const uint32_t *))
{
	double per_s[BENCH_ROUNDS_MAX], mean[BENCH_ROUNDS_MAX], p50[BENCH_ROUNDS_MAX],
		p99[BENCH_ROUNDS_MAX], max[BENCH_ROUNDS_MAX];
	struct change *changes = malloc(CHURN * sizeof(*changes));
	char key[64];

	if (!changes)
		bench_fail(ENOMEM, "churn");
	for (size_t i = 0; i < options->rounds; i++) {
		struct churn_result result;

		bench_say("%s, round %zu of %zu", name, i + 1, options->rounds);
		make(changes, CHURN, table, router->group);
		result = apply(router, table, changes, CHURN);
		per_s[i] = 1e9 / result.mean;
		mean[i] = result.mean / 1e3;
		p50[i] = result.p50 / 1e3;
		p99[i] = result.p99 / 1e3;
		max[i] = result.max / 1e3;
		restore(router, table);
	}
	free(changes);
	snprintf(key, sizeof(key), "update.%s.per_s", name);
	bench_result(key, per_s, options->rounds);
	snprintf(key, sizeof(key), "update.%s.mean_us", name);
	bench_result(key, mean, options->rounds);
	snprintf(key, sizeof(key), "update.%s.p50_us", name);
	bench_result(key, p50, options->rounds);
	snprintf(key, sizeof(key), "update.%s.p99_us", name);
	bench_result(key, p99, options->rounds);
	snprintf(key, sizeof(key), "update.%s.max_us", name);
	bench_result(key, max, options->rounds);
}

/* ---- a reader meanwhile ---- */

/* Changes moving prefixes until done() says so; how many a second. */
static double disturb(struct bench_router *router, const struct bench_table *table,
		      const struct reader *reader, bool (*done)(const void *), const void *arg)
{
	uint64_t updates = 0, began = bench_now();
	size_t n;
	const uint32_t *moving = reader_moving(reader, &n);

	while (updates % 64 || !done(arg)) {
		const struct bench_prefix *p = &table->list[moving[bench_random(&seed) % n]];

		if (bench_random(&seed) % 2)
			fib_route_set(router->fib, &p->prefix,
				      router->group[bench_random(&seed) % BENCH_GROUPS]);
		else
			fib_route_del(router->fib, &p->prefix);
		/* whatever the gaps are: nodes that move are part of what a reader must not notice */
		if (++updates % 200000 == 0)
			fib_compact(router->fib, true);
	}
	return (double)updates * 1e9 / (double)(bench_now() - began);
}

static uint64_t wanted;

static bool reader_done(const void *arg)
{
	return reader_lookups(arg) >= wanted;
}

static bool traffic_done(const void *arg)
{
	return traffic_sent(arg) >= wanted;
}

static void measure_lookups(const struct bench_options *options, struct bench_router *router,
			    const struct bench_table *table, struct reader *reader)
{
	struct reader_result idle, busy;
	double per_s;

	wanted = options->quick ? 20000000 : 100000000;
	bench_say("lookups beside no updates");
	reader_start(reader);
	while (reader_lookups(reader) < wanted / 4)
		usleep(20000);
	idle = reader_stop(reader);
	bench_say("lookups beside updates");
	reader_start(reader);
	per_s = disturb(router, table, reader, reader_done, reader);
	busy = reader_stop(reader);
	bench_figure("update.reader_lookups", (double)busy.lookups);
	bench_figure("update.reader_wrong", (double)(busy.wrong + idle.wrong));
	bench_figure("update.reader_slower", idle.per_s / busy.per_s);
	bench_figure("update.beside_lookups.per_s", per_s);
}

static void measure_packets(const struct bench_options *options, struct bench_router *router,
			    const struct bench_table *table, const struct reader *reader)
{
	const uint32_t *addr = reader_addresses(reader);
	struct traffic_result idle, busy;
	struct traffic *traffic;
	double per_s;

	wanted = options->quick ? 4000000 : 20000000;
	bench_say("packets beside no updates");
	traffic = traffic_start(&network, router, addr, READER_LIST);
	while (traffic_sent(traffic) < wanted / 4)
		usleep(20000);
	idle = traffic_stop(traffic);
	bench_say("packets beside updates");
	traffic = traffic_start(&network, router, addr, READER_LIST);
	per_s = disturb(router, table, reader, traffic_done, traffic);
	busy = traffic_stop(traffic);
	bench_figure("update.packets_sent", (double)busy.sent);
	bench_figure("update.packets_lost", (double)(busy.lost + idle.lost));
	bench_figure("update.packets_mpps", busy.per_s / 1e6);
	bench_figure("update.packets_slower", idle.per_s / busy.per_s);
	bench_figure("update.beside_packets.per_s", per_s);
}

static void measure_reader(const struct bench_options *options, struct bench_router *router,
			   const struct bench_table *table)
{
	struct reader *reader = reader_new(router, table);

	measure_lookups(options, router, table, reader);
	restore(router, table);
	measure_packets(options, router, table, reader);
	restore(router, table);
	reader_free(reader);
}

/* ---- compaction ---- */

static void measure_compaction(const struct bench_options *options, struct bench_router *router,
			       const struct bench_table *table)
{
	double ms[BENCH_ROUNDS_MAX], before[BENCH_ROUNDS_MAX], after[BENCH_ROUNDS_MAX];
	struct change *changes = malloc(CHURN * sizeof(*changes));
	struct fib_stats stats;

	if (!changes)
		bench_fail(ENOMEM, "churn");
	for (size_t i = 0; i < options->rounds; i++) {
		uint64_t began;

		bench_say("compaction, round %zu of %zu", i + 1, options->rounds);
		make_random(changes, CHURN, table, router->group);
		apply(router, table, changes, CHURN);
		bench_router_settle(router);
		fib_stats(router->fib, &stats);
		before[i] = (double)stats.node_extent / (double)stats.node.used;
		/* the gaps may have been large enough for the reclaimer to be at it already */
		for (int tries = 0; began = bench_now(), !fib_compact(router->fib, true); tries++) {
			if (tries == COMPACTION_TRIES)
				bench_fail(0, "compaction did not start");
			bench_router_settle(router);
		}
		ms[i] = (double)(bench_now() - began) / 1e6;
		bench_router_settle(router);
		fib_stats(router->fib, &stats);
		after[i] = (double)stats.node_extent / (double)stats.node.used;
		restore(router, table);
	}
	free(changes);
	bench_result("compaction.ms", ms, options->rounds);
	bench_result("compaction.extent_before", before, options->rounds);
	bench_result("compaction.extent_after", after, options->rounds);
}

int main(int argc, char **argv)
{
	struct bench_options options;
	struct bench_router router;
	struct bench_table v4, v6;

	bench_options(&options, argc, argv);
	bench_table_read(&v4, options.tables, AF_INET, 0);
	bench_table_read(&v6, options.tables, AF_INET6, 0);
	bench_network(&network);
	/* readers are on CPU 0 */
	bench_pin(1);
	measure_loads(&options, &v4, &v6);
	router = router_new();
	load_batches(&router, &v4);
	load_batches(&router, &v6);
	bench_router_settle(&router);
	measure_churn(&options, &router, &v4, "churn", make_bgp);
	measure_churn(&options, &router, &v4, "random", make_random);
	measure_churn(&options, &router, &v6, "churn_v6", make_bgp);
	measure_compaction(&options, &router, &v4);
	measure_reader(&options, &router, &v4);
	bench_router_close(&router);
	return 0;
}
