// SPDX-License-Identifier: GPL-2.0-or-later
/* DIR-24-8, built at once: what a prefix covers is painted over by the longer ones, which come later. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bench/dir_24_8.h"
#include "bench/lookup.h"

static void paint(uint32_t *words, size_t n, uint32_t value)
{
	for (size_t i = 0; i < n; i++)
		words[i] = value;
}

/* The block for a /24, which may have to be made. */
static uint32_t *block_of(struct dir_24_8 *dir, uint32_t *word, size_t *used)
{
	if (!(*word & DIR24_BLOCK)) {
		if (*used == dir->blocks) {
			dir->blocks *= 2;
			dir->dir8 = realloc(dir->dir8, dir->blocks * 256 * sizeof(uint32_t));
			if (!dir->dir8)
				bench_fail(ENOMEM, "DIR-24-8");
		}
		paint(dir->dir8 + *used * 256, 256, *word);
		*word = DIR24_BLOCK | (uint32_t)(*used)++;
	}
	return dir->dir8 + (size_t)(*word & ~DIR24_BLOCK) * 256;
}

void dir_24_8_new(struct dir_24_8 *dir, const struct bench_table *table)
{
	size_t used = 0;

	*dir = (struct dir_24_8){.dir24 = calloc(DIR24_SIZE, sizeof(uint32_t)),
				 .dir8 = calloc(256, sizeof(uint32_t)),
				 .blocks = 1};
	if (!dir->dir24 || !dir->dir8)
		bench_fail(ENOMEM, "DIR-24-8");
	for (size_t i = 0; i < table->n; i++) {
		const struct fib_prefix *prefix = &table->list[i].prefix;
		uint32_t value = bench_group(&table->list[i]) + 1, addr;

		memcpy(&addr, prefix->addr, 4);
		addr = ntohl(addr);
		if (prefix->len <= 24) {
			paint(dir->dir24 + (addr >> 8), (size_t)1 << (24 - prefix->len), value);
		} else {
			uint32_t *block = block_of(dir, &dir->dir24[addr >> 8], &used);

			paint(block + (addr & 255), (size_t)1 << (32 - prefix->len), value);
		}
	}
}

void dir_24_8_free(struct dir_24_8 *dir)
{
	free(dir->dir24);
	free(dir->dir8);
}
