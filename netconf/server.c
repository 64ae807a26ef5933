// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What netconfd loads for the YANG module. Each operation that reads or changes configuration is preceded by a look at
 * zebra, and a commit goes to zebra before netconfd takes it over.
 */
#include "netconf/yuma.h"

#include <stdlib.h>
#include <string.h>

#include "netconf/identity.h"
#include "netconf/notify.h"
#include "netconf/store.h"
#include "netconf/tree.h"

#include "yang/frr-dplane-ebpf.yang.h"

#define VTY_DEFAULT "/run/frr/zebra.vty"

ncx_module_t *yang_module;

/* netconfd finds these by name. */
#define EXPORTED __attribute__((visibility("default")))
EXPORTED status_t y_frr_dplane_ebpf_init(const xmlChar *modname, const xmlChar *revision);
EXPORTED status_t y_frr_dplane_ebpf_init2(void);
EXPORTED void y_frr_dplane_ebpf_cleanup(void);

/* ---- errors ---- */

static status_t report(ses_cb_t *scb, rpc_msg_t *msg, status_t res, const char *path,
		       const char *message)
{
	ncx_errinfo_t errinfo = {.error_message = (xmlChar *)message};

	agt_record_error_errinfo(scb, &msg->mhdr, NCX_LAYER_OPERATION, res, NULL, NCX_NT_NONE, NULL,
				 path && path[0] ? NCX_NT_STRING : NCX_NT_NONE, (void *)path,
				 &errinfo);
	return res;
}

static status_t unreachable(ses_cb_t *scb, rpc_msg_t *msg)
{
	return report(scb, msg, ERR_NCX_OPERATION_FAILED, NULL, zebra_error());
}

static status_t refused(ses_cb_t *scb, rpc_msg_t *msg, enum zebra_verdict verdict,
			const struct zebra_refusal *refusal)
{
	switch (verdict) {
	case ZEBRA_INVALID:
		return report(scb, msg, ERR_NCX_INVALID_VALUE, refusal->path, refusal->message);
	case ZEBRA_CONFLICT:
	case ZEBRA_BUSY:
		return report(scb, msg, ERR_NCX_IN_USE, refusal->path, refusal->message);
	default:
		return report(scb, msg, ERR_NCX_OPERATION_FAILED, refusal->path,
			      refusal->message[0] ? refusal->message : "zebra failed");
	}
}

/* ---- operations ---- */

enum kind { OTHER, READ, READ_STATE, EDIT, CHECK, COMMIT };

static struct operation {
	const char *name;
	enum kind kind;
	agt_rpc_method_t validate, invoke; /* netconfd's own */
} operations[] = {
	{"get", READ_STATE, NULL, NULL},
	{"get-config", READ, NULL, NULL},
	{"lock", READ, NULL, NULL},
	{"edit-config", EDIT, NULL, NULL},
	{"copy-config", EDIT, NULL, NULL},
	{"validate", CHECK, NULL, NULL},
	{"discard-changes", READ, NULL, NULL},
	{"commit", COMMIT, NULL, NULL},
	{"cancel-commit", READ, NULL, NULL},
	{"kill-session", OTHER, NULL, NULL},
	{"create-subscription", OTHER, NULL, NULL},
};

#define OPERATIONS (sizeof(operations) / sizeof(operations[0]))

static struct operation *operation_of(const rpc_msg_t *msg)
{
	const char *name = (const char *)obj_get_name(msg->rpc_method);

	for (size_t i = 0; i < OPERATIONS; i++) {
		if (strcmp(operations[i].name, name) == 0)
			return &operations[i];
	}
	return NULL;
}

static bool state_refresh(void)
{
	cfg_template_t *running = cfg_get_config_id(NCX_CFGID_RUNNING);
	char *xml = zebra_xml("state");
	bool done = xml && tree_replace_state(running->root, xml);

	free(xml);
	return done;
}

static status_t validate(ses_cb_t *scb, rpc_msg_t *msg, xml_node_t *methnode)
{
	struct operation *operation = operation_of(msg);
	struct zebra_refusal refusal;
	enum zebra_verdict verdict;
	status_t res;

	if (!identity_is_true(scb))
		return report(scb, msg, ERR_NCX_ACCESS_DENIED, NULL,
			      "the user is not who the session says");
	if (operation->kind != OTHER && !store_sync())
		return unreachable(scb, msg);
	if (operation->kind == READ_STATE && !state_refresh())
		return unreachable(scb, msg);
	res = operation->validate ? operation->validate(scb, msg, methnode) : NO_ERR;
	if (res != NO_ERR || operation->kind != CHECK)
		return res;
	verdict = store_check(&refusal);
	return verdict == ZEBRA_DONE ? NO_ERR : refused(scb, msg, verdict, &refusal);
}

static status_t invoke(ses_cb_t *scb, rpc_msg_t *msg, xml_node_t *methnode)
{
	struct operation *operation = operation_of(msg);
	struct zebra_refusal refusal;
	enum zebra_verdict verdict;
	status_t res;

	if (operation->kind == EDIT)
		store_candidate_begins();
	if (operation->kind == COMMIT) {
		verdict = store_commit(&refusal);
		if (verdict != ZEBRA_DONE)
			return refused(scb, msg, verdict, &refusal);
	}
	res = operation->invoke ? operation->invoke(scb, msg, methnode) : NO_ERR;
	if (operation->kind == COMMIT)
		store_committed(res == NO_ERR);
	return res;
}

static status_t wrap(struct operation *operation)
{
	/* netconfd's own name for the protocol's module */
	ncx_module_t *module = ncx_find_module(NC_MODULE, NULL);
	ncx_module_t *notifications = ncx_find_module(AGT_NOT_MODULE1, NULL);
	obj_template_t *obj = NULL;
	agt_rpc_cbset_t *callbacks;

	if (module)
		obj = ncx_find_object(module, (const xmlChar *)operation->name);
	if (!obj && notifications)
		obj = ncx_find_object(notifications, (const xmlChar *)operation->name);
	if (!obj || !obj->rpc_cbset) {
		log_error("\ndplane_ebpf: this netconfd has no operation '%s'", operation->name);
		return ERR_NCX_OPERATION_NOT_SUPPORTED;
	}
	callbacks = obj->rpc_cbset;
	operation->validate = callbacks->acb[AGT_RPC_PH_VALIDATE];
	operation->invoke = callbacks->acb[AGT_RPC_PH_INVOKE];
	callbacks->acb[AGT_RPC_PH_VALIDATE] = validate;
	callbacks->acb[AGT_RPC_PH_INVOKE] = invoke;
	return NO_ERR;
}

/* ---- our own operations ---- */

static status_t clear(ses_cb_t *scb, rpc_msg_t *msg, const char *command)
{
	char *answer;
	bool ok;

	if (!identity_is_true(scb))
		return report(scb, msg, ERR_NCX_ACCESS_DENIED, NULL,
			      "the user is not who the session says");
	if (!zebra_ask(command, &answer, &ok))
		return unreachable(scb, msg);
	if (ok) {
		free(answer);
		return NO_ERR;
	}
	report(scb, msg, ERR_NCX_OPERATION_FAILED, NULL, answer);
	free(answer);
	return ERR_NCX_OPERATION_FAILED;
}

static status_t clear_counters(ses_cb_t *scb, rpc_msg_t *msg, xml_node_t *methnode)
{
	(void)methnode;
	return clear(scb, msg, "clear dplane ebpf counters");
}

static status_t clear_consistency(ses_cb_t *scb, rpc_msg_t *msg, xml_node_t *methnode)
{
	(void)methnode;
	return clear(scb, msg, "clear dplane ebpf consistency");
}

/* ---- start and stop ---- */

static int tick(uint32 timer_id, void *cookie)
{
	(void)timer_id;
	(void)cookie;
	store_sync();
	notify_tick();
	return 0;
}

status_t y_frr_dplane_ebpf_init(const xmlChar *modname, const xmlChar *revision)
{
	agt_profile_t *profile = agt_get_profile();
	const char *path = getenv("DPLANE_EBPF_ZEBRA_VTY");
	status_t res;

	(void)modname;
	(void)revision;
	zebra_init(path && path[0] ? path : VTY_DEFAULT);
	res = ncxmod_load_module(YANG_MODULE, (const xmlChar *)FRR_DPLANE_EBPF_YANG_REVISION,
				 &profile->agt_savedevQ, &yang_module);
	if (res == NO_ERR)
		res = agt_rpc_register_method(YANG_MODULE, (const xmlChar *)"clear-counters",
					      AGT_RPC_PH_INVOKE, clear_counters);
	if (res == NO_ERR)
		res = agt_rpc_register_method(YANG_MODULE, (const xmlChar *)"clear-consistency",
					      AGT_RPC_PH_INVOKE, clear_consistency);
	return res;
}

status_t y_frr_dplane_ebpf_init2(void)
{
	uint32 timer;

	for (size_t i = 0; i < OPERATIONS; i++) {
		status_t res = wrap(&operations[i]);

		if (res != NO_ERR)
			return res;
	}
	store_start();
	return agt_timer_create(1, TRUE, tick, NULL, &timer);
}

void y_frr_dplane_ebpf_cleanup(void)
{
	agt_rpc_unregister_method(YANG_MODULE, (const xmlChar *)"clear-counters");
	agt_rpc_unregister_method(YANG_MODULE, (const xmlChar *)"clear-consistency");
	store_stop();
	zebra_close();
}
