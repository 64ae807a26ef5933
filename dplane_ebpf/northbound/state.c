// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Operational state for YANG: what the show commands have as JSON, looked up by name. A leaf named ipv4-routes is the member
 * ipv4Routes of its container's object, a list is an array.
 */
#include "dplane_ebpf/northbound/northbound.h"

#include <ctype.h>

#include "lib/monotime.h"

#include "dplane_ebpf/northbound/snapshot.h"

/* A walk sees one picture; the next one a new one. */
#define FRESH_US 1000000
/* FRR 10 walks in pieces and holds on to list entries in between. */
#define KEPT_SECONDS 30

struct picture {
	struct picture *older;
	json_object *root;
	int64_t made; /* µs */
};

static struct {
	compat_loop *loop;
	compat_event *timer;
	struct picture *newest;
} pictures;

static void forget_before(int64_t made)
{
	struct picture **at = &pictures.newest;

	while (*at) {
		struct picture *picture = *at;

		if (picture->made >= made) {
			at = &picture->older;
			continue;
		}
		*at = picture->older;
		json_object_put(picture->root);
		free(picture);
	}
}

static void forget_old(compat_event *event)
{
	forget_before(monotime(NULL) - KEPT_SECONDS * 1000000LL);
	if (pictures.newest)
		compat_add_timer(pictures.loop, forget_old, KEPT_SECONDS, &pictures.timer);
}

/* Marks each object with its place, so that the next one in its array is found without a search. */
static void number_arrays(json_object *object)
{
	if (json_object_is_type(object, json_type_array)) {
		for (size_t i = 0; i < json_object_array_length(object); i++) {
			json_object *one = json_object_array_get_idx(object, i);

			json_object_set_userdata(one, (void *)(uintptr_t)i, NULL);
			number_arrays(one);
		}
	} else if (json_object_is_type(object, json_type_object)) {
		json_object_object_foreach(object, key, value) {
			(void)key;
			number_arrays(value);
		}
	}
}

static json_object *root(void)
{
	int64_t now = monotime(NULL);
	struct picture *picture = pictures.newest;

	if (picture && now - picture->made < FRESH_US)
		return picture->root;
	picture = calloc(1, sizeof(*picture));
	if (!picture)
		return pictures.newest ? pictures.newest->root : NULL;
	picture->root = snapshot_state();
	number_arrays(picture->root);
	picture->made = now;
	picture->older = pictures.newest;
	pictures.newest = picture;
	compat_add_timer(pictures.loop, forget_old, KEPT_SECONDS, &pictures.timer);
	return picture->root;
}

/* The member of an object that a YANG name of so many characters stands for. */
static json_object *member(json_object *object, const char *name, size_t len)
{
	char key[64];
	json_object *found = NULL;
	size_t n = 0;

	for (size_t i = 0; i < len && n + 1 < sizeof(key); i++) {
		if (name[i] == '-' && i + 1 < len)
			key[n++] = (char)toupper((unsigned char)name[++i]);
		else
			key[n++] = name[i];
	}
	key[n] = '\0';
	if (!object || !json_object_object_get_ex(object, key, &found))
		return NULL;
	return found;
}

/* The part of a data path behind its last list entry, or behind the state's container. */
static const char *path_within(const char *xpath)
{
	const char *bracket = strrchr(xpath, ']');
	const char *state = strstr(xpath, "/state/");

	if (bracket)
		return bracket[1] == '/' ? bracket + 2 : bracket + 1;
	return state ? state + strlen("/state/") : "";
}

static json_object *find(json_object *object, const char *path)
{
	while (object && *path) {
		size_t len = strcspn(path, "/");

		object = member(object, path, len);
		path += len + (path[len] == '/');
	}
	return object;
}

static struct yang_data *get_leaf(struct nb_cb_get_elem_args *args)
{
	json_object *object = args->list_entry ? (json_object *)args->list_entry : root();
	json_object *value = find(object, path_within(args->xpath));

	return value ? yang_data_new(args->xpath, json_object_get_string(value)) : NULL;
}

/* Of a leaf-list the entry is the value. */
static struct yang_data *get_leaf_list(struct nb_cb_get_elem_args *args)
{
	json_object *value = (json_object *)args->list_entry;

	return yang_data_new(args->xpath, json_object_get_string(value));
}

static json_object *array_in(const char *list, const void *parent_entry)
{
	return find(parent_entry ? (json_object *)parent_entry : root(), list);
}

static const void *next_in(const char *list, const struct nb_cb_get_next_args *args)
{
	json_object *array = array_in(list, args->parent_list_entry);
	json_object *last = (json_object *)args->list_entry;
	size_t next = last ? (uintptr_t)json_object_get_userdata(last) + 1 : 0;

	if (!array || next >= json_object_array_length(array))
		return NULL;
	return json_object_array_get_idx(array, next);
}

/* The value of an entry's key by its number, of names with spaces between them; NULL: there is no such key. */
static const char *key_value(json_object *entry, const char *keys, unsigned int number)
{
	json_object *value;

	for (; number; number--) {
		keys += strcspn(keys, " ");
		if (!*keys)
			return NULL;
		keys++;
	}
	value = member(entry, keys, strcspn(keys, " "));
	return value ? json_object_get_string(value) : "";
}

static int keys_of(const char *keys, struct nb_cb_get_keys_args *args)
{
	const char *value;

	args->keys->num = 0;
	while ((value = key_value((json_object *)args->list_entry, keys, args->keys->num))) {
		snprintf(args->keys->key[args->keys->num], sizeof(args->keys->key[0]), "%s", value);
		args->keys->num++;
	}
	return NB_OK;
}

static const void *entry_of(const char *list, const char *keys,
			    const struct nb_cb_lookup_entry_args *args)
{
	json_object *array = array_in(list, args->parent_list_entry);
	size_t n = array ? json_object_array_length(array) : 0;

	for (size_t i = 0; i < n; i++) {
		json_object *one = json_object_array_get_idx(array, i);
		const char *value;
		unsigned int k = 0;

		while (k < args->keys->num && (value = key_value(one, keys, k)) &&
		       strcmp(value, args->keys->key[k]) == 0)
			k++;
		if (k == args->keys->num)
			return one;
	}
	return NULL;
}

/*
 * A walk's callbacks are not told which list they are for, so each has its own: its path, an id, where its array is in the
 * entry above or in the whole picture, its keys.
 */
#define LISTS(X) \
	X("/state/context", context, "context", "name") \
	X("/state/counter", counter, "counter", "reason") \
	X("/state/interface", interface, "interface", "name") \
	X("/state/nexthop", nexthop, "nexthop", "nexthop") \
	X("/state/group", group, "group", "group") \
	X("/state/group/member", member, "members", "nexthop") \
	X("/state/link-metric", link_metric, "link-metric", "interface") \
	X("/state/link-metric/source", link_source, "source", "value") \
	X("/state/link-metric/next-hop", next_hop, "next-hop", "address") \
	X("/state/link-metric/next-hop/source", hop_source, "source", "value") \
	X("/state/consistency/kind", kind, "consistency/kind", "name") \
	X("/state/consistency/not-compared", not_compared, "consistency/notCompared", "name") \
	X("/state/consistency/difference", difference, "consistency/difference", "table prefix")

#define LEAF_LISTS(X) \
	X("/state/interface/bypass", bypass, "bypass") \
	X("/state/group/member/backup", backup, "backups") \
	X("/state/consistency/difference/kind", difference_kind, "kind") \
	X("/state/consistency/difference/zebra", difference_zebra, "zebra") \
	X("/state/consistency/difference/kernel", difference_kernel, "kernel") \
	X("/state/consistency/difference/ours", difference_ours, "ours")

#define X(path, id, name, keys) \
	static const void *next_##id(struct nb_cb_get_next_args *args) \
	{ \
		return next_in(name, args); \
	} \
	static int keys_##id(struct nb_cb_get_keys_args *args) \
	{ \
		return keys_of(keys, args); \
	} \
	static const void *lookup_##id(struct nb_cb_lookup_entry_args *args) \
	{ \
		return entry_of(name, keys, args); \
	}
LISTS(X)
#undef X

#define X(path, id, name) \
	static const void *next_##id(struct nb_cb_get_next_args *args) \
	{ \
		return next_in(name, args); \
	}
LEAF_LISTS(X)
#undef X

/* Of a list the array's name in the object it is in, which may be another one than YANG's. */
static const char *json_name(const struct lysc_node *snode)
{
	const struct nb_node *node = snode->priv;
	const char *slash;

#define X(path, id, name, keys) \
	if (northbound_path_is(node, path)) \
		return (slash = strrchr(name, '/')) ? slash + 1 : name;
	LISTS(X)
#undef X
#define X(path, id, name) \
	if (northbound_path_is(node, path)) \
		return name;
	LEAF_LISTS(X)
#undef X
	return snode->name;
}

void state_callbacks(struct nb_node *node)
{
	if (CHECK_FLAG(node->snode->nodetype, LYS_LEAF))
		node->cbs.get_elem = get_leaf;
	if (CHECK_FLAG(node->snode->nodetype, LYS_LEAFLIST))
		node->cbs.get_elem = get_leaf_list;
#define X(path, id, name, keys) \
	if (northbound_path_is(node, path)) { \
		node->cbs.get_next = next_##id; \
		node->cbs.get_keys = keys_##id; \
		node->cbs.lookup_entry = lookup_##id; \
	}
	LISTS(X)
#undef X
#define X(path, id, name) \
	if (northbound_path_is(node, path)) \
		node->cbs.get_next = next_##id;
	LEAF_LISTS(X)
#undef X
}

/* ---- as XML ---- */

static void print_escaped(struct vty *vty, const char *text)
{
	for (; *text; text++) {
		switch (*text) {
		case '<':
			vty_out(vty, "&lt;");
			break;
		case '>':
			vty_out(vty, "&gt;");
			break;
		case '&':
			vty_out(vty, "&amp;");
			break;
		default:
			vty_out(vty, "%c", *text);
			break;
		}
	}
}

static void print_node(struct vty *vty, const struct lysc_node *snode, json_object *value);

static void print_children(struct vty *vty, const struct lysc_node *snode, json_object *object)
{
	const struct lysc_node *child;

	LY_LIST_FOR(lysc_node_child(snode), child) {
		const char *name = json_name(child);
		json_object *value = member(object, name, strlen(name));
		bool many = CHECK_FLAG(child->nodetype, LYS_LIST | LYS_LEAFLIST);
		size_t n = value && many ? json_object_array_length(value) : 0;

		if (value && !many)
			print_node(vty, child, value);
		for (size_t i = 0; i < n; i++)
			print_node(vty, child, json_object_array_get_idx(value, i));
	}
}

static void print_node(struct vty *vty, const struct lysc_node *snode, json_object *value)
{
	vty_out(vty, "<%s>", snode->name);
	if (CHECK_FLAG(snode->nodetype, LYS_CONTAINER | LYS_LIST))
		print_children(vty, snode, value);
	else
		print_escaped(vty, json_object_get_string(value));
	vty_out(vty, "</%s>", snode->name);
}

void state_print(struct vty *vty)
{
	const struct nb_node *state = nb_node_find(NORTHBOUND_ROOT "/state");

	vty_out(vty, "<dplane-ebpf xmlns=\"http://frrouting.org/yang/dplane-ebpf\">");
	print_node(vty, state->snode, root());
	vty_out(vty, "</dplane-ebpf>\n");
}

void state_start(compat_loop *loop)
{
	pictures.loop = loop;
}

void state_stop(void)
{
	compat_cancel_event(&pictures.timer);
	forget_before(INT64_MAX);
}
