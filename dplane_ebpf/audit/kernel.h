/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files share that read the kernel's side: kernel.c (routes), kernel_nexthop.c, kernel_dump.c. */
#ifndef DPLANE_EBPF_AUDIT_KERNEL_H
#define DPLANE_EBPF_AUDIT_KERNEL_H

#include <libmnl/libmnl.h>

#include "dplane_ebpf/audit/audit_internal.h"

#define KERNEL_BUFFER (128u * 1024)
#define KERNEL_MEMBERS_MAX 512u

/* A socket to ask by, or a negative errno. */
int kernel_open(void);
/*
 * Sends the request and calls cb for each message of the answer; buffer has KERNEL_BUFFER bytes. *interrupted becomes true
 * if something changed meanwhile. 0 or a negative errno, -ECANCELED: it is time to stop.
 */
typedef void (*kernel_message_cb)(void *arg, const struct nlmsghdr *nlh);
int kernel_dump(const struct reading *reading, int fd, struct nlmsghdr *request, char *buffer,
		kernel_message_cb cb, void *arg, bool *interrupted);

/* How one next hop is reached. */
struct kernel_hop {
	struct fib_nexthop_key key;
	bool encap;
};

/* Reads the gateway of an attribute. False: it is not as long as the family's addresses. */
bool kernel_hop_gate(struct kernel_hop *hop, uint8_t family, const void *data, size_t len);

/* Several of them. */
struct kernel_hops {
	struct fib_member member[KERNEL_MEMBERS_MAX];
	size_t n;
	uint32_t odd; /* what stands against comparing them; else 0 */
};

void kernel_hops_add(struct kernel_hops *hops, const struct kernel_hop *hop, uint32_t weight);
uint32_t kernel_hops_way(struct ways *ways, const struct kernel_hops *hops);

/* The kernel's next-hop objects, for routes that are told by nothing but the number of one. */
struct kernel_nexthops;
/* NULL: they cannot be had. */
struct kernel_nexthops *kernel_nexthops_read(const struct reading *reading);
void kernel_nexthops_free(struct kernel_nexthops *nexthops);
/* nexthops may be NULL; hops is for its use. */
uint32_t kernel_nexthops_way(const struct kernel_nexthops *nexthops, struct ways *ways, uint32_t id,
			     struct kernel_hops *hops);

#endif /* DPLANE_EBPF_AUDIT_KERNEL_H */
