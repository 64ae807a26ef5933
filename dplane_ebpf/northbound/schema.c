// SPDX-License-Identifier: GPL-2.0-or-later
/* The YANG module's way into the northbound of a zebra that has started its own already. */
#include "dplane_ebpf/northbound/northbound.h"

#include "lib/northbound_cli.h"

#include "yang/frr-dplane-ebpf.yang.h"

#define MODULE "frr-dplane-ebpf"

/* libfrr's own memory type: what is allocated from it is freed by nb_terminate() with FRR's own nodes. */
static struct memtype *nb_node_memory;

static int find_memory(void *arg, struct memgroup *group, struct memtype *type)
{
	if (type && strcmp(type->name, "Northbound Node") == 0)
		nb_node_memory = type;
	return 0;
}

static int check_private(const struct lysc_node *snode, void *arg)
{
	bool *all = arg;

	*all &= snode->priv != NULL;
	return *all ? YANG_ITER_CONTINUE : YANG_ITER_STOP;
}

/* Whether FRR's own nodes still have what they point to: a module that made libyang compile anew takes it away. */
static bool frr_intact(void)
{
	bool intact = true;
	struct yang_module *module;

	RB_FOREACH(module, yang_modules, &yang_modules) {
		if (strcmp(module->name, MODULE) != 0)
			yang_snodes_iterate(module->info, check_private, 0, &intact);
	}
	return intact;
}

bool northbound_path_is(const struct nb_node *node, const char *below_root)
{
	return strcmp(node->xpath + strlen(NORTHBOUND_ROOT), below_root) == 0;
}

static int no_state(const struct lysc_node *snode, void *arg)
{
	bool *config_only = arg;

	if (CHECK_FLAG(snode->flags, LYS_CONFIG_R))
		*config_only = false;
	return YANG_ITER_CONTINUE;
}

static int clear_counters(struct nb_cb_rpc_args *args)
{
	return rpc_clear_counters() ? NB_OK : NB_ERR;
}

static int clear_consistency(struct nb_cb_rpc_args *args)
{
	return rpc_clear_consistency() ? NB_OK : NB_ERR;
}

static void set_callbacks(struct nb_node *node)
{
	const struct lysc_node *snode = node->snode;

	if (CHECK_FLAG(snode->nodetype, LYS_RPC)) {
		node->cbs.rpc = strcmp(snode->name, "clear-counters") == 0 ? clear_counters
									   : clear_consistency;
	} else if (CHECK_FLAG(snode->flags, LYS_CONFIG_W)) {
		config_callbacks(node);
		cli_callbacks(node);
	} else if (CHECK_FLAG(snode->flags, LYS_CONFIG_R)) {
		state_callbacks(node);
	}
}

/* As libfrr does for its own modules, which offers no function for it. */
static int make_node(const struct lysc_node *snode, void *arg)
{
	struct lysc_node *parent = yang_snode_real_parent(snode);
	struct lysc_node *parent_list = yang_snode_parent_list(snode);
	struct nb_node *node = qcalloc(nb_node_memory, sizeof(*node));

	yang_snode_get_path(snode, YANG_PATH_DATA, node->xpath, sizeof(node->xpath));
	node->priority = NB_DFLT_PRIORITY;
	node->parent = parent ? parent->priv : NULL;
	node->parent_list = parent_list ? parent_list->priv : NULL;
	if (CHECK_FLAG(snode->nodetype, LYS_CONTAINER | LYS_LIST)) {
		bool config_only = true;

		yang_snodes_iterate_subtree(snode, NULL, no_state, 0, &config_only);
		if (config_only)
			SET_FLAG(node->flags, F_NB_NODE_CONFIG_ONLY);
	}
	node->snode = snode;
	((struct lysc_node *)snode)->priv = node;
	set_callbacks(node);
	return YANG_ITER_CONTINUE;
}

/* Our defaults into a configuration, and its root to the first of the top-level nodes, which libyang sorts by name. */
static bool put_defaults(struct nb_config *config, const struct lys_module *info)
{
	if (lyd_new_implicit_module(&config->dnode, info, LYD_IMPLICIT_NO_STATE, NULL))
		return false;
	config->dnode = lyd_first_sibling(config->dnode);
	return true;
}

bool schema_load(char *error, size_t error_len)
{
	static struct yang_module_embed embed = {
		.mod_name = MODULE,
		.mod_rev = FRR_DPLANE_EBPF_YANG_REVISION,
		.data = frr_dplane_ebpf_yang,
		.format = LYS_IN_YANG,
	};
	struct yang_module *module;

	qmem_walk(find_memory, NULL);
	if (!nb_node_memory || !running_config || !vty_shared_candidate_config) {
		snprintf(error, error_len, "this FRR's northbound is not as expected");
		return false;
	}
	if (!frr_intact()) {
		snprintf(error, error_len,
			 "another module of this zebra has broken its northbound");
		return false;
	}
	yang_module_embed(&embed);
	/* yang_module_load() ends zebra where libyang refuses: not before it was asked */
	if (!ly_ctx_load_module(ly_native_ctx, MODULE, NULL, NULL)) {
		snprintf(error, error_len, "libyang refuses " MODULE ".yang: %s",
			 ly_errmsg(ly_native_ctx) ? ly_errmsg(ly_native_ctx) : "no reason given");
		return false;
	}
	module = compat_yang_module_load(MODULE);
	yang_snodes_iterate(module->info, make_node, 0, NULL);
	if (!frr_intact()) {
		snprintf(
			error, error_len,
			"this libyang compiles FRR's modules anew; nothing may be configured in this zebra");
		return false;
	}
	if (!put_defaults(running_config, module->info) ||
	    !put_defaults(vty_shared_candidate_config, module->info)) {
		snprintf(error, error_len, "libyang cannot make default values");
		return false;
	}
	return true;
}
