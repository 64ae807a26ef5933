// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * In doubt a prefix is the kernel's: what the audit may repair on its own is what can only send packets there. What it gave to
 * the kernel it looks at again with every run, until zebra, the kernel and ours agree.
 */
#include <errno.h>
#include <stdlib.h>

#include "dplane_ebpf/audit/audit_internal.h"

struct list {
	struct fib_prefix *prefix;
	size_t n, size;
	bool failed;
};

/* Under the FIB's lock: it only takes note. */
static void note(void *arg, const struct fib_prefix *prefix)
{
	struct list *list = arg;

	if (list->n == list->size) {
		size_t size = list->size ? 2 * list->size : 64;
		struct fib_prefix *larger = realloc(list->prefix, size * sizeof(*larger));

		if (!larger) {
			list->failed = true;
			return;
		}
		list->prefix = larger;
		list->size = size;
	}
	list->prefix[list->n++] = *prefix;
}

void doubt_read(struct snapshot *snapshot, struct fib *fib)
{
	struct list list = {0};

	fib_audit_walk(fib, note, &list);
	for (size_t i = 0; i < list.n; i++) {
		struct record *record = snapshot_find(snapshot, &list.prefix[i]);

		if (!record)
			record = snapshot_add(snapshot, &list.prefix[i]);
		if (record)
			record->flags |= RECORD_DOUBTED;
	}
	snapshot->failed |= list.failed;
	free(list.prefix);
	snapshot_sort(snapshot);
}

int doubt_apply(struct fib *fib, struct record *record, bool doubtful)
{
	struct fib_prefix prefix;
	int err;

	record_prefix(record, &prefix);
	if (doubtful) {
		/* a route that zebra has is in doubt until zebra says another thing */
		err = record->flags & RECORD_COVERED ? -ENOENT
						     : fib_route_doubt(fib, &prefix, true);
		if (err == -ENOENT)
			err = fib_audit_set(fib, &prefix);
		if (!err)
			record->flags |= RECORD_DOUBTED;
		return err;
	}
	if (record->flags & RECORD_DOUBTED) {
		fib_route_doubt(fib, &prefix, false);
		fib_audit_del(fib, &prefix);
		record->flags &= (uint8_t)~RECORD_DOUBTED;
	}
	return 0;
}

static void count(void *arg, const struct fib_prefix *prefix)
{
	uint64_t *n = arg;

	(void)prefix;
	++*n;
}

uint64_t doubt_count(struct fib *fib)
{
	uint64_t n = 0;

	fib_audit_walk(fib, count, &n);
	return n;
}
