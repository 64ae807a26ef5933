// SPDX-License-Identifier: GPL-2.0-or-later
/* Live frames in a thread of their own, counted one batch after the other. */
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bpf/libbpf.h>

#include "bench/liveframes.h"
#include "bench/liveframes.skel.h"
#include "bench/traffic.h"

/* Frames sent before it is looked whether they came, and how long that may take. */
#define PIECE 65536u
#define PATIENCE_US 200000
#define FRAME 64

struct traffic {
	const struct bench_network *network;
	const struct bench_router *router;
	const uint32_t *addr;
	size_t n;
	pthread_t thread;
	atomic_bool stop;
	atomic_uint_fast64_t sent;
	uint64_t lost;
	uint64_t ns;
};

/* What another thread takes over, a ksoftirqd, comes a little later. */
static uint64_t wait_for(const struct liveframes *frames, uint64_t wanted)
{
	const volatile struct frames_sink *sink = &frames->skel->bss->sink;

	for (int us = 0; sink->frames < wanted && us < PATIENCE_US; us += 50)
		usleep(50);
	return sink->frames < wanted ? wanted - sink->frames : 0;
}

static void *run(void *arg)
{
	struct traffic *traffic = arg;
	struct bench_table one = {.family = AF_INET, .n = 1};
	struct bench_prefix any = {.prefix = {.family = AF_INET}};
	struct liveframes frames;
	struct hook hook;
	uint64_t began;

	one.list = &any;
	liveframes_open(&frames, traffic->network, traffic->n);
	liveframes_set(&frames, &one, BENCH_HOT, FRAME, false);
	for (size_t i = 0; i < traffic->n; i++)
		frames.list->v4[i] = htonl(traffic->addr[i]);
	sink_attach(&frames, SINK_EGRESS);
	hook_attach(&hook, datapath_program_fd(traffic->router->datapath), traffic->network->in,
		    false);
	for (uint64_t place = 0; !traffic->stop; place += PIECE) {
		began = bench_now();
		liveframes_send(&frames, place, PIECE);
		traffic->lost += wait_for(&frames, PIECE);
		traffic->ns += bench_now() - began;
		traffic->sent += PIECE;
	}
	hook_detach(&hook);
	sink_detach(&frames);
	liveframes_close(&frames);
	return NULL;
}

struct traffic *traffic_start(const struct bench_network *network,
			      const struct bench_router *router, const uint32_t *addr, size_t n)
{
	struct traffic *traffic = calloc(1, sizeof(*traffic));
	int err;

	if (!traffic)
		bench_fail(ENOMEM, "traffic");
	traffic->network = network;
	traffic->router = router;
	traffic->addr = addr;
	traffic->n = n;
	err = pthread_create(&traffic->thread, NULL, run, traffic);
	if (err)
		bench_fail(err, "cannot start the traffic");
	return traffic;
}

uint64_t traffic_sent(const struct traffic *traffic)
{
	return traffic->sent;
}

struct traffic_result traffic_stop(struct traffic *traffic)
{
	struct traffic_result result;

	traffic->stop = true;
	pthread_join(traffic->thread, NULL);
	result.sent = traffic->sent;
	result.lost = traffic->lost;
	result.per_s = (double)result.sent * 1e9 / (double)traffic->ns;
	free(traffic);
	return result;
}
