// SPDX-License-Identifier: GPL-2.0-or-later
/* What the tests of the audit's sources have in common. */
#include "tests/audit/namespace.h"

#include <net/if.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

struct snapshot snapshot;
uint32_t link_a, link_b;
static _Atomic bool no;
_Atomic uint64_t seen;

void run(const char *command)
{
	ck_assert_msg(system(command) == 0, "failed: %s", command);
}

void namespace_setup(void)
{
	ck_assert_int_eq(unshare(CLONE_NEWNET), 0);
	run("ip link add dev x0 type veth peer name x1 && ip link add dev y0 type veth peer name y1 && "
	    "for i in lo x0 x1 y0 y1; do ip link set $i up; done && "
	    "until [ $(ip -o link show up | grep -c 'state UP') -eq 4 ]; do sleep 0.01; done && "
	    "ip address add 10.0.1.1/24 dev x0 && ip address add 10.0.2.1/24 dev y0 && "
	    "ip address add 2001:db8:1::1/64 dev x0 nodad && ip address add 2001:db8:2::1/64 dev y0 nodad");
	link_a = if_nametoindex("x0");
	link_b = if_nametoindex("y0");
	fixture_open(&geometry_tiny);
	ck_assert_int_eq(snapshot_init(&snapshot), 0);
}

void namespace_teardown(void)
{
	snapshot_fini(&snapshot);
	fixture_close();
}

struct reading reading(bool all)
{
	seen = 0;
	return (struct reading){.snapshot = &snapshot,
				.fib = fib,
				.all = all,
				.slow = &no,
				.stop = &no,
				.seen = &seen};
}

struct fib_member via(uint32_t ifindex, int family, const char *gate, uint32_t weight)
{
	struct fib_member member = {.nexthop = {.ifindex = ifindex}, .weight = weight};
	struct fib_prefix host;

	if (gate) {
		host = prefix_of(gate);
		member.nexthop.family = (uint8_t)family;
		memcpy(member.nexthop.gate, host.addr, sizeof(host.addr));
	}
	return member;
}

uint32_t set_of(struct fib_member a)
{
	return ways_of(snapshot.ways, &a, 1);
}

uint32_t set_of2(struct fib_member a, struct fib_member b)
{
	struct fib_member both[] = {a, b};

	return ways_of(snapshot.ways, both, 2);
}

const struct record *record_of(const char *text)
{
	struct fib_prefix prefix = prefix_of(text);

	snapshot_sort(&snapshot);
	return snapshot_find(&snapshot, &prefix);
}

uint32_t group_to(const struct fib_member *members, size_t n)
{
	uint32_t group = 0;

	ck_assert_int_eq(fib_group_set(fib, &group, members, n), 0);
	return group;
}
