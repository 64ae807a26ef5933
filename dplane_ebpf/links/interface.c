// SPDX-License-Identifier: GPL-2.0-or-later
/* Interfaces: what is known of each, whether it is accelerated, and why not. */
#include "dplane_ebpf/links/links_internal.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <syslog.h>

#include <libmnl/libmnl.h>
#include <linux/if_arp.h>
#include <linux/if_link.h>
#include <linux/netconf.h>
#include <linux/rtnetlink.h>

#include "dplane_ebpf/log.h"

#ifndef IFF_LOWER_UP /* net/if.h stops short of it */
#define IFF_LOWER_UP (1u << 16)
#endif

#define RP_FILTER_STRICT 1
#define JUDGE_BATCH 256

struct interface *interface_find(struct links *links, uint32_t ifindex)
{
	uint32_t hash = table_hash(&ifindex, sizeof(ifindex));

	for (struct table_node *n = table_find(&links->interfaces, hash); n; n = n->next) {
		struct interface *interface = container_of(n, struct interface, by_index);

		if (interface->ifindex == ifindex)
			return interface;
	}
	return NULL;
}

struct interface *interface_ref(struct links *links, uint32_t ifindex)
{
	struct interface *interface = interface_find(links, ifindex);

	if (interface)
		return interface;
	interface = calloc(1, sizeof(*interface));
	if (!interface || !table_add(&links->interfaces, &interface->by_index,
				     table_hash(&ifindex, sizeof(ifindex)))) {
		free(interface);
		links_out_of_memory(links);
		return NULL;
	}
	interface->ifindex = ifindex;
	list_init(&interface->in_dirty);
	list_init(&interface->addresses);
	list_init(&interface->neighbours);
	list_init(&interface->nexthops);
	pthread_mutex_lock(&links->lock);
	list_add(&links->all, &interface->in_all);
	pthread_mutex_unlock(&links->lock);
	return interface;
}

static void interface_free(struct links *links, struct interface *interface)
{
	pthread_mutex_lock(&links->lock);
	list_del(&interface->in_all);
	pthread_mutex_unlock(&links->lock);
	list_del(&interface->in_dirty);
	table_del(&links->interfaces, &interface->by_index);
	free(interface);
}

void interface_unref(struct links *links, struct interface *interface)
{
	if (!interface->known && !interface->v4.known && !interface->v6.known &&
	    list_empty(&interface->addresses) && list_empty(&interface->neighbours) &&
	    list_empty(&interface->nexthops) && list_empty(&interface->in_dirty))
		interface_free(links, interface);
}

void interface_changed(struct links *links, struct interface *interface)
{
	if (list_empty(&interface->in_dirty))
		list_add(&links->dirty, &interface->in_dirty);
}

void interface_all_changed(struct links *links)
{
	list_for_each(n, &links->all)
		interface_changed(links, container_of(n, struct interface, in_all));
}

bool interface_is_ethernet(const struct interface *interface)
{
	return interface->type == ARPHRD_ETHER && !(interface->flags & IFF_LOOPBACK) &&
	       interface->mac_known;
}

bool interface_is_running(const struct interface *interface)
{
	const uint32_t all = IFF_UP | IFF_RUNNING | IFF_LOWER_UP;

	return interface->known && (interface->flags & all) == all;
}

bool interface_is_vrf_member(const struct interface *interface)
{
	return interface->master && strcmp(interface->master_kind, "vrf") == 0;
}

bool interface_is_port(const struct interface *interface)
{
	return interface->master && !interface_is_vrf_member(interface);
}

/* Packets are the kernel's when this returns; the program goes when nobody is held up by that. */
static void detach(struct links *links, struct interface *interface)
{
	/* at first sight there may be what an earlier process left */
	if (!interface->seen || interface->use_v4 || interface->use_v6)
		datapath_interface_set(links->datapath, interface->ifindex, interface->table, false,
				       false, 0);
	interface->use_v4 = interface->use_v6 = false;
	/* one that is gone takes along even what was about to be detached */
	if (!interface->asked && interface->seen && (interface->known || !interface->held))
		return;
	attacher_let_go(links->attacher, interface->ifindex, !interface->known);
	interface->held = interface->known;
	interface->asked = interface->attached = false;
	interface->hook = DATAPATH_HOOK_NONE;
}

/* ---- messages ---- */

static void copy_name(char *to, size_t size, const struct nlattr *attr)
{
	/* not every string attribute ends in a NUL */
	snprintf(to, size, "%.*s", (int)mnl_attr_get_payload_len(attr),
		 (const char *)mnl_attr_get_payload(attr));
}

static void read_linkinfo(struct interface *interface, const struct nlattr *nest)
{
	const struct nlattr *attr;

	mnl_attr_for_each_nested(attr, nest) {
		if (mnl_attr_get_type(attr) == IFLA_INFO_KIND)
			copy_name(interface->kind, sizeof(interface->kind), attr);
		else if (mnl_attr_get_type(attr) == IFLA_INFO_SLAVE_KIND)
			copy_name(interface->master_kind, sizeof(interface->master_kind), attr);
	}
}

/* Devices on top of it, and its masters, are judged by it. */
static void set_switchdev(struct links *links, struct interface *interface, bool is)
{
	if (is == interface->switchdev)
		return;
	interface->switchdev = is;
	links->switchdevs += is ? 1 : -1;
	interface_all_changed(links);
}

static void interface_gone(struct links *links, struct interface *interface)
{
	/* at once: an interface of the same number may follow, and it has no program */
	interface->known = false;
	interface->flags = 0;
	interface->kind[0] = '\0';
	interface->lower = 0;
	set_switchdev(links, interface, false);
	interface->link_changed = true;
	interface->bypass = 0;
	detach(links, interface);
	address_drop_interface(links, interface);
	neighbour_drop_interface(links, interface);
	vrf_changed(links, interface, 0);
	interface_changed(links, interface);
}

void interface_message(struct links *links, const struct nlmsghdr *nlh)
{
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);
	struct interface *interface;
	const struct nlattr *attr;
	uint32_t master = 0, vrf_table = 0, lower = 0;
	char old_name[IF_NAMESIZE];
	bool whole = false, was_known, elsewhere = false, switchdev = false;

	/* a bridge's word on its ports comes in the same group, and leaving a bridge is no deletion */
	if (ifi->ifi_family != AF_UNSPEC || ifi->ifi_index <= 0)
		return;
	if (nlh->nlmsg_type == RTM_DELLINK) {
		interface = interface_find(links, ifi->ifi_index);
		if (interface)
			interface_gone(links, interface);
		return;
	}
	interface = interface_ref(links, ifi->ifi_index);
	if (!interface)
		return;

	was_known = interface->known;
	memcpy(old_name, interface->name, sizeof(old_name));
	interface->known = true;
	interface->link_changed = true;
	interface->generation = links->generation;
	interface->type = ifi->ifi_type;
	interface->flags = ifi->ifi_flags;
	mnl_attr_for_each(attr, nlh, sizeof(*ifi)) {
		switch (mnl_attr_get_type(attr)) {
		case IFLA_IFNAME:
			copy_name(interface->name, sizeof(interface->name), attr);
			break;
		case IFLA_MTU:
			if (mnl_attr_validate(attr, MNL_TYPE_U32) < 0)
				break;
			interface->mtu = mnl_attr_get_u32(attr);
			whole = true;
			break;
		case IFLA_MASTER:
			if (mnl_attr_validate(attr, MNL_TYPE_U32) == 0)
				master = mnl_attr_get_u32(attr);
			break;
		case IFLA_ADDRESS:
			interface->mac_known =
				mnl_attr_get_payload_len(attr) == sizeof(interface->mac);
			if (interface->mac_known)
				memcpy(interface->mac, mnl_attr_get_payload(attr),
				       sizeof(interface->mac));
			break;
		case IFLA_LINK:
			if (mnl_attr_validate(attr, MNL_TYPE_U32) == 0)
				lower = mnl_attr_get_u32(attr);
			break;
		case IFLA_LINK_NETNSID:
			elsewhere = true;
			break;
		case IFLA_PHYS_SWITCH_ID:
			switchdev = true;
			break;
		case IFLA_LINKINFO:
			read_linkinfo(interface, attr);
			vrf_table = vrf_read_table(attr);
			break;
		}
	}
	/* wireless events are link messages with nearly nothing in them */
	if (whole) {
		if (switchdev && master != interface->master)
			interface_all_changed(links);
		set_switchdev(links, interface, switchdev);
		interface->lower = elsewhere ? 0 : lower;
		interface->master = master;
		vrf_changed(links, interface, vrf_table);
	}
	if (links->watch && (!was_known || strcmp(old_name, interface->name) != 0))
		bypass_watch_poke(links->watch);
	interface_changed(links, interface);
}

static void read_netconf(struct netconf *conf, const struct nlmsghdr *nlh, bool is_new)
{
	const struct nlattr *attr;

	if (!is_new) {
		memset(conf, 0, sizeof(*conf));
		return;
	}
	conf->known = true;
	mnl_attr_for_each(attr, nlh, sizeof(struct netconfmsg)) {
		if (mnl_attr_validate(attr, MNL_TYPE_U32) < 0)
			continue;
		if (mnl_attr_get_type(attr) == NETCONFA_FORWARDING)
			conf->forwarding = mnl_attr_get_u32(attr) != 0;
		else if (mnl_attr_get_type(attr) == NETCONFA_RP_FILTER)
			conf->rp_filter = (int)mnl_attr_get_u32(attr);
		else if (mnl_attr_get_type(attr) == NETCONFA_PROXY_NEIGH)
			conf->proxy = mnl_attr_get_u32(attr) != 0;
	}
}

void netconf_message(struct links *links, const struct nlmsghdr *nlh)
{
	const struct netconfmsg *ncm = mnl_nlmsg_get_payload(nlh);
	bool is_new = nlh->nlmsg_type == RTM_NEWNETCONF, v4 = ncm->ncm_family == AF_INET;
	struct interface *interface;
	const struct nlattr *attr;
	int ifindex = 0;

	if (!v4 && ncm->ncm_family != AF_INET6)
		return;
	mnl_attr_for_each(attr, nlh, sizeof(*ncm)) {
		if (mnl_attr_get_type(attr) == NETCONFA_IFINDEX &&
		    mnl_attr_validate(attr, MNL_TYPE_U32) == 0)
			ifindex = (int)mnl_attr_get_u32(attr);
	}
	if (ifindex == NETCONFA_IFINDEX_ALL) {
		read_netconf(v4 ? &links->all_v4 : &links->all_v6, nlh, is_new);
		interface_all_changed(links);
		return;
	}
	if (ifindex <= 0) /* "default" concerns only interfaces to come, which report their own */
		return;
	/* a new interface's settings may arrive before the interface */
	interface = is_new ? interface_ref(links, ifindex) : interface_find(links, ifindex);
	if (!interface)
		return;
	interface->generation = links->generation;
	read_netconf(v4 ? &interface->v4 : &interface->v6, nlh, is_new);
	interface_changed(links, interface);
}

/* ---- judging ---- */

static bool forwards_v4(const struct interface *interface)
{
	return interface->v4.forwarding;
}

/* Linux forwards IPv6 only where "all" says so too. */
static bool forwards_v6(const struct links *links, const struct interface *interface)
{
	return interface->v6.forwarding && links->all_v6.forwarding;
}

/* What the program has to heed for packets that come in there, beside families and table. */
static uint64_t more_of(const struct links *links, const struct interface *interface)
{
	bool proxy = interface->v6.proxy || links->all_v6.proxy, local_first;

	/* host addresses of table local are laid over table main */
	local_first =
		interface_is_vrf_member(interface) ? links->local_first : links->local_was_wide;
	return (proxy ? FIB_IF_PROXY : 0) | (local_first ? FIB_IF_LOCAL : 0);
}

/* What should be accelerated; where not all of it is, the reason. */
static void judge(struct links *links, struct interface *interface, bool *v4, bool *v6,
		  uint16_t *table, char *reason, size_t size)
{
	const char *name = interface->name;
	const struct interface *master;
	int rp_filter = interface->v4.rp_filter > links->all_v4.rp_filter ? interface->v4.rp_filter
									  : links->all_v4.rp_filter;

	*v4 = *v6 = false;
	reason[0] = '\0';
	if (!vrf_table(links, interface, table, reason, size))
		return;
	if (!interface->known) {
		snprintf(reason, size, "gone");
	} else if (interface->flags & IFF_LOOPBACK) {
		snprintf(reason, size, "loopback");
	} else if (!interface_is_ethernet(interface)) {
		kind_why_not_in(interface, reason, size);
	} else if (!(interface->flags & IFF_UP)) {
		snprintf(reason, size, "down");
	} else if (interface->vrf_table) {
		snprintf(reason, size, "device of a VRF; its members are attached");
	} else if (interface->master && !*table) {
		master = interface_find(links, interface->master);
		snprintf(reason, size, "member of %s%s%s", interface->master_kind,
			 interface->master_kind[0] ? " " : "",
			 master && master->known ? master->name : "another interface");
	} else if (!settings_accelerate(links, name, reason, size)) {
		return;
	} else if (!forwards_v4(interface) && !forwards_v6(links, interface)) {
		snprintf(reason, size, "forwarding is off (net.ipv4.conf.%s.forwarding)", name);
	} else {
		*v4 = forwards_v4(interface);
		*v6 = forwards_v6(links, interface);
		/* the kernel checks source addresses there, and the program does not */
		if (*v4 && rp_filter == RP_FILTER_STRICT) {
			*v4 = false;
			snprintf(reason, size,
				 "IPv4: strict rp_filter (net.ipv4.conf.%s.rp_filter)",
				 interface->v4.rp_filter == RP_FILTER_STRICT ? name : "all");
		}
		bypass_judge(links, interface, v4, v6, reason, size);
	}
}

/* The program is not there, yet or at all: what an earlier process's may do is restricted all the same. */
static void not_attached(struct links *links, struct interface *interface, bool v4, bool v6)
{
	if (interface->use_v4 || interface->use_v6)
		datapath_interface_set(links->datapath, interface->ifindex, interface->table, false,
				       false, 0);
	else
		datapath_predecessor_restrict(links->datapath, interface->ifindex, interface->table,
					      v4, v6, more_of(links, interface));
	interface->use_v4 = interface->use_v6 = interface->attached = false;
	interface->hook = DATAPATH_HOOK_NONE;
}

/*
 * 0, or a negative errno and the reason; then the interface is as if it had never been attached. -EINPROGRESS: the attacher is
 * at it, and the interface will be judged again.
 */
static int attach(struct links *links, struct interface *interface, bool v4, bool v6, bool changed,
		  char *reason, size_t size)
{
	enum attacher_state state;
	enum datapath_hook hook;
	uint64_t more = more_of(links, interface);
	int err = 0;

	state = attacher_want(links->attacher, interface->ifindex, interface->again, &hook, &err);
	interface->again = false;
	interface->asked = interface->held = true;
	if (state != ATTACHER_ATTACHED) {
		not_attached(links, interface, v4, v6);
		/* what went wrong the last time is worth more than that it is tried again */
		if (state == ATTACHER_FAILED)
			snprintf(reason, size, "attach failed: %s", strerror(-err));
		else if (interface->retry)
			memcpy(reason, interface->reason, size);
		else
			snprintf(reason, size, "attaching");
		return state == ATTACHER_FAILED ? err : -EINPROGRESS;
	}
	interface->attached = true;
	interface->hook = hook;
	if (v4 == interface->use_v4 && v6 == interface->use_v6 && more == interface->use_more &&
	    !changed)
		return 0;
	err = datapath_interface_set(links->datapath, interface->ifindex, interface->table, v4, v6,
				     more);
	if (err) {
		detach(links, interface);
		if (err == -ENOSPC)
			snprintf(reason, size, "interface number %u equals another modulo %u",
				 interface->ifindex, FIB_MAX_INTERFACES);
		else
			snprintf(reason, size, "attach failed: %s", strerror(-err));
		return err;
	}
	interface->use_v4 = v4;
	interface->use_v6 = v6;
	interface->use_more = more;
	return 0;
}

static void tell_name(const struct links *links, const struct links_interface *before,
		      const struct links_interface *now)
{
	bool same = before->ifindex == now->ifindex && strcmp(before->name, now->name) == 0;

	if (!links->name_watcher || same)
		return;
	if (before->ifindex && before->ifindex != now->ifindex)
		links->name_watcher(links->name_watcher_arg, before->ifindex, NULL);
	if (now->ifindex)
		links->name_watcher(links->name_watcher_arg, now->ifindex, now->name);
}

void links_watch_names(struct links *links, links_name_watcher watcher, void *arg)
{
	pthread_mutex_lock(&links->lock);
	links->name_watcher = watcher;
	links->name_watcher_arg = arg;
	list_for_each(n, &links->all) {
		const struct interface *interface = container_of(n, struct interface, in_all);

		if (watcher && interface->shown.ifindex)
			watcher(arg, interface->shown.ifindex, interface->shown.name);
	}
	pthread_mutex_unlock(&links->lock);
}

static void show(struct links *links, struct interface *interface)
{
	struct links_interface shown = {
		.ifindex = interface->known ? interface->ifindex : 0,
		.mtu = interface->mtu,
		.up = interface->flags & IFF_UP,
		.running = interface_is_running(interface),
		.v4_forwarding = forwards_v4(interface),
		.v6_forwarding = forwards_v6(links, interface),
		.v4 = interface->use_v4,
		.v6 = interface->use_v6,
		.hook = interface->hook,
		.neighbours = interface->hosts,
		.table = fib_table_kernel(links->fib, interface->table),
		.bypass = interface->bypass_shown,
		.bypass_allowed = interface->bypass_allowed,
		.out_to_kernel = interface->out_to_kernel,
	};

	memcpy(shown.name, interface->name, sizeof(shown.name));
	memcpy(shown.mac, interface->mac, sizeof(shown.mac));
	memcpy(shown.reason, interface->reason, sizeof(shown.reason));
	pthread_mutex_lock(&links->lock);
	tell_name(links, &interface->shown, &shown);
	interface->shown = shown;
	pthread_mutex_unlock(&links->lock);
}

static void tell_nexthops(struct links *links, struct interface *interface)
{
	if (interface->link_changed)
		nexthop_interface_changed(links, interface);
	interface->link_changed = false;
}

static void judge_one(struct links *links, struct interface *interface)
{
	char reason[sizeof(interface->reason)];
	bool v4, v6, was_attached = interface->attached, changed;
	uint16_t table;
	int err = 0;

	bypass_update(links, interface);
	judge(links, interface, &v4, &v6, &table, reason, sizeof(reason));
	if (!reason[0])
		kind_why_not_out(interface, reason, sizeof(reason));
	/* own addresses are in the new table before packets are looked up there */
	address_move_interface(links, interface, table);
	changed = table != interface->table;
	interface->table = table;
	if (v4 || v6)
		err = attach(links, interface, v4, v6, changed, reason, sizeof(reason));
	else
		detach(links, interface);
	interface->seen = interface->known;
	if (err != -EINPROGRESS)
		interface->retry = err != 0;

	if (err == -EINPROGRESS) {
		/* told when it is done */
	} else if (err && strcmp(reason, interface->reason) != 0) {
		links->errors++;
		dpe_log(LOG_WARNING, "interface %s: %s; its packets stay with the kernel",
			interface->name, reason);
	} else if (interface->attached != was_attached) {
		dpe_log(LOG_INFO, "interface %s: %s%s%s", interface->name,
			interface->attached ? "attached" : "detached", reason[0] ? ": " : "",
			reason);
	}
	memcpy(interface->reason, reason, sizeof(interface->reason));
	show(links, interface);
	tell_nexthops(links, interface);
}

/* Next hops that can be used no more, before anything else: packets are lost meanwhile. */
static void nexthops_first(struct links *links)
{
	list_for_each(n, &links->dirty) {
		tell_nexthops(links, container_of(n, struct interface, in_dirty));
	}
}

void interface_judge_changed(struct links *links)
{
	unsigned int most = JUDGE_BATCH;

	nexthops_first(links);
	/* those that are gone first: what they held may be what others wait for */
	list_for_each(n, &links->dirty) {
		struct interface *interface = container_of(n, struct interface, in_dirty);

		if (interface->known)
			continue;
		judge_one(links, interface);
		list_del(&interface->in_dirty);
		interface_unref(links, interface);
	}
	while (!list_empty(&links->dirty) && most--) {
		struct interface *interface =
			container_of(links->dirty.next, struct interface, in_dirty);

		list_del(&interface->in_dirty);
		judge_one(links, interface);
		interface_unref(links, interface);
	}
	/* no interface's word names the table of a VRF that is gone any more */
	if (list_empty(&links->dirty))
		vrf_close_left(links);
}

void interface_retry(struct links *links)
{
	list_for_each(n, &links->all) {
		struct interface *interface = container_of(n, struct interface, in_all);

		if (!interface->retry)
			continue;
		interface->again = true;
		interface_changed(links, interface);
	}
}

void interface_read_news(struct links *links)
{
	struct attacher_news news;

	while (attacher_take(links->attacher, &news)) {
		struct interface *interface = interface_find(links, news.ifindex);

		if (!interface || !interface->known)
			continue;
		if (news.unloosed) {
			links->errors++;
			dpe_log(LOG_WARNING, "interface %s: cannot detach: %s", interface->name,
				strerror(-news.unloosed));
		}
		if (news.mended)
			dpe_log(LOG_WARNING,
				"interface %s: somebody took the program away; it is attached again",
				interface->name);
		interface_changed(links, interface);
	}
}

void interface_sweep(struct links *links)
{
	list_for_each(n, &links->all) {
		struct interface *interface = container_of(n, struct interface, in_all);

		if (interface->generation != links->generation) {
			memset(&interface->v4, 0, sizeof(interface->v4));
			memset(&interface->v6, 0, sizeof(interface->v6));
			interface_gone(links, interface);
			continue;
		}
		address_sweep(links, interface);
		neighbour_sweep(links, interface);
		interface_changed(links, interface);
	}
}

void interface_free_all(struct links *links)
{
	list_for_each(n, &links->all) {
		struct interface *interface = container_of(n, struct interface, in_all);

		address_drop_interface(links, interface);
		neighbour_drop_interface(links, interface);
		interface_free(links, interface);
	}
	table_free(&links->interfaces);
}
