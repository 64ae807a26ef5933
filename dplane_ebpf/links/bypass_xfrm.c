// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * XFRM (IPsec): policies for forwarded packets, what happens to those without one, and security associations. What the router has
 * taken out of a tunnel comes to TC ingress a second time, as it was before, by the device that the tunnel's packet came
 * in by. The kernel forwards it only by a policy of direction fwd, and the program cannot tell it from what came as it is:
 * while there is an association that takes anything out of tunnels, whatever is of that family may be such a packet.
 */
#include "dplane_ebpf/links/bypass.h"

#include <sys/socket.h>

#include <libmnl/libmnl.h>
#include <linux/xfrm.h>

static void add(uint16_t family, struct bypass_view *view)
{
	if (family != AF_INET6)
		view->v4 |= BYPASS_BIT(XFRM);
	if (family != AF_INET)
		view->v6 |= BYPASS_BIT(XFRM);
}

void bypass_policy_message(const struct nlmsghdr *nlh, struct bypass_view *view)
{
	size_t len = mnl_nlmsg_get_payload_len(nlh);

	if (nlh->nlmsg_type == XFRM_MSG_NEWPOLICY) {
		const struct xfrm_userpolicy_info *policy = mnl_nlmsg_get_payload(nlh);

		/* greater directions are of sockets; "in" is for what the router itself receives, decrypted or not */
		if (len >= sizeof(*policy) &&
		    (policy->dir == XFRM_POLICY_FWD || policy->dir == XFRM_POLICY_OUT))
			add(policy->sel.family, view);
	} else if (nlh->nlmsg_type == XFRM_MSG_GETDEFAULT) {
		const struct xfrm_userpolicy_default *policy = mnl_nlmsg_get_payload(nlh);

		if (len >= sizeof(*policy) &&
		    (policy->fwd == XFRM_USERPOLICY_BLOCK || policy->out == XFRM_USERPOLICY_BLOCK))
			add(AF_UNSPEC, view);
	}
}

void bypass_state_message(const struct nlmsghdr *nlh, struct bypass_view *view)
{
	const struct xfrm_usersa_info *state = mnl_nlmsg_get_payload(nlh);

	/* of transport mode comes what is for the router itself; which direction it is of, not every kernel says */
	if (nlh->nlmsg_type == XFRM_MSG_NEWSA && mnl_nlmsg_get_payload_len(nlh) >= sizeof(*state) &&
	    state->mode != XFRM_MODE_TRANSPORT)
		add(state->sel.family, view);
}

static bool handle_state(const struct nlmsghdr *nlh, void *arg)
{
	struct bypass_view *view = arg;

	bypass_state_message(nlh, view);
	return view->v4 && view->v6;
}

int bypass_read_xfrm_states(const struct datapath *datapath, struct bypass_view *view)
{
	char buffer[MNL_ALIGN(sizeof(struct nlmsghdr)) + 256];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buffer);
	int err;

	(void)datapath;
	nlh->nlmsg_type = XFRM_MSG_GETSA;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	mnl_nlmsg_put_extra_header(nlh, sizeof(struct xfrm_usersa_id));
	err = bypass_request(NETLINK_XFRM, nlh, handle_state, view);
	return bypass_is_unsupported(err) ? 0 : err;
}

static bool handle(const struct nlmsghdr *nlh, void *arg)
{
	struct bypass_view *view = arg;

	bypass_policy_message(nlh, view);
	return view->v4 && view->v6;
}

int bypass_read_xfrm(const struct datapath *datapath, struct bypass_view *view)
{
	char buffer[MNL_ALIGN(sizeof(struct nlmsghdr)) + 256];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buffer);
	int err;

	(void)datapath;
	nlh->nlmsg_type = XFRM_MSG_GETPOLICY;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	mnl_nlmsg_put_extra_header(nlh, sizeof(struct xfrm_userpolicy_id));
	err = bypass_request(NETLINK_XFRM, nlh, handle, view);
	if (err)
		return bypass_is_unsupported(err) ? 0 : err;

	nlh = mnl_nlmsg_put_header(buffer);
	nlh->nlmsg_type = XFRM_MSG_GETDEFAULT;
	nlh->nlmsg_flags = NLM_F_REQUEST;
	mnl_nlmsg_put_extra_header(nlh, sizeof(struct xfrm_userpolicy_default));
	return bypass_request(NETLINK_XFRM, nlh, handle, view);
}
