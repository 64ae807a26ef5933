// SPDX-License-Identifier: GPL-2.0-or-later
/* Readers that stop halfway while the tables change under them, and the grace periods that wait for them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/fuzz/fib_operations.h"
#include "tests/fuzz/native/lookup.h"

/* One grace period at a time: its epoch while there is one. */
static uint64_t epoch;
static bool epoch_open;

/* A reader is on its way; what it may find. */
static bool reading, reader_before_grace;
/* Two bits for each word that it reads: how many operations run before it does. */
static uint16_t reader_pauses;
static struct fib_prefix reader_addr;
static uint32_t reader_found[2 * (1 + 8 * 3)];
static unsigned int n_reader_found;
static bool reader_overflow;

void grace_begin(void)
{
	if (epoch_open || model->batches)
		return;
	epoch = fib_reclaim_begin(model->fib);
	epoch_open = true;
	reader_before_grace = reading;
	model->grace_begun++;
}

void grace_end(void)
{
	/* it does not end before the readers that it found */
	if (!epoch_open || model->batches || (reading && reader_before_grace))
		return;
	must(!CALL((fib_reclaim_end(model->fib, epoch), 0)), "void");
	no_memory(0);
	epoch_open = false;
	model->grace_ended = model->grace_begun;
}

void compact(void)
{
	/* both are for the thread that reclaims, and it does one at a time */
	if (model->batches)
		return;
	allocate_suspend(false);
	model->moved |= fib_compact(model->fib, true);
	allocate_suspend(true);
	no_memory(0);
	routes_check();
}

static void reader_note(void)
{
	reader_found[n_reader_found++] = model_lookup(&reader_addr);
	/* the default is read last: it may be of another moment */
	reader_found[n_reader_found++] = model_default(&reader_addr);
	reader_overflow |= model_overflow_allowed(&reader_addr);
	for (uint32_t id = FIB_GROUP_FIRST; id < model->geometry.groups; id++) {
		struct model_group *group = &model->group[id];

		for (uint32_t i = 0; group->used && i < group->n; i++)
			group->window[group->member[i].byte / 64] |= 1ull
								     << group->member[i].byte % 64;
	}
}

static void reader_pause(void)
{
	unsigned int changes = reader_pauses & 3;

	reader_pauses >>= 2;
	for (; changes && input_left(&in); changes--) {
		operation();
		reader_note();
	}
}

static void reader_check_nexthop(uint32_t group, uint32_t number)
{
	const struct fib_nexthop *nexthop = &model->memory.nexthop[number];

	must(number < model->geometry.nexthops, "next hop %u", number);
	for (unsigned int key = 0; number && key < MODEL_KEYS; key++) {
		const struct fib_nexthop_key is = model_key((uint8_t)key);

		if (model->group[group].window[key / 64] >> key % 64 & 1 &&
		    is.ifindex == nexthop->ifindex && is.family == nexthop->family &&
		    !memcmp(is.gate, nexthop->gate, sizeof(is.gate)))
			return;
	}
	must(!number, "group %u never had next hop %u", group, number);
}

void reader(void)
{
	struct fib_prefix prefix = take_prefix();
	uint32_t group, number;
	bool found = false;

	/* one that starts within a batch may find what was before it */
	if (reading || model->batches)
		return;
	reader_pauses = take16(&in);
	reading = true;
	reader_before_grace = false;
	reader_addr = prefix;
	n_reader_found = 0;
	reader_overflow = false;
	for (uint32_t id = 0; id < model->geometry.groups; id++)
		memset(model->group[id].window, 0, sizeof(model->group[id].window));
	reader_note();
	group = reader_lookup(&prefix, reader_pause);
	for (unsigned int i = 0; i < n_reader_found; i++)
		found |= reader_found[i] == group;
	if (!found)
		must(group == FIB_GROUP_OVERFLOW && reader_overflow,
		     "a reader finds group %u, which was never right", group);
	if (group >= FIB_GROUP_FIRST) {
		number = reader_nexthop(group, prefix.len, reader_pause);
		reader_check_nexthop(group, number);
	}
	reading = false;
}
