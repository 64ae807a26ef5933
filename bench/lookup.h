/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Between lookup.c and lookup.bpf.c: what is looked up, in which table, and what was found. */
#ifndef BENCH_LOOKUP_H
#define BENCH_LOOKUP_H

#include <linux/types.h>

/* Addresses that are timed, and those before them, which warm the caches. */
#define LOOKUP_RUN 65536u
#define LOOKUP_LIST (8 * LOOKUP_RUN)

/* Found nothing, or an error. Its highest bit is 0, as that of everything that is found. */
#define LOOKUP_NOTHING 0x7fffffffu

enum lookup_table {
	LOOKUP_OURS,
	LOOKUP_LPM_TRIE,
	LOOKUP_FIB_LOOKUP,
	LOOKUP_DIR_24_8,
	LOOKUP_TABLES
};

/* In network byte order; IPv4 in the first word. */
struct lookup_addresses {
	__u32 addr[LOOKUP_LIST][4];
};

/* Ours: a group id; DIR-24-8: the number of the gateway plus one, or 0; the others: the number of the gateway. */
struct lookup_found {
	__u32 group[LOOKUP_RUN][LOOKUP_TABLES];
};

/* dir24[addr >> 8]: DIR24_BLOCK | a block of 256 words in dir8, else what is found. */
#define DIR24_SIZE (1u << 24)
#define DIR24_BLOCK 0x80000000u

#endif /* BENCH_LOOKUP_H */
