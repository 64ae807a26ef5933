/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the measuring programs share: lists of prefixes, destinations, the router under
 * test, the kernel's FIB beside it, and figures as bench/run reads them. These programs
 * are run by a person at a terminal: what fails ends them with one line.
 */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dplane_ebpf/datapath/datapath.h"
#include "dplane_ebpf/fib/fib.h"

/* Prefixes are spread over so many next hops, by origin AS: what one AS announces goes one way. */
#define BENCH_GROUPS 64u
#define BENCH_ROUNDS_MAX 99u

/* ---- util.c ---- */

/* "PROGRAM: what[: strerror(err)]", and exit 1. err: an errno of either sign, or 0. */
void bench_fail(int err, const char *format, ...) __attribute__((format(printf, 2, 3), noreturn));
/* A line of progress on stderr: "PROGRAM: ...". */
void bench_say(const char *format, ...) __attribute__((format(printf, 1, 2)));
uint64_t bench_now(void); /* ns, CLOCK_MONOTONIC */
uint64_t bench_cpu(void); /* ns of CPU time of this thread, system time included */
void bench_pin(int cpu);  /* this thread to one CPU */
/* The same numbers in every run, from a seed of the caller's. */
uint64_t bench_random(uint64_t *seed);
/*
 * The result of several rounds: "KEY MEDIAN LEAST MOST ROUNDS" on stdout, which bench/run
 * collects. Sorts value[].
 */
void bench_result(const char *key, double *value, size_t rounds);
/* A single figure. */
void bench_figure(const char *key, double value);

struct bench_options {
	const char *tables; /* a directory with v4.txt and v6.txt: lines "PREFIX AS" */
	size_t rounds;	    /* 9; 5 with --quick */
	bool quick;
};

/* --tables DIR, --rounds N, --quick; anything else ends the program with its usage. */
void bench_options(struct bench_options *options, int argc, char **argv);

/* ---- table.c ---- */

struct bench_prefix {
	struct fib_prefix prefix;
	uint32_t as;
};

struct bench_table {
	uint8_t family;
	size_t n;
	struct bench_prefix *list; /* in the order of addresses */
};

/* All of DIR/v4.txt or DIR/v6.txt, or an even selection of at most max of it (0: all). */
void bench_table_read(struct bench_table *table, const char *dir, uint8_t family, size_t max);
void bench_table_free(struct bench_table *table);
/* The same prefixes in random order. */
void bench_table_shuffle(struct bench_table *table, uint64_t seed);
/* 0..BENCH_GROUPS-1 */
uint32_t bench_group(const struct bench_prefix *prefix);

enum bench_destinations {
	BENCH_UNIFORM, /* a random prefix, random host bits */
	BENCH_ZIPF,    /* a prefix by Zipf(1.0) over the shuffled prefixes, random host bits */
	BENCH_HOT,     /* one address */
};
extern const char *const bench_destination_name[]; /* "uniform", "zipf", "hot" */

/* Fills addr[] (network byte order, IPv4 in the first four bytes). */
void bench_destinations(const struct bench_table *table, enum bench_destinations which,
			uint64_t seed, uint8_t (*addr)[16], size_t n);

/* ---- router.c ---- */

/*
 * A network namespace of our own with two veth pairs, "in"/"in-peer" and
 * "out"/"out-peer", all up, which forwards; gateways 198.18.0.1+g and 2001:2::1+g, g below BENCH_GROUPS,
 * lie behind "out" and are permanent neighbours with MAC address 02:00:00:00:00:01. Our side of "in"
 * has 198.19.0.254/24 and 2001:2:0:1::fe/64.
 */
struct bench_network {
	uint32_t in, in_peer, out, out_peer; /* ifindex */
	uint8_t mac_in[6], mac_out[6];
};
void bench_network(struct bench_network *network);

/* Our tables and program, as zebra opens them; not attached. */
struct bench_router {
	struct datapath *datapath;
	struct datapath_reclaimer *reclaimer;
	struct fib *fib;
	uint32_t group[BENCH_GROUPS]; /* through gateway g, resolved */
};
void bench_router_open(struct bench_router *router, const struct bench_network *network,
		       const struct fib_geometry *geometry);
void bench_router_close(struct bench_router *router);
/* ms that it took. */
double bench_router_load(struct bench_router *router, const struct bench_table *table);
struct bpf_object;
/* Of an object's maps, those that the forwarding program has under the same name become the same maps. */
void bench_router_share(const struct bench_router *router, struct bpf_object *object);
/* Until nothing waits for a grace period. */
void bench_router_settle(struct bench_router *router);

/*
 * A BPF_MAP_TYPE_LPM_TRIE with the same prefixes: key struct { u32 length; u8 addr[4 or 16]; },
 * value u32: bench_group(). Returns its descriptor.
 */
int bench_lpm_new(const struct bench_table *table);

/* ---- kernel.c ---- */

/* The same routes into the kernel's main table of this namespace. ms that it took. */
double bench_kernel_load(const struct bench_table *table);

#endif /* BENCH_BENCH_H */
