// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Policy rules. The program looks into the table of a packet's interface and nowhere else, which is what the
 * kernel's own rules come to. Any other rule may send packets elsewhere: while there is one, they are the kernel's.
 */
#include "dplane_ebpf/links/links_internal.h"

#include <sys/socket.h>
#include <syslog.h>

#include <libmnl/libmnl.h>
#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>

#include "dplane_ebpf/log.h"

/* Rules as the kernel makes them: for every packet to local, main or default, or by the packet's VRF. */
static bool is_kernels_own(const struct fib_rule_hdr *rule, const struct nlmsghdr *nlh)
{
	const struct nlattr *attr;
	uint32_t table = rule->table;
	bool l3mdev = false;

	if (rule->dst_len || rule->src_len || rule->tos || rule->action != FR_ACT_TO_TBL ||
	    rule->flags & FIB_RULE_INVERT)
		return false;
	mnl_attr_for_each(attr, nlh, sizeof(*rule)) {
		switch (mnl_attr_get_type(attr)) {
		case FRA_TABLE:
			if (mnl_attr_validate(attr, MNL_TYPE_U32) == 0)
				table = mnl_attr_get_u32(attr);
			break;
		case FRA_L3MDEV:
			l3mdev = mnl_attr_validate(attr, MNL_TYPE_U8) == 0 && mnl_attr_get_u8(attr);
			break;
		case FRA_SUPPRESS_PREFIXLEN:
		case FRA_SUPPRESS_IFGROUP:
			/* -1: none */
			if (mnl_attr_validate(attr, MNL_TYPE_U32) < 0 ||
			    mnl_attr_get_u32(attr) != UINT32_MAX)
				return false;
			break;
		case FRA_PRIORITY:
		case FRA_PROTOCOL:
		case FRA_PAD:
			break;
		default:
			return false;
		}
	}
	return l3mdev || table == RT_TABLE_LOCAL || table == RT_TABLE_MAIN ||
	       table == RT_TABLE_DEFAULT;
}

void rule_message(struct links *links, const struct nlmsghdr *nlh)
{
	const struct fib_rule_hdr *rule = mnl_nlmsg_get_payload(nlh);

	/* a change says too little of what is left: all of them are read again */
	if (!(nlh->nlmsg_flags & NLM_F_MULTI)) {
		links->rules_changed = true;
		return;
	}
	if (is_kernels_own(rule, nlh))
		return;
	if (rule->family == AF_INET)
		links->rules_v4++;
	else if (rule->family == AF_INET6)
		links->rules_v6++;
}

void rule_read_again(struct links *links)
{
	int err;

	links->rules_changed = false;
	err = netlink_dump_rules(links);
	if (err) {
		links->errors++;
		dpe_log(LOG_WARNING,
			"cannot read the policy rules: %s; they are taken as they were",
			strerror(-err));
	}
}
