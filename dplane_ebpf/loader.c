// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What zebra loads for -M dplane_ebpf: compares FRR's version, then loads the module proper.
 *
 * zebra ends if a module of -M does not link, and one that was built for another FRR
 * does not. So this file, a shared object of its own, uses nothing but what has been the
 * same from FRR 8.4 on, and no logging macro that leaves FRR's structures in it.
 */
#include "dplane_ebpf/compat.h"

#include <dlfcn.h>
#include <libgen.h>

#include "dplane_ebpf/loader.h"

static module_start start;
static char reason[512]; /* why there is no start */

static void stay_out(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void stay_out(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(reason, sizeof(reason), format, args);
	va_end(args);
}

static const char *zebra_version(void)
{
	for (struct frrmod_runtime *m = frrmod_list; m; m = m->next) {
		if (strcmp(m->info->name, "zebra") == 0)
			return m->info->version;
	}
	return NULL;
}

/* The module proper stands beside this file. */
static void load(void)
{
	char self[PATH_MAX], path[PATH_MAX + sizeof(MODULE_FILE)];
	module_prepare prepare;
	void *handle;
	Dl_info info;

	if (!dladdr(&_frrmod_this_module, &info) || !info.dli_fname) {
		stay_out("cannot find out where dplane_ebpf.so is");
		return;
	}
	snprintf(self, sizeof(self), "%s", info.dli_fname);
	snprintf(path, sizeof(path), "%s/" MODULE_FILE, dirname(self));
	handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!handle) {
		stay_out("%s", dlerror());
		return;
	}
	prepare = (module_prepare)dlsym(handle, MODULE_PREPARE);
	if (prepare)
		start = (module_start)dlsym(handle, MODULE_START);
	if (start)
		prepare();
	else
		stay_out("%s is not of this version of dplane_ebpf: install both files again",
			 path);
}

static int late_init(compat_loop *loop)
{
	char line[sizeof(reason) + 80];

	if (start) {
		start(loop, THIS_MODULE->load_args);
		return 0;
	}
	snprintf(line, sizeof(line),
		 "dplane_ebpf: not running: %s; zebra goes on with the kernel alone", reason);
	zlog(LOG_ERR, "%s", line);
	/* an frr.conf that says where to log is not read yet, and on Debian it says syslog */
	syslog(LOG_DAEMON | LOG_ERR, "%s", line);
	return 0;
}

/* zebra may still read what only root may, but nobody would see what it logs: that waits. */
static int init(void)
{
	const char *running = zebra_version();

	if (!running)
		stay_out("this daemon is not zebra");
	else if (strcmp(running, FRR_VERSION) != 0)
		stay_out("built for FRR %s, but this is FRR %s: install the build for it",
			 FRR_VERSION, running);
	else
		load();
	hook_register(frr_late_init, late_init);
	return 0;
}

/* FRR_MODULE_SETUP without its table of cross references, whose layout is FRR's own affair. */
static const struct frrmod_info module_info = {
	.name = "dplane_ebpf",
	.version = PACKAGE_VERSION,
	.description = "Data plane in eBPF at TC ingress",
	.init = init,
};
DSO_LOCAL union _frrmod_runtime_u _frrmod_this_module = {{.info = &module_info}};
DSO_SELF struct frrmod_runtime *frr_module = &_frrmod_this_module.r;
