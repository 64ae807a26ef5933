// SPDX-License-Identifier: GPL-2.0-or-later
/* Lists of prefixes from files, and destinations within them. */
#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"

const char *const bench_destination_name[] = {"uniform", "zipf", "hot"};

static size_t count_lines(FILE *file)
{
	size_t lines = 0;
	int c;

	while ((c = getc_unlocked(file)) != EOF)
		lines += c == '\n';
	rewind(file);
	return lines;
}

/* "PREFIX/LEN AS" */
static bool parse(char *text, uint8_t family, struct bench_prefix *prefix)
{
	char *slash = strchr(text, '/'), *space = strchr(text, ' ');

	if (!slash || !space)
		return false;
	*slash = *space = '\0';
	*prefix = (struct bench_prefix){
		.prefix = {.family = family, .len = (uint8_t)strtoul(slash + 1, NULL, 10)},
		.as = (uint32_t)strtoul(space + 1, NULL, 10),
	};
	return inet_pton(family, text, prefix->prefix.addr) == 1;
}

void bench_table_read(struct bench_table *table, const char *dir, uint8_t family, size_t max)
{
	char path[4096], text[128];
	size_t lines, line = 0;
	FILE *file;

	snprintf(path, sizeof(path), "%s/v%c.txt", dir, family == AF_INET ? '4' : '6');
	file = fopen(path, "re");
	if (!file)
		bench_fail(errno, "cannot read %s (bench/prefixes makes it)", path);
	lines = count_lines(file);
	if (!max || max > lines)
		max = lines;
	*table = (struct bench_table){.family = family,
				      .list = calloc(max ? max : 1, sizeof(*table->list))};
	if (!table->list)
		bench_fail(ENOMEM, "%s", path);
	while (fgets(text, sizeof(text), file) && table->n < max) {
		/* every (lines / max)th */
		if (line++ * max / lines < table->n)
			continue;
		if (!parse(text, family, &table->list[table->n++]))
			bench_fail(0, "%s: line %zu is not \"PREFIX AS\"", path, line);
	}
	fclose(file);
	if (!table->n)
		bench_fail(0, "%s has no prefixes", path);
}

void bench_table_free(struct bench_table *table)
{
	free(table->list);
}

void bench_table_shuffle(struct bench_table *table, uint64_t seed)
{
	for (size_t i = table->n - 1; i > 0; i--) {
		size_t other = bench_random(&seed) % (i + 1);
		struct bench_prefix prefix = table->list[i];

		table->list[i] = table->list[other];
		table->list[other] = prefix;
	}
}

uint32_t bench_group(const struct bench_prefix *prefix)
{
	return (prefix->as * 0x9e3779b1u) >> 16 & (BENCH_GROUPS - 1);
}

static void address_in(const struct fib_prefix *prefix, uint64_t *seed, uint8_t addr[16])
{
	unsigned int bits = prefix->family == AF_INET ? 32 : 128;
	uint64_t noise[2] = {bench_random(seed), bench_random(seed)};

	memcpy(addr, prefix->addr, 16);
	for (unsigned int bit = prefix->len; bit < bits; bit++) {
		if (noise[bit / 64] >> bit % 64 & 1)
			addr[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
	}
}

/*
 * Rank 0..n-1 with a chance of about 1 / (rank + 1): the inverse of the distribution's integral, which
 * is the logarithm.
 */
static size_t zipf_rank(size_t n, uint64_t *seed)
{
	double u = (double)(bench_random(seed) >> 11) / 9007199254740992.0;
	size_t rank = (size_t)(pow((double)n + 1, u) - 1);

	return rank < n ? rank : n - 1;
}

void bench_destinations(const struct bench_table *table, enum bench_destinations which,
			uint64_t seed, uint8_t (*addr)[16], size_t n)
{
	uint32_t *order = NULL;

	if (which == BENCH_ZIPF) {
		uint64_t shuffle = 7;

		order = calloc(table->n, sizeof(*order));
		if (!order)
			bench_fail(ENOMEM, "destinations");
		for (size_t i = 0; i < table->n; i++) {
			size_t other = bench_random(&shuffle) % (i + 1);

			order[i] = order[other];
			order[other] = (uint32_t)i;
		}
	}
	for (size_t i = 0; i < n; i++) {
		size_t index = which == BENCH_ZIPF ? order[zipf_rank(table->n, &seed)]
						   : bench_random(&seed) % table->n;

		if (which == BENCH_HOT && i > 0)
			memcpy(addr[i], addr[0], 16);
		else
			address_in(&table->list[index].prefix, &seed, addr[i]);
	}
	free(order);
}
