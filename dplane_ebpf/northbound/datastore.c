// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The datastore commands: how a NETCONF server reads the configuration, and hands over a new one as a whole. Not for people:
 * vtysh does not know them.
 */
#include "dplane_ebpf/northbound/northbound.h"

#include "lib/base64.h"
#include "lib/northbound_cli.h"

#include "dplane_ebpf/notice.h"
#include "dplane_ebpf/zlog_sink.h"

#define SIZE_MAX_TEXT (64u << 20)

struct text {
	char *data;
	size_t len, size;
};

/* What one server has handed over so far. */
static struct {
	const struct vty *owner;
	struct text base, target;
	bool too_large;
	uint64_t instance;
} pending;

static void text_free(struct text *text)
{
	free(text->data);
	*text = (struct text){0};
}

static void pending_free(void)
{
	text_free(&pending.base);
	text_free(&pending.target);
	pending.owner = NULL;
	pending.too_large = false;
}

static bool text_grow(struct text *text, size_t more)
{
	size_t size = text->size ? text->size : 4096;
	char *data;

	if (text->len + more + 1 > SIZE_MAX_TEXT)
		return false;
	while (size < text->len + more + 1)
		size *= 2;
	data = size == text->size ? text->data : realloc(text->data, size);
	if (!data)
		return false;
	text->data = data;
	text->size = size;
	return true;
}

/* One line of JSON, as a result that is no success. */
static int refuse(struct vty *vty, const char *error, const char *path, const char *message)
{
	json_object *object = json_object_new_object();

	json_object_string_add(object, "error", error);
	json_object_string_add(object, "path", path ? path : NORTHBOUND_ROOT);
	json_object_string_add(object, "message", message);
	vty_out(vty, "%s\n", json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN));
	json_object_put(object);
	return CMD_WARNING_CONFIG_FAILED;
}

static int add(struct vty *vty, struct text *text, const char *base64)
{
	struct base64_decodestate state;
	size_t len = strlen(base64);
	int n;

	if (pending.owner != vty)
		return refuse(vty, "failed", NULL, "nothing was begun");
	if (pending.too_large || !text_grow(text, len)) {
		pending.too_large = true;
		return refuse(vty, "failed", NULL, "too large");
	}
	base64_init_decodestate(&state);
	n = base64_decode_block(base64, (int)len, text->data + text->len, &state);
	text->len += n > 0 ? (size_t)n : 0;
	text->data[text->len] = '\0';
	return CMD_SUCCESS;
}

/* ---- from two trees to edits ---- */

struct edit {
	struct nb_config *candidate;
	bool check;	   /* for what somebody else changed meanwhile */
	const char *error; /* first one wins */
	char path[XPATH_MAXLEN];
	char message[256];
};

static bool edit_failed(struct edit *edit, const char *error, const char *path, const char *message)
{
	if (!edit->error) {
		edit->error = error;
		snprintf(edit->path, sizeof(edit->path), "%s", path);
		snprintf(edit->message, sizeof(edit->message), "%s", message);
	}
	return false;
}

static bool edit_one(struct edit *edit, const struct lyd_node *node, enum nb_operation operation)
{
	const struct nb_node *nb_node = node->schema->priv;
	char xpath[XPATH_MAXLEN];
	int ret;

	yang_dnode_get_path(node, xpath, sizeof(xpath));
	if (!nb_node)
		return edit_failed(edit, "invalid", xpath, "is no configuration");
	ret = compat_candidate_edit(edit->candidate, nb_node, operation, xpath,
				    operation == NB_OP_MODIFY ? lyd_get_value(node) : NULL);
	if (ret != NB_OK && ret != NB_ERR_NOT_FOUND)
		return edit_failed(edit, "failed", xpath, nb_err_name(ret));
	return true;
}

/* What the configuration has there now; what it has by default only is as if it were not there. */
static const struct lyd_node *present(const struct edit *edit, const struct lyd_node *node)
{
	char xpath[XPATH_MAXLEN];
	const struct lyd_node *found;

	yang_dnode_get_path(node, xpath, sizeof(xpath));
	found = yang_dnode_get(edit->candidate->dnode, xpath);
	return found && !(found->flags & LYD_DEFAULT) ? found : NULL;
}

static bool same_value(const struct lyd_node *a, const struct lyd_node *b)
{
	return strcmp(lyd_get_value(a), lyd_get_value(b)) == 0;
}

static bool conflict(struct edit *edit, const struct lyd_node *node)
{
	char xpath[XPATH_MAXLEN];

	yang_dnode_get_path(node, xpath, sizeof(xpath));
	return edit_failed(edit, "conflict", xpath, "was changed by somebody else meanwhile");
}

static bool edit_remove(struct edit *edit, const struct lyd_node *node)
{
	const struct lyd_node *now = present(edit, node), *child;

	if (node->schema->nodetype & LYS_CONTAINER) {
		LY_LIST_FOR(lyd_child(node), child) {
			if (!edit_remove(edit, child))
				return false;
		}
		return true;
	}
	if (!now)
		return true;
	if (edit->check && node->schema->nodetype & LYS_LEAF && !same_value(now, node))
		return conflict(edit, node);
	return edit_one(edit, node, NB_OP_DESTROY);
}

static bool edit_set(struct edit *edit, const struct lyd_node *before, const struct lyd_node *node)
{
	const struct lyd_node *now = present(edit, node);
	bool empty = ((const struct lysc_node_leaf *)node->schema)->type->basetype == LY_TYPE_EMPTY;

	if (edit->check && !empty && now && !same_value(now, node) &&
	    (!before || !same_value(now, before)))
		return conflict(edit, node);
	return edit_one(edit, node, empty ? NB_OP_CREATE : NB_OP_MODIFY);
}

static const struct lyd_node *counterpart(const struct lyd_node *parent,
					  const struct lyd_node *node)
{
	struct lyd_node *found = NULL;
	const struct lyd_node *child;

	if (!parent || !lyd_child(parent))
		return NULL;
	if (node->schema->nodetype & LYS_LIST) {
		lyd_find_sibling_first(lyd_child(parent), node, &found);
		return found;
	}
	LY_LIST_FOR(lyd_child(parent), child) {
		if (child->schema == node->schema)
			return child;
	}
	return NULL;
}

/* What differs between two trees, as edits. before may be NULL. */
static bool edit_tree(struct edit *edit, const struct lyd_node *before,
		      const struct lyd_node *after)
{
	const struct lyd_node *child, *other;

	LY_LIST_FOR(before ? lyd_child(before) : NULL, child) {
		if (!lysc_is_key(child->schema) && !counterpart(after, child) &&
		    !edit_remove(edit, child))
			return false;
	}
	LY_LIST_FOR(lyd_child(after), child) {
		if (lysc_is_key(child->schema))
			continue;
		other = counterpart(before, child);
		if (child->schema->nodetype & LYS_LEAF) {
			if ((!other || !same_value(child, other)) && !edit_set(edit, other, child))
				return false;
			continue;
		}
		if (!other && child->schema->nodetype & LYS_LIST &&
		    !edit_one(edit, child, NB_OP_CREATE))
			return false;
		if (!edit_tree(edit, other, child))
			return false;
	}
	return true;
}

/* ---- the commands ---- */

/* The path that a message names; else our root. */
static void path_of(const char *message, char *path, size_t len)
{
	const char *begin = strstr(message, NORTHBOUND_ROOT);
	size_t n = begin ? strcspn(begin, " \"\n,") : 0;

	while (n && strchr(":.)", begin[n - 1]))
		n--;
	snprintf(path, len, "%.*s", n ? (int)n : (int)strlen(NORTHBOUND_ROOT),
		 n ? begin : NORTHBOUND_ROOT);
}

static const char *one_line(char *message)
{
	for (char *c = message; *c; c++) {
		if (*c == '\n')
			*c = c[1] ? ' ' : '\0';
	}
	return message;
}

static struct lyd_node *parse(struct vty *vty, const struct text *text, int *ret)
{
	struct lyd_node *tree = NULL;
	char message[BUFSIZ] = "", path[XPATH_MAXLEN];
	LY_ERR err;

	*ret = CMD_SUCCESS;
	if (!text->len)
		return NULL;
	err = lyd_parse_data_mem(ly_native_ctx, text->data, LYD_XML,
				 LYD_PARSE_ONLY | LYD_PARSE_STRICT | LYD_PARSE_NO_STATE, 0, &tree);
	if (!err && tree &&
	    (tree->next || strcmp(tree->schema->module->name, "frr-dplane-ebpf") != 0)) {
		lyd_free_all(tree);
		tree = NULL;
		*ret = refuse(vty, "invalid", NULL, "holds something else than this container");
	} else if (err) {
		yang_print_errors(ly_native_ctx, message, sizeof(message));
		path_of(message, path, sizeof(path));
		*ret = refuse(vty, "invalid", path, one_line(message));
	}
	return tree;
}

static int run(struct vty *vty, struct edit *edit, bool commit)
{
	char message[BUFSIZ] = "", path[XPATH_MAXLEN];
	int ret = compat_candidate_commit(vty, edit->candidate, commit, message, sizeof(message));

	if (ret == NB_OK || ret == NB_ERR_NO_CHANGES)
		return CMD_SUCCESS;
	if (!message[0])
		yang_print_errors(ly_native_ctx, message, sizeof(message));
	path_of(message, path, sizeof(path));
	return refuse(vty,
		      ret == NB_ERR_VALIDATION ? "invalid"
		      : commit_is_busy(ret)    ? "busy"
					       : "failed",
		      path, message[0] ? one_line(message) : nb_err_name(ret));
}

static int finish(struct vty *vty, bool commit)
{
	struct lyd_node *base, *target = NULL;
	struct edit edit = {.check = true}, shared = {.candidate = vty_shared_candidate_config};
	int ret;

	if (pending.owner != vty || pending.too_large || !pending.target.len)
		return refuse(vty, "failed", NULL, "nothing was handed over, or too much");
	commit_settle();
	base = parse(vty, &pending.base, &ret);
	if (ret == CMD_SUCCESS)
		target = parse(vty, &pending.target, &ret);
	if (ret == CMD_SUCCESS && !target)
		ret = refuse(vty, "invalid", NULL, "is empty");
	if (ret == CMD_SUCCESS) {
		edit.candidate = nb_config_dup(running_config);
		if (edit_tree(&edit, base, target))
			ret = run(vty, &edit, commit);
		else
			ret = refuse(vty, edit.error, edit.path, edit.message);
		nb_config_free(edit.candidate);
		/* what vtysh has edited and not yet committed stays */
		if (ret == CMD_SUCCESS && commit)
			edit_tree(&shared, base, target);
	}
	if (base)
		lyd_free_all(base);
	if (target)
		lyd_free_all(target);
	/* else it may be asked again */
	if (commit && ret == CMD_SUCCESS)
		pending_free();
	return ret;
}

static int show_status(struct vty *vty)
{
	json_object *object = json_object_new_object();

	json_object_int_add(object, "instance", pending.instance);
	json_object_int_add(object, "version", config_version());
	json_object_boolean_add(object, "read", zlog_sink_released() && !commit_waits());
	json_object_int_add(object, "event", notice_last());
	vty_out(vty, "%s\n", json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN));
	json_object_put(object);
	return CMD_SUCCESS;
}

static int show_running(struct vty *vty)
{
	const struct lyd_node *root = yang_dnode_get(running_config->dnode, NORTHBOUND_ROOT);
	char *text = NULL;

	if (!root || lyd_print_mem(&text, root, LYD_XML,
				   LYD_PRINT_SHRINK | LYD_PRINT_WD_TRIM | LYD_PRINT_KEEPEMPTYCONT))
		return refuse(vty, "failed", NULL, "the configuration cannot be printed");
	/* libyang prints nothing where all is as by default */
	vty_out(vty, "%s\n",
		text ? text : "<dplane-ebpf xmlns=\"http://frrouting.org/yang/dplane-ebpf\"/>");
	free(text);
	return CMD_SUCCESS;
}

DEFUN_HIDDEN(show_dplane_ebpf_datastore, show_dplane_ebpf_datastore_cmd,
	     "show dplane ebpf datastore <status|running|state>",
	     SHOW_STR "Data plane\nForwarding by eBPF\nFor a NETCONF server\n"
		      "Versions\nConfiguration as XML\nState as XML\n")
{
	const char *what = argv[4]->text;

	if (strcmp(what, "status") == 0)
		return show_status(vty);
	if (strcmp(what, "running") == 0)
		return show_running(vty);
	state_print(vty);
	return CMD_SUCCESS;
}

/* So many at a time: the server has one thread, and serves nobody while it passes them on. */
#define EVENTS_AT_ONCE 300

DEFUN_HIDDEN(show_dplane_ebpf_datastore_events, show_dplane_ebpf_datastore_events_cmd,
	     "show dplane ebpf datastore events (0-4294967295)",
	     SHOW_STR "Data plane\nForwarding by eBPF\nFor a NETCONF server\n"
		      "What happened\nAfter the event of this number\n")
{
	struct notice *list = calloc(EVENTS_AT_ONCE, sizeof(*list));
	json_object *array = json_object_new_array();
	size_t n = 0;

	if (list)
		n = notice_read(strtoull(argv[5]->arg, NULL, 10), list, EVENTS_AT_ONCE);
	for (size_t i = 0; i < n; i++)
		json_object_array_add(array, notification_json(&list[i]));
	vty_out(vty, "%s\n", json_object_to_json_string_ext(array, JSON_C_TO_STRING_PLAIN));
	json_object_put(array);
	free(list);
	return CMD_SUCCESS;
}

DEFUN_HIDDEN(dplane_ebpf_datastore_text, dplane_ebpf_datastore_text_cmd,
	     "dplane ebpf datastore <base|target> TEXT",
	     "Data plane\nForwarding by eBPF\nFor a NETCONF server\n"
	     "What the edit started from\nWhat it shall be\nXML in base64\n")
{
	bool base = strcmp(argv[3]->text, "base") == 0;

	return add(vty, base ? &pending.base : &pending.target, argv[4]->arg);
}

DEFUN_HIDDEN(dplane_ebpf_datastore, dplane_ebpf_datastore_cmd,
	     "dplane ebpf datastore <begin|validate|commit>",
	     "Data plane\nForwarding by eBPF\nFor a NETCONF server\n"
	     "Begin to hand over\nCheck it\nTake it\n")
{
	if (strcmp(argv[3]->text, "begin") == 0) {
		pending_free();
		pending.owner = vty;
		return CMD_SUCCESS;
	}
	return finish(vty, strcmp(argv[3]->text, "commit") == 0);
}

void datastore_init(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	pending.instance = (uint64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
	install_element(ENABLE_NODE, &show_dplane_ebpf_datastore_cmd);
	install_element(ENABLE_NODE, &show_dplane_ebpf_datastore_events_cmd);
	install_element(ENABLE_NODE, &dplane_ebpf_datastore_text_cmd);
	install_element(ENABLE_NODE, &dplane_ebpf_datastore_cmd);
}

void datastore_stop(void)
{
	pending_free();
}
