// SPDX-License-Identifier: GPL-2.0-or-later
/* Marks of prefixes that passed. */
#include "dplane_ebpf/audit/marks.h"

#include <stdatomic.h>
#include <sys/socket.h>

#define MARKS (1u << 20)

static _Atomic bool watched;
static _Atomic uint64_t marks[MARKS / 64];

static uint32_t mark_of(const struct fib_prefix *prefix)
{
	uint64_t hash = (uint64_t)prefix->table << 16 | (uint64_t)prefix->family << 8 | prefix->len;

	for (size_t i = 0; i < (prefix->family == AF_INET ? 4 : 16); i++)
		hash = (hash ^ prefix->addr[i]) * UINT64_C(1099511628211);
	return (uint32_t)(hash * UINT64_C(0x9e3779b97f4a7c15) >> 44) % MARKS;
}

void marks_watch(void)
{
	for (uint32_t i = 0; i < MARKS / 64; i++)
		atomic_store_explicit(&marks[i], 0, memory_order_relaxed);
	atomic_store(&watched, true);
}

void marks_end(void)
{
	atomic_store(&watched, false);
}

void marks_leave(const struct fib_prefix *prefix)
{
	uint32_t mark;

	if (!atomic_load_explicit(&watched, memory_order_relaxed))
		return;
	mark = mark_of(prefix);
	atomic_fetch_or(&marks[mark / 64], UINT64_C(1) << mark % 64);
}

bool marks_has(const struct fib_prefix *prefix)
{
	uint32_t mark = mark_of(prefix);

	return atomic_load(&marks[mark / 64]) >> mark % 64 & 1;
}
