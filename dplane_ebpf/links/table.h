/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A hash table of structures that carry their link, and lists of the same kind. One thread. */
#ifndef DPLANE_EBPF_LINKS_TABLE_H
#define DPLANE_EBPF_LINKS_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

struct list {
	struct list *next, *prev;
};

static inline void list_init(struct list *head)
{
	head->next = head->prev = head;
}

static inline bool list_empty(const struct list *head)
{
	return head->next == head;
}

static inline void list_add(struct list *head, struct list *node)
{
	node->next = head;
	node->prev = head->prev;
	head->prev->next = node;
	head->prev = node;
}

/* A node that was removed is empty: removing it again does nothing. */
static inline void list_del(struct list *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	list_init(node);
}

/* The visited node, but no other, may be removed meanwhile. */
#define list_for_each(node, head) \
	for (struct list *node = (head)->next, *node##_next = node->next; node != (head); \
	     node = node##_next, node##_next = node->next)

struct table_node {
	struct table_node *next;
	uint32_t hash;
};

struct table {
	struct table_node **bucket;
	uint32_t size; /* of bucket[], a power of two, or 0 */
	uint32_t count;
};

static inline uint32_t table_hash(const void *key, size_t len)
{
	const uint8_t *byte = key;
	uint32_t hash = 2166136261u;

	while (len--)
		hash = (hash ^ *byte++) * 16777619u;
	return hash ^ hash >> 15;
}

static inline void table_grow(struct table *table)
{
	uint32_t size = table->size ? table->size * 2 : 64;
	struct table_node **bucket = calloc(size, sizeof(*bucket)), *node, *next;

	if (!bucket)
		return; /* longer chains, nothing worse */
	for (uint32_t i = 0; i < table->size; i++) {
		for (node = table->bucket[i]; node; node = next) {
			next = node->next;
			node->next = bucket[node->hash & (size - 1)];
			bucket[node->hash & (size - 1)] = node;
		}
	}
	free(table->bucket);
	table->bucket = bucket;
	table->size = size;
}

/* False: out of memory, and nothing was added. */
static inline bool table_add(struct table *table, struct table_node *node, uint32_t hash)
{
	if (table->count >= table->size)
		table_grow(table);
	if (!table->size)
		return false;
	node->hash = hash;
	node->next = table->bucket[hash & (table->size - 1)];
	table->bucket[hash & (table->size - 1)] = node;
	table->count++;
	return true;
}

static inline void table_del(struct table *table, struct table_node *node)
{
	struct table_node **at = &table->bucket[node->hash & (table->size - 1)];

	while (*at != node)
		at = &(*at)->next;
	*at = node->next;
	table->count--;
}

/* The first node that may have this hash; go on by node->next and compare keys. */
static inline struct table_node *table_find(const struct table *table, uint32_t hash)
{
	return table->size ? table->bucket[hash & (table->size - 1)] : NULL;
}

/* What was in it is the caller's. */
static inline void table_free(struct table *table)
{
	free(table->bucket);
	memset(table, 0, sizeof(*table));
}

#endif /* DPLANE_EBPF_LINKS_TABLE_H */
