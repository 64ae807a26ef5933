// SPDX-License-Identifier: GPL-2.0-or-later
/* Pins: made, removed, refused, and what an earlier process left behind. */
#include <dirent.h>
#include <errno.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "dplane_ebpf/log.h"
#include "tests/bpf/fixture.h"

#define TCX_INGRESS 46

static char mount_point[64], pin_dir[128], error[512];

/* A BPF file system in the mount namespace of this test. */
static void setup(void)
{
	snprintf(mount_point, sizeof(mount_point), "/tmp/test_bpf.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(mount_point));
	ck_assert_int_eq(mount("bpf", mount_point, "bpf", 0, NULL), 0);
	snprintf(pin_dir, sizeof(pin_dir), "%s/frr", mount_point);
	error[0] = '\0';
}

static void teardown(void)
{
	umount2(mount_point, MNT_DETACH);
	rmdir(mount_point);
}

static struct datapath *try_open(const char *dir)
{
	const struct datapath_config config = {.geometry = small_geometry, .pin_dir = dir};

	return datapath_open(&config, error, sizeof(error));
}

static struct datapath *must_open(void)
{
	struct datapath *datapath = try_open(pin_dir);

	ck_assert_msg(datapath, "%s", error);
	return datapath;
}

/* Refused with one line that has these words. */
static void expect_refused(const char *dir, const char *words)
{
	ck_assert_ptr_null(try_open(dir));
	ck_assert_msg(strstr(error, words), "\"%s\" does not say \"%s\"", error, words);
	ck_assert_msg(strstr(error, dir), "\"%s\" does not name %s", error, dir);
	ck_assert_ptr_null(strchr(error, '\n'));
}

static bool pinned(const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", pin_dir, name);
	return access(path, F_OK) == 0;
}

static uint32_t program_id(int fd)
{
	struct bpf_prog_info info = {0};
	__u32 len = sizeof(info);

	ck_assert_int_eq(bpf_obj_get_info_by_fd(fd, &info, &len), 0);
	return info.id;
}

/* The only program at an interface's tcx ingress; 0: there are none or several. */
static uint32_t tcx_program(uint32_t ifindex)
{
	__u32 ids[16], count = 16, flags = 0;

	if (bpf_prog_query(ifindex, TCX_INGRESS, 0, &flags, ids, &count) || count != 1)
		return 0;
	return ids[0];
}

/* The kernel lets go of what was pinned a little after the pin is gone. */
static bool tcx_empties(uint32_t ifindex)
{
	for (int ms = 0; ms < 5000; ms++) {
		__u32 count = 0, flags = 0;

		if (bpf_prog_query(ifindex, TCX_INGRESS, 0, &flags, NULL, &count) || !count)
			return true;
		usleep(1000);
	}
	return false;
}

static uint32_t tcx_link(uint32_t ifindex)
{
	struct bpf_link_info info = {0};
	__u32 len = sizeof(info);
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/links/%u", pin_dir, ifindex);
	fd = bpf_obj_get(path);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(bpf_obj_get_info_by_fd(fd, &info, &len), 0);
	close(fd);
	return info.id;
}

START_TEST(made_and_removed)
{
	static const char *const names[] = {
		"fib_header",	    "fib4_root",  "fib4_low",	   "fib6_root",	 "fib_node",
		"fib_group",	    "fib_slot",	  "fib_nexthop",   "interfaces", "counters",
		"nexthop_counters", "neighbours", "own_addresses", "program",
	};
	struct datapath *datapath = must_open();
	enum datapath_hook hook;
	char name[64];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		ck_assert_msg(pinned(names[i]), "%s is not pinned", names[i]);
	ck_assert_int_eq(datapath_attach(datapath, bed.out, &hook), 0);
	snprintf(name, sizeof(name), "links/%u", bed.out);
	ck_assert_int_eq(pinned(name), hook == DATAPATH_HOOK_TCX);
	ck_assert_int_eq(datapath_detach(datapath, bed.out), 0);
	ck_assert(!pinned(name));
	ck_assert_int_eq(datapath_attach(datapath, bed.out, &hook), 0);
	datapath_close(datapath, false);
	ck_assert_int_ne(access(pin_dir, F_OK), 0);
	ck_assert(tcx_empties(bed.out));
}
END_TEST

START_TEST(directory_of_others)
{
	char none[128], nowhere[128];

	snprintf(none, sizeof(none), "%s/a/b", mount_point);
	expect_refused(none, "BPF file system");
	expect_refused("/tmp", "BPF file system");
	snprintf(nowhere, sizeof(nowhere), "/tmp/test_bpf.%d/frr", (int)getpid());
	expect_refused(nowhere, "BPF file system");
	ck_assert_int_ne(access(nowhere, F_OK), 0);
}
END_TEST

/* A bug here: what is not ours is removed, or mixed with ours. */
START_TEST(other_things_in_it)
{
	char other[160], words[64];
	struct datapath *datapath;

	ck_assert_int_eq(mkdir(pin_dir, 0700), 0);
	snprintf(other, sizeof(other), "%s/theirs", pin_dir);
	ck_assert_int_eq(mkdir(other, 0700), 0);
	snprintf(words, sizeof(words), "not ours (theirs)");
	expect_refused(pin_dir, words);
	ck_assert_int_eq(access(other, F_OK), 0);
	ck_assert_int_eq(rmdir(other), 0);
	/* and what comes later stays */
	datapath = must_open();
	ck_assert_int_eq(mkdir(other, 0700), 0);
	datapath_close(datapath, false);
	ck_assert(!pinned("program") && !pinned("links"));
	ck_assert_int_eq(access(other, F_OK), 0);
}
END_TEST

static char told[512];

static void hear(int priority, const char *line)
{
	if (strstr(line, "other users"))
		snprintf(told, sizeof(told), "%s", line);
}

/* A bug here: who may write there exchanges our program for another, and nobody said so. */
START_TEST(directory_that_others_may_write_to)
{
	struct stat st;

	told[0] = '\0';
	dpe_log_set_sink(hear);
	ck_assert_int_eq(chmod(mount_point, 01777), 0);
	datapath_close(must_open(), false);
	ck_assert_str_eq(told, "");
	ck_assert_int_eq(chmod(mount_point, 0777), 0);
	datapath_close(must_open(), false);
	ck_assert_ptr_nonnull(strstr(told, mount_point));
	ck_assert_int_eq(chmod(mount_point, 0700), 0);
	told[0] = '\0';
	ck_assert_int_eq(mkdir(pin_dir, 0700), 0);
	ck_assert_int_eq(chmod(pin_dir, 0770), 0);
	datapath_close(must_open(), false);
	ck_assert_ptr_nonnull(strstr(told, pin_dir));
	/* ours are nobody else's */
	datapath_close(must_open(), true);
	ck_assert_int_eq(stat(pin_dir, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0700);
	datapath_close(must_open(), false);
	dpe_log_set_sink(NULL);
}
END_TEST

START_TEST(directory_read_only)
{
	ck_assert_int_eq(mount(NULL, mount_point, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL), 0);
	expect_refused(pin_dir, strerror(EROFS));
}
END_TEST

/* The mount point itself will do, and is not removed. */
START_TEST(mount_point_itself)
{
	struct datapath *datapath;

	snprintf(pin_dir, sizeof(pin_dir), "%s", mount_point);
	datapath = must_open();
	ck_assert(pinned("program"));
	datapath_close(datapath, false);
	ck_assert(!pinned("program"));
	ck_assert_int_eq(access(mount_point, F_OK), 0);
}
END_TEST

START_TEST(name_too_long)
{
	static char dir[8192];

	memset(dir, 'x', sizeof(dir) - 1);
	memcpy(dir, "/tmp/", 5);
	ck_assert_ptr_null(try_open(dir));
	ck_assert_ptr_nonnull(strstr(error, "too long"));
}
END_TEST

/* Another live process: told by its number, and left in peace. */
START_TEST(second_instance)
{
	int ready[2], go[2];
	char byte = 0, words[64];
	struct datapath *datapath;
	pid_t child;

	ck_assert_int_eq(pipe(ready), 0);
	ck_assert_int_eq(pipe(go), 0);
	child = fork();
	ck_assert_int_ge(child, 0);
	if (!child) {
		datapath = try_open(pin_dir);
		byte = datapath != NULL;
		if (write(ready[1], &byte, 1) != 1 || read(go[0], &byte, 1) != 1)
			_exit(1);
		/* as if killed: nothing is cleaned up */
		_exit(0);
	}
	ck_assert_int_eq(read(ready[0], &byte, 1), 1);
	ck_assert_int_eq(byte, 1);
	snprintf(words, sizeof(words), "process %d ", (int)child);
	expect_refused(pin_dir, words);
	ck_assert(pinned("program"));
	ck_assert_int_eq(write(go[1], &byte, 1), 1);
	ck_assert_int_eq(waitpid(child, NULL, 0), child);

	/* its pins outlive it, and are taken over */
	ck_assert(pinned("program"));
	datapath = must_open();
	datapath_close(datapath, false);
	ck_assert(!pinned("program"));
}
END_TEST

/* The link stays the same, its program becomes the new one: no packet passes between the two. */
START_TEST(left_behind)
{
	struct datapath *datapath = must_open();
	uint32_t old_program = program_id(datapath_program_fd(datapath)), link;
	enum datapath_hook hook;

	ck_assert_int_eq(datapath_attach(datapath, bed.out, &hook), 0);
	if (hook != DATAPATH_HOOK_TCX) {
		datapath_close(datapath, false);
		return; /* clsact is replaced in test_datapath.c */
	}
	link = tcx_link(bed.out);
	datapath_close(datapath, true);
	ck_assert_uint_eq(tcx_program(bed.out), old_program);
	ck_assert(pinned("program"));

	datapath = must_open();
	/* forwards on with the old tables until it is attached */
	ck_assert_uint_eq(tcx_program(bed.out), old_program);
	ck_assert_int_eq(datapath_attach(datapath, bed.out, &hook), 0);
	ck_assert_int_eq(hook, DATAPATH_HOOK_TCX);
	ck_assert_uint_eq(tcx_program(bed.out), program_id(datapath_program_fd(datapath)));
	ck_assert_uint_ne(tcx_program(bed.out), old_program);
	ck_assert_uint_eq(tcx_link(bed.out), link);
	datapath_close(datapath, true);

	/* an interface that does not forward any more is let go of without being attached first */
	datapath = must_open();
	ck_assert_int_eq(datapath_detach(datapath, bed.out), 0);
	ck_assert(tcx_empties(bed.out));
	datapath_close(datapath, false);
	ck_assert_int_ne(access(pin_dir, F_OK), 0);
}
END_TEST

/* The number of a pinned link can be of another interface by now. */
START_TEST(link_of_interface_gone)
{
	struct datapath *datapath = must_open();
	enum datapath_hook hook;
	uint32_t ifindex;

	shell("ip link add dev gone index 777 type veth peer name gone-peer");
	ifindex = if_nametoindex("gone");
	ck_assert_int_eq(datapath_attach(datapath, ifindex, &hook), 0);
	datapath_close(datapath, true);
	shell("ip link del dev gone");
	shell("ip link add dev gone index 777 type veth peer name gone-peer");
	datapath = must_open();
	ck_assert_int_eq(datapath_attach(datapath, ifindex, &hook), 0);
	if (hook == DATAPATH_HOOK_TCX)
		ck_assert_uint_eq(tcx_program(ifindex), program_id(datapath_program_fd(datapath)));
	datapath_close(datapath, false);
	shell("ip link del dev gone");
}
END_TEST

TCase *pins_tests(void)
{
	TCase *tcase = tcase_create("pins");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, made_and_removed);
	tcase_add_test(tcase, directory_of_others);
	tcase_add_test(tcase, other_things_in_it);
	tcase_add_test(tcase, directory_that_others_may_write_to);
	tcase_add_test(tcase, directory_read_only);
	tcase_add_test(tcase, mount_point_itself);
	tcase_add_test(tcase, name_too_long);
	tcase_add_test(tcase, second_instance);
	tcase_add_test(tcase, left_behind);
	tcase_add_test(tcase, link_of_interface_gone);
	return tcase;
}
