// SPDX-License-Identifier: GPL-2.0-or-later
/* What is read of our own tables. */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "tests/audit/namespace.h"

static void read_ours(bool look)
{
	struct reading r = reading(true);

	if (look) {
		ours_look(&r, false);
		return;
	}
	snapshot.n = snapshot.sorted = 0;
	ours_read(&r, 0, AF_INET);
	ours_read(&r, 0, AF_INET6);
	snapshot_sort(&snapshot);
}

static bool damaged(const char *text)
{
	return record_of(text)->flags & RECORD_DAMAGED;
}

START_TEST(ours_is_read)
{
	struct fib_member a = via(link_a, AF_INET, ADDRESS_A, 1),
			  b = via(link_b, AF_INET, ADDRESS_B, 2);
	struct fib_member both[] = {b, a};
	uint32_t one = group_to(&a, 1), two = group_to(both, 2), none = group_to(NULL, 0);
	struct fib_prefix local = prefix_of("192.0.2.1/32");

	a.backup[0] = b.nexthop;
	route_set("0.0.0.0/0", one);
	route_set("192.0.2.0/24", two);
	route_set("192.0.2.128/25", none);
	route_set("203.0.113.0/24", FIB_GROUP_BLACKHOLE);
	route_set("2001:db8::/32", one);
	route_set("2001:db8:1:2::/64", group_to(&a, 1));
	route_set("192.0.2.1/32", one);
	ck_assert_int_eq(fib_local_add(fib, 0, AF_INET, local.addr), 0);
	for (int look = 0; look < 2; look++) {
		read_ours(look);
		ck_assert_uint_eq(record_of("0.0.0.0/0")->ours, set_of(a));
		ck_assert_uint_eq(record_of("192.0.2.0/24")->ours, set_of2(a, b));
		ck_assert_uint_eq(record_of("192.0.2.128/25")->ours, FIB_GROUP_UNSUPPORTED);
		ck_assert_uint_eq(record_of("203.0.113.0/24")->ours, FIB_GROUP_BLACKHOLE);
		ck_assert_uint_eq(record_of("2001:db8::/32")->ours, set_of(a));
		/* its backup is no next hop of the route */
		ck_assert_uint_eq(record_of("2001:db8:1:2::/64")->ours, set_of(a));
		ck_assert_uint_eq(record_of("192.0.2.1/32")->ours, set_of(a));
		for (size_t i = 0; i < snapshot.n; i++)
			ck_assert_uint_eq(snapshot.record[i].flags & ~RECORD_V6, 0);
	}
	route_del("192.0.2.0/24");
	read_ours(true);
	ck_assert_uint_eq(record_of("192.0.2.0/24")->flags, RECORD_COVERED);
	ck_assert_uint_eq(record_of("192.0.2.0/24")->ours, set_of(a));
}
END_TEST

/* Every prefix of a small table in turn: what was written over it is told, for it, and can be written again. */
START_TEST(damage_is_found_and_mended)
{
	static const char *const prefixes[] = {
		"10.0.0.0/8",	 "192.0.2.0/24",      "192.0.2.128/25",	     "203.0.113.7/32",
		"2001:db8::/32", "2001:db8:1:2::/64", "2001:db8:1:2::3/128", "fc00::/7"};
	size_t n = sizeof(prefixes) / sizeof(prefixes[0]);
	struct fib_member a = via(link_a, AF_INET, ADDRESS_A, 1),
			  b = via(link_b, AF_INET, ADDRESS_B, 1);
	uint32_t one = group_to(&a, 1), other = group_to(&b, 1);

	for (size_t i = 0; i < n; i++)
		route_set(prefixes[i], i % 2 ? one : other);
	read_ours(false);
	for (size_t i = 0; i < n; i++)
		ck_assert(!damaged(prefixes[i]));
	for (size_t i = 0; i < n; i++) {
		struct fib_prefix prefix = prefix_of(prefixes[i]);
		uint32_t *root =
			prefix.family == AF_INET6
				? &memory.v6_root[prefix.addr[0] >> 5 == 1
							  ? (prefix.addr[0] & 31u) << 16 |
								    (uint32_t)prefix.addr[1] << 8 |
								    prefix.addr[2]
							  : FIB6_ROOT_SIZE + prefix.addr[0]]
				: &memory.v4_root[((uint32_t)prefix.addr[0] << 24 |
						   (uint32_t)prefix.addr[1] << 16 |
						   (uint32_t)prefix.addr[2] << 8) >>
						  14];

		for (int value = 0; value < 2; value++) {
			*root = value ? FIB_NODE | 0x3ffffff0u : FIB_GROUP_BLACKHOLE;
			ck_assert_int_eq(fib_route_verify(fib, &prefix), -EBADMSG);
			read_ours(true);
			ck_assert_msg(damaged(prefixes[i]), "%s", prefixes[i]);
			ck_assert_int_eq(fib_route_rewrite(fib, &prefix), 0);
			read_ours(true);
			for (size_t k = 0; k < n; k++)
				ck_assert_msg(!damaged(prefixes[k]), "%s after %s", prefixes[k],
					      prefixes[i]);
		}
	}
}
END_TEST

START_TEST(damaged_groups)
{
	struct fib_member both[] = {via(link_a, AF_INET, ADDRESS_A, 1),
				    via(link_b, AF_INET, ADDRESS_B, 1)};
	struct fib_member third = via(link_a, AF_INET, "10.0.1.3", 1);
	uint32_t group = group_to(both, 2), other = group_to(&third, 1);
	struct fib_group_info info;
	uint32_t offset, stranger;

	route_set("192.0.2.0/24", group);
	route_set("192.0.3.0/24", other);
	ck_assert_int_eq(fib_group_get(fib, other, &info), 0);
	stranger = info.members[0].nexthop;
	free(info.members);
	ck_assert_int_eq(fib_group_get(fib, group, &info), 0);
	offset = FIB_DESC_OFFSET(memory.group[group]);
	for (int what = 0; what < 5; what++) {
		read_ours(false);
		ck_assert(!damaged("192.0.2.0/24"));
		switch (what) {
		case 0:
			memory.group[group] = 0;
			break;
		case 1:
			memory.slot[offset + 1] = (uint16_t)stranger;
			break;
		case 2: /* a member, but not where it stood: one has more than its share */
			memory.slot[offset] = memory.slot[offset + info.slots - 1];
			memory.slot[offset + 1] = memory.slot[offset];
			memory.slot[offset + info.slots / 2] = memory.slot[offset];
			break;
		case 3:
			memory.nexthop[info.members[0].nexthop].ifindex++;
			break;
		case 4:
			memory.nexthop[info.members[1].nexthop].gate[3]++;
			break;
		}
		read_ours(false);
		ck_assert_msg(damaged("192.0.2.0/24"), "%d", what);
		ck_assert(!damaged("192.0.3.0/24"));
		ck_assert_int_eq(fib_group_rewrite(fib, group), 0);
		ck_assert_int_eq(fib_group_verify(fib, group), 0);
		offset = FIB_DESC_OFFSET(memory.group[group]);
	}
	free(info.members);
}
END_TEST

TCase *ours_case(void)
{
	TCase *tcase = tcase_create("ours");

	tcase_add_checked_fixture(tcase, namespace_setup, namespace_teardown);
	tcase_set_timeout(tcase, 30);
	tcase_add_test(tcase, ours_is_read);
	tcase_add_test(tcase, damage_is_found_and_mended);
	tcase_add_test(tcase, damaged_groups);
	return tcase;
}
