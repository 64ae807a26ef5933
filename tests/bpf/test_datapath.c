// SPDX-License-Identifier: GPL-2.0-or-later
/* Loading, attaching, tables of the datapath, and the grace period. */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "tests/bpf/fixture.h"

#define TCX_INGRESS 46

/* A number that no interface has. */
#define NOBODY 999999u

static struct datapath *open_one(bool clsact_only)
{
	struct datapath_config config = {.geometry = small_geometry, .clsact_only = clsact_only};
	char error[512] = "";
	struct datapath *datapath = datapath_open(&config, error, sizeof(error));

	ck_assert_msg(datapath, "%s", error);
	return datapath;
}

/* Programs at the tcx ingress of an interface; negative: the kernel has no tcx. */
static int tcx_programs(uint32_t ifindex)
{
	__u32 ids[16], count = 16, flags = 0;

	return bpf_prog_query(ifindex, TCX_INGRESS, 0, &flags, ids, &count) ? -1 : (int)count;
}

/* Does `tc` show this text for the interface? */
static bool tc_shows(const char *command, const char *text)
{
	FILE *out = popen(command, "r");
	char line[512];
	bool found = false;

	ck_assert_ptr_nonnull(out);
	while (fgets(line, sizeof(line), out))
		found |= strstr(line, text) != NULL;
	pclose(out);
	return found;
}

/* ---- geometry ---- */

START_TEST(geometries)
{
	const struct fib_geometry *good[] = {&datapath_geometry_full, &datapath_geometry_small};
	char error[512];

	for (size_t i = 0; i < 2; i++) {
		struct datapath_config config = {.geometry = *good[i]};
		struct datapath *datapath = datapath_open(&config, error, sizeof(error));
		struct fib_memory memory;
		struct fib *fib;

		ck_assert_msg(datapath, "%s", error);
		ck_assert_uint_ge(datapath_geometry(datapath)->cpus, libbpf_num_possible_cpus());
		datapath_memory(datapath, &memory);
		fib = fib_new(&memory, datapath_geometry(datapath));
		ck_assert_ptr_nonnull(fib);
		/* the last byte of each array is mapped */
		for (int array = 0; array < FIB_ARRAY_MAX; array++) {
			uint8_t *const starts[FIB_ARRAY_MAX] = {
				[FIB_ARRAY_HEADER] = (uint8_t *)memory.header,
				[FIB_ARRAY_V4_ROOT] = (uint8_t *)memory.v4_root,
				[FIB_ARRAY_V4_LOW] = (uint8_t *)memory.v4_low,
				[FIB_ARRAY_V6_ROOT] = (uint8_t *)memory.v6_root,
				[FIB_ARRAY_NODE] = memory.node,
				[FIB_ARRAY_GROUP] = (uint8_t *)memory.group,
				[FIB_ARRAY_SLOT] = (uint8_t *)memory.slot,
				[FIB_ARRAY_NEXTHOP] = (uint8_t *)memory.nexthop,
			};
			size_t size = fib_array_size(array, datapath_geometry(datapath));

			((volatile uint8_t *)starts[array])[size - 1] = 0;
		}
		fib_free(fib);
		datapath_close(datapath, false);
	}
}
END_TEST

START_TEST(geometry_refused)
{
	struct datapath_config config = {.geometry = small_geometry};
	char error[512] = "";

	config.geometry.slots = 1000;
	ck_assert_ptr_null(datapath_open(&config, error, sizeof(error)));
	ck_assert_str_ne(error, "");
	ck_assert_ptr_null(strchr(error, '\n'));
}
END_TEST

START_TEST(close_nothing)
{
	datapath_close(NULL, false);
	datapath_reclaimer_stop(NULL);
}
END_TEST

/* ---- attaching ---- */

START_TEST(tcx)
{
	struct datapath *datapath = open_one(false);
	enum datapath_hook hook;

	if (tcx_programs(bed.out) < 0) {
		datapath_close(datapath, false);
		return; /* a kernel before 6.6: clsact is the other test */
	}
	ck_assert_int_eq(datapath_attach(datapath, bed.out, &hook), 0);
	ck_assert_int_eq(hook, DATAPATH_HOOK_TCX);
	ck_assert_int_eq(tcx_programs(bed.out), 1);
	/* again is no error, and attaches nothing */
	ck_assert_int_eq(datapath_attach(datapath, bed.out, &hook), 0);
	ck_assert_int_eq(hook, DATAPATH_HOOK_TCX);
	ck_assert_int_eq(tcx_programs(bed.out), 1);
	ck_assert_int_eq(datapath_detach(datapath, bed.out), 0);
	ck_assert_int_eq(tcx_programs(bed.out), 0);
	ck_assert_int_eq(datapath_detach(datapath, bed.out), 0);
	/* closing detaches */
	ck_assert_int_eq(datapath_attach(datapath, bed.out, &hook), 0);
	datapath_close(datapath, false);
	expect_soon(tcx_programs(bed.out) == 0);
}
END_TEST

static const char *const filters = "tc filter show dev out ingress";
#define OURS "handle 0xdeb dplane_ebpf"

START_TEST(clsact)
{
	LIBBPF_OPTS(bpf_tc_hook, ingress, .ifindex = bed.out, .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, foreign, .handle = 1, .priority = 7);
	struct datapath *datapath = open_one(true);
	enum datapath_hook hook;

	ck_assert_int_eq(datapath_attach(datapath, bed.out, &hook), 0);
	ck_assert_int_eq(hook, DATAPATH_HOOK_CLSACT);
	ck_assert(tc_shows(filters, OURS));
	ck_assert_int_eq(datapath_detach(datapath, bed.out), 0);
	ck_assert(!tc_shows(filters, OURS));
	ck_assert(!tc_shows("tc qdisc show dev out", "clsact"));

	/* the qdisc of others, and their filters, stay */
	shell("tc qdisc add dev out clsact");
	foreign.prog_fd = datapath_program_fd(datapath);
	ck_assert_int_eq(bpf_tc_attach(&ingress, &foreign), 0);
	ck_assert_int_eq(datapath_attach(datapath, bed.out, &hook), 0);
	ck_assert(tc_shows(filters, OURS));
	ck_assert(tc_shows(filters, "handle 0x1 "));
	datapath_close(datapath, false);
	ck_assert(!tc_shows(filters, OURS));
	ck_assert(tc_shows(filters, "handle 0x1 "));
	shell("tc qdisc del dev out clsact");

	/* and so does a qdisc of ours that others have come to use */
	datapath = open_one(true);
	ck_assert_int_eq(datapath_attach(datapath, bed.out, &hook), 0);
	foreign = (struct bpf_tc_opts){.sz = sizeof(foreign), .handle = 1, .priority = 7};
	foreign.prog_fd = datapath_program_fd(datapath);
	ck_assert_int_eq(bpf_tc_attach(&ingress, &foreign), 0);
	ck_assert_int_eq(datapath_detach(datapath, bed.out), 0);
	ck_assert(!tc_shows(filters, OURS));
	ck_assert(tc_shows(filters, "handle 0x1 "));
	datapath_close(datapath, false);
	shell("tc qdisc del dev out clsact");
}
END_TEST

/* What an earlier process left is replaced, not doubled. */
START_TEST(clsact_left_behind)
{
	struct datapath *datapath = open_one(true);
	enum datapath_hook hook;

	ck_assert_int_eq(datapath_attach(datapath, bed.out, &hook), 0);
	datapath_close(datapath, true);
	ck_assert(tc_shows(filters, OURS));
	datapath = open_one(true);
	ck_assert_int_eq(datapath_attach(datapath, bed.out, &hook), 0);
	ck_assert(!tc_shows("tc filter show dev out ingress | grep -c handle", "2"));
	ck_assert_int_eq(datapath_detach(datapath, bed.out), 0);
	ck_assert(!tc_shows(filters, OURS));
	datapath_close(datapath, false);
	shell("tc qdisc del dev out clsact 2>/dev/null || true");
}
END_TEST

START_TEST(interface_gone)
{
	for (int clsact_only = 0; clsact_only < 2; clsact_only++) {
		struct datapath *datapath = open_one(clsact_only);
		enum datapath_hook hook;
		uint32_t ifindex;

		ck_assert_int_eq(datapath_attach(datapath, NOBODY, &hook), -ENODEV);
		ck_assert_int_eq(hook, DATAPATH_HOOK_NONE);
		ck_assert_int_eq(datapath_detach(datapath, NOBODY), 0);

		shell("ip link add dev gone type veth peer name gone-peer");
		ifindex = if_nametoindex("gone");
		ck_assert_int_eq(datapath_attach(datapath, ifindex, &hook), 0);
		shell("ip link del dev gone");
		ck_assert_int_eq(datapath_detach(datapath, ifindex), 0);

		/* and at the end */
		shell("ip link add dev gone type veth peer name gone-peer");
		ck_assert_int_eq(datapath_attach(datapath, if_nametoindex("gone"), &hook), 0);
		shell("ip link del dev gone");
		datapath_close(datapath, false);
	}
}
END_TEST

/* ---- tables ---- */

START_TEST(neighbours_full)
{
	struct fib_neigh_key key = {.ifindex = bed.out, .family = AF_INET};
	int err = 0;

	bed_setup();
	for (key.addr[3] = 1; key.addr[3] < 255 && !err; key.addr[3]++)
		err = datapath_neighbour_set(bed.datapath, &key);
	ck_assert_int_eq(err, -E2BIG);
	key.addr[3] = 1;
	ck_assert_int_eq(datapath_neighbour_del(bed.datapath, &key), 0);
	key.addr[3] = 250;
	ck_assert_int_eq(datapath_neighbour_set(bed.datapath, &key), 0);
	bed_teardown();
}
END_TEST

START_TEST(counters_out_of_range)
{
	struct fib_nexthop_counters sum = {.packets = 1, .bytes = 1};

	bed_setup();
	datapath_nexthop_counters(bed.datapath, small_geometry.nexthops, &sum);
	ck_assert_uint_eq(sum.packets + sum.bytes, 0);
	bed_teardown();
}
END_TEST

static struct fib_nexthop_counters counted(uint32_t nexthop)
{
	struct fib_nexthop_counters sum;

	datapath_nexthop_counters(bed.datapath, nexthop, &sum);
	return sum;
}

static void forward_by(const struct hop *hop, unsigned int packets)
{
	struct frame frame;

	route("10.0.0.0/8", hop->group);
	FRAME4(&frame, .payload = 100);
	while (packets--)
		expect("a frame", &frame, FIB_CNT_FORWARDED, hop->nexthop);
}

/* A number that was another next hop's, and counts on where that one left off. */
START_TEST(a_new_nexthop_counts_from_zero)
{
	const struct fib_prefix all = prefix_of("10.0.0.0/8");
	struct hop hop;
	uint32_t first;

	bed_setup();
	hop = hop_new("10.9.0.1", FIB_NH_REWRITE, 1500);
	first = hop.nexthop;
	forward_by(&hop, 3);
	ck_assert_uint_eq(counted(first).packets, 3);
	for (unsigned int cleared = 0; cleared < 2; cleared++) {
		ck_assert_int_eq(fib_group_drop(bed.fib, hop.group), 0);
		ck_assert_int_eq(fib_route_del(bed.fib, &all), 0);
		ck_assert_int_eq(datapath_grace_period(bed.datapath), 0);
		fib_reclaim_end(bed.fib, fib_reclaim_begin(bed.fib));
		hop = hop_new(cleared ? "10.9.0.3" : "10.9.0.2", FIB_NH_REWRITE, 1500);
		ck_assert_uint_eq(hop.nexthop, first);
		ck_assert_uint_eq(counted(first).packets, 0);
		ck_assert_uint_eq(counted(first).bytes, 0);
		forward_by(&hop, 2);
		ck_assert_uint_eq(counted(first).packets, 2);
		ck_assert_uint_eq(counted(first).bytes, 2 * 128);
		datapath_counters_clear(bed.datapath);
		ck_assert_uint_eq(counted(first).packets, 0);
		forward_by(&hop, 5);
		ck_assert_uint_eq(counted(first).packets, 5);
	}
	bed_teardown();
}
END_TEST

/* ---- grace periods ---- */

START_TEST(grace_period)
{
	bed_setup();
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(datapath_grace_period(bed.datapath), 0);
	bed_teardown();
}
END_TEST

static uint64_t retired(void)
{
	struct fib_stats stats;

	fib_stats(bed.fib, &stats);
	return stats.node.retired + stats.v4_low.retired;
}

/* What is taken out of use is free again after a while, with nobody asking. */
START_TEST(reclaimer)
{
	struct datapath_reclaimer *thread;
	struct timespec start, now;
	struct hop hop;

	bed_setup();
	hop = hop_new("192.0.2.1", FIB_NH_REWRITE, 1500);
	for (int pass = 0; pass < 2; pass++) {
		for (int i = 0; i < 60; i++) {
			char text[64];
			struct fib_prefix prefix;

			snprintf(text, sizeof(text), "10.%d.3.7/32", i);
			prefix = prefix_of(text);
			if (pass)
				fib_route_del(bed.fib, &prefix);
			else
				route(text, hop.group);
			snprintf(text, sizeof(text), "2001:db8:%x::7/128", i);
			prefix = prefix_of(text);
			if (pass)
				fib_route_del(bed.fib, &prefix);
			else
				route(text, hop.group);
		}
	}
	ck_assert_uint_gt(retired(), 0);
	thread = datapath_reclaimer_start(bed.datapath, bed.fib);
	ck_assert_ptr_nonnull(thread);
	clock_gettime(CLOCK_MONOTONIC, &start);
	do {
		clock_gettime(CLOCK_MONOTONIC, &now);
		ck_assert_int_lt(now.tv_sec - start.tv_sec, 10);
	} while (retired());
	/* and stops at once, though nothing happens any more */
	clock_gettime(CLOCK_MONOTONIC, &start);
	datapath_reclaimer_stop(thread);
	clock_gettime(CLOCK_MONOTONIC, &now);
	ck_assert_int_lt(
		(now.tv_sec - start.tv_sec) * 1000 + (now.tv_nsec - start.tv_nsec) / 1000000, 900);
	bed_teardown();
}
END_TEST

TCase *datapath_tests(void)
{
	TCase *tcase = tcase_create("datapath");

	tcase_add_test(tcase, geometries);
	tcase_add_test(tcase, geometry_refused);
	tcase_add_test(tcase, close_nothing);
	tcase_add_test(tcase, tcx);
	tcase_add_test(tcase, clsact);
	tcase_add_test(tcase, clsact_left_behind);
	tcase_add_test(tcase, interface_gone);
	tcase_add_test(tcase, neighbours_full);
	tcase_add_test(tcase, counters_out_of_range);
	tcase_add_test(tcase, a_new_nexthop_counts_from_zero);
	tcase_add_test(tcase, grace_period);
	tcase_add_test(tcase, reclaimer);
	return tcase;
}
