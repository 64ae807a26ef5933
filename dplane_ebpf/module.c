// SPDX-License-Identifier: GPL-2.0-or-later
/* The module proper: options, start and stop. */
#include "dplane_ebpf/compat.h"
#include "dplane_ebpf/module.h"

#include "dplane_ebpf/audit/audit.h"
#include "dplane_ebpf/heartbeat.h"
#include "dplane_ebpf/loader.h"
#include "dplane_ebpf/log.h"
#include "dplane_ebpf/northbound/boot.h"
#include "dplane_ebpf/northbound/northbound.h"
#include "dplane_ebpf/northbound/show.h"
#include "dplane_ebpf/pressure.h"
#include "dplane_ebpf/provider.h"
#include "dplane_ebpf/resize.h"
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
static compat_event *second_timer;

static void release(bool keep)
{
	heartbeat_end();
	compat_cancel_event(&second_timer);
	takeover_stop();
	audit_stop();
	resize_stop();
	engine_close(&module.engine, keep);
	resize_end();
}

static bool open_all(char *error, size_t len)
{
	bool opened = false;

	frr_with_privs(&zserv_privs) {
		opened = engine_open(&module.engine, &module.options, module.options.small, NULL,
				     error, len);
	}
	return opened && engine_start(&module.engine, &module.options, error, len);
}

/* An earlier zebra's tables are replaced, if they are still there. Any thread. */
static void take_over(bool at_once)
{
	links_take_over(module.links, at_once);
}

static void start_audit(void)
{
	if (!audit_start(main_loop, module.fib))
		dpe_log(LOG_WARNING, "no thread for the audit: consistency is not checked");
	links_watch_drops(module.links, audit_soon);
}

static void compare_now(void)
{
	start_audit();
	audit_run();
}

/* The dplane thread comes round only when there is something to do. */
static void beat(void)
{
	heartbeat_beat(HEARTBEAT_MAIN);
	dplane_provider_work_ready();
}

static void every_second(compat_event *event)
{
	struct links_stats links;
	struct fib_stats stats;

	beat();
	fib_stats(module.fib, &stats);
	links_stats(module.links, &links);
	pressure_look(&stats, links.neighbours);
	compat_add_timer(main_loop, every_second, 1, &second_timer);
}

/* After the fork of -d: maps and threads would not survive it. */
static struct fib *start(void)
{
	static const struct resize_callbacks resizing = {
		.started = northbound_apply,
		.before = audit_stop,
		.after = compare_now,
	};
	char error[sizeof(module.reason)] = "";

	if (module.reason[0])
		return NULL;
	if (!open_all(error, sizeof(error))) {
		release(false);
		stay_out(error);
		return NULL;
	}
	if (links_behind(module.links))
		takeover_start(main_loop, provider_handled, take_over);
	start_audit();
	heartbeat_beat(HEARTBEAT_MAIN);
	compat_add_timer(main_loop, every_second, 1, &second_timer);
	resize_start(main_loop, &module.engine, &module.options, &resizing);
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

static int configure(const struct engine *engine, const struct module_settings *settings)
{
	int64_t hold =
		settings->hold_seconds < 0 ? module.options.hold_seconds : settings->hold_seconds;
	int err;

	datapath_hold(engine->datapath, (unsigned int)hold * 1000);
	err = links_configure(engine->links, &settings->links);
	if (!err)
		err = paths_configure(engine->paths, settings->overrides, settings->n_overrides);
	return err;
}

int module_configure(const struct module_settings *settings)
{
	const struct engine *next = resize_next();
	int err;

	if (!module_running())
		return 0;
	err = configure(&module.engine, settings);
	if (next && !err)
		err = configure(next, settings);
	resize_want(settings->small < 0 ? module.options.small : settings->small);
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
		.ending = resize_halt,
		.stop = stop,
	};
	char error[sizeof(module.reason)];

	main_loop = loop;
	zlog_sink_start(loop, boot_check);
	if (!options_parse(&module.options, args, instance(), error, sizeof(error)))
		stay_out(error);
	show_init();
	if (!northbound_start(loop, error, sizeof(error)))
		dpe_log(LOG_ERR, "nothing can be configured: %s", error);
	if (!module.reason[0] && provider_register(loop, &callbacks) != 0)
		stay_out("zebra refused the provider");
}

XREF_SETUP();
