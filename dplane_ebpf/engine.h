/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * All that forwards: tables, the program that reads them, and the threads that keep them true. There is one, but for the time
 * in which another takes its place.
 */
#ifndef DPLANE_EBPF_ENGINE_H
#define DPLANE_EBPF_ENGINE_H

#include "dplane_ebpf/datapath/datapath.h"
#include "dplane_ebpf/fib/fib.h"
#include "dplane_ebpf/links/links.h"
#include "dplane_ebpf/options.h"
#include "dplane_ebpf/paths/paths.h"

/* All are there, or none is, outside of engine.c and resize.c. */
struct engine {
	struct datapath *datapath;
	struct fib *fib;
	struct links *links;
	struct datapath_reclaimer *reclaimer;
	struct paths *paths;
};

/*
 * The tables and the program, which nothing is attached to yet. replaces: another one's, or NULL. Any thread, with zebra's
 * privileges. False, and one line in error: engine_leave() frees what there is.
 */
bool engine_open(struct engine *engine, const struct options *options, bool small,
		 const struct datapath *replaces, char *error, size_t error_len);
/* The threads. Main thread, which raises zebra's privileges for it. As above. */
bool engine_start(struct engine *engine, const struct options *options, char *error,
		  size_t error_len);

/* keep: it goes on forwarding as it is. Main thread. What there is not is no error. */
void engine_close(struct engine *engine, bool keep);
/* Frees one of two, see datapath_leave(). Any thread, with zebra's privileges. */
void engine_leave(struct engine *engine);

#endif /* DPLANE_EBPF_ENGINE_H */
