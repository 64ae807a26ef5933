// SPDX-License-Identifier: GPL-2.0-or-later
/* Start and stop of the northbound, and what its RPCs do. */
#include "dplane_ebpf/northbound/northbound.h"

#include "dplane_ebpf/audit/audit.h"
#include "dplane_ebpf/module.h"

static bool started;

bool rpc_clear_counters(void)
{
	if (module_running())
		datapath_counters_clear(module.datapath);
	return module_running();
}

bool rpc_clear_consistency(void)
{
	if (module_running())
		audit_repair();
	return module_running();
}

bool northbound_start(compat_loop *loop, char *error, size_t error_len)
{
	if (!schema_load(error, error_len))
		return false;
	state_start(loop);
	notification_start(loop);
	commit_start(loop);
	cli_init();
	datastore_init();
	started = true;
	return true;
}

void northbound_apply(void)
{
	if (started)
		config_apply_running();
}

void northbound_stop(void)
{
	if (!started)
		return;
	notification_stop();
	state_stop();
	datastore_stop();
	commit_stop();
	started = false;
}
