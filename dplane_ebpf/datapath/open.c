// SPDX-License-Identifier: GPL-2.0-or-later
/* Loads the program, sizes its maps, and maps them into memory. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/utsname.h>
#include <syslog.h>
#include <unistd.h>

#include <bpf/libbpf.h>

#include "dplane_ebpf/datapath/datapath_internal.h"
#include "dplane_ebpf/datapath/dplane_ebpf.skel.h"
#include "dplane_ebpf/log.h"

/* A full table's nodes take 3 MiB where what an AS announces goes one way, 6 MiB where each prefix goes its own. */
const struct fib_geometry datapath_geometry_full = {
	.node_bytes = 16u << 20,
	.v4_low_blocks = 1u << 13,
	.groups = FIB_MAX_GROUPS,
	.slots = FIB_MAX_GROUPS * 64, /* each group's, of two to four members */
	.nexthops = 1u << 16,
	.neighbours = 1u << 17,
	.cpus = 1,
};

const struct fib_geometry datapath_geometry_small = {
	.node_bytes = 2u << 20,
	.v4_low_blocks = 1u << 10,
	.groups = 1u << 12,
	.slots = 1u << 15,
	.nexthops = 1u << 10,
	.neighbours = 1u << 12,
	.cpus = 1,
};

/* Counters of next hops, of all CPUs, may take so many bytes: with more than 32 CPUs there are fewer next hops. */
#define NEXTHOP_COUNTERS_MAX ((size_t)32 << 20)
#define NEXTHOPS_MIN (1u << 10)

/* ---- libbpf's own words: the last one is kept, because it says what the kernel disliked ---- */

static __thread char last_words[200];

static int hear_libbpf(enum libbpf_print_level level, const char *format, va_list args)
{
	char text[4096];
	char *line, *rest = text;

	if (level != LIBBPF_WARN)
		return 0;
	vsnprintf(text, sizeof(text), format, args);
	while ((line = strsep(&rest, "\n"))) {
		/* the verifier closes with statistics, which tell nobody what is wrong */
		if (!*line || !strncmp(line, "processed ", 10) ||
		    strstr(line, "END PROG LOAD LOG") || strstr(line, "failed to load"))
			continue;
		snprintf(last_words, sizeof(last_words), "%.*s", (int)sizeof(last_words) - 1, line);
	}
	return 0;
}

/* ---- maps ---- */

struct shared_map {
	struct bpf_map *map;
	size_t size;
	void **memory;
};

#define SHARED_MAX (FIB_ARRAY_MAX + 3)

static uint32_t power_of_two(uint32_t n)
{
	uint32_t power = 1;

	while (power < n)
		power *= 2;
	return power;
}

static void shared_maps(struct datapath *datapath, struct shared_map shared[SHARED_MAX])
{
	const struct fib_geometry *g = &datapath->geometry;
	struct bpf_map *array[FIB_ARRAY_MAX] = {
		[FIB_ARRAY_HEADER] = datapath->skel->maps.fib_header,
		[FIB_ARRAY_V4_ROOT] = datapath->skel->maps.fib4_root,
		[FIB_ARRAY_V4_LOW] = datapath->skel->maps.fib4_low,
		[FIB_ARRAY_V6_ROOT] = datapath->skel->maps.fib6_root,
		[FIB_ARRAY_NODE] = datapath->skel->maps.fib_node,
		[FIB_ARRAY_GROUP] = datapath->skel->maps.fib_group,
		[FIB_ARRAY_SLOT] = datapath->skel->maps.fib_slot,
		[FIB_ARRAY_NEXTHOP] = datapath->skel->maps.fib_nexthop,
	};
	struct shared_map *own = &shared[FIB_ARRAY_MAX];

	for (int i = 0; i < FIB_ARRAY_MAX; i++)
		shared[i] =
			(struct shared_map){array[i], fib_array_size(i, g), &datapath->memory[i]};
	own[0] = (struct shared_map){datapath->skel->maps.interfaces,
				     FIB_MAX_INTERFACES * sizeof(uint64_t),
				     (void **)&datapath->interfaces};
	own[1] = (struct shared_map){datapath->skel->maps.counters,
				     g->cpus * sizeof(struct fib_cpu_counters),
				     (void **)&datapath->counters};
	own[2] = (struct shared_map){datapath->skel->maps.nexthop_counters,
				     (size_t)g->cpus * g->nexthops *
					     sizeof(struct fib_nexthop_counters),
				     (void **)&datapath->nexthop_counters};
}

/* An element's size is rounded up to 8 bytes by the kernel, and what is mapped to pages. */
static size_t mapped_size(size_t size)
{
	size_t page = sysconf(_SC_PAGESIZE);

	return (size + page - 1) / page * page;
}

static int size_maps(struct datapath *datapath)
{
	const struct fib_geometry *g = &datapath->geometry;
	struct shared_map shared[SHARED_MAX];
	int err;

	shared_maps(datapath, shared);
	for (int i = 0; i < SHARED_MAX; i++) {
		err = bpf_map__set_value_size(shared[i].map, shared[i].size);
		if (err)
			return err;
	}
	datapath->skel->rodata->flow_seed = datapath->seed;
	datapath->skel->rodata->bounds.v4_low = (uint64_t)g->v4_low_blocks * FIB4_LOW_SIZE - 1;
	datapath->skel->rodata->bounds.node = 2 * (uint64_t)g->node_bytes - 1;
	datapath->skel->rodata->bounds.group = g->groups - 1;
	datapath->skel->rodata->bounds.slot = g->slots - 1;
	datapath->skel->rodata->bounds.nexthop = g->nexthops - 1;
	datapath->skel->rodata->bounds.cpu = g->cpus - 1;
	datapath->skel->rodata->bounds.nexthop_counter = (uint64_t)g->cpus * g->nexthops - 1;
	return bpf_map__set_max_entries(datapath->skel->maps.neighbours, g->neighbours);
}

static int map_maps(struct datapath *datapath)
{
	struct shared_map shared[SHARED_MAX];

	shared_maps(datapath, shared);
	for (int i = 0; i < SHARED_MAX; i++) {
		void *memory = mmap(NULL, mapped_size(shared[i].size), PROT_READ | PROT_WRITE,
				    MAP_SHARED, bpf_map__fd(shared[i].map), 0);

		if (memory == MAP_FAILED)
			return -errno;
		*shared[i].memory = memory;
	}
	return 0;
}

static void unmap_maps(struct datapath *datapath)
{
	struct shared_map shared[SHARED_MAX];

	shared_maps(datapath, shared);
	for (int i = 0; i < SHARED_MAX; i++) {
		if (*shared[i].memory)
			munmap(*shared[i].memory, mapped_size(shared[i].size));
	}
}

/* Possible CPUs are often many more than there are: virtual machines have some hundreds. */
static void limit_nexthops(struct fib_geometry *g)
{
	while (g->nexthops > NEXTHOPS_MIN &&
	       (size_t)g->cpus * g->nexthops * sizeof(struct fib_nexthop_counters) >
		       NEXTHOP_COUNTERS_MAX)
		g->nexthops /= 2;
}

/* ---- the whole ---- */

static void explain(int err, char *error, size_t error_len)
{
	struct utsname kernel;

	uname(&kernel);
	if (err == -EPERM || err == -EACCES)
		snprintf(error, error_len,
			 "the kernel does not let us load eBPF (%s): CAP_NET_ADMIN and "
			 "CAP_SYS_ADMIN are needed, as zebra has them%s%s",
			 strerror(-err), last_words[0] ? "; " : "", last_words);
	else if (err == -ENOMEM)
		snprintf(error, error_len,
			 "the kernel has no memory for the tables; size=small needs less");
	else
		snprintf(error, error_len,
			 "Linux %s does not take the eBPF program: %s%s%s (6.1 or later is needed)",
			 kernel.release, strerror(-err), last_words[0] ? "; " : "", last_words);
}

static int load(struct datapath *datapath)
{
	int err;

	/* pages of it that no number was given back in stay untouched */
	datapath->nexthop_start =
		calloc(datapath->geometry.nexthops, sizeof(*datapath->nexthop_start));
	if (!datapath->nexthop_start)
		return -ENOMEM;
	datapath->skel = dplane_ebpf_bpf__open();
	if (!datapath->skel)
		return -errno;
	err = size_maps(datapath);
	if (!err)
		err = dplane_ebpf_bpf__load(datapath->skel);
	if (!err)
		err = map_maps(datapath);
	return err;
}

struct datapath *datapath_open(const struct datapath_config *config, char *error, size_t error_len)
{
	struct datapath *datapath = calloc(1, sizeof(*datapath));
	int err;

	if (!datapath) {
		snprintf(error, error_len, "out of memory");
		return NULL;
	}
	datapath->lock_fd = datapath->mount_fd = -1;
	datapath->grace_inner_fd = datapath->grace_outer_fd = -1;
	datapath->clsact_only = config->clsact_only;
	datapath->hold_ns = (uint64_t)config->hold_ms * 1000000ull;
	datapath->geometry = config->geometry;
	datapath->seed = config->seed;
	err = libbpf_num_possible_cpus();
	datapath->geometry.cpus = power_of_two(err > 0 ? err : 1);
	limit_nexthops(&datapath->geometry);
	if (!fib_geometry_valid(&datapath->geometry)) {
		snprintf(error, error_len, "the sizes of the tables are not usable");
		free(datapath);
		return NULL;
	}
	if (config->pin_dir && snprintf(datapath->pin_dir, sizeof(datapath->pin_dir), "%s",
					config->pin_dir) >= (int)sizeof(datapath->pin_dir)) {
		snprintf(error, error_len, "the name of the directory for pins is too long");
		free(datapath);
		return NULL;
	}

	last_words[0] = '\0';
	libbpf_set_print(hear_libbpf);
	if (!pins_open(datapath, config->replaces, error, error_len))
		goto failed;
	err = load(datapath);
	if (err) {
		explain(err, error, error_len);
		goto failed;
	}
	if (!pins_prepare(datapath, error, error_len) || !grace_open(datapath, error, error_len))
		goto failed;
	if (!config->replaces) {
		predecessor_open(datapath);
	} else if (!predecessor_own(datapath, config->replaces)) {
		snprintf(error, error_len, "out of memory");
		goto failed;
	}
	if (!datapath->predecessor && !pins_make(datapath, error, error_len))
		goto failed;
	return datapath;

failed:
	if (datapath->skel)
		unmap_maps(datapath);
	dplane_ebpf_bpf__destroy(datapath->skel);
	grace_close(datapath);
	pins_close(datapath);
	free(datapath->nexthop_start);
	free(datapath);
	return NULL;
}

static void datapath_free(struct datapath *datapath)
{
	predecessor_close(datapath);
	unmap_maps(datapath);
	dplane_ebpf_bpf__destroy(datapath->skel);
	grace_close(datapath);
	pins_close(datapath);
	own_free(datapath);
	free(datapath->nexthop_start);
	free(datapath);
}

/* All packets are the kernel's, at once, wherever programs of ours are attached and for how long. */
static void forward_nothing(struct datapath *datapath)
{
	interfaces_clear(datapath->interfaces);
	datapath_predecessor_halt(datapath);
}

void datapath_close(struct datapath *datapath, bool keep)
{
	if (!datapath)
		return;
	/* what goes on forwarding is ours, whether full or not: nobody looks after the other */
	if (keep)
		datapath_take_over(datapath);
	else
		forward_nothing(datapath);
	attach_close(datapath, keep);
	if (!keep)
		pins_remove(datapath);
	datapath_free(datapath);
}

void datapath_leave(struct datapath *datapath)
{
	if (!datapath)
		return;
	/* nobody keeps its tables true any more, wherever its program is still attached */
	interfaces_clear(datapath->interfaces);
	attach_leave(datapath);
	datapath_free(datapath);
}

void datapath_memory(const struct datapath *datapath, struct fib_memory *memory)
{
	*memory = (struct fib_memory){
		.header = datapath->memory[FIB_ARRAY_HEADER],
		.v4_root = datapath->memory[FIB_ARRAY_V4_ROOT],
		.v4_low = datapath->memory[FIB_ARRAY_V4_LOW],
		.v6_root = datapath->memory[FIB_ARRAY_V6_ROOT],
		.node = datapath->memory[FIB_ARRAY_NODE],
		.group = datapath->memory[FIB_ARRAY_GROUP],
		.slot = datapath->memory[FIB_ARRAY_SLOT],
		.nexthop = datapath->memory[FIB_ARRAY_NEXTHOP],
		.nexthop_counters = datapath->nexthop_counters,
		.nexthop_start = datapath->nexthop_start,
	};
}

const struct fib_geometry *datapath_geometry(const struct datapath *datapath)
{
	return &datapath->geometry;
}

int datapath_program_fd(const struct datapath *datapath)
{
	return bpf_program__fd(datapath->skel->progs.dplane_ebpf);
}
