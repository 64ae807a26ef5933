// SPDX-License-Identifier: GPL-2.0-or-later
/* The thread that attaches: what is asked for and taken back, interfaces that go meanwhile, what somebody takes away. */
#include <check.h>

#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "dplane_ebpf/links/links_internal.h"
#include "tests/links/test_links.h"

#define TCX_INGRESS 46
#define PAIRS 40

static struct datapath *datapath;
static struct attacher *attacher;
static int wake_fd;
static uint32_t ifindex;

#define wait_for(condition) \
	do { \
		uint64_t deadline_ = links_now() + 10000; \
		while (!(condition)) { \
			ck_assert_msg(links_now() < deadline_, "in vain: %s", #condition); \
			usleep(1000); \
		} \
	} while (0)

static void run(const char *command)
{
	ck_assert_msg(system(command) == 0, "failed: %s", command);
}

static void open_datapath(bool clsact)
{
	struct datapath_config config = {.geometry = datapath_geometry_small,
					 .clsact_only = clsact};
	char error[256] = "";

	ck_assert_int_eq(unshare(CLONE_NEWNET), 0);
	run("ip link add dev x0 type veth peer name x1 && ip link set dev x0 up");
	ifindex = if_nametoindex("x0");
	datapath = datapath_open(&config, error, sizeof(error));
	ck_assert_msg(datapath != NULL, "datapath_open: %s", error);
	wake_fd = eventfd(0, EFD_CLOEXEC);
	attacher = attacher_start(datapath, -1, wake_fd);
	ck_assert_ptr_nonnull(attacher);
}

static void setup(void)
{
	open_datapath(false);
}

static void teardown(void)
{
	attacher_stop(attacher);
	datapath_close(datapath, false);
	close(wake_fd);
}

static enum attacher_state want(void)
{
	enum datapath_hook hook;
	int err;

	return attacher_want(attacher, ifindex, false, &hook, &err);
}

/* How many programs the kernel has at the interface's ingress. */
static uint32_t programs(void)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex, .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, filter, .handle = DATAPATH_CLSACT_HANDLE,
		    .priority = DATAPATH_CLSACT_PRIORITY);
	uint32_t ids[8], count = 8, flags = 0;

	if (bpf_prog_query(ifindex, TCX_INGRESS, 0, &flags, ids, &count))
		count = 0;
	return count + (bpf_tc_query(&hook, &filter) == 0);
}

/* A bug here: the caller waits for the kernel, or is never told. */
START_TEST(nobody_waits)
{
	uint64_t began = links_now();
	struct attacher_news news;

	ck_assert_int_eq(want(), ATTACHER_WAITING);
	ck_assert_uint_lt(links_now() - began, 8);
	wait_for(attacher_take(attacher, &news));
	ck_assert_uint_eq(news.ifindex, ifindex);
	ck_assert_int_eq(want(), ATTACHER_ATTACHED);
	ck_assert_uint_eq(programs(), 1);
}
END_TEST

/* A bug here: an interface that is let go of for a moment waits for its program again. */
START_TEST(let_go_and_wanted_again)
{
	wait_for(want() == ATTACHER_ATTACHED);
	for (int i = 0; i < 100; i++) {
		attacher_let_go(attacher, ifindex, false);
		ck_assert_int_eq(want(), ATTACHER_ATTACHED);
	}
	attacher_let_go(attacher, ifindex, false);
	ck_assert_uint_eq(programs(), 1);
	wait_for(programs() == 0);
	ck_assert_int_eq(want(), ATTACHER_WAITING);
	wait_for(want() == ATTACHER_ATTACHED && programs() == 1);
}
END_TEST

/* A bug here: one of the same number is taken for the one that went, and has no program. */
START_TEST(a_number_is_used_again)
{
	char command[256];

	wait_for(want() == ATTACHER_ATTACHED);
	snprintf(command, sizeof(command),
		 "ip link del dev x0 && ip link add dev x0 index %u type veth peer name x1",
		 ifindex);
	for (int i = 0; i < 5; i++) {
		run(command);
		attacher_let_go(attacher, ifindex, true);
		ck_assert_int_eq(want(), ATTACHER_WAITING);
		/* the second time round while the thread is still at it */
		if (i % 2)
			continue;
		wait_for(want() == ATTACHER_ATTACHED);
		ck_assert_uint_eq(programs(), 1);
	}
}
END_TEST

/* A bug here: what cannot be attached is tried again and again, or never. */
START_TEST(an_interface_that_is_not_there)
{
	enum datapath_hook hook;
	int err = 0;

	wait_for(attacher_want(attacher, 999999, false, &hook, &err) == ATTACHER_FAILED);
	ck_assert_int_eq(err, -ENODEV);
	ck_assert_int_eq(attacher_want(attacher, 999999, false, &hook, &err), ATTACHER_FAILED);
	ck_assert_int_eq(attacher_want(attacher, 999999, true, &hook, &err), ATTACHER_WAITING);
}
END_TEST

/* A bug here: "tc qdisc del dev X clsact" of somebody else, and nothing is forwarded any more. */
START_TEST(taken_away_by_somebody)
{
	struct attacher_news news = {0};

	open_datapath(true);
	wait_for(want() == ATTACHER_ATTACHED);
	while (attacher_take(attacher, &news))
		continue;
	attacher_check(attacher);
	wait_for(attacher_is_settled(attacher));
	ck_assert(!attacher_take(attacher, &news));
	run("tc qdisc del dev x0 clsact");
	ck_assert_uint_eq(programs(), 0);
	attacher_check(attacher);
	wait_for(attacher_take(attacher, &news));
	ck_assert(news.mended);
	ck_assert_uint_eq(programs(), 1);
	/* what others do instead of adding a qdisc */
	run("tc qdisc replace dev x0 clsact");
	ck_assert_uint_eq(programs(), 1);
	run("tc filter add dev x0 ingress protocol all pref 10 u32 match u32 0 0 flowid 1:1");
	teardown();
	run("tc filter show dev x0 ingress | grep -q u32 && tc qdisc del dev x0 clsact");
}
END_TEST

/* A bug here: the thread works on what is freed. */
START_TEST(stopped_in_the_middle)
{
	for (int round = 0; round < 10; round++) {
		for (int i = 0; i < 3; i++) {
			want();
			usleep((useconds_t)(random() % 8000));
			attacher_let_go(attacher, ifindex, random() % 2);
		}
		want();
		attacher_stop(attacher);
		attacher = attacher_start(datapath, -1, wake_fd);
	}
}
END_TEST

/* A bug here: whoever ends waits for each interface. Nothing is forwarded in the meantime, and in the end nothing is left. */
START_TEST(the_end_does_not_wait)
{
	uint64_t began, waited, left = PAIRS;

	run("for i in $(seq 40); do echo link add dev p$i type veth peer name q$i; done | ip -batch -");
	for (uint32_t i = 0; i < PAIRS; i++) {
		char name[16];
		enum datapath_hook hook;

		snprintf(name, sizeof(name), "p%u", i + 1);
		ifindex = if_nametoindex(name);
		ck_assert_int_eq(datapath_attach(datapath, ifindex, &hook), 0);
		if (hook != DATAPATH_HOOK_TCX)
			left = 0;
	}
	attacher_stop(attacher);
	began = links_now();
	datapath_close(datapath, false);
	waited = links_now() - began;
	/* 40 of them detached one by one take half a second */
	ck_assert_msg(!left || waited < 250, "waited for %u ms", (unsigned int)waited);
	for (uint32_t i = 0; i < PAIRS; i++) {
		char name[16];

		snprintf(name, sizeof(name), "p%u", i + 1);
		ifindex = if_nametoindex(name);
		wait_for(programs() == 0);
	}
	setup();
}
END_TEST

TCase *attacher_case(void)
{
	TCase *tc = tcase_create("attacher");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, nobody_waits);
	tcase_add_test(tc, let_go_and_wanted_again);
	tcase_add_test(tc, a_number_is_used_again);
	tcase_add_test(tc, an_interface_that_is_not_there);
	tcase_add_test(tc, stopped_in_the_middle);
	tcase_add_test(tc, the_end_does_not_wait);
	return tc;
}

TCase *attacher_clsact_case(void)
{
	TCase *tc = tcase_create("attacher-clsact");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, taken_away_by_somebody);
	return tc;
}
