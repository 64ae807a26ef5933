// SPDX-License-Identifier: GPL-2.0-or-later
/* What an earlier process left: kept forwarding, corrected, replaced; and what nobody vouches for any more. */
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/rtnetlink.h>

#include "tests/bpf/fixture.h"

#define TCX_INGRESS 46
#define KERNEL_TABLE 42

static char mount_point[64], pin_dir[128];

static void setup(void)
{
	bed_setup();
	snprintf(mount_point, sizeof(mount_point), "/tmp/test_bpf.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(mount_point));
	ck_assert_int_eq(mount("bpf", mount_point, "bpf", 0, NULL), 0);
	snprintf(pin_dir, sizeof(pin_dir), "%s/frr", mount_point);
}

static void teardown(void)
{
	umount2(mount_point, MNT_DETACH);
	rmdir(mount_point);
	bed_teardown();
}

static struct datapath *open_pinned(bool clsact_only)
{
	const struct datapath_config config = {
		.geometry = small_geometry, .pin_dir = pin_dir, .clsact_only = clsact_only};
	char error[512];
	struct datapath *datapath = datapath_open(&config, error, sizeof(error));

	ck_assert_msg(datapath, "%s", error);
	return datapath;
}

static struct fib *tables(struct datapath *datapath)
{
	struct fib_memory memory;
	struct fib *fib;

	datapath_memory(datapath, &memory);
	fib = fib_new(&memory, datapath_geometry(datapath));
	ck_assert_ptr_nonnull(fib);
	return fib;
}

static uint32_t program_of(const struct datapath *datapath)
{
	struct bpf_prog_info info = {0};
	__u32 len = sizeof(info);

	ck_assert_int_eq(bpf_obj_get_info_by_fd(datapath_program_fd(datapath), &info, &len), 0);
	return info.id;
}

/* The only program at the tcx ingress of "out"; 0: none, or several. */
static uint32_t tcx_program(void)
{
	__u32 ids[16], count = 16, flags = 0;

	if (bpf_prog_query(bed.out, TCX_INGRESS, 0, &flags, ids, &count) || count != 1)
		return 0;
	return ids[0];
}

static void *map_pinned(const char *name, size_t size)
{
	char path[256];
	void *memory;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", pin_dir, name);
	fd = bpf_obj_get(path);
	ck_assert_int_ge(fd, 0);
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ck_assert(memory != MAP_FAILED);
	close(fd);
	return memory;
}

/* A process that forwarded both families at "out", in a table, over two next hops, and was killed. Its program. */
static uint32_t leave_behind_at(uint32_t kernel_table, bool clsact)
{
	struct datapath *datapath = open_pinned(clsact);
	const struct fib_adjacency reached = {.action = FIB_NH_REWRITE, .mtu = 1500, .dst = {2, 1}};
	struct fib_member members[2] = {{.nexthop = {.ifindex = bed.out, .family = AF_INET}},
					{.nexthop = {.ifindex = bed.in, .family = AF_INET}}};
	struct fib *fib = tables(datapath);
	uint32_t group = 0, id = program_of(datapath);
	enum datapath_hook hook;
	uint16_t table;

	members[0].nexthop.gate[0] = members[1].nexthop.gate[0] = 10;
	ck_assert_int_eq(fib_group_set(fib, &group, members, 2), 0);
	for (uint32_t i = 1; i <= 2; i++)
		ck_assert_int_eq(fib_nexthop_resolve(fib, i, NULL, &reached), 0);
	ck_assert_int_eq(fib_table_open(fib, kernel_table, &table), 0);
	ck_assert_int_eq(datapath_attach(datapath, bed.out, &hook), 0);
	ck_assert_int_eq(datapath_interface_set(datapath, bed.out, table, true, true, 0), 0);
	datapath_close(datapath, true);
	fib_free(fib);
	return id;
}

static uint32_t leave_behind(uint32_t kernel_table)
{
	return leave_behind_at(kernel_table, false);
}

START_TEST(forwards_until_taken_over)
{
	uint32_t old = leave_behind(RT_TABLE_MAIN), new;
	struct datapath *datapath = open_pinned(false);
	struct fib *fib = tables(datapath);
	enum datapath_hook hook;

	ck_assert(datapath_has_predecessor(datapath));
	new = program_of(datapath);
	ck_assert_int_eq(datapath_attach(datapath, bed.out, &hook), 0);
	/* an interface that it was not at is ours at once */
	ck_assert_int_eq(datapath_attach(datapath, bed.in, &hook), 0);
	if (hook == DATAPATH_HOOK_TCX)
		ck_assert_uint_eq(tcx_program(), old);
	ck_assert_uint_eq(datapath_take_over(datapath), 0);
	ck_assert(!datapath_has_predecessor(datapath));
	if (hook == DATAPATH_HOOK_TCX)
		ck_assert_uint_eq(tcx_program(), new);
	datapath_close(datapath, false);
	expect_soon(tcx_program() == 0);
	ck_assert_int_ne(access(pin_dir, F_OK), 0);
	fib_free(fib);
}
END_TEST

/* The handle and priority that are our filter's. */
static uint32_t clsact_program(void)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = bed.out, .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, filter, .handle = 0xdeb, .priority = 57005);

	return bpf_tc_query(&hook, &filter) ? 0 : filter.prog_id;
}

START_TEST(clsact_forwards_until_taken_over)
{
	uint32_t old = leave_behind_at(RT_TABLE_MAIN, true);
	struct datapath *datapath = open_pinned(true);
	enum datapath_hook hook;

	ck_assert_int_eq(datapath_attach(datapath, bed.out, &hook), 0);
	ck_assert_int_eq(hook, DATAPATH_HOOK_CLSACT);
	ck_assert_uint_eq(clsact_program(), old);
	ck_assert_uint_eq(datapath_take_over(datapath), 0);
	ck_assert_uint_eq(clsact_program(), program_of(datapath));
	ck_assert_uint_ne(clsact_program(), old);
	datapath_close(datapath, false);
	ck_assert_uint_eq(clsact_program(), 0);
	/* the earlier process made it, so it is ours, and nobody uses it */
	ck_assert(system("tc qdisc show dev out | grep -q clsact") != 0);
}
END_TEST

/* Killed again before it took over: what is pinned is still the first one's. */
START_TEST(ends_before_it_took_over)
{
	uint32_t old = leave_behind(RT_TABLE_MAIN);
	struct datapath *datapath = open_pinned(false);
	enum datapath_hook hook;

	ck_assert_int_eq(datapath_attach(datapath, bed.out, &hook), 0);
	datapath_detach(datapath, bed.out);
	ck_assert_uint_ne(tcx_program(), old);
	ck_assert_int_eq(datapath_attach(datapath, bed.out, &hook), 0);
	if (hook == DATAPATH_HOOK_TCX)
		ck_assert_uint_eq(tcx_program(), program_of(datapath));
	datapath_close(datapath, false);
}
END_TEST

static bool not_at_in(void *arg, const struct fib_nexthop_key *key,
		      const struct fib_adjacency *adjacency)
{
	++*(int *)arg;
	ck_assert_uint_eq(key->family, AF_INET);
	ck_assert_uint_eq(key->gate[0], 10);
	ck_assert_uint_eq(adjacency->action, FIB_NH_REWRITE);
	ck_assert_uint_eq(adjacency->dst[1], 1);
	ck_assert_uint_eq(adjacency->mtu, 1500);
	return key->ifindex != bed.in;
}

START_TEST(next_hops_are_taken_out)
{
	struct fib_nexthop *nexthops;
	struct datapath *datapath;
	int asked = 0;

	leave_behind(RT_TABLE_MAIN);
	nexthops = map_pinned("fib_nexthop", 3 * sizeof(*nexthops));
	datapath = open_pinned(false);
	datapath_predecessor_check(datapath, not_at_in, &asked);
	ck_assert_int_eq(asked, 2);
	for (int i = 1; i <= 2; i++)
		ck_assert_uint_eq(FIB_NH_ACTION(nexthops[i].dst),
				  nexthops[i].ifindex == bed.in ? FIB_NH_KERNEL : FIB_NH_REWRITE);
	datapath_predecessor_check(datapath, not_at_in, &asked);
	ck_assert_int_eq(asked, 3);
	datapath_close(datapath, false);
}
END_TEST

START_TEST(interfaces_are_taken_out)
{
	uint32_t slot = bed.out % FIB_MAX_INTERFACES;
	uint64_t *interfaces;
	struct datapath *datapath;
	struct fib *fib;
	uint16_t table;

	leave_behind(KERNEL_TABLE);
	interfaces = map_pinned("interfaces", FIB_MAX_INTERFACES * sizeof(*interfaces));
	datapath = open_pinned(false);
	fib = tables(datapath);
	ck_assert_int_eq(fib_table_open(fib, KERNEL_TABLE, &table), 0);
	datapath_interface_set(datapath, bed.out, table, true, true, 0);
	ck_assert_uint_eq(interfaces[slot] & (FIB_IF_V4 | FIB_IF_V6), FIB_IF_V4 | FIB_IF_V6);
	datapath_interface_set(datapath, bed.out, table, true, false, 0);
	ck_assert_uint_eq(interfaces[slot] & (FIB_IF_V4 | FIB_IF_V6), FIB_IF_V4);
	/* what was taken out does not come back before ours do */
	datapath_interface_set(datapath, bed.out, table, true, true, 0);
	ck_assert_uint_eq(interfaces[slot] & (FIB_IF_V4 | FIB_IF_V6), FIB_IF_V4);
	/* another VRF's now */
	datapath_interface_set(datapath, bed.out, 0, true, true, 0);
	ck_assert_uint_eq(interfaces[slot], 0);
	datapath_close(datapath, false);
	fib_free(fib);
}
END_TEST

/* Nobody can look after tables that are laid out in another way. */
START_TEST(another_layout_is_replaced_at_once)
{
	uint32_t old = leave_behind(RT_TABLE_MAIN);
	struct fib_header *header = map_pinned("fib_header", sizeof(*header));
	struct datapath *datapath;
	enum datapath_hook hook;

	header->layout_version++;
	datapath = open_pinned(false);
	ck_assert(!datapath_has_predecessor(datapath));
	ck_assert_int_eq(datapath_attach(datapath, bed.out, &hook), 0);
	ck_assert_uint_ne(tcx_program(), old);
	datapath_close(datapath, false);
}
END_TEST

START_TEST(abandoned_tables_do_not_forward)
{
	struct hop hop = hop_new("10.9.9.9", FIB_NH_REWRITE, 1500);
	struct fib_memory memory;
	struct frame frame;

	route("10.0.0.0/8", hop.group);
	route("10.2.3.0/24", FIB_GROUP_BLACKHOLE);
	FRAME4(&frame, .dst = "10.2.2.2");
	expect("vouched for", &frame, FIB_CNT_FORWARDED, hop.nexthop);
	datapath_memory(bed.datapath, &memory);
	memory.header->forward_until = 1;
	expect("abandoned", &frame, FIB_CNT_KERNEL_ABANDONED, NO_NEXTHOP);
	FRAME4(&frame, .dst = "10.2.3.2");
	expect("a blackhole may be old too", &frame, FIB_CNT_KERNEL_ABANDONED, NO_NEXTHOP);
	datapath_alive(bed.datapath);
	FRAME4(&frame, .dst = "10.2.2.2");
	expect("vouched for again", &frame, FIB_CNT_FORWARDED, hop.nexthop);
}
END_TEST

/* The word holds as long as it should, and no longer. */
START_TEST(hold_ends)
{
	const struct datapath_config config = {.geometry = small_geometry, .hold_ms = 1000};
	char error[512];
	struct datapath *datapath = datapath_open(&config, error, sizeof(error));
	struct fib_memory memory;
	struct timespec now;
	uint64_t ns;

	ck_assert_msg(datapath, "%s", error);
	datapath_memory(datapath, &memory);
	clock_gettime(CLOCK_MONOTONIC, &now);
	ns = (uint64_t)now.tv_sec * 1000000000 + now.tv_nsec;
	datapath_alive(datapath);
	ck_assert_uint_ge(memory.header->forward_until, ns + 1000000000);
	ck_assert_uint_le(memory.header->forward_until, ns + 11ull * 1000000000);
	datapath_close(datapath, false);
}
END_TEST

TCase *predecessor_tests(void)
{
	TCase *tcase = tcase_create("predecessor");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, forwards_until_taken_over);
	tcase_add_test(tcase, clsact_forwards_until_taken_over);
	tcase_add_test(tcase, ends_before_it_took_over);
	tcase_add_test(tcase, next_hops_are_taken_out);
	tcase_add_test(tcase, interfaces_are_taken_out);
	tcase_add_test(tcase, another_layout_is_replaced_at_once);
	tcase_add_test(tcase, abandoned_tables_do_not_forward);
	tcase_add_test(tcase, hold_ends);
	return tcase;
}
