// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A module for zebra, loaded beside ours: the command "busy-for MS [commit]" does what mgmtd's part of zebra does (FRR 9 and
 * later). It has FRR prepare a transaction of a copy of the shared candidate, and so long afterwards the change is committed, or
 * dropped; and the shared candidate is made anew.
 */
#include "dplane_ebpf/compat.h"

#include "lib/northbound_cli.h"

static struct {
	compat_loop *loop;
	compat_event *timer;
	struct nb_config *candidate;
	struct nb_transaction *transaction;
	bool commit;
} busy;

static void forget(void)
{
	nb_config_free(busy.candidate);
	busy.candidate = NULL;
	busy.transaction = NULL;
}

static void end(compat_event *event)
{
	char message[BUFSIZ] = "";

	if (busy.commit)
		nb_candidate_commit_apply(busy.transaction, false, NULL, message, sizeof(message));
	else
		nb_candidate_commit_abort(busy.transaction, message, sizeof(message));
	forget();
	nb_config_replace(vty_shared_candidate_config, running_config, true);
}

static int prepare(struct vty *vty, char *message, size_t len)
{
	struct nb_context context = {.client = NB_CLIENT_CLI, .user = vty};

#ifdef event_add_event
	return nb_candidate_commit_prepare(context, busy.candidate, NULL, &busy.transaction, false,
					   false, message, len);
#else
	return nb_candidate_commit_prepare(&context, busy.candidate, NULL, &busy.transaction,
					   message, len);
#endif
}

DEFUN_HIDDEN(busy_for, busy_for_cmd, "busy-for (1-600000) [commit]",
	     "Hold a transaction open\nMilliseconds\nThen commit it\n")
{
	static const char xpath[] = "/frr-dplane-ebpf:dplane-ebpf/kernel-fallback/hold-time";
	const struct nb_node *node = nb_node_find(xpath);
	char message[BUFSIZ] = "";

	if (busy.transaction || !node) {
		vty_out(vty, "%% %s\n", node ? "It is busy" : "Our module is not loaded");
		return CMD_WARNING;
	}
	busy.commit = argc > 2;
	busy.candidate = nb_config_dup(vty_shared_candidate_config);
	compat_candidate_edit(busy.candidate, node, NB_OP_MODIFY, xpath, "12345");
	if (prepare(vty, message, sizeof(message)) != NB_OK) {
		vty_out(vty, "%% %s\n", message);
		forget();
		return CMD_WARNING;
	}
	compat_add_timer_msec(busy.loop, end, strtol(argv[1]->arg, NULL, 10), &busy.timer);
	return CMD_SUCCESS;
}

static int start(compat_loop *loop)
{
	busy.loop = loop;
	install_element(ENABLE_NODE, &busy_for_cmd);
	return 0;
}

static int init(void)
{
	hook_register(frr_late_init, start);
	return 0;
}

FRR_MODULE_SETUP(.name = "busy", .version = "0", .description = "holds a transaction open",
		 .init = init);
