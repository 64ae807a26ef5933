// SPDX-License-Identifier: GPL-2.0-or-later
/* One datapath in place of another of the same process. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "tests/bpf/fixture.h"

#define TCX_INGRESS 46

static char mount_point[64], pin_dir[128];

static void setup(void)
{
	snprintf(mount_point, sizeof(mount_point), "/tmp/test_bpf.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(mount_point));
	ck_assert_int_eq(mount("bpf", mount_point, "bpf", 0, NULL), 0);
	snprintf(pin_dir, sizeof(pin_dir), "%s/frr", mount_point);
}

static void teardown(void)
{
	umount2(mount_point, MNT_DETACH);
	rmdir(mount_point);
}

static struct datapath *open_one(const char *dir, bool clsact, const struct datapath *replaces)
{
	const struct datapath_config config = {.geometry = small_geometry,
					       .pin_dir = dir,
					       .clsact_only = clsact,
					       .replaces = replaces};
	char error[512];
	struct datapath *datapath = datapath_open(&config, error, sizeof(error));

	ck_assert_msg(datapath, "%s", error);
	return datapath;
}

static uint32_t program_of(const struct datapath *datapath)
{
	struct bpf_prog_info info = {0};
	__u32 len = sizeof(info);

	ck_assert_int_eq(bpf_obj_get_info_by_fd(datapath_program_fd(datapath), &info, &len), 0);
	return info.id;
}

/* The first of the programs at the ingress of an interface; 0: none. */
static uint32_t first_at(uint32_t ifindex, bool clsact)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex, .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, filter, .handle = DATAPATH_CLSACT_HANDLE,
		    .priority = DATAPATH_CLSACT_PRIORITY);
	__u32 ids[16] = {0}, count = 16, flags = 0;

	if (clsact)
		return bpf_tc_query(&hook, &filter) ? 0 : filter.prog_id;
	return bpf_prog_query(ifindex, TCX_INGRESS, 0, &flags, ids, &count) || !count ? 0 : ids[0];
}

static int attach(struct datapath *datapath, uint32_t ifindex)
{
	enum datapath_hook hook;

	return datapath_attach(datapath, ifindex, &hook);
}

static bool has_qdisc(void)
{
	return system("tc qdisc show dev out | grep -q clsact") == 0;
}

static bool kernel_has_tcx(void)
{
	__u32 ids[16], count = 16, flags = 0;

	return bpf_prog_query(bed.out, TCX_INGRESS, 0, &flags, ids, &count) == 0;
}

/* Bit 0: by clsact, bit 1: without pins. */
START_TEST(goes_on_until_it_is_replaced)
{
	bool clsact = _i & 1;
	const char *dir = _i & 2 ? NULL : pin_dir;
	struct datapath *old, *new;

	if (!clsact && !kernel_has_tcx())
		return;
	old = open_one(dir, clsact, NULL);
	ck_assert_int_eq(attach(old, bed.out), 0);
	new = open_one(dir, clsact, old);
	ck_assert(datapath_has_predecessor(new) && datapath_replaces_own(new));
	ck_assert_int_eq(attach(new, bed.out), 0);
	ck_assert_uint_eq(first_at(bed.out, clsact), program_of(old));
	ck_assert_uint_eq(datapath_take_over(new), 0);
	ck_assert(!datapath_has_predecessor(new));
	datapath_leave(old);
	ck_assert_uint_eq(first_at(bed.out, clsact), program_of(new));
	datapath_close(new, false);
	expect_soon(first_at(bed.out, clsact) == 0);
	ck_assert_int_ne(access(pin_dir, F_OK), 0);
	/* the first one made it */
	ck_assert(!clsact || !has_qdisc());
}
END_TEST

/* Each attaches where the other has, in any order. */
START_TEST(both_attach_meanwhile)
{
	bool clsact = _i & 1;
	struct datapath *old, *new;

	if (!clsact && !kernel_has_tcx())
		return;
	old = open_one(pin_dir, clsact, NULL);
	new = open_one(pin_dir, clsact, old);
	ck_assert_int_eq(attach(new, bed.out), 0);
	ck_assert_int_eq(attach(old, bed.out), 0);
	ck_assert_int_eq(attach(old, bed.in), 0);
	ck_assert_int_eq(attach(new, bed.in), 0);
	ck_assert_uint_eq(datapath_take_over(new), 0);
	datapath_leave(old);
	ck_assert_uint_eq(first_at(bed.out, clsact), program_of(new));
	ck_assert_uint_eq(first_at(bed.in, clsact), program_of(new));
	datapath_close(new, false);
	expect_soon(first_at(bed.out, clsact) == 0);
	expect_soon(first_at(bed.in, clsact) == 0);
	ck_assert(!clsact || !has_qdisc());
}
END_TEST

/* The new one is given up: where only it was attached nothing is, and the other has what it had. */
START_TEST(is_not_replaced_after_all)
{
	bool clsact = _i & 1;
	struct datapath *old, *new;

	if (!clsact && !kernel_has_tcx())
		return;
	old = open_one(pin_dir, clsact, NULL);
	ck_assert_int_eq(attach(old, bed.out), 0);
	new = open_one(pin_dir, clsact, old);
	ck_assert_int_eq(attach(new, bed.out), 0);
	ck_assert_int_eq(attach(new, bed.in), 0);
	datapath_leave(new);
	ck_assert_uint_eq(first_at(bed.out, clsact), program_of(old));
	expect_soon(first_at(bed.in, clsact) == 0);
	ck_assert_int_eq(access(pin_dir, F_OK), 0);
	datapath_close(old, false);
	expect_soon(first_at(bed.out, clsact) == 0);
	ck_assert_int_ne(access(pin_dir, F_OK), 0);
}
END_TEST

/* The directory is locked against others as long as one of the two lives. */
START_TEST(lock_is_shared)
{
	const struct datapath_config config = {.geometry = small_geometry, .pin_dir = pin_dir};
	struct datapath *old = open_one(pin_dir, false, NULL), *new;
	char error[512];

	new = open_one(pin_dir, false, old);
	datapath_take_over(new);
	datapath_leave(old);
	ck_assert_ptr_null(datapath_open(&config, error, sizeof(error)));
	datapath_close(new, false);
	new = open_one(pin_dir, false, NULL);
	datapath_close(new, false);
}
END_TEST

static uint64_t malformed(const struct datapath *datapath)
{
	uint64_t packets[FIB_CNT_MAX], sum = 0;

	datapath_counters(datapath, packets);
	for (int i = 0; i < FIB_CNT_MAX; i++)
		sum += packets[i];
	return sum;
}

static void run_program(const struct datapath *datapath, int times)
{
	uint8_t packet[64] = {0};
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = packet, .data_size_in = sizeof(packet));

	for (int i = 0; i < times; i++)
		ck_assert_int_eq(bpf_prog_test_run_opts(datapath_program_fd(datapath), &options),
				 0);
}

START_TEST(counting_goes_on)
{
	struct datapath *first = open_one(NULL, false, NULL), *second, *third;

	run_program(first, 3);
	datapath_counters_clear(first);
	run_program(first, 4);
	second = open_one(NULL, false, first);
	run_program(first, 2);
	datapath_counters_continue(second, first);
	ck_assert_uint_eq(malformed(second), 6);
	/* packets that were under way */
	run_program(first, 1);
	run_program(second, 10);
	datapath_take_over(second);
	datapath_leave(first);
	ck_assert_uint_eq(malformed(second), 17);

	third = open_one(NULL, false, second);
	datapath_counters_continue(third, second);
	datapath_take_over(third);
	datapath_leave(second);
	run_program(third, 5);
	ck_assert_uint_eq(malformed(third), 22);
	datapath_counters_clear(third);
	ck_assert_uint_eq(malformed(third), 0);
	datapath_close(third, false);
}
END_TEST

TCase *replace_tests(void)
{
	TCase *tcase = tcase_create("replace");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, goes_on_until_it_is_replaced, 0, 4);
	tcase_add_loop_test(tcase, both_attach_meanwhile, 0, 2);
	tcase_add_loop_test(tcase, is_not_replaced_after_all, 0, 2);
	tcase_add_test(tcase, lock_is_shared);
	tcase_add_test(tcase, counting_goes_on);
	return tcase;
}
