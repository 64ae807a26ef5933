/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tables of another size, while zebra runs: new ones are made and filled from zebra's RIB beside the old ones, which go on
 * forwarding and are kept true; then they take over. All functions are for zebra's main thread.
 */
#ifndef DPLANE_EBPF_RESIZE_H
#define DPLANE_EBPF_RESIZE_H

#include "dplane_ebpf/compat.h"
#include "dplane_ebpf/engine.h"

struct resize_callbacks {
	/* The new tables' threads run: what is configured is to be applied to them. */
	void (*started)(void);
	/* Ours is about to change: nothing but the dplane thread may use the old one any more when this returns, */
	void (*before)(void);
	/* and the new one is in its place. */
	void (*after)(void);
};

/* What runs now, and its size. The engine stays the caller's. */
void resize_start(compat_loop *loop, struct engine *current, const struct options *options,
		  const struct resize_callbacks *callbacks);
/*
 * zebra begins to end: nothing goes on any more. It has closed sockets that it still looks at (8.4.4), and ends in the middle
 * if one of their numbers is used again.
 */
void resize_halt(void);
/* Before the current engine is closed, wherever it is; and after that. */
void resize_stop(void);
void resize_end(void);

/* The size that is wanted. Done by and by; what is wanted last counts. */
void resize_want(bool small);

/* The engine that is being filled, NULL: none. */
struct engine *resize_next(void);

#endif /* DPLANE_EBPF_RESIZE_H */
