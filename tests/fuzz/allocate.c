// SPDX-License-Identifier: GPL-2.0-or-later
/* Memory that is counted and fails on demand. */
#include "tests/fuzz/allocate.h"

#undef malloc
#undef calloc
#undef realloc
#undef free

static size_t live;
static unsigned int countdown;
static bool failed, suspended;

static bool fails(void)
{
	if (suspended || !countdown || --countdown)
		return false;
	failed = true;
	return true;
}

static void *counted(void *memory)
{
	live += memory != NULL;
	return memory;
}

void *fuzz_malloc(size_t size)
{
	return fails() ? NULL : counted(malloc(size));
}

void *fuzz_calloc(size_t n, size_t size)
{
	return fails() ? NULL : counted(calloc(n, size));
}

void *fuzz_realloc(void *memory, size_t size)
{
	if (!memory)
		return fuzz_malloc(size);
	return fails() ? NULL : realloc(memory, size);
}

void fuzz_free(void *memory)
{
	live -= memory != NULL;
	free(memory);
}

void *fuzz_map(size_t size)
{
	void *memory = fuzz_calloc(1, size);

	return memory ? memory : MAP_FAILED;
}

bool allocate_fail(unsigned int n)
{
	bool was = failed;

	countdown = n;
	failed = false;
	return was;
}

void allocate_suspend(bool suspend)
{
	suspended = suspend;
}

size_t allocate_live(void)
{
	return live;
}
