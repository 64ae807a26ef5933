// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * All is read again because events were lost, and that does not work out: the kernel says of every dump that it was interrupted
 * by changes. That is said here in the kernel's place. And whose word the tables count by.
 */
#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/rtnetlink.h>

#include "dplane_ebpf/datapath/datapath_internal.h"
#include "dplane_ebpf/heartbeat.h"
#include "dplane_ebpf/links/links_internal.h"
#include "tests/links/test_links.h"

#define DEADLINE_MS 10000

static struct datapath *datapath;
static struct fib *fib;
static struct links *links;

static atomic_bool interrupt_dumps, lose_end; /* the next that a link is gone */
static atomic_int dumps;		      /* datagrams */

/* What links/ calls: of the program that is linked first, before the C library's. */
ssize_t recvmsg(int fd, struct msghdr *msg, int flags)
{
	ssize_t len = syscall(SYS_recvmsg, fd, msg, flags);
	struct nlmsghdr *nlh = msg->msg_iov->iov_base;

	if (!links || len < (ssize_t)sizeof(*nlh))
		return len;
	if (fd == links->events_fd && nlh->nlmsg_type == RTM_DELLINK &&
	    atomic_exchange(&lose_end, false)) {
		errno = ENOBUFS;
		return -1;
	}
	if (fd == links->dump_fd && nlh->nlmsg_flags & NLM_F_MULTI) {
		atomic_fetch_add(&dumps, 1);
		if (atomic_load(&interrupt_dumps))
			nlh->nlmsg_flags |= NLM_F_DUMP_INTR;
	}
	return len;
}

#define wait_for(condition) \
	do { \
		uint64_t deadline_ = links_now() + DEADLINE_MS; \
		while (!(condition)) { \
			ck_assert_msg(links_now() < deadline_, "in vain: %s", #condition); \
			usleep(1000); \
		} \
	} while (0)

static void run(const char *command)
{
	ck_assert_msg(system(command) == 0, "failed: %s", command);
}

static void setup(void)
{
	struct datapath_config config = {.geometry = datapath_geometry_small, .hold_ms = 1000};
	struct links_options options = {0};
	struct fib_memory memory;
	char error[256] = "";

	ck_assert_int_eq(unshare(CLONE_NEWNET), 0);
	run("sysctl -qw net.ipv4.ip_forward=1");
	run("ip link add x0 type veth peer name x1 && ip link set x1 up && ip link set x0 up && "
	    "ip addr add 10.0.0.1/24 dev x0 && "
	    "ip neigh add 10.0.0.9 lladdr 02:00:00:00:00:09 dev x0");
	datapath = datapath_open(&config, error, sizeof(error));
	ck_assert_msg(datapath != NULL, "datapath_open: %s", error);
	datapath_memory(datapath, &memory);
	fib = fib_new(&memory, datapath_geometry(datapath));
	ck_assert_ptr_nonnull(fib);
	links = links_start_with(fib, datapath, &options, error, sizeof(error));
	ck_assert_msg(links != NULL, "links_start: %s", error);
}

static void teardown(void)
{
	links_stop(links);
	links = NULL;
	fib_free(fib);
	datapath_close(datapath, false);
}

static uint64_t resyncs(void)
{
	struct links_stats stats;

	links_stats(links, &stats);
	return stats.resyncs;
}

static uint32_t next_hop(void)
{
	struct fib_member member = {.nexthop = {.ifindex = if_nametoindex("x0"),
						.family = AF_INET,
						.gate = {10, 0, 0, 9}}};
	uint32_t group = 0;

	ck_assert_int_eq(fib_group_set(fib, &group, &member, 1), 0);
	return fib_nexthop_next(fib, 0);
}

static struct fib_adjacency adjacency(uint32_t nexthop)
{
	struct fib_nexthop_info info;

	ck_assert_int_eq(fib_nexthop_get(fib, nexthop, &info), 0);
	return info.adjacency;
}

static size_t interfaces(void)
{
	struct links_interface *list;
	size_t n = links_interfaces(links, &list);

	free(list);
	return n;
}

/* A pair of links, of which one's end is not heard of. */
static void lose_a_link(void)
{
	run("ip link add y0 type veth peer name y1");
	wait_for(interfaces() == 5);
	atomic_store(&interrupt_dumps, true);
	atomic_store(&lose_end, true);
	run("ip link del y0");
}

/* A link fails while nothing can be read anew: seen as soon as ever, again and again. */
START_TEST(failover_does_not_wait_for_a_resync)
{
	uint32_t nexthop = next_hop();
	uint64_t before;

	wait_for(adjacency(nexthop).action == FIB_NH_REWRITE);
	lose_a_link();
	wait_for(resyncs() == 1);
	for (int i = 0; i < 5; i++) {
		run("ip link set x1 down");
		before = links_now();
		wait_for(adjacency(nexthop).down);
		ck_assert_uint_lt(links_now() - before, 400);
		run("ip link set x1 up && ip neigh replace 10.0.0.9 lladdr 02:00:00:00:00:09 dev x0");
		wait_for(!adjacency(nexthop).down);
	}
	/* it is one resync, and what was lost is found when one works out at last */
	ck_assert_uint_eq(resyncs(), 1);
	ck_assert_uint_ge(interfaces(), 4);
	atomic_store(&interrupt_dumps, false);
	wait_for(interfaces() == 3);
	ck_assert_uint_eq(resyncs(), 1);
}
END_TEST

/* Not a second until the first is repeated, nor without end as fast as can be. */
START_TEST(a_resync_is_repeated_soon_and_then_less_often)
{
	int first;

	lose_a_link();
	wait_for(resyncs() == 1);
	first = atomic_load(&dumps);
	usleep(100000);
	atomic_store(&interrupt_dumps, false);
	ck_assert_int_gt(atomic_load(&dumps), first);
	wait_for(interfaces() == 3);
	lose_a_link();
	wait_for(resyncs() == 2);
	usleep(1500000);
	first = atomic_load(&dumps);
	usleep(1000000);
	/* each tries one table five times */
	ck_assert_int_le(atomic_load(&dumps) - first, 4 * 5);
	atomic_store(&interrupt_dumps, false);
	wait_for(interfaces() == 3);
}
END_TEST

/* ---- whether zebra works ---- */

static uint64_t until(void)
{
	const struct fib_header *header = datapath->memory[FIB_ARRAY_HEADER];

	return __atomic_load_n(&header->forward_until, __ATOMIC_ACQUIRE);
}

START_TEST(missing_is_who_came_round_once)
{
	ck_assert_ptr_null(heartbeat_missing(0));
	heartbeat_beat(HEARTBEAT_MAIN);
	ck_assert_ptr_null(heartbeat_missing(1000));
	usleep(30000);
	heartbeat_beat(HEARTBEAT_DPLANE);
	ck_assert_str_eq(heartbeat_missing(20), "main thread");
	heartbeat_beat(HEARTBEAT_MAIN);
	ck_assert_ptr_null(heartbeat_missing(20));
	usleep(30000);
	heartbeat_beat(HEARTBEAT_MAIN);
	ck_assert_str_eq(heartbeat_missing(20), "dplane thread");
	heartbeat_end();
	ck_assert_ptr_null(heartbeat_missing(0));
}
END_TEST

/* The link thread goes on, and its word alone is not enough. */
START_TEST(the_tables_count_while_zebra_works)
{
	uint64_t word, beat = links_now(), moved = beat;

	heartbeat_beat(HEARTBEAT_MAIN);
	word = until();
	/* with a patience of ten seconds, and a word four times a second */
	while (links_now() < moved + 1500 && links_now() < beat + 30000) {
		if (until() != word)
			moved = links_now();
		word = until();
		usleep(10000);
	}
	ck_assert_uint_ge(moved, beat + 9000);
	ck_assert_uint_lt(moved, beat + 20000);
	heartbeat_beat(HEARTBEAT_MAIN);
	wait_for(until() > word);
	heartbeat_end();
}
END_TEST

TCase *resync_case(void)
{
	TCase *tc = tcase_create("resync");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, failover_does_not_wait_for_a_resync);
	tcase_add_test(tc, a_resync_is_repeated_soon_and_then_less_often);
	tcase_add_test(tc, missing_is_who_came_round_once);
	tcase_add_test(tc, the_tables_count_while_zebra_works);
	return tc;
}
