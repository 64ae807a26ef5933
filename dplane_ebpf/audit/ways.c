// SPDX-License-Identifier: GPL-2.0-or-later
/* Sets of next hops, each once, by number: few, where prefixes are many. */
#include <stdlib.h>
#include <string.h>

#include "dplane_ebpf/audit/snapshot.h"

#define HASH_SIZE_MIN 256u

struct way {
	uint32_t first; /* in member */
	uint32_t n;
	uint32_t hash;
};

struct ways {
	struct fib_member *member; /* of all ways, one behind the other */
	size_t n_member, member_size;
	struct way *way; /* way[i] has the number WAY_FIRST + i */
	uint32_t n, size;
	uint32_t *hash; /* index of a way plus 1, or 0; a power of two of them, at most half full */
	uint32_t hash_size;
};

struct ways *ways_new(void)
{
	struct ways *ways = calloc(1, sizeof(*ways));

	if (!ways)
		return NULL;
	ways->hash_size = HASH_SIZE_MIN;
	ways->hash = calloc(ways->hash_size, sizeof(*ways->hash));
	if (!ways->hash) {
		free(ways);
		return NULL;
	}
	return ways;
}

void ways_free(struct ways *ways)
{
	if (!ways)
		return;
	free(ways->member);
	free(ways->way);
	free(ways->hash);
	free(ways);
}

/* Without the MTU. */
static int key_cmp(const struct fib_nexthop_key *a, const struct fib_nexthop_key *b)
{
	if (a->ifindex != b->ifindex)
		return a->ifindex < b->ifindex ? -1 : 1;
	if (a->family != b->family)
		return a->family < b->family ? -1 : 1;
	return a->family ? memcmp(a->gate, b->gate, sizeof(a->gate)) : 0;
}

static int member_cmp(const void *a, const void *b)
{
	const struct fib_nexthop_key *left = &((const struct fib_member *)a)->nexthop;
	const struct fib_nexthop_key *right = &((const struct fib_member *)b)->nexthop;
	int diff = key_cmp(left, right);

	return diff ? diff : (int)left->mtu - (int)right->mtu;
}

/* Sorted, each next hop once. Returns how many are left. */
static size_t canonical(struct fib_member *member, size_t n)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++)
		member[i].weight += !member[i].weight;
	if (n > 1)
		qsort(member, n, sizeof(*member), member_cmp);
	for (size_t i = 0; i < n; i++) {
		if (kept && !member_cmp(&member[kept - 1], &member[i]))
			member[kept - 1].weight += member[i].weight;
		else
			member[kept++] = member[i];
	}
	return kept;
}

static uint32_t hash_of(const struct fib_member *member, size_t n)
{
	uint64_t hash = 14695981039346656037ull;

	for (size_t i = 0; i < n; i++) {
		hash = (hash ^ member[i].nexthop.ifindex) * 1099511628211ull;
		hash = (hash ^ member[i].weight) * 1099511628211ull;
		hash = (hash ^ member[i].nexthop.mtu) * 1099511628211ull;
		for (size_t b = 0; member[i].nexthop.family && b < 16; b++)
			hash = (hash ^ member[i].nexthop.gate[b]) * 1099511628211ull;
	}
	return (uint32_t)(hash ^ hash >> 32);
}

static bool equal(const struct ways *ways, const struct way *way, const struct fib_member *member,
		  size_t n)
{
	if (way->n != n)
		return false;
	for (size_t i = 0; i < n; i++) {
		const struct fib_member *other = &ways->member[way->first + i];

		if (other->weight != member[i].weight || member_cmp(other, &member[i]))
			return false;
	}
	return true;
}

static bool grow_hash(struct ways *ways)
{
	uint32_t size = ways->hash_size * 2;
	uint32_t *hash = calloc(size, sizeof(*hash));

	if (!hash)
		return false;
	for (uint32_t i = 0; i < ways->n; i++) {
		uint32_t at = ways->way[i].hash & (size - 1);

		while (hash[at])
			at = (at + 1) & (size - 1);
		hash[at] = i + 1;
	}
	free(ways->hash);
	ways->hash = hash;
	ways->hash_size = size;
	return true;
}

static bool grow(void **array, size_t *size, size_t wanted, size_t item)
{
	size_t larger = *size ? *size : 64;
	void *moved;

	while (larger < wanted)
		larger *= 2;
	if (larger == *size)
		return true;
	moved = realloc(*array, larger * item);
	if (!moved)
		return false;
	*array = moved;
	*size = larger;
	return true;
}

static uint32_t lookup(struct ways *ways, const struct fib_member *member, size_t n)
{
	uint32_t hash = hash_of(member, n), at = hash & (ways->hash_size - 1);
	size_t size = ways->size;

	for (; ways->hash[at]; at = (at + 1) & (ways->hash_size - 1)) {
		const struct way *way = &ways->way[ways->hash[at] - 1];

		if (way->hash == hash && equal(ways, way, member, n))
			return WAY_FIRST + ways->hash[at] - 1;
	}
	if (!grow((void **)&ways->way, &size, ways->n + 1u, sizeof(*ways->way)))
		return WAY_CHANGING;
	ways->size = (uint32_t)size;
	if (!grow((void **)&ways->member, &ways->member_size, ways->n_member + n,
		  sizeof(*ways->member)))
		return WAY_CHANGING;
	memcpy(&ways->member[ways->n_member], member, n * sizeof(*member));
	ways->way[ways->n] = (struct way){(uint32_t)ways->n_member, (uint32_t)n, hash};
	ways->n_member += n;
	ways->hash[at] = ++ways->n;
	return WAY_FIRST + ways->n - 1;
}

uint32_t ways_of(struct ways *ways, const struct fib_member *members, size_t n)
{
	struct fib_member few[16], *member = few;
	uint32_t way;

	if (!n)
		return WAY_UNKNOWN;
	if (2 * (ways->n + 1) > ways->hash_size && !grow_hash(ways))
		return WAY_CHANGING;
	if (n > sizeof(few) / sizeof(few[0]))
		member = malloc(n * sizeof(*member));
	if (!member)
		return WAY_CHANGING;
	memcpy(member, members, n * sizeof(*member));
	way = lookup(ways, member, canonical(member, n));
	if (member != few)
		free(member);
	return way;
}

const struct fib_member *ways_members(const struct ways *ways, uint32_t way, size_t *n)
{
	const struct way *found;

	*n = 0;
	if (way < WAY_FIRST || way - WAY_FIRST >= ways->n)
		return NULL;
	found = &ways->way[way - WAY_FIRST];
	*n = found->n;
	return &ways->member[found->first];
}

bool ways_within(const struct ways *ways, uint32_t part, uint32_t whole)
{
	const struct fib_member *a, *b;
	size_t n_a, n_b, j;

	a = ways_members(ways, part, &n_a);
	b = ways_members(ways, whole, &n_b);
	for (size_t i = 0; i < n_a; i++) {
		for (j = 0; j < n_b && key_cmp(&a[i].nexthop, &b[j].nexthop); j++)
			;
		if (j == n_b)
			return false;
	}
	return n_a > 0;
}
