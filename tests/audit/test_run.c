// SPDX-License-Identifier: GPL-2.0-or-later
/* Whole runs of the kernel's FIB and ours against a RIB: what is told, and what becomes of it. */
#include <sched.h>
#include <string.h>
#include <sys/socket.h>

#include "dplane_ebpf/audit/worker.h"
#include "tests/audit/namespace.h"

static _Atomic bool ended;

static void end(void)
{
	ended = true;
}

static struct fib_prefix moved;

static bool passed(const struct fib_prefix *prefix)
{
	return !memcmp(prefix, &moved, sizeof(moved));
}

static void give(struct worker *worker, struct run *whole, enum pass pass)
{
	ended = false;
	worker_give(worker, whole, pass);
	while (!ended)
		sched_yield();
	ck_assert_int_eq(worker_take(worker), 0);
}

/* What zebra says of a prefix: a set of one next hop on link a. */
static void rib_has(struct run *whole, const char *text, struct fib_member member)
{
	struct fib_prefix prefix = prefix_of(text);

	snapshot_add(&whole->snapshot, &prefix)->rib = ways_of(whole->snapshot.ways, &member, 1);
}

/* What links/ knows of the router's own addresses. */
static void know_locals(void)
{
	static const char *const address[] = {
		"10.0.1.1",	 "10.0.1.255",	 "10.0.2.1",	  "10.0.2.255",
		"2001:db8:1::1", "2001:db8:1::", "2001:db8:2::1", "2001:db8:2::"};

	for (size_t i = 0; i < sizeof(address) / sizeof(address[0]); i++) {
		struct fib_prefix host = prefix_of(address[i]);

		ck_assert_int_eq(fib_local_add(fib, 0, host.family, host.addr), 0);
	}
}

START_TEST(a_run)
{
	struct fib_member a = via(link_a, AF_INET, ADDRESS_A, 1),
			  b = via(link_b, AF_INET, ADDRESS_B, 1);
	struct fib_member on_a = via(link_a, 0, NULL, 1), on_b = via(link_b, 0, NULL, 1);
	uint32_t to_a = group_to(&a, 1), to_b = group_to(&b, 1);
	struct worker *worker = worker_start(end, passed);
	struct run whole = {.fib = fib};
	static const struct {
		const char *prefix;
		uint32_t kinds;
	} expected[] = {
		{"198.51.100.0/26", 1u << AUDIT_MISSING},
		{"198.51.100.64/26", 1u << AUDIT_LEFTOVER},
		{"198.51.100.128/26", 1u << AUDIT_NEXTHOPS},
		{"203.0.113.0/24", 1u << AUDIT_KERNEL_MISSING},
	};

	ck_assert_ptr_nonnull(worker);
	ck_assert_int_eq(snapshot_init(&whole.snapshot), 0);
	know_locals();
	run("for p in 192.0.2.0/24 198.51.100.0/26 198.51.100.128/26 198.51.100.192/26; do ip route add $p via 10.0.1.2; done && "
	    "ip route add 203.0.115.0/24 via 10.0.2.2");
	rib_has(&whole, "10.0.1.0/24", on_a);
	rib_has(&whole, "10.0.2.0/24", on_b);
	route_set("10.0.1.0/24", group_to(&on_a, 1));
	route_set("10.0.2.0/24", group_to(&on_b, 1));
	rib_has(&whole, "192.0.2.0/24", a);
	route_set("192.0.2.0/24", to_a);
	rib_has(&whole, "198.51.100.0/26", a);
	route_set("198.51.100.64/26", to_a);
	rib_has(&whole, "198.51.100.128/26", a);
	route_set("198.51.100.128/26", to_b);
	rib_has(&whole, "203.0.113.0/24", a);
	route_set("203.0.113.0/24", to_a);
	/* these two will be set right, or pass by, while it is looked at */
	rib_has(&whole, "198.51.100.192/26", a);
	rib_has(&whole, "203.0.114.0/24", a);
	moved = prefix_of("203.0.114.0/24");
	/* IPv6 is the kernel's alone, and nothing of ours covers it; the connected networks too */
	give(worker, &whole, PASS_ALL);
	ck_assert_uint_eq(whole.snapshot.n, 6);
	route_set("198.51.100.192/26", to_a);
	give(worker, &whole, PASS_FIRST_LOOK);
	ck_assert_uint_eq(whole.unsettled, 1);
	give(worker, &whole, PASS_LOOK);
	give(worker, &whole, PASS_LAST_LOOK);
	ck_assert_uint_eq(whole.differing, 4);
	ck_assert_uint_eq(whole.snapshot.n, 4);
	for (size_t i = 0; i < 4; i++) {
		struct fib_prefix prefix = prefix_of(expected[i].prefix);
		const struct record *record = snapshot_find(&whole.snapshot, &prefix);

		ck_assert_ptr_nonnull(record);
		ck_assert_uint_eq(compare(whole.snapshot.ways, record), expected[i].kinds);
	}
	worker_stop(worker);
	snapshot_fini(&whole.snapshot);
}
END_TEST

/* A whole run with what zebra says: all of these prefixes by link a, and the connected networks. */
static struct run last_run;

static void run_all(struct worker *worker, const char *const *says, size_t n)
{
	struct fib_member a = via(link_a, AF_INET, ADDRESS_A, 1);
	struct fib_member a6 = via(link_a, AF_INET6, "2001:db8:1::2", 1);
	struct fib_member on_a = via(link_a, 0, NULL, 1), on_b = via(link_b, 0, NULL, 1);

	snapshot_fini(&last_run.snapshot);
	memset(&last_run, 0, sizeof(last_run));
	last_run.fib = fib;
	ck_assert_int_eq(snapshot_init(&last_run.snapshot), 0);
	rib_has(&last_run, "10.0.1.0/24", on_a);
	rib_has(&last_run, "10.0.2.0/24", on_b);
	rib_has(&last_run, "2001:db8:1::/64", on_a);
	rib_has(&last_run, "2001:db8:2::/64", on_b);
	for (size_t i = 0; i < n; i++)
		rib_has(&last_run, says[i], strchr(says[i], ':') ? a6 : a);
	give(worker, &last_run, PASS_ALL);
	if (!last_run.snapshot.n)
		return;
	give(worker, &last_run, PASS_FIRST_LOOK);
	give(worker, &last_run, PASS_LOOK);
	give(worker, &last_run, PASS_LAST_LOOK);
}

static uint32_t differs(const char *text)
{
	struct fib_prefix prefix = prefix_of(text);
	const struct record *record = snapshot_find(&last_run.snapshot, &prefix);

	return record ? compare(last_run.snapshot.ways, record) : 0;
}

static void ours_has(const char *const *says, size_t n)
{
	struct fib_member a = via(link_a, AF_INET, ADDRESS_A, 1);
	struct fib_member a6 = via(link_a, AF_INET6, "2001:db8:1::2", 1);
	struct fib_member on_a = via(link_a, 0, NULL, 1), on_b = via(link_b, 0, NULL, 1);

	route_set("10.0.1.0/24", group_to(&on_a, 1));
	route_set("10.0.2.0/24", group_to(&on_b, 1));
	route_set("2001:db8:1::/64", group_to(&on_a, 1));
	route_set("2001:db8:2::/64", group_to(&on_b, 1));
	for (size_t i = 0; i < n; i++)
		route_set(says[i], group_to(strchr(says[i], ':') ? &a6 : &a, 1));
	know_locals();
}

/* Each by which the kernel goes another way than ours would: told, given to the kernel, and taken back when it is over. */
START_TEST(doubt_is_the_kernels)
{
	static const char *const zebra[] = {"0.0.0.0/0",       "::/0",	       "192.0.2.0/24",
					    "192.0.3.0/24",    "192.0.4.0/24", "192.0.5.0/24",
					    "2001:db8:70::/48"};
	static const struct {
		const char *name, *begin, *end, *prefix, *address;
		uint32_t kinds;
		int oddity;
	} cases[] = {
		{"local", "ip route add local 203.0.113.0/24 dev lo",
		 "ip route del local 203.0.113.0/24 dev lo", "203.0.113.0/24", "203.0.113.7",
		 1u << AUDIT_KERNEL_UNKNOWN, -1},
		{"local over zebra's", "ip route add local 192.0.2.0/24 dev lo",
		 "ip route del local 192.0.2.0/24 dev lo", "192.0.2.0/24", "192.0.2.7",
		 1u << AUDIT_KERNEL_NEXTHOPS, -1},
		{"throw", "ip route add throw 203.0.113.0/24", "ip route del throw 203.0.113.0/24",
		 "203.0.113.0/24", "203.0.113.7", 1u << AUDIT_KERNEL_UNKNOWN, ODDITY_TYPES},
		{"unreachable", "ip route add unreachable 203.0.113.0/24",
		 "ip route del unreachable 203.0.113.0/24", "203.0.113.0/24", "203.0.113.7",
		 1u << AUDIT_KERNEL_UNKNOWN, -1},
		{"anycast", "ip route add anycast 2001:db8:cb::1 dev y0",
		 "ip route del anycast 2001:db8:cb::1 dev y0", "2001:db8:cb::1/128",
		 "2001:db8:cb::1", 1u << AUDIT_KERNEL_UNKNOWN, -1},
		{"tos", "ip route add 192.0.3.0/24 tos 0x10 via 10.0.2.2",
		 "ip route del 192.0.3.0/24 tos 0x10", "192.0.3.0/24", "192.0.3.7",
		 1u << AUDIT_KERNEL_MORE, ODDITY_TOS},
		{"source", "ip route add 2001:db8:70::/48 from 2001:db8:5::/48 via 2001:db8:2::2",
		 "ip route del 2001:db8:70::/48 from 2001:db8:5::/48", "2001:db8:70::/48",
		 "2001:db8:70::7", 1u << AUDIT_KERNEL_MORE, ODDITY_SOURCE},
		{"encap",
		 "ip route add 203.0.113.0/24 encap ip6 dst 2001:db8:2::2 via 10.0.2.2 dev y0",
		 "ip route del 203.0.113.0/24", "203.0.113.0/24", "203.0.113.7",
		 1u << AUDIT_KERNEL_UNKNOWN, ODDITY_ENCAPSULATION},
		{"metric", "ip route add 192.0.4.0/24 metric 5 via 10.0.2.2",
		 "ip route del 192.0.4.0/24 metric 5", "192.0.4.0/24", "192.0.4.7",
		 1u << AUDIT_KERNEL_NEXTHOPS, -1},
		{"one metric", "ip route append 2001:db8:1::/64 dev y0 metric 256 proto kernel",
		 "ip route del 2001:db8:1::/64 dev y0", "2001:db8:1::/64", "2001:db8:1::7",
		 1u << AUDIT_KERNEL_MORE, ODDITY_METRICS},
		{"deleted", "ip route del 192.0.5.0/24",
		 "ip route add 192.0.5.0/24 via 10.0.1.2 metric 20", "192.0.5.0/24", "192.0.5.7",
		 1u << AUDIT_KERNEL_MISSING, -1},
	};
	struct worker *worker = worker_start(end, passed);

	memset(&last_run, 0, sizeof(last_run));
	memset(&moved, 0, sizeof(moved));
	run("ip route add default via 10.0.1.2 metric 20 && ip route add default via 2001:db8:1::2 metric 20 && "
	    "for i in 2 3 4 5; do ip route add 192.0.$i.0/24 via 10.0.1.2 metric 20; done && "
	    "ip route add 2001:db8:70::/48 via 2001:db8:1::2 metric 20");
	ours_has(zebra, sizeof(zebra) / sizeof(zebra[0]));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint32_t before = lookup(cases[i].address);

		ck_assert_msg(before >= FIB_GROUP_FIRST, "%s", cases[i].name);
		run_all(worker, zebra, sizeof(zebra) / sizeof(zebra[0]));
		ck_assert_uint_eq(last_run.differing, 0);
		ck_assert_uint_eq(last_run.sent_to_kernel, 0);
		run(cases[i].begin);
		for (int again = 0; again < 2; again++) {
			run_all(worker, zebra, sizeof(zebra) / sizeof(zebra[0]));
			ck_assert_msg(differs(cases[i].prefix) == cases[i].kinds, "%s: %x",
				      cases[i].name, differs(cases[i].prefix));
			ck_assert_uint_eq(last_run.differing, 1);
			ck_assert_uint_eq(last_run.sent_to_kernel, 1);
			ck_assert_msg(lookup(cases[i].address) == FIB_GROUP_KERNEL, "%s",
				      cases[i].name);
			for (int k = 0; k < ODDITY_MAX; k++)
				ck_assert_msg(last_run.by_oddity[k] == (k == cases[i].oddity),
					      "%s: %d", cases[i].name, k);
		}
		run(cases[i].end);
		run_all(worker, zebra, sizeof(zebra) / sizeof(zebra[0]));
		ck_assert_msg(last_run.differing == 0, "%s", cases[i].name);
		ck_assert_uint_eq(last_run.sent_to_kernel, 0);
		ck_assert_msg(lookup(cases[i].address) == before, "%s", cases[i].name);
	}
	worker_stop(worker);
	snapshot_fini(&last_run.snapshot);
}
END_TEST

/* Differences of ours are the kernel's as well until they are set right; fewer next hops are no reason. */
START_TEST(doubt_about_ours)
{
	static const char *const zebra[] = {"0.0.0.0/0", "192.0.2.0/24", "192.0.3.0/24"};
	struct fib_member b = via(link_b, AF_INET, ADDRESS_B, 1);
	struct worker *worker = worker_start(end, passed);
	uint32_t right;

	memset(&last_run, 0, sizeof(last_run));
	memset(&moved, 0, sizeof(moved));
	run("for i in 0.0.0.0/0 192.0.2.0/24 192.0.3.0/24; do ip route add $i via 10.0.1.2; done");
	ours_has(zebra, 3);
	right = lookup("192.0.3.7");
	route_del("192.0.2.0/24");
	route_set("192.0.3.0/24", group_to(&b, 1));
	route_set("192.0.4.0/24", group_to(&b, 1));
	run_all(worker, zebra, 3);
	ck_assert_uint_eq(differs("192.0.2.0/24"), 1u << AUDIT_MISSING);
	ck_assert_uint_eq(differs("192.0.3.0/24"), 1u << AUDIT_NEXTHOPS);
	ck_assert_uint_eq(differs("192.0.4.0/24"), 1u << AUDIT_LEFTOVER);
	ck_assert_uint_eq(last_run.sent_to_kernel, 3);
	ck_assert_uint_eq(lookup("192.0.2.7"), FIB_GROUP_KERNEL);
	ck_assert_uint_eq(lookup("192.0.3.7"), FIB_GROUP_KERNEL);
	ck_assert_uint_eq(lookup("192.0.4.7"), FIB_GROUP_KERNEL);
	/* as clear does */
	route_set("192.0.2.0/24", right);
	route_set("192.0.3.0/24", right);
	route_del("192.0.4.0/24");
	run_all(worker, zebra, 3);
	ck_assert_uint_eq(last_run.differing, 0);
	ck_assert_uint_eq(last_run.sent_to_kernel, 0);
	ck_assert_uint_eq(lookup("192.0.2.7"), right);
	ck_assert_uint_eq(lookup("192.0.3.7"), right);
	worker_stop(worker);
	snapshot_fini(&last_run.snapshot);
}
END_TEST

/* What links/ leaves to the kernel already is no difference. */
START_TEST(laid_over_by_links)
{
	static const char *const zebra[] = {"0.0.0.0/0", "192.0.2.0/24"};
	struct worker *worker = worker_start(end, passed);
	struct fib_prefix longer = prefix_of("203.0.113.0/24"), same = prefix_of("192.0.2.0/24");

	memset(&last_run, 0, sizeof(last_run));
	memset(&moved, 0, sizeof(moved));
	run("for i in 0.0.0.0/0 192.0.2.0/24; do ip route add $i via 10.0.1.2 metric 20; done && "
	    "ip route add throw 203.0.113.0/24 && ip route add 192.0.2.0/24 tos 0x10 via 10.0.2.2 && "
	    /* this one lies within a prefix that is the kernel's */
	    "ip route add 203.0.113.128/25 via 10.0.2.2");
	ours_has(zebra, 2);
	ck_assert_int_eq(fib_kernel_set(fib, &longer, 0), 0);
	ck_assert_int_eq(fib_kernel_set(fib, &same, 0), 0);
	run_all(worker, zebra, 2);
	ck_assert_uint_eq(last_run.differing, 0);
	ck_assert_uint_eq(last_run.sent_to_kernel, 0);
	ck_assert_uint_eq(last_run.left_to_kernel, 3);
	ck_assert_uint_eq(last_run.by_oddity[ODDITY_TYPES], 1);
	ck_assert_uint_eq(last_run.by_oddity[ODDITY_TOS], 1);
	/* then links/ no longer says so: the audit does */
	ck_assert_int_eq(fib_kernel_del(fib, &longer), 0);
	run_all(worker, zebra, 2);
	ck_assert_uint_eq(last_run.differing, 2);
	ck_assert_uint_eq(last_run.sent_to_kernel, 2);
	run_all(worker, zebra, 2);
	ck_assert_uint_eq(last_run.sent_to_kernel, 2);
	ck_assert_uint_eq(lookup("203.0.113.200"), FIB_GROUP_KERNEL);
	/* and does so no longer when links/ says it again */
	ck_assert_int_eq(fib_kernel_set(fib, &longer, 0), 0);
	run_all(worker, zebra, 2);
	ck_assert_uint_eq(last_run.differing, 0);
	ck_assert_uint_eq(last_run.sent_to_kernel, 0);
	ck_assert_uint_eq(lookup("203.0.113.200"), FIB_GROUP_KERNEL);
	worker_stop(worker);
	snapshot_fini(&last_run.snapshot);
}
END_TEST

/* It is ended at once, whatever it does. */
START_TEST(stopped_in_between)
{
	struct run whole = {.fib = fib, .slow = true};
	struct worker *worker = worker_start(end, passed);

	ck_assert_int_eq(snapshot_init(&whole.snapshot), 0);
	worker_give(worker, &whole, PASS_ALL);
	worker_stop(worker);
	snapshot_fini(&whole.snapshot);
}
END_TEST

TCase *run_case(void)
{
	TCase *tcase = tcase_create("run");

	tcase_add_checked_fixture(tcase, namespace_setup, namespace_teardown);
	tcase_set_timeout(tcase, 30);
	tcase_add_test(tcase, a_run);
	tcase_add_test(tcase, doubt_is_the_kernels);
	tcase_add_test(tcase, doubt_about_ours);
	tcase_add_test(tcase, laid_over_by_links);
	tcase_add_test(tcase, stopped_in_between);
	return tcase;
}
