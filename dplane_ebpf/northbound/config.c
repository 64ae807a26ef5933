// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Configuration: what YANG cannot check is checked here, and each transaction's outcome is applied as a whole. Values are not
 * kept: after a change everything is read from the tree, and whoever is told does only what differs.
 */
#include "dplane_ebpf/northbound/northbound.h"

#include <math.h>

#include "dplane_ebpf/log.h"
#include "dplane_ebpf/module.h"
#include "dplane_ebpf/northbound/values.h"

static uint64_t version;

uint64_t config_version(void)
{
	return version;
}

/* ---- checks ---- */

static int refuse(char *errmsg, size_t len, const struct lyd_node *node, const char *why)
{
	char path[XPATH_MAXLEN];

	yang_dnode_get_path(node, path, sizeof(path));
	snprintf(errmsg, len, "%s: '%s' %s", path, lyd_get_value(node), why);
	return NB_ERR_VALIDATION;
}

static int accept_modify(struct nb_cb_modify_args *args)
{
	return NB_OK;
}

static int accept_create(struct nb_cb_create_args *args)
{
	return NB_OK;
}

static int accept_destroy(struct nb_cb_destroy_args *args)
{
	return NB_OK;
}

static int check_time(struct nb_cb_modify_args *args)
{
	int64_t when;

	if (args->event == NB_EV_VALIDATE && !values_time(lyd_get_value(args->dnode), &when))
		return refuse(args->errmsg, args->errmsg_len, args->dnode,
			      "is no date of the calendar");
	return NB_OK;
}

/* netconfd counts a string's bytes where YANG means characters, and would not take over what it finds too long. */
static int check_description(struct nb_cb_modify_args *args)
{
	if (args->event == NB_EV_VALIDATE && strlen(lyd_get_value(args->dnode)) > 255)
		return refuse(args->errmsg, args->errmsg_len, args->dnode,
			      "has more than 255 bytes");
	return NB_OK;
}

static int check_address(struct nb_cb_create_args *args)
{
	const struct lyd_node *key = lyd_child(args->dnode);
	uint8_t address[16], family;

	if (args->event == NB_EV_VALIDATE && !values_address(lyd_get_value(key), &family, address))
		return refuse(args->errmsg, args->errmsg_len, key,
			      "is no unicast address in its canonical text");
	return NB_OK;
}

/* ---- what the tree says ---- */

static const char *child_value(const struct lyd_node *parent, const char *name)
{
	const struct lyd_node *child;

	LY_LIST_FOR(lyd_child(parent), child) {
		if (strcmp(child->schema->name, name) == 0)
			return lyd_get_value(child);
	}
	return NULL;
}

static bool child_is(const struct lyd_node *parent, const char *name, const char *value)
{
	const char *has = child_value(parent, name);

	return has && strcmp(has, value) == 0;
}

static int64_t read_hold(const struct lyd_node *root)
{
	const struct lyd_node *fallback = yang_dnode_get(root, "./kernel-fallback");
	const char *hold = fallback ? child_value(fallback, "hold-time") : NULL;

	if (!hold)
		return -1;
	return strcmp(hold, "forever") ? strtoll(hold, NULL, 10) : 0;
}

static int read_size(const struct lyd_node *root)
{
	return !child_value(root, "table-size") ? -1 : child_is(root, "table-size", "small");
}

/* How many entries of a list there are, at most. */
static size_t count_children(const struct lyd_node *parent)
{
	const struct lyd_node *child;
	size_t n = 0;

	LY_LIST_FOR(lyd_child(parent), child)
		n++;
	return n;
}

static struct links_setting *read_interfaces(const struct lyd_node *root, size_t *n)
{
	struct links_setting *list = calloc(count_children(root) + 1, sizeof(*list));
	const struct lyd_node *child;

	*n = 0;
	LY_LIST_FOR(list ? lyd_child(root) : NULL, child) {
		if (strcmp(child->schema->name, "interface") != 0)
			continue;
		snprintf(list[*n].name, sizeof(list[*n].name), "%s", child_value(child, "name"));
		list[*n].kernel_only = child_is(child, "accelerate", "false");
		list[*n].bypass = child_is(child, "bypass-allowed", "true");
		(*n)++;
	}
	return list;
}

static void read_override(const struct lyd_node *entry, struct paths_override *override)
{
	const struct lyd_node *child, *bound;

	LY_LIST_FOR(lyd_child(entry), child) {
		if (child->schema->nodetype & LYS_CONTAINER) {
			LY_LIST_FOR(lyd_child(child), bound)
				values_read(override, bound->schema->name, lyd_get_value(bound));
		} else if (child->schema->nodetype & LYS_LEAF) {
			values_read(override, child->schema->name, lyd_get_value(child));
		}
	}
}

/* malloc'ed; NULL: out of memory. */
static struct paths_override *read_overrides(const struct lyd_node *root, size_t *n)
{
	const struct lyd_node *metrics = yang_dnode_get(root, "./link-metrics"), *link, *hop;
	struct paths_override *list;
	size_t max = 1;

	*n = 0;
	LY_LIST_FOR(metrics ? lyd_child(metrics) : NULL, link)
		max += 1 + count_children(link);
	list = calloc(max, sizeof(*list));
	LY_LIST_FOR(list &&metrics ? lyd_child(metrics) : NULL, link) {
		struct paths_override of_link = {0};

		read_override(link, &of_link);
		/* an entry that only holds those of next hops says nothing itself */
		if (of_link.values.has || of_link.expires || child_value(link, "description"))
			list[(*n)++] = of_link;
		LY_LIST_FOR(lyd_child(link), hop) {
			if (!(hop->schema->nodetype & LYS_LIST))
				continue;
			memcpy(list[*n].interface, of_link.interface, sizeof(of_link.interface));
			read_override(hop, &list[(*n)++]);
		}
	}
	return list;
}

/* ---- applied ---- */

static void apply(const struct lyd_node *root)
{
	struct module_settings settings = {
		.small = read_size(root),
		.hold_seconds = read_hold(root),
		.links.kernel_only = child_is(root, "enabled", "false"),
		.links.bypass = child_is(root, "bypass-allowed", "true"),
	};
	struct links_setting *interfaces = read_interfaces(root, &settings.links.n);
	struct paths_override *overrides = read_overrides(root, &settings.n_overrides);
	int err = interfaces && overrides ? 0 : -ENOMEM;

	version++;
	settings.links.list = interfaces;
	settings.overrides = overrides;
	if (!err)
		err = module_configure(&settings);
	if (err)
		dpe_log(LOG_ERR,
			"out of memory: not all of the configuration is in force; change something to try again");
	free(interfaces);
	free(overrides);
}

static void apply_finish(struct nb_cb_apply_finish_args *args)
{
	apply(args->dnode);
}

void config_apply_running(void)
{
	const struct lyd_node *root = yang_dnode_get(running_config->dnode, NORTHBOUND_ROOT);

	if (root)
		apply(root);
}

const char *config_description(const char *interface, const char *address)
{
	char xpath[XPATH_MAXLEN];
	const struct lyd_node *leaf;

	snprintf(xpath, sizeof(xpath),
		 NORTHBOUND_ROOT "/link-metrics/link[interface='%s']%s%s%s/description", interface,
		 address ? "/next-hop[address='" : "", address ? address : "", address ? "']" : "");
	leaf = yang_dnode_get(running_config->dnode, xpath);
	return leaf ? lyd_get_value(leaf) : NULL;
}

void config_callbacks(struct nb_node *node)
{
	const struct lysc_node *snode = node->snode;

	if (CHECK_FLAG(snode->nodetype, LYS_LIST)) {
		node->cbs.create = accept_create;
		node->cbs.destroy = accept_destroy;
		if (strcmp(snode->name, "next-hop") == 0)
			node->cbs.create = check_address;
	} else if (CHECK_FLAG(snode->nodetype, LYS_LEAF) && !lysc_is_key(snode)) {
		if (((const struct lysc_node_leaf *)snode)->type->basetype == LY_TYPE_EMPTY)
			node->cbs.create = accept_create;
		else
			node->cbs.modify = accept_modify;
		node->cbs.destroy = accept_destroy;
		if (strcmp(snode->name, "expires") == 0)
			node->cbs.modify = check_time;
		else if (strcmp(snode->name, "description") == 0)
			node->cbs.modify = check_description;
	} else if (northbound_path_is(node, "")) {
		node->cbs.apply_finish = apply_finish;
	}
}
