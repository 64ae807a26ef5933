// SPDX-License-Identifier: GPL-2.0-or-later
/* A route of every kind, in the main table and in a VRF's, in both families. */
#include <arpa/inet.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>

#include "tests/bpf/fixture.h"
#include "tests/fib/reference.h"
#include "tests/fuzz/packet.h"

#define WAYS_MAX 32u
#define NEIGHBOURS 4u

struct ingress ingress[INGRESSES];

static struct ways ways[WAYS_MAX];
static unsigned int n_ways;
/* Tables: the main one, a VRF's, the kernel's local one. */
enum { MAIN, VRF, LOCAL, TABLES };
static struct reference *routes[TABLES];
static uint16_t number[TABLES];
static struct fib_neigh_key neighbour[NEIGHBOURS];
static unsigned int n_neighbours;
static uint8_t own[4];

/* Address and length; what the tests' fixture has for this works within a test of Check only. */
static struct fib_prefix parse(const char *text)
{
	struct fib_prefix prefix = {.family = strchr(text, ':') ? AF_INET6 : AF_INET};
	char addr[64];
	unsigned int len;

	must(sscanf(text, "%63[^/]/%u", addr, &len) == 2 &&
		     inet_pton(prefix.family, addr, prefix.addr) == 1,
	     "%s", text);
	prefix.len = (uint8_t)len;
	return prefix;
}

static void watcher(void *arg, uint32_t nexthop, const struct fib_nexthop_key *key, bool added)
{
	*(uint32_t *)arg = nexthop;
}

static struct way way_of(uint32_t ifindex, const char *gate, uint8_t action, uint16_t mtu)
{
	static uint8_t made;
	struct way way = {
		.key.ifindex = ifindex,
		.adjacency = {.action = action, .mtu = mtu},
	};

	if (*gate) {
		way.key.family = strchr(gate, ':') ? AF_INET6 : AF_INET;
		must(inet_pton(way.key.family, gate, way.key.gate) == 1, "%s", gate);
	}
	made++;
	memcpy(way.adjacency.dst, (uint8_t[6]){2, made, 0x11, 0x22, 0x33, 0x44}, 6);
	memcpy(way.adjacency.src, (uint8_t[6]){6, made, 0x55, 0x66, 0x77, 0x88}, 6);
	return way;
}

/* A group of these next hops; n 0: none. */
static uint32_t group_of(const struct way *way, unsigned int n)
{
	struct ways *new = &ways[n_ways];
	struct fib_member members[3] = {0};

	must(n_ways < WAYS_MAX, "%u groups", n_ways);
	for (unsigned int i = 0; i < n; i++) {
		/* member by member, so that the watcher is told of one new next hop each time */
		members[i] = (struct fib_member){.nexthop = way[i].key, .weight = i + 1};
		new->way[i] = way[i];
		fib_nexthop_watch(bed.fib, watcher, &new->way[i].nexthop);
		must(!fib_group_set(bed.fib, &new->group, members, i + 1), "group %u", n_ways);
		fib_nexthop_watch(bed.fib, NULL, NULL);
		must(!fib_nexthop_resolve(bed.fib, new->way[i].nexthop, &way[i].key,
					  &way[i].adjacency),
		     "next hop %u", i);
	}
	if (!n)
		must(!fib_group_set(bed.fib, &new->group, NULL, 0), "group %u", n_ways);
	new->n = n;
	n_ways++;
	return new->group;
}

static uint32_t group_one(struct way way)
{
	return group_of(&way, 1);
}

static void route_add(unsigned int table, const char *text, uint32_t group)
{
	struct fib_prefix prefix = parse(text);

	prefix.table = number[table];
	must(!fib_route_set(bed.fib, &prefix, group), "%s", text);
	reference_set(routes[table], &prefix, group);
}

/* The same in 10.N.0.0/16 and 2001:db8:N::/48. */
static void route_both(unsigned int table, unsigned int n, uint32_t group)
{
	char text[64];

	snprintf(text, sizeof(text), "10.%u.0.0/16", n);
	route_add(table, text, group);
	snprintf(text, sizeof(text), "2001:db8:%x::/48", n);
	route_add(table, text, group);
}

static void local(unsigned int table, const char *text)
{
	struct fib_prefix prefix = parse(text);

	must(!fib_local_add(bed.fib, number[table], prefix.family, prefix.addr), "%s", text);
	reference_set(routes[table], &prefix, FIB_GROUP_LOCAL);
}

static void neighbour_add(uint32_t ifindex, const char *text)
{
	struct fib_prefix prefix = parse(text);
	struct fib_neigh_key *key = &neighbour[n_neighbours++];

	key->ifindex = ifindex;
	key->family = prefix.family;
	memcpy(key->addr, prefix.addr, sizeof(key->addr));
	must(!datapath_neighbour_set(bed.datapath, key), "%s", text);
	program_neighbour(key);
}

static void own_address(const char *text)
{
	struct fib_prefix prefix = parse(text);

	memcpy(own, prefix.addr, sizeof(own));
	must(!datapath_own_set(bed.datapath, own), "%s", text);
	program_own(own);
}

static void routes_make(unsigned int table)
{
	uint32_t rewrite =
		group_one(way_of(bed.out, table ? "10.0.1.1" : "10.0.0.1", FIB_NH_REWRITE, 1500));
	const struct way several[3] = {
		way_of(bed.out, table ? "fe80::11" : "fe80::1", FIB_NH_REWRITE, 1500),
		way_of(bed.out, table ? "fe80::12" : "fe80::2", FIB_NH_REWRITE, 1500),
		way_of(bed.out_peer, table ? "fe80::13" : "fe80::3", FIB_NH_REWRITE, 1500),
	};

	route_both(table, 0, rewrite);
	route_both(table, 1, group_of(several, 3));
	route_both(table, 6, FIB_GROUP_BLACKHOLE);
	local(table, "10.0.0.7/32");
	local(table, "2001:db8::7/128");
	if (table) {
		route_add(table, "0.0.0.0/0", FIB_GROUP_BLACKHOLE);
		route_add(table, "::/0", FIB_GROUP_BLACKHOLE);
		return;
	}
	route_both(table, 2, group_one(way_of(bed.out, "", FIB_NH_CONNECTED, 1500)));
	route_both(table, 3, group_one(way_of(bed.out, "10.0.0.3", FIB_NH_RESOLVE, 1500)));
	route_both(table, 4, group_one(way_of(bed.out, "fe80::4", FIB_NH_RESOLVE, 1500)));
	route_both(table, 5, group_one(way_of(bed.out_peer, "10.0.0.5", FIB_NH_REWRITE, 100)));
	route_both(table, 7, FIB_GROUP_REJECT);
	route_both(table, 8, FIB_GROUP_UNSUPPORTED);
	route_both(table, 9, FIB_GROUP_OVERFLOW);
	route_both(table, 10, group_of(NULL, 0));
	route_both(table, 11, group_one(way_of(bed.out, "10.0.0.11", FIB_NH_KERNEL, 1500)));
	route_both(table, 12, FIB_GROUP_NO_ROUTE);
	route_both(table, 14, FIB_GROUP_KERNEL);
	route_both(table, 13, group_one(way_of(bed.out, "10.0.0.13", FIB_NH_DEVICE, 1500)));
	neighbour_add(bed.out, "10.2.0.1/32");
	neighbour_add(bed.out, "10.2.1.0/32");
	neighbour_add(bed.out, "2001:db8:2::1/128");
}

void tables_open(void)
{
	struct datapath_config config = {.geometry = small_geometry};
	struct fib_memory memory;
	char error[512] = "";

	bed_make_network();
	bed.datapath = datapath_open(&config, error, sizeof(error));
	must(bed.datapath, "%s", error);
	datapath_memory(bed.datapath, &memory);
	bed.fib = fib_new(&memory, datapath_geometry(bed.datapath));
	must(bed.fib, "no FIB");
	must(!fib_table_open(bed.fib, 1000, &number[VRF]), "no table");
	must(!fib_table_open(bed.fib, RT_TABLE_LOCAL, &number[LOCAL]) &&
		     number[LOCAL] == FIB_TABLE_LOCAL,
	     "no local table");
	for (unsigned int table = 0; table < TABLES; table++)
		routes[table] = reference_new();
	routes_make(MAIN);
	routes_make(VRF);
	route_add(LOCAL, "10.0.0.4/31", FIB_GROUP_LOCAL);
	route_add(LOCAL, "10.6.0.0/24", FIB_GROUP_LOCAL);
	route_add(LOCAL, "2001:db8::4/127", FIB_GROUP_LOCAL);
	route_add(LOCAL, "2001:db8:6::/120", FIB_GROUP_LOCAL);
	own_address("10.0.0.7/32");
	ingress[0] =
		(struct ingress){.ifindex = bed.in, .v4 = true, .v6 = true, .more = FIB_IF_PROXY};
	ingress[1] = (struct ingress){.ifindex = bed.out, .v4 = true};
	ingress[2] = (struct ingress){.ifindex = bed.in_peer,
				      .table = number[VRF],
				      .v4 = true,
				      .v6 = true,
				      .more = FIB_IF_LOCAL};
	ingress[3] = (struct ingress){.ifindex = bed.out_peer};
	memcpy(ingress[0].mac, bed.in_mac, 6);
	memcpy(ingress[1].mac, bed.out_mac, 6);
	memcpy(ingress[2].mac, bed.in_peer_mac, 6);
	memcpy(ingress[3].mac, bed.out_peer_mac, 6);
	for (unsigned int i = 0; i < INGRESSES; i++)
		must(!datapath_interface_set(bed.datapath, ingress[i].ifindex, ingress[i].table,
					     ingress[i].v4, ingress[i].v6, ingress[i].more),
		     "interface %u", i);
}

uint32_t tables_lookup(const struct ingress *from, uint8_t family, const uint8_t *addr)
{
	uint8_t bits = family == AF_INET ? 32 : 128;
	struct fib_prefix found;

	if (from->more & FIB_IF_LOCAL &&
	    reference_lookup(routes[LOCAL], family, addr, bits, &found) == FIB_GROUP_LOCAL)
		return FIB_GROUP_LOCAL;
	return reference_lookup(routes[from->table ? VRF : MAIN], family, addr, bits, &found);
}

bool tables_own_source(const struct ingress *from, const uint8_t *addr)
{
	struct fib_prefix found;

	if (!memcmp(addr, own, sizeof(own)))
		return true;
	return from->more & FIB_IF_LOCAL &&
	       (reference_lookup(routes[LOCAL], AF_INET, addr, 32, &found) == FIB_GROUP_LOCAL ||
		(from->table &&
		 reference_lookup(routes[VRF], AF_INET, addr, 32, &found) == FIB_GROUP_LOCAL));
}

const struct ways *tables_ways(uint32_t group)
{
	for (unsigned int i = 0; i < n_ways; i++) {
		if (ways[i].group == group && ways[i].n)
			return &ways[i];
	}
	return NULL;
}

const struct way *tables_way(uint32_t nexthop)
{
	for (unsigned int i = 0; i < n_ways; i++) {
		for (unsigned int k = 0; k < ways[i].n; k++) {
			if (ways[i].way[k].nexthop == nexthop)
				return &ways[i].way[k];
		}
	}
	return NULL;
}

uint32_t tables_nexthops(void)
{
	uint32_t end = 0;

	for (uint32_t n = fib_nexthop_next(bed.fib, 0); n; n = fib_nexthop_next(bed.fib, n + 1))
		end = n + 1;
	return end;
}

bool tables_neighbour(uint32_t ifindex, uint8_t family, const uint8_t *addr)
{
	for (unsigned int i = 0; i < n_neighbours; i++) {
		if (neighbour[i].ifindex == ifindex && neighbour[i].family == family &&
		    !memcmp(neighbour[i].addr, addr, family == AF_INET ? 4 : 16))
			return true;
	}
	return false;
}
