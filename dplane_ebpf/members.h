/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What zebra's next hops come to for the program: members, backups, or a verdict. Any thread. */
#ifndef DPLANE_EBPF_MEMBERS_H
#define DPLANE_EBPF_MEMBERS_H

#include "dplane_ebpf/compat.h"
#include "dplane_ebpf/fib/fib.h"

/* More members than zebra is built for cannot come; a group with more goes to the kernel. */
#define MEMBERS_MAX MULTIPATH_NUM

/* The members that count, maybe none: FIB_GROUP_FIRST; or a verdict for the whole group. */
uint32_t members_read(const struct nexthop_group *ng, struct fib_member *members, size_t *n);

/* Gives each member that was read from ng the backups that a route has for it. */
void members_add_backups(struct fib_member *members, size_t n, const struct nexthop_group *ng,
			 const struct nexthop_group *backups);

/* What zebra has the kernel take for the MTU of a route, from its own and what it was resolved by; 0: the interfaces'. */
uint16_t members_mtu(uint32_t mtu, uint32_t resolved);

/* Whether packets would go the same ways. */
bool members_same(const struct nexthop_group *a, const struct nexthop_group *b);

#endif /* DPLANE_EBPF_MEMBERS_H */
