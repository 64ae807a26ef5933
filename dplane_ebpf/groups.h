/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * zebra's next-hop groups: from its ids to the FIB's groups. One thread at a time (zebra's dplane thread).
 */
#ifndef DPLANE_EBPF_GROUPS_H
#define DPLANE_EBPF_GROUPS_H

#include "dplane_ebpf/compat.h"
#include "dplane_ebpf/fib/fib.h"

struct groups;

struct groups *groups_new(struct fib *fib); /* NULL: out of memory */
void groups_free(struct groups *groups);    /* the FIB keeps what routes refer to */

/* Create or change the group of an id. 0 or a negative errno; then its routes go to the kernel. */
int groups_set(struct groups *groups, uint32_t nhe_id, const struct nexthop_group *ng);
void groups_del(struct groups *groups, uint32_t nhe_id);
bool groups_known(struct groups *groups, uint32_t nhe_id);

/*
 * A route of this id has these next hops, and these backups for them, maybe none: next-hop contexts carry none. They hold
 * for all routes of the id, as zebra gives other backups another id, and for later members of it. As groups_set().
 */
int groups_protect(struct groups *groups, uint32_t nhe_id, const struct nexthop_group *ng,
		   const struct nexthop_group *backups);

/*
 * The FIB's group or verdict for a route of this id, with these next hops and an MTU of its own (0: none). An id that is
 * not known gets these next hops. false: no id, or out of memory.
 */
bool groups_find(struct groups *groups, uint32_t nhe_id, const struct nexthop_group *ng,
		 uint16_t mtu, uint32_t *group);

/*
 * A group for next hops without an id, of a route with this MTU. Where *owned is true the caller drops it
 * once a route has it.
 */
uint32_t groups_make(struct groups *groups, const struct nexthop_group *ng,
		     const struct nexthop_group *backups, uint16_t mtu, bool *owned);

#endif /* DPLANE_EBPF_GROUPS_H */
