// SPDX-License-Identifier: GPL-2.0-or-later
/* Routers in a row, each with its own seed: what one of them chose must not decide what the next one chooses. */
#include <errno.h>
#include <linux/bpf.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <bpf/bpf.h>

#include "tests/bpf/fixture.h"

#define ROUTERS 3
#define MEMBERS 8
#define FLOWS 1000000u

struct router {
	struct datapath *datapath;
	struct fib *fib;
	uint32_t group;
};

static struct frame frame;

/* Next hops whose MAC address ends with their number, in a group of equals that everything goes by. */
static void router_open(struct router *router, uint64_t seed)
{
	struct datapath_config config = {.geometry = small_geometry, .seed = seed};
	struct fib_member members[MEMBERS] = {0};
	struct fib_memory memory;
	char error[512] = "";

	router->group = 0;
	router->datapath = datapath_open(&config, error, sizeof(error));
	ck_assert_msg(router->datapath, "%s", error);
	datapath_memory(router->datapath, &memory);
	bed.fib = router->fib = fib_new(&memory, datapath_geometry(router->datapath));
	datapath_alive(router->datapath);
	datapath_interface_set(router->datapath, bed.in, 0, true, true, 0);
	for (int i = 0; i < MEMBERS; i++) {
		members[i] = (struct fib_member){.weight = 1};
		members[i].nexthop.ifindex = bed.out;
		members[i].nexthop.family = AF_INET;
		members[i].nexthop.gate[3] = (uint8_t)(i + 1);
	}
	ck_assert_int_eq(fib_group_set(router->fib, &router->group, members, MEMBERS), 0);
	for (int i = 0; i < MEMBERS; i++) {
		struct fib_adjacency adjacency = {.action = FIB_NH_REWRITE, .mtu = 1500};

		adjacency.dst[5] = (uint8_t)i;
		ck_assert_int_eq(fib_nexthop_resolve(router->fib,
						     nexthop_number(&members[i].nexthop),
						     &members[i].nexthop, &adjacency),
				 0);
	}
	route("0.0.0.0/0", router->group);
	route("::/0", router->group);
}

static void router_close(struct router *router)
{
	fib_free(router->fib);
	datapath_close(router->datapath, false);
}

static int choice(const struct router *router)
{
	struct __sk_buff skb = {.ifindex = bed.in};
	uint8_t out[FRAME_MAX];
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame.data, .data_size_in = frame.len,
		    .data_out = out, .data_size_out = sizeof(out), .ctx_in = &skb,
		    .ctx_size_in = sizeof(skb), .repeat = 1);

	ck_assert_msg(bpf_prog_test_run_opts(datapath_program_fd(router->datapath), &options) == 0,
		      "cannot be run: %s", strerror(errno));
	ck_assert_int_lt(out[5], MEMBERS);
	return out[5];
}

static void flow(bool v6, uint32_t number)
{
	if (v6)
		FRAME6(&frame, .sport = (uint16_t)(1024 + number % 50000), .dport = 443);
	else
		FRAME4(&frame, .sport = (uint16_t)(1024 + number % 50000), .dport = 443);
	/* 50,000 ports of one host, then the next one */
	frame.data[ETHER_LEN + (v6 ? 23 : 15)] = (uint8_t)(number / 50000);
	if (!v6)
		frame_checksum4(&frame);
}

static void expect_even(const char *what, const uint32_t seen[MEMBERS])
{
	uint32_t all = 0;

	for (int i = 0; i < MEMBERS; i++)
		all += seen[i];
	for (int i = 0; i < MEMBERS; i++) {
		double share = (double)seen[i] * MEMBERS / all;

		ck_assert_msg(fabs(share - 1) < 0.05, "%s: member %d has %.3f of its share of %u",
			      what, i, share, all);
	}
}

/* 8 -> 8 -> 8: the flows of one member of the first router, then of one of the second. */
START_TEST(in_a_row)
{
	static const char *const hosts[ROUTERS] = {"r1", "r2", "r3"};
	uint32_t seen[ROUTERS][MEMBERS] = {0};
	struct router routers[ROUTERS];

	for (int i = 0; i < ROUTERS; i++)
		router_open(&routers[i], datapath_seed_of("8f0e", hosts[i], "frr"));
	for (uint32_t number = 0; number < FLOWS; number++) {
		flow(_i, number);
		for (int i = 0, member = 3; i < ROUTERS && member == 3; i++) {
			member = choice(&routers[i]);
			seen[i][member]++;
		}
	}
	for (int i = 0; i < ROUTERS; i++) {
		expect_even(hosts[i], seen[i]);
		router_close(&routers[i]);
	}
}
END_TEST

/* A flow takes the member after a restart, and with other tables' sizes, that it took before; with another seed it need not. */
START_TEST(after_a_restart)
{
	uint64_t seed = datapath_seed_here("frr");
	static uint8_t before[2][1000];
	struct router router;
	int same = 0;

	ck_assert(seed == datapath_seed_here("frr"));
	ck_assert(seed != datapath_seed_here("frr2"));
	ck_assert(datapath_seed_number(1) != datapath_seed_number(2));
	ck_assert(datapath_seed_number(0) != 0);
	for (int run = 0; run < 3; run++) {
		router_open(&router, run < 2 ? seed : datapath_seed_here("frr2"));
		for (uint32_t number = 0; number < 1000; number++) {
			for (int v6 = 0; v6 < 2; v6++) {
				int member;

				flow(v6, number);
				member = choice(&router);
				if (run == 0)
					before[v6][number] = (uint8_t)member;
				else if (run == 1)
					ck_assert_int_eq(before[v6][number], member);
				else
					same += before[v6][number] == member;
			}
		}
		router_close(&router);
	}
	ck_assert_int_lt(same, 2000 / MEMBERS * 3 / 2);
}
END_TEST

TCase *ecmp_row_tests(void)
{
	TCase *tcase = tcase_create("ecmp-row");

	tcase_add_loop_test(tcase, in_a_row, 0, 2);
	tcase_add_test(tcase, after_a_restart);
	return tcase;
}
