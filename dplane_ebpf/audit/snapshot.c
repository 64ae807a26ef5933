// SPDX-License-Identifier: GPL-2.0-or-later
/* The records of a snapshot: added in any order, sorted, found. */
#include "dplane_ebpf/audit/snapshot.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

int snapshot_init(struct snapshot *snapshot)
{
	memset(snapshot, 0, sizeof(*snapshot));
	snapshot->ways = ways_new();
	return snapshot->ways ? 0 : -ENOMEM;
}

void snapshot_fini(struct snapshot *snapshot)
{
	ways_free(snapshot->ways);
	free(snapshot->record);
	memset(snapshot, 0, sizeof(*snapshot));
}

static int place_cmp(const struct record *a, const struct record *b)
{
	if (a->table != b->table)
		return a->table < b->table ? -1 : 1;
	return (int)(a->flags & RECORD_V6) - (int)(b->flags & RECORD_V6);
}

static int record_cmp(const void *left, const void *right)
{
	const struct record *a = left, *b = right;
	int diff = place_cmp(a, b);

	if (!diff)
		diff = memcmp(a->addr, b->addr, sizeof(a->addr));
	return diff ? diff : (int)a->len - (int)b->len;
}

static void record_init(struct record *record, const struct fib_prefix *prefix)
{
	memset(record, 0, sizeof(*record));
	memcpy(record->addr, prefix->addr, prefix->family == AF_INET ? 4 : 16);
	record->table = prefix->table;
	record->len = prefix->len;
	record->flags = prefix->family == AF_INET6 ? RECORD_V6 : 0;
}

bool snapshot_ignores(const struct fib_prefix *prefix)
{
	static const uint8_t loopback[16] = {[15] = 1};
	const uint8_t *addr = prefix->addr;

	if (prefix->family == AF_INET)
		return (prefix->len >= 4 && addr[0] >= 224) || (prefix->len >= 8 && addr[0] == 127);
	return (prefix->len >= 8 && addr[0] == 0xff) ||
	       (prefix->len >= 10 && addr[0] == 0xfe && addr[1] >> 6 == 2) ||
	       (prefix->len == 128 && !memcmp(addr, loopback, sizeof(loopback)));
}

void snapshot_reserve(struct snapshot *snapshot, size_t n)
{
	struct record *record =
		n > snapshot->size ? realloc(snapshot->record, n * sizeof(*record)) : NULL;

	if (!record)
		return;
	snapshot->record = record;
	snapshot->size = n;
}

struct record *snapshot_add(struct snapshot *snapshot, const struct fib_prefix *prefix)
{
	size_t size = snapshot->size ? snapshot->size : 1024;
	struct record *record = snapshot->record;

	if (snapshot->n == snapshot->size) {
		/* a large array is moved by the kernel, and what is not used yet costs nothing */
		while (size <= snapshot->n)
			size *= 2;
		record = realloc(record, size * sizeof(*record));
		if (!record) {
			snapshot->failed = true;
			return NULL;
		}
		snapshot->record = record;
		snapshot->size = size;
	}
	record = &record[snapshot->n];
	record_init(record, prefix);
	if (snapshot->sorted == snapshot->n && (!snapshot->n || record_cmp(record - 1, record) < 0))
		snapshot->sorted++;
	snapshot->n++;
	return record;
}

/* Oddities of some packets of a prefix only, which a better metric does not make go away. */
#define OF_SOME (WAY_ODD_BY(TOS) | WAY_ODD_BY(SOURCE))

static bool is_odd(uint32_t way, uint32_t by)
{
	return way & WAY_ODD && way & by & ~WAY_ODD;
}

static void add_kernel(struct record *record, uint32_t way, uint32_t metric, bool local)
{
	if (!record->kernel || (local && !(record->flags & RECORD_LOCAL))) {
		record->kernel = way;
		record->metric = metric;
		record->flags |= local ? RECORD_LOCAL : 0;
	} else if (!local && record->flags & RECORD_LOCAL) {
		/* the local table's comes first */
	} else if (is_odd(way, OF_SOME)) {
		record->kernel = way | (record->kernel & WAY_ODD ? record->kernel : 0);
	} else if (is_odd(record->kernel, OF_SOME)) {
		record->kernel |= way & WAY_ODD ? way : 0;
	} else if (metric < record->metric) {
		record->kernel = way;
		record->metric = metric;
	} else if (metric == record->metric && record->flags & RECORD_V6 && way != record->kernel) {
		record->kernel = WAY_ODD_BY(METRICS);
	}
}

/* Two records of the same prefix come about only where neither was known when the kernel told of it. */
static void merge(struct record *kept, const struct record *other)
{
	if (other->kernel)
		add_kernel(kept, other->kernel, other->metric, other->flags & RECORD_LOCAL);
	kept->flags |= other->flags & RECORD_DOUBTED;
}

void snapshot_sort(struct snapshot *snapshot)
{
	struct record *record = snapshot->record;
	size_t kept = 0;

	if (snapshot->sorted == snapshot->n)
		return;
	qsort(record, snapshot->n, sizeof(*record), record_cmp);
	for (size_t i = 0; i < snapshot->n; i++) {
		if (kept && !record_cmp(&record[kept - 1], &record[i]))
			merge(&record[kept - 1], &record[i]);
		else
			record[kept++] = record[i];
	}
	snapshot->n = snapshot->sorted = kept;
}

struct record *snapshot_find(struct snapshot *snapshot, const struct fib_prefix *prefix)
{
	struct record key;

	record_init(&key, prefix);
	if (!snapshot->sorted)
		return NULL;
	return bsearch(&key, snapshot->record, snapshot->sorted, sizeof(key), record_cmp);
}

void record_prefix(const struct record *record, struct fib_prefix *prefix)
{
	memset(prefix, 0, sizeof(*prefix));
	prefix->family = record->flags & RECORD_V6 ? AF_INET6 : AF_INET;
	prefix->len = record->len;
	prefix->table = record->table;
	memcpy(prefix->addr, record->addr, sizeof(prefix->addr));
}

void snapshot_kernel(struct snapshot *snapshot, const struct kernel_route *route, bool add)
{
	struct record *record = snapshot_find(snapshot, &route->prefix);

	if (!record && add)
		record = snapshot_add(snapshot, &route->prefix);
	if (record)
		add_kernel(record, route->way, route->metric, route->local);
}
