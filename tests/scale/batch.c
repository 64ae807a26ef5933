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

static struct batch_bpf *programs;
static struct batch *batch;
static struct progress *progress;
static uint16_t answer_of_group[FIB_MAX_GROUPS + 1];
static unsigned int shown;

struct progress *batch_progress(void)
{
	return progress;
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
	const struct fib_geometry *geometry = datapath_geometry(router->datapath);

	programs = batch_bpf__open();
	if (!programs)
		bench_fail(errno, "cannot open the program that asks");
	programs->rodata->bounds.node = 2 * (uint64_t)geometry->node_bytes - 1;
	programs->rodata->bounds.v4_low = (uint64_t)geometry->v4_low_blocks * FIB4_LOW_SIZE - 1;
	bench_router_share(router, programs->obj);
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
