/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * FRR's northbound: the YANG module yang/frr-dplane-ebpf.yang, its configuration, state, RPCs and notifications. All in
 * zebra's main thread.
 */
#ifndef DPLANE_EBPF_NORTHBOUND_H
#define DPLANE_EBPF_NORTHBOUND_H

#include "dplane_ebpf/compat.h"

#include "lib/northbound.h"

#define NORTHBOUND_ROOT "/frr-dplane-ebpf:dplane-ebpf"

/*
 * Loads the YANG module into the running zebra and installs the configuration commands. False: this zebra's northbound is
 * not as expected, and error says how; then nothing can be configured, and nothing was changed.
 */
bool northbound_start(compat_loop *loop, char *error, size_t error_len);
void northbound_stop(void);
/* Once the module runs: brings it into accord with what is configured. */
void northbound_apply(void);

/* ---- between the files of northbound/ ---- */

/* schema.c: gives each schema node its callbacks. */
bool schema_load(char *error, size_t error_len);

/* What the RPCs and the commands do. False: the module does not run. */
bool rpc_clear_counters(void);
bool rpc_clear_consistency(void);

/* config.c: configuration below a list, leaf or the top container. */
void config_callbacks(struct nb_node *node);
/* Brings everything into accord with the running configuration, as of now. */
void config_apply_running(void);
/* Counts changes. */
uint64_t config_version(void);
/* The free text of an override for a link, or for one next hop on it (else NULL); NULL: none. Until the next change. */
const char *config_description(const char *interface, const char *address);

/* state.c: what is `config false`. */
void state_callbacks(struct nb_node *node);
void state_start(compat_loop *loop);
void state_stop(void);
/* The same as XML, by the schema. */
void state_print(struct vty *vty);

/* cli.c: configuration commands, and what `show running-config` writes. */
void cli_callbacks(struct nb_node *node);
void cli_init(void);

/* commit.c: each command calls commit_changes() in the place of nb_cli_apply_changes(). */
void commit_start(compat_loop *loop);
void commit_stop(void);
int commit_changes(struct vty *vty);
/* What a command finds configured. Until the next change. */
const struct lyd_node *commit_tree(const struct vty *vty);
/*
 * Tries again what lines of a file FRR had no time for. Whoever changes something by another way calls it before.
 * commit_waits(): whether some still wait.
 */
void commit_settle(void);
bool commit_waits(void);
/* Whether a commit was refused (an enum nb_error) only because mgmtd has zebra change something: to be tried again. */
bool commit_is_busy(int ret);

/* datastore.c: what a NETCONF server needs of zebra. */
void datastore_init(void);
void datastore_stop(void);

/* notification.c: notices as YANG notifications. */
void notification_start(compat_loop *loop);
void notification_stop(void);
/* One as a JSON object, its leaves by their YANG names. */
struct notice;
json_object *notification_json(const struct notice *notice);

/* True if a schema node's data path ends like this. */
bool northbound_path_is(const struct nb_node *node, const char *below_root);

#endif /* DPLANE_EBPF_NORTHBOUND_H */
