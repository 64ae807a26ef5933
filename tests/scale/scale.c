// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The full tables in our FIB and in the kernel's, of the same namespace: both must answer alike, in three phases.
 *
 *   before, after   the edges of every prefix and an address within, then random addresses; nothing changes
 *   during          a thread announces, withdraws and moves routes of both FIBs, a change of the kernel's, then the
 *                   same of ours; this one asks for addresses there and elsewhere. An answer counts
 *                   unless a change of a prefix that covers the address was under way (batch.c: in_flight()).
 *
 * Ends with a line of counts for each phase and family; exit status 0 if nothing differs, and everything had room.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "tests/scale/scale.h"

/* While routes change, a batch is short, so that it follows them. */
#define BATCH_DURING 4096u
#define CHANGES_MAX (1u << 24)

enum { BEFORE, DURING, AFTER, PHASES };
static const char *const phase_name[] = {"before", "during", "after"};
static const uint8_t family_of[] = {AF_INET, AF_INET6};

static struct {
	const char *tables;
	size_t prefixes;
	uint64_t random;
	uint64_t changes;
	uint64_t seed;
	bool vrf;
	bool plant;
} options = {.random = 1u << 20, .changes = 200000, .seed = 1};

static struct bench_router router;
static struct universe universe[FAMILIES];
static struct counts counts[PHASES][FAMILIES];
static uint64_t seed;

/* Any of the kernel's tables but main, whose routes ours are compared with all the same. */
#define KERNEL_TABLE_OF_VRF 1001

static void usage(void)
{
	fprintf(stderr,
		"usage: %s --tables DIR [options]\n"
		"  --tables DIR    v4.txt and v6.txt, lines \"PREFIX AS\"\n"
		"  --prefixes N    so many of each family only\n"
		"  --random N      random addresses of each family in each phase (1048576)\n"
		"  --changes N     at least so many changes between before and after (200000)\n"
		"  --seed N        another choice of addresses and changes (1)\n"
		"  --vrf           our routes in the table of a VRF\n"
		"  --plant         make our tables wrong: status 0 if every phase finds that\n",
		program_invocation_short_name);
	exit(2);
}

static void parse_options(int argc, char **argv)
{
	static const struct option known[] = {
		{"tables", required_argument, NULL, 't'},
		{"prefixes", required_argument, NULL, 'p'},
		{"random", required_argument, NULL, 'r'},
		{"changes", required_argument, NULL, 'c'},
		{"seed", required_argument, NULL, 's'},
		{"plant", no_argument, NULL, 'w'},
		{"vrf", no_argument, NULL, 'v'},
		{NULL, 0, NULL, 0},
	};
	int option;

	while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
		uint64_t n = optarg ? strtoull(optarg, NULL, 10) : 0;

		if (option == 't')
			options.tables = optarg;
		else if (option == 'p')
			options.prefixes = n;
		else if (option == 'r')
			options.random = n;
		else if (option == 'c')
			options.changes = n;
		else if (option == 's')
			options.seed = n;
		else if (option == 'v')
			options.vrf = true;
		else if (option == 'w')
			options.plant = true;
		else
			usage();
	}
	if (optind != argc || !options.tables)
		usage();
}

static void load(int family, uint16_t vrf)
{
	struct bench_table table;
	double ours, kernel;

	bench_table_read(&table, options.tables, family_of[family], options.prefixes);
	for (size_t i = 0; i < table.n; i++)
		table.list[i].prefix.table = vrf;
	ours = bench_router_load(&router, &table);
	kernel = bench_kernel_load(&table);
	universe_make(&universe[family], &table, &seed);
	bench_say("IPv%c: %zu prefixes in our tables after %.0f ms, in the kernel's after %.0f ms",
		  family == V4 ? '4' : '6', table.n, ours, kernel);
	bench_table_free(&table);
}

/* ---- before and after ---- */

static void ask_all(int phase, int family)
{
	uint8_t addr[ADDRESSES_OF_ROUTE][16], af = family_of[family];
	struct counts *sum = &counts[phase][family];

	for (size_t i = 0; i < universe[family].n; i++) {
		size_t n = addresses_of_route(&universe[family].route[i], &seed, addr);

		for (size_t a = 0; a < n; a++)
			batch_add(af, addr[a], BATCH_MAX, NULL, sum);
	}
	for (uint64_t i = 0; i < options.random; i++) {
		address_anywhere(&universe[family], &seed, addr[0]);
		batch_add(af, addr[0], BATCH_MAX, NULL, sum);
	}
	batch_flush(af, NULL, sum);
}

static void quiet_phase(int phase)
{
	uint64_t began = bench_now();

	bench_router_settle(&router);
	batch_show_again();
	for (int f = 0; f < FAMILIES; f++)
		ask_all(phase, f);
	bench_say("%s: asked for %.1f s", phase_name[phase], (double)(bench_now() - began) / 1e9);
}

/* ---- during ---- */

/* Three of four where the changes are, the others anywhere. */
static const struct route *some_route(const struct churn *churn, int family)
{
	uint64_t chance = bench_random(&seed);
	size_t i = chance / 4;

	if (chance % 4)
		i = __atomic_load_n(&churn->run[family], __ATOMIC_RELAXED) + i % CHURN_RUN;
	return &universe[family].route[i % universe[family].n];
}

static void ask_some(const struct churn *churn, int family)
{
	uint8_t addr[ADDRESSES_OF_ROUTE][16], af = family_of[family];
	struct counts *sum = &counts[DURING][family];

	for (uint32_t i = 0; i < BATCH_DURING; i++) {
		size_t n = addresses_of_route(some_route(churn, family), &seed, addr);

		if (n)
			batch_add(af, addr[bench_random(&seed) % n], BATCH_DURING, churn, sum);
	}
	batch_flush(af, churn, sum);
}

static void churning_phase(struct churn *churn)
{
	struct progress *progress = batch_progress();
	uint64_t began = bench_now();
	pthread_t changing, reclaiming;
	int err;

	batch_show_again();
	churn->max = CHANGES_MAX;
	churn->log = calloc(churn->max, sizeof(*churn->log));
	datapath_reclaimer_stop(router.reclaimer);
	err = churn->log ? pthread_create(&reclaiming, NULL, churn_reclaim, churn) : ENOMEM;
	if (!err)
		err = pthread_create(&changing, NULL, churn_run, churn);
	if (err)
		bench_fail(err, "the threads that change routes");
	while (__atomic_load_n(&progress->done, __ATOMIC_RELAXED) < options.changes ||
	       counts[DURING][V4].compared < options.random ||
	       counts[DURING][V6].compared < options.random) {
		for (int f = 0; f < FAMILIES; f++)
			ask_some(churn, f);
	}
	__atomic_store_n(&churn->stop, true, __ATOMIC_RELAXED);
	pthread_join(changing, NULL);
	pthread_join(reclaiming, NULL);
	router.reclaimer = datapath_reclaimer_start(router.datapath, router.fib);
	if (!router.reclaimer)
		bench_fail(ENOMEM, "the reclaimer");
	bench_say("during: %" PRIu64 " changes and %" PRIu64 " compactions in %.1f s",
		  (uint64_t)progress->done, churn->compactions,
		  (double)(bench_now() - began) / 1e9);
	free(churn->log);
}

/* ---- the whole ---- */

static int verdict(void)
{
	bool good = true;

	for (int p = 0; p < PHASES; p++) {
		uint64_t different = 0, no_room = 0;

		for (int f = 0; f < FAMILIES; f++) {
			const struct counts *c = &counts[p][f];

			printf("scale: %-6s IPv%c: %" PRIu64 " compared, %" PRIu64
			       " different, %" PRIu64 " without room, %" PRIu64 " in flight\n",
			       phase_name[p], f == V4 ? '4' : '6', c->compared, c->different,
			       c->no_room, c->in_flight);
			different += c->different;
			no_room += c->no_room;
		}
		good &= options.plant ? different > 0 : different + no_room == 0;
	}
	printf("scale: %s\n", options.plant ? (good ? "what was planted was found in every phase"
						    : "what was planted was NOT found")
					    : (good ? "nothing differs" : "DIFFERENT"));
	return good ? 0 : 1;
}

int main(int argc, char **argv)
{
	struct bench_network network;
	struct churn churn = {.router = &router, .universe = universe};
	uint16_t table = 0;

	parse_options(argc, argv);
	seed = options.seed;
	churn.seed = ~seed;
	churn.plant = options.plant;
	bench_network(&network);
	bench_router_open(&router, &network, &datapath_geometry_full);
	if (options.vrf && fib_table_open(router.fib, KERNEL_TABLE_OF_VRF, &table))
		bench_fail(0, "no table for a VRF");
	batch_open(&router, &network, table);
	kernel_open();
	for (int f = 0; f < FAMILIES; f++)
		load(f, table);
	for (int f = 0; options.plant && f < FAMILIES; f++)
		churn_plant(&churn, f);
	quiet_phase(BEFORE);
	churning_phase(&churn);
	quiet_phase(AFTER);
	bench_router_close(&router);
	return verdict();
}
