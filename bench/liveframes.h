/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Frames through a router, made and swallowed in the kernel by XDP programs: nothing else that makes
 * them is as cheap, and the whole way runs in one thread, whose CPU time is what it costs.
 */
#ifndef BENCH_LIVEFRAMES_H
#define BENCH_LIVEFRAMES_H

#include "bench/bench.h"
#include "bench/frames.h"

struct liveframes_bpf;

/* A program at TC of an interface: tcx, or clsact on a kernel without it. */
struct hook {
	uint32_t ifindex;
	int link_fd; /* -1: clsact */
};
void hook_attach(struct hook *hook, int program_fd, uint32_t ifindex, bool egress);
void hook_detach(struct hook *hook);

/* Where frames are counted and end. */
enum sink {
	SINK_EGRESS, /* TC egress of "out": the router has done its work, its driver is next */
	SINK_PEER,   /* XDP at "out-peer" */
};

struct liveframes {
	const struct bench_network *network;
	struct liveframes_bpf *skel;
	struct frames_list *list;
	uint8_t family;
	uint32_t length;
	enum sink sink;
	struct hook egress;
	int peer_link_fd;
};

/* Pins the thread to a CPU. list: how many different destinations, a power of two. */
void liveframes_open(struct liveframes *frames, const struct bench_network *network, size_t list);
void liveframes_close(struct liveframes *frames);

void sink_attach(struct liveframes *frames, enum sink sink);
void sink_detach(struct liveframes *frames);

/*
 * What is sent from now on: frames of a length (layer 2, without FCS), to destinations in prefixes
 * of a table; up the stack as if received on "in", or out of "in-peer".
 */
void liveframes_set(struct liveframes *frames, const struct bench_table *table,
		    enum bench_destinations destinations, uint32_t length, bool through_peer);

/* Sends n frames, from a place in the list on. Returns ns of CPU time, of everything until the sink. */
uint64_t liveframes_send(struct liveframes *frames, uint64_t place, uint32_t n);
/* The same, and ends the program unless almost all frames came out, and on this thread's time. */
uint64_t liveframes_forward(struct liveframes *frames, uint64_t place, uint32_t n, const char *who);

/*
 * Sends a few frames and looks at what came out: one hop less, the gateway's and the interface's
 * MAC addresses, a right checksum, the destination that was sent last. Ends the program if not.
 */
void liveframes_verify(struct liveframes *frames, const char *who);

#endif /* BENCH_LIVEFRAMES_H */
