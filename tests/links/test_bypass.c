// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What would be bypassed: answers of the kernel, also such as this one does not give, and what links/ does about them
 * with a real FIB and the real program. With real rules and real packets: tests/router/test_bypass.py.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <libmnl/libmnl.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter_ipv4/ip_tables.h>
#include <linux/netfilter_ipv6/ip6_tables.h>
#include <linux/xfrm.h>

#include "dplane_ebpf/links/links_internal.h"
#include "tests/links/test_links.h"

#define DEADLINE_MS 10000
#define TCX_INGRESS 46
#define TCX_EGRESS 47
#define DEVICE_PREFIX 2

static struct datapath *datapath;
static struct fib *fib;
static struct links *links;
static char buffer[4096];

#define wait_for(condition) \
	do { \
		uint64_t deadline_ = links_now() + DEADLINE_MS; \
		while (!(condition)) { \
			ck_assert_msg(links_now() < deadline_, "in vain: %s", #condition); \
			usleep(2000); \
		} \
	} while (0)

static void run(const char *command)
{
	ck_assert_msg(system(command) == 0, "failed: %s", command);
}

/* Two veth pairs; x0 and y0 have addresses. */
static void setup_interfaces(void)
{
	ck_assert_int_eq(unshare(CLONE_NEWNET), 0);
	run("sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0 "
	    "net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1");
	run("ip link add x0 type veth peer name x1 && ip link add y0 type veth peer name y1");
	run("for i in x0 x1 y0 y1; do ip link set dev $i up; done");
	run("ip addr add 10.0.0.1/24 dev x0 && ip addr add 10.0.1.1/24 dev y0");
}

static void setup(void)
{
	struct datapath_config config = {.geometry = datapath_geometry_small};
	struct fib_memory memory;
	char error[256] = "";

	setup_interfaces();
	datapath = datapath_open(&config, error, sizeof(error));
	ck_assert_msg(datapath != NULL, "datapath_open: %s", error);
	datapath_memory(datapath, &memory);
	fib = fib_new(&memory, datapath_geometry(datapath));
	ck_assert_ptr_nonnull(fib);
}

static struct links_interface get(const char *name)
{
	struct links_interface *list, found = {0};
	size_t n = links_interfaces(links, &list);

	for (size_t i = 0; i < n; i++) {
		if (strcmp(list[i].name, name) == 0)
			found = list[i];
	}
	free(list);
	return found;
}

static void start_only(const char *bypass)
{
	char error[256] = "";

	links = links_start(fib, datapath, bypass, error, sizeof(error));
	ck_assert_msg(links != NULL, "links_start: %s", error);
}

static void start(const char *bypass)
{
	start_only(bypass);
	wait_for(get("y0").v4);
}

static void teardown(void)
{
	links_stop(links);
	fib_free(fib);
	datapath_close(datapath, false);
}

/* ---- what the kernel says ---- */

static struct nlmsghdr *chain_start(uint8_t family)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(memset(buffer, 0, sizeof(buffer)));
	struct nfgenmsg *message = mnl_nlmsg_put_extra_header(nlh, sizeof(*message));

	nlh->nlmsg_type = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWCHAIN;
	message->nfgen_family = family;
	mnl_attr_put_strz(nlh, NFTA_CHAIN_TABLE, "t");
	mnl_attr_put_strz(nlh, NFTA_CHAIN_NAME, "c");
	return nlh;
}

/* device: of one; device_type: how it is told in the list of several, 0: it is not */
static struct bypass_view chain(uint8_t family, uint32_t hook, uint32_t rules, uint32_t policy,
				const char *device, uint16_t device_type)
{
	struct nlmsghdr *nlh = chain_start(family);
	struct nlattr *nest = mnl_attr_nest_start(nlh, NFTA_CHAIN_HOOK), *devices;
	struct bypass_view view = {0};

	mnl_attr_put_u32(nlh, NFTA_HOOK_HOOKNUM, htonl(hook));
	mnl_attr_put_u32(nlh, NFTA_HOOK_PRIORITY, htonl(0));
	if (device && device_type) {
		devices = mnl_attr_nest_start(nlh, NFTA_HOOK_DEVS);
		mnl_attr_put_strz(nlh, device_type, device);
		mnl_attr_nest_end(nlh, devices);
	} else if (device) {
		mnl_attr_put_strz(nlh, NFTA_HOOK_DEV, device);
	}
	mnl_attr_nest_end(nlh, nest);
	mnl_attr_put_u32(nlh, NFTA_CHAIN_POLICY, htonl(policy));
	mnl_attr_put_u32(nlh, NFTA_CHAIN_USE, htonl(rules));
	bypass_chain_message(nlh, &view);
	return view;
}

static bool concerns(struct bypass_view view, bool v4, bool v6)
{
	return view.v4 == (v4 ? BYPASS_BIT(NFTABLES) : 0) &&
	       view.v6 == (v6 ? BYPASS_BIT(NFTABLES) : 0) && view.n == 0;
}

START_TEST(chains)
{
	ck_assert(
		concerns(chain(NFPROTO_IPV4, NF_INET_FORWARD, 1, NF_ACCEPT, NULL, 0), true, false));
	ck_assert(concerns(chain(NFPROTO_IPV6, NF_INET_PRE_ROUTING, 9, NF_ACCEPT, NULL, 0), false,
			   true));
	ck_assert(concerns(chain(NFPROTO_INET, NF_INET_POST_ROUTING, 1, NF_DROP, NULL, 0), true,
			   true));
	ck_assert(concerns(chain(NFPROTO_INET, NF_INET_FORWARD, 0, NF_DROP, NULL, 0), true, true));
	/* these do nothing, or nothing on the way */
	ck_assert(concerns(chain(NFPROTO_INET, NF_INET_FORWARD, 0, NF_ACCEPT, NULL, 0), false,
			   false));
	ck_assert(
		concerns(chain(NFPROTO_INET, NF_INET_LOCAL_IN, 5, NF_DROP, NULL, 0), false, false));
	ck_assert(concerns(chain(NFPROTO_IPV4, NF_INET_LOCAL_OUT, 5, NF_DROP, NULL, 0), false,
			   false));
	ck_assert(concerns(chain(NFPROTO_BRIDGE, NF_INET_FORWARD, 5, NF_DROP, NULL, 0), false,
			   false));
	ck_assert(concerns(chain(NFPROTO_ARP, NF_INET_FORWARD, 5, NF_DROP, NULL, 0), false, false));
}
END_TEST

/* The causes of an interface in a view that has nothing else; clears it. */
static uint32_t only_of(struct bypass_view view, const char *name)
{
	uint32_t causes = 0;

	ck_assert_uint_eq(view.v4 | view.v6, 0);
	for (size_t i = 0; i < view.n; i++) {
		ck_assert_uint_eq(view.ports[i].ifindex, if_nametoindex(name));
		causes |= view.ports[i].causes;
	}
	bypass_view_clear(&view);
	return causes;
}

START_TEST(chains_of_interfaces)
{
	const uint32_t in = BYPASS_BIT(INGRESS_CHAIN), out = BYPASS_BIT(EGRESS_CHAIN);
	struct bypass_view view;

	setup_interfaces();
	view = chain(NFPROTO_NETDEV, NF_NETDEV_INGRESS, 1, NF_ACCEPT, "x0", 0);
	ck_assert_uint_eq(only_of(view, "x0"), in);
	view = chain(NFPROTO_NETDEV, NF_NETDEV_EGRESS, 1, NF_ACCEPT, "y1", NFTA_DEVICE_NAME);
	ck_assert_uint_eq(only_of(view, "y1"), out);
	view = chain(NFPROTO_INET, NF_INET_INGRESS, 1, NF_ACCEPT, "x1", NFTA_DEVICE_NAME);
	ck_assert_uint_eq(only_of(view, "x1"), in);
	view = chain(NFPROTO_NETDEV, NF_NETDEV_INGRESS, 0, NF_ACCEPT, "x0", 0);
	ck_assert_uint_eq(view.n, 0);
	view = chain(NFPROTO_NETDEV, NF_NETDEV_INGRESS, 1, NF_ACCEPT, "nobody", 0);
	ck_assert_uint_eq(view.n, 0);
	view = chain(NFPROTO_NETDEV, NF_NETDEV_INGRESS, 1, NF_ACCEPT, "y", DEVICE_PREFIX);
	ck_assert_uint_eq(view.n, 2);
	for (size_t i = 0; i < view.n; i++)
		ck_assert(view.ports[i].ifindex == if_nametoindex("y0") ||
			  view.ports[i].ifindex == if_nametoindex("y1"));
	bypass_view_clear(&view);
}
END_TEST

/* Nothing that a message may contain is believed: the sanitizers watch. */
START_TEST(messages_of_any_content)
{
	struct bypass_view view = {0};

	srand(1);
	setup_interfaces();
	for (int i = 0; i < 200000; i++) {
		struct nlmsghdr *nlh;
		uint8_t *copy;

		bypass_view_clear(&view);
		view = chain(NFPROTO_NETDEV, NF_NETDEV_INGRESS, 1, NF_ACCEPT, "x0",
			     i % 2 ? NFTA_DEVICE_NAME : DEVICE_PREFIX);
		nlh = (struct nlmsghdr *)buffer;
		for (int j = rand() % 4; j >= 0; j--)
			buffer[NLMSG_HDRLEN + rand() % (nlh->nlmsg_len - NLMSG_HDRLEN)] = rand();
		nlh->nlmsg_len -= rand() % 3 ? 0 : rand() % (nlh->nlmsg_len - NLMSG_HDRLEN);
		/* where an overrun is seen; messages have their padding */
		copy = calloc(1, MNL_ALIGN(nlh->nlmsg_len));
		memcpy(copy, nlh, nlh->nlmsg_len);
		bypass_chain_message((struct nlmsghdr *)copy, &view);
		((struct nlmsghdr *)copy)->nlmsg_type =
			i % 2 ? XFRM_MSG_NEWPOLICY : XFRM_MSG_GETDEFAULT;
		bypass_policy_message((struct nlmsghdr *)copy, &view);
		((struct nlmsghdr *)copy)->nlmsg_type = XFRM_MSG_NEWSA;
		bypass_state_message((struct nlmsghdr *)copy, &view);
		free(copy);
	}
	bypass_view_clear(&view);
}
END_TEST

static struct bypass_view policy(uint8_t direction, uint16_t family)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(memset(buffer, 0, sizeof(buffer)));
	struct xfrm_userpolicy_info *info = mnl_nlmsg_put_extra_header(nlh, sizeof(*info));
	struct bypass_view view = {0};

	nlh->nlmsg_type = XFRM_MSG_NEWPOLICY;
	info->dir = direction;
	info->sel.family = family;
	bypass_policy_message(nlh, &view);
	return view;
}

static struct bypass_view policy_default(uint8_t in, uint8_t fwd, uint8_t out)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(memset(buffer, 0, sizeof(buffer)));
	struct xfrm_userpolicy_default *info = mnl_nlmsg_put_extra_header(nlh, sizeof(*info));
	struct bypass_view view = {0};

	nlh->nlmsg_type = XFRM_MSG_GETDEFAULT;
	*info = (struct xfrm_userpolicy_default){.in = in, .fwd = fwd, .out = out};
	bypass_policy_message(nlh, &view);
	return view;
}

START_TEST(policies)
{
	const uint8_t block = XFRM_USERPOLICY_BLOCK, accept = XFRM_USERPOLICY_ACCEPT;

	ck_assert(policy(XFRM_POLICY_FWD, AF_INET).v4 == BYPASS_BIT(XFRM));
	ck_assert(policy(XFRM_POLICY_FWD, AF_INET).v6 == 0);
	ck_assert(policy(XFRM_POLICY_OUT, AF_INET6).v4 == 0);
	ck_assert(policy(XFRM_POLICY_OUT, AF_INET6).v6 == BYPASS_BIT(XFRM));
	ck_assert(policy(XFRM_POLICY_OUT, AF_UNSPEC).v4 && policy(XFRM_POLICY_OUT, AF_UNSPEC).v6);
	ck_assert(!policy(XFRM_POLICY_IN, AF_INET).v4);
	/* a socket's own */
	ck_assert(!policy(XFRM_POLICY_MAX + XFRM_POLICY_OUT, AF_INET).v4);
	ck_assert(!policy_default(block, accept, accept).v4);
	ck_assert(policy_default(accept, block, accept).v4);
	ck_assert(policy_default(accept, accept, block).v6);
}
END_TEST

static struct bypass_view state(uint8_t mode, uint16_t family, uint16_t cut)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(memset(buffer, 0, sizeof(buffer)));
	struct xfrm_usersa_info *info = mnl_nlmsg_put_extra_header(nlh, sizeof(*info));
	struct bypass_view view = {0};

	nlh->nlmsg_type = XFRM_MSG_NEWSA;
	nlh->nlmsg_len -= cut;
	info->mode = mode;
	info->sel.family = family;
	info->family = family == AF_INET ? AF_INET6 : AF_INET; /* of the tunnel's own packets */
	bypass_state_message(nlh, &view);
	return view;
}

START_TEST(states)
{
	ck_assert(state(XFRM_MODE_TUNNEL, AF_INET, 0).v4 == BYPASS_BIT(XFRM));
	ck_assert(!state(XFRM_MODE_TUNNEL, AF_INET, 0).v6);
	ck_assert(state(XFRM_MODE_BEET, AF_INET6, 0).v6 && !state(XFRM_MODE_BEET, AF_INET6, 0).v4);
	ck_assert(state(XFRM_MODE_TUNNEL, AF_UNSPEC, 0).v4 && state(5, AF_UNSPEC, 0).v6);
	ck_assert(!state(XFRM_MODE_TRANSPORT, AF_INET, 0).v4);
	ck_assert(!state(XFRM_MODE_TUNNEL, AF_INET, 1).v4);
}
END_TEST

/* An association without any policy, in the kernel: of those that wait for their keys, which need no cipher. */
START_TEST(states_of_the_kernel)
{
	start(NULL);
	ck_assert(get("x0").v4 && get("x0").v6);
	run("sysctl -qw net.core.xfrm_acq_expires=1000");
	run("ip xfrm state allocspi src 192.0.2.1 dst 192.0.2.2 proto esp mode transport > /dev/null");
	run("ip xfrm state allocspi src 192.0.2.1 dst 192.0.2.3 proto esp mode tunnel > /dev/null");
	/* of what has no keys yet the kernel tells nobody, nor says it what the tunnel carries */
	links_stop(links);
	start_only(NULL);
	wait_for(get("x0").bypass);
	ck_assert(!get("x0").v4 && !get("x0").v6 && get("x0").bypass == BYPASS_BIT(XFRM));
	ck_assert_str_eq(get("x0").reason,
			 "IPv4, IPv6: IPsec policies or tunnels (ip xfrm policy, ip xfrm state)");
	run("ip xfrm state deleteall dst 192.0.2.3");
	wait_for(get("x0").v4 && get("x0").v6);
}
END_TEST

/* ---- iptables ---- */

struct table4 {
	struct {
		struct ipt_entry entry;
		struct xt_standard_target target;
	} rule[6];
};

/* Like "filter", with FORWARD's policy in rule 1, and one rule before it if that is wanted. */
static struct table4 table(struct ipt_getinfo *info, bool with_rule, int verdict)
{
	const size_t size = sizeof(((struct table4 *)0)->rule[0]);
	struct table4 t;

	memset(&t, 0, sizeof(t));
	for (int i = 0; i < 6; i++) {
		t.rule[i].entry.target_offset = sizeof(struct ipt_entry);
		t.rule[i].entry.next_offset = size;
		t.rule[i].target.verdict = -NF_ACCEPT - 1;
	}
	t.rule[2].target.verdict = verdict;
	*info = (struct ipt_getinfo){.valid_hooks = 1u << NF_INET_LOCAL_IN | 1u << NF_INET_FORWARD |
						    1u << NF_INET_LOCAL_OUT,
				     .num_entries = 6,
				     .size = sizeof(t)};
	info->hook_entry[NF_INET_FORWARD] = with_rule ? size : 2 * size;
	info->underflow[NF_INET_FORWARD] = 2 * size;
	/* of no interest: not on the way, or not of this table */
	info->hook_entry[NF_INET_LOCAL_IN] = 0;
	info->underflow[NF_INET_LOCAL_IN] = size;
	info->hook_entry[NF_INET_PRE_ROUTING] = 0;
	info->underflow[NF_INET_PRE_ROUTING] = size;
	return t;
}

static bool matters(const struct ipt_getinfo *info, const struct table4 *t, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);
	bool is;

	memcpy(copy, t, len);
	is = bypass_table_matters(AF_INET, info, copy, len);
	free(copy);
	return is;
}

START_TEST(tables)
{
	struct ipt_getinfo info;
	struct table4 t = table(&info, false, -NF_ACCEPT - 1);

	ck_assert(!matters(&info, &t, sizeof(t)));
	/* cut short, it is not known to do nothing */
	for (size_t len = 0; len < 3 * sizeof(t.rule[0]); len++)
		ck_assert(matters(&info, &t, len));
	t.rule[2].entry.target_offset = 0xffff;
	ck_assert(matters(&info, &t, sizeof(t)));
	t = table(&info, false, -NF_DROP - 1);
	ck_assert(matters(&info, &t, sizeof(t)));
	t = table(&info, true, -NF_ACCEPT - 1);
	ck_assert(matters(&info, &t, sizeof(t)));
	info.valid_hooks = 1u << NF_INET_LOCAL_IN;
	ck_assert(!matters(&info, &t, sizeof(t)));
}
END_TEST

/* ---- what cannot be read ---- */

START_TEST(without_permission)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[2] = {{0}};
	struct bypass_watch *watch;
	struct bypass_view view;
	int fd = eventfd(0, EFD_NONBLOCK);

	setup();
	ck_assert_int_eq(syscall(SYS_capset, &header, none), 0);
	watch = bypass_watch_open(datapath, fd);
	ck_assert_ptr_nonnull(watch);
	ck_assert_int_eq(bypass_watch_start(watch), 0);
	wait_for(bypass_watch_take(watch, &view));
	ck_assert(view.v4 & BYPASS_BIT(UNKNOWN) && view.v6 & BYPASS_BIT(UNKNOWN));
	bypass_view_clear(&view);
	ck_assert(!bypass_watch_take(watch, &view));
	bypass_watch_close(watch);
	close(fd);
	fib_free(fib);
	datapath_close(datapath, false);
}
END_TEST

/* ---- what comes of it ---- */

/* By name, by all, both at once, of interfaces that do not exist, while it runs. */
START_TEST(allowed_while_it_runs)
{
	run("ip rule add pref 100 from 10.9.0.0/16 lookup 77");
	start("y0+later");
	wait_for(!get("x0").v4 && get("x0").v6 && get("x0").bypass == BYPASS_BIT(RULES));
	ck_assert(get("y0").v4 && get("y0").bypass_allowed && get("y0").bypass);
	ck_assert_str_eq(get("x0").reason, "IPv4: policy rules beyond the default ones (ip rule)");
	run("tc qdisc add dev x0 clsact && tc filter add dev x0 ingress protocol all pref 10 u32 match u32 0 0 flowid 1:1");
	wait_for(!get("x0").v6);
	ck_assert_str_eq(
		get("x0").reason,
		"IPv4: policy rules beyond the default ones (ip rule), filters at ingress (tc filter); "
		"IPv6: filters at ingress (tc filter)");
	run("tc qdisc del dev x0 clsact");
	wait_for(get("x0").v6);
	ck_assert_str_eq(get("y0").reason, "");
	links_bypass_allow(links, "x0", true);
	wait_for(get("x0").v4);
	links_bypass_allow(links, NULL, true);
	wait_for(get("x1").v4);
	links_bypass_allow(links, "x0", false);
	links_bypass_allow(links, "nobody", false);
	links_bypass_allow(links, NULL, false);
	wait_for(!get("x0").v4 && !get("x1").v4 && get("y0").v4);
	ck_assert(!get("lo").bypass);
	run("ip link add later type veth peer name z1 && ip link set dev later up");
	wait_for(get("later").v4);
	links_bypass_allow(links, "y0", false);
	wait_for(!get("y0").v4);
	run("ip rule del pref 100");
	wait_for(get("x0").v4 && get("x1").v4 && get("y0").v4 && !get("x0").bypass);
}
END_TEST

static uint32_t next_hop(const char *name, uint8_t last)
{
	struct fib_member member = {.weight = 1,
				    .nexthop = {.ifindex = if_nametoindex(name),
						.family = AF_INET,
						.gate = {10, 0, 0, last}}};
	uint32_t group = 0;

	ck_assert_int_eq(fib_group_set(fib, &group, &member, 1), 0);
	return fib_nexthop_next(fib, 0);
}

static struct fib_adjacency adjacency(uint32_t nexthop)
{
	struct fib_nexthop_info info;

	ck_assert_int_eq(fib_nexthop_get(fib, nexthop, &info), 0);
	return info.adjacency;
}

/* A next hop behind a qdisc is the kernel's, but one that is down is down: backups wait for that. */
START_TEST(next_hops_behind_a_qdisc)
{
	uint32_t nexthop;

	start(NULL);
	run("ip neigh add 10.0.0.9 lladdr 02:00:00:00:00:09 dev x0");
	nexthop = next_hop("x0", 9);
	wait_for(adjacency(nexthop).action == FIB_NH_REWRITE);
	run("tc qdisc add dev x0 root tbf rate 1gbit burst 1mb latency 100ms");
	wait_for(adjacency(nexthop).action == FIB_NH_KERNEL);
	ck_assert(get("x0").v4 && get("x0").out_to_kernel && !adjacency(nexthop).down);
	links_bypass_allow(links, "x0", true);
	wait_for(adjacency(nexthop).action == FIB_NH_REWRITE);
	links_bypass_allow(links, "x0", false);
	wait_for(adjacency(nexthop).action == FIB_NH_KERNEL);
	run("ip link set dev x1 down");
	wait_for(adjacency(nexthop).down);
	run("ip link set dev x1 up && ip neigh replace 10.0.0.9 lladdr 02:00:00:00:00:09 dev x0");
	wait_for(!adjacency(nexthop).down);
	run("tc qdisc del dev x0 root");
	wait_for(adjacency(nexthop).action == FIB_NH_REWRITE && !get("x0").out_to_kernel);
}
END_TEST

/* Interfaces that come and go leave nothing behind for others of their number. */
START_TEST(a_new_interface_has_nothing)
{
	start(NULL);
	run("ip link add z0 index 4000 type veth peer name z1 && ip link set dev z0 up && ip link set dev z1 up");
	run("tc qdisc add dev z0 root tbf rate 1gbit burst 1mb latency 100ms");
	wait_for(get("z0").out_to_kernel);
	run("ip link del dev z0 && ip link add z0 index 4000 type veth peer name z1 && ip link set dev z0 up");
	run("ip link set dev z1 up");
	wait_for(get("z0").v4 && !get("z0").out_to_kernel);
}
END_TEST

static int attach_foreign(const char *name, int hook)
{
	const struct bpf_insn program[] = {
		/* return TCX_NEXT, the kernel's word for: the next program */
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = -1},
		{.code = BPF_JMP | BPF_EXIT},
	};
	int program_fd = bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "foreign", "GPL", program, 2, NULL);
	int fd = bpf_link_create(program_fd, if_nametoindex(name), hook, NULL);

	ck_assert_msg(fd >= 0, "bpf_link_create: %s", strerror(errno));
	close(program_fd);
	return fd;
}

/* The kernel does not tell of tcx, so it is seen when all is read: which any change of a qdisc brings about. */
static void read_again(void)
{
	run("tc qdisc add dev y1 clsact && tc qdisc del dev y1 clsact");
}

START_TEST(programs_of_others_at_tcx)
{
	int before = attach_foreign("x0", TCX_INGRESS), behind, egress;

	start(NULL);
	wait_for(get("x0").v4);
	if (get("x0").hook != DATAPATH_HOOK_TCX) {
		close(before);
		return; /* a kernel without */
	}
	ck_assert(!get("x0").bypass);
	egress = attach_foreign("x0", TCX_EGRESS);
	behind = attach_foreign("y0", TCX_INGRESS);
	read_again();
	wait_for(get("x0").out_to_kernel && get("x0").v4);
	ck_assert_uint_eq(get("x0").bypass, BYPASS_BIT(EGRESS_FILTER));
	wait_for(!get("y0").v4 && get("y0").bypass == BYPASS_BIT(INGRESS_FILTER));
	ck_assert_int_eq(get("y0").hook, DATAPATH_HOOK_NONE);
	/* soon ours is not there, and attached anew it is the last one */
	wait_for((read_again(), get("y0").v4 && !get("y0").bypass));
	close(egress);
	read_again();
	wait_for(!get("x0").out_to_kernel);
	close(before);
	close(behind);
}
END_TEST

TCase *bypass_case(void)
{
	TCase *tc = tcase_create("bypass");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, chains);
	tcase_add_test(tc, chains_of_interfaces);
	tcase_add_test(tc, messages_of_any_content);
	tcase_add_test(tc, policies);
	tcase_add_test(tc, states);
	tcase_add_test(tc, tables);
	tcase_add_test(tc, without_permission);
	return tc;
}

TCase *bypass_links_case(void)
{
	TCase *tc = tcase_create("bypass-links");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, allowed_while_it_runs);
	tcase_add_test(tc, states_of_the_kernel);
	tcase_add_test(tc, next_hops_behind_a_qdisc);
	tcase_add_test(tc, a_new_interface_has_nothing);
	tcase_add_test(tc, programs_of_others_at_tcx);
	return tc;
}
