// SPDX-License-Identifier: GPL-2.0-or-later
/* The configuration commands, and the same as `show running-config` writes them. */
#include "dplane_ebpf/northbound/northbound.h"

#include "lib/northbound_cli.h"

#include "dplane_ebpf/northbound/commands.h"
#include "dplane_ebpf/northbound/values.h"

/* ---- from the command line ---- */

/* The words behind "dplane ebpf", "no" or not. */
struct words {
	struct cmd_token **token;
	int n;
	bool no;
};

static struct words read_words(int argc, struct cmd_token *argv[])
{
	bool no = strcmp(argv[0]->text, "no") == 0;
	int before = no ? 3 : 2;

	return (struct words){.token = argv + before, .n = argc - before, .no = no};
}

static bool is_address(const struct cmd_token *token)
{
	return token->type == IPV4_TKN || token->type == IPV6_TKN;
}

static int fail(struct vty *vty, const char *format, ...) PRINTFRR(2, 3);
static int fail(struct vty *vty, const char *format, ...)
{
	char line[512];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	vty_out(vty, "%% %s\n", line);
	return CMD_WARNING_CONFIG_FAILED;
}

static bool good_interface(struct vty *vty, const char *name)
{
	if (name[0] && strlen(name) < IF_NAMESIZE && !strpbrk(name, "/|'\" \t"))
		return true;
	fail(vty, "interface: '%.40s' cannot be the name of an interface", name);
	return false;
}

/* Sets a leaf, or takes it back to what it is by default. */
static int set_leaf(struct vty *vty, const char *xpath, const char *value)
{
	nb_cli_enqueue_change(vty, xpath, value ? NB_OP_MODIFY : NB_OP_DESTROY, value);
	return commit_changes(vty);
}

static int run_dplane_ebpf_kernel_only(struct vty *vty, const struct words *words)
{
	/* a leaf with a default is not deleted but set to it */
	nb_cli_enqueue_change(vty, NORTHBOUND_ROOT "/enabled", NB_OP_MODIFY,
			      words->no ? "true" : "false");
	return commit_changes(vty);
}

static int run_dplane_ebpf_bypass(struct vty *vty, const struct words *words)
{
	nb_cli_enqueue_change(vty, NORTHBOUND_ROOT "/bypass-allowed", NB_OP_MODIFY,
			      words->no ? "false" : "true");
	return commit_changes(vty);
}

static int run_dplane_ebpf_table_size(struct vty *vty, const struct words *words)
{
	return set_leaf(vty, NORTHBOUND_ROOT "/table-size",
			words->no ? NULL : words->token[1]->text);
}

static int run_dplane_ebpf_hold_time(struct vty *vty, const struct words *words)
{
	return set_leaf(vty, NORTHBOUND_ROOT "/kernel-fallback/hold-time",
			words->no ? NULL : words->token[1]->arg);
}

/* Whether an entry of a list says anything but its key and, if any, this leaf. */
static bool says_more(const struct lyd_node *entry, const char *except)
{
	const struct lyd_node *child, *below;
	const char *name = except ? strrchr(except, '/') : NULL;

	name = name ? name + 1 : except;
	LY_LIST_FOR(lyd_child(entry), child) {
		if (lysc_is_key(child->schema) || lyd_is_default(child))
			continue;
		if (!(child->schema->nodetype & LYS_CONTAINER)) {
			if (!name || strcmp(child->schema->name, name) != 0)
				return true;
			continue;
		}
		LY_LIST_FOR(lyd_child(child), below) {
			if (!name || strcmp(below->schema->name, name) != 0)
				return true;
		}
	}
	return false;
}

static int run_dplane_ebpf_interface(struct vty *vty, const struct words *words)
{
	const char *name = words->token[1]->arg;
	const char *what = words->n > 2 ? words->token[2]->text : NULL;
	char entry[XPATH_MAXLEN], leaf[XPATH_MAXLEN + 32];
	const struct lyd_node *node;
	bool bypass = what && strcmp(what, "bypass") == 0;

	if (!good_interface(vty, name))
		return CMD_WARNING_CONFIG_FAILED;
	snprintf(entry, sizeof(entry), NORTHBOUND_ROOT "/interface[name='%s']", name);
	snprintf(leaf, sizeof(leaf), "%s/%s", entry, bypass ? "bypass-allowed" : "accelerate");
	node = yang_dnode_get(commit_tree(vty), entry);
	if (words->no && !node)
		return CMD_SUCCESS;
	if (!words->no)
		nb_cli_enqueue_change(vty, entry, NB_OP_CREATE, NULL);
	if (words->no && (!what || !says_more(node, bypass ? "bypass-allowed" : "accelerate")))
		nb_cli_enqueue_change(vty, entry, NB_OP_DESTROY, NULL);
	else if (what)
		nb_cli_enqueue_change(vty, leaf, NB_OP_MODIFY,
				      bypass == words->no ? "false" : "true");
	return commit_changes(vty);
}

/* What a line is about: a link, maybe one next hop on it. */
struct target {
	char link[XPATH_MAXLEN / 2];
	char hop[XPATH_MAXLEN]; /* empty: the link itself */
	char error[128];
	int next; /* the word after it */
};

static bool read_target(struct vty *vty, const struct words *words, struct target *target)
{
	const char *name = words->token[1]->arg;
	char address[INET6_ADDRSTRLEN];
	uint8_t binary[16];
	int family;

	target->hop[0] = '\0';
	target->next = 2;
	if (!good_interface(vty, name))
		return false;
	snprintf(target->link, sizeof(target->link),
		 NORTHBOUND_ROOT "/link-metrics/link[interface='%s']", name);
	if (words->n < 3 || !is_address(words->token[2]))
		return true;
	target->next = 3;
	/* in YANG there is one spelling of each address */
	family = words->token[2]->type == IPV4_TKN ? AF_INET : AF_INET6;
	if (inet_pton(family, words->token[2]->arg, binary) != 1 ||
	    !inet_ntop(family, binary, address, sizeof(address))) {
		fail(vty, "'%.40s' is no address", words->token[2]->arg);
		return false;
	}
	snprintf(target->hop, sizeof(target->hop), "%s/next-hop[address='%s']", target->link,
		 address);
	return true;
}

static const char *entry_of(const struct target *target)
{
	return target->hop[0] ? target->hop : target->link;
}

static int set_value(struct vty *vty, const struct target *target, const char *leaf,
		     const char *value)
{
	char xpath[XPATH_MAXLEN + 64];

	snprintf(xpath, sizeof(xpath), "%s/%s", entry_of(target), leaf);
	nb_cli_enqueue_change(vty, target->link, NB_OP_CREATE, NULL);
	if (target->hop[0])
		nb_cli_enqueue_change(vty, target->hop, NB_OP_CREATE, NULL);
	nb_cli_enqueue_change(vty, xpath, value ? NB_OP_MODIFY : NB_OP_CREATE, value);
	return commit_changes(vty);
}

/* Removes a leaf, or all if it is NULL; and entries that say nothing any more. */
static int remove_value(struct vty *vty, const struct target *target, const char *leaf)
{
	const struct lyd_node *tree = commit_tree(vty);
	const struct lyd_node *link = yang_dnode_get(tree, target->link);
	const struct lyd_node *hop = target->hop[0] ? yang_dnode_get(tree, target->hop) : NULL;
	const struct lyd_node *child;
	char xpath[XPATH_MAXLEN + 64];
	unsigned int hops = 0;

	if (!link || (target->hop[0] && !hop))
		return CMD_SUCCESS;
	snprintf(xpath, sizeof(xpath), "%s/%s", entry_of(target), leaf ? leaf : "");
	if (leaf && says_more(hop ? hop : link, leaf)) {
		nb_cli_enqueue_change(vty, xpath, NB_OP_DESTROY, NULL);
		return commit_changes(vty);
	}
	LY_LIST_FOR(lyd_child(link), child)
		hops += (child->schema->nodetype & LYS_LIST) != 0;
	/* the last of its next hops goes, and of the link itself nothing is said */
	if (hop && hops == 1 && !says_more(link, "next-hop"))
		hop = NULL;
	nb_cli_enqueue_change(vty, hop ? target->hop : target->link, NB_OP_DESTROY, NULL);
	return commit_changes(vty);
}

static int run_dplane_ebpf_link_metric(struct vty *vty, const struct words *words)
{
	const struct values_leaf *leaf;
	struct target target;
	char value[VALUES_TEXT_LEN];
	const char *keyword, *text;
	bool is_lifetime;

	if (!read_target(vty, words, &target))
		return CMD_WARNING_CONFIG_FAILED;
	if (words->n == target.next) {
		if (words->no)
			return remove_value(vty, &target, NULL);
		nb_cli_enqueue_change(vty, target.link, NB_OP_CREATE, NULL);
		if (target.hop[0])
			nb_cli_enqueue_change(vty, target.hop, NB_OP_CREATE, NULL);
		return commit_changes(vty);
	}
	keyword = words->token[target.next]->text;
	is_lifetime = strcmp(keyword, "lifetime") == 0;
	leaf = values_by_keyword(is_lifetime ? "expires" : keyword);
	if (words->no)
		return remove_value(vty, &target, leaf->path);
	if (leaf->kind == VALUES_EMPTY)
		return set_value(vty, &target, leaf->path, NULL);
	text = words->token[target.next + 1]->arg;
	if (is_lifetime)
		values_time_text(time(NULL) + strtoll(text, NULL, 10), value);
	else if (!values_from_cli(leaf, text, value, target.error, sizeof(target.error)))
		return fail(vty, "%s", target.error);
	return set_value(vty, &target, leaf->path, value);
}

static int run_dplane_ebpf_link_metric_description(struct vty *vty, const struct words *words)
{
	struct target target;
	char text[4 * 255 + 2]; /* as much as 255 characters may need */
	size_t len = 0;

	if (!read_target(vty, words, &target))
		return CMD_WARNING_CONFIG_FAILED;
	if (words->no)
		return remove_value(vty, &target, "description");
	for (int i = target.next + 1; i < words->n; i++) {
		const char *word = words->token[i]->arg;

		if (len + 1 + strlen(word) >= sizeof(text))
			return fail(vty, "description: more than 255 characters");
		len += snprintf(text + len, sizeof(text) - len, "%s%s", len ? " " : "", word);
	}
	return set_value(vty, &target, "description", text);
}

#define X(name, string, help, no_string, no_help) \
	DEFUN(name, name##_cmd, string, help) \
	{ \
		const struct words words = read_words(argc, argv); \
\
		return run_##name(vty, &words); \
	} \
	DEFUN(no_##name, no_##name##_cmd, no_string, no_help) \
	{ \
		const struct words words = read_words(argc, argv); \
\
		return run_##name(vty, &words); \
	}
DPE_CONFIG_COMMANDS(X)
#undef X

/* ---- and back ---- */

static void show_enabled(struct vty *vty, const struct lyd_node *node, bool defaults)
{
	vty_out(vty, "%sdplane ebpf kernel-only\n",
		strcmp(lyd_get_value(node), "true") ? "" : "no ");
}

static void show_bypass(struct vty *vty, const struct lyd_node *node, bool defaults)
{
	vty_out(vty, "%sdplane ebpf bypass\n", strcmp(lyd_get_value(node), "true") ? "no " : "");
}

static void show_table_size(struct vty *vty, const struct lyd_node *node, bool defaults)
{
	vty_out(vty, "dplane ebpf table-size %s\n", lyd_get_value(node));
}

static void show_hold_time(struct vty *vty, const struct lyd_node *node, bool defaults)
{
	vty_out(vty, "dplane ebpf hold-time %s\n", lyd_get_value(node));
}

static const char *key_of(const struct lyd_node *entry)
{
	return lyd_get_value(lyd_child(entry));
}

static void show_interface_entry(struct vty *vty, const struct lyd_node *node, bool defaults)
{
	bool said = false;
	const struct lyd_node *child;

	LY_LIST_FOR(lyd_child(node), child) {
		bool is_true = strcmp(lyd_get_value(child), "true") == 0;

		if (strcmp(child->schema->name, "accelerate") == 0 && (!is_true || defaults)) {
			vty_out(vty, "%sdplane ebpf interface %s kernel-only\n",
				is_true ? "no " : "", key_of(node));
			said = true;
		} else if (strcmp(child->schema->name, "bypass-allowed") == 0 &&
			   (is_true || defaults)) {
			vty_out(vty, "%sdplane ebpf interface %s bypass\n", is_true ? "" : "no ",
				key_of(node));
			said = true;
		}
	}
	if (!said)
		vty_out(vty, "dplane ebpf interface %s\n", key_of(node));
}

static void show_values(struct vty *vty, const struct lyd_node *entry, const char *prefix)
{
	for (const struct values_leaf *leaf = values_leaves; leaf->path; leaf++) {
		const struct lyd_node *node = yang_dnode_get(entry, leaf->path);
		char text[VALUES_TEXT_LEN];

		if (!node)
			continue;
		if (leaf->kind == VALUES_EMPTY) {
			vty_out(vty, "%s %s\n", prefix, leaf->keyword);
		} else if (leaf->kind == VALUES_TEXT) {
			vty_out(vty, "%s %s %s\n", prefix, leaf->keyword, lyd_get_value(node));
		} else {
			values_to_cli(leaf, lyd_get_value(node), text);
			vty_out(vty, "%s %s %s\n", prefix, leaf->keyword, text);
		}
	}
	if (!says_more(entry, NULL))
		vty_out(vty, "%s\n", prefix);
}

static void show_link(struct vty *vty, const struct lyd_node *node, bool defaults)
{
	char prefix[64];

	snprintf(prefix, sizeof(prefix), "dplane ebpf link-metric %s", key_of(node));
	show_values(vty, node, prefix);
}

static void show_next_hop(struct vty *vty, const struct lyd_node *node, bool defaults)
{
	char prefix[128];

	snprintf(prefix, sizeof(prefix), "dplane ebpf link-metric %s %s", key_of(lyd_parent(node)),
		 key_of(node));
	show_values(vty, node, prefix);
}

static const struct {
	const char *path;
	void (*show)(struct vty *vty, const struct lyd_node *node, bool defaults);
} shows[] = {
	{"/enabled", show_enabled},
	{"/bypass-allowed", show_bypass},
	{"/table-size", show_table_size},
	{"/kernel-fallback/hold-time", show_hold_time},
	{"/interface", show_interface_entry},
	{"/link-metrics/link", show_link},
	{"/link-metrics/link/next-hop", show_next_hop},
};

void cli_callbacks(struct nb_node *node)
{
	for (size_t i = 0; i < array_size(shows); i++) {
		if (northbound_path_is(node, shows[i].path))
			node->cbs.cli_show = shows[i].show;
	}
}

static int config_write(struct vty *vty)
{
	const struct lyd_node *root = yang_dnode_get(running_config->dnode, NORTHBOUND_ROOT);

	if (root)
		nb_cli_show_dnode_cmds(vty, root, false);
	return 1;
}

/* `show running-config` asks nodes only: one that zebra does not use, of which nobody ever is. */
static struct cmd_node config_node = {
	.name = "dplane ebpf",
	.node = NODE_TYPE_MAX,
	.prompt = "",
	.config_write = config_write,
};

void cli_init(void)
{
	install_node(&config_node);
#define X(name, string, help, no_string, no_help) \
	install_element(CONFIG_NODE, &name##_cmd); \
	install_element(CONFIG_NODE, &no_##name##_cmd);
	DPE_CONFIG_COMMANDS(X)
#undef X
}
