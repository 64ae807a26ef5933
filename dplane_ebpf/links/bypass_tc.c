// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Traffic control: qdiscs that somebody configured, filters at egress, and what others have at ingress behind our
 * program. The kernel gives a handle to each qdisc that was asked for, and none to its own default ones.
 */
#include "dplane_ebpf/links/bypass.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <libmnl/libmnl.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>

struct qdiscs {
	struct bypass_view *view;
	struct bypass_view filters; /* where to look for filters; causes: on which side */
};

struct filters {
	bool tcx; /* our program runs before every filter */
	bool found;
};

static const char *kind_of(const struct nlmsghdr *nlh)
{
	const struct nlattr *attr;

	mnl_attr_for_each(attr, nlh, sizeof(struct tcmsg)) {
		if (mnl_attr_get_type(attr) == TCA_KIND &&
		    mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) == 0)
			return mnl_attr_get_str(attr);
	}
	return "";
}

static bool qdisc_message(const struct nlmsghdr *nlh, void *arg)
{
	const struct tcmsg *tc = mnl_nlmsg_get_payload(nlh);
	struct qdiscs *qdiscs = arg;
	const char *kind;

	if (nlh->nlmsg_type != RTM_NEWQDISC || mnl_nlmsg_get_payload_len(nlh) < sizeof(*tc))
		return false;
	kind = kind_of(nlh);
	if (strcmp(kind, "clsact") == 0)
		bypass_view_add(&qdiscs->filters, tc->tcm_ifindex,
				BYPASS_BIT(INGRESS_FILTER) | BYPASS_BIT(EGRESS_FILTER));
	else if (strcmp(kind, "ingress") == 0)
		bypass_view_add(&qdiscs->filters, tc->tcm_ifindex, BYPASS_BIT(INGRESS_FILTER));
	else if (tc->tcm_handle && strcmp(kind, "noqueue") != 0)
		bypass_view_add(qdiscs->view, tc->tcm_ifindex, BYPASS_BIT(QDISC));
	return false;
}

/* Each list of filters begins with a message that has no handle. */
static bool filter_message(const struct nlmsghdr *nlh, void *arg)
{
	const struct tcmsg *tc = mnl_nlmsg_get_payload(nlh);
	struct filters *filters = arg;
	uint32_t priority;

	if (nlh->nlmsg_type != RTM_NEWTFILTER || mnl_nlmsg_get_payload_len(nlh) < sizeof(*tc))
		return false;
	priority = TC_H_MAJ(tc->tcm_info) >> 16;
	if (!tc->tcm_handle ||
	    (tc->tcm_handle == DATAPATH_CLSACT_HANDLE && priority == DATAPATH_CLSACT_PRIORITY))
		return false;
	filters->found = filters->tcx || priority >= DATAPATH_CLSACT_PRIORITY;
	return filters->found;
}

static int read_filters(uint32_t ifindex, uint32_t direction, struct filters *filters)
{
	char buffer[MNL_ALIGN(sizeof(struct nlmsghdr)) + 64];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buffer);
	struct tcmsg *tc = mnl_nlmsg_put_extra_header(nlh, sizeof(*tc));
	int err;

	nlh->nlmsg_type = RTM_GETTFILTER;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	tc->tcm_ifindex = ifindex;
	tc->tcm_parent = TC_H_MAKE(TC_H_CLSACT, direction);
	err = bypass_request(NETLINK_ROUTE, nlh, filter_message, filters);
	/* the interface or the qdisc is gone */
	return err == -ENODEV || err == -ENOENT || err == -EINVAL ? 0 : err;
}

static int read_port(const struct datapath *datapath, const struct bypass_port *port,
		     struct bypass_view *view)
{
	struct filters ingress = {0}, egress = {.tcx = true};
	struct datapath_others others;
	int err = 0;

	if (datapath_others(datapath, port->ifindex, &others) == 0)
		ingress.tcx = others.tcx;
	if (port->causes & BYPASS_BIT(INGRESS_FILTER))
		err = read_filters(port->ifindex, TC_H_MIN_INGRESS, &ingress);
	if (!err && port->causes & BYPASS_BIT(EGRESS_FILTER))
		err = read_filters(port->ifindex, TC_H_MIN_EGRESS, &egress);
	if (ingress.found)
		bypass_view_add(view, port->ifindex, BYPASS_BIT(INGRESS_FILTER));
	if (egress.found)
		bypass_view_add(view, port->ifindex, BYPASS_BIT(EGRESS_FILTER));
	return err;
}

static int read_tcx(const struct datapath *datapath, struct bypass_view *view)
{
	struct if_nameindex *list = if_nameindex();
	int err = list ? 0 : -errno;

	for (size_t i = 0; !err && list[i].if_index; i++) {
		struct datapath_others others;

		err = datapath_others(datapath, list[i].if_index, &others);
		if (err == -ENODEV)
			err = 0;
		else if (!err && !others.tcx)
			break;
		if (!err && others.ingress)
			bypass_view_add(view, list[i].if_index, BYPASS_BIT(INGRESS_FILTER));
		if (!err && others.egress)
			bypass_view_add(view, list[i].if_index, BYPASS_BIT(EGRESS_FILTER));
	}
	if (list)
		if_freenameindex(list);
	return err;
}

int bypass_read_tc(const struct datapath *datapath, struct bypass_view *view)
{
	char buffer[MNL_ALIGN(sizeof(struct nlmsghdr)) + 64];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buffer);
	struct qdiscs qdiscs = {.view = view};
	int err;

	nlh->nlmsg_type = RTM_GETQDISC;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	mnl_nlmsg_put_extra_header(nlh, sizeof(struct tcmsg));
	err = bypass_request(NETLINK_ROUTE, nlh, qdisc_message, &qdiscs);
	if (bypass_is_unsupported(err)) /* a kernel without traffic control */
		err = 0;
	for (size_t i = 0; i < qdiscs.filters.n && !err; i++)
		err = read_port(datapath, &qdiscs.filters.ports[i], view);
	bypass_view_clear(&qdiscs.filters);
	return err ? err : read_tcx(datapath, view);
}
