// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Policy rules. For each packet the kernel goes through a list, from the lowest preference on, and looks the destination up in the
 * table of every rule that matches, until one has a route. As it makes them itself:
 *
 *     0: from all lookup local             the router's own addresses
 *     1000: from all lookup [l3mdev]       of a member of a VRF: the VRF's table; matches nothing else
 *     32766: from all lookup main
 *     32767: from all lookup default
 *
 * The program looks into one table, the main one or a VRF's, if need be into table local before, and leaves to the kernel what
 * that does not have. So the list may be what it wants behind that table's rule, and before it only what is read here: table
 * local, and rules that no packet matches which the program forwards. With anything else the packets concerned are
 * the kernel's. What matches is what fib_rule_match() in the kernel's net/core/fib_rules.c says.
 */
#include "dplane_ebpf/links/links_internal.h"

#include <string.h>
#include <sys/socket.h>
#include <syslog.h>

#include <libmnl/libmnl.h>
#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>

#include "dplane_ebpf/log.h"

#define LOOPBACK_IFINDEX 1u /* of each network namespace */

enum leads_to { NOWHERE, TO_LOCAL, TO_MAIN, TO_VRF, VRF_ELSEWHERE, ELSEWHERE };

/* What a rule says. */
struct rule {
	uint32_t table, mark, mask;
	bool l3mdev;
	bool iif_loopback; /* for what the router itself sends */
	bool oif;	   /* for sockets bound to an interface */
	bool some;	   /* for some packets only, or not all that its table has */
};

/* The device may be called otherwise; a name that nothing is known of may come to be any interface. */
static bool is_loopback(const struct links *links, const struct nlattr *name)
{
	const struct interface *lo = interface_find((struct links *)links, LOOPBACK_IFINDEX);
	size_t len = strnlen(mnl_attr_get_payload(name), mnl_attr_get_payload_len(name));

	return lo && lo->known && lo->flags & IFF_LOOPBACK && strlen(lo->name) == len &&
	       memcmp(lo->name, mnl_attr_get_payload(name), len) == 0;
}

static uint32_t number(const struct nlattr *attr, uint32_t otherwise)
{
	return mnl_attr_validate(attr, MNL_TYPE_U32) == 0 ? mnl_attr_get_u32(attr) : otherwise;
}

static void read_rule(const struct links *links, const struct nlmsghdr *nlh, struct rule *rule)
{
	const struct fib_rule_hdr *header = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *attr;

	*rule = (struct rule){.table = header->table};
	rule->some = header->dst_len || header->src_len || header->tos;
	mnl_attr_for_each(attr, nlh, sizeof(*header)) {
		switch (mnl_attr_get_type(attr)) {
		case FRA_TABLE:
			rule->table = number(attr, rule->table);
			break;
		case FRA_L3MDEV:
			rule->l3mdev =
				mnl_attr_validate(attr, MNL_TYPE_U8) == 0 && mnl_attr_get_u8(attr);
			break;
		case FRA_FWMARK:
			rule->mark = number(attr, 0);
			break;
		case FRA_FWMASK:
			rule->mask = number(attr, 0);
			break;
		case FRA_IIFNAME:
			rule->iif_loopback = is_loopback(links, attr);
			rule->some = true;
			break;
		case FRA_OIFNAME:
			rule->oif = true;
			break;
		case FRA_SUPPRESS_PREFIXLEN:
		case FRA_SUPPRESS_IFGROUP:
			/* -1: none */
			rule->some |= number(attr, 0) != UINT32_MAX;
			break;
		case FRA_PRIORITY:
		case FRA_PROTOCOL:
		case FRA_PAD:
			break;
		default:
			rule->some = true;
		}
	}
}

/* Of a packet that comes in by an interface, is not marked, and is not for the router: where it is looked up by this rule. */
static enum leads_to leads_to(const struct links *links, const struct nlmsghdr *nlh)
{
	const struct fib_rule_hdr *header = mnl_nlmsg_get_payload(nlh);
	struct rule rule;

	read_rule(links, nlh, &rule);
	if (header->action == FR_ACT_NOP)
		return NOWHERE;
	if (header->flags & FIB_RULE_INVERT)
		return ELSEWHERE;
	/* marked packets are the kernel's; what is routed by where it comes in has no interface that it wants out of */
	if (rule.mark & rule.mask || rule.iif_loopback || rule.oif)
		return NOWHERE;
	if (header->action != FR_ACT_TO_TBL || rule.some)
		return rule.l3mdev ? VRF_ELSEWHERE : ELSEWHERE;
	if (rule.l3mdev)
		return TO_VRF;
	return rule.table == RT_TABLE_LOCAL  ? TO_LOCAL
	       : rule.table == RT_TABLE_MAIN ? TO_MAIN
					     : ELSEWHERE;
}

static struct rules *rules_of(struct links *links, uint8_t family)
{
	return family == AF_INET ? &links->rules_v4 : family == AF_INET6 ? &links->rules_v6 : NULL;
}

void rule_begin(struct links *links, uint8_t family)
{
	struct rules *rules = rules_of(links, family);

	if (rules)
		memset(rules, 0, sizeof(*rules));
}

static void add(struct rules *rules, enum leads_to to)
{
	switch (to) {
	case NOWHERE:
		return;
	case TO_LOCAL:
		rules->local_first |= !rules->vrf_decided;
		return;
	case TO_MAIN:
		rules->by_main |= !rules->main_decided;
		rules->main_decided = rules->vrf_decided = true;
		return;
	case TO_VRF:
		rules->by_vrf |= !rules->vrf_decided;
		rules->vrf_decided = true;
		return;
	case ELSEWHERE:
		rules->main_decided = true;
		/* fall through */
	case VRF_ELSEWHERE:
		rules->vrf_decided = true;
		return;
	}
}

static void add_rule(struct rules *rules, const struct fib_rule_hdr *header, enum leads_to to)
{
	add(rules, to);
	rules->others |= to == NOWHERE || to == VRF_ELSEWHERE ||
			 (to == ELSEWHERE && header->table != RT_TABLE_DEFAULT);
}

void rule_message(struct links *links, const struct nlmsghdr *nlh)
{
	const struct fib_rule_hdr *header = mnl_nlmsg_get_payload(nlh);
	struct rules *rules = rules_of(links, header->family);

	/* a change says too little of what is left: all of them are read again */
	if (!(nlh->nlmsg_flags & NLM_F_MULTI))
		links->rules_changed = true;
	else if (rules)
		add_rule(rules, header, leads_to(links, nlh));
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

uint32_t rule_bypass(const struct links *links, bool v6)
{
	const struct rules *rules = v6 ? &links->rules_v6 : &links->rules_v4;
	uint32_t causes = 0;

	if (!rules->by_main)
		causes |= BYPASS_BIT(RULES);
	/* where there is no VRF there is no rule for it either */
	if (links->vrfs && !rules->by_vrf)
		causes |= BYPASS_BIT(VRF_RULES);
	return causes;
}

bool rule_local_first(const struct links *links)
{
	return links->rules_v4.local_first || links->rules_v6.local_first;
}
