/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the fast path would bypass: packet filters, IPsec, traffic control. Reading that takes as long as
 * others have rules, and waits for locks of the kernel that whoever changes them holds for milliseconds. So it has
 * a thread of its own, which hands views over to the link thread, whose failovers wait for nothing of this.
 */
#ifndef DPLANE_EBPF_LINKS_BYPASS_H
#define DPLANE_EBPF_LINKS_BYPASS_H

#include <net/if.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/netlink.h>

#include "dplane_ebpf/datapath/datapath.h"
#include "dplane_ebpf/links/links.h"

#define BYPASS_BIT(cause) (1u << LINKS_BYPASS_##cause)

/* Of an interface that packets leave by; all others concern those that come in. */
#define BYPASS_OUT (BYPASS_BIT(EGRESS_CHAIN) | BYPASS_BIT(QDISC) | BYPASS_BIT(EGRESS_FILTER))

/* What was found: for all interfaces by family, and of single ones. */
struct bypass_view {
	uint32_t v4, v6; /* bits of enum links_bypass */
	struct bypass_port {
		uint32_t ifindex;
		uint32_t causes;
	} * ports; /* one interface may be there several times */
	size_t n, size;
};

/* False: out of memory. */
bool bypass_view_add(struct bypass_view *view, uint32_t ifindex, uint32_t causes);
void bypass_view_clear(struct bypass_view *view);

/* ---- bypass_watch.c: the thread ---- */

struct bypass_watch;

/*
 * Opens the sockets in the caller's network namespace. wake_fd is written to whenever
 * there is a view to take. NULL: out of memory.
 */
struct bypass_watch *bypass_watch_open(const struct datapath *datapath, int wake_fd);
/*
 * Starts the thread, with the caller's capabilities. It reads all there is; what cannot be read is in the view, as unknown. An
 * errno.
 */
int bypass_watch_start(struct bypass_watch *watch);
/* Ends the thread if there is one, and frees. NULL is fine. */
void bypass_watch_close(struct bypass_watch *watch);
/* Interfaces came or changed their names: read again soon. Any thread. */
void bypass_watch_poke(struct bypass_watch *watch);
/* The latest view, once; the caller clears it. False: nothing new. Any thread. */
bool bypass_watch_take(struct bypass_watch *watch, struct bypass_view *view);

/*
 * ---- the readers: each adds to a view. 0, also where the kernel has no such thing; or a negative errno ----
 */

int bypass_read_nftables(const struct datapath *datapath, struct bypass_view *view);
int bypass_read_iptables(const struct datapath *datapath, struct bypass_view *view);
int bypass_read_xfrm_states(const struct datapath *datapath, struct bypass_view *view);
int bypass_read_xfrm(const struct datapath *datapath, struct bypass_view *view);
int bypass_read_tc(const struct datapath *datapath, struct bypass_view *view);

/* One message or answer each, into a view; nothing about its contents is taken for granted. */
void bypass_chain_message(const struct nlmsghdr *nlh, struct bypass_view *view);
void bypass_state_message(const struct nlmsghdr *nlh, struct bypass_view *view);
void bypass_policy_message(const struct nlmsghdr *nlh, struct bypass_view *view);
/* A table's entries as the kernel gives them: does any chain on the way through do anything? */
struct ipt_getinfo;
bool bypass_table_matters(int family, const struct ipt_getinfo *info, const uint8_t *entries,
			  size_t len);

/* ---- bypass_request.c ---- */

/* True: what was wanted is known, the rest need not be read. */
typedef bool (*bypass_handler)(const struct nlmsghdr *nlh, void *arg);
/*
 * Sends a request on a socket of its own and hands over the answer. 0 or a negative errno; -EAGAIN: what is
 * there changed meanwhile, and some of it may be missing.
 */
int bypass_request(int bus, const struct nlmsghdr *request, bypass_handler handler, void *arg);
bool bypass_is_unsupported(int err);

#endif /* DPLANE_EBPF_LINKS_BYPASS_H */
