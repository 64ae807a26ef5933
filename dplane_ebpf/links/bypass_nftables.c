// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * nftables: base chains that packets pass on their way through the router. One that has no rule and
 * accepts does nothing. The kernel tells a chain's rules by their number, so they need not be read; a base
 * chain cannot be jumped to, so nothing else counts in that number.
 */
#include "dplane_ebpf/links/bypass.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

/* newer than the oldest headers: a device by the beginning of its name */
#define DEVICE_PREFIX 2

static bool string_of(const struct nlattr *attr, char *to, size_t size)
{
	size_t len = mnl_attr_get_payload_len(attr);

	len = strnlen(mnl_attr_get_payload(attr), len);
	if (len == 0 || len >= size)
		return false;
	memcpy(to, mnl_attr_get_payload(attr), len);
	to[len] = '\0';
	return true;
}

static void add_device(const struct nlattr *attr, uint32_t cause, struct bypass_view *view)
{
	char name[IF_NAMESIZE];
	uint32_t ifindex;

	if (!string_of(attr, name, sizeof(name)))
		return;
	ifindex = if_nametoindex(name);
	if (ifindex)
		bypass_view_add(view, ifindex, cause);
}

static void add_devices_with_prefix(const struct nlattr *attr, uint32_t cause,
				    struct bypass_view *view)
{
	struct if_nameindex *list = if_nameindex();
	char prefix[IF_NAMESIZE];

	if (list && string_of(attr, prefix, sizeof(prefix))) {
		for (size_t i = 0; list[i].if_index; i++) {
			if (strncmp(list[i].if_name, prefix, strlen(prefix)) == 0)
				bypass_view_add(view, list[i].if_index, cause);
		}
	}
	if (list)
		if_freenameindex(list);
}

/* A chain of one or several devices: its hook has their names. */
static void add_devices(const struct nlattr *hook, uint32_t cause, struct bypass_view *view)
{
	const struct nlattr *attr, *device;

	mnl_attr_for_each_nested(attr, hook) {
		if (mnl_attr_get_type(attr) == NFTA_HOOK_DEV)
			add_device(attr, cause, view);
		if (mnl_attr_get_type(attr) != NFTA_HOOK_DEVS)
			continue;
		mnl_attr_for_each_nested(device, attr) {
			if (mnl_attr_get_type(device) == NFTA_DEVICE_NAME)
				add_device(device, cause, view);
			else if (mnl_attr_get_type(device) == DEVICE_PREFIX)
				add_devices_with_prefix(device, cause, view);
		}
	}
}

static bool is_on_the_way(uint32_t hook)
{
	return hook == NF_INET_PRE_ROUTING || hook == NF_INET_FORWARD ||
	       hook == NF_INET_POST_ROUTING;
}

static void add_chain(uint8_t family, const struct nlattr *hook, struct bypass_view *view)
{
	uint32_t number = UINT32_MAX;
	const struct nlattr *attr;

	mnl_attr_for_each_nested(attr, hook) {
		if (mnl_attr_get_type(attr) == NFTA_HOOK_HOOKNUM &&
		    mnl_attr_validate(attr, MNL_TYPE_U32) == 0)
			number = ntohl(mnl_attr_get_u32(attr));
	}
	if (family == NFPROTO_NETDEV) {
		add_devices(hook,
			    number == NF_NETDEV_EGRESS ? BYPASS_BIT(EGRESS_CHAIN)
						       : BYPASS_BIT(INGRESS_CHAIN),
			    view);
	} else if (family == NFPROTO_INET && number == NF_INET_INGRESS) {
		add_devices(hook, BYPASS_BIT(INGRESS_CHAIN), view);
	} else if (is_on_the_way(number)) {
		if (family == NFPROTO_IPV4 || family == NFPROTO_INET)
			view->v4 |= BYPASS_BIT(NFTABLES);
		if (family == NFPROTO_IPV6 || family == NFPROTO_INET)
			view->v6 |= BYPASS_BIT(NFTABLES);
	}
}

void bypass_chain_message(const struct nlmsghdr *nlh, struct bypass_view *view)
{
	const struct nfgenmsg *message = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *attr, *hook = NULL;
	uint32_t rules = 1, policy = NF_ACCEPT;

	if (nlh->nlmsg_type != (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWCHAIN) ||
	    mnl_nlmsg_get_payload_len(nlh) < sizeof(*message))
		return;
	mnl_attr_for_each(attr, nlh, sizeof(*message)) {
		switch (mnl_attr_get_type(attr)) {
		case NFTA_CHAIN_HOOK:
			hook = attr;
			break;
		case NFTA_CHAIN_POLICY:
			if (mnl_attr_validate(attr, MNL_TYPE_U32) == 0)
				policy = ntohl(mnl_attr_get_u32(attr));
			break;
		case NFTA_CHAIN_USE:
			if (mnl_attr_validate(attr, MNL_TYPE_U32) == 0)
				rules = ntohl(mnl_attr_get_u32(attr));
			break;
		}
	}
	if (hook && (rules || policy != NF_ACCEPT))
		add_chain(message->nfgen_family, hook, view);
}

static bool handle(const struct nlmsghdr *nlh, void *arg)
{
	bypass_chain_message(nlh, arg);
	return false;
}

int bypass_read_nftables(const struct datapath *datapath, struct bypass_view *view)
{
	char buffer[MNL_ALIGN(sizeof(struct nlmsghdr)) + 64];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buffer);
	struct nfgenmsg *message = mnl_nlmsg_put_extra_header(nlh, sizeof(*message));
	int err;

	(void)datapath;
	nlh->nlmsg_type = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETCHAIN;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	message->nfgen_family = NFPROTO_UNSPEC;
	message->version = NFNETLINK_V0;
	err = bypass_request(NETLINK_NETFILTER, nlh, handle, view);
	/* so says a kernel with nfnetlink, but without nf_tables */
	return bypass_is_unsupported(err) || err == -EINVAL ? 0 : err;
}
