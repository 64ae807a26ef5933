// SPDX-License-Identifier: GPL-2.0-or-later
/* Namespaces, interfaces, program and tables for the tests, and the routes in them. */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/bpf/fixture.h"

struct bed bed;

const struct fib_geometry small_geometry = {
	.v4_low_blocks = 1u << 9,
	.node_bytes = 1u << 20,
	.groups = 1u << 10,
	.slots = 1u << 13,
	.nexthops = 1u << 7,
	.neighbours = 4,
	.cpus = 1,
};

const uint8_t gateway_mac[6] = {0x02, 0x11, 0x22, 0x33, 0x44, 0x55};
const uint8_t egress_mac[6] = {0x06, 0xfe, 0xdc, 0xba, 0x98, 0x76};

void shell(const char *format, ...)
{
	char command[512];
	va_list args;

	va_start(args, format);
	vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	if (system(command)) {
		fprintf(stderr, "failed: %s\n", command);
		abort();
	}
}

static uint32_t interface(const char *name, uint8_t mac[6])
{
	struct ifreq request = {0};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	if (fd < 0 || ioctl(fd, SIOCGIFHWADDR, &request))
		abort();
	memcpy(mac, request.ifr_hwaddr.sa_data, 6);
	close(fd);
	return if_nametoindex(name);
}

void bed_make_network(void)
{
	if (unshare(CLONE_NEWNET | CLONE_NEWNS) ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL)) {
		perror("cannot make namespaces (root is needed)");
		exit(EXIT_FAILURE);
	}
	shell("sysctl -qw net.ipv6.conf.default.disable_ipv6=1");
	shell("ip link add dev in type veth peer name in-peer");
	shell("ip link add dev out type veth peer name out-peer");
	for (const char *const *name =
		     (const char *const[]){"in", "in-peer", "out", "out-peer", NULL};
	     *name; name++)
		shell("ip link set dev %s up", *name);
	bed.in = interface("in", bed.in_mac);
	bed.out = interface("out", bed.out_mac);
	bed.in_peer = interface("in-peer", bed.in_peer_mac);
	bed.out_peer = interface("out-peer", bed.out_peer_mac);
}

void bed_setup(void)
{
	struct datapath_config config = {.geometry = small_geometry};
	struct fib_memory memory;
	char error[512] = "";

	bed.datapath = datapath_open(&config, error, sizeof(error));
	ck_assert_msg(bed.datapath, "%s", error);
	datapath_memory(bed.datapath, &memory);
	bed.fib = fib_new(&memory, datapath_geometry(bed.datapath));
	ck_assert_ptr_nonnull(bed.fib);
	ck_assert_int_eq(datapath_interface_set(bed.datapath, bed.in, 0, true, true, 0), 0);
}

void bed_teardown(void)
{
	fib_free(bed.fib);
	datapath_close(bed.datapath, false);
}

/* ---- routes ---- */

struct fib_prefix prefix_of(const char *text)
{
	struct fib_prefix prefix = {.family = strchr(text, ':') ? AF_INET6 : AF_INET};
	const char *slash = strchr(text, '/');
	char addr[INET6_ADDRSTRLEN];

	ck_assert_ptr_nonnull(slash);
	snprintf(addr, sizeof(addr), "%.*s", (int)(slash - text), text);
	ck_assert_msg(inet_pton(prefix.family, addr, prefix.addr) == 1, "%s", text);
	prefix.len = atoi(slash + 1);
	return prefix;
}

void route(const char *prefix, uint32_t group)
{
	const struct fib_prefix p = prefix_of(prefix);

	ck_assert_int_eq(fib_route_set(bed.fib, &p, group), 0);
}

uint32_t nexthop_number(const struct fib_nexthop_key *key)
{
	struct fib_nexthop_info info;

	for (uint32_t n = fib_nexthop_next(bed.fib, 0); n; n = fib_nexthop_next(bed.fib, n + 1)) {
		ck_assert_int_eq(fib_nexthop_get(bed.fib, n, &info), 0);
		if (info.key.ifindex == key->ifindex && info.key.family == key->family &&
		    !memcmp(info.key.gate, key->gate, sizeof(key->gate)))
			return n;
	}
	ck_abort_msg("no such next hop");
	return 0;
}

struct hop hop_new(const char *gate, uint8_t action, uint16_t mtu)
{
	struct hop hop = {.key = {.ifindex = bed.out}};
	struct fib_member member = {.weight = 1};

	if (*gate) {
		hop.key.family = strchr(gate, ':') ? AF_INET6 : AF_INET;
		ck_assert_int_eq(inet_pton(hop.key.family, gate, hop.key.gate), 1);
	}
	member.nexthop = hop.key;
	ck_assert_int_eq(fib_group_set(bed.fib, &hop.group, &member, 1), 0);
	ck_assert_uint_ge(hop.group, FIB_GROUP_FIRST);
	hop.nexthop = nexthop_number(&hop.key);
	hop_publish(&hop, action, mtu, false);
	return hop;
}

void hop_publish(const struct hop *hop, uint8_t action, uint16_t mtu, bool down)
{
	struct fib_adjacency adjacency = {.down = down, .action = action, .mtu = mtu};

	memcpy(adjacency.dst, gateway_mac, 6);
	memcpy(adjacency.src, egress_mac, 6);
	ck_assert_int_eq(fib_nexthop_resolve(bed.fib, hop->nexthop, &hop->key, &adjacency), 0);
}
