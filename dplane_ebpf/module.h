/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the module is made of while it runs, for provider and northbound. Changed and used by zebra's main
 * thread only.
 */
#ifndef DPLANE_EBPF_MODULE_H
#define DPLANE_EBPF_MODULE_H

#include "dplane_ebpf/engine.h"
#include "dplane_ebpf/options.h"

struct module {
	struct options options;
	/* what forwards: the same under two names */
	union {
		struct engine engine;
		struct engine;
	};
	char reason[256]; /* why it does not run, while it does not */
};

extern struct module module;

static inline bool module_running(void)
{
	return module.fib != NULL;
}

/* What is configured, as a whole. */
struct module_settings {
	int small;	      /* the tables' size: 0: full, 1: small, -1: as the option says */
	int64_t hold_seconds; /* 0: for ever; -1: as the option says */
	struct links_settings links;
	const struct paths_override *overrides;
	size_t n_overrides;
};

/* Brings it in force; what is so already is left alone. -ENOMEM: not all of it is. Main thread. */
int module_configure(const struct module_settings *settings);

#endif /* DPLANE_EBPF_MODULE_H */
