// SPDX-License-Identifier: GPL-2.0-or-later
/* The program finds what the tables hold: at the edges of their parts, and for random routes. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bpf/fixture.h"

#define HOPS 100
#define ROUTES 4000
#define ADDRESSES 20000

static struct frame frame;

/* ---- edges ---- */

struct probe {
	const char *addr;
	const char *prefix; /* that must be found; NULL: none */
};

static void expect_probes(const char *const *prefixes, size_t n, const struct probe *probes,
			  size_t n_probes)
{
	struct hop *hops = calloc(n, sizeof(*hops));

	for (size_t i = 0; i < n; i++) {
		char gate[32];

		snprintf(gate, sizeof(gate), "192.0.2.%zu", i + 1);
		hops[i] = hop_new(gate, FIB_NH_REWRITE, 1500);
		route(prefixes[i], hops[i].group);
	}
	for (size_t p = 0; p < n_probes; p++) {
		size_t i = 0;

		if (strchr(probes[p].addr, ':'))
			FRAME6(&frame, .dst = probes[p].addr);
		else
			FRAME4(&frame, .dst = probes[p].addr);
		if (!probes[p].prefix) {
			expect(probes[p].addr, &frame, FIB_CNT_KERNEL_NO_ROUTE, NO_NEXTHOP);
			continue;
		}
		while (i < n && strcmp(prefixes[i], probes[p].prefix))
			i++;
		ck_assert_uint_lt(i, n);
		expect(probes[p].addr, &frame, FIB_CNT_FORWARDED, hops[i].nexthop);
	}
	free(hops);
}

#define EXPECT_PROBES(prefixes, probes) \
	expect_probes(prefixes, sizeof(prefixes) / sizeof(prefixes[0]), probes, \
		      sizeof(probes) / sizeof(probes[0]))

START_TEST(edges4)
{
	static const char *const prefixes[] = {
		"1.0.0.0/8",	 "1.128.0.0/18",       "1.128.0.0/19",	   "1.128.64.0/24",
		"1.128.65.0/25", "1.128.65.128/26",    "1.128.65.255/32",  "1.128.66.0/23",
		"128.0.0.0/1",	 "223.255.255.255/32", "223.255.255.0/24",
	};
	static const struct probe probes[] = {
		{"2.0.0.0", NULL},
		{"126.255.255.255", NULL},
		{"1.0.0.0", "1.0.0.0/8"},
		{"1.255.255.255", "1.0.0.0/8"},
		{"1.127.255.255", "1.0.0.0/8"},
		{"1.128.0.0", "1.128.0.0/19"},
		{"1.128.31.255", "1.128.0.0/19"},
		{"1.128.32.0", "1.128.0.0/18"},
		{"1.128.63.255", "1.128.0.0/18"},
		{"1.128.64.0", "1.128.64.0/24"},
		{"1.128.64.255", "1.128.64.0/24"},
		{"1.128.65.0", "1.128.65.0/25"},
		{"1.128.65.127", "1.128.65.0/25"},
		{"1.128.65.128", "1.128.65.128/26"},
		{"1.128.65.191", "1.128.65.128/26"},
		{"1.128.65.192", "1.0.0.0/8"},
		{"1.128.65.254", "1.0.0.0/8"},
		{"1.128.65.255", "1.128.65.255/32"},
		{"1.128.66.0", "1.128.66.0/23"},
		{"1.128.67.255", "1.128.66.0/23"},
		{"1.128.68.0", "1.0.0.0/8"},
		{"128.0.0.0", "128.0.0.0/1"},
		{"223.255.254.255", "128.0.0.0/1"},
		{"223.255.255.254", "223.255.255.0/24"},
		{"223.255.255.255", "223.255.255.255/32"},
	};

	EXPECT_PROBES(prefixes, probes);
}
END_TEST

START_TEST(edges6)
{
	static const char *const prefixes[] = {
		"2000::/3",
		"::/1",
		"8000::/1",
		"fc00::/7",
		"fc00::/8",
		"fc00:0:0:1::/64",
		"2001:db8::/24",
		"2001:db8::/32",
		"2001:db8:ff00::/40",
		"2001:db8:ffff:ffff::/64",
		"2001:db8::1/128",
		"2001:db8::2/127",
		"3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128",
		"1fff:ffff::/32",
		"4000::/128",
		"fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128",
		"2000::/128",
		"2000:100::/24",
	};
	static const struct probe probes[] = {
		{"2000::", "2000::/128"},
		{"2000::1", "2000::/3"},
		{"2000:ff:ffff:ffff:ffff:ffff:ffff:ffff", "2000::/3"},
		{"2000:100::", "2000:100::/24"},
		{"2000:1ff:ffff::", "2000:100::/24"},
		{"2000:200::", "2000::/3"},
		{"3fff:ffff:ffff:ffff:ffff:ffff:ffff:fffe", "2000::/3"},
		{"3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
		 "3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128"},
		{"1fff:fffe:ffff::", "::/1"},
		{"1fff:ffff::", "1fff:ffff::/32"},
		{"1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "1fff:ffff::/32"},
		{"4000::", "4000::/128"},
		{"4000::1", "::/1"},
		{"7fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "::/1"},
		{"8000::", "8000::/1"},
		{"fbff::", "8000::/1"},
		{"fc00::1", "fc00::/8"},
		{"fc00:0:0:1::1", "fc00:0:0:1::/64"},
		{"fc00:0:0:2::1", "fc00::/8"},
		{"fd00::1", "fc00::/7"},
		{"fdff:ffff:ffff:ffff:ffff:ffff:ffff:fffe", "fc00::/7"},
		{"fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
		 "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128"},
		{"2001:dff::", "2001:db8::/24"},
		{"2001:d00::", "2001:db8::/24"},
		{"2001:e00::", "2000::/3"},
		{"2001:db8::", "2001:db8::/32"},
		{"2001:db8::1", "2001:db8::1/128"},
		{"2001:db8::2", "2001:db8::2/127"},
		{"2001:db8::3", "2001:db8::2/127"},
		{"2001:db8::4", "2001:db8::/32"},
		{"2001:db8:feff::", "2001:db8::/32"},
		{"2001:db8:ff00::", "2001:db8:ff00::/40"},
		{"2001:db8:ffff:ffff::", "2001:db8:ffff:ffff::/64"},
		{"2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db8:ffff:ffff::/64"},
	};

	EXPECT_PROBES(prefixes, probes);
}
END_TEST

/* One prefix of each length over the same address, taken away from the longest on. */
START_TEST(every_length)
{
	static const char *const texts[] = {"10.165.165.165/32",
					    "2a5a:a5a5:a5a5:a5a5:a5a5:a5a5:a5a5:a5a5/128"};
	struct hop hops[HOPS];

	for (int i = 0; i < HOPS; i++) {
		char gate[32];

		snprintf(gate, sizeof(gate), "192.0.2.%d", i + 1);
		hops[i] = hop_new(gate, FIB_NH_REWRITE, 1500);
	}
	for (size_t t = 0; t < 2; t++) {
		struct fib_prefix prefix = prefix_of(texts[t]);
		int bits = prefix.len;
		char addr[64];

		snprintf(addr, sizeof(addr), "%.*s", (int)strcspn(texts[t], "/"), texts[t]);
		for (int len = 0; len <= bits; len++) {
			prefix.len = len;
			ck_assert_int_eq(fib_route_set(bed.fib, &prefix, hops[len % HOPS].group),
					 0);
		}
		for (int len = bits; len >= 0; len--) {
			if (t)
				FRAME6(&frame, .dst = addr);
			else
				FRAME4(&frame, .dst = addr);
			expect(addr, &frame, FIB_CNT_FORWARDED, hops[len % HOPS].nexthop);
			prefix.len = len;
			ck_assert_int_eq(fib_route_del(bed.fib, &prefix), 0);
		}
		expect(addr, &frame, FIB_CNT_KERNEL_NO_ROUTE, NO_NEXTHOP);
	}
}
END_TEST

/* ---- random ---- */

static uint64_t state;
static uint16_t table;

static uint32_t random32(void)
{
	state = state * 6364136223846793005ull + 1442695040888963407ull;
	return state >> 32;
}

/* Few values for each byte, so that prefixes contain one another. */
static void random_address(uint8_t family, uint8_t addr[16])
{
	static const uint8_t first4[] = {10, 11, 172, 192};
	static const uint8_t first6[] = {0x20, 0x3f, 0x2a, 0xfc, 0x40};
	size_t n = family == AF_INET ? 4 : 16;

	memset(addr, 0, 16);
	addr[0] = family == AF_INET ? first4[random32() % sizeof(first4)]
				    : first6[random32() % sizeof(first6)];
	for (size_t i = 1; i < n; i++)
		addr[i] = random32() % 3 ? (random32() & 3) * 0x55 : random32();
}

static struct fib_prefix random_prefix(uint8_t family)
{
	struct fib_prefix prefix = {.family = family, .table = table};
	int bits = family == AF_INET ? 32 : 128;

	random_address(family, prefix.addr);
	prefix.len = random32() % (bits + 1);
	return prefix;
}

static enum fib_counter verdict_counter(uint32_t group)
{
	switch (group) {
	case FIB_GROUP_LOCAL:
		return FIB_CNT_KERNEL_LOCAL;
	case FIB_GROUP_REJECT:
		return FIB_CNT_KERNEL_REJECT;
	case FIB_GROUP_UNSUPPORTED:
		return FIB_CNT_KERNEL_UNSUPPORTED;
	case FIB_GROUP_OVERFLOW:
		return FIB_CNT_KERNEL_OVERFLOW;
	case FIB_GROUP_BLACKHOLE:
		return FIB_CNT_DROP_BLACKHOLE;
	case FIB_GROUP_KERNEL:
		return FIB_CNT_KERNEL_OWN_ROUTE;
	}
	return FIB_CNT_KERNEL_NO_ROUTE;
}

static void expect_same(uint8_t family, const struct hop *hops)
{
	uint8_t addr[16];
	struct result result;
	int forwarded = 0;

	if (family == AF_INET)
		FRAME4(&frame, .ttl = 9);
	else
		FRAME6(&frame, .ttl = 9);
	for (int i = 0; i < ADDRESSES; i++) {
		uint32_t group, nexthop = NO_NEXTHOP;
		enum fib_counter counter;

		random_address(family, addr);
		group = fib_lookup(bed.fib, table, family, addr);
		counter = verdict_counter(group);
		for (int h = 0; group >= FIB_GROUP_FIRST && h < HOPS; h++) {
			if (hops[h].group == group) {
				counter = FIB_CNT_FORWARDED;
				nexthop = hops[h].nexthop;
			}
		}
		forwarded += counter == FIB_CNT_FORWARDED;
		memcpy(frame.data + ETHER_LEN + (family == AF_INET ? 16 : 24), addr,
		       family == AF_INET ? 4 : 16);
		if (family == AF_INET)
			frame_checksum4(&frame);
		run_at(bed.in, &frame, &result);
		ck_assert_msg(result.counter == counter && result.nexthop == nexthop,
			      "address %d, group %u: counter %d next hop %d, not %d and %d", i,
			      group, result.counter, (int)result.nexthop, counter, (int)nexthop);
	}
	/* else this would only show that nothing is found */
	ck_assert_int_gt(forwarded, ADDRESSES / 4);
}

START_TEST(random_routes)
{
	static const uint8_t families[] = {AF_INET, AF_INET6};
	static struct fib_prefix prefixes[ROUTES];
	const uint8_t family = families[_i % 2];
	struct hop hops[HOPS], other;

	state = 20261123 + _i;
	if (_i >= 2) {
		/* what a VRF does not have must not be found elsewhere */
		ck_assert_int_eq(fib_table_open(bed.fib, 1001, &table), 0);
		ck_assert_int_eq(datapath_interface_set(bed.datapath, bed.in, table, true, true, 0),
				 0);
		other = hop_new("192.0.2.200", FIB_NH_REWRITE, 1500);
		route(family == AF_INET ? "0.0.0.0/0" : "::/0", other.group);
		route(family == AF_INET ? "10.0.0.0/8" : "2000::/3", other.group);
	}
	for (int i = 0; i < HOPS; i++) {
		char gate[32];

		snprintf(gate, sizeof(gate), "192.0.2.%d", i + 1);
		hops[i] = hop_new(gate, FIB_NH_REWRITE, 1500);
	}
	for (int i = 0; i < ROUTES; i++) {
		uint32_t group = hops[random32() % HOPS].group;

		if (random32() % 8 == 0)
			group = FIB_GROUP_NO_ROUTE + random32() % FIB_GROUP_KERNEL;
		prefixes[i] = random_prefix(family);
		ck_assert_int_eq(fib_route_set(bed.fib, &prefixes[i], group), 0);
	}
	expect_same(family, hops);

	/* the same after many changes, with memory used again */
	for (int i = 0; i < ROUTES; i++) {
		if (i % 3)
			fib_route_del(bed.fib, &prefixes[i]);
		if (i % 200 == 0) {
			uint64_t epoch = fib_reclaim_begin(bed.fib);

			ck_assert_int_eq(datapath_grace_period(bed.datapath), 0);
			fib_reclaim_end(bed.fib, epoch);
		}
	}
	for (int i = 0; i < ROUTES / 3; i++) {
		const struct fib_prefix prefix = random_prefix(family);

		ck_assert_int_eq(fib_route_set(bed.fib, &prefix, hops[random32() % HOPS].group), 0);
	}
	expect_same(family, hops);
}
END_TEST

TCase *lookup_tests(void)
{
	TCase *tcase = tcase_create("lookup");

	tcase_add_checked_fixture(tcase, bed_setup, bed_teardown);
	tcase_add_test(tcase, edges4);
	tcase_add_test(tcase, edges6);
	tcase_add_test(tcase, every_length);
	tcase_add_loop_test(tcase, random_routes, 0, 4);
	return tcase;
}
