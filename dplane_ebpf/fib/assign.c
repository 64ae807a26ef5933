// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Which slot has which member: as many for each as its share says, and the fewest slots that change. A table may have a home, the
 * one that it goes back to some day: what has to change goes there first.
 */
#include <string.h>

#include "dplane_ebpf/fib/fib_internal.h"

void fib_quotas(const uint64_t *share, uint32_t n, uint32_t slots, uint32_t *quota)
{
	uint64_t total = 0;
	uint32_t left = slots;

	for (uint32_t i = 0; i < n; i++)
		total += share[i];
	for (uint32_t i = 0; i < n; i++) {
		quota[i] = (uint32_t)(slots * share[i] / total);
		left -= quota[i];
	}
	/* fewer are left than members with a remainder: one more each, the largest first */
	for (uint64_t above = total; left;) {
		uint64_t largest = 0, rest;

		for (uint32_t i = 0; i < n; i++) {
			rest = slots * share[i] % total;
			if (rest < above && rest > largest)
				largest = rest;
		}
		for (uint32_t i = 0; i < n && left; i++) {
			if (slots * share[i] % total == largest) {
				quota[i]++;
				left--;
			}
		}
		above = largest;
	}
}

/* A larger table has a smaller one's entries again and again, so that flows find them. */
static uint16_t entry(const struct fib_slot_table *table, uint32_t i)
{
	return table->n ? table->slot[i & (table->n - 1)] : 0;
}

/*
 * The member's scratch by a next hop's number, NULL: it is none of the group's. The number was read from shared memory, and may be
 * any.
 */
static struct fib_assign *assign_of(struct fib *fib, uint16_t nexthop)
{
	uint32_t mark = nexthop < fib->geometry.nexthops ? fib->nexthop[nexthop].mark : 0;

	return mark ? &fib->assign[mark - 1] : NULL;
}

/* Slots that have what they have at home, while there is quota; and how many others each member has. */
static void keep_at_home(struct fib *fib, const struct fib_slot_table *current,
			 const struct fib_slot_table *home, uint16_t *value, uint32_t slots)
{
	for (uint32_t i = 0; i < slots; i++) {
		uint16_t now = entry(current, i);
		struct fib_assign *a = assign_of(fib, now);

		value[i] = 0;
		if (!a)
			continue;
		if (now != entry(home, i)) {
			a->away++;
		} else if (a->left) {
			a->left--;
			value[i] = now;
		}
	}
}

/* Slots of a member with too many, whose own member at home has too few. */
static void send_home(struct fib *fib, const struct fib_slot_table *current,
		      const struct fib_slot_table *home, uint16_t *value, uint32_t slots)
{
	for (uint32_t i = 0; i < slots; i++) {
		struct fib_assign *a = assign_of(fib, entry(current, i));
		struct fib_assign *own = assign_of(fib, entry(home, i));

		if (value[i] || !a || !own || a == own || a->away <= a->left ||
		    own->left <= own->away)
			continue;
		a->away--;
		own->left--;
		value[i] = entry(home, i);
	}
}

static void keep_away(struct fib *fib, const struct fib_slot_table *current,
		      const struct fib_slot_table *home, uint16_t *value, uint32_t slots)
{
	for (uint32_t i = 0; i < slots; i++) {
		uint16_t now = entry(current, i);
		struct fib_assign *a = assign_of(fib, now);

		if (value[i] || !a || now == entry(home, i) || !a->left)
			continue;
		a->left--;
		value[i] = now;
	}
}

static void fill(struct fib *fib, const struct fib_group *group, const struct fib_slot_table *home,
		 uint16_t *value, uint32_t slots)
{
	uint32_t next = 0;

	for (uint32_t i = 0; i < slots; i++) {
		struct fib_assign *own = assign_of(fib, entry(home, i));

		if (value[i] || !own || !own->left)
			continue;
		own->left--;
		value[i] = entry(home, i);
	}
	for (uint32_t i = 0; i < slots; i++) {
		if (value[i])
			continue;
		while (!fib->assign[next].left)
			next++;
		fib->assign[next].left--;
		value[i] = (uint16_t)group->member[next].nexthop;
	}
}

void fib_slots_assign(struct fib *fib, const struct fib_group *group, const uint32_t *quota,
		      const struct fib_slot_table *current, const struct fib_slot_table *home,
		      uint16_t *value, uint32_t slots)
{
	for (uint32_t i = 0; i < group->n; i++) {
		fib->nexthop[group->member[i].nexthop].mark = i + 1;
		fib->assign[i] = (struct fib_assign){.left = quota[i]};
	}
	keep_at_home(fib, current, home, value, slots);
	send_home(fib, current, home, value, slots);
	keep_away(fib, current, home, value, slots);
	fill(fib, group, home, value, slots);
	for (uint32_t i = 0; i < group->n; i++)
		fib->nexthop[group->member[i].nexthop].mark = 0;
}
