// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Links of all sorts, by the messages that the kernel sends of them: few kernels have all of these devices. There is no
 * thread and no socket, only links/ and what it does with the FIB and the program.
 */
#include <net/if.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <libmnl/libmnl.h>
#include <linux/if_arp.h>
#include <linux/if_link.h>
#include <linux/netconf.h>
#include <linux/rtnetlink.h>

#include "dplane_ebpf/links/links_internal.h"
#include "tests/links/test_links.h"

#define RUNNING (IFF_UP | IFF_RUNNING | 1u << 16)
#define MASTER 70000
#define IS_ETHERNET "forwarding is off (net.ipv4.conf.dev0.forwarding)"

static struct datapath *datapath;
static struct fib *fib;
static struct links *links;
static uint32_t device, number;
static char buffer[1024];

static void setup(void)
{
	struct datapath_config config = {.geometry = datapath_geometry_small};
	struct fib_member member = {0};
	struct fib_memory memory;
	char error[256] = "";
	uint32_t group = 0;

	ck_assert_int_eq(unshare(CLONE_NEWNET), 0);
	ck_assert_int_eq(system("ip link add dev dev0 type veth peer name dev1"), 0);
	device = if_nametoindex("dev0");
	datapath = datapath_open(&config, error, sizeof(error));
	ck_assert_msg(datapath != NULL, "datapath_open: %s", error);
	datapath_memory(datapath, &memory);
	fib = fib_new(&memory, datapath_geometry(datapath));
	links = calloc(1, sizeof(*links));
	ck_assert(fib && links);
	links->fib = fib;
	links->datapath = datapath;
	links->wake_fd = eventfd(0, EFD_CLOEXEC);
	links->rules_v4.by_main = links->rules_v6.by_main = true;
	list_init(&links->all);
	list_init(&links->dirty);
	pthread_mutex_init(&links->lock, NULL);
	pthread_mutex_init(&links->queue_lock, NULL);
	links->attacher = attacher_start(datapath, -1, links->wake_fd);
	ck_assert_ptr_nonnull(links->attacher);
	fib_nexthop_watch(fib, nexthop_watcher, links);

	member.nexthop.ifindex = device;
	ck_assert_int_eq(fib_group_set(fib, &group, &member, 1), 0);
	number = fib_nexthop_next(fib, 0);
	nexthop_read_queue(links);
}

static void teardown(void)
{
	fib_nexthop_watch(fib, NULL, NULL);
	attacher_stop(links->attacher);
	nexthop_free_all(links);
	interface_free_all(links);
	close(links->wake_fd);
	free(links->allowed);
	free(links);
	fib_free(fib);
	datapath_close(datapath, false);
}

/* ---- messages ---- */

/* What changed is judged, and once more when the program is attached. */
static void judge(void)
{
	const struct interface *interface;

	interface_judge_changed(links);
	for (int ms = 0; ms < 5000; ms++) {
		interface = interface_find(links, device);
		if (!interface || strcmp(interface->reason, "attaching") != 0)
			return;
		usleep(1000);
		interface_read_news(links);
		interface_judge_changed(links);
	}
	ck_abort_msg("never attached");
}

struct sort {
	const char *kind; /* NULL: a physical one */
	uint16_t type;
	uint32_t more_flags;
	const char *master_kind;
	uint8_t action;
	const char *reason;
};

static void say_link(const struct sort *sort)
{
	static const uint8_t address[6] = {2, 0, 0, 0, 0, 10};
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(memset(buffer, 0, sizeof(buffer)));
	struct ifinfomsg *ifi = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifi));
	struct nlattr *info;

	nlh->nlmsg_type = RTM_NEWLINK;
	ifi->ifi_index = (int)device;
	ifi->ifi_type = sort->type;
	ifi->ifi_flags = RUNNING | sort->more_flags;
	mnl_attr_put_strz(nlh, IFLA_IFNAME, "dev0");
	mnl_attr_put_u32(nlh, IFLA_MTU, 1400);
	if (sort->type == ARPHRD_ETHER)
		mnl_attr_put(nlh, IFLA_ADDRESS, sizeof(address), address);
	else if (sort->type != ARPHRD_NONE)
		mnl_attr_put(nlh, IFLA_ADDRESS, 4, address);
	if (sort->master_kind)
		mnl_attr_put_u32(nlh, IFLA_MASTER, MASTER);
	info = mnl_attr_nest_start(nlh, IFLA_LINKINFO);
	if (sort->kind)
		mnl_attr_put_strz(nlh, IFLA_INFO_KIND, sort->kind);
	if (sort->master_kind)
		mnl_attr_put_strz(nlh, IFLA_INFO_SLAVE_KIND, sort->master_kind);
	mnl_attr_nest_end(nlh, info);
	interface_message(links, nlh);
	judge();
}

static void say_gone(void)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(memset(buffer, 0, sizeof(buffer)));
	struct ifinfomsg *ifi = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifi));

	nlh->nlmsg_type = RTM_DELLINK;
	ifi->ifi_index = (int)device;
	interface_message(links, nlh);
	judge();
}

static void say_forwarding(void)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(memset(buffer, 0, sizeof(buffer)));
	struct netconfmsg *ncm = mnl_nlmsg_put_extra_header(nlh, sizeof(*ncm));

	nlh->nlmsg_type = RTM_NEWNETCONF;
	ncm->ncm_family = AF_INET;
	mnl_attr_put_u32(nlh, NETCONFA_IFINDEX, device);
	mnl_attr_put_u32(nlh, NETCONFA_FORWARDING, 1);
	netconf_message(links, nlh);
	judge();
}

/* ---- what comes of them ---- */

static const struct links_interface *shown(void)
{
	const struct interface *interface = interface_find(links, device);

	ck_assert_ptr_nonnull(interface);
	return &interface->shown;
}

static struct fib_adjacency way_out(void)
{
	struct fib_nexthop_info info;

	ck_assert_int_eq(fib_nexthop_get(fib, number, &info), 0);
	return info.adjacency;
}

static void expect(const struct sort *sort)
{
	const char *kind = sort->kind ? sort->kind : "none";
	struct fib_adjacency way;

	say_link(sort);
	way = way_out();
	ck_assert_msg(way.action == sort->action && !way.down, "%s: action %d, not %d", kind,
		      way.action, sort->action);
	ck_assert_uint_eq(way.mtu, 1400);
	ck_assert_msg(!strcmp(shown()->reason, sort->reason), "%s: \"%s\", not \"%s\"", kind,
		      shown()->reason, sort->reason);
}

#define TUNNEL_REASON(text) \
	"no Ethernet header (" text "); out: only the kernel answers what is too large"

START_TEST(sorts)
{
	static const struct sort cases[] = {
		{NULL, ARPHRD_ETHER, 0, NULL, FIB_NH_CONNECTED, IS_ETHERNET},
		{"veth", ARPHRD_ETHER, 0, NULL, FIB_NH_CONNECTED, IS_ETHERNET},
		{"vlan", ARPHRD_ETHER, 0, NULL, FIB_NH_CONNECTED, IS_ETHERNET},
		{"bond", ARPHRD_ETHER, IFF_MASTER, NULL, FIB_NH_CONNECTED, IS_ETHERNET},
		{"bridge", ARPHRD_ETHER, 0, NULL, FIB_NH_CONNECTED, IS_ETHERNET},
		{"vxlan", ARPHRD_ETHER, 0, NULL, FIB_NH_CONNECTED, IS_ETHERNET},
		{"geneve", ARPHRD_ETHER, 0, NULL, FIB_NH_CONNECTED, IS_ETHERNET},
		{"macsec", ARPHRD_ETHER, 0, NULL, FIB_NH_CONNECTED, IS_ETHERNET},
		{"tun", ARPHRD_ETHER, 0, NULL, FIB_NH_CONNECTED, IS_ETHERNET},
		{"tun", ARPHRD_NONE, IFF_POINTOPOINT | IFF_NOARP, NULL, FIB_NH_DEVICE,
		 "in: no Ethernet header (tun); out of it in eBPF"},
		{"wireguard", ARPHRD_NONE, IFF_POINTOPOINT | IFF_NOARP, NULL, FIB_NH_DEVICE,
		 "in: no Ethernet header (WireGuard); out of it in eBPF"},
		{"gre", ARPHRD_IPGRE, IFF_POINTOPOINT | IFF_NOARP, NULL, FIB_NH_KERNEL,
		 TUNNEL_REASON("GRE tunnel")},
		{"gre", ARPHRD_IPGRE, IFF_NOARP, NULL, FIB_NH_KERNEL, TUNNEL_REASON("GRE tunnel")},
		{"ipip", ARPHRD_TUNNEL, IFF_POINTOPOINT | IFF_NOARP, NULL, FIB_NH_KERNEL,
		 TUNNEL_REASON("IPIP tunnel")},
		{"xfrm", ARPHRD_NONE, IFF_NOARP, NULL, FIB_NH_KERNEL,
		 TUNNEL_REASON("XFRM interface")},
		{"ppp", ARPHRD_PPP, IFF_POINTOPOINT | IFF_NOARP, NULL, FIB_NH_KERNEL,
		 "no Ethernet header (PPP)"},
		{NULL, 519, IFF_POINTOPOINT | IFF_NOARP, NULL, FIB_NH_KERNEL,
		 "no Ethernet header (link type 519)"},
		{"bareudp", ARPHRD_NONE, IFF_POINTOPOINT | IFF_NOARP, NULL, FIB_NH_KERNEL,
		 "no Ethernet header (link type 65534)"},
		{NULL, ARPHRD_ETHER, IFF_SLAVE, "bond", FIB_NH_KERNEL,
		 "member of bond another interface"},
		{"vxlan", ARPHRD_ETHER, 0, "bridge", FIB_NH_KERNEL,
		 "member of bridge another interface"},
		{"gretap", ARPHRD_ETHER, 0, NULL, FIB_NH_KERNEL, IS_ETHERNET},
		/* whose VRF is not known: packets are not looked up, but go out */
		{NULL, ARPHRD_ETHER, 0, "vrf", FIB_NH_CONNECTED,
		 "member of a VRF whose table is not known"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		expect(&cases[i]);
		/* another may get its number */
		say_gone();
		ck_assert(way_out().down && way_out().action == FIB_NH_KERNEL);
	}
}
END_TEST

/* What comes in is forwarded; why what goes out is not is shown all the same. */
START_TEST(only_in)
{
	static const struct sort cases[] = {
		{"gretap", ARPHRD_ETHER, 0, NULL, FIB_NH_KERNEL,
		 "out: GRE tunnel, only the kernel answers what is too large for its path"},
		{"veth", ARPHRD_ETHER, IFF_NOARP, NULL, FIB_NH_CONNECTED,
		 "out: hosts on it by the kernel (NOARP), gateways in eBPF"},
		{"veth", ARPHRD_ETHER, 0, NULL, FIB_NH_CONNECTED, ""},
	};

	say_link(&cases[2]);
	say_forwarding();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		expect(&cases[i]);
		ck_assert(shown()->v4 && shown()->hook != DATAPATH_HOOK_NONE);
	}
}
END_TEST

#define PORT 80000
#define BOND 80001
#define VLAN 80002
#define SWITCHED "IPv4: hardware that may have forwarded it already (switchdev)"

/* Of "dev0", or of another device: what it is, whether hardware is behind it, what it is on top of, and its master's kind. */
static void say_port(uint32_t ifindex, const char *kind, bool hardware, uint32_t lower, int nsid,
		     uint32_t master)
{
	static const uint8_t address[6] = {2, 0, 0, 0, 0, 10}, id[4] = {1, 2, 3, 4};
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(memset(buffer, 0, sizeof(buffer)));
	struct ifinfomsg *ifi = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifi));
	struct nlattr *info;

	nlh->nlmsg_type = RTM_NEWLINK;
	ifi->ifi_index = (int)ifindex;
	ifi->ifi_type = ARPHRD_ETHER;
	ifi->ifi_flags = RUNNING;
	mnl_attr_put_strz(nlh, IFLA_IFNAME, ifindex == device ? "dev0" : "other");
	mnl_attr_put_u32(nlh, IFLA_MTU, 1500);
	mnl_attr_put(nlh, IFLA_ADDRESS, sizeof(address), address);
	if (hardware)
		mnl_attr_put(nlh, IFLA_PHYS_SWITCH_ID, sizeof(id), id);
	if (lower)
		mnl_attr_put_u32(nlh, IFLA_LINK, lower);
	if (nsid >= 0)
		mnl_attr_put_u32(nlh, IFLA_LINK_NETNSID, (uint32_t)nsid);
	if (master)
		mnl_attr_put_u32(nlh, IFLA_MASTER, master);
	info = mnl_attr_nest_start(nlh, IFLA_LINKINFO);
	if (kind)
		mnl_attr_put_strz(nlh, IFLA_INFO_KIND, kind);
	if (master)
		mnl_attr_put_strz(nlh, IFLA_INFO_SLAVE_KIND, "bond");
	mnl_attr_nest_end(nlh, info);
	interface_message(links, nlh);
	interface_judge_changed(links);
}

static bool is_switched(void)
{
	ck_assert_str_eq(shown()->reason, shown()->v4 ? "" : SWITCHED);
	ck_assert(!shown()->v4 == !!(shown()->bypass & BYPASS_BIT(SWITCHDEV)));
	return !shown()->v4;
}

/* Ports of hardware that forwards, and what stands on them, whichever is told first. */
START_TEST(switchdev)
{
	say_port(device, NULL, false, 0, -1, 0);
	say_forwarding();
	ck_assert(!is_switched());
	say_port(device, NULL, true, 0, -1, 0);
	ck_assert(is_switched());
	/* it is no reason not to send out of it */
	ck_assert(way_out().action == FIB_NH_CONNECTED);
	links_bypass_allow(links, "dev0", true);
	bypass_read(links);
	interface_judge_changed(links);
	ck_assert(shown()->v4 && shown()->bypass == BYPASS_BIT(SWITCHDEV));
	links_bypass_allow(links, "dev0", false);
	bypass_read(links);
	say_port(device, NULL, false, 0, -1, 0);
	ck_assert(!is_switched());

	/* dev0 is a VLAN of a VLAN of a bond with that port in it */
	say_port(device, "vlan", false, VLAN, -1, 0);
	say_port(VLAN, "vlan", false, BOND, -1, 0);
	say_port(BOND, "bond", false, 0, -1, 0);
	ck_assert(!is_switched());
	say_port(PORT, NULL, true, 0, -1, BOND);
	ck_assert(is_switched());
	say_port(PORT, NULL, true, 0, -1, 0);
	ck_assert(!is_switched());
	say_port(BOND, "bond", true, 0, -1, 0);
	ck_assert(is_switched());
	/* a number of another network namespace */
	say_port(device, "vlan", false, VLAN, 0, 0);
	ck_assert(!is_switched());
	/* on top of itself, which cannot be: it ends all the same, in doubt with the kernel */
	say_port(device, "vlan", false, device, -1, 0);
	ck_assert(is_switched());
	say_port(device, "vlan", false, 0, -1, 0);
	ck_assert(!is_switched());
}
END_TEST

/* Whichever is less. */
START_TEST(mtu_of_routes)
{
	static const struct sort plain = {"veth", ARPHRD_ETHER,	    0,
					  NULL,	  FIB_NH_CONNECTED, IS_ETHERNET};
	static const uint16_t mtus[][2] = {{0, 1400}, {1300, 1300}, {1400, 1400}, {1401, 1400}};

	say_link(&plain);
	for (size_t i = 0; i < sizeof(mtus) / sizeof(mtus[0]); i++) {
		struct fib_member member = {.nexthop = {.ifindex = device, .mtu = mtus[i][0]}};
		uint32_t group = 0, old = number;

		ck_assert_int_eq(fib_group_set(fib, &group, &member, 1), 0);
		nexthop_read_queue(links);
		if (mtus[i][0])
			number = fib_nexthop_next(fib, number + 1);
		ck_assert_uint_ne(number, 0);
		ck_assert(mtus[i][0] ? number != old : number == old);
		ck_assert_uint_eq(way_out().mtu, mtus[i][1]);
	}
}
END_TEST

TCase *kind_case(void)
{
	TCase *tc = tcase_create("kind");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, sorts);
	tcase_add_test(tc, only_in);
	tcase_add_test(tc, switchdev);
	tcase_add_test(tc, mtu_of_routes);
	return tc;
}
