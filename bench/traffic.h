/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Packets through the forwarding program on another CPU, each of which has to come out. */
#ifndef BENCH_TRAFFIC_H
#define BENCH_TRAFFIC_H

#include "bench/bench.h"

struct traffic;

struct traffic_result {
	uint64_t sent, lost;
	double per_s;
};

/* To n (a power of two) IPv4 addresses in host byte order, over and over. The program is attached to "in" meanwhile. */
struct traffic *traffic_start(const struct bench_network *network,
			      const struct bench_router *router, const uint32_t *addr, size_t n);
uint64_t traffic_sent(const struct traffic *traffic);
struct traffic_result traffic_stop(struct traffic *traffic);

#endif /* BENCH_TRAFFIC_H */
