/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The show commands. All run in zebra's main thread. */
#ifndef DPLANE_EBPF_SHOW_H
#define DPLANE_EBPF_SHOW_H

#include "dplane_ebpf/compat.h"
#include "dplane_ebpf/fib/fib.h"
#include "dplane_ebpf/links/links.h"

/* Installs the commands. */
void show_init(void);

/* ---- between the files of northbound/ ---- */

/* One function a command; json says whether the last word was "json". They run only while the module does. */
int show_route(struct vty *vty, const char *vrf, const char *text, bool json);
int show_nexthop(struct vty *vty, const char *number, bool json);
int show_group(struct vty *vty, const char *number, bool json);
int show_interface(struct vty *vty, bool json);
int show_counters(struct vty *vty, bool json);
int show_consistency(struct vty *vty, bool json);
int clear_consistency(struct vty *vty, bool json);
int show_link_metric(struct vty *vty, bool json);
int clear_counters(struct vty *vty, bool json);
/* These always run. after: a number, or NULL */
int show_summary(struct vty *vty, bool json);
int show_events(struct vty *vty, const char *after, bool json);

/* The same as JSON, also for YANG's operational state; the caller owns it. */
json_object *show_summary_json(void);
json_object *show_counters_json(void);
json_object *show_link_metrics_json(void);
json_object *show_interface_json(const struct links_interface *interface);
/* For YANG's operational state only. */
json_object *show_consistency_state(void);

/* The audit's line of the summary; or, if object is not NULL, its part of that. */
void show_consistency_summary(struct vty *vty, json_object *object);

/* Interfaces' names, read once a command. */
struct show_names {
	struct links_interface *list;
	size_t n;
};
void show_names_read(struct show_names *names);
void show_names_free(struct show_names *names);
/* The name, or "ifindex N" in buf. */
const char *show_name(const struct show_names *names, uint32_t ifindex, char *buf, size_t len);

#define SHOW_TEXT_LEN 64
/* Words for what an entry is. buf has SHOW_TEXT_LEN bytes. */
const char *show_verdict(uint32_t group);
const char *show_state(const struct fib_adjacency *adjacency);
const char *show_gate(const struct fib_nexthop_key *key, char *buf);
const char *show_mac(const uint8_t *mac, char *buf);

/* A next hop and a group as JSON. The group's members go into it. */
json_object *show_nexthop_json(const struct fib_nexthop_info *info, const struct show_names *names);
json_object *show_group_json(const struct fib_group_info *info, const struct show_names *names);
/* A group's members as lines of text. */
void show_members(struct vty *vty, const struct fib_group_info *info,
		  const struct show_names *names);

#endif /* DPLANE_EBPF_SHOW_H */
