// SPDX-License-Identifier: GPL-2.0-or-later
/* show dplane ebpf nexthop and group. */
#include "dplane_ebpf/northbound/show.h"

#include "dplane_ebpf/module.h"

static bool has_mac(const struct fib_adjacency *adjacency)
{
	return adjacency->action == FIB_NH_REWRITE;
}

json_object *show_nexthop_json(const struct fib_nexthop_info *info, const struct show_names *names)
{
	json_object *object = json_object_new_object();
	struct fib_nexthop_counters sum;
	char buf[SHOW_TEXT_LEN];

	datapath_nexthop_counters(module.datapath, info->nexthop, &sum);
	json_object_int_add(object, "nexthop", info->nexthop);
	json_object_int_add(object, "interfaceIndex", info->key.ifindex);
	json_object_string_add(object, "interfaceName",
			       show_name(names, info->key.ifindex, buf, sizeof(buf)));
	if (info->key.family)
		json_object_string_add(object, "gateway", show_gate(&info->key, buf));
	json_object_string_add(object, "state", show_state(&info->adjacency));
	if (has_mac(&info->adjacency))
		json_object_string_add(object, "mac", show_mac(info->adjacency.dst, buf));
	json_object_int_add(object, "mtu", info->adjacency.mtu);
	json_object_int_add(object, "groups", info->groups);
	json_object_int_add(object, "packets", sum.packets);
	json_object_int_add(object, "bytes", sum.bytes);
	return object;
}

static void nexthop_line(struct vty *vty, const struct fib_nexthop_info *info,
			 const struct show_names *names)
{
	struct fib_nexthop_counters sum;
	char name[SHOW_TEXT_LEN], gate[SHOW_TEXT_LEN], mac[SHOW_TEXT_LEN];

	datapath_nexthop_counters(module.datapath, info->nexthop, &sum);
	vty_out(vty, "%-7u %-15s %-25s %-17s %-9s %5u %12" PRIu64 " %15" PRIu64 "\n", info->nexthop,
		show_name(names, info->key.ifindex, name, sizeof(name)),
		show_gate(&info->key, gate),
		has_mac(&info->adjacency) ? show_mac(info->adjacency.dst, mac) : "-",
		show_state(&info->adjacency), info->adjacency.mtu, (uint64_t)sum.packets,
		(uint64_t)sum.bytes);
}

static void nexthop_header(struct vty *vty, const char *indent)
{
	vty_out(vty, "%s%-7s %-15s %-25s %-17s %-9s %5s %12s %15s\n", indent, "Nexthop",
		"Interface", "Gateway", "MAC", "State", "MTU", "Packets", "Bytes");
}

/* A member that is there only to stand in for others. */
static bool is_backup(const struct fib_member_info *member)
{
	return member->weight == 0;
}

static json_object *backups_json(const struct fib_group_info *info,
				 const struct fib_member_info *member)
{
	json_object *list = json_object_new_array();

	for (uint32_t i = 0; i < member->n_backups; i++)
		json_object_array_add(
			list, json_object_new_int64(info->members[member->backup[i]].nexthop));
	return list;
}

json_object *show_group_json(const struct fib_group_info *info, const struct show_names *names)
{
	json_object *object = json_object_new_object();
	json_object *members = json_object_new_array();

	json_object_int_add(object, "group", info->group);
	json_object_int_add(object, "routes", info->routes);
	json_object_int_add(object, "slots", info->slots);
	json_object_int_add(object, "generation", info->generation);
	json_object_boolean_add(object, "backupInUse", info->protected);
	json_object_boolean_add(object, "steered", info->steered);
	for (size_t i = 0; i < info->n; i++) {
		struct fib_nexthop_info nexthop;
		json_object *member;

		if (fib_nexthop_get(module.fib, info->members[i].nexthop, &nexthop))
			continue;
		member = show_nexthop_json(&nexthop, names);
		json_object_int_add(member, "weight", info->members[i].weight);
		json_object_int_add(member, "slots", info->members[i].slots);
		json_object_boolean_add(member, "backup", is_backup(&info->members[i]));
		if (info->members[i].n_backups)
			json_object_object_add(member, "backups",
					       backups_json(info, &info->members[i]));
		if (info->members[i].backup_refused)
			json_object_boolean_add(member, "backupByKernelOnly", true);
		json_object_array_add(members, member);
	}
	json_object_object_add(object, "members", members);
	return object;
}

/* What stands in for a member, below it. */
static void backups_line(struct vty *vty, const struct fib_group_info *info,
			 const struct fib_member_info *member)
{
	if (!member->n_backups && !member->backup_refused)
		return;
	vty_out(vty, "%17s", "backup:");
	for (uint32_t i = 0; i < member->n_backups; i++)
		vty_out(vty, " %u", info->members[member->backup[i]].nexthop);
	if (member->backup_refused)
		vty_out(vty, " one with labels or encapsulation, which the program does not use");
	vty_out(vty, "\n");
}

void show_members(struct vty *vty, const struct fib_group_info *info,
		  const struct show_names *names)
{
	if (info->n == 0) {
		vty_out(vty, "  no usable next hop: the kernel forwards\n");
		return;
	}
	nexthop_header(vty, "  Weight  Slots  ");
	for (size_t i = 0; i < info->n; i++) {
		struct fib_nexthop_info nexthop;

		if (fib_nexthop_get(module.fib, info->members[i].nexthop, &nexthop))
			continue;
		if (is_backup(&info->members[i]))
			vty_out(vty, "  %6s  %5u  ", "backup", info->members[i].slots);
		else
			vty_out(vty, "  %6u  %5u  ", info->members[i].weight,
				info->members[i].slots);
		nexthop_line(vty, &nexthop, names);
		backups_line(vty, info, &info->members[i]);
	}
}

/* One entry or all, each read under the FIB's lock for itself. */
int show_nexthop(struct vty *vty, const char *number, bool json)
{
	uint32_t first = number ? strtoul(number, NULL, 10) : 1;
	json_object *list = json ? json_object_new_array() : NULL;
	struct fib_nexthop_info info;
	struct show_names names;
	bool found = false;

	show_names_read(&names);
	for (uint32_t n = number ? first : fib_nexthop_next(module.fib, first); n;
	     n = number ? 0 : fib_nexthop_next(module.fib, n + 1)) {
		if (fib_nexthop_get(module.fib, n, &info))
			continue;
		if (json) {
			json_object_array_add(list, show_nexthop_json(&info, &names));
		} else {
			if (!found)
				nexthop_header(vty, "");
			nexthop_line(vty, &info, &names);
		}
		found = true;
	}
	show_names_free(&names);
	if (json)
		return vty_json(vty, list);
	if (!found)
		vty_out(vty, number ? "%% No next hop %s\n" : "No next hops\n", number);
	return CMD_SUCCESS;
}

int show_group(struct vty *vty, const char *number, bool json)
{
	uint32_t first = number ? strtoul(number, NULL, 10) : FIB_GROUP_FIRST;
	json_object *list = json ? json_object_new_array() : NULL;
	struct fib_group_info info;
	struct show_names names;
	bool found = false;

	show_names_read(&names);
	for (uint32_t id = number ? first : fib_group_next(module.fib, first); id;
	     id = number ? 0 : fib_group_next(module.fib, id + 1)) {
		if (fib_group_get(module.fib, id, &info))
			continue;
		found = true;
		if (json) {
			json_object_array_add(list, show_group_json(&info, &names));
		} else {
			vty_out(vty, "Group %u: %u slot%s, %u route%s, generation %u%s\n",
				info.group, info.slots, info.slots == 1 ? "" : "s", info.routes,
				info.routes == 1 ? "" : "s", info.generation,
				info.steered ? ", steered by link metrics" : "");
			show_members(vty, &info, &names);
		}
		free(info.members);
	}
	show_names_free(&names);
	if (json)
		return vty_json(vty, list);
	if (!found)
		vty_out(vty, number ? "%% No group %s\n" : "No groups\n", number);
	return CMD_SUCCESS;
}
