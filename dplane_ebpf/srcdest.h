/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * IPv6 source-specific routes ("2001:db8::/32 from 2001:db8:1::/48"). The program looks at destinations only,
 * so a destination that has such a route is the kernel's. One thread at a time.
 */
#ifndef DPLANE_EBPF_SRCDEST_H
#define DPLANE_EBPF_SRCDEST_H

#include "dplane_ebpf/compat.h"

struct srcdest;

struct srcdest *srcdest_new(void); /* NULL: out of memory */
void srcdest_free(struct srcdest *srcdest);

/* A source-specific route of one of the FIB's tables comes (again) or goes. */
int srcdest_add(struct srcdest *srcdest, uint16_t table, const struct prefix *dest,
		const struct prefix *src);
void srcdest_del(struct srcdest *srcdest, uint16_t table, const struct prefix *dest,
		 const struct prefix *src);

/* Whether the destination has one. */
bool srcdest_has(struct srcdest *srcdest, uint16_t table, const struct prefix *dest);

#endif /* DPLANE_EBPF_SRCDEST_H */
