// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What forwarding costs, over full tables, by our program and by what else there is.
 *
 * forward.*: CPU time a packet of the router alone: from where a frame has become a packet of the stack, as if
 * received on "in", to where it is given to the driver of "out". What making such packets and ending them
 * costs is measured with packets that end where they come in, and subtracted. All of it is in one thread.
 * e2e.*: packets a second of one core that does everything: make frames, send them over a veth into
 * "in", route them, and over another to "out-peer", where they are counted.
 * miss.*: what a packet that the program leaves to the kernel pays for having met it, and (hook_ns) what any
 * program there costs.
 */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "bench/bench.h"
#include "bench/liveframes.h"
#include "bench/variants.h"

/* without FCS: 64 bytes on the wire are 60 here, which an IPv6 header and UDP's overflow */
#define SHORT_FRAME 64u
#define LONG_FRAME 1514u

/* The difference of two large figures: measured by turns, in small pieces. */
#define MISS_PIECES 8u
#define MISS_FRAMES 32768u

struct row {
	const char *name;
	uint8_t family;
	enum bench_destinations destinations;
	uint32_t length;
	bool quick; /* measured with --quick too */
};

static const struct row forward_rows[] = {
	{"v4.uniform", AF_INET, BENCH_UNIFORM, SHORT_FRAME, true},
	{"v4.zipf", AF_INET, BENCH_ZIPF, SHORT_FRAME, true},
	{"v4.hot", AF_INET, BENCH_HOT, SHORT_FRAME, true},
	{"v4.uniform1500", AF_INET, BENCH_UNIFORM, LONG_FRAME, false},
	{"v6.uniform", AF_INET6, BENCH_UNIFORM, SHORT_FRAME, true},
	{"v6.zipf", AF_INET6, BENCH_ZIPF, SHORT_FRAME, true},
	{"v6.hot", AF_INET6, BENCH_HOT, SHORT_FRAME, false},
};
static const struct row e2e_rows[] = {
	{"v4.uniform", AF_INET, BENCH_UNIFORM, SHORT_FRAME, true},
	{"v4.zipf", AF_INET, BENCH_ZIPF, SHORT_FRAME, false},
	{"v4.uniform1500", AF_INET, BENCH_UNIFORM, LONG_FRAME, false},
	{"v6.uniform", AF_INET6, BENCH_UNIFORM, SHORT_FRAME, false},
};

static struct bench_options options;
static struct bench_network network;
static struct bench_router router;
static struct bench_table table4, table6;
static struct liveframes frames;
static struct variants variants;
static uint32_t list_length, round_frames;

static const struct bench_table *table(uint8_t family)
{
	return family == AF_INET ? &table4 : &table6;
}

static void result(const char *measure, const char *row, const char *variant, const char *unit,
		   double *value)
{
	char key[128];

	snprintf(key, sizeof(key), "%s.%s.%s%s", measure, row, variant, unit);
	bench_result(key, value, options.rounds);
}

/* With --quick only the kernel and ours. */
static bool wanted(enum variant variant)
{
	return !options.quick || variant == VARIANT_KERNEL || variant == VARIANT_OURS;
}

/* Once before anything is measured: nothing must be fast because it does not forward. */
static void verify(const char *measure, const struct row *row, enum variant variant)
{
	uint64_t given_up = variant_given_up(&variants, variant);
	char who[128];

	snprintf(who, sizeof(who), "%s.%s.%s", measure, row->name, variant_name[variant]);
	variant_on(&variants, variant);
	liveframes_verify(&frames, who);
	/* the kernel caches what it has routed by: a router that has run for a while has all of that */
	if (variant == VARIANT_KERNEL)
		liveframes_send(&frames, 0, list_length);
	variant_off(&variants, variant);
	if (variant_given_up(&variants, variant) - given_up > 16)
		bench_fail(0, "%s: the program left packets to the kernel", who);
}

/*
 * ns a frame. Rounds go through the list of destinations, each to the next piece of it. Each variant pushes
 * the tables of the one before out of the caches, so as many frames go before, to other destinations, for
 * its own to be there again.
 */
static double measure(const struct row *row, enum variant variant, size_t round)
{
	uint64_t place = round * round_frames, ns;

	variant_on(&variants, variant);
	liveframes_send(&frames, place - round_frames, round_frames);
	if (variant == VARIANT_DROP)
		ns = liveframes_send(&frames, place, round_frames);
	else
		ns = liveframes_forward(&frames, place, round_frames, row->name);
	variant_off(&variants, variant);
	return (double)ns / round_frames;
}

/* ---- the router's share ---- */

static void forward_row(const struct row *row)
{
	static double value[VARIANTS][BENCH_ROUNDS_MAX], ratio[BENCH_ROUNDS_MAX];

	bench_say("forward %s", row->name);
	liveframes_set(&frames, table(row->family), row->destinations, row->length, false);
	sink_attach(&frames, SINK_PEER);
	for (enum variant v = VARIANT_KERNEL; v < VARIANT_XDP; v++) {
		if (wanted(v))
			verify("forward", row, v);
	}
	sink_detach(&frames);
	sink_attach(&frames, SINK_EGRESS);
	for (size_t round = 0; round < options.rounds; round++) {
		double around = measure(row, VARIANT_DROP, round);

		value[VARIANT_DROP][round] = around;
		for (enum variant v = VARIANT_KERNEL; v < VARIANT_XDP; v++) {
			if (wanted(v))
				value[v][round] = measure(row, v, round) - around;
		}
		ratio[round] = value[VARIANT_KERNEL][round] / value[VARIANT_OURS][round];
	}
	for (enum variant v = VARIANT_KERNEL; v < VARIANT_XDP; v++) {
		if (wanted(v))
			result("forward", row->name, variant_name[v], "_ns", value[v]);
	}
	result("forward", row->name, "harness", "_ns", value[VARIANT_DROP]);
	result("forward", row->name, "vs_kernel", "", ratio);
	sink_detach(&frames);
}

/* ---- from end to end ---- */

static void e2e_row(const struct row *row)
{
	static double value[VARIANTS][BENCH_ROUNDS_MAX], ratio[BENCH_ROUNDS_MAX];

	bench_say("e2e %s", row->name);
	liveframes_set(&frames, table(row->family), row->destinations, row->length, true);
	sink_attach(&frames, SINK_PEER);
	for (enum variant v = VARIANT_KERNEL; v <= VARIANT_XDP; v++) {
		if (wanted(v))
			verify("e2e", row, v);
	}
	for (size_t round = 0; round < options.rounds; round++) {
		for (enum variant v = VARIANT_KERNEL; v <= VARIANT_XDP; v++) {
			if (wanted(v))
				value[v][round] = 1000 / measure(row, v, round);
		}
		ratio[round] = value[VARIANT_OURS][round] / value[VARIANT_KERNEL][round];
	}
	for (enum variant v = VARIANT_KERNEL; v <= VARIANT_XDP; v++) {
		if (wanted(v))
			result("e2e", row->name, variant_name[v], "_mpps", value[v]);
	}
	result("e2e", row->name, "vs_kernel", "", ratio);
	sink_detach(&frames);
}

/* ---- what the kernel's packets pay ---- */

static uint64_t miss_piece(enum variant variant)
{
	uint64_t ns;

	variant_on(&variants, variant);
	liveframes_send(&frames, 0, MISS_FRAMES / 8);
	ns = liveframes_forward(&frames, 0, MISS_FRAMES, "miss");
	variant_off(&variants, variant);
	return ns;
}

/* The route of the one destination that is sent to. */
static uint32_t hot_route(struct fib_prefix *route)
{
	struct fib_prefix host = {.family = frames.family,
				  .len = frames.family == AF_INET ? 32 : 128};
	uint32_t group;

	memcpy(host.addr, frames.list, frames.family == AF_INET ? 4 : 16);
	group = fib_route_covering(router.fib, &host, route);
	if (!group)
		bench_fail(0, "miss: no route");
	return group;
}

/* The kernel forwards in all three cases: with no program, with one that does nothing, and with ours. */
static void miss_round(double *ours, double *hook)
{
	uint32_t pieces = options.quick ? MISS_PIECES / 2 : MISS_PIECES;
	uint64_t kernel = 0, with_hook = 0, with_ours = 0;

	for (uint32_t i = 0; i < pieces; i++) {
		kernel += miss_piece(VARIANT_KERNEL);
		with_hook += miss_piece(VARIANT_EMPTY);
		with_ours += miss_piece(VARIANT_OURS);
	}
	*ours = ((double)with_ours - (double)kernel) / (pieces * MISS_FRAMES);
	*hook = ((double)with_hook - (double)kernel) / (pieces * MISS_FRAMES);
}

static void miss_row(uint8_t family, const char *name)
{
	static double ours[BENCH_ROUNDS_MAX], hook[BENCH_ROUNDS_MAX];
	struct fib_prefix route;
	uint64_t given_up;
	uint32_t group;
	char key[64];

	bench_say("%s", name);
	liveframes_set(&frames, table(family), BENCH_HOT, SHORT_FRAME, false);
	group = hot_route(&route);
	if (fib_route_set(router.fib, &route, FIB_GROUP_UNSUPPORTED))
		bench_fail(0, "cannot change a route");
	given_up = variant_given_up(&variants, VARIANT_OURS);
	sink_attach(&frames, SINK_EGRESS);
	for (size_t round = 0; round < options.rounds; round++)
		miss_round(&ours[round], &hook[round]);
	sink_detach(&frames);
	if (variant_given_up(&variants, VARIANT_OURS) - given_up < options.rounds * MISS_FRAMES)
		bench_fail(0, "the program forwarded what it was to leave to the kernel");
	snprintf(key, sizeof(key), "%s.ns", name);
	bench_result(key, ours, options.rounds);
	snprintf(key, sizeof(key), "%s.hook_ns", name);
	bench_result(key, hook, options.rounds);
	fib_route_set(router.fib, &route, group);
}

static void rows(const struct row *list, size_t n, void (*measure_row)(const struct row *row))
{
	for (size_t i = 0; i < n; i++) {
		if (list[i].quick || !options.quick)
			measure_row(&list[i]);
	}
}

static void set_up(void)
{
	int lpm4, lpm6;
	bench_network(&network);
	bench_router_open(&router, &network, &datapath_geometry_full);
	bench_table_read(&table4, options.tables, AF_INET, 0);
	bench_table_read(&table6, options.tables, AF_INET6, 0);
	bench_say("loading %zu IPv4 and %zu IPv6 prefixes", table4.n, table6.n);
	bench_router_load(&router, &table4);
	bench_router_load(&router, &table6);
	bench_router_settle(&router);
	lpm4 = bench_lpm_new(&table4);
	lpm6 = bench_lpm_new(&table6);
	bench_kernel_load(&table4);
	bench_kernel_load(&table6);
	list_length = FRAMES_LIST;
	round_frames = list_length / (options.quick ? 8 : 4);
	liveframes_open(&frames, &network, list_length);
	variants_open(&variants, &router, &network, lpm4, lpm6);
}

int main(int argc, char **argv)
{
	bench_options(&options, argc, argv);
	set_up();
	rows(forward_rows, sizeof(forward_rows) / sizeof(forward_rows[0]), forward_row);
	miss_row(AF_INET, "miss");
	miss_row(AF_INET6, "miss.v6");
	rows(e2e_rows, sizeof(e2e_rows) / sizeof(e2e_rows[0]), e2e_row);
	variants_close(&variants);
	liveframes_close(&frames);
	bench_router_close(&router);
	bench_table_free(&table4);
	bench_table_free(&table6);
	return 0;
}
