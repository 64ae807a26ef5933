// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the forwarding program and its lookups cost, by BPF_PROG_TEST_RUN, over a table of the
 * Internet's size that is made up here. README.md in this directory says what the figures mean.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "bench/lookup.h"
#include "bench/lookup.skel.h"
#include "dplane_ebpf/datapath/datapath.h"

#define V4_PREFIXES 1000000
#define V6_PREFIXES 220000
#define GROUPS 64
#define ROUNDS_MAX 25

static struct datapath *datapath;
static struct fib *fib;
static struct datapath_reclaimer *reclaimer;
static struct lookup_bpf *bench;
static struct bench_addresses *addresses;
static uint32_t ifindex_in, ifindex_out;
static uint32_t groups[GROUPS];
static uint8_t mac_in[6];

static void fail(const char *what, int err)
{
	fprintf(stderr, "testrun: %s: %s\n", what, strerror(err < 0 ? -err : err));
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + t.tv_nsec;
}

/* ---- a table like the Internet's ---- */

static uint64_t seed = 0x2545f4914f6cdd1dull;

static uint64_t random64(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed * 0x9e3779b97f4a7c15ull >> 11 ^ seed << 40;
}

/* Lengths and their shares in thousandths, roughly as in a table of 2026. */
struct share {
	uint8_t len;
	uint16_t share;
};

static const struct share shares4[] = {
	{24, 634}, {22, 110}, {23, 95}, {21, 50}, {20, 42}, {19, 25}, {18, 14},
	{16, 14},  {17, 8},   {15, 2},	{14, 1},  {25, 2},  {28, 1},  {32, 2},
};
static const struct share shares6[] = {
	{48, 500}, {32, 120}, {44, 90}, {40, 90}, {36, 40}, {29, 30}, {46, 40},
	{47, 30},  {45, 20},  {33, 15}, {34, 10}, {56, 5},  {64, 9},  {128, 1},
};

static uint8_t pick_length(const struct share *shares)
{
	unsigned int n = random64() % 1000;

	while (n >= shares->share)
		n -= (shares++)->share;
	return shares->len;
}

/* Prefixes stand in clusters, as allocations do: 12,000 /16s, and /32s below 40 /12s. */
static struct fib_prefix random_prefix(uint8_t family)
{
	static uint16_t clusters4[12000];
	static uint32_t clusters6[20000];
	struct fib_prefix prefix = {.family = family};
	uint64_t bits = random64();

	if (!clusters4[0]) {
		for (size_t i = 0; i < 12000; i++)
			clusters4[i] = (1 + random64() % 222) << 8 | (random64() & 255);
		for (size_t i = 0; i < 20000; i++)
			clusters6[i] = 0x20000000u | (uint32_t)(random64() % 40) << 20 |
				       (uint32_t)(random64() & 0xfffff);
	}
	if (family == AF_INET) {
		uint32_t addr =
			htonl((uint32_t)clusters4[random64() % 12000] << 16 | (bits & 0xffff));

		prefix.len = pick_length(shares4);
		memcpy(prefix.addr, &addr, 4);
	} else {
		uint32_t high = htonl(clusters6[random64() % 20000]);

		prefix.len = pick_length(shares6);
		memcpy(prefix.addr, &high, 4);
		memcpy(prefix.addr + 4, &bits, 8);
		/* networks are numbered from the low end or the middle of an allocation, not all over it */
		prefix.addr[4] &= 0x80;
		bits = random64();
		memcpy(prefix.addr + 12, &bits, 4);
	}
	return prefix;
}

static void load(uint8_t family, struct fib_prefix *list, size_t n)
{
	uint64_t began;

	for (size_t i = 0; i < n; i++)
		list[i] = random_prefix(family);
	began = now_ns();
	for (size_t i = 0; i < n; i++) {
		int err = fib_route_set(fib, &list[i], groups[i % GROUPS]);

		if (err)
			fail("cannot load the table", err);
	}
	fprintf(stderr, "testrun: %zu IPv%c prefixes loaded in %.0f ms, in no order\n", n,
		family == AF_INET ? '4' : '6', (now_ns() - began) / 1e6);
}

/* Until nothing waits for a grace period: what is looked up is then all in its place. */
static void settle(void)
{
	struct fib_stats stats;
	int tries = 1000;

	do {
		usleep(10000);
		fib_stats(fib, &stats);
	} while (--tries && (stats.node.retired || stats.v4_low.retired));
	if (!tries)
		fail("memory that is no longer used does not become free", ETIMEDOUT);
}

/* ---- what is measured ---- */

struct frame {
	size_t len;
	uint8_t bytes[128];
};

static uint16_t checksum(const void *data, size_t len)
{
	const uint16_t *word = data;
	uint32_t sum = 0;

	for (size_t i = 0; i < len / 2; i++)
		sum += word[i];
	sum = (sum & 0xffff) + (sum >> 16);
	return ~((sum & 0xffff) + (sum >> 16));
}

/* 64 bytes on the wire; the TTL is as high as can be, for each run of the program takes one. */
static struct frame frame_to(uint8_t family, const uint8_t *addr)
{
	struct frame frame = {.len = 60};
	struct ethhdr *eth = (struct ethhdr *)frame.bytes;
	struct iphdr *ip4 = (struct iphdr *)(eth + 1);
	struct ipv6hdr *ip6 = (struct ipv6hdr *)(eth + 1);

	memcpy(eth->h_dest, mac_in, 6);
	eth->h_source[0] = 2;
	eth->h_proto = htons(family == AF_INET ? ETH_P_IP : ETH_P_IPV6);
	if (family == AF_INET) {
		*ip4 = (struct iphdr){.version = 4, .ihl = 5, .ttl = 255, .protocol = IPPROTO_UDP};
		ip4->tot_len = htons(46);
		ip4->saddr = htonl(0xc6336401);
		memcpy(&ip4->daddr, addr, 4);
		ip4->check = checksum(ip4, 20);
	} else {
		frame.len = 62;
		ip6->version = 6;
		ip6->payload_len = htons(8);
		ip6->nexthdr = IPPROTO_UDP;
		ip6->hop_limit = 255;
		inet_pton(AF_INET6, "2001:db8::1", &ip6->saddr);
		memcpy(&ip6->daddr, addr, 16);
	}
	return frame;
}

/* ns a run, as the kernel measures them. */
static double test_run(int fd, const struct frame *frame, uint32_t repeat, int expected)
{
	struct __sk_buff skb = {.ifindex = ifindex_in};
	uint8_t out[256];
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame->bytes, .data_size_in = frame->len,
		    .data_out = out, .data_size_out = sizeof(out), .ctx_in = &skb,
		    .ctx_size_in = sizeof(skb), .repeat = repeat);
	int err = bpf_prog_test_run_opts(fd, &options);

	if (err)
		fail("BPF_PROG_TEST_RUN", err);
	if ((int)options.retval != expected) {
		fprintf(stderr, "testrun: the program answered %d, not %d\n", (int)options.retval,
			expected);
		exit(1);
	}
	return options.duration;
}

/* A forwarded packet has 254 hops to live: many short calls, the mean of all. */
static double packets(const struct frame *frame, int expected, int fd)
{
	const uint32_t repeat = 250, calls = 400;
	double sum = 0;

	for (uint32_t i = 0; i < calls; i++)
		sum += test_run(fd, frame, repeat, expected);
	return sum / calls;
}

static double lookups(struct bpf_program *program)
{
	static const struct frame any = {.len = 60};

	return test_run(bpf_program__fd(program), &any, 4, 0) / BENCH_LOOKUPS;
}

enum destinations { UNIFORM, HOT };

/* A random prefix and random host bits, or the same address again and again. */
static void fill_addresses(uint8_t family, const struct fib_prefix *list, size_t n,
			   enum destinations which)
{
	for (size_t i = 0; i < BENCH_LOOKUPS; i++) {
		const struct fib_prefix *p = &list[which == HOT ? 0 : random64() % n];
		uint8_t addr[16];
		uint64_t noise[2] = {random64(), random64()};

		if (which == HOT && i > 0) {
			memcpy(addresses->addr[i], addresses->addr[0], 16);
			continue;
		}
		memcpy(addr, p->addr, 16);
		for (unsigned int bit = p->len; bit < (family == AF_INET ? 32 : 128); bit++)
			addr[bit / 8] ^= noise[bit / 64] >> bit % 64 & 1 ? 0x80 >> bit % 8 : 0;
		memcpy(addresses->addr[i], addr, 16);
		if (family == AF_INET)
			addresses->addr[i][0] = ntohl(addresses->addr[i][0]);
	}
}

/* ---- rows and rounds ---- */

enum kind { PACKET, LOOKUP };

static struct row {
	const char *name;
	enum kind kind;
	struct frame frame;
	int expected;
	struct bpf_program **program;
	const struct fib_prefix *list; /* for lookups */
	size_t n;
	uint8_t family;
	enum destinations which;
	double value[ROUNDS_MAX];
} rows[32];
static size_t row_count;

static void packet_row(const char *name, struct frame frame, int expected)
{
	rows[row_count++] =
		(struct row){.name = name, .kind = PACKET, .frame = frame, .expected = expected};
}

static void lookup_row(const char *name, uint8_t family, const struct fib_prefix *list, size_t n,
		       enum destinations which, struct bpf_program **program)
{
	rows[row_count++] = (struct row){.name = name,
					 .kind = LOOKUP,
					 .program = program,
					 .list = list,
					 .n = n,
					 .family = family,
					 .which = which};
}

static void measure(size_t round)
{
	static const struct frame any = {.len = 60};
	double floor_packet = packets(&any, -1, bpf_program__fd(bench->progs.empty));

	for (size_t i = 0; i < row_count; i++) {
		struct row *row = &rows[i];

		if (row->kind == PACKET) {
			row->value[round] =
				packets(&row->frame, row->expected, datapath_program_fd(datapath)) -
				floor_packet;
			continue;
		}
		fill_addresses(row->family, row->list, row->n, row->which);
		row->value[round] = lookups(*row->program) - lookups(bench->progs.lookup_empty);
	}
}

static int by_value(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void print_rows(size_t rounds)
{
	printf("%-44s %8s %8s %8s\n", "ns, the empty program's cost subtracted", "median", "least",
	       "most");
	for (size_t i = 0; i < row_count; i++) {
		double *v = rows[i].value;

		qsort(v, rounds, sizeof(*v), by_value);
		printf("%-44s %8.1f %8.1f %8.1f\n", rows[i].name, v[rounds / 2], v[0],
		       v[rounds - 1]);
	}
}

/* ---- setting up ---- */

static void run(const char *command)
{
	if (system(command)) {
		fprintf(stderr, "testrun: '%s' failed\n", command);
		exit(1);
	}
}

static void make_network(void)
{
	FILE *file;
	unsigned int m[6];

	if (unshare(CLONE_NEWNET))
		fail("cannot make a network namespace (root is needed)", errno);
	run("ip link add dev in type veth peer name in-peer");
	run("ip link add dev out type veth peer name out-peer");
	run("for i in in in-peer out out-peer; do ip link set dev $i up; done");
	ifindex_in = if_nametoindex("in");
	ifindex_out = if_nametoindex("out");
	file = popen("ip -br link show dev in | awk '{print $3}'", "r");
	if (!file ||
	    fscanf(file, "%x:%x:%x:%x:%x:%x", &m[0], &m[1], &m[2], &m[3], &m[4], &m[5]) != 6)
		fail("cannot read an interface's MAC address", EIO);
	pclose(file);
	for (int i = 0; i < 6; i++)
		mac_in[i] = m[i];
}

static void make_groups(void)
{
	for (uint32_t i = 0; i < GROUPS; i++) {
		struct fib_member member = {.nexthop = {.ifindex = ifindex_out, .family = AF_INET}};

		memcpy(member.nexthop.gate, (const uint8_t[]){192, 0, 2, i}, 4);
		if (fib_group_set(fib, &groups[i], &member, 1))
			fail("cannot make a group", EINVAL);
	}
	for (uint32_t n = fib_nexthop_next(fib, 0); n; n = fib_nexthop_next(fib, n + 1)) {
		struct fib_adjacency adjacency = {.action = FIB_NH_REWRITE,
						  .mtu = 1500,
						  .dst = {2, 0, 0, 0, 0, 1},
						  .src = {2}};

		fib_nexthop_resolve(fib, n, NULL, &adjacency);
	}
}

/* The bench object looks into the maps that the forwarding program has. */
static void share_maps(void)
{
	struct bpf_prog_info info = {0};
	uint32_t ids[32], len = sizeof(info);
	struct bpf_map *map;

	info.map_ids = (uint64_t)(uintptr_t)ids;
	info.nr_map_ids = 32;
	if (bpf_obj_get_info_by_fd(datapath_program_fd(datapath), &info, &len))
		fail("cannot read the program's maps", errno);
	for (uint32_t i = 0; i < info.nr_map_ids; i++) {
		struct bpf_map_info m = {0};
		int fd = bpf_map_get_fd_by_id(ids[i]);

		len = sizeof(m);
		if (fd < 0 || bpf_obj_get_info_by_fd(fd, &m, &len))
			fail("cannot open a map", errno);
		/* the kernel keeps 15 characters of a name */
		bpf_object__for_each_map(map, bench->obj)
		{
			if (!bpf_map__is_internal(map) &&
			    !strncmp(bpf_map__name(map), m.name, BPF_OBJ_NAME_LEN - 1) &&
			    bpf_map__reuse_fd(map, fd))
				fail("cannot share a map", errno);
		}
		close(fd);
	}
}

static void open_bench(void)
{
	const struct fib_geometry *g = datapath_geometry(datapath);

	bench = lookup_bpf__open();
	if (!bench)
		fail("cannot open the bench object", errno);
	bench->rodata->bounds.v4_low = (uint64_t)g->v4_low_blocks * FIB4_LOW_SIZE - 1;
	bench->rodata->bounds.node = 2 * (uint64_t)g->node_bytes - 1;
	share_maps();
	if (lookup_bpf__load(bench))
		fail("cannot load the bench object", errno);
	addresses = mmap(NULL, sizeof(*addresses), PROT_READ | PROT_WRITE, MAP_SHARED,
			 bpf_map__fd(bench->maps.bench_addresses), 0);
	if (addresses == MAP_FAILED)
		fail("cannot map the addresses", errno);
}

static void set_up(void)
{
	struct datapath_config config = {.geometry = datapath_geometry_full};
	struct fib_memory memory;
	char error[512];

	make_network();
	datapath = datapath_open(&config, error, sizeof(error));
	if (!datapath) {
		fprintf(stderr, "testrun: %s\n", error);
		exit(1);
	}
	datapath_memory(datapath, &memory);
	fib = fib_new(&memory, datapath_geometry(datapath));
	if (!fib)
		fail("cannot make the FIB", ENOMEM);
	/* as in zebra: without it every node that a load replaces would stay, and the pools fill up */
	reclaimer = datapath_reclaimer_start(datapath, fib);
	if (!reclaimer)
		fail("cannot start the reclaimer", ENOMEM);
	datapath_interface_set(datapath, ifindex_in, 0, true, true);
	make_groups();
	open_bench();
}

static void print_pools(void)
{
	struct fib_stats stats;

	fib_stats(fib, &stats);
	if (stats.v4_overflow || stats.v6_overflow)
		printf("%llu IPv4 and %llu IPv6 prefixes had no room\n",
		       (unsigned long long)stats.v4_overflow,
		       (unsigned long long)stats.v6_overflow);
	printf("tables: %llu IPv4 prefixes in %.1f MiB, %llu IPv6 prefixes in %.1f MiB, roots included\n",
	       (unsigned long long)stats.v4_routes,
	       (stats.v4_node_bytes + stats.v4_low.used + FIB4_ROOT_SIZE * 4) / 1048576.0,
	       (unsigned long long)stats.v6_routes,
	       (stats.v6_node_bytes + (FIB6_ROOT_SIZE + FIB6_OUTER_SIZE) * 4) / 1048576.0);
}

int main(int argc, char **argv)
{
	static struct fib_prefix list4[V4_PREFIXES], list6[V6_PREFIXES];
	static const uint8_t nowhere4[4] = {240 - 17}, nowhere6[16] = {0x3f, 0xff};
	const struct fib_prefix local = {AF_INET, 32, {192, 0, 2, 254}};
	size_t rounds = 9;
	struct frame short_frame;

	if (argc == 2 && !strcmp(argv[1], "--quick")) {
		rounds = 5;
	} else if (argc > 1) {
		fprintf(stderr, "usage: testrun [--quick]\n");
		return 2;
	}
	set_up();
	load(AF_INET, list4, V4_PREFIXES);
	load(AF_INET6, list6, V6_PREFIXES);
	fib_local_add(fib, 0, AF_INET, local.addr);
	settle();

	packet_row("forward, IPv4, rewritten and redirected", frame_to(AF_INET, list4[0].addr), 7);
	packet_row("forward, IPv6, rewritten and redirected", frame_to(AF_INET6, list6[0].addr), 7);
	packet_row("to the kernel, IPv4, no route", frame_to(AF_INET, nowhere4), -1);
	packet_row("to the kernel, IPv6, no route", frame_to(AF_INET6, nowhere6), -1);
	packet_row("to the kernel, IPv4, own address", frame_to(AF_INET, local.addr), -1);
	short_frame = frame_to(AF_INET, list4[0].addr);
	((struct iphdr *)(short_frame.bytes + ETH_HLEN))->check ^= 1;
	packet_row("to the kernel, IPv4, checksum wrong", short_frame, -1);
	lookup_row("lookup, IPv4, uniform, independent", AF_INET, list4, V4_PREFIXES, UNIFORM,
		   &bench->progs.lookup4);
	lookup_row("lookup, IPv4, uniform, dependent", AF_INET, list4, V4_PREFIXES, UNIFORM,
		   &bench->progs.lookup4_dependent);
	lookup_row("lookup, IPv4, one address, dependent", AF_INET, list4, V4_PREFIXES, HOT,
		   &bench->progs.lookup4_dependent);
	lookup_row("lookup, IPv6, uniform, independent", AF_INET6, list6, V6_PREFIXES, UNIFORM,
		   &bench->progs.lookup6);
	lookup_row("lookup, IPv6, uniform, dependent", AF_INET6, list6, V6_PREFIXES, UNIFORM,
		   &bench->progs.lookup6_dependent);
	lookup_row("lookup, IPv6, one address, dependent", AF_INET6, list6, V6_PREFIXES, HOT,
		   &bench->progs.lookup6_dependent);
	for (size_t i = 0; i < rounds; i++) {
		fprintf(stderr, "testrun: round %zu of %zu\n", i + 1, rounds);
		measure(i);
	}
	print_rows(rounds);
	print_pools();
	datapath_reclaimer_stop(reclaimer);
	lookup_bpf__destroy(bench);
	fib_free(fib);
	datapath_close(datapath, false);
	return 0;
}
