/* SPDX-License-Identifier: GPL-2.0-or-later */
/* DIR-24-8 for IPv4: 2^24 words, and blocks of 256 below those that have longer prefixes. */
#ifndef BENCH_DIR_24_8_H
#define BENCH_DIR_24_8_H

#include "bench/bench.h"

struct dir_24_8 {
	uint32_t
		*dir24; /* DIR24_SIZE words: DIR24_BLOCK | block, or bench_group() plus one, or 0 */
	uint32_t *dir8; /* blocks * 256 words */
	size_t blocks;	/* a power of two */
};

/* From a table in the order of addresses. */
void dir_24_8_new(struct dir_24_8 *dir, const struct bench_table *table);
void dir_24_8_free(struct dir_24_8 *dir);

#endif /* BENCH_DIR_24_8_H */
