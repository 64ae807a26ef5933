// SPDX-License-Identifier: GPL-2.0-or-later
/* show dplane ebpf interface, counters and summary. */
#include "dplane_ebpf/northbound/show.h"

#include "dplane_ebpf/module.h"
#include "dplane_ebpf/northbound/northbound.h"
#include "dplane_ebpf/provider.h"

static const struct {
	const char *name;
	const char *help;
} reasons[FIB_CNT_MAX] = {
#define X(e, name, help) [FIB_CNT_##e] = {name, help},
	FIB_COUNTERS(X)
#undef X
};

static const struct {
	const char *name;
	const char *help;
} contexts[PROVIDER_MAX] = {
#define X(e, name, help) [PROVIDER_##e] = {name, help},
	PROVIDER_COUNTERS(X)
#undef X
};

static const char *hook_name(enum datapath_hook hook)
{
	switch (hook) {
	case DATAPATH_HOOK_TCX:
		return "tcx";
	case DATAPATH_HOOK_CLSACT:
		return "clsact";
	case DATAPATH_HOOK_NONE:
		break;
	}
	return "none";
}

/* What the program forwards of that which comes in here. */
static const char *families(const struct links_interface *interface)
{
	if (interface->v4)
		return interface->v6 ? "IPv4 IPv6" : "IPv4";
	return interface->v6 ? "IPv6" : "-";
}

static const char *const bypass_names[LINKS_BYPASS_MAX] = {
#define X(e, name, text) [LINKS_BYPASS_##e] = name,
	LINKS_BYPASS(X)
#undef X
};

static json_object *bypass_json(uint32_t bypass)
{
	json_object *list = json_object_new_array();

	for (int i = 0; i < LINKS_BYPASS_MAX; i++) {
		if (bypass & 1u << i)
			json_object_array_add(list, json_object_new_string(bypass_names[i]));
	}
	return list;
}

/* What is bypassed here; nothing where that is not allowed. */
static void bypass_text(struct vty *vty, const struct links_interface *interface)
{
	const char *separator = interface->reason[0] ? "; bypasses: " : "  bypasses: ";

	for (int i = 0; i < LINKS_BYPASS_MAX && interface->bypass_allowed; i++) {
		if (!(interface->bypass & 1u << i))
			continue;
		vty_out(vty, "%s%s", separator, bypass_names[i]);
		separator = ", ";
	}
}

json_object *show_interface_json(const struct links_interface *interface)
{
	json_object *object = json_object_new_object();
	char buf[SHOW_TEXT_LEN];

	json_object_int_add(object, "interfaceIndex", interface->ifindex);
	json_object_boolean_add(object, "attached", interface->hook != DATAPATH_HOOK_NONE);
	json_object_string_add(object, "hook", hook_name(interface->hook));
	if (interface->reason[0])
		json_object_string_add(object, "reason", interface->reason);
	json_object_string_add(object, "mac", show_mac(interface->mac, buf));
	json_object_int_add(object, "mtu", interface->mtu);
	json_object_boolean_add(object, "up", interface->up);
	json_object_boolean_add(object, "running", interface->running);
	json_object_boolean_add(object, "ipv4Forwarding", interface->v4_forwarding);
	json_object_boolean_add(object, "ipv6Forwarding", interface->v6_forwarding);
	json_object_boolean_add(object, "ipv4Accelerated", interface->v4);
	json_object_boolean_add(object, "ipv6Accelerated", interface->v6);
	json_object_int_add(object, "neighbours", interface->neighbours);
	json_object_int_add(object, "table", interface->table);
	json_object_object_add(object, "bypass", bypass_json(interface->bypass));
	json_object_boolean_add(object, "bypassAllowed", interface->bypass_allowed);
	json_object_boolean_add(object, "outToKernel", interface->out_to_kernel);
	return object;
}

int show_interface(struct vty *vty, bool json)
{
	json_object *object = json ? json_object_new_object() : NULL;
	struct show_names names;

	show_names_read(&names);
	if (!json)
		vty_out(vty, "%-15s %-6s %-10s %-9s %6s %10s %5s  %s\n", "Interface", "Hook",
			"Link", "Forwards", "MTU", "Neighbours", "Table", "Why not (all)");
	for (size_t i = 0; i < names.n; i++) {
		const struct links_interface *interface = &names.list[i];

		if (json) {
			json_object_object_add(object, interface->name,
					       show_interface_json(interface));
			continue;
		}
		vty_out(vty, "%-15s %-6s %-10s %-9s %6u %10u %5u%s%s", interface->name,
			hook_name(interface->hook),
			!interface->up	     ? "down"
			: interface->running ? "up"
					     : "no carrier",
			families(interface), interface->mtu, interface->neighbours,
			interface->table, interface->reason[0] ? "  " : "", interface->reason);
		bypass_text(vty, interface);
		vty_out(vty, "\n");
	}
	show_names_free(&names);
	return json ? vty_json(vty, object) : CMD_SUCCESS;
}

json_object *show_counters_json(void)
{
	json_object *object = json_object_new_object();
	uint64_t packets[FIB_CNT_MAX];

	datapath_counters(module.datapath, packets);
	for (int i = 0; i < FIB_CNT_MAX; i++)
		json_object_int_add(object, reasons[i].name, packets[i]);
	return object;
}

int show_counters(struct vty *vty, bool json)
{
	uint64_t packets[FIB_CNT_MAX];

	if (json)
		return vty_json(vty, show_counters_json());
	datapath_counters(module.datapath, packets);
	vty_out(vty, "%-24s %16s  %s\n", "Reason", "Packets", "What it means");
	for (int i = 0; i < FIB_CNT_MAX; i++)
		vty_out(vty, "%-24s %16" PRIu64 "  %s\n", reasons[i].name, packets[i],
			reasons[i].help);
	return CMD_SUCCESS;
}

int clear_counters(struct vty *vty, bool json)
{
	rpc_clear_counters();
	if (json)
		return vty_json(vty, json_object_new_object());
	vty_out(vty, "The counters of packets start from zero\n");
	return CMD_SUCCESS;
}

struct totals {
	uint64_t forwarded, kernel, dropped;
};

/* By the first word of the reason's name, as bpf/layout.h has them. */
static struct totals add_up(void)
{
	uint64_t packets[FIB_CNT_MAX];
	struct totals totals = {0};

	datapath_counters(module.datapath, packets);
	for (int i = 0; i < FIB_CNT_MAX; i++) {
		if (strncmp(reasons[i].name, "forward", 7) == 0)
			totals.forwarded += packets[i];
		else if (strncmp(reasons[i].name, "drop", 4) == 0)
			totals.dropped += packets[i];
		else
			totals.kernel += packets[i];
	}
	return totals;
}

static double percent(uint64_t part, uint64_t whole)
{
	return whole ? 100.0 * part / whole : 0.0;
}

static void hooks_text(char *buf, size_t len)
{
	struct show_names names;
	unsigned int tcx = 0, clsact = 0;

	show_names_read(&names);
	for (size_t i = 0; i < names.n; i++) {
		tcx += names.list[i].hook == DATAPATH_HOOK_TCX;
		clsact += names.list[i].hook == DATAPATH_HOOK_CLSACT;
	}
	snprintf(buf, len, "%u by tcx, %u by clsact, of %zu interfaces", tcx, clsact, names.n);
	show_names_free(&names);
}

static json_object *pool_json(const struct fib_pool_stats *pool)
{
	json_object *object = json_object_new_object();

	json_object_int_add(object, "used", pool->used);
	json_object_int_add(object, "retired", pool->retired);
	json_object_int_add(object, "size", pool->size);
	return object;
}

json_object *show_summary_json(void)
{
	json_object *object = json_object_new_object();
	json_object *list = json_object_new_object();
	uint64_t counters[PROVIDER_MAX];
	struct fib_stats stats;
	struct links_stats links;
	struct totals totals;

	json_object_string_add(object, "version", PACKAGE_VERSION);
	json_object_string_add(object, "builtForFrr", FRR_VERSION);
	json_object_boolean_add(object, "running", module_running());
	if (!module_running()) {
		json_object_string_add(object, "reason", module.reason);
		json_object_free(list);
		return object;
	}
	fib_stats(module.fib, &stats);
	links_stats(module.links, &links);
	totals = add_up();
	provider_counters(counters);
	json_object_string_add(object, "pinDirectory", module.options.pin_dir);
	json_object_int_add(object, "tables", stats.tables);
	json_object_int_add(object, "ipv4Routes", stats.v4_routes);
	json_object_int_add(object, "ipv6Routes", stats.v6_routes);
	json_object_int_add(object, "ipv4Overflow", stats.v4_overflow);
	json_object_int_add(object, "ipv6Overflow", stats.v6_overflow);
	json_object_int_add(object, "localAddresses", stats.locals);
	json_object_int_add(object, "leftToKernel", stats.laid_over);
	json_object_int_add(object, "kernelsOwnRoutes", links.routes);
	json_object_int_add(object, "groups", stats.groups);
	json_object_int_add(object, "groupOverflow", stats.group_overflow);
	json_object_int_add(object, "slots", stats.slots);
	json_object_int_add(object, "nexthops", stats.nexthops);
	json_object_int_add(object, "nexthopsDown", stats.nexthops_down);
	json_object_int_add(object, "failovers", stats.failovers);
	json_object_int_add(object, "groupsOnBackup", stats.groups_protected);
	json_object_int_add(object, "groupsSteered", stats.groups_steered);
	json_object_object_add(object, "nodePool", pool_json(&stats.node));
	json_object_int_add(object, "ipv4NodeBytes", stats.v4_node_bytes);
	json_object_int_add(object, "ipv6NodeBytes", stats.v6_node_bytes);
	json_object_int_add(object, "nodeExtent", stats.node_extent);
	json_object_int_add(object, "compactions", stats.compactions);
	json_object_object_add(object, "ipv4LowPool", pool_json(&stats.v4_low));
	json_object_int_add(object, "gracePeriods", stats.grace_periods);
	json_object_int_add(object, "packetsForwarded", totals.forwarded);
	json_object_int_add(object, "packetsToKernel", totals.kernel);
	json_object_int_add(object, "packetsDropped", totals.dropped);
	json_object_int_add(object, "netlinkEvents", links.events);
	json_object_int_add(object, "netlinkResyncs", links.resyncs);
	json_object_int_add(object, "netlinkErrors", links.errors);
	json_object_int_add(object, "neighboursRefused", links.neighbours_refused);
	show_consistency_summary(NULL, object);
	for (int i = 0; i < PROVIDER_MAX; i++)
		json_object_int_add(list, contexts[i].name, counters[i]);
	json_object_object_add(object, "zebra", list);
	return object;
}

static void pool_line(struct vty *vty, const char *name, const struct fib_pool_stats *pool)
{
	vty_out(vty, "  %-22s %" PRIu64 " of %" PRIu64 " KiB (%.1f%%)\n", name, pool->used / 1024,
		pool->size / 1024, percent(pool->used, pool->size));
}

int show_summary(struct vty *vty, bool json)
{
	uint64_t counters[PROVIDER_MAX];
	struct fib_stats stats;
	struct links_stats links;
	struct totals totals;
	uint64_t all;
	char hooks[SHOW_TEXT_LEN];

	if (json)
		return vty_json(vty, show_summary_json());
	vty_out(vty, "dplane_ebpf %s for FRR %s: ", PACKAGE_VERSION, FRR_VERSION);
	if (!module_running()) {
		vty_out(vty, "not running: %s\n", module.reason);
		return CMD_SUCCESS;
	}
	fib_stats(module.fib, &stats);
	links_stats(module.links, &links);
	totals = add_up();
	all = totals.forwarded + totals.kernel + totals.dropped;
	provider_counters(counters);
	hooks_text(hooks, sizeof(hooks));
	vty_out(vty, "running\n");
	vty_out(vty, "  %-22s %s\n", "Attached", hooks);
	vty_out(vty, "  %-22s %s\n", "Pins",
		module.options.pin_dir[0] ? module.options.pin_dir : "none");
	vty_out(vty, "  %-22s %" PRIu64 " IPv4, %" PRIu64 " IPv6, in %" PRIu64 " table%s\n",
		"Routes", stats.v4_routes, stats.v6_routes, stats.tables,
		stats.tables == 1 ? "" : "s");
	vty_out(vty, "  %-22s %" PRIu64 " IPv4, %" PRIu64 " IPv6, %" PRIu64 " groups\n",
		"Without room (kernel)", stats.v4_overflow, stats.v6_overflow,
		stats.group_overflow);
	vty_out(vty, "  %-22s %" PRIu64 "\n", "Local addresses", stats.locals);
	vty_out(vty,
		"  %-22s %" PRIu64
		" prefix%s that the kernel has otherwise than zebra, or zebra alone\n",
		"Left to the kernel", stats.laid_over, stats.laid_over == 1 ? "" : "es");
	vty_out(vty,
		"  %-22s %" PRIu64 ", %" PRIu64 " slot%s, %" PRIu64 " steered by link metrics\n",
		"Groups", stats.groups, stats.slots, stats.slots == 1 ? "" : "s",
		stats.groups_steered);
	vty_out(vty, "  %-22s %" PRIu64 ", %" PRIu64 " down\n", "Next hops", stats.nexthops,
		stats.nexthops_down);
	vty_out(vty, "  %-22s %" PRIu64 " of groups, %" PRIu64 " now on backups\n", "Failovers",
		stats.failovers, stats.groups_protected);
	pool_line(vty, "Nodes", &stats.node);
	vty_out(vty,
		"  %-22s %" PRIu64 " KiB IPv4, %" PRIu64 " KiB IPv6, over %" PRIu64 " KiB, %" PRIu64
		" compactions\n",
		"", stats.v4_node_bytes / 1024, stats.v6_node_bytes / 1024,
		stats.node_extent / 1024, stats.compactions);
	pool_line(vty, "IPv4 blocks below /24", &stats.v4_low);
	vty_out(vty, "  %-22s %" PRIu64 " (%.2f%%)\n", "Packets forwarded", totals.forwarded,
		percent(totals.forwarded, all));
	vty_out(vty, "  %-22s %" PRIu64 " (%.2f%%)\n", "Packets to the kernel", totals.kernel,
		percent(totals.kernel, all));
	vty_out(vty, "  %-22s %" PRIu64 " (%.2f%%)\n", "Packets dropped", totals.dropped,
		percent(totals.dropped, all));
	vty_out(vty,
		"  %-22s %" PRIu64 " events, %" PRIu64 " resyncs, %" PRIu64 " errors, %" PRIu64
		" neighbours without room\n",
		"Netlink", links.events, links.resyncs, links.errors, links.neighbours_refused);
	show_consistency_summary(vty, NULL);
	vty_out(vty, "From zebra:\n");
	for (int i = 0; i < PROVIDER_MAX; i++)
		vty_out(vty, "  %10" PRIu64 "  %s\n", counters[i], contexts[i].help);
	return CMD_SUCCESS;
}
