// SPDX-License-Identifier: GPL-2.0-or-later
/* What a record's three ways mean together. */
#include <string.h>
#include <sys/socket.h>

#include "dplane_ebpf/audit/snapshot.h"

/* Packets of these go to the kernel, which decides; a way that may not be wrong. */
static bool kernel_decides(uint32_t way)
{
	return way == FIB_GROUP_NO_ROUTE || way == FIB_GROUP_LOCAL || way == FIB_GROUP_REJECT ||
	       way == FIB_GROUP_UNSUPPORTED || way == FIB_GROUP_OVERFLOW || way == FIB_GROUP_KERNEL;
}

bool compare_left_to_kernel(const struct record *record)
{
	if (record->flags & RECORD_OVER)
		return true;
	if (!record->rib)
		return record->kernel && record->ours == FIB_GROUP_KERNEL;
	return !(record->flags & RECORD_COVERED) && kernel_decides(record->ours);
}

bool compare_doubtful(const struct record *record, uint32_t found)
{
	return found & AUDIT_DOUBTFUL && !(record->flags & (RECORD_OVER | RECORD_PROTECTED)) &&
	       !kernel_decides(record->ours);
}

static uint32_t compare_ours(const struct record *record)
{
	uint32_t ours = record->flags & RECORD_COVERED ? WAY_NONE : record->ours;

	if (record->rib == WAY_CHANGING || ours == WAY_CHANGING)
		return 0;
	if (!record->rib)
		return ours ? 1u << AUDIT_LEFTOVER : 0;
	if (!ours)
		return 1u << AUDIT_MISSING;
	if (record->flags & RECORD_DAMAGED)
		return 1u << AUDIT_DAMAGED;
	return ours == record->rib || kernel_decides(ours) ? 0 : 1u << AUDIT_NEXTHOPS;
}

/* FRR's stand-in for an IPv6 gateway of an IPv4 route, where it installs without next-hop ids. */
static bool stands_in(const struct fib_nexthop_key *kernel, const struct fib_nexthop_key *rib)
{
	static const uint8_t link_local[4] = {169, 254, 0, 1};

	return kernel->ifindex == rib->ifindex && kernel->family == AF_INET &&
	       rib->family == AF_INET6 && !memcmp(kernel->gate, link_local, sizeof(link_local));
}

static bool all_stand_in(const struct ways *ways, uint32_t kernel, uint32_t rib)
{
	const struct fib_member *a, *b;
	size_t n_a, n_b;

	a = ways_members(ways, kernel, &n_a);
	b = ways_members(ways, rib, &n_b);
	for (size_t i = 0; i < n_a && n_a == n_b; i++) {
		if (!stands_in(&a[i].nexthop, &b[i].nexthop))
			return false;
	}
	return n_a && n_a == n_b;
}

static uint32_t compare_kernel(const struct ways *ways, const struct record *record)
{
	uint32_t rib = record->rib, kernel = record->kernel;
	bool covered = record->flags & RECORD_COVERED;

	if (record->flags & (RECORD_KERNEL_ANY | RECORD_OVER) || rib == WAY_CHANGING ||
	    kernel == WAY_CHANGING)
		return 0;
	/* a next hop that came and went says nothing of where the route leads */
	if (kernel == WAY_ODD_BY(NEXTHOP_ID))
		return 0;
	if (!rib) {
		/* harmless where packets go to the kernel all the same, or the same way */
		if (!kernel || !covered || !record->ours || kernel_decides(record->ours) ||
		    record->ours == WAY_CHANGING || record->ours == kernel)
			return 0;
		return 1u << AUDIT_KERNEL_UNKNOWN;
	}
	if (!kernel)
		return 1u << AUDIT_KERNEL_MISSING;
	/* labels and encapsulations are not compared, only that the route is there */
	if (kernel == rib || kernel == WAY_UNKNOWN || rib == FIB_GROUP_UNSUPPORTED)
		return 0;
	if (kernel & WAY_ODD)
		return kernel_decides(record->ours) ? 0 : 1u << AUDIT_KERNEL_MORE;
	if (rib < WAY_FIRST || kernel < WAY_FIRST)
		return 1u << AUDIT_KERNEL_NEXTHOPS;
	/* zebra and the kernel write weights differently */
	if (ways_within(ways, kernel, rib))
		return ways_within(ways, rib, kernel) ? 0 : 1u << AUDIT_KERNEL_FEWER;
	return all_stand_in(ways, kernel, rib) ? 0 : 1u << AUDIT_KERNEL_NEXTHOPS;
}

bool compare_settled(struct record *record, bool first)
{
	const uint32_t part[] = {record->rib, record->kernel, record->ours, record->flags};
	uint32_t now = 2166136261u;

	for (size_t i = 0; i < sizeof(part) / sizeof(part[0]); i++)
		now = (now ^ part[i]) * 16777619u ^ now >> 15;
	if (first)
		record->before = now;
	return record->before == now;
}

uint32_t compare(const struct ways *ways, const struct record *record)
{
	return compare_ours(record) | compare_kernel(ways, record);
}
