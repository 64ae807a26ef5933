// SPDX-License-Identifier: GPL-2.0-or-later
/* All that forwards is started and stopped in the order that its parts need. */
#include "dplane_ebpf/compat.h"
#include "dplane_ebpf/engine.h"

bool engine_open(struct engine *engine, const struct options *options, bool small,
		 const struct datapath *replaces, char *error, size_t error_len)
{
	struct datapath_config config = {
		.pin_dir = options->pin_dir[0] ? options->pin_dir : NULL,
		.seed = options->seed,
		.hold_ms = options->hold_seconds * 1000,
		.geometry = small ? datapath_geometry_small : datapath_geometry_full,
		.replaces = replaces,
	};
	struct fib_memory memory;

	memset(engine, 0, sizeof(*engine));
	engine->datapath = datapath_open(&config, error, error_len);
	if (!engine->datapath)
		return false;
	datapath_memory(engine->datapath, &memory);
	engine->fib = fib_new(&memory, datapath_geometry(engine->datapath));
	if (engine->fib)
		engine->reclaimer = datapath_reclaimer_start(engine->datapath, engine->fib);
	if (!engine->reclaimer)
		snprintf(error, error_len, "out of memory for the tables; size=small needs less");
	return engine->reclaimer != NULL;
}

bool engine_start(struct engine *engine, const struct options *options, char *error,
		  size_t error_len)
{
	/* its thread inherits the privileges, to attach programs later */
	frr_with_privs(&zserv_privs) {
		engine->links = links_start(engine->fib, engine->datapath, options->bypass, error,
					    error_len);
	}
	if (!engine->links)
		return false;
	engine->paths = paths_start(engine->fib, engine->links);
	if (!engine->paths)
		snprintf(error, error_len, "out of memory for link metrics, or no thread for them");
	return engine->paths != NULL;
}

static void stop_reclaimer(struct engine *engine)
{
	if (engine->reclaimer)
		datapath_reclaimer_stop(engine->reclaimer);
}

void engine_close(struct engine *engine, bool keep)
{
	paths_stop(engine->paths);
	frr_with_privs(&zserv_privs) {
		links_stop(engine->links);
		stop_reclaimer(engine);
		if (engine->fib)
			fib_free(engine->fib);
		datapath_close(engine->datapath, keep);
	}
	memset(engine, 0, sizeof(*engine));
}

void engine_leave(struct engine *engine)
{
	links_stop(engine->links);
	stop_reclaimer(engine);
	paths_leave(engine->paths);
	if (engine->fib)
		fib_free(engine->fib);
	datapath_leave(engine->datapath);
	memset(engine, 0, sizeof(*engine));
}
