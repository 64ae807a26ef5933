// SPDX-License-Identifier: GPL-2.0-or-later
/* The commands' entry, and the words that several of them use. */
#include "dplane_ebpf/northbound/show.h"

#include "dplane_ebpf/module.h"
#include "dplane_ebpf/northbound/commands.h"

/* What stands behind the command's four words. */
struct request {
	const char *arg; /* NULL: nothing */
	const char *vrf; /* NULL: the default one */
	bool json;
};

static struct request read_request(int argc, struct cmd_token *argv[])
{
	struct request request = {0};

	for (int i = 4; i < argc; i++) {
		if (strcmp(argv[i]->text, "json") == 0)
			request.json = true;
		else if (strcmp(argv[i]->text, "vrf") == 0 && i + 1 < argc)
			request.vrf = argv[++i]->arg;
		else
			request.arg = argv[i]->arg;
	}
	return request;
}

static int not_running(struct vty *vty, bool json)
{
	if (json) {
		json_object *object = json_object_new_object();

		json_object_boolean_add(object, "running", false);
		json_object_string_add(object, "reason", module.reason);
		return vty_json(vty, object);
	}
	vty_out(vty, "%% not running: %s\n", module.reason);
	return CMD_WARNING;
}

static int run_show_dplane_ebpf_summary(struct vty *vty, const struct request *request)
{
	return show_summary(vty, request->json);
}

static int run_show_dplane_ebpf_route(struct vty *vty, const struct request *request)
{
	return module_running() ? show_route(vty, request->vrf, request->arg, request->json)
				: not_running(vty, request->json);
}

static int run_show_dplane_ebpf_nexthop(struct vty *vty, const struct request *request)
{
	return module_running() ? show_nexthop(vty, request->arg, request->json)
				: not_running(vty, request->json);
}

static int run_show_dplane_ebpf_group(struct vty *vty, const struct request *request)
{
	return module_running() ? show_group(vty, request->arg, request->json)
				: not_running(vty, request->json);
}

static int run_show_dplane_ebpf_interface(struct vty *vty, const struct request *request)
{
	return module_running() ? show_interface(vty, request->json)
				: not_running(vty, request->json);
}

static int run_show_dplane_ebpf_counters(struct vty *vty, const struct request *request)
{
	return module_running() ? show_counters(vty, request->json)
				: not_running(vty, request->json);
}

static int run_show_dplane_ebpf_consistency(struct vty *vty, const struct request *request)
{
	return module_running() ? show_consistency(vty, request->json)
				: not_running(vty, request->json);
}

static int run_show_dplane_ebpf_link_metric(struct vty *vty, const struct request *request)
{
	return module_running() ? show_link_metric(vty, request->json)
				: not_running(vty, request->json);
}

static int run_show_dplane_ebpf_events(struct vty *vty, const struct request *request)
{
	return show_events(vty, request->arg, request->json);
}

static int run_clear_dplane_ebpf_counters(struct vty *vty, const struct request *request)
{
	return module_running() ? clear_counters(vty, request->json)
				: not_running(vty, request->json);
}

static int run_clear_dplane_ebpf_consistency(struct vty *vty, const struct request *request)
{
	return module_running() ? clear_consistency(vty, request->json)
				: not_running(vty, request->json);
}

#define X(name, string, help) \
	DEFUN(name, name##_cmd, string, help) \
	{ \
		const struct request request = read_request(argc, argv); \
\
		return run_##name(vty, &request); \
	}
DPE_COMMANDS(X)
DPE_ENABLE_COMMANDS(X)
#undef X

void show_init(void)
{
#define X(name, string, help) install_element(VIEW_NODE, &name##_cmd);
	DPE_COMMANDS(X)
#undef X
#define X(name, string, help) install_element(ENABLE_NODE, &name##_cmd);
	DPE_ENABLE_COMMANDS(X)
#undef X
}

void show_names_read(struct show_names *names)
{
	names->list = NULL;
	names->n = links_interfaces(module.links, &names->list);
}

void show_names_free(struct show_names *names)
{
	free(names->list);
}

const char *show_name(const struct show_names *names, uint32_t ifindex, char *buf, size_t len)
{
	for (size_t i = 0; i < names->n; i++)
		if (names->list[i].ifindex == ifindex)
			return names->list[i].name;
	snprintf(buf, len, "ifindex %u", ifindex);
	return buf;
}

const char *show_verdict(uint32_t group)
{
	switch (group) {
	case FIB_GROUP_DEFAULT:
	case FIB_GROUP_NO_ROUTE:
		return "kernel: no route";
	case FIB_GROUP_LOCAL:
		return "kernel: address of this router";
	case FIB_GROUP_REJECT:
		return "kernel: unreachable or prohibit";
	case FIB_GROUP_UNSUPPORTED:
		return "kernel: not supported by the program";
	case FIB_GROUP_OVERFLOW:
		return "kernel: no room in the tables";
	case FIB_GROUP_BLACKHOLE:
		return "drop: blackhole";
	case FIB_GROUP_KERNEL:
		return "kernel: has a route of its own";
	default:
		return "forward";
	}
}

const char *show_state(const struct fib_adjacency *adjacency)
{
	if (adjacency->down)
		return "down";
	switch (adjacency->action) {
	case FIB_NH_REWRITE:
		return "resolved";
	case FIB_NH_RESOLVE:
		return "resolving";
	case FIB_NH_CONNECTED:
		return "connected";
	case FIB_NH_DEVICE:
		return "device";
	default:
		return "kernel";
	}
}

const char *show_gate(const struct fib_nexthop_key *key, char *buf)
{
	if (!key->family || !inet_ntop(key->family, key->gate, buf, SHOW_TEXT_LEN))
		snprintf(buf, SHOW_TEXT_LEN, "connected");
	return buf;
}

const char *show_mac(const uint8_t *mac, char *buf)
{
	snprintf(buf, SHOW_TEXT_LEN, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2],
		 mac[3], mac[4], mac[5]);
	return buf;
}
