/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Interfaces, addresses and neighbours, from netlink. One thread of its own
 * keeps a picture of them, says where packets are forwarded, tells
 * the FIB which addresses are the router's own and how each next hop is
 * reached, and keeps next hops resolved. Two more do what it must not wait for: one attaches the program and detaches it, one reads
 * what would be bypassed. Knows nothing of FRR.
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

/* What others have set up that the fast path would bypass: name, and what it is. */
#define LINKS_BYPASS(X) \
	X(NFTABLES, "nftables", "nftables rules (nft list ruleset)") \
	X(IPTABLES, "iptables", "iptables rules (iptables-legacy-save)") \
	X(XFRM, "xfrm", "IPsec policies or tunnels (ip xfrm policy, ip xfrm state)") \
	X(RULES, "rule", "policy rules beyond the default ones (ip rule)") \
	X(VRF_RULES, "vrf-rule", \
	  "policy rules by which members of VRFs do not go by their VRF first (ip rule)") \
	X(UNKNOWN, "unknown", "what cannot be read (see the log)") \
	X(INGRESS_CHAIN, "nftables-ingress", "nftables chain at ingress") \
	X(INGRESS_FILTER, "tc-ingress", "filters at ingress (tc filter)") \
	X(SWITCHDEV, "switchdev", "hardware that may have forwarded it already (switchdev)") \
	X(EGRESS_CHAIN, "nftables-egress", "nftables chain at egress") \
	X(QDISC, "qdisc", "configured qdisc (tc qdisc)") \
	X(EGRESS_FILTER, "tc-egress", "filters at egress (tc filter)")

enum links_bypass {
#define X(e, name, text) LINKS_BYPASS_##e,
	LINKS_BYPASS(X)
#undef X
		LINKS_BYPASS_MAX
};

/*
 * Opens what only root may read, for a process that gives that up before links_start(). Without it, what such
 * a process cannot open later counts as something that would be bypassed. Once, before other threads are started.
 */
void links_prepare(void);

/*
 * Open the sockets in the caller's network namespace and start the threads, which read everything that
 * is there; the caller waits for nothing. The threads inherit the caller's
 * effective capabilities and need CAP_NET_ADMIN and CAP_SYS_ADMIN. bypass: where links_bypass_allow() holds from the
 * start, names with '+' between them, or "all"; NULL or empty: nowhere.
 * NULL and one line in error otherwise.
 */
struct links *links_start(struct fib *fib, struct datapath *datapath, const char *bypass,
			  char *error, size_t error_len);

/*
 * Whether the fast path is taken by an interface even where that bypasses something: for packets that come in by
 * it, and for those that leave by it. By name, of interfaces to come as well; NULL: all. An interface is allowed to if it
 * is by its name or all are. Any thread.
 */
void links_bypass_allow(struct links *links, const char *ifname, bool allowed);

/* What is configured while zebra runs. */
struct links_setting {
	char name[IF_NAMESIZE];
	bool kernel_only; /* packets that come in there do not take the fast path */
	bool bypass;	  /* as links_bypass_allow() */
};

struct links_settings {
	bool kernel_only;		  /* nowhere, whatever the list says */
	bool bypass;			  /* everywhere */
	const struct links_setting *list; /* by name, also of interfaces to come */
	size_t n;
};

/*
 * These are all the settings now; at the start all is accelerated and nothing bypassed. What links_bypass_allow() allows stays
 * so. -ENOMEM: as before. Any thread; in force within some milliseconds.
 */
int links_configure(struct links *links, const struct links_settings *settings);

/*
 * Ends the thread, after it has let go of the neighbours of next hops that the FIB has no more.
 * It takes as long as the attachment that is being made, some 12 ms. Attachments are left to datapath_close(); neighbours of next hops still in use stay managed by the
 * kernel, for a program that goes on forwarding. NULL is fine. Before fib_free().
 */
void links_stop(struct links *links);

/*
 * The tables are full: what an earlier process left is replaced by ours, without a gap, soon. at_once: what is there contradicts
 * ours. It forwards no more packets, and the kernel those that ours do not yet. Any thread. Nothing happens where there is none.
 */
void links_take_over(struct links *links, bool at_once);
/* Whether an earlier one is still to be replaced. Any thread. */
bool links_behind(const struct links *links);

/* Nothing is attached or detached any more; what packets come in where is forwarded is still told. Any thread. */
void links_freeze(struct links *links);
/* Whether something is being attached at this moment: after links_freeze() not for long. Any thread. */
bool links_attaching(struct links *links);

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
	char reason[256];	 /* this; also where attached for one family of two only */
	uint32_t bypass;	 /* bits of enum links_bypass: what there is here to be bypassed, */
	bool bypass_allowed;	 /* and is, if this */
	bool out_to_kernel;	 /* packets out of it stay with the kernel, because of bypass */
	uint32_t neighbours;	 /* known to the program, on connected networks */
	uint32_t table;		 /* the kernel's: main, or a VRF's */
};

/*
 * Copies what is known, sorted by ifindex. Returns the number of interfaces; *list is
 * malloc'ed, the caller frees. Any thread.
 */
size_t links_interfaces(struct links *links, struct links_interface **list);

/*
 * Told by which name there is an interface now, NULL: it is gone; in the link thread, and of all that exist when it is
 * set. It must not call links. NULL: nobody is told; nobody is being told any more when this returns. Any thread.
 */
typedef void (*links_name_watcher)(void *arg, uint32_t ifindex, const char *name);
void links_watch_names(struct links *links, links_name_watcher watcher, void *arg);

/*
 * Called, in a thread of links', when the kernel may have dropped routes in silence, zebra's among them: an address or a link went.
 * NULL: nobody is; nobody is being called any more when this returns. Any thread.
 */
void links_watch_drops(struct links *links, void (*dropped)(void));

struct links_stats {
	uint64_t events;	     /* netlink messages handled */
	uint64_t resyncs;	     /* times that the socket overran and all was read again */
	uint64_t errors;	     /* attach, map or netlink requests that failed */
	uint64_t neighbours;	     /* hosts in the map */
	uint64_t neighbours_refused; /* now without room in the map */
	uint64_t routes;	     /* the kernel's own, that zebra did not make */
	uint64_t route_readings;     /* times that all of them were read */
};
void links_stats(struct links *links, struct links_stats *stats);

#endif /* DPLANE_EBPF_LINKS_H */
