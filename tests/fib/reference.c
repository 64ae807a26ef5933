// SPDX-License-Identifier: GPL-2.0-or-later
/* The slow reference. */
#include "tests/fib/reference.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define BUCKETS (1u << 16)

struct item {
	struct item *next;
	struct fib_prefix prefix;
	uint32_t group;
};

struct reference {
	struct item *bucket[BUCKETS];
	size_t count[2][129];
};

struct reference *reference_new(void)
{
	return calloc(1, sizeof(struct reference));
}

void reference_free(struct reference *ref)
{
	for (unsigned int i = 0; i < BUCKETS; i++) {
		while (ref->bucket[i]) {
			struct item *next = ref->bucket[i]->next;

			free(ref->bucket[i]);
			ref->bucket[i] = next;
		}
	}
	free(ref);
}

static struct fib_prefix cut(uint8_t family, const uint8_t *addr, unsigned int len)
{
	struct fib_prefix prefix;

	memset(&prefix, 0, sizeof(prefix));
	prefix.family = family;
	prefix.len = (uint8_t)len;
	memcpy(prefix.addr, addr, len / 8);
	if (len % 8)
		prefix.addr[len / 8] = addr[len / 8] & (uint8_t)(0xff00 >> len % 8);
	return prefix;
}

static struct item **find(const struct reference *ref, const struct fib_prefix *prefix)
{
	struct item **link;
	uint64_t half[2];

	memcpy(half, prefix->addr, sizeof(half));
	half[0] = (half[0] ^ prefix->len) * 0x9e3779b97f4a7c15ull;
	half[0] = (half[0] ^ half[0] >> 29 ^ half[1]) * 0xbf58476d1ce4e5b9ull;
	link = (struct item **)&ref->bucket[half[0] >> 48];
	while (*link && memcmp(&(*link)->prefix, prefix, sizeof(*prefix)))
		link = &(*link)->next;
	return link;
}

uint32_t reference_set(struct reference *ref, const struct fib_prefix *prefix, uint32_t group)
{
	struct fib_prefix clean = cut(prefix->family, prefix->addr, prefix->len);
	size_t *count = &ref->count[clean.family == AF_INET6][clean.len];
	struct item **link = find(ref, &clean), *item = *link;
	uint32_t old = item ? item->group : 0;

	if (!group && item) {
		*link = item->next;
		free(item);
		--*count;
	} else if (group && !item) {
		item = calloc(1, sizeof(*item));
		item->prefix = clean;
		item->group = group;
		*link = item;
		++*count;
	} else if (group) {
		item->group = group;
	}
	return old;
}

uint32_t reference_get(const struct reference *ref, const struct fib_prefix *prefix)
{
	struct fib_prefix clean = cut(prefix->family, prefix->addr, prefix->len);
	struct item *item = *find(ref, &clean);

	return item ? item->group : 0;
}

uint32_t reference_lookup(const struct reference *ref, uint8_t family, const uint8_t *addr,
			  unsigned int len, struct fib_prefix *found)
{
	for (int l = (int)len; l >= 0; l--) {
		struct item *item;

		if (!ref->count[family == AF_INET6][l])
			continue;
		*found = cut(family, addr, (unsigned int)l);
		item = *find(ref, found);
		if (item)
			return item->group;
	}
	*found = cut(family, addr, 0);
	return FIB_GROUP_NO_ROUTE;
}

size_t reference_count(const struct reference *ref, uint8_t family)
{
	size_t sum = 0;

	for (int len = 0; len <= 128; len++)
		sum += ref->count[family == AF_INET6][len];
	return sum;
}
