// SPDX-License-Identifier: GPL-2.0-or-later
/* The router under test: a namespace with two veth pairs, our tables in it, and the kernel's own. */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <linux/if_ether.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "bench/bench.h"

/* Far more than the tables ever take: what is not reclaimed by then never will be. */
#define SETTLE_MS 20000

static void run(const char *command)
{
	if (system(command))
		bench_fail(0, "'%s' failed", command);
}

static uint32_t interface(const char *name, uint8_t mac[6])
{
	struct ifreq request = {0};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	if (fd < 0 || ioctl(fd, SIOCGIFHWADDR, &request))
		bench_fail(errno, "cannot read the MAC address of %s", name);
	close(fd);
	if (mac)
		memcpy(mac, request.ifr_hwaddr.sa_data, 6);
	return if_nametoindex(name);
}

static void gateway_address(uint8_t family, uint32_t g, uint8_t addr[16])
{
	memset(addr, 0, 16);
	inet_pton(family, family == AF_INET ? "198.18.0.0" : "2001:2::", addr);
	addr[family == AF_INET ? 3 : 15] = (uint8_t)(1 + g);
}

/* What the kernel forwards to must be known, or it would ask for it. */
static void make_neighbours(void)
{
	FILE *batch = popen("ip -batch -", "w");

	for (uint32_t g = 0; batch && g < BENCH_GROUPS; g++) {
		for (int i = 0; i < 2; i++) {
			uint8_t family = i ? AF_INET6 : AF_INET, addr[16];
			char text[INET6_ADDRSTRLEN];

			gateway_address(family, g, addr);
			inet_ntop(family, addr, text, sizeof(text));
			fprintf(batch,
				"neigh replace %s lladdr 02:00:00:00:00:01 nud permanent dev out\n",
				text);
		}
	}
	if (!batch || pclose(batch))
		bench_fail(0, "cannot make the neighbours");
}

void bench_network(struct bench_network *network)
{
	if (unshare(CLONE_NEWNET))
		bench_fail(errno, "cannot make a network namespace (root is needed)");
	run("sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0 "
	    "net.ipv6.conf.default.router_solicitations=0 "
	    "net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 "
	    "net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0 "
	    "net.ipv6.route.max_size=2147483647");
	run("ip link add name in type veth peer name in-peer");
	run("ip link add name out type veth peer name out-peer");
	run("for i in lo in in-peer out out-peer; do ip link set dev $i up; done");
	run("ip addr add 198.18.0.254/24 dev out; ip addr add 2001:2::fe/64 dev out; "
	    "ip addr add 198.19.0.254/24 dev in; ip addr add 2001:2:0:1::fe/64 dev in");
	network->in = interface("in", network->mac_in);
	network->in_peer = interface("in-peer", NULL);
	network->out = interface("out", network->mac_out);
	network->out_peer = interface("out-peer", NULL);
	make_neighbours();
}

static void make_groups(struct bench_router *router, const struct bench_network *network)
{
	for (uint32_t g = 0; g < BENCH_GROUPS; g++) {
		struct fib_member member = {
			.nexthop = {.ifindex = network->out, .family = AF_INET}};

		gateway_address(AF_INET, g, member.nexthop.gate);
		if (fib_group_set(router->fib, &router->group[g], &member, 1))
			bench_fail(0, "cannot make a group");
	}
	for (uint32_t n = fib_nexthop_next(router->fib, 0); n;
	     n = fib_nexthop_next(router->fib, n + 1)) {
		struct fib_adjacency adjacency = {
			.action = FIB_NH_REWRITE,
			.mtu = 1500,
			.dst = {2, 0, 0, 0, 0, 1},
		};

		memcpy(adjacency.src, network->mac_out, 6);
		fib_nexthop_resolve(router->fib, n, NULL, &adjacency);
	}
}

void bench_router_open(struct bench_router *router, const struct bench_network *network,
		       const struct fib_geometry *geometry)
{
	struct datapath_config config = {.geometry = *geometry};
	struct fib_memory memory;
	char error[512];

	memset(router, 0, sizeof(*router));
	router->datapath = datapath_open(&config, error, sizeof(error));
	if (!router->datapath)
		bench_fail(0, "%s", error);
	datapath_memory(router->datapath, &memory);
	router->fib = fib_new(&memory, datapath_geometry(router->datapath));
	if (!router->fib)
		bench_fail(ENOMEM, "the FIB");
	/* as in zebra: without it every node that a load replaces would stay, and the pools fill up */
	router->reclaimer = datapath_reclaimer_start(router->datapath, router->fib);
	if (!router->reclaimer)
		bench_fail(ENOMEM, "the reclaimer");
	datapath_interface_set(router->datapath, network->in, 0, true, true, 0);
	make_groups(router, network);
}

void bench_router_close(struct bench_router *router)
{
	datapath_reclaimer_stop(router->reclaimer);
	fib_free(router->fib);
	datapath_close(router->datapath, false);
}

double bench_router_load(struct bench_router *router, const struct bench_table *table)
{
	uint64_t began = bench_now();

	for (size_t i = 0; i < table->n; i++) {
		const struct bench_prefix *p = &table->list[i];
		int err = fib_route_set(router->fib, &p->prefix, router->group[bench_group(p)]);

		if (err)
			bench_fail(err, "cannot load the table");
	}
	return (double)(bench_now() - began) / 1e6;
}

void bench_router_settle(struct bench_router *router)
{
	struct fib_stats stats;
	uint64_t until = bench_now() + SETTLE_MS * 1000000ull;

	do {
		usleep(5000);
		fib_stats(router->fib, &stats);
		if (bench_now() > until)
			bench_fail(0, "memory that is no longer used does not become free");
	} while (stats.node.retired || stats.v4_low.retired);
	if (stats.v4_overflow || stats.v6_overflow)
		bench_fail(0, "%llu IPv4 and %llu IPv6 prefixes had no room",
			   (unsigned long long)stats.v4_overflow,
			   (unsigned long long)stats.v6_overflow);
}

/* The object's map of a name, which the kernel keeps only 15 characters of. */
static struct bpf_map *map_named(struct bpf_object *object, const char *name)
{
	struct bpf_map *map;

	bpf_object__for_each_map(map, object)
	{
		if (!bpf_map__is_internal(map) &&
		    !strncmp(bpf_map__name(map), name, BPF_OBJ_NAME_LEN - 1))
			return map;
	}
	return NULL;
}

void bench_router_share(const struct bench_router *router, struct bpf_object *object)
{
	uint32_t ids[32], len = sizeof(struct bpf_prog_info);
	struct bpf_prog_info info = {.map_ids = (uint64_t)(uintptr_t)ids, .nr_map_ids = 32};

	if (bpf_obj_get_info_by_fd(datapath_program_fd(router->datapath), &info, &len))
		bench_fail(errno, "cannot read the program's maps");
	for (uint32_t i = 0; i < info.nr_map_ids; i++) {
		struct bpf_map_info map_info = {0};
		struct bpf_map *map;
		int fd = bpf_map_get_fd_by_id(ids[i]);

		len = sizeof(map_info);
		if (fd < 0 || bpf_obj_get_info_by_fd(fd, &map_info, &len))
			bench_fail(errno, "cannot open a map");
		map = map_named(object, map_info.name);
		if (map && bpf_map__reuse_fd(map, fd))
			bench_fail(errno, "cannot share a map");
		close(fd);
	}
}

int bench_lpm_new(const struct bench_table *table)
{
	LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_NO_PREALLOC);
	uint32_t size = table->family == AF_INET ? 4 : 16;
	struct {
		uint32_t length;
		uint8_t addr[16];
	} key;
	int fd = bpf_map_create(BPF_MAP_TYPE_LPM_TRIE, "lpm", 4 + size, sizeof(uint32_t),
				(uint32_t)table->n, &options);

	if (fd < 0)
		bench_fail(errno, "cannot make an LPM_TRIE");
	for (size_t i = 0; i < table->n; i++) {
		uint32_t group = bench_group(&table->list[i]);

		key.length = table->list[i].prefix.len;
		memcpy(key.addr, table->list[i].prefix.addr, 16);
		if (bpf_map_update_elem(fd, &key, &group, BPF_ANY))
			bench_fail(errno, "cannot fill an LPM_TRIE");
	}
	return fd;
}
