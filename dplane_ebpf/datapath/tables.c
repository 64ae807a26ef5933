// SPDX-License-Identifier: GPL-2.0-or-later
/* What is read from and written to the program's maps beside the FIB: interfaces, hosts, counters. */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "dplane_ebpf/datapath/datapath_internal.h"
#include "dplane_ebpf/datapath/dplane_ebpf.skel.h"

int datapath_interface_set(struct datapath *datapath, uint32_t ifindex, uint16_t table, bool v4,
			   bool v6, uint64_t more)
{
	uint64_t *entry = &datapath->interfaces[ifindex % FIB_MAX_INTERFACES];
	uint64_t old = __atomic_load_n(entry, __ATOMIC_RELAXED);
	uint64_t flags = (v4 ? FIB_IF_V4 : 0) | (v6 ? FIB_IF_V6 : 0);
	uint64_t value = flags ? (uint64_t)table << 48 | flags | more | ifindex : 0;

	datapath_predecessor_restrict(datapath, ifindex, table, v4, v6, more);
	if (old && (uint32_t)old != ifindex)
		return flags ? -ENOSPC : 0;
	__atomic_store_n(entry, value, __ATOMIC_RELEASE);
	return 0;
}

void interfaces_clear(uint64_t *words)
{
	for (uint32_t i = 0; i < FIB_MAX_INTERFACES; i++)
		__atomic_store_n(&words[i], 0, __ATOMIC_RELEASE);
}

void datapath_alive(struct datapath *datapath)
{
	struct fib_header *header = datapath->memory[FIB_ARRAY_HEADER];
	uint64_t until = UINT64_MAX, hold_ns = atomic_load(&datapath->hold_ns);
	struct timespec now;

	if (hold_ns) {
		clock_gettime(CLOCK_MONOTONIC, &now);
		until = (uint64_t)now.tv_sec * 1000000000ull + now.tv_nsec + hold_ns;
	}
	__atomic_store_n(&header->forward_until, until, __ATOMIC_RELEASE);
	predecessor_alive(datapath, until);
}

void datapath_label_counts(struct datapath *datapath, bool counts)
{
	struct fib_header *header = datapath->memory[FIB_ARRAY_HEADER];

	__atomic_store_n(&header->label_mask, counts ? FIB_LABEL : 0, __ATOMIC_RELEASE);
}

int datapath_neighbour_set(struct datapath *datapath, const struct fib_neigh_key *key)
{
	const uint8_t known = 1;
	int err = bpf_map_update_elem(bpf_map__fd(datapath->skel->maps.neighbours), key, &known,
				      BPF_ANY);

	return err ? -errno : 0;
}

int datapath_neighbour_del(struct datapath *datapath, const struct fib_neigh_key *key)
{
	int err = bpf_map_delete_elem(bpf_map__fd(datapath->skel->maps.neighbours), key);

	return err && errno != ENOENT ? -errno : 0;
}

static void count_packets(const struct datapath *datapath, uint64_t packets[FIB_CNT_MAX])
{
	memset(packets, 0, FIB_CNT_MAX * sizeof(packets[0]));
	for (uint32_t cpu = 0; cpu < datapath->geometry.cpus; cpu++) {
		for (int i = 0; i < FIB_CNT_MAX; i++)
			packets[i] += __atomic_load_n(&datapath->counters[cpu].packets[i],
						      __ATOMIC_RELAXED);
	}
	predecessor_add_counters(datapath, packets);
}

void datapath_counters(const struct datapath *datapath, uint64_t packets[FIB_CNT_MAX])
{
	count_packets(datapath, packets);
	for (int i = 0; i < FIB_CNT_MAX; i++)
		packets[i] -= datapath->cleared[i];
}

void datapath_nexthop_counters(const struct datapath *datapath, uint32_t nexthop,
			       struct fib_nexthop_counters *sum)
{
	struct fib_memory memory;

	datapath_memory(datapath, &memory);
	fib_nexthop_counted(&memory, &datapath->geometry, nexthop, sum);
}

void datapath_counters_clear(struct datapath *datapath)
{
	struct fib_memory memory;

	count_packets(datapath, datapath->cleared);
	datapath_memory(datapath, &memory);
	for (uint32_t i = 0; i < datapath->geometry.nexthops; i++)
		fib_nexthop_clear(&memory, &datapath->geometry, i);
}

void datapath_hold(struct datapath *datapath, unsigned int hold_ms)
{
	atomic_store(&datapath->hold_ns, (uint64_t)hold_ms * 1000000ull);
}
