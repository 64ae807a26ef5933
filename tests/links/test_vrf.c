// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * VRFs, by the messages that the kernel sends of them: not every kernel that tests run on has the device. There is
 * no link thread and no socket, only links/ and what it does with the FIB and the program.
 */
#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <libmnl/libmnl.h>
#include <linux/if_arp.h>
#include <linux/if_link.h>
#include <linux/netconf.h>
#include <linux/rtnetlink.h>

#include "dplane_ebpf/links/links_internal.h"
#include "tests/links/test_links.h"

#define VRF_INDEX 70000
#define VRF_TABLE 10

static struct datapath *datapath;
static struct fib *fib;
static struct links *links;
static uint32_t member;
static char buffer[1024];

static void setup(void)
{
	struct datapath_config config = {.geometry = datapath_geometry_small};
	struct fib_memory memory;
	char error[256] = "";

	ck_assert_int_eq(unshare(CLONE_NEWNET), 0);
	ck_assert_int_eq(system("ip link add dev x0 type veth peer name x1"), 0);
	member = if_nametoindex("x0");
	datapath = datapath_open(&config, error, sizeof(error));
	ck_assert_msg(datapath != NULL, "datapath_open: %s", error);
	datapath_memory(datapath, &memory);
	fib = fib_new(&memory, datapath_geometry(datapath));
	links = calloc(1, sizeof(*links));
	ck_assert(fib && links);
	links->fib = fib;
	links->datapath = datapath;
	list_init(&links->all);
	list_init(&links->dirty);
	pthread_mutex_init(&links->lock, NULL);
	pthread_mutex_init(&links->queue_lock, NULL);
	links->wake_fd = eventfd(0, EFD_CLOEXEC);
	links->attacher = attacher_start(datapath, -1, links->wake_fd);
	ck_assert_ptr_nonnull(links->attacher);
}

static void teardown(void)
{
	attacher_stop(links->attacher);
	close(links->wake_fd);
	interface_free_all(links);
	table_free(&links->addresses);
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
		interface = interface_find(links, member);
		if (!interface || strcmp(interface->reason, "attaching") != 0)
			return;
		usleep(1000);
		interface_read_news(links);
		interface_judge_changed(links);
	}
	ck_abort_msg("never attached");
}

static struct nlmsghdr *link_start(uint16_t type, uint32_t ifindex, const char *name)
{
	static const uint8_t mac[6] = {2, 0, 0, 0, 0, 10};
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(memset(buffer, 0, sizeof(buffer)));
	struct ifinfomsg *ifi = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifi));

	nlh->nlmsg_type = type;
	ifi->ifi_index = (int)ifindex;
	ifi->ifi_type = ARPHRD_ETHER;
	ifi->ifi_flags = IFF_UP | IFF_RUNNING | 1u << 16;
	mnl_attr_put_strz(nlh, IFLA_IFNAME, name);
	mnl_attr_put_u32(nlh, IFLA_MTU, 1500);
	mnl_attr_put(nlh, IFLA_ADDRESS, sizeof(mac), mac);
	return nlh;
}

static void say(struct nlmsghdr *nlh)
{
	interface_message(links, nlh);
	judge();
}

static void say_vrf(uint32_t kernel_table)
{
	struct nlmsghdr *nlh = link_start(RTM_NEWLINK, VRF_INDEX, "red");
	struct nlattr *info = mnl_attr_nest_start(nlh, IFLA_LINKINFO), *data;

	mnl_attr_put_strz(nlh, IFLA_INFO_KIND, "vrf");
	data = mnl_attr_nest_start(nlh, IFLA_INFO_DATA);
	mnl_attr_put_u32(nlh, IFLA_VRF_TABLE, kernel_table);
	mnl_attr_nest_end(nlh, data);
	mnl_attr_nest_end(nlh, info);
	say(nlh);
}

static void say_member(bool of_vrf)
{
	struct nlmsghdr *nlh = link_start(RTM_NEWLINK, member, "x0");
	struct nlattr *info;

	if (of_vrf) {
		mnl_attr_put_u32(nlh, IFLA_MASTER, VRF_INDEX);
		info = mnl_attr_nest_start(nlh, IFLA_LINKINFO);
		mnl_attr_put_strz(nlh, IFLA_INFO_KIND, "veth");
		mnl_attr_put_strz(nlh, IFLA_INFO_SLAVE_KIND, "vrf");
		mnl_attr_nest_end(nlh, info);
	}
	say(nlh);
}

static void say_forwarding(void)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(memset(buffer, 0, sizeof(buffer)));
	struct netconfmsg *ncm = mnl_nlmsg_put_extra_header(nlh, sizeof(*ncm));

	nlh->nlmsg_type = RTM_NEWNETCONF;
	ncm->ncm_family = AF_INET;
	mnl_attr_put_u32(nlh, NETCONFA_IFINDEX, member);
	mnl_attr_put_u32(nlh, NETCONFA_FORWARDING, 1);
	netconf_message(links, nlh);
	judge();
}

static void say_address(void)
{
	static const uint8_t addr[4] = {10, 0, 0, 1};
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(memset(buffer, 0, sizeof(buffer)));
	struct ifaddrmsg *ifa = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifa));

	nlh->nlmsg_type = RTM_NEWADDR;
	ifa->ifa_family = AF_INET;
	ifa->ifa_prefixlen = 24;
	ifa->ifa_index = member;
	mnl_attr_put(nlh, IFA_LOCAL, sizeof(addr), addr);
	mnl_attr_put(nlh, IFA_ADDRESS, sizeof(addr), addr);
	address_message(links, nlh);
}

/* ---- what comes of them ---- */

static bool local_in(uint32_t kernel_table)
{
	static const uint8_t addr[16] = {10, 0, 0, 1};
	uint16_t table;

	ck_assert_int_eq(fib_table_open(fib, kernel_table, &table), 0);
	return fib_lookup(fib, table, AF_INET, addr) == FIB_GROUP_LOCAL;
}

static struct links_interface shown(uint32_t ifindex)
{
	struct interface *interface = interface_find(links, ifindex);

	ck_assert_ptr_nonnull(interface);
	return interface->shown;
}

START_TEST(a_member_looks_into_its_table)
{
	say_member(false);
	say_forwarding();
	say_address();
	ck_assert(shown(member).v4 && shown(member).table == RT_TABLE_MAIN);
	ck_assert(local_in(RT_TABLE_MAIN) && !local_in(VRF_TABLE));

	/* whichever is told first */
	say_member(true);
	ck_assert(!shown(member).v4);
	ck_assert_str_eq(shown(member).reason, "member of a VRF whose table is not known");
	say_vrf(VRF_TABLE);
	ck_assert(shown(member).v4 && shown(member).table == VRF_TABLE);
	ck_assert(!local_in(RT_TABLE_MAIN) && local_in(VRF_TABLE));
	ck_assert(!shown(VRF_INDEX).v4 && shown(VRF_INDEX).hook == DATAPATH_HOOK_NONE);

	say_vrf(11);
	ck_assert(shown(member).v4 && shown(member).table == 11);
	ck_assert(!local_in(VRF_TABLE) && local_in(11));

	say_member(false);
	ck_assert(shown(member).v4 && shown(member).table == RT_TABLE_MAIN);
	ck_assert(local_in(RT_TABLE_MAIN) && !local_in(11));
}
END_TEST

START_TEST(what_a_vrf_leaves_is_removed)
{
	struct fib_prefix prefix = {.family = AF_INET, .len = 8, .addr = {20}};
	struct fib_stats stats;

	say_vrf(VRF_TABLE);
	say_member(true);
	say_forwarding();
	say_address();
	ck_assert_int_eq(fib_table_open(fib, VRF_TABLE, &prefix.table), 0);
	ck_assert_int_eq(fib_route_set(fib, &prefix, FIB_GROUP_BLACKHOLE), 0);
	ck_assert_uint_eq(fib_lookup(fib, prefix.table, AF_INET, prefix.addr), FIB_GROUP_BLACKHOLE);

	say(link_start(RTM_DELLINK, VRF_INDEX, "red"));
	fib_stats(fib, &stats);
	ck_assert_uint_eq(stats.v4_routes, 0);
	ck_assert(!shown(member).v4);
	say_member(false);
	ck_assert(shown(member).v4 && shown(member).table == RT_TABLE_MAIN);
	ck_assert(local_in(RT_TABLE_MAIN) && !local_in(VRF_TABLE));
}
END_TEST

/* zebra is faster than we are: the routes of the VRF that comes with the same table are there before the old one's end is seen. */
START_TEST(the_next_vrfs_routes_stay)
{
	struct fib_prefix old = {.family = AF_INET, .len = 8, .addr = {20}};
	struct fib_prefix new = {.family = AF_INET, .len = 8, .addr = {30}};
	struct fib_stats stats;

	say_vrf(VRF_TABLE);
	ck_assert_int_eq(fib_table_open(fib, VRF_TABLE, &old.table), 0);
	new.table = old.table;
	fib_table_claim(fib, old.table, VRF_INDEX);
	ck_assert_int_eq(fib_route_set(fib, &old, FIB_GROUP_BLACKHOLE), 0);
	fib_table_claim(fib, new.table, VRF_INDEX + 1);
	ck_assert_uint_eq(fib_lookup(fib, old.table, AF_INET, old.addr), FIB_GROUP_NO_ROUTE);
	ck_assert_int_eq(fib_route_set(fib, &new, FIB_GROUP_BLACKHOLE), 0);

	say(link_start(RTM_DELLINK, VRF_INDEX, "red"));
	ck_assert_uint_eq(fib_lookup(fib, new.table, AF_INET, new.addr), FIB_GROUP_BLACKHOLE);

	/* and slower: a route of one that is gone, when the next comes */
	fib_table_leave(fib, new.table, VRF_INDEX + 1);
	fib_stats(fib, &stats);
	ck_assert_uint_eq(stats.v4_routes, 0);
	ck_assert_int_eq(fib_table_open(fib, VRF_TABLE, &old.table), 0);
	new.table = old.table;
	fib_table_claim(fib, old.table, VRF_INDEX + 1);
	ck_assert_int_eq(fib_route_set(fib, &old, FIB_GROUP_BLACKHOLE), 0);
	fib_table_claim(fib, new.table, VRF_INDEX + 2);
	fib_stats(fib, &stats);
	ck_assert_uint_eq(stats.v4_routes, 0);
}
END_TEST

/* The number of a VRF's table is given back once no interface looks into it any more; not where another VRF has the table. */
START_TEST(the_table_of_a_vrf_that_is_gone_is_closed)
{
	uint16_t table;

	say_vrf(VRF_TABLE);
	say_member(true);
	say_forwarding();
	say_address();
	ck_assert_int_eq(fib_table_find(fib, VRF_TABLE, &table), 0);
	/* another table of the same VRF */
	say_vrf(11);
	ck_assert_int_eq(fib_table_find(fib, VRF_TABLE, &table), -ENOENT);
	ck_assert_int_eq(fib_table_find(fib, 11, &table), 0);

	/* gone and made again before anybody was judged */
	interface_message(links, link_start(RTM_DELLINK, VRF_INDEX, "red"));
	ck_assert_int_eq(fib_table_find(fib, 11, &table), 0);
	say_vrf(11);
	say_member(true);
	ck_assert(shown(member).v4 && shown(member).table == 11);
	ck_assert_int_eq(fib_table_find(fib, 11, &table), 0);

	interface_message(links, link_start(RTM_DELLINK, VRF_INDEX, "red"));
	/* a member's packets may still be looked up in it */
	ck_assert_int_eq(fib_table_find(fib, 11, &table), 0);
	interface_judge_changed(links);
	ck_assert_int_eq(fib_table_find(fib, 11, &table), -ENOENT);
}
END_TEST

TCase *vrf_case(void)
{
	TCase *tc = tcase_create("vrf");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_member_looks_into_its_table);
	tcase_add_test(tc, what_a_vrf_leaves_is_removed);
	tcase_add_test(tc, the_next_vrfs_routes_stay);
	tcase_add_test(tc, the_table_of_a_vrf_that_is_gone_is_closed);
	return tc;
}
