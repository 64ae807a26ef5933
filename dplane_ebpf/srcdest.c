// SPDX-License-Identifier: GPL-2.0-or-later
/* Destinations that have source-specific routes: a set of pairs, and a count for each destination. */
#include "dplane_ebpf/srcdest.h"

#include "lib/jhash.h"
#include "lib/typesafe.h"

PREDECL_HASH(pair_table);

/* The pair (destination, source), or, with source of family 0, how many pairs the destination has. */
struct pair {
	struct pair_table_item item;
	uint16_t table;
	struct prefix dest;
	struct prefix src;
	size_t n;
};

static int pair_cmp(const struct pair *a, const struct pair *b)
{
	int diff = numcmp(a->table, b->table);

	if (!diff)
		diff = prefix_cmp(&a->dest, &b->dest);
	if (diff)
		return diff;
	if (a->src.family != b->src.family)
		return numcmp(a->src.family, b->src.family);
	return a->src.family ? prefix_cmp(&a->src, &b->src) : 0;
}

static uint32_t pair_hash(const struct pair *pair)
{
	return jhash(&pair->dest.u, sizeof(struct in6_addr), pair->dest.prefixlen) +
	       (pair->src.family ? jhash(&pair->src.u, sizeof(struct in6_addr), pair->src.prefixlen)
				 : 0);
}

DECLARE_HASH(pair_table, struct pair, item, pair_cmp, pair_hash);

struct srcdest {
	struct pair_table_head table;
};

struct srcdest *srcdest_new(void)
{
	struct srcdest *srcdest = calloc(1, sizeof(*srcdest));

	if (srcdest)
		pair_table_init(&srcdest->table);
	return srcdest;
}

void srcdest_free(struct srcdest *srcdest)
{
	struct pair *pair;

	if (!srcdest)
		return;
	while ((pair = pair_table_pop(&srcdest->table)))
		free(pair);
	pair_table_fini(&srcdest->table);
	free(srcdest);
}

static void set_key(struct pair *key, uint16_t table, const struct prefix *dest,
		    const struct prefix *src)
{
	memset(key, 0, sizeof(*key));
	key->table = table;
	prefix_copy(&key->dest, dest);
	if (src)
		prefix_copy(&key->src, src);
}

static struct pair *get(struct srcdest *srcdest, uint16_t table, const struct prefix *dest,
			const struct prefix *src)
{
	struct pair *pair = calloc(1, sizeof(*pair));
	struct pair *existing;

	if (!pair)
		return NULL;
	set_key(pair, table, dest, src);
	existing = pair_table_add(&srcdest->table, pair);
	if (!existing)
		return pair;
	free(pair);
	return existing;
}

int srcdest_add(struct srcdest *srcdest, uint16_t table, const struct prefix *dest,
		const struct prefix *src)
{
	struct pair *count = get(srcdest, table, dest, NULL);
	struct pair *pair = count ? get(srcdest, table, dest, src) : NULL;

	if (!pair)
		return -ENOMEM;
	if (pair->n == 0) {
		pair->n = 1;
		count->n++;
	}
	return 0;
}

static void drop(struct srcdest *srcdest, struct pair *pair)
{
	pair_table_del(&srcdest->table, pair);
	free(pair);
}

void srcdest_del(struct srcdest *srcdest, uint16_t table, const struct prefix *dest,
		 const struct prefix *src)
{
	struct pair key;
	struct pair *pair, *count;

	set_key(&key, table, dest, src);
	pair = pair_table_find(&srcdest->table, &key);
	if (!pair)
		return;
	drop(srcdest, pair);
	set_key(&key, table, dest, NULL);
	count = pair_table_find(&srcdest->table, &key);
	if (count && --count->n == 0)
		drop(srcdest, count);
}

bool srcdest_has(struct srcdest *srcdest, uint16_t table, const struct prefix *dest)
{
	struct pair key;

	if (!pair_table_count(&srcdest->table))
		return false;
	set_key(&key, table, dest, NULL);
	return pair_table_find(&srcdest->table, &key) != NULL;
}
