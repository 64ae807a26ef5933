// SPDX-License-Identifier: GPL-2.0-or-later
/* A FIB with groups by zebra's ids. */
#include "dplane_ebpf/target.h"

struct target *target_new(struct fib *fib)
{
	struct target *target = calloc(1, sizeof(*target));

	if (!target)
		return NULL;
	target->fib = fib;
	target->groups = groups_new(fib);
	target->srcdest = srcdest_new();
	if (target->groups && target->srcdest)
		return target;
	target_free(target);
	return NULL;
}

void target_free(struct target *target)
{
	if (!target)
		return;
	groups_free(target->groups);
	srcdest_free(target->srcdest);
	free(target);
}

void fib_to_prefix(const struct fib_prefix *from, struct prefix *to)
{
	memset(to, 0, sizeof(*to));
	to->family = from->family;
	to->prefixlen = from->len;
	memcpy(&to->u.prefix, from->addr, from->family == AF_INET ? 4 : 16);
}
