// SPDX-License-Identifier: GPL-2.0-or-later
/* show and clear dplane ebpf consistency: what the audit found, and what it does now. */
#include "dplane_ebpf/northbound/show.h"

#include "dplane_ebpf/audit/audit.h"
#include "dplane_ebpf/module.h"

#define FRESH_US 1000000 /* a younger result is not asked for again */
#define SHOWN_TEXT 20	 /* differences in full */
#define SHOWN_JSON 1000

static const struct {
	const char *name, *what, *why;
} kinds[AUDIT_KINDS_MAX] = {
#define X(e, name, what, why) [AUDIT_##e] = {name, what, why},
	AUDIT_KINDS(X)
#undef X
};

static const struct {
	const char *name, *what;
} oddities[ODDITY_MAX] = {
#define X(e, name, what) [ODDITY_##e] = {name, what},
	ODDITIES(X)
#undef X
};

/* ---- words ---- */

static double seconds(int64_t us)
{
	return us / 1e6;
}

static const char *prefix_text(const struct record *record, char *buf)
{
	char addr[INET6_ADDRSTRLEN];

	inet_ntop(record->flags & RECORD_V6 ? AF_INET6 : AF_INET, record->addr, addr, sizeof(addr));
	snprintf(buf, SHOW_TEXT_LEN, "%s/%u", addr, record->len);
	return buf;
}

/* A way that is no set of next hops. */
static const char *verdict_text(uint32_t way)
{
	for (int i = 0; way & WAY_ODD && i < ODDITY_MAX; i++) {
		if (way >> i & 1)
			return oddities[i].what;
	}
	switch (way) {
	case WAY_NONE:
		return "none";
	case WAY_UNKNOWN:
		return "there";
	case FIB_GROUP_REJECT:
		return "unreachable or prohibit";
	case FIB_GROUP_BLACKHOLE:
		return "blackhole";
	case FIB_GROUP_LOCAL:
		return "local";
	case FIB_GROUP_KERNEL:
		return "the kernel's own route";
	default:
		return "left to the kernel";
	}
}

static const char *hop_text(const struct fib_member *member, const struct show_names *names,
			    char *buf, size_t len)
{
	char gate[SHOW_TEXT_LEN], name[SHOW_TEXT_LEN];

	show_name(names, member->nexthop.ifindex, name, sizeof(name));
	snprintf(buf, len, "%s%s %s", member->nexthop.family ? "via " : "",
		 show_gate(&member->nexthop, gate),
		 show_name(names, member->nexthop.ifindex, name, sizeof(name)));
	return buf;
}

static const char *state_name(enum audit_state state)
{
	static const char *const names[] = {
		[AUDIT_IDLE] = "done",
		[AUDIT_RUNNING] = "running",
		[AUDIT_REPAIRING] = "repairing",
	};

	return names[state];
}

/* ---- JSON ---- */

static json_object *way_json(const struct ways *ways, uint32_t way, const struct show_names *names)
{
	json_object *list;
	const struct fib_member *member;
	char buf[SHOW_TEXT_LEN];
	size_t n;

	member = ways_members(ways, way, &n);
	if (!member)
		return json_object_new_string(verdict_text(way));
	list = json_object_new_array();
	for (size_t i = 0; i < n; i++) {
		json_object *object = json_object_new_object();

		json_object_string_add(
			object, "interfaceName",
			show_name(names, member[i].nexthop.ifindex, buf, sizeof(buf)));
		if (member[i].nexthop.family)
			json_object_string_add(object, "gateway",
					       show_gate(&member[i].nexthop, buf));
		json_object_int_add(object, "weight", member[i].weight);
		json_object_array_add(list, object);
	}
	return list;
}

static json_object *kinds_json(uint32_t found)
{
	json_object *list = json_object_new_array();

	for (int i = 0; i < AUDIT_KINDS_MAX; i++) {
		if (found >> i & 1)
			json_object_array_add(list, json_object_new_string(kinds[i].name));
	}
	return list;
}

/* How many prefixes each of the three has. */
static json_object *compared_json(const struct audit_counts *counts)
{
	static const char *const family[] = {"ipv4", "ipv6"};
	json_object *compared = json_object_new_object();

	for (int i = 0; i < 2; i++) {
		json_object *of_family = json_object_new_object();

		json_object_int_add(of_family, "zebra", counts->rib[i]);
		json_object_int_add(of_family, "kernel", counts->kernel[i]);
		json_object_int_add(of_family, "ours", counts->ours[i]);
		json_object_object_add(compared, family[i], of_family);
	}
	return compared;
}

static json_object *difference_json(const struct ways *ways, const struct record *record,
				    const struct show_names *names)
{
	json_object *object = json_object_new_object();
	char buf[SHOW_TEXT_LEN];

	json_object_string_add(object, "prefix", prefix_text(record, buf));
	json_object_int_add(object, "table", fib_table_kernel(module.fib, record->table));
	json_object_object_add(object, "kinds", kinds_json(compare(ways, record)));
	json_object_object_add(object, "zebra", way_json(ways, record->rib, names));
	json_object_object_add(object, "kernel", way_json(ways, record->kernel, names));
	json_object_object_add(object, "ours", way_json(ways, record->ours, names));
	if (record->flags & RECORD_COVERED)
		json_object_boolean_add(object, "oursByShorterPrefix", true);
	if (record->flags & RECORD_DOUBTED)
		json_object_boolean_add(object, "sentToKernel", true);
	return object;
}

static json_object *result_json(const struct audit_result *result, int64_t age_us)
{
	json_object *object = json_object_new_object();
	json_object *by_kind = json_object_new_object(), *list = json_object_new_array();
	json_object *not_compared = json_object_new_object();
	const struct snapshot *differences = &result->differences;
	struct show_names names;

	json_object_int_add(object, "run", result->run);
	json_object_int_add(object, "finished", result->when);
	json_object_double_add(object, "ageSeconds", seconds(age_us));
	json_object_double_add(object, "tookSeconds", seconds(result->took_us));
	if (result->error[0])
		json_object_string_add(object, "error", result->error);
	json_object_object_add(object, "compared", compared_json(&result->counts));
	json_object_int_add(object, "leftToKernel", result->left_to_kernel);
	json_object_int_add(object, "unsettled", result->unsettled);
	json_object_int_add(object, "differences", result->differing);
	for (int i = 0; i < AUDIT_KINDS_MAX; i++)
		json_object_int_add(by_kind, kinds[i].name, result->by_kind[i]);
	json_object_object_add(object, "byKind", by_kind);
	for (int i = 0; i < ODDITY_MAX; i++)
		json_object_int_add(not_compared, oddities[i].name, result->by_oddity[i]);
	json_object_object_add(object, "notCompared", not_compared);
	json_object_int_add(object, "sentToKernel", result->sent_to_kernel);
	show_names_read(&names);
	for (size_t i = 0; i < differences->n && i < SHOWN_JSON; i++)
		json_object_array_add(
			list, difference_json(differences->ways, &differences->record[i], &names));
	show_names_free(&names);
	json_object_object_add(object, "prefixes", list);
	return object;
}

static int status_json(struct vty *vty, const struct audit_status *status)
{
	json_object *object = json_object_new_object();

	json_object_string_add(object, "state", state_name(status->state));
	if (status->state != AUDIT_IDLE) {
		json_object_int_add(object, "percent", status->percent);
		json_object_string_add(object, "doing", status->doing);
	}
	json_object_int_add(object, "runs", status->runs);
	json_object_int_add(object, "repairs", status->repairs);
	json_object_int_add(object, "longestMainThreadMicroseconds", status->longest_us);
	if (status->result)
		json_object_object_add(object, "result",
				       result_json(status->result, status->age_us));
	return vty_json(vty, object);
}

/* ---- JSON as YANG's state has it: lists instead of objects, each way in words ---- */

static json_object *way_words(const struct ways *ways, uint32_t way, const struct show_names *names)
{
	json_object *list = json_object_new_array();
	const struct fib_member *member;
	char buf[3 * SHOW_TEXT_LEN];
	size_t n;

	member = ways_members(ways, way, &n);
	if (!member)
		json_object_array_add(list, json_object_new_string(verdict_text(way)));
	for (size_t i = 0; i < n; i++)
		json_object_array_add(list, json_object_new_string(
						    hop_text(&member[i], names, buf, sizeof(buf))));
	return list;
}

static json_object *difference_state(const struct ways *ways, const struct record *record,
				     const struct show_names *names)
{
	json_object *object = json_object_new_object();
	char buf[SHOW_TEXT_LEN];

	json_object_int_add(object, "table", fib_table_kernel(module.fib, record->table));
	json_object_string_add(object, "prefix", prefix_text(record, buf));
	json_object_object_add(object, "kind", kinds_json(compare(ways, record)));
	json_object_object_add(object, "zebra", way_words(ways, record->rib, names));
	json_object_object_add(object, "kernel", way_words(ways, record->kernel, names));
	json_object_object_add(object, "ours", way_words(ways, record->ours, names));
	json_object_boolean_add(object, "oursByShorterPrefix", record->flags & RECORD_COVERED);
	json_object_boolean_add(object, "sentToKernel", record->flags & RECORD_DOUBTED);
	return object;
}

/* A list of names with a number each. */
static void add_count(json_object *list, const char *name, uint64_t count)
{
	json_object *object = json_object_new_object();

	json_object_string_add(object, "name", name);
	json_object_int_add(object, "count", count);
	json_object_array_add(list, object);
}

static void result_state(json_object *object, const struct audit_result *result)
{
	json_object *list = json_object_new_array(), *by_kind = json_object_new_array();
	json_object *not_compared = json_object_new_array();
	const struct snapshot *differences = &result->differences;
	struct show_names names;

	json_object_int_add(object, "took", result->took_us / 1000);
	if (result->error[0])
		json_object_string_add(object, "error", result->error);
	json_object_object_add(object, "compared", compared_json(&result->counts));
	json_object_int_add(object, "leftToKernel", result->left_to_kernel);
	json_object_int_add(object, "unsettled", result->unsettled);
	json_object_int_add(object, "differing", result->differing);
	json_object_int_add(object, "sentToKernel", result->sent_to_kernel);
	for (int i = 0; i < AUDIT_KINDS_MAX; i++)
		add_count(by_kind, kinds[i].name, result->by_kind[i]);
	json_object_object_add(object, "kind", by_kind);
	for (int i = 0; i < ODDITY_MAX; i++)
		add_count(not_compared, oddities[i].name, result->by_oddity[i]);
	json_object_object_add(object, "notCompared", not_compared);
	show_names_read(&names);
	for (size_t i = 0; i < differences->n && i < SHOWN_JSON; i++)
		json_object_array_add(
			list, difference_state(differences->ways, &differences->record[i], &names));
	show_names_free(&names);
	json_object_object_add(object, "difference", list);
}

json_object *show_consistency_state(void)
{
	json_object *object = json_object_new_object();
	struct audit_status status;

	audit_status(&status);
	json_object_string_add(object, "state", state_name(status.state));
	if (status.state != AUDIT_IDLE) {
		json_object_int_add(object, "percent", status.percent);
		json_object_string_add(object, "doing", status.doing);
	}
	json_object_int_add(object, "runs", status.runs);
	json_object_int_add(object, "repairs", status.repairs);
	json_object_int_add(object, "longestMainThread", status.longest_us);
	if (status.result) {
		json_object_int_add(object, "age", status.age_us / 1000000);
		result_state(object, status.result);
	}
	return object;
}

/* ---- text ---- */

static void way_text(struct vty *vty, const char *who, const struct ways *ways, uint32_t way,
		     const struct show_names *names)
{
	const struct fib_member *member;
	char buf[3 * SHOW_TEXT_LEN];
	size_t n;

	member = ways_members(ways, way, &n);
	vty_out(vty, "    %-7s", who);
	if (!member)
		vty_out(vty, " %s", verdict_text(way));
	for (size_t i = 0; i < n; i++)
		vty_out(vty, "%s %s", i ? "," : "", hop_text(&member[i], names, buf, sizeof(buf)));
	vty_out(vty, "\n");
}

static void difference_text(struct vty *vty, const struct ways *ways, const struct record *record,
			    const struct show_names *names)
{
	uint32_t found = compare(ways, record), table;
	const char *between = "";
	char buf[SHOW_TEXT_LEN];

	vty_out(vty, "  %s", prefix_text(record, buf));
	table = fib_table_kernel(module.fib, record->table);
	if (table != RT_TABLE_MAIN)
		vty_out(vty, " in table %u", table);
	vty_out(vty, ": ");
	for (int i = 0; i < AUDIT_KINDS_MAX; i++) {
		if (!(found >> i & 1))
			continue;
		vty_out(vty, "%s%s", between, kinds[i].what);
		between = ", ";
	}
	vty_out(vty, "\n");
	way_text(vty, "zebra", ways, record->rib, names);
	way_text(vty, "kernel", ways, record->kernel, names);
	way_text(vty, record->flags & RECORD_COVERED ? "ours (by a shorter prefix)" : "ours", ways,
		 record->ours, names);
	if (record->flags & RECORD_DOUBTED)
		vty_out(vty, "    its packets are left to the kernel until these agree\n");
}

static void result_text(struct vty *vty, const struct audit_result *result, int64_t age_us)
{
	const struct snapshot *differences = &result->differences;
	struct show_names names;

	vty_out(vty, "Compared %" PRId64 " s ago, in %" PRId64 " ms", age_us / 1000000,
		result->took_us / 1000);
	if (result->error[0]) {
		vty_out(vty, ", not to the end: %s\n", result->error);
		return;
	}
	vty_out(vty, ": %" PRIu64 " difference%s\n", result->differing,
		result->differing == 1 ? "" : "s");
	for (int i = 0; i < 2; i++)
		vty_out(vty,
			"  %s routes: %10" PRIu64 " zebra, %10" PRIu64 " kernel, %10" PRIu64
			" ours\n",
			i ? "IPv6" : "IPv4", result->counts.rib[i], result->counts.kernel[i],
			result->counts.ours[i]);
	vty_out(vty,
		"  %" PRIu64 " left to the kernel on purpose; %" PRIu64
		" changed meanwhile and were not judged\n",
		result->left_to_kernel, result->unsettled);
	if (result->sent_to_kernel)
		vty_out(vty, "  %" PRIu64 " sent to the kernel by the audit, because they differ\n",
			result->sent_to_kernel);
	for (int i = 0; i < ODDITY_MAX; i++) {
		if (result->by_oddity[i])
			vty_out(vty, "  %" PRIu64 " not compared: the kernel has %s\n",
				result->by_oddity[i], oddities[i].what);
	}
	for (int i = 0; i < AUDIT_KINDS_MAX; i++) {
		if (result->by_kind[i])
			vty_out(vty, "%" PRIu64 " × %s: %s\n", result->by_kind[i], kinds[i].what,
				kinds[i].why);
	}
	show_names_read(&names);
	for (size_t i = 0; i < differences->n && i < SHOWN_TEXT; i++)
		difference_text(vty, differences->ways, &differences->record[i], &names);
	show_names_free(&names);
	if (result->differing > SHOWN_TEXT)
		vty_out(vty, "  and %" PRIu64 " more (json shows up to %d)\n",
			result->differing - SHOWN_TEXT, SHOWN_JSON);
}

int show_consistency(struct vty *vty, bool json)
{
	struct audit_status status;

	audit_status(&status);
	if (status.state == AUDIT_IDLE && (!status.result || status.age_us > FRESH_US)) {
		audit_run();
		audit_status(&status);
	}
	if (json)
		return status_json(vty, &status);
	if (status.state != AUDIT_IDLE)
		vty_out(vty, "%s, %u %%: ask again in a moment\n", status.doing, status.percent);
	if (status.result)
		result_text(vty, status.result, status.age_us);
	return CMD_SUCCESS;
}

void show_consistency_summary(struct vty *vty, json_object *object)
{
	struct audit_status status;
	uint64_t differing, sent;

	audit_status(&status);
	differing = status.result ? status.result->differing : 0;
	sent = status.result ? status.result->sent_to_kernel : 0;
	if (object) {
		json_object *audit = json_object_new_object();

		json_object_int_add(audit, "runs", status.runs);
		json_object_int_add(audit, "differences", differing);
		json_object_int_add(audit, "repairs", status.repairs);
		json_object_int_add(audit, "sentToKernel", sent);
		json_object_int_add(audit, "longestMainThreadMicroseconds", status.longest_us);
		json_object_object_add(object, "consistency", audit);
		return;
	}
	vty_out(vty,
		"  %-22s compared %" PRIu64 " times, %" PRIu64 " difference%s, %" PRIu64
		" repaired, %" PRIu64 " sent to the kernel, at most %" PRIu64 " µs of zebra\n",
		"Consistency", status.runs, differing, differing == 1 ? "" : "s", status.repairs,
		sent, status.longest_us);
}

int clear_consistency(struct vty *vty, bool json)
{
	struct audit_status status;

	audit_repair();
	audit_status(&status);
	if (json)
		return status_json(vty, &status);
	vty_out(vty, "%s: show dplane ebpf consistency tells what came of it\n",
		status.state == AUDIT_REPAIRING ? "Repairing, then comparing again"
		: status.state == AUDIT_RUNNING ? "Comparing, then repairing"
						: "Nothing differs");
	return CMD_SUCCESS;
}
