// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * links/ against the kernel: each test has a network namespace of its own, a real FIB and the real
 * program, changes things with ip(8), and waits until links says or does what it should.
 */
#include <check.h>

#include <arpa/inet.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "dplane_ebpf/datapath/datapath_internal.h"
#include "dplane_ebpf/links/links_internal.h"
#include "dplane_ebpf/notice.h"
#include "tests/links/test_links.h"

#define DEADLINE_MS 10000

static struct datapath *datapath;
static struct fib *fib;
static struct links *links;

/* ---- what a test does ---- */

static void run(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void run(const char *format, ...)
{
	char command[512];
	va_list args;

	va_start(args, format);
	vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	ck_assert_msg(system(command) == 0, "failed: %s", command);
}

static void start_with(int receive_buffer)
{
	struct links_options options = {.receive_buffer = receive_buffer};
	char error[256] = "";

	links = links_start_with(fib, datapath, &options, error, sizeof(error));
	ck_assert_msg(links != NULL, "links_start: %s", error);
}

/* Until all that was there at the start is read and judged, and the program attached. */
static void settle(const char *name);

static void setup(void)
{
	struct datapath_config config = {.geometry = datapath_geometry_small};
	struct fib_memory memory;
	char error[256] = "";

	ck_assert_int_eq(unshare(CLONE_NEWNET), 0);
	run("sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0 "
	    "net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1");
	datapath = datapath_open(&config, error, sizeof(error));
	ck_assert_msg(datapath != NULL, "datapath_open: %s", error);
	datapath_memory(datapath, &memory);
	fib = fib_new(&memory, datapath_geometry(datapath));
	ck_assert_ptr_nonnull(fib);
}

/* a veth pair x0, x1 with 10.0.0.1/24 and 2001:db8::1/64 on x0 */
static void setup_pair(void)
{
	setup();
	run("ip link add dev x0 address 02:00:00:00:00:0a type veth peer name x1");
	run("ip link set dev x1 up && ip link set dev x0 up");
	run("ip addr add 10.0.0.1/24 dev x0 && ip addr add 2001:db8::1/64 dev x0 nodad");
	start_with(0);
	settle("x0");
	settle("x1");
}

static void teardown(void)
{
	links_stop(links);
	fib_free(fib);
	datapath_close(datapath, false);
}

/* ---- what it sees ---- */

static bool interface_named(const char *name, struct links_interface *found)
{
	struct links_interface *list;
	size_t n = links_interfaces(links, &list);
	bool is = false;

	memset(found, 0, sizeof(*found));
	for (size_t i = 0; i < n; i++) {
		if (strcmp(list[i].name, name) == 0) {
			*found = list[i];
			is = true;
		}
	}
	free(list);
	return is;
}

static size_t interfaces(void)
{
	struct links_interface *list;
	size_t n = links_interfaces(links, &list);

	free(list);
	return n;
}

static struct links_interface get(const char *name)
{
	struct links_interface i;

	interface_named(name, &i);
	return i;
}

static bool exists(const char *name)
{
	struct links_interface i;

	return interface_named(name, &i);
}

static bool attached(const char *name)
{
	return get(name).hook != DATAPATH_HOOK_NONE;
}

static bool because(const char *name, const char *reason)
{
	struct links_interface i = get(name);

	return i.hook == DATAPATH_HOOK_NONE && strstr(i.reason, reason);
}

static bool is_local(const char *text)
{
	int family = strchr(text, ':') ? AF_INET6 : AF_INET;
	uint8_t addr[16] = {0};

	ck_assert_int_eq(inet_pton(family, text, addr), 1);
	return fib_lookup(fib, 0, family, addr) == FIB_GROUP_LOCAL;
}

static uint64_t locals(void)
{
	struct fib_stats stats;

	fib_stats(fib, &stats);
	return stats.locals;
}

static bool says(const char *command)
{
	return system(command) == 0;
}

static uint64_t resyncs(void)
{
	struct links_stats stats;

	links_stats(links, &stats);
	return stats.resyncs;
}

#define wait_for(condition) \
	do { \
		uint64_t deadline_ = links_now() + DEADLINE_MS; \
		while (!(condition)) { \
			ck_assert_msg(links_now() < deadline_, "in vain: %s", #condition); \
			usleep(2000); \
		} \
	} while (0)

static void settle(const char *name)
{
	wait_for(attached(name));
}

/* A next hop that a group uses; gate NULL: connected. Returns the group. */
static uint32_t use_nexthop(const char *name, const char *gate)
{
	struct fib_member member = {.weight = 1};
	uint32_t group = 0;

	member.nexthop.ifindex = if_nametoindex(name);
	if (gate) {
		member.nexthop.family = strchr(gate, ':') ? AF_INET6 : AF_INET;
		inet_pton(member.nexthop.family, gate, member.nexthop.gate);
	}
	ck_assert_int_eq(fib_group_set(fib, &group, &member, 1), 0);
	return group;
}

/* The only next hop there is. */
static struct fib_adjacency nexthop(void)
{
	struct fib_nexthop_info info;
	uint32_t n = fib_nexthop_next(fib, 0);

	ck_assert_uint_ne(n, 0);
	ck_assert_int_eq(fib_nexthop_get(fib, n, &info), 0);
	return info.adjacency;
}

static bool mac_is(const uint8_t *mac, uint8_t last)
{
	return mac[0] == 2 && !mac[1] && !mac[2] && !mac[3] && !mac[4] && mac[5] == last;
}

/* ---- interfaces ---- */

/* A bug here: what is there before the start is missed, or an interface is used before the rest is read. */
START_TEST(all_is_read_before_anything_is_attached)
{
	ck_assert(attached("x0"));
	ck_assert(get("x0").v4);
	ck_assert(get("x0").v6);
	ck_assert_str_eq(get("x0").reason, "");
	ck_assert(is_local("10.0.0.1"));
	ck_assert(is_local("2001:db8::1"));
	ck_assert(because("lo", "loopback"));
}
END_TEST

START_TEST(forwarding_off_detaches)
{
	run("sysctl -qw net.ipv4.conf.x0.forwarding=0");
	wait_for(!get("x0").v4);
	ck_assert(attached("x0") && get("x0").v6);
	run("sysctl -qw net.ipv6.conf.x0.forwarding=0");
	wait_for(because("x0", "forwarding is off (net.ipv4.conf.x0.forwarding)"));
	ck_assert(attached("x1"));
	run("sysctl -qw net.ipv4.conf.x0.forwarding=1");
	wait_for(attached("x0") && get("x0").v4 && !get("x0").v6);
}
END_TEST

/* "all" must reach each interface, and IPv6 is forwarded only where "all" says so too. */
START_TEST(forwarding_of_all)
{
	run("sysctl -qw net.ipv4.conf.all.forwarding=0 net.ipv6.conf.all.forwarding=0");
	wait_for(because("x0", "forwarding is off") && because("x1", "forwarding is off"));
	run("sysctl -qw net.ipv6.conf.x0.forwarding=1 net.ipv4.conf.x1.forwarding=1");
	wait_for(attached("x1"));
	ck_assert(!attached("x0"));
	run("sysctl -qw net.ipv4.conf.all.forwarding=1 net.ipv6.conf.all.forwarding=1");
	wait_for(get("x0").v4 && get("x0").v6 && get("x1").v4 && get("x1").v6);
}
END_TEST

START_TEST(strict_rp_filter_excludes_v4)
{
	run("sysctl -qw net.ipv4.conf.x0.rp_filter=1");
	wait_for(!get("x0").v4);
	ck_assert(attached("x0") && get("x0").v6);
	ck_assert_ptr_nonnull(strstr(get("x0").reason, "strict rp_filter (net.ipv4.conf.x0."));
	run("sysctl -qw net.ipv4.conf.x0.rp_filter=2");
	wait_for(get("x0").v4);
	run("sysctl -qw net.ipv4.conf.x0.rp_filter=0 net.ipv4.conf.all.rp_filter=1");
	wait_for(!get("x0").v4 && !get("x1").v4);
	ck_assert_ptr_nonnull(strstr(get("x1").reason, "net.ipv4.conf.all.rp_filter"));
	run("sysctl -qw net.ipv4.conf.x0.rp_filter=2"); /* the greater of the two counts */
	wait_for(get("x0").v4 && !get("x1").v4);
}
END_TEST

static bool word_has(const char *name, uint64_t bits)
{
	uint32_t ifindex = if_nametoindex(name);

	return datapath->interfaces[ifindex % FIB_MAX_INTERFACES] & bits;
}

/* Where the kernel answers for others, the program has to know; "all" and the interface's own count. */
START_TEST(proxy_of_neighbours)
{
	ck_assert(!word_has("x0", FIB_IF_PROXY));
	run("sysctl -qw net.ipv6.conf.x0.proxy_ndp=1");
	wait_for(word_has("x0", FIB_IF_PROXY));
	ck_assert(!word_has("x1", FIB_IF_PROXY));
	run("sysctl -qw net.ipv6.conf.all.proxy_ndp=1 net.ipv6.conf.x0.proxy_ndp=0");
	wait_for(word_has("x1", FIB_IF_PROXY));
	ck_assert(word_has("x0", FIB_IF_PROXY) && word_has("x0", FIB_IF_V6));
	run("sysctl -qw net.ipv6.conf.all.proxy_ndp=0");
	wait_for(!word_has("x0", FIB_IF_PROXY) && !word_has("x1", FIB_IF_PROXY));
}
END_TEST

/* "from all lookup main" is what the kernel does anyway; anything else may lead elsewhere. */
START_TEST(foreign_rules_exclude)
{
	wait_for(get("x0").v4 && get("x0").v6);
	run("ip rule add pref 100 from 10.9.0.0/16 lookup 77");
	wait_for(!get("x0").v4 && get("x0").v6);
	ck_assert_ptr_nonnull(strstr(get("x0").reason, "policy rules"));
	run("ip -6 rule add pref 100 iif x0 lookup 77");
	wait_for(!get("x0").v4 && !get("x0").v6);
	run("ip rule del pref 100");
	wait_for(get("x0").v4 && !get("x0").v6);
	run("ip -6 rule del pref 100; ip rule add pref 200 lookup main");
	wait_for(get("x0").v4 && get("x0").v6);
	run("ip rule add pref 150 lookup main suppress_prefixlength 0");
	wait_for(!get("x0").v4 && get("x0").v6);
	run("ip rule del pref 150; ip rule add pref 150 blackhole");
	wait_for(!get("x0").v4 && get("x0").v6);
	run("ip rule del pref 150");
	wait_for(get("x0").v4 && get("x0").v6);
}
END_TEST

START_TEST(down_and_up)
{
	run("ip link set dev x0 down");
	wait_for(because("x0", "down"));
	run("ip link set dev x0 up");
	wait_for(attached("x0"));
}
END_TEST

START_TEST(member_of_a_bridge)
{
	run("ip link add br0 type bridge && ip link set dev br0 up");
	wait_for(attached("br0"));
	run("ip link set dev x0 master br0");
	wait_for(because("x0", "member of bridge br0"));
	run("ip link set dev x0 nomaster"); /* announced as a deletion, of the bridge port */
	wait_for(attached("x0"));
	ck_assert(is_local("10.0.0.1"));
}
END_TEST

START_TEST(not_ethernet)
{
	run("ip tuntap add dev t0 mode tun && ip link set dev t0 up");
	wait_for(because("t0", "in: no Ethernet header (tun); out of it in eBPF"));
}
END_TEST

START_TEST(renamed)
{
	uint32_t ifindex = get("x0").ifindex;

	run("ip link set dev x0 name z9");
	wait_for(exists("z9") && !exists("x0") && attached("z9"));
	ck_assert_uint_eq(get("z9").ifindex, ifindex);
	wait_for(get("z9").v4 && get("z9").v6);
	run("sysctl -qw net.ipv4.conf.z9.forwarding=0 net.ipv6.conf.z9.forwarding=0");
	wait_for(because("z9", "net.ipv4.conf.z9.forwarding"));
}
END_TEST

/* How many programs the kernel has at an interface's tcx ingress, or clsact's where it has no tcx. */
static uint32_t programs(uint32_t ifindex)
{
	const int tcx_ingress = 46;
	uint32_t ids[8], count = 8, flags = 0;
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex, .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, filter);

	if (bpf_prog_query(ifindex, tcx_ingress, 0, &flags, ids, &count) == 0)
		return count;
	return bpf_tc_query(&hook, &filter) == 0;
}

/* The same number again: whoever remembers the old attachment forwards nothing. */
START_TEST(deleted_and_made_again)
{
	uint32_t ifindex = get("x0").ifindex, peer = get("x1").ifindex;

	run("ip -batch - <<-E\nlink del dev x0\n"
	    "link add dev x0 index %u type veth peer name x1 index %u\nlink set dev x0 up\nE",
	    ifindex, peer);
	wait_for(!is_local("10.0.0.1") && programs(ifindex) == 1);
	wait_for(get("x0").ifindex == ifindex && attached("x0"));
	run("ip link del dev x0");
	wait_for(interfaces() == 1);
	ck_assert_uint_eq(get("lo").ifindex, 1);
}
END_TEST

#define LINK_TYPE_TCX 11 /* linux/bpf.h may be older */

static uint32_t our_program(void)
{
	struct bpf_prog_info info = {0};
	__u32 len = sizeof(info);

	ck_assert_int_eq(bpf_obj_get_info_by_fd(datapath_program_fd(datapath), &info, &len), 0);
	return info.id;
}

/* tcx links of the kernel that are at an interface of this number, in whatever namespace. */
static uint32_t links_of(uint32_t ifindex)
{
	uint32_t id = 0, n = 0;

	while (bpf_link_get_next_id(id, &id) == 0) {
		/* what libbpf 1.1 does not name: the kernel's struct begins the union */
		struct bpf_link_info info = {0};
		__u32 len = sizeof(info);
		int fd = bpf_link_get_fd_by_id(id);

		if (fd < 0)
			continue;
		if (bpf_obj_get_info_by_fd(fd, &info, &len) == 0 && info.type == LINK_TYPE_TCX &&
		    info.netns.netns_ino == ifindex && info.prog_id == our_program())
			n++;
		close(fd);
	}
	return n;
}

START_TEST(moved_to_another_namespace)
{
	uint32_t x0 = get("x0").ifindex;

	run("unshare -n sleep 30 & echo $! > /tmp/.test_links.$PPID");
	wait_for(system("p=$(cat /tmp/.test_links.$PPID); "
			"[ $(readlink /proc/$p/ns/net) != $(readlink /proc/$PPID/ns/net) ] && "
			"ip link set dev x0 netns $p") == 0);
	wait_for(!exists("x0") && !is_local("10.0.0.1"));
	/* it takes its program along, which would forward for the next interface of its number */
	wait_for(attacher_is_settled(links->attacher));
	ck_assert_uint_eq(links_of(x0), 0);
	run("kill $(cat /tmp/.test_links.$PPID); rm /tmp/.test_links.$PPID");
}
END_TEST

START_TEST(five_hundred_come_and_go)
{
	run("for i in $(seq 250); do echo link add dev p$i type veth peer name q$i; "
	    "echo link set dev p$i up; done | ip -batch -");
	wait_for(interfaces() == 503 && attached("p250"));
	ck_assert(attached("p1") && because("q1", "down"));
	run("for i in $(seq 250); do echo link del dev p$i; done | ip -batch -");
	wait_for(interfaces() == 3);
}
END_TEST

/* ---- addresses ---- */

START_TEST(addresses_come_and_go)
{
	uint64_t before = locals();

	run("ip addr add 192.0.2.129/25 broadcast 192.0.2.200 dev x0");
	wait_for(is_local("192.0.2.129") && is_local("192.0.2.128") && is_local("192.0.2.255") &&
		 is_local("192.0.2.200"));
	ck_assert(!is_local("192.0.2.130") && !is_local("192.0.2.127"));
	run("ip addr change 192.0.2.129/25 dev x0 valid_lft 1000 preferred_lft 900");
	run("ip addr del 192.0.2.129/25 dev x0");
	wait_for(locals() == before);
	ck_assert(!is_local("192.0.2.129") && !is_local("192.0.2.255"));

	run("ip addr add 2001:db8:1:2::7/61 dev x0");
	wait_for(is_local("2001:db8:1:2::7") && is_local("2001:db8:1::"));
	ck_assert(!is_local("2001:db8:1:2::8"));
	run("ip addr del 2001:db8:1:2::7/61 dev x0");
	wait_for(locals() == before);
}
END_TEST

/* Ours is local, the other end's is not: whoever takes IFA_ADDRESS gets it backwards. */
START_TEST(peers_address_is_not_local)
{
	run("ip addr add 192.0.2.1 peer 192.0.2.2 dev x0");
	run("ip addr add 192.0.2.1 peer 192.0.2.3 dev x0");
	run("ip addr add 2001:db8:5::1 peer 2001:db8:5::2 dev x0 nodad");
	wait_for(is_local("192.0.2.1") && is_local("2001:db8:5::1"));
	ck_assert(!is_local("192.0.2.2") && !is_local("2001:db8:5::2"));
	run("ip addr del 192.0.2.1 peer 192.0.2.2 dev x0 && "
	    "ip addr del 2001:db8:5::1 peer 2001:db8:5::2 dev x0");
	wait_for(!is_local("2001:db8:5::1"));
	ck_assert(is_local("192.0.2.1"));
}
END_TEST

/* Counted: the same address on two interfaces is local until both have lost it. */
START_TEST(address_on_two_interfaces)
{
	run("ip addr add 10.0.0.1/32 dev lo");
	run("ip addr del 10.0.0.1/24 dev x0");
	wait_for(!is_local("10.0.0.255"));
	ck_assert(is_local("10.0.0.1"));
	run("ip addr del 10.0.0.1/32 dev lo");
	wait_for(!is_local("10.0.0.1"));
}
END_TEST

/* Whether the program takes it for a source that only the router itself may have. */
static bool own_source(const char *text)
{
	struct fib_memory memory;
	uint32_t addr;

	datapath_memory(datapath, &memory);
	ck_assert_int_eq(inet_pton(AF_INET, text, &addr), 1);
	return __atomic_load_n(&memory.header->own[FIB_OWN_BIT(addr) / 64], __ATOMIC_ACQUIRE) >>
		       FIB_OWN_BIT(addr) % 64 &
	       1;
}

/* As long as any interface has it, whatever the state of that one, and not its peer's or its network's. */
START_TEST(own_sources_follow_addresses)
{
	ck_assert(own_source("10.0.0.1"));
	ck_assert(!own_source("10.0.0.255"));
	run("ip addr add 192.0.2.1 peer 192.0.2.9/32 dev x0");
	wait_for(own_source("192.0.2.1"));
	ck_assert(!own_source("192.0.2.9"));
	run("ip addr add 10.0.0.1/32 dev x1 && ip addr del 10.0.0.1/24 dev x0");
	wait_for(!is_local("10.0.0.255"));
	ck_assert(own_source("10.0.0.1"));
	run("ip link set dev x1 down && ip addr add 192.0.2.2/32 dev x0");
	wait_for(own_source("192.0.2.2"));
	ck_assert(own_source("10.0.0.1"));
	run("ip link del dev x0");
	wait_for(!own_source("10.0.0.1") && !own_source("192.0.2.1") && !own_source("192.0.2.2"));
}
END_TEST

/* ---- neighbours and next hops ---- */

START_TEST(hosts_are_counted)
{
	uint32_t none = get("x0").neighbours;

	run("ip neigh add 10.0.0.9 lladdr 02:00:00:00:00:99 dev x0 nud stale");
	run("ip neigh add 2001:db8::9 lladdr 02:00:00:00:00:99 dev x0 nud permanent");
	run("ip neigh add fe80::9 lladdr 02:00:00:00:00:99 dev x0 nud permanent");
	wait_for(get("x0").neighbours == none + 2);
	run("ip neigh del 10.0.0.9 dev x0 && ip neigh del 2001:db8::9 dev x0");
	wait_for(get("x0").neighbours == none);
}
END_TEST

START_TEST(nexthop_follows_its_neighbour)
{
	ck_assert_uint_ge(use_nexthop("x0", "10.0.0.7"), FIB_GROUP_FIRST);
	wait_for(nexthop().action == FIB_NH_RESOLVE);
	ck_assert(!nexthop().down);
	ck_assert_uint_eq(nexthop().mtu, 1500);
	wait_for(says("ip neigh show 10.0.0.7 dev x0 | grep -q managed"));
	run("ip neigh replace 10.0.0.7 lladdr 02:00:00:00:00:07 dev x0 nud reachable");
	wait_for(nexthop().action == FIB_NH_REWRITE);
	ck_assert(mac_is(nexthop().dst, 7) && mac_is(nexthop().src, 0x0a));
	run("ip neigh replace 10.0.0.7 lladdr 02:00:00:00:00:17 dev x0 nud permanent");
	wait_for(mac_is(nexthop().dst, 0x17));
	ck_assert(says("ip neigh show 10.0.0.7 dev x0 | grep -q PERMANENT"));
	/* out of service until it answers, also while the kernel asks again or has forgotten it */
	run("ip neigh replace 10.0.0.7 dev x0 nud failed");
	wait_for(nexthop().down && nexthop().action == FIB_NH_KERNEL);
	run("ip neigh replace 10.0.0.7 dev x0 nud incomplete");
	run("ip neigh del 10.0.0.7 dev x0");
	run("ip neigh replace 10.0.0.9 lladdr 02:00:00:00:00:09 dev x0 nud reachable");
	wait_for(get("x0").neighbours > 0);
	ck_assert(nexthop().down);
	run("ip neigh replace 10.0.0.7 lladdr 02:00:00:00:00:07 dev x0 nud reachable");
	wait_for(!nexthop().down && nexthop().action == FIB_NH_REWRITE);
}
END_TEST

START_TEST(nexthop_needs_its_network)
{
	run("ip addr add 10.0.0.3/29 dev x0");
	use_nexthop("x0", "10.0.0.7");
	wait_for(nexthop().action == FIB_NH_RESOLVE);
	/* another address covers it still */
	run("ip addr del 10.0.0.1/24 dev x0");
	wait_for(!is_local("10.0.0.1"));
	ck_assert(!nexthop().down);
	run("ip addr del 10.0.0.3/29 dev x0");
	wait_for(nexthop().down);
	run("ip addr add 10.0.0.9/29 dev x0");
	wait_for(is_local("10.0.0.9"));
	ck_assert(nexthop().down);
	run("ip addr add 10.0.0.1/24 dev x0");
	wait_for(!nexthop().down);
}
END_TEST

/* A gateway outside of all networks ("onlink") is nobody's address to lose. */
START_TEST(nexthop_without_a_network)
{
	use_nexthop("x0", "192.0.2.7");
	wait_for(nexthop().action == FIB_NH_RESOLVE);
	run("ip addr del 10.0.0.1/24 dev x0");
	wait_for(!is_local("10.0.0.1"));
	ck_assert(!nexthop().down);
}
END_TEST

/* A real exchange: the other end answers, so what was asked of the kernel gets an answer. */
START_TEST(gateway_is_resolved_and_let_go)
{
	char add[256];
	uint32_t group;

	run("unshare -n sleep 60 & echo $! > /tmp/.test_links.$PPID");
	wait_for(system("p=$(cat /tmp/.test_links.$PPID); "
			"[ $(readlink /proc/$p/ns/net) != $(readlink /proc/$PPID/ns/net) ] && "
			"ip link set dev x1 netns $p && nsenter --net=/proc/$p/ns/net sh -c '"
			"ip link set dev x1 address 02:00:00:00:00:0b && ip link set dev x1 up && "
			"ip addr add fe80::b/64 dev x1 nodad'") == 0);
	wait_for(get("x0").running);
	group = use_nexthop("x0", "fe80::b");
	wait_for(nexthop().action == FIB_NH_REWRITE);
	ck_assert(mac_is(nexthop().dst, 0x0b));
	snprintf(add, sizeof(add), "ip -6 neigh show fe80::b dev x0 | grep -q managed");
	wait_for(says(add));
	fib_group_drop(fib, group);
	wait_for(!says(add));
	ck_assert(says("ip -6 neigh show fe80::b dev x0 | grep -q lladdr"));
	run("kill $(cat /tmp/.test_links.$PPID); rm /tmp/.test_links.$PPID");
}
END_TEST

/* What an administrator pinned must stay: "managed" would take a permanent entry's state away. */
START_TEST(permanent_neighbour_is_left_alone)
{
	run("ip neigh add 10.0.0.8 lladdr 02:00:00:00:00:08 dev x0 nud permanent");
	use_nexthop("x0", "10.0.0.8");
	wait_for(nexthop().action == FIB_NH_REWRITE);
	ck_assert(says("ip neigh show 10.0.0.8 dev x0 | grep PERMANENT | grep -qv managed"));
}
END_TEST

START_TEST(interface_changes_reach_nexthops)
{
	run("ip neigh add 10.0.0.8 lladdr 02:00:00:00:00:08 dev x0 nud permanent");
	use_nexthop("x0", "10.0.0.8");
	wait_for(nexthop().action == FIB_NH_REWRITE);
	run("ip link set dev x0 mtu 1400");
	wait_for(nexthop().mtu == 1400);
	run("ip link set dev x0 address 02:00:00:00:00:1a");
	wait_for(get("x0").mac[5] == 0x1a); /* which makes the kernel forget all neighbours */
	run("ip neigh replace 10.0.0.8 lladdr 02:00:00:00:00:08 dev x0 nud permanent");
	wait_for(nexthop().action == FIB_NH_REWRITE && mac_is(nexthop().src, 0x1a));
	run("ip link set dev x1 down"); /* carrier */
	wait_for(nexthop().down && nexthop().action == FIB_NH_KERNEL);
	ck_assert(attached("x0"));
	run("ip link set dev x1 up");
	wait_for(!nexthop().down && nexthop().action == FIB_NH_REWRITE);
	run("ip link set dev x0 mtu 65535");
	wait_for(nexthop().mtu == 65535);
	run("ip link del dev x0");
	wait_for(nexthop().down && nexthop().action == FIB_NH_KERNEL);
}
END_TEST

/* Carrier loss flushes neighbours: the kernel has to be asked again. */
/* The next notice after the number; then it is the last one. */
static struct notice next_notice(uint64_t *after)
{
	struct notice notice;

	wait_for(notice_last() > *after);
	ck_assert_uint_eq(notice_read(*after, &notice, 1), 1);
	*after = notice.number;
	return notice;
}

#define expect_notice(what, address_, groups) \
	do { \
		struct notice notice = next_notice(&last); \
		ck_assert_int_eq(notice.kind, what); \
		ck_assert_str_eq(notice.interface, "x0"); \
		ck_assert_str_eq(notice.address, address_); \
		ck_assert_uint_eq(notice.count, groups); \
	} while (0)

START_TEST(outages_are_told)
{
	uint64_t last = notice_last();
	uint32_t group;

	run("ip neigh replace 10.0.0.8 lladdr 02:00:00:00:00:08 dev x0");
	group = use_nexthop("x0", "10.0.0.8");
	wait_for(nexthop().action == FIB_NH_REWRITE);
	use_nexthop("x0", "10.0.0.8");
	run("ip link set dev x0 mtu 1400");
	wait_for(nexthop().mtu == 1400);
	/* neither a new one is told, nor a change that leaves it in service */
	ck_assert_uint_eq(notice_last(), last);

	run("ip link set dev x1 down");
	expect_notice(NOTICE_NEXTHOP_DOWN, "10.0.0.8", 2);
	run("ip link set dev x0 mtu 1500");
	wait_for(nexthop().mtu == 1500 && nexthop().down);
	run("ip link set dev x1 up");
	expect_notice(NOTICE_NEXTHOP_UP, "10.0.0.8", 2);

	/* zebra removes what goes by a link that is down, and adds it anew */
	run("ip link set dev x1 down");
	expect_notice(NOTICE_NEXTHOP_DOWN, "10.0.0.8", 2);
	for (; group <= FIB_GROUP_FIRST + 1; group++)
		fib_group_drop(fib, group);
	wait_for(fib_nexthop_next(fib, 0) == 0);
	use_nexthop("x0", NULL);
	wait_for(nexthop().down);
	run("ip link set dev x1 up");
	wait_for(!nexthop().down);
	ck_assert_uint_eq(notice_last(), last);
	use_nexthop("x0", "10.0.0.8");
	expect_notice(NOTICE_NEXTHOP_UP, "10.0.0.8", 1);
	ck_assert_uint_eq(notice_last(), last);
}
END_TEST

START_TEST(managed_again_after_carrier_loss)
{
	use_nexthop("x0", "10.0.0.7");
	wait_for(says("ip neigh show 10.0.0.7 dev x0 | grep -q managed"));
	run("ip link set dev x1 down");
	wait_for(nexthop().down && !says("ip neigh show 10.0.0.7 dev x0 | grep -q ."));
	run("ip link set dev x1 up");
	wait_for(says("ip neigh show 10.0.0.7 dev x0 | grep -q managed"));
}
END_TEST

START_TEST(connected_loopback_and_missing)
{
	uint32_t group = use_nexthop("x0", NULL);

	wait_for(nexthop().action == FIB_NH_CONNECTED && nexthop().mtu == 1500);
	fib_group_drop(fib, group);
	group = use_nexthop("lo", NULL);
	run("ip link set dev lo up");
	wait_for(get("lo").up && !nexthop().down);
	ck_assert_uint_eq(nexthop().action, FIB_NH_KERNEL);
}
END_TEST

/* ---- overrun ---- */

START_TEST(overrun_is_recovered)
{
	setup();
	start_with(1);
	run("ip link add dev x0 type veth peer name x1 && ip link set dev x0 up && "
	    "ip addr add 10.0.0.1/24 dev x0");
	wait_for(is_local("10.0.0.1"));
	use_nexthop("x0", "10.0.0.7");
	for (uint64_t before = resyncs(), i = 0; i < 100 && resyncs() < before + 3; i++) {
		run("{ echo addr flush dev x0; for i in $(seq 40); do "
		    "echo link add dev p$i type veth peer name q$i; "
		    "echo addr add 10.1.$i.1/24 dev p$i; done; } | ip -batch -");
		run("{ for i in $(seq 40); do echo link del dev p$i; done; "
		    "echo addr add 10.0.0.2/24 dev x0; } | ip -batch -");
	}
	ck_assert_uint_ge(resyncs(), 3);
	wait_for(interfaces() == 3 && is_local("10.0.0.2") && !is_local("10.0.0.1"));
	ck_assert(!is_local("10.1.1.1") && !is_local("10.1.40.1"));
	teardown();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("links");
	TCase *pair = tcase_create("pair"), *overrun = tcase_create("overrun");
	SRunner *runner;
	int failed;

	if (geteuid() != 0) {
		fprintf(stderr, "test_links: needs root, for network namespaces\n");
		return 77;
	}
	tcase_set_timeout(pair, 60);
	tcase_set_timeout(overrun, 120);
	tcase_add_checked_fixture(pair, setup_pair, teardown);
	tcase_add_test(pair, all_is_read_before_anything_is_attached);
	tcase_add_test(pair, forwarding_off_detaches);
	tcase_add_test(pair, forwarding_of_all);
	tcase_add_test(pair, strict_rp_filter_excludes_v4);
	tcase_add_test(pair, foreign_rules_exclude);
	tcase_add_test(pair, proxy_of_neighbours);
	tcase_add_test(pair, down_and_up);
	tcase_add_test(pair, member_of_a_bridge);
	tcase_add_test(pair, not_ethernet);
	tcase_add_test(pair, renamed);
	tcase_add_test(pair, deleted_and_made_again);
	tcase_add_test(pair, moved_to_another_namespace);
	tcase_add_test(pair, five_hundred_come_and_go);
	tcase_add_test(pair, addresses_come_and_go);
	tcase_add_test(pair, peers_address_is_not_local);
	tcase_add_test(pair, address_on_two_interfaces);
	tcase_add_test(pair, own_sources_follow_addresses);
	tcase_add_test(pair, hosts_are_counted);
	tcase_add_test(pair, nexthop_follows_its_neighbour);
	tcase_add_test(pair, nexthop_needs_its_network);
	tcase_add_test(pair, nexthop_without_a_network);
	tcase_add_test(pair, gateway_is_resolved_and_let_go);
	tcase_add_test(pair, permanent_neighbour_is_left_alone);
	tcase_add_test(pair, interface_changes_reach_nexthops);
	tcase_add_test(pair, outages_are_told);
	tcase_add_test(pair, managed_again_after_carrier_loss);
	tcase_add_test(pair, connected_loopback_and_missing);
	tcase_add_test(overrun, overrun_is_recovered);
	suite_add_tcase(suite, pair);
	suite_add_tcase(suite, overrun);
	suite_add_tcase(suite, attacher_case());
	suite_add_tcase(suite, attacher_clsact_case());
	suite_add_tcase(suite, bypass_case());
	suite_add_tcase(suite, bypass_links_case());
	suite_add_tcase(suite, resync_case());
	suite_add_tcase(suite, rule_case());
	suite_add_tcase(suite, kind_case());
	suite_add_tcase(suite, route_case());
	suite_add_tcase(suite, vrf_case());
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
