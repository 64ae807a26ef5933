// SPDX-License-Identifier: GPL-2.0-or-later
/* The operational state as one JSON object, put together from what the show commands have. */
#include "dplane_ebpf/northbound/snapshot.h"

#include <ctype.h>

#include "dplane_ebpf/module.h"
#include "dplane_ebpf/northbound/show.h"

/* A reference to a member of another object, under another name. */
static void take(json_object *to, const char *name, json_object *from, const char *member)
{
	json_object *value;

	if (json_object_object_get_ex(from, member, &value))
		json_object_object_add(to, name, json_object_get(value));
}

/* Members of an object as a list of entries with two leaves. */
static json_object *pairs(json_object *from, const char *key_name, const char *value_name)
{
	json_object *list = json_object_new_array();

	json_object_object_foreach(from, key, value) {
		json_object *entry = json_object_new_object();

		json_object_string_add(entry, key_name, key);
		json_object_object_add(entry, value_name, json_object_get(value));
		json_object_array_add(list, entry);
	}
	return list;
}

static json_object *packets(json_object *summary)
{
	json_object *object = json_object_new_object();

	take(object, "forwarded", summary, "packetsForwarded");
	take(object, "toKernel", summary, "packetsToKernel");
	take(object, "dropped", summary, "packetsDropped");
	return object;
}

static json_object *netlink(json_object *summary)
{
	json_object *object = json_object_new_object();

	take(object, "events", summary, "netlinkEvents");
	take(object, "resyncs", summary, "netlinkResyncs");
	take(object, "errors", summary, "netlinkErrors");
	take(object, "neighboursRefused", summary, "neighboursRefused");
	return object;
}

static json_object *interfaces(const struct show_names *names)
{
	json_object *list = json_object_new_array();

	for (size_t i = 0; i < names->n; i++) {
		json_object *object = show_interface_json(&names->list[i]);

		json_object_string_add(object, "name", names->list[i].name);
		json_object_array_add(list, object);
	}
	return list;
}

static json_object *nexthops(const struct show_names *names)
{
	json_object *list = json_object_new_array();
	struct fib_nexthop_info info;

	for (uint32_t n = 0; (n = fib_nexthop_next(module.fib, n + 1)) != 0;) {
		if (!fib_nexthop_get(module.fib, n, &info))
			json_object_array_add(list, show_nexthop_json(&info, names));
	}
	return list;
}

static json_object *groups(const struct show_names *names)
{
	json_object *list = json_object_new_array();
	struct fib_group_info info;

	for (uint32_t id = 0; (id = fib_group_next(module.fib, id + 1)) != 0;) {
		if (fib_group_get(module.fib, id, &info))
			continue;
		json_object_array_add(list, show_group_json(&info, names));
		free(info.members);
	}
	return list;
}

/* A name in camelCase as YANG has it. */
static void hyphenate(const char *camel, char *buf, size_t len)
{
	size_t n = 0;

	for (; *camel && n + 2 < len; camel++) {
		if (isupper((unsigned char)*camel))
			buf[n++] = '-';
		buf[n++] = (char)tolower((unsigned char)*camel);
	}
	buf[n] = '\0';
}

/* The object that tells where each value is from, as a list of entries with two leaves. */
static void list_sources(json_object *entry)
{
	json_object *list = json_object_new_array(), *sources = NULL;

	json_object_object_get_ex(entry, "sources", &sources);
	json_object_object_foreach(sources, key, from) {
		json_object *source = json_object_new_object();
		char name[64];

		hyphenate(key, name, sizeof(name));
		json_object_string_add(source, "value", name);
		json_object_object_add(source, "from", json_object_get(from));
		json_object_array_add(list, source);
	}
	json_object_object_add(entry, "source", list);
}

static json_object *link_metrics(void)
{
	json_object *links = show_link_metrics_json();

	for (size_t i = 0; i < json_object_array_length(links); i++) {
		json_object *link = json_object_array_get_idx(links, i), *hops = NULL;

		list_sources(link);
		json_object_object_get_ex(link, "nextHop", &hops);
		for (size_t k = 0; k < json_object_array_length(hops); k++)
			list_sources(json_object_array_get_idx(hops, k));
	}
	return links;
}

json_object *snapshot_state(void)
{
	json_object *state = json_object_new_object();
	json_object *summary = show_summary_json();
	static const char *const own[] = {"running", "reason", "version", "builtForFrr",
					  "pinDirectory"};
	json_object *counters, *zebra;
	struct show_names names;

	for (size_t i = 0; i < array_size(own); i++)
		take(state, own[i], summary, own[i]);
	if (module_running()) {
		show_names_read(&names);
		counters = show_counters_json();
		json_object_object_add(state, "tables", json_object_get(summary));
		json_object_object_add(state, "packets", packets(summary));
		json_object_object_add(state, "netlink", netlink(summary));
		if (json_object_object_get_ex(summary, "zebra", &zebra))
			json_object_object_add(state, "context", pairs(zebra, "name", "count"));
		json_object_object_add(state, "counter", pairs(counters, "reason", "packets"));
		json_object_object_add(state, "interface", interfaces(&names));
		json_object_object_add(state, "nexthop", nexthops(&names));
		json_object_object_add(state, "group", groups(&names));
		json_object_object_add(state, "linkMetric", link_metrics());
		json_object_object_add(state, "consistency", show_consistency_state());
		json_object_put(counters);
		show_names_free(&names);
	}
	json_object_put(summary);
	return state;
}
