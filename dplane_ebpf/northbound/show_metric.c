// SPDX-License-Identifier: GPL-2.0-or-later
/* show dplane ebpf link-metric: of each link what is configured, what was measured, and what counts. */
#include "dplane_ebpf/northbound/show.h"

#include "dplane_ebpf/module.h"
#include "dplane_ebpf/northbound/northbound.h"
#include "dplane_ebpf/northbound/values.h"

static const char *const state_names[] = {
	[PATHS_NONE] = "none",
	[PATHS_IN_FORCE] = "in-force",
	[PATHS_WAITING] = "waiting",
	[PATHS_EXPIRED] = "expired",
};

static const char *const source_names[] = {
	[PATHS_DEFAULT] = "default",
	[PATHS_MEASURED] = "measured",
	[PATHS_OF_LINK] = "link",
	[PATHS_OF_NEXTHOP] = "next-hop",
};

/* What the operator wrote of it; NULL: nothing. */
static const char *description_of(const struct paths_link_info *info)
{
	char address[INET6_ADDRSTRLEN];

	if (info->family)
		inet_ntop(info->family, info->address, address, sizeof(address));
	return config_description(info->interface, info->family ? address : NULL);
}

/* ---- JSON, its members named as YANG's leaves are ---- */

static void camel(const char *name, size_t len, char *buf)
{
	for (size_t i = 0; i < len; i++)
		*buf++ =
			name[i] == '-' && i + 1 < len ? toupper((unsigned char)name[++i]) : name[i];
	*buf = '\0';
}

static void add_value(json_object *object, const struct paths_values *values,
		      const struct values_leaf *leaf)
{
	const char *slash = strchr(leaf->path, '/');
	char text[VALUES_TEXT_LEN], name[64];
	json_object *to = object;

	if (!values_write(values, leaf, text))
		return;
	if (slash) {
		camel(leaf->path, slash - leaf->path, name);
		if (!json_object_object_get_ex(object, name, &to)) {
			to = json_object_new_object();
			json_object_object_add(object, name, to);
		}
	}
	slash = slash ? slash + 1 : leaf->path;
	camel(slash, strlen(slash), name);
	if (leaf->kind == VALUES_NUMBER)
		json_object_int_add(to, name, strtoul(text, NULL, 10));
	else if (leaf->kind == VALUES_EMPTY)
		json_object_boolean_add(to, name, values->drain);
	else
		json_object_string_add(to, name, text);
}

static json_object *values_json(const struct paths_values *values)
{
	json_object *object = json_object_new_object();

	for (const struct values_leaf *leaf = values_leaves; leaf->path; leaf++)
		add_value(object, values, leaf);
	return object;
}

static enum paths_source source_of(const struct paths_link_info *info, uint32_t bit)
{
	return info->source[__builtin_ctz(bit)];
}

static json_object *sources_json(const struct paths_link_info *info)
{
	json_object *object = json_object_new_object();
	char name[64];

	for (const struct values_leaf *leaf = values_leaves; leaf->path; leaf++) {
		const char *slash = strchr(leaf->path, '/');

		if (!leaf->bit || !(info->effective.has & leaf->bit))
			continue;
		slash = slash ? slash + 1 : leaf->path;
		camel(slash, strlen(slash), name);
		json_object_string_add(object, name, source_names[source_of(info, leaf->bit)]);
	}
	return object;
}

static void add_info(json_object *object, const struct paths_link_info *info)
{
	const char *description = description_of(info);
	char text[VALUES_TEXT_LEN];

	json_object_string_add(object, "overrideState", state_names[info->state]);
	if (info->expires) {
		values_time_text(info->expires, text);
		json_object_string_add(object, "expires", text);
	}
	if (description)
		json_object_string_add(object, "description", description);
	json_object_object_add(object, "configured", values_json(&info->configured));
	json_object_object_add(object, "measured", values_json(&info->measured));
	json_object_object_add(object, "effective", values_json(&info->effective));
	json_object_object_add(object, "sources", sources_json(info));
}

json_object *show_link_metrics_json(void)
{
	json_object *list = json_object_new_array(), *link = NULL, *hops = NULL;
	struct paths_link_info *infos;
	size_t n = paths_links(module.paths, &infos);

	for (size_t i = 0; i < n; i++) {
		json_object *object = json_object_new_object();
		char address[INET6_ADDRSTRLEN];

		if (infos[i].family == 0) {
			link = object;
			hops = json_object_new_array();
			json_object_string_add(link, "interface", infos[i].interface);
			if (infos[i].ifindex)
				json_object_int_add(link, "interfaceIndex", infos[i].ifindex);
			json_object_object_add(link, "nextHop", hops);
			json_object_array_add(list, link);
		} else {
			inet_ntop(infos[i].family, infos[i].address, address, sizeof(address));
			json_object_string_add(object, "address", address);
			json_object_array_add(hops, object);
		}
		add_info(object, &infos[i]);
	}
	free(infos);
	return list;
}

/* ---- text ---- */

/* "metric 20, drain" as the command line has it, each with where it is from if info is not NULL; "-" if there is nothing. */
static void print_values(struct vty *vty, const char *what, const struct paths_values *values,
			 const struct paths_link_info *info)
{
	const char *between = "";

	vty_out(vty, "    %-11s ", what);
	for (const struct values_leaf *leaf = values_leaves; leaf->path; leaf++) {
		char text[VALUES_TEXT_LEN];
		bool flag = leaf->kind == VALUES_EMPTY;

		if (!values_print(values, leaf, text) || (flag && !values->drain))
			continue;
		vty_out(vty, "%s%s%s%s", between, leaf->keyword, flag ? "" : " ", flag ? "" : text);
		if (info)
			vty_out(vty, " (%s)", source_names[source_of(info, leaf->bit)]);
		between = ", ";
	}
	if (!between[0])
		vty_out(vty, "-");
}

static void info_text(struct vty *vty, const struct paths_link_info *info)
{
	const char *description = description_of(info);
	char address[INET6_ADDRSTRLEN], when[VALUES_TEXT_LEN];

	if (info->family == 0) {
		vty_out(vty, "%s%s\n", info->interface,
			info->ifindex ? "" : " (no such interface: its override waits)");
	} else {
		inet_ntop(info->family, info->address, address, sizeof(address));
		vty_out(vty, "  next hop %s\n", address);
	}
	if (description)
		vty_out(vty, "    %-11s %s\n", "description", description);
	print_values(vty, "configured", &info->configured, NULL);
	if (info->expires) {
		values_time_text(info->expires, when);
		vty_out(vty, "%s %s", info->state == PATHS_EXPIRED ? ", expired" : ", expires",
			when);
	}
	vty_out(vty, "\n");
	print_values(vty, "measured", &info->measured, NULL);
	vty_out(vty, "\n");
	print_values(vty, "effective", &info->effective, info);
	vty_out(vty, "\n");
}

int show_link_metric(struct vty *vty, bool json)
{
	struct paths_link_info *infos;
	size_t n;

	if (json)
		return vty_json(vty, show_link_metrics_json());
	n = paths_links(module.paths, &infos);
	for (size_t i = 0; i < n; i++)
		info_text(vty, &infos[i]);
	free(infos);
	if (!n)
		vty_out(vty, "No link has next hops or an override\n");
	return CMD_SUCCESS;
}
