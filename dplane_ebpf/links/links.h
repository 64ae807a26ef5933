/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Interfaces, addresses and neighbours, from netlink. One thread of its own
 * keeps a picture of them, attaches the program where packets are forwarded, tells
 * the FIB which addresses are the router's own and how each next hop is
 * reached, and keeps next hops resolved. Knows nothing of FRR.
 */
#ifndef DPLANE_EBPF_LINKS_H
#define DPLANE_EBPF_LINKS_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dplane_ebpf/datapath/datapath.h"
#include "dplane_ebpf/fib/fib.h"

struct links;

/*
 * Open the sockets in the caller's network namespace, read everything that
 * is there, then start the thread. The thread inherits the caller's
 * effective capabilities and needs CAP_NET_ADMIN and CAP_SYS_ADMIN.
 * NULL and one line in error otherwise.
 */
struct links *links_start(struct fib *fib, struct datapath *datapath, char *error,
			  size_t error_len);

/*
 * Ends the thread, after it has let go of the neighbours of next hops that the FIB has no more.
 * Attachments are left to datapath_close(); neighbours of next hops still in use stay managed by the
 * kernel, for a program that goes on forwarding. NULL is fine. Before fib_free().
 */
void links_stop(struct links *links);

/*
 * The tables are full, or what an earlier process left contradicts them: its program is replaced by ours, soon. Any thread.
 * Nothing happens where there is none.
 */
void links_take_over(struct links *links);

struct links_interface {
	uint32_t ifindex;
	char name[IF_NAMESIZE];
	uint8_t mac[6];
	uint32_t mtu;
	bool up;			   /* administratively */
	bool running;			   /* operational state lets packets pass */
	bool v4_forwarding, v6_forwarding; /* the kernel forwards: sysctl */
	bool v4, v6;			   /* the program forwards */
	enum datapath_hook hook; /* DATAPATH_HOOK_NONE: packets go to the kernel, because of */
	char reason[96];	 /* this; also where attached for one family of two only */
	uint32_t neighbours;	 /* known to the program, on connected networks */
	uint32_t table;		 /* the kernel's: main, or a VRF's */
};

/*
 * Copies what is known, sorted by ifindex. Returns the number of interfaces; *list is
 * malloc'ed, the caller frees. Any thread.
 */
size_t links_interfaces(struct links *links, struct links_interface **list);

struct links_stats {
	uint64_t events;	     /* netlink messages handled */
	uint64_t resyncs;	     /* times that the socket overran and all was read again */
	uint64_t errors;	     /* attach, map or netlink requests that failed */
	uint64_t neighbours_refused; /* now without room in the map */
};
void links_stats(struct links *links, struct links_stats *stats);

#endif /* DPLANE_EBPF_LINKS_H */
