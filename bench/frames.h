/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Between liveframes.c and liveframes.bpf.c: what to send, and what came. */
#ifndef BENCH_FRAMES_H
#define BENCH_FRAMES_H

#include <linux/types.h>

/* The most destinations in a list, a power of two. */
#define FRAMES_LIST (1u << 20)
/* What is written anew for each frame, and seen of the last one at the sink: all the headers. */
#define FRAMES_HEAD 64u

/* In network byte order; packed, so that reading them takes little of the cache. */
struct frames_list {
	union {
		__u32 v4[FRAMES_LIST];
		__u64 v6[FRAMES_LIST][2];
		__u8 bytes[FRAMES_LIST][16];
	};
};

struct frames_control {
	__u64 head[FRAMES_HEAD / 8]; /* but for the destination */
	__u32 sum;		     /* of the IPv4 header's other words, not folded */
	__u32 redirect;		     /* ifindex to send to; 0: up the stack */
	__u64 position;		     /* of the next destination; taken modulo the list's length */
	__u64 mask;		     /* the list's length less one */
	__u64 task;		     /* that sends */
};

struct frames_sink {
	__u64 frames;
	/* one of 64 frames is asked on whose CPU time it came; the sending thread's are counted */
	__u64 asked, own;
	__u64 head[FRAMES_HEAD / 8]; /* of the last frame */
	__u32 length;
	__u32 record; /* the last frame, please */
};

#endif /* BENCH_FRAMES_H */
