// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Policy rules, by the messages that the kernel sends of them, also of VRFs, which not every kernel that tests run on has; and
 * by those that it does send of the same list made with ip(8). What a list comes to follows from fib_rules_lookup() and
 * fib_rule_match() of the kernel.
 */
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <libmnl/libmnl.h>
#include <linux/fib_rules.h>
#include <linux/if_arp.h>
#include <linux/if_link.h>
#include <linux/netconf.h>
#include <linux/rtnetlink.h>

#include "dplane_ebpf/datapath/datapath_internal.h"
#include "dplane_ebpf/links/links_internal.h"
#include "tests/links/test_links.h"

#define VRF_INDEX 70000
#define VRF_TABLE 10
#define NORMAL (IFF_UP | IFF_RUNNING | 1u << 16)

static struct datapath *datapath;
static struct fib *fib;
static struct links *links;
static uint32_t plain, member;
static char buffer[1024];

/* ---- messages ---- */

static void say_link(uint32_t ifindex, const char *name, uint32_t flags, uint32_t master)
{
	static const uint8_t mac[6] = {2, 0, 0, 0, 0, 10};
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(memset(buffer, 0, sizeof(buffer)));
	struct ifinfomsg *ifi = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifi));
	struct nlattr *info, *data;

	nlh->nlmsg_type = RTM_NEWLINK;
	ifi->ifi_index = (int)ifindex;
	ifi->ifi_type = flags & IFF_LOOPBACK ? ARPHRD_LOOPBACK : ARPHRD_ETHER;
	ifi->ifi_flags = flags;
	mnl_attr_put_strz(nlh, IFLA_IFNAME, name);
	mnl_attr_put_u32(nlh, IFLA_MTU, 1500);
	mnl_attr_put(nlh, IFLA_ADDRESS, sizeof(mac), mac);
	if (master)
		mnl_attr_put_u32(nlh, IFLA_MASTER, master);
	info = mnl_attr_nest_start(nlh, IFLA_LINKINFO);
	if (master)
		mnl_attr_put_strz(nlh, IFLA_INFO_SLAVE_KIND, "vrf");
	if (ifindex == VRF_INDEX) {
		mnl_attr_put_strz(nlh, IFLA_INFO_KIND, "vrf");
		data = mnl_attr_nest_start(nlh, IFLA_INFO_DATA);
		mnl_attr_put_u32(nlh, IFLA_VRF_TABLE, VRF_TABLE);
		mnl_attr_nest_end(nlh, data);
	}
	mnl_attr_nest_end(nlh, info);
	interface_message(links, nlh);
}

static void say_forwarding(uint8_t family, int ifindex)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(memset(buffer, 0, sizeof(buffer)));
	struct netconfmsg *ncm = mnl_nlmsg_put_extra_header(nlh, sizeof(*ncm));

	nlh->nlmsg_type = RTM_NEWNETCONF;
	ncm->ncm_family = family;
	mnl_attr_put_u32(nlh, NETCONFA_IFINDEX, (uint32_t)ifindex);
	mnl_attr_put_u32(nlh, NETCONFA_FORWARDING, 1);
	netconf_message(links, nlh);
}

/* A rule for all packets that leads to a table; what else it says is added, and then it is said. */
static struct nlmsghdr *rule_start(uint8_t family, uint8_t table)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(memset(buffer, 0, sizeof(buffer)));
	struct fib_rule_hdr *rule = mnl_nlmsg_put_extra_header(nlh, sizeof(*rule));

	nlh->nlmsg_type = RTM_NEWRULE;
	nlh->nlmsg_flags = NLM_F_MULTI;
	rule->family = family;
	rule->table = table;
	rule->action = FR_ACT_TO_TBL;
	mnl_attr_put_u32(nlh, FRA_TABLE, table);
	mnl_attr_put_u32(nlh, FRA_SUPPRESS_PREFIXLEN, UINT32_MAX);
	mnl_attr_put_u8(nlh, FRA_PROTOCOL, RTPROT_ZEBRA);
	return nlh;
}

static struct fib_rule_hdr *header(void)
{
	return mnl_nlmsg_get_payload((struct nlmsghdr *)buffer);
}

static struct nlmsghdr *message(void)
{
	return (struct nlmsghdr *)buffer;
}

/*
 * A list as text, in the order in which the kernel asks: local, main, default, vrf; mark (0x100/0x100) and nomark (0/0x100), oif,
 * iif-lo, iif (of a port), from, tos, uid, proto, nop, blackhole, other, not-mark, not-lo, vrf-unreachable, suppressed.
 */
static void say_rule(uint8_t family, const char *what)
{
	struct nlmsghdr *nlh = rule_start(family, 77);

	if (!strcmp(what, "local") || !strcmp(what, "main") || !strcmp(what, "default")) {
		nlh = rule_start(family, !strcmp(what, "local")	 ? RT_TABLE_LOCAL
					 : !strcmp(what, "main") ? RT_TABLE_MAIN
								 : RT_TABLE_DEFAULT);
	} else if (!strcmp(what, "vrf") || !strcmp(what, "vrf-unreachable")) {
		nlh = rule_start(family, 0);
		mnl_attr_put_u8(nlh, FRA_L3MDEV, 1);
		if (strcmp(what, "vrf"))
			header()->action = FR_ACT_UNREACHABLE;
	} else if (!strcmp(what, "mark") || !strcmp(what, "not-mark")) {
		mnl_attr_put_u32(nlh, FRA_FWMARK, 0x100);
		mnl_attr_put_u32(nlh, FRA_FWMASK, 0xffff);
		header()->flags = what[0] == 'n' ? FIB_RULE_INVERT : 0;
	} else if (!strcmp(what, "nomark")) {
		mnl_attr_put_u32(nlh, FRA_FWMASK, 0x100);
	} else if (!strcmp(what, "oif")) {
		mnl_attr_put_strz(nlh, FRA_OIFNAME, "x0");
	} else if (!strcmp(what, "iif-lo") || !strcmp(what, "not-lo")) {
		mnl_attr_put_strz(nlh, FRA_IIFNAME, "lo");
		header()->flags = what[0] == 'n' ? FIB_RULE_INVERT : 0;
	} else if (!strcmp(what, "iif")) {
		mnl_attr_put_strz(nlh, FRA_IIFNAME, "l");
	} else if (!strcmp(what, "from")) {
		header()->src_len = 8;
		mnl_attr_put_u32(nlh, FRA_SRC, 10);
	} else if (!strcmp(what, "tos")) {
		header()->tos = 4;
	} else if (!strcmp(what, "uid")) {
		struct fib_rule_uid_range range = {0, 1000};

		mnl_attr_put(nlh, FRA_UID_RANGE, sizeof(range), &range);
	} else if (!strcmp(what, "proto")) {
		mnl_attr_put_u8(nlh, FRA_IP_PROTO, IPPROTO_TCP);
	} else if (!strcmp(what, "nop")) {
		header()->action = FR_ACT_NOP;
	} else if (!strcmp(what, "blackhole")) {
		header()->action = FR_ACT_BLACKHOLE;
	} else if (!strcmp(what, "suppressed")) {
		nlh = rule_start(family, RT_TABLE_MAIN);
		mnl_attr_put_u32(nlh, FRA_SUPPRESS_PREFIXLEN, 0);
	} else {
		ck_assert_msg(!strcmp(what, "other"), "%s", what);
	}
	rule_message(links, message());
}

/* Judges what has changed, until the attacher has nothing more to say. */
static void settle(void)
{
	bool settled;

	do {
		settled = attacher_is_settled(links->attacher);
		interface_read_news(links);
		interface_judge_changed(links);
		usleep(settled ? 0 : 1000);
	} while (!settled);
}

static void say_rules(uint8_t family, const char *list)
{
	char *copy = strdup(list), *rest = copy, *what;

	rule_begin(links, family);
	while ((what = strsep(&rest, " ")))
		say_rule(family, what);
	free(copy);
	bypass_read(links);
	settle();
}

static void setup(void)
{
	struct datapath_config config = {.geometry = datapath_geometry_small};
	struct fib_memory memory;
	char error[256] = "";

	ck_assert_int_eq(unshare(CLONE_NEWNET), 0);
	ck_assert_int_eq(system("ip link add dev x0 type veth peer name x1"), 0);
	plain = if_nametoindex("x0");
	member = if_nametoindex("x1");
	datapath = datapath_open(&config, error, sizeof(error));
	ck_assert_msg(datapath != NULL, "datapath_open: %s", error);
	datapath_memory(datapath, &memory);
	fib = fib_new(&memory, datapath_geometry(datapath));
	links = calloc(1, sizeof(*links));
	ck_assert(fib && links);
	links->fib = fib;
	links->datapath = datapath;
	links->wake_fd = eventfd(0, EFD_CLOEXEC);
	list_init(&links->all);
	list_init(&links->dirty);
	pthread_mutex_init(&links->lock, NULL);
	pthread_mutex_init(&links->queue_lock, NULL);
	links->attacher = attacher_start(datapath, -1, links->wake_fd);
	ck_assert_ptr_nonnull(links->attacher);

	say_link(1, "lo", NORMAL | IFF_LOOPBACK, 0);
	say_link(VRF_INDEX, "red", NORMAL, 0);
	say_link(plain, "x0", NORMAL, 0);
	say_link(member, "x1", NORMAL, VRF_INDEX);
	say_forwarding(AF_INET, (int)plain);
	say_forwarding(AF_INET, (int)member);
	say_forwarding(AF_INET6, (int)plain);
	say_forwarding(AF_INET6, (int)member);
	say_forwarding(AF_INET6, NETCONFA_IFINDEX_ALL);
	say_rules(AF_INET, "local vrf main default");
	say_rules(AF_INET6, "local vrf main");
}

static void teardown(void)
{
	attacher_stop(links->attacher);
	interface_free_all(links);
	table_free(&links->addresses);
	close(links->wake_fd);
	free(links);
	fib_free(fib);
	datapath_close(datapath, false);
}

/* ---- what comes of them ---- */

static const struct links_interface *shown(uint32_t ifindex)
{
	return &interface_find(links, ifindex)->shown;
}

static bool local_first(uint32_t ifindex)
{
	uint64_t word = datapath->interfaces[ifindex % FIB_MAX_INTERFACES];

	ck_assert_uint_eq((uint32_t)word, ifindex);
	return word & FIB_IF_LOCAL;
}

#define OF_ALL "policy rules beyond the default ones (ip rule)"
#define OF_VRFS "policy rules by which members of VRFs do not go by their VRF first (ip rule)"

struct list_case {
	const char *rules;
	bool plain, member; /* the program forwards */
	bool local_first;   /* of members */
};

static const struct list_case lists[] = {
	{"local vrf main default", true, true, true},
	/* as of "ip rule add pref 500 lookup main" */
	{"local main vrf main default", true, false, true},
	{"local main default vrf", true, false, true},
	{"local main default", true, false, true},
	{"local vrf main default main local", true, true, true},
	/* as FRR's documentation has it: the VRF's own word on the router's addresses */
	{"vrf local main default", true, true, false},
	{"vrf main local default", true, true, false},
	{"vrf main default", true, true, false},
	{"local vrf default main", false, true, true},
	{"local vrf", false, true, true},
	{"local", false, false, true},
	/* such as no packet matches that is not marked and not the router's own */
	{"mark local mark vrf oif main default", true, true, true},
	{"local iif-lo vrf iif-lo main default", true, true, true},
	{"local nop vrf nop main default", true, true, true},
	/* such as some match, or all */
	{"local nomark vrf main default", false, false, true},
	{"local not-mark vrf main default", false, false, true},
	{"local not-lo vrf main default", false, false, true},
	{"local iif vrf main default", false, false, true},
	{"local from vrf main default", false, false, true},
	{"from local vrf main default", false, false, false},
	{"local tos vrf main default", false, false, true},
	{"local uid vrf main default", false, false, true},
	{"local proto vrf main default", false, false, true},
	{"local other vrf main default", false, false, true},
	{"local blackhole vrf main default", false, false, true},
	{"local suppressed vrf main default", false, false, true},
	/* between the two, and behind both */
	{"local vrf from main default", false, true, true},
	{"local vrf vrf-unreachable main default", true, true, true},
	{"local vrf-unreachable vrf main default", true, false, true},
	{"local vrf main from blackhole other", true, true, true},
};

/* Rules that the kernel does not make by itself. */
static bool has_others(const char *rules)
{
	static const char *const own[] = {"local", "vrf", "main", "default"};
	char *copy = strdup(rules), *rest = copy, *what;
	bool others = false;

	while ((what = strsep(&rest, " "))) {
		bool is_own = false;

		for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
			is_own |= !strcmp(what, own[i]);
		others |= !is_own;
	}
	free(copy);
	return others;
}

START_TEST(order)
{
	const struct list_case *list = &lists[_i];

	/* the other family's are of no concern */
	for (int v6 = 0; v6 < 2; v6++) {
		const uint8_t family = v6 ? AF_INET6 : AF_INET;
		const char *name = v6 ? "IPv6: " : "IPv4: ";
		const struct links_interface *a = shown(plain), *b = shown(member);
		char reason[128];

		say_rules(AF_INET, "local vrf main default");
		say_rules(AF_INET6, "local vrf main");
		ck_assert(a->v4 && a->v6 && b->v4 && b->v6);
		ck_assert_str_eq(a->reason, "");
		ck_assert_str_eq(b->reason, "");
		say_rules(family, list->rules);
		ck_assert_msg((v6 ? a->v6 : a->v4) == list->plain, "%s", list->rules);
		ck_assert_msg((v6 ? b->v6 : b->v4) == list->member, "%s", list->rules);
		ck_assert(v6 ? a->v4 && b->v4 : a->v6 && b->v6);
		snprintf(reason, sizeof(reason), "%s" OF_ALL, name);
		ck_assert_str_eq(a->reason, list->plain ? "" : reason);
		snprintf(reason, sizeof(reason), "%s" OF_VRFS, name);
		ck_assert_str_eq(b->reason, list->member ? "" : reason);
		/* one bit for both families; IPv4's look at sources is a closer one with rules of others */
		ck_assert_msg(local_first(plain) == (!v6 && has_others(list->rules)), "%s",
			      list->rules);
		ck_assert(local_first(member));
		say_rules(v6 ? AF_INET : AF_INET6, list->rules);
		if (list->member)
			ck_assert_msg(local_first(member) == list->local_first, "%s", list->rules);
	}
}
END_TEST

/* Without a VRF nobody is told that there is no rule for one. */
START_TEST(no_vrf)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(memset(buffer, 0, sizeof(buffer)));
	struct ifinfomsg *ifi = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifi));

	nlh->nlmsg_type = RTM_DELLINK;
	ifi->ifi_index = VRF_INDEX;
	interface_message(links, nlh);
	say_rules(AF_INET, "local main default");
	ck_assert_uint_eq(links->bypass_v4, 0);
	ck_assert_str_eq(shown(plain)->reason, "");
	ck_assert(shown(plain)->v4);
}
END_TEST

/* The kernel's own messages: each list is made, read, and taken away. */
static const struct {
	const char *commands;
	bool forwards;
} made[] = {
	{"true", true},
	{"ip rule add pref 100 fwmark 0x100 lookup 77 protocol zebra", true},
	{"ip rule add pref 100 fwmark 0x100/0xff00 blackhole", true},
	{"ip rule add pref 100 fwmark 0/0xff lookup 77", false},
	{"ip rule add pref 100 not fwmark 0x100 lookup 77", false},
	{"ip rule add pref 100 iif lo lookup 77", true},
	{"ip rule add pref 100 not iif lo lookup 77", false},
	{"ip rule add pref 100 iif x0 lookup 77", false},
	{"ip rule add pref 100 oif x0 lookup 77", true},
	{"ip rule add pref 100 uidrange 1-1000 lookup 77", false},
	{"ip rule add pref 100 from 10.9.0.0/16 lookup 77", false},
	{"ip rule add pref 100 tos 0x10 lookup 77", false},
	{"ip rule add pref 100 ipproto tcp dport 80 lookup 77", false},
	{"ip rule add pref 40000 from 10.9.0.0/16 lookup 77", true},
	{"ip rule add pref 500 lookup main", true},
	{"ip rule add pref 500 lookup default", false},
	{"ip rule add pref 32765 lookup local; ip rule del pref 0", true},
	{"ip rule add pref 32767 lookup local; ip rule del pref 0", true},
	{"ip rule del pref 32766", false},
	{"ip rule add pref 100 goto 32766", false},
};

static struct links_interface shown_by(struct links *real, uint32_t ifindex)
{
	struct links_interface *list, found = {0};
	size_t n = links_interfaces(real, &list);

	for (size_t i = 0; i < n; i++) {
		if (list[i].ifindex == ifindex)
			found = list[i];
	}
	free(list);
	return found;
}

START_TEST(of_the_kernel)
{
	struct links_options options = {0};
	char error[256] = "";
	struct links_interface now;
	struct links *real;

	ck_assert_int_eq(
		system("sysctl -qw net.ipv4.conf.all.rp_filter=0 "
		       "net.ipv4.conf.x0.rp_filter=0 net.ipv4.ip_forward=1; "
		       "ip link set dev lo up; ip link set dev x0 up; ip link set dev x1 up"),
		0);
	ck_assert_int_eq(system(made[_i].commands), 0);
	real = links_start_with(fib, datapath, &options, error, sizeof(error));
	ck_assert_msg(real != NULL, "links_start: %s", error);
	do {
		usleep(1000);
		now = shown_by(real, plain);
	} while (!now.v4 && (!now.reason[0] || strcmp(now.reason, "attaching") == 0));
	ck_assert_msg(now.v4 == made[_i].forwards, "%s: %s", made[_i].commands, now.reason);
	links_stop(real);
}
END_TEST

TCase *rule_case(void)
{
	TCase *tc = tcase_create("rule");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, order, 0, sizeof(lists) / sizeof(lists[0]));
	tcase_add_test(tc, no_vrf);
	tcase_add_loop_test(tc, of_the_kernel, 0, sizeof(made) / sizeof(made[0]));
	return tc;
}
