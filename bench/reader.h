/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A reader of the IPv4 table on another CPU, in BPF, that knows what it has to find. */
#ifndef BENCH_READER_H
#define BENCH_READER_H

#include <linux/types.h>

/* Addresses in all, and looked up by one run of the program. */
#define READER_LIST (1u << 20)
#define READER_RUN (1u << 16)

struct reader_list {
	__u32 addr[READER_LIST]; /* host byte order */
	__u16 group[READER_LIST];
};

#ifndef __bpf__
#include "bench/bench.h"

struct reader;

struct reader_result {
	uint64_t lookups, wrong;
	double per_s;
};

/*
 * Addresses whose longest match is not one of the moving prefixes, which are every third of the table: whatever becomes of
 * those, each address keeps its one right answer.
 */
struct reader *reader_new(struct bench_router *router, const struct bench_table *table);
void reader_free(struct reader *reader);
/* READER_LIST of them, in host byte order. */
const uint32_t *reader_addresses(const struct reader *reader);
/* Indices in the table. */
const uint32_t *reader_moving(const struct reader *reader, size_t *n);

/* Begins anew with all counts 0, in a thread of its own on CPU 0. */
void reader_start(struct reader *reader);
uint64_t reader_lookups(const struct reader *reader);
struct reader_result reader_stop(struct reader *reader);
#endif

#endif /* BENCH_READER_H */
