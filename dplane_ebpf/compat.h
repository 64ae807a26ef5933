/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What differs between FRR 8.4, 10.3 and 10.7, and nothing else. Included before
 * any other header of FRR's.
 */
#ifndef DPLANE_EBPF_COMPAT_H
#define DPLANE_EBPF_COMPAT_H

/*
 * frr-dev has no config.h, and without these FRR's structures have another size than in
 * the zebra that Debian ships. A tree of tools/frr-headers defines them itself.
 */
#ifndef HAVE_NETLINK
#define HAVE_NETLINK 1
#endif
#ifndef HAVE_NETNS
#define HAVE_NETNS 1
#endif
#ifndef HAVE_BFDD
#define HAVE_BFDD 1
#endif

#include <linux/rtnetlink.h>
/* 10.3's headers use it without including it */
#include <string.h>

#include "lib/zebra.h"
#include "lib/command.h"
#include "lib/hook.h"
#include "lib/json.h"
#include "lib/libfrr.h"
#include "lib/module.h"
#include "lib/nexthop.h"
#include "lib/nexthop_group.h"
#include "lib/northbound.h"
#include "lib/prefix.h"
#include "lib/privs.h"
#include "lib/route_types.h"
#include "lib/version.h"
#include "lib/vrf.h"
#include "lib/vty.h"
#include "lib/zclient.h"
#include "zebra/zebra_dplane.h"
#include "zebra/zebra_netns_notify.h"
#include "zebra/zebra_ns.h"

_Static_assert(sizeof(struct zebra_ns) > 256,
	       "FRR's headers are not configured as zebra was: HAVE_NETLINK is not in effect");
_Static_assert(sizeof(struct zebra_dplane_info) > sizeof(ns_id_t) + 2 * sizeof(int),
	       "FRR's headers are not configured as zebra was: HAVE_NETLINK is not in effect");
_Static_assert(RT_TABLE_MAIN == 254, "FRR's headers hide the kernel's main table");

/* FRR 9 renamed the main loop's types: struct thread became struct event. */
#ifdef event_add_event
typedef struct event_loop compat_loop;
typedef struct event compat_event;
#define compat_add_event(loop, function, event) event_add_event(loop, function, NULL, 0, event)
#define compat_add_timer(loop, function, seconds, event) \
	event_add_timer(loop, function, NULL, seconds, event)
#define compat_add_timer_msec(loop, function, ms, event) \
	event_add_timer_msec(loop, function, NULL, ms, event)
#define compat_cancel_event(event) event_cancel(event)
#else
typedef struct thread_master compat_loop;
typedef struct thread compat_event;
#define compat_add_event(loop, function, event) thread_add_event(loop, function, NULL, 0, event)
#define compat_add_timer(loop, function, seconds, event) \
	thread_add_timer(loop, function, NULL, seconds, event)
#define compat_add_timer_msec(loop, function, ms, event) \
	thread_add_timer_msec(loop, function, NULL, ms, event)
#define compat_cancel_event(event) thread_cancel(event)
#endif

/* A hook that libfrr has, and keeps to itself in command.c: after each command, with its text. */
DECLARE_KOOH(cmd_execute_done, (struct vty * vty, const char *command), (vty, command));

/* zebra's own, of main.c: what -r says. */
extern int retain_mode;

/* Whether zebra's routes stay in the kernel when it ends. */
static inline bool compat_retain(void)
{
	return retain_mode != 0;
}

/* The directory of zebra's sockets; its last part is what -N says, or "frr". */
static inline const char *compat_state_dir(void)
{
#ifdef ZAPI_SOCK_NAME
	return frr_runstatedir;
#else
	return frr_vtydir;
#endif
}

/* FRR 10 has routes for the router's own addresses; before, they never reach a provider. */
static inline bool compat_route_is_local(const struct zebra_dplane_ctx *ctx)
{
#ifdef ZEBRA_ROUTE_LOCAL
	return dplane_ctx_get_type(ctx) == ZEBRA_ROUTE_LOCAL;
#else
	return false;
#endif
}

/* Whether zebra read a route of this type from the kernel, and did not make it. */
static inline bool compat_type_is_kernels(int type)
{
	return type == ZEBRA_ROUTE_KERNEL || type == ZEBRA_ROUTE_CONNECT;
}

/* As compat_route_is_local(), of an entry of the RIB. */
#ifdef ZEBRA_ROUTE_LOCAL
#define compat_entry_is_local(re) ((re)->type == ZEBRA_ROUTE_LOCAL)
#else
#define compat_entry_is_local(re) false
#endif

/*
 * After the last provider zebra 10.7 takes its own word on system routes for news from the kernel, adds
 * the route again and tells the providers so, without end. Whether zebra is to see this context again.
 */
static inline bool compat_ctx_returns(const struct zebra_dplane_ctx *ctx)
{
#ifdef event_add_event
	return dplane_ctx_get_op(ctx) != DPLANE_OP_SYS_ROUTE_ADD &&
	       dplane_ctx_get_op(ctx) != DPLANE_OP_SYS_ROUTE_DELETE;
#else
	return true;
#endif
}

/* libyang 4 renamed it. */
#ifndef LYD_PRINT_KEEPEMPTYCONT
#define LYD_PRINT_KEEPEMPTYCONT LYD_PRINT_EMPTY_CONT
#endif

/* FRR 10.7 asks of each module what else it is. */
static inline struct yang_module *compat_yang_module_load(const char *name)
{
#ifdef F_NB_NODE_HAS_GET_TREE
	static struct frr_yang_module_info info;
#endif
#ifdef event_add_event
	struct yang_module *module = yang_module_load(name, NULL);
#else
	struct yang_module *module = yang_module_load(name);
#endif
#ifdef F_NB_NODE_HAS_GET_TREE
	info.name = name;
	module->frr_info = &info;
#endif
	return module;
}

static inline int compat_candidate_edit(struct nb_config *candidate, const struct nb_node *node,
					enum nb_operation operation, const char *xpath,
					const char *value)
{
#ifdef F_NB_NODE_HAS_GET_TREE
	return nb_candidate_edit(candidate, node, operation, xpath, value);
#else
	struct yang_data *data = yang_data_new(xpath, value);
	int ret = nb_candidate_edit(candidate, node, operation, xpath, NULL, data);

	yang_data_free(data);
	return ret;
#endif
}

/* Checks a candidate, or makes it the running configuration. An enum nb_error. */
static inline int compat_candidate_commit(struct vty *vty, struct nb_config *candidate, bool commit,
					  char *message, size_t len)
{
	struct nb_context context = {.client = NB_CLIENT_CLI, .user = vty};

	if (!commit)
		return nb_candidate_validate(&context, candidate, message, len);
#ifdef event_add_event
	return nb_candidate_commit(context, candidate, true, NULL, NULL, message, len);
#else
	return nb_candidate_commit(&context, candidate, true, NULL, NULL, message, len);
#endif
}

#endif /* DPLANE_EBPF_COMPAT_H */
