// SPDX-License-Identifier: GPL-2.0-or-later
/* show dplane ebpf route: what the program finds for an address or a prefix. */
#include "dplane_ebpf/northbound/show.h"

#include "dplane_ebpf/module.h"

struct answer {
	bool address;		  /* an address was asked for, not a prefix */
	bool found;		  /* a prefix is known */
	struct fib_prefix prefix; /* that one */
	uint32_t group;		  /* what packets get */
};

/* The whole length asks for an address, for which the tables themselves are read. */
static bool parse(const char *text, struct fib_prefix *query)
{
	struct prefix p;

	if (!text || !str2prefix(text, &p))
		return false;
	apply_mask(&p);
	memset(query, 0, sizeof(*query));
	query->family = p.family;
	query->len = p.prefixlen;
	memcpy(query->addr, &p.u.prefix, p.family == AF_INET ? 4 : 16);
	return true;
}

/* The FIB's table of a VRF, by the name of its device. */
static bool vrf_table(const char *vrf, uint16_t *table)
{
	struct show_names names;
	bool found = !vrf || strcmp(vrf, VRF_DEFAULT_NAME) == 0;

	*table = 0;
	if (found)
		return true;
	show_names_read(&names);
	for (size_t i = 0; i < names.n && !found; i++) {
		if (strcmp(names.list[i].name, vrf) == 0 && names.list[i].table != RT_TABLE_MAIN)
			found = fib_table_find(module.fib, names.list[i].table, table) == 0;
	}
	show_names_free(&names);
	return found;
}

static struct answer ask(const struct fib_prefix *query, bool address)
{
	struct answer answer = {.address = address};
	uint32_t group = fib_route_covering(module.fib, query, &answer.prefix), over;

	answer.found = group && (address || answer.prefix.len == query->len);
	answer.group = group;
	over = answer.found ? fib_route_over(module.fib, &answer.prefix) : 0;
	if (over)
		answer.group = over & FIB_OVER_LOCAL ? FIB_GROUP_LOCAL : FIB_GROUP_KERNEL;
	if (address)
		answer.group = fib_lookup(module.fib, query->table, query->family, query->addr);
	return answer;
}

static void prefix_text(const struct fib_prefix *prefix, char *buf, size_t len)
{
	char addr[INET6_ADDRSTRLEN];

	inet_ntop(prefix->family, prefix->addr, addr, sizeof(addr));
	snprintf(buf, len, "%s/%u", addr, prefix->len);
}

static int text(struct vty *vty, const struct answer *answer, const char *asked)
{
	struct fib_group_info info;
	struct show_names names;
	char prefix[INET6_ADDRSTRLEN + 4];

	if (!answer->found && (!answer->address || answer->group < FIB_GROUP_FIRST)) {
		vty_out(vty, "%s: %s\n", asked,
			answer->address ? show_verdict(answer->group)
					: "not in the tables (an address shows what covers it)");
		return CMD_SUCCESS;
	}
	prefix_text(&answer->prefix, prefix, sizeof(prefix));
	vty_out(vty, "%s: prefix %s, ", asked, answer->found ? prefix : "none");
	if (answer->group < FIB_GROUP_FIRST) {
		vty_out(vty, "%s\n", show_verdict(answer->group));
		return CMD_SUCCESS;
	}
	if (fib_group_get(module.fib, answer->group, &info)) {
		vty_out(vty, "group %u, which has just gone\n", answer->group);
		return CMD_SUCCESS;
	}
	show_names_read(&names);
	vty_out(vty, "group %u, %u slot%s, %u route%s%s\n", info.group, info.slots,
		info.slots == 1 ? "" : "s", info.routes, info.routes == 1 ? "" : "s",
		info.steered ? ", steered by link metrics" : "");
	show_members(vty, &info, &names);
	show_names_free(&names);
	free(info.members);
	return CMD_SUCCESS;
}

static int json_text(struct vty *vty, const struct answer *answer, const char *asked)
{
	json_object *object = json_object_new_object();
	struct fib_group_info info;
	struct show_names names;
	char prefix[INET6_ADDRSTRLEN + 4];

	json_object_string_add(object, "query", asked);
	json_object_boolean_add(object, "found", answer->found);
	if (answer->found) {
		prefix_text(&answer->prefix, prefix, sizeof(prefix));
		json_object_string_add(object, "prefix", prefix);
	}
	if (answer->found || answer->address)
		json_object_string_add(object, "verdict", show_verdict(answer->group));
	if (answer->group >= FIB_GROUP_FIRST && (answer->found || answer->address) &&
	    !fib_group_get(module.fib, answer->group, &info)) {
		show_names_read(&names);
		json_object_object_add(object, "group", show_group_json(&info, &names));
		show_names_free(&names);
		free(info.members);
	}
	return vty_json(vty, object);
}

int show_route(struct vty *vty, const char *vrf, const char *asked, bool json)
{
	struct fib_prefix query;
	struct answer answer;

	if (!parse(asked, &query)) {
		vty_out(vty, "%% Malformed address or prefix: %s\n", asked ? asked : "");
		return CMD_WARNING;
	}
	if (!vrf_table(vrf, &query.table)) {
		vty_out(vty, "%% No VRF with a table of its own is named %s\n", vrf);
		return CMD_WARNING;
	}
	answer = ask(&query, strchr(asked, '/') == NULL);
	return json ? json_text(vty, &answer, asked) : text(vty, &answer, asked);
}
