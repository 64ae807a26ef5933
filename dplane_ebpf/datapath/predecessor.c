// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What an earlier process left: its program goes on forwarding by its tables until ours are full. Only what must
 * be taken out of them is: interfaces and next hops that are no longer what they were.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <syslog.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "dplane_ebpf/datapath/datapath_internal.h"
#include "dplane_ebpf/datapath/dplane_ebpf.skel.h"
#include "dplane_ebpf/log.h"

#define INTERFACES_SIZE (FIB_MAX_INTERFACES * sizeof(uint64_t))

static int pinned_fd(const struct datapath *datapath, const char *name)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", datapath->pin_dir, name);
	return bpf_obj_get(path);
}

/* A pinned array of one element of at least this size, mapped; NULL: there is none. */
static void *pinned_array(const struct datapath *datapath, const char *name, size_t size)
{
	int fd = pinned_fd(datapath, name);
	struct bpf_map_info info = {0};
	__u32 len = sizeof(info);
	void *memory = MAP_FAILED;

	if (fd < 0)
		return NULL;
	if (bpf_obj_get_info_by_fd(fd, &info, &len) == 0 && info.type == BPF_MAP_TYPE_ARRAY &&
	    info.value_size >= size)
		memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	return memory == MAP_FAILED ? NULL : memory;
}

static uint32_t pinned_program(const struct datapath *datapath)
{
	int fd = pinned_fd(datapath, "program");
	struct bpf_prog_info info = {0};
	__u32 len = sizeof(info);

	if (fd < 0)
		return 0;
	if (bpf_obj_get_info_by_fd(fd, &info, &len))
		info.id = 0;
	close(fd);
	return info.id;
}

static void unmap(void *memory, size_t size)
{
	if (memory)
		munmap(memory, size);
}

static size_t nexthop_size(const struct predecessor *predecessor)
{
	return fib_array_size(FIB_ARRAY_NEXTHOP, &predecessor->geometry);
}

static void predecessor_free(struct predecessor *predecessor)
{
	unmap(predecessor->header, sizeof(*predecessor->header));
	unmap(predecessor->nexthop, nexthop_size(predecessor));
	unmap(predecessor->interfaces, INTERFACES_SIZE);
	free(predecessor);
}

static bool understood(const struct fib_header *header)
{
	return __atomic_load_n(&header->magic, __ATOMIC_ACQUIRE) == FIB_MAGIC &&
	       header->layout_version == FIB_LAYOUT_VERSION &&
	       fib_geometry_valid(&header->geometry);
}

static void sum_up(const struct datapath *datapath, uint64_t packets[FIB_CNT_MAX])
{
	for (uint32_t cpu = 0; cpu < datapath->earlier_cpus; cpu++) {
		for (int i = 0; i < FIB_CNT_MAX; i++)
			packets[i] += __atomic_load_n(&datapath->earlier[cpu].packets[i],
						      __ATOMIC_RELAXED);
	}
}

/* They stay mapped to the end: packets that are under way when the program is replaced are counted too. */
static bool open_counters(struct datapath *datapath, const struct predecessor *predecessor)
{
	datapath->earlier_cpus = predecessor->geometry.cpus;
	datapath->earlier = pinned_array(datapath, "counters",
					 datapath->earlier_cpus * sizeof(*datapath->earlier));
	if (!datapath->earlier)
		return false;
	sum_up(datapath, datapath->earlier_start);
	return true;
}

void predecessor_add_counters(const struct datapath *datapath, uint64_t packets[FIB_CNT_MAX])
{
	if (!datapath->earlier)
		return;
	sum_up(datapath, packets);
	for (int i = 0; i < FIB_CNT_MAX; i++)
		packets[i] -= datapath->earlier_start[i];
}

void predecessor_open(struct datapath *datapath)
{
	struct predecessor *predecessor;

	if (!*datapath->pin_dir)
		return;
	predecessor = calloc(1, sizeof(*predecessor));
	if (!predecessor)
		return;
	predecessor->program = pinned_program(datapath);
	if (predecessor->program)
		predecessor->header =
			pinned_array(datapath, "fib_header", sizeof(*predecessor->header));
	if (predecessor->header && understood(predecessor->header)) {
		predecessor->geometry = predecessor->header->geometry;
		predecessor->nexthop =
			pinned_array(datapath, "fib_nexthop", nexthop_size(predecessor));
		predecessor->interfaces = pinned_array(datapath, "interfaces", INTERFACES_SIZE);
	}
	if (predecessor->nexthop && predecessor->interfaces &&
	    open_counters(datapath, predecessor)) {
		datapath->predecessor = predecessor;
		datapath->defers_to = predecessor->program;
	} else {
		predecessor_free(predecessor);
	}
}

bool predecessor_own(struct datapath *datapath, const struct datapath *own)
{
	size_t size = own->geometry.cpus * sizeof(*datapath->earlier);
	struct predecessor *predecessor = calloc(1, sizeof(*predecessor));
	struct bpf_prog_info info = {0};
	__u32 len = sizeof(info);

	if (!predecessor)
		return false;
	/* they are counted to the last packet, when the other one is no longer there */
	datapath->earlier =
		mmap(NULL, size, PROT_READ, MAP_SHARED, bpf_map__fd(own->skel->maps.counters), 0);
	if (datapath->earlier == MAP_FAILED ||
	    bpf_obj_get_info_by_fd(datapath_program_fd(own), &info, &len)) {
		if (datapath->earlier == MAP_FAILED)
			datapath->earlier = NULL;
		free(predecessor);
		return false;
	}
	datapath->earlier_cpus = own->geometry.cpus;
	sum_up(datapath, datapath->earlier_start);
	predecessor->program = info.id;
	predecessor->own = own;
	datapath->predecessor = predecessor;
	datapath->defers_to = predecessor->program;
	return true;
}

bool datapath_replaces_own(const struct datapath *datapath)
{
	return datapath->predecessor && datapath->predecessor->own;
}

void datapath_counters_continue(struct datapath *datapath, const struct datapath *before)
{
	uint64_t raw[FIB_CNT_MAX] = {0};

	/* what it tells beyond its own program's count never changes: its predecessor is long gone */
	memset(datapath->earlier_start, 0, sizeof(datapath->earlier_start));
	if (before->earlier) {
		sum_up(before, raw);
		for (int i = 0; i < FIB_CNT_MAX; i++)
			datapath->earlier_start[i] = before->earlier_start[i] - raw[i];
	}
	for (int i = 0; i < FIB_CNT_MAX; i++)
		datapath->earlier_start[i] += before->cleared[i];
}

static void end(struct datapath *datapath)
{
	if (datapath->predecessor)
		predecessor_free(datapath->predecessor);
	datapath->predecessor = NULL;
}

void predecessor_close(struct datapath *datapath)
{
	end(datapath);
	unmap(datapath->earlier, datapath->earlier_cpus * sizeof(*datapath->earlier));
	datapath->earlier = NULL;
}

bool datapath_has_predecessor(const struct datapath *datapath)
{
	return datapath->predecessor != NULL;
}

void predecessor_alive(struct datapath *datapath, uint64_t until)
{
	if (datapath->predecessor && !datapath->predecessor->own)
		__atomic_store_n(&datapath->predecessor->header->forward_until, until,
				 __ATOMIC_RELEASE);
}

void datapath_predecessor_restrict(struct datapath *datapath, uint32_t ifindex, uint16_t table,
				   bool v4, bool v6, uint64_t more)
{
	struct predecessor *predecessor = datapath->predecessor;
	const struct fib_header *ours = datapath->memory[FIB_ARRAY_HEADER];
	uint64_t *entry, old, allowed;

	if (!predecessor || predecessor->own)
		return;
	entry = &predecessor->interfaces[ifindex % FIB_MAX_INTERFACES];
	old = __atomic_load_n(entry, __ATOMIC_RELAXED);
	if ((uint32_t)old != ifindex)
		return;
	allowed = (old & ~((v4 ? 0 : FIB_IF_V4) | (v6 ? 0 : FIB_IF_V6))) | more;
	if (!(allowed & (FIB_IF_V4 | FIB_IF_V6)) ||
	    predecessor->header->kernel_table[FIB_IF_TABLE(old) % FIB_MAX_TABLES] !=
		    ours->kernel_table[table % FIB_MAX_TABLES])
		allowed = 0;
	__atomic_store_n(entry, allowed, __ATOMIC_RELEASE);
}

void datapath_predecessor_halt(struct datapath *datapath)
{
	const struct predecessor *predecessor = datapath->predecessor;

	if (predecessor && !predecessor->own)
		interfaces_clear(predecessor->interfaces);
}

static void word_mac(uint64_t word, uint8_t mac[6])
{
	for (int i = 0; i < 6; i++)
		mac[i] = (uint8_t)(word >> (8 * i));
}

void datapath_predecessor_check(struct datapath *datapath, datapath_nexthop_cb is_good, void *arg)
{
	struct predecessor *predecessor = datapath->predecessor;

	for (uint32_t i = 1; predecessor && i < predecessor->geometry.nexthops; i++) {
		struct fib_nexthop *nexthop = &predecessor->nexthop[i];
		uint64_t dst = __atomic_load_n(&nexthop->dst, __ATOMIC_RELAXED);
		struct fib_adjacency adjacency = {.action = (uint8_t)FIB_NH_ACTION(dst),
						  .mtu = (uint16_t)FIB_NH_MTU(nexthop->src)};
		struct fib_nexthop_key key = {.ifindex = nexthop->ifindex,
					      .family = (uint8_t)nexthop->family};

		if (adjacency.action == FIB_NH_KERNEL)
			continue;
		memcpy(key.gate, nexthop->gate, sizeof(key.gate));
		word_mac(dst, adjacency.dst);
		word_mac(nexthop->src, adjacency.src);
		if (!is_good(arg, &key, &adjacency))
			__atomic_store_n(&nexthop->dst, (uint64_t)FIB_NH_KERNEL << 48,
					 __ATOMIC_RELEASE);
	}
}

void datapath_predecessor_end(struct datapath *datapath)
{
	char error[256];

	if (!datapath->predecessor)
		return;
	/* it may still be attached where we are not */
	datapath_predecessor_halt(datapath);
	end(datapath);
	if (!pins_make(datapath, error, sizeof(error)))
		dpe_log(LOG_ERR, "%s; if zebra is killed the kernel alone forwards", error);
}

unsigned int datapath_take_over(struct datapath *datapath)
{
	unsigned int failed = datapath->predecessor ? datapath_replace(datapath) : 0;

	datapath_predecessor_end(datapath);
	return failed;
}
