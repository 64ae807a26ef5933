// SPDX-License-Identifier: GPL-2.0-or-later
/* Asks for many addresses at a time, by the program in batch.bpf.c, and compares the answers. */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "tests/scale/batch.skel.h"
#include "tests/scale/scale.h"

#define SHOWN_MAX 20
#define MAPS_MAX 64

static struct batch_bpf *programs;
static struct batch *batch;
static struct progress *progress;
static uint16_t answer_of_group[FIB_MAX_GROUPS + 1];
static unsigned int shown;

struct progress *batch_progress(void)
{
	return progress;
}

/*
 * The forwarding program's own maps and bounds: what is asked here is what it would find. Its constants are the
 * bounds alone, and so are ours.
 */
static void share_map(uint32_t id)
{
	struct bpf_map_info info = {0};
	uint32_t len = sizeof(info), zero = 0;
	int fd = bpf_map_get_fd_by_id(id);
	struct bpf_map *map;

	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &len))
		bench_fail(errno, "cannot open a map of the forwarding program");
	if (strstr(info.name, ".rodata")) {
		if (info.value_size != sizeof(*programs->rodata) ||
		    bpf_map_lookup_elem(fd, &zero, programs->rodata))
			bench_fail(errno, "cannot read the bounds of the forwarding program");
	} else {
		bpf_object__for_each_map(map, programs->obj)
		{
			if (!bpf_map__is_internal(map) && !strcmp(bpf_map__name(map), info.name) &&
			    bpf_map__reuse_fd(map, fd))
				bench_fail(errno, "cannot share map %s", info.name);
		}
	}
	close(fd);
}

static void *map_memory(const struct bpf_map *map, size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);

	if (memory == MAP_FAILED)
		bench_fail(errno, "cannot map %s", bpf_map__name(map));
	return memory;
}

static void know_groups(const struct bench_router *router)
{
	for (uint32_t group = 0; group <= FIB_MAX_GROUPS; group++)
		answer_of_group[group] = ANSWER_BROKEN;
	answer_of_group[FIB_GROUP_NO_ROUTE] = ANSWER_NO_ROUTE;
	answer_of_group[FIB_GROUP_BLACKHOLE] = ANSWER_BLACKHOLE;
	answer_of_group[FIB_GROUP_REJECT] = ANSWER_REJECT;
	answer_of_group[FIB_GROUP_OVERFLOW] = ANSWER_NO_ROOM;
	for (uint16_t g = 0; g < BENCH_GROUPS; g++)
		answer_of_group[router->group[g]] = g + 1;
}

void batch_open(struct bench_router *router, const struct bench_network *network, uint16_t table)
{
	struct bpf_prog_info info = {0};
	uint32_t ids[MAPS_MAX], len = sizeof(info);

	programs = batch_bpf__open();
	if (!programs)
		bench_fail(errno, "cannot open the program that asks");
	info.map_ids = (uint64_t)(uintptr_t)ids;
	info.nr_map_ids = MAPS_MAX;
	if (bpf_obj_get_info_by_fd(datapath_program_fd(router->datapath), &info, &len))
		bench_fail(errno, "cannot read the forwarding program's maps");
	for (uint32_t i = 0; i < info.nr_map_ids; i++)
		share_map(ids[i]);
	if (batch_bpf__load(programs))
		bench_fail(errno, "cannot load the program that asks");
	batch = map_memory(programs->maps.batch, sizeof(*batch));
	progress = map_memory(programs->maps.progress, sizeof(*progress));
	batch->ifindex = network->in;
	batch->table = table;
	know_groups(router);
}

static void show(const struct batch_item *item, uint8_t family, uint16_t ours)
{
	char text[INET6_ADDRSTRLEN];

	if (shown++ >= SHOWN_MAX)
		return;
	inet_ntop(family, item->addr, text, sizeof(text));
	bench_say("%s: ours %u, kernel %u before and %u after (%" PRIu64 " changes made)", text,
		  ours, item->kernel[0], item->kernel[1], (uint64_t)item->done);
}

/*
 * Whether a change that matters to this address may have come between the lookups. Those below
 * item->done were complete in both FIBs before the first lookup, and those from item->begun on had not
 * begun when the last one ended. If no prefix of the others covers the address then its one right answer was the
 * same all the time, in both FIBs.
 */
static bool in_flight(const struct batch_item *item, uint8_t family, const struct churn *churn)
{
	for (uint64_t n = item->done; n < item->begun; n++) {
		const struct fib_prefix *prefix = &churn->log[n]->prefix;

		if (prefix->family == family && prefix_covers(prefix, (const uint8_t *)item->addr))
			return true;
	}
	return false;
}

static void compare(const struct batch_item *item, uint8_t family, const struct churn *churn,
		    struct counts *counts)
{
	uint32_t group = item->group < FIB_MAX_GROUPS ? item->group : FIB_MAX_GROUPS;
	uint16_t ours = answer_of_group[group];

	if (in_flight(item, family, churn)) {
		counts->in_flight++;
		return;
	}
	counts->compared++;
	if (ours == ANSWER_NO_ROOM) {
		counts->no_room++;
	} else if (ours == ANSWER_BROKEN || ours != item->kernel[0] || ours != item->kernel[1]) {
		counts->different++;
		show(item, family, ours);
	}
}

void batch_add(uint8_t family, const uint8_t addr[16], uint32_t size, const struct churn *churn,
	       struct counts *counts)
{
	memcpy(batch->item[batch->n++].addr, addr, 16);
	if (batch->n == size)
		batch_flush(family, churn, counts);
}

void batch_flush(uint8_t family, const struct churn *churn, struct counts *counts)
{
	uint8_t packet[64] = {0};
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = packet, .data_size_in = sizeof(packet));
	struct bpf_program *program =
		family == AF_INET ? programs->progs.ask4 : programs->progs.ask6;

	if (batch->n && bpf_prog_test_run_opts(bpf_program__fd(program), &options))
		bench_fail(errno, "the kernel does not run the program that asks");
	for (uint32_t i = 0; i < batch->n; i++)
		compare(&batch->item[i], family, churn, counts);
	batch->n = 0;
}

void batch_show_again(void)
{
	shown = 0;
}
