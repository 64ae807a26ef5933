// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * How large the shared arrays are, and memory for them where no maps are.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "dplane_ebpf/fib/fib_internal.h"

size_t fib_array_size(enum fib_array array, const struct fib_geometry *geometry)
{
	switch (array) {
	case FIB_ARRAY_HEADER:
		return sizeof(struct fib_header);
	case FIB_ARRAY_V4_ROOT:
		return FIB4_ROOT_SIZE * sizeof(uint32_t);
	case FIB_ARRAY_V4_LOW:
		return (size_t)geometry->v4_low_blocks * FIB4_LOW_SIZE * sizeof(uint16_t);
	case FIB_ARRAY_V6_ROOT:
		return FIB6_SLOTS * sizeof(uint32_t);
	case FIB_ARRAY_NODE:
		return 2 * (size_t)geometry->node_bytes + FIB_NODE_SLACK;
	case FIB_ARRAY_GROUP:
		return (size_t)geometry->groups * sizeof(uint64_t);
	case FIB_ARRAY_SLOT:
		return (size_t)geometry->slots * sizeof(uint16_t);
	case FIB_ARRAY_NEXTHOP:
		return (size_t)geometry->nexthops * sizeof(struct fib_nexthop);
	case FIB_ARRAY_MAX:
		break;
	}
	return 0;
}

static bool size_valid(uint32_t size, uint32_t min, uint32_t max)
{
	return size >= min && size <= max && !(size & (size - 1));
}

bool fib_geometry_valid(const struct fib_geometry *geometry)
{
	return size_valid(geometry->node_bytes, 2 * FIB_UNIT, 1u << 27) &&
	       size_valid(geometry->v4_low_blocks, 1, 1u << 15) &&
	       size_valid(geometry->groups, 2 * FIB_GROUP_FIRST, FIB_MAX_GROUPS) &&
	       size_valid(geometry->slots, 1, 1u << 22) &&
	       size_valid(geometry->nexthops, 2, 1u << 16) &&
	       size_valid(geometry->neighbours, 1, 1u << 31) &&
	       size_valid(geometry->cpus, 1, 1u << 31);
}

static void *array_map(enum fib_array array, const struct fib_geometry *geometry)
{
	void *memory = mmap(NULL, fib_array_size(array, geometry), PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

int fib_memory_alloc(struct fib_memory *memory, const struct fib_geometry *geometry)
{
	memset(memory, 0, sizeof(*memory));
	if (!fib_geometry_valid(geometry))
		return -EINVAL;
	/* the header remembers the sizes for fib_memory_free() */
	memory->header = array_map(FIB_ARRAY_HEADER, geometry);
	if (!memory->header)
		return -ENOMEM;
	memory->header->geometry = *geometry;
	memory->v4_root = array_map(FIB_ARRAY_V4_ROOT, geometry);
	memory->v4_low = array_map(FIB_ARRAY_V4_LOW, geometry);
	memory->v6_root = array_map(FIB_ARRAY_V6_ROOT, geometry);
	memory->node = array_map(FIB_ARRAY_NODE, geometry);
	memory->group = array_map(FIB_ARRAY_GROUP, geometry);
	memory->slot = array_map(FIB_ARRAY_SLOT, geometry);
	memory->nexthop = array_map(FIB_ARRAY_NEXTHOP, geometry);
	if (!memory->v4_root || !memory->v4_low || !memory->v6_root || !memory->node ||
	    !memory->group || !memory->slot || !memory->nexthop) {
		fib_memory_free(memory);
		return -ENOMEM;
	}
	return 0;
}

static void array_unmap(void *memory, enum fib_array array, const struct fib_geometry *geometry)
{
	if (memory)
		munmap(memory, fib_array_size(array, geometry));
}

void fib_memory_free(struct fib_memory *memory)
{
	struct fib_geometry geometry;

	if (!memory->header)
		return;
	geometry = memory->header->geometry;
	array_unmap(memory->v4_root, FIB_ARRAY_V4_ROOT, &geometry);
	array_unmap(memory->v4_low, FIB_ARRAY_V4_LOW, &geometry);
	array_unmap(memory->v6_root, FIB_ARRAY_V6_ROOT, &geometry);
	array_unmap(memory->node, FIB_ARRAY_NODE, &geometry);
	array_unmap(memory->group, FIB_ARRAY_GROUP, &geometry);
	array_unmap(memory->slot, FIB_ARRAY_SLOT, &geometry);
	array_unmap(memory->nexthop, FIB_ARRAY_NEXTHOP, &geometry);
	array_unmap(memory->header, FIB_ARRAY_HEADER, &geometry);
	memset(memory, 0, sizeof(*memory));
}
