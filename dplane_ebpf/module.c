// SPDX-License-Identifier: GPL-2.0-or-later
/* The module proper: options, start and stop. */
#include "dplane_ebpf/compat.h"
#include "dplane_ebpf/module.h"

#include "dplane_ebpf/audit/audit.h"
#include "dplane_ebpf/loader.h"
#include "dplane_ebpf/log.h"
#include "dplane_ebpf/northbound/northbound.h"
#include "dplane_ebpf/northbound/show.h"
#include "dplane_ebpf/provider.h"
#include "dplane_ebpf/takeover.h"
#include "dplane_ebpf/zlog_sink.h"

struct module module;

/* One line that says why, and what becomes of it; the show commands say it too. */
static void stay_out(const char *reason)
{
	snprintf(module.reason, sizeof(module.reason), "%s", reason);
	dpe_log(LOG_ERR, "not running: %s; zebra goes on with the kernel alone", reason);
}

static compat_loop *main_loop;

static void release(bool keep)
{
	takeover_stop();
	audit_stop();
	paths_stop(module.paths);
	module.paths = NULL;
	frr_with_privs(&zserv_privs) {
		if (module.links)
			links_stop(module.links);
		if (module.reclaimer)
			datapath_reclaimer_stop(module.reclaimer);
		if (module.fib)
			fib_free(module.fib);
		if (module.datapath)
			datapath_close(module.datapath, keep);
	}
	module.links = NULL;
	module.reclaimer = NULL;
	module.fib = NULL;
	module.datapath = NULL;
}

static bool open_all(char *error, size_t len)
{
	struct datapath_config config = {
		.pin_dir = module.options.pin_dir[0] ? module.options.pin_dir : NULL,
		.hold_ms = module.options.hold_seconds * 1000,
		.geometry = module.options.small ? datapath_geometry_small : datapath_geometry_full,
	};
	struct fib_memory memory;

	frr_with_privs(&zserv_privs) {
		module.datapath = datapath_open(&config, error, len);
	}
	if (!module.datapath)
		return false;
	datapath_memory(module.datapath, &memory);
	module.fib = fib_new(&memory, datapath_geometry(module.datapath));
	if (module.fib)
		module.reclaimer = datapath_reclaimer_start(module.datapath, module.fib);
	if (!module.reclaimer) {
		snprintf(error, len, "out of memory for the tables; size=small needs less");
		return false;
	}
	/* its thread inherits the privileges, to attach programs later */
	frr_with_privs(&zserv_privs) {
		module.links =
			links_start(module.fib, module.datapath, module.options.bypass, error, len);
	}
	if (!module.links)
		return false;
	module.paths = paths_start(module.fib, module.links);
	if (!module.paths)
		snprintf(error, len, "out of memory for link metrics, or no thread for them");
	return module.paths != NULL;
}

/* An earlier zebra's tables are replaced, if they are still there. Any thread. */
static void take_over(void)
{
	links_take_over(module.links);
}

/* After the fork of -d: maps and threads would not survive it. */
static struct fib *start(void)
{
	char error[sizeof(module.reason)] = "";

	if (module.reason[0])
		return NULL;
	if (!open_all(error, sizeof(error))) {
		release(false);
		stay_out(error);
		return NULL;
	}
	if (datapath_has_predecessor(module.datapath))
		takeover_start(main_loop, provider_handled, take_over);
	if (!audit_start(main_loop, module.fib))
		dpe_log(LOG_WARNING, "no thread for the audit: consistency is not checked");
	northbound_apply();
	dpe_log(LOG_INFO, "running, pins in %s",
		module.options.pin_dir[0] ? module.options.pin_dir : "no directory");
	return module.fib;
}

static void stop(bool keep)
{
	if (!module.reason[0])
		snprintf(module.reason, sizeof(module.reason), "zebra is ending");
	northbound_stop();
	release(keep && module.options.pin_dir[0]);
	zlog_sink_stop();
}

int module_configure(const struct module_settings *settings)
{
	int64_t hold = settings->hold_seconds;
	int err;

	if (!module_running())
		return 0;
	if (hold < 0)
		hold = module.options.hold_seconds;
	datapath_hold(module.datapath, (unsigned int)hold * 1000);
	err = links_configure(module.links, &settings->links);
	if (!err)
		err = paths_configure(module.paths, settings->overrides, settings->n_overrides);
	return err;
}

/* The last part of zebra's socket directory tells apart the zebras of one machine (-N). */
static const char *instance(void)
{
	const char *slash = strrchr(compat_state_dir(), '/');

	return slash && slash[1] ? slash + 1 : "frr";
}

/* Looked up by name: see loader.c. */
__attribute__((visibility("default"))) void dplane_ebpf_prepare(void);
__attribute__((visibility("default"))) void dplane_ebpf_start(compat_loop *loop, const char *args);

void dplane_ebpf_prepare(void)
{
	links_prepare();
}

void dplane_ebpf_start(compat_loop *loop, const char *args)
{
	static const struct provider_callbacks callbacks = {
		.start = start,
		.stop = stop,
	};
	char error[sizeof(module.reason)];

	main_loop = loop;
	zlog_sink_start(loop);
	if (!options_parse(&module.options, args, instance(), error, sizeof(error)))
		stay_out(error);
	show_init();
	if (!northbound_start(loop, error, sizeof(error)))
		dpe_log(LOG_ERR, "nothing can be configured: %s", error);
	if (!module.reason[0] && provider_register(&callbacks) != 0)
		stay_out("zebra refused the provider");
}

XREF_SETUP();
