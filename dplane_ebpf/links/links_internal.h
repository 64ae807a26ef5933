/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files of links/ share. All state belongs to the link thread, but for what is marked.
 *
 * Netlink messages change the tables of interfaces, addresses and neighbours. Interfaces
 * that changed are put on a list, and judged once the batch has been read: whether packets that come in there are forwarded,
 * and their next hops resolved anew. Everything hangs on its interface, which
 * may be known by its number alone for as long as something does.
 *
 * Three threads: the link thread reads events and writes tables, and waits for nothing; what the kernel takes its time for
 * (programs, requests) is the attacher's (attacher.h), and reading what would be bypassed the watch's (bypass.h).
 */
#ifndef DPLANE_EBPF_LINKS_INTERNAL_H
#define DPLANE_EBPF_LINKS_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <linux/netlink.h>

#include "dplane_ebpf/links/attacher.h"
#include "dplane_ebpf/links/bypass.h"
#include "dplane_ebpf/links/links.h"
#include "dplane_ebpf/links/route.h"
#include "dplane_ebpf/links/table.h"

struct links_options {
	int receive_buffer; /* of the socket that events arrive on, bytes; 0: large */
	const char *bypass; /* as of links_start() */
};

/* links_start() with options that only tests need. */
struct links *links_start_with(struct fib *fib, struct datapath *datapath,
			       const struct links_options *options, char *error, size_t error_len);

/* What net.ipv4.conf or net.ipv6.conf says, of an interface or of "all". */
struct netconf {
	bool known;
	bool forwarding;
	int rp_filter;
	bool proxy; /* it answers for others: proxy_arp, proxy_ndp */
};

struct interface {
	struct table_node by_index;
	struct list in_all;
	struct list in_dirty; /* to be judged at the end of the batch */
	struct list addresses, neighbours, nexthops;

	uint32_t ifindex;
	uint32_t generation;
	bool known;	   /* RTM_NEWLINK seen; else only a number that something refers to */
	bool link_changed; /* since it was judged: next hops may be reached otherwise */
	bool was_running;
	char name[IF_NAMESIZE];
	char kind[16];	      /* "bridge", "vxlan", "tun", ...; a physical one has none */
	char master_kind[16]; /* "bridge", "bond", "vrf", ... */
	uint32_t vrf_table;   /* the kernel's, if this is the device of a VRF; else 0 */
	uint16_t type;	      /* ARPHRD_* */
	uint32_t flags;	      /* IFF_* */
	uint32_t master;
	uint32_t
		lower; /* what a VLAN and the like stands on; 0: nothing in this network namespace */
	bool switchdev; /* a port of hardware that may forward by itself, as the kernel says of it */
	uint32_t mtu;
	uint8_t mac[6];
	bool mac_known;
	struct netconf v4, v6;

	/* how it is used now */
	enum datapath_hook hook;
	bool attached; /* and in use: what is attached and not in use is the attacher's */
	bool asked;    /* of the attacher, that it be attached */
	bool held;     /* the attacher may have something there, also when it was asked to let go */
	bool again;    /* and that it be tried again */
	bool seen;     /* judged before */
	bool use_v4, use_v6;
	uint64_t use_more; /* FIB_IF_LOCAL, FIB_IF_PROXY */
	uint16_t table;	   /* the FIB's, in which packets and own addresses belong */
	bool retry;	   /* attaching failed: try again later */
	char reason[sizeof(((struct links_interface *)0)->reason)];
	uint32_t hosts;

	uint32_t bypass;       /* bits of enum links_bypass: of this interface alone */
	uint32_t bypass_found; /* the same, while a view is read */
	uint32_t bypass_shown; /* with those that all interfaces have */
	bool bypass_allowed;
	bool out_to_kernel; /* next hops out of it are not to be used */

	struct links_interface
		shown; /* under links->lock: what other threads see; ifindex 0: nothing */
};

struct neighbour {
	struct table_node by_key;
	struct list in_interface;
	struct interface *interface;
	struct fib_neigh_key key;
	uint32_t generation;
	uint16_t state;	  /* NUD_* */
	uint8_t flags;	  /* NTF_* */
	uint8_t protocol; /* RTPROT_*: who made it */
	bool managed;	  /* NTF_EXT_MANAGED */
	bool lladdr_known;
	uint8_t lladdr[6];
	bool in_map;
	bool refused; /* the map had no room */
};

struct nexthop {
	struct table_node by_number, by_key;
	struct list in_interface;
	struct interface *interface;
	uint32_t number; /* the FIB's */
	uint32_t generation;
	struct fib_neigh_key key; /* family 0: connected */
	uint16_t mtu;		  /* of its routes; 0: the interface's */
	bool published;
	struct fib_adjacency adjacency; /* as published */
	bool pending;			/* the kernel has to be asked, when asked_at allows */
	bool use_only;			/* the kernel does not take NTF_EXT_MANAGED for this one */
	uint64_t asked_at;		/* ms */
	bool failed;	  /* the neighbour did not answer, and has not been usable since */
	bool had_network; /* an address of the interface covered the gateway once */
};

struct bypass_allowance {
	char name[IF_NAMESIZE];
};

struct nexthop_event {
	uint32_t nexthop;
	struct fib_nexthop_key key;
	bool added;
};

/* What a family's policy rules, in their order, come to for packets that carry no mark. */
struct rules {
	bool by_main; /* those of ordinary interfaces are looked up in table main, and nowhere before but in local */
	bool by_vrf; /* those of members of a VRF in its table, and nowhere before but in local */
	bool local_first; /* those of members of a VRF in table local before */
	bool others; /* there are rules that the kernel did not make: IPv4's look at sources is a closer one then */
	bool main_decided, vrf_decided; /* while they are read: what follows makes no difference */
};
enum replacement { REPLACE_NOT, REPLACE_SOON, REPLACE_AT_ONCE };

/* So many next hops may be out of service before the first of them is forgotten. */
#define OUTAGES_MAX 256u

struct links {
	struct fib *fib;
	struct datapath *datapath;

	int events_fd;	/* netlink: notifications */
	int dump_fd;	/* netlink: everything, at the start and after an overrun */
	int request_fd; /* netlink: neighbours to be resolved; only errors come back */
	int wake_fd;	/* eventfd: next hops queued, news of other threads, or stop */
	uint32_t seq;
	uint8_t *buffer;

	struct table interfaces, addresses, neighbours, nexthops, gateways;
	struct list all, dirty;
	struct netconf all_v4, all_v6;
	struct rules rules_v4, rules_v6;
	bool rules_changed;  /* they have to be read again */
	bool local_first;    /* what interfaces were judged by, of rule_local_first() */
	uint32_t vrfs;	     /* devices */
	uint32_t switchdevs; /* interfaces with that said of them */
	struct attacher *attacher;
	struct bypass_watch *watch;
	bool viewed; /* what would be bypassed has been read */
	struct route_watch *routes;
	atomic_bool local_wide; /* set by it: FIB_TABLE_LOCAL is to be asked first, */
	bool local_was_wide;	/* and whether the interfaces know: for that, or IPv4's rules */
	uint32_t bypass_v4, bypass_v6; /* bits of enum links_bypass: for all interfaces */
	uint32_t generation;	       /* raised by each reading of everything */
	bool read;		       /* everything, once */
	bool resync;		       /* everything has to be read again, at resync_at */
	uint64_t resync_at;	       /* 0: now */
	uint64_t resync_wait;	       /* ms, since it failed; 0: it did not */
	bool told_refused, told_request, told_memory, told_resync, told_missing;

	/* told to be out of service; zebra removes most of them, and adds them again when they are back. ifindex 0: none */
	struct fib_neigh_key outages[OUTAGES_MAX];
	size_t next_outage;

	pthread_t thread;
	_Atomic enum replacement take_over; /* the earlier process's program is to be replaced */
	atomic_bool behind;		    /* it is still there */
	bool replacing, halted; /* the attacher is at it; it forwards nothing any more */
	uint64_t replace_since; /* ms */
	uint64_t checked;	/* events, when its next hops were looked at */
	atomic_bool stop;	/* from here on the program's maps and the FIB stay as they are */
	atomic_uint_fast64_t events, resyncs, errors, refused;
	atomic_uint_fast64_t hosts; /* in the program's map */
	/* tables of VRFs that are gone, by number, to be closed when no interface looks into them */
	uint64_t vrf_left[FIB_MAX_TABLES / 64];

	pthread_mutex_t lock; /* links_interfaces(): all, interface.shown; and what follows */
	struct bypass_allowance *allowed;
	size_t allowed_n;
	bool all_allowed, allowed_changed;
	struct links_settings settings;
	links_name_watcher name_watcher;
	void *name_watcher_arg;

	pthread_mutex_t queue_lock; /* taken under the FIB's lock */
	struct nexthop_event *queue;
	size_t queue_n, queue_size;
	bool queue_lost; /* out of memory: the FIB has to tell everything again */
};

uint64_t links_now(void); /* ms, monotonic */
void links_out_of_memory(struct links *links);
/* Starts a thread that gets no signals: those are for the daemon's own. 0 or an errno. */
int links_thread_start(pthread_t *thread, void *(*run)(void *), void *arg);
/*
 * Before that nothing is judged: an interface must not be used where that would bypass something, or where the kernel's own
 * routes are not known yet; and what an earlier process left must not be taken for wrong.
 */
bool links_ready(const struct links *links);

/* ---- netlink.c ---- */

#define NETLINK_BUFFER (64u * 1024)

/* A socket of rtnetlink's; flags: SOCK_NONBLOCK or 0. -1 and errno. */
int netlink_socket(int flags);
/*
 * One datagram into a buffer of NETLINK_BUFFER bytes; its length, 0 if it is not the kernel's, or a negative errno (-EAGAIN:
 * nothing is there, or not in time). Any thread.
 */
ssize_t netlink_receive(int fd, uint8_t *buffer);

int netlink_open(struct links *links, const struct links_options *options, char *error,
		 size_t error_len);
void netlink_close(struct links *links);

/* Reads what there is on the events socket; sets links->resync where some of it was lost. */
void netlink_read_events(struct links *links);

/* Reads interfaces, sysctls, addresses and neighbours. Negative errno: not all of it. */
int netlink_dump_all(struct links *links);
/* Reads the policy rules. */
int netlink_dump_rules(struct links *links);

/* Throws away what is queued on the events socket: it is older than the dump to come. */
void netlink_discard_events(struct links *links);

/*
 * Tell the kernel to resolve a neighbour, and to keep it so where managed. flags: the entry's own, kept.
 * Errors arrive later at nexthop_request_failed().
 */
void netlink_neighbour_use(struct links *links, const struct fib_neigh_key *key, bool managed,
			   bool create, uint8_t flags);
void netlink_read_errors(struct links *links);

/* ---- interface.c: one message each, already known to be long enough for its header ---- */

void interface_message(struct links *links, const struct nlmsghdr *nlh);
void netconf_message(struct links *links, const struct nlmsghdr *nlh);

struct interface *interface_find(struct links *links, uint32_t ifindex);
/* Found, or made known by its number; NULL: out of memory. */
struct interface *interface_ref(struct links *links, uint32_t ifindex);
/* Frees it if nothing refers to it. */
void interface_unref(struct links *links, struct interface *interface);
bool interface_is_ethernet(const struct interface *interface);
bool interface_is_running(const struct interface *interface);
/* Whether a bridge, bond or the like decides what goes out of it: a VRF does not. */
bool interface_is_port(const struct interface *interface);
bool interface_is_vrf_member(const struct interface *interface);
void interface_changed(struct links *links, struct interface *interface);
void interface_all_changed(struct links *links);
void interface_retry(struct links *links);
/* What the attacher has to tell. */
void interface_read_news(struct links *links);
/*
 * Whatever the changed interfaces need: what is forwarded that comes in there, and how their next hops are reached. So many of
 * them that a link which fails meanwhile does not wait; others stay on links->dirty.
 */
void interface_judge_changed(struct links *links);
void interface_sweep(struct links *links);
void interface_free_all(struct links *links);

/* ---- kind.c: links of all sorts ---- */

/* Whether frames with MAC addresses can be sent out of it. */
bool kind_takes_frames(const struct interface *interface);
/* Whether packets can be handed to it as they are: it has no MAC addresses, and needs nothing else. */
bool kind_takes_packets(const struct interface *interface);
/* Whether what comes in there comes from a port that hardware may have forwarded it from already. */
bool kind_is_switched(const struct links *links, const struct interface *interface);
/* Why a device without an Ethernet header is not accelerated. */
void kind_why_not_in(const struct interface *interface, char *reason, size_t size);
/* The same of an Ethernet device that packets leave by; nothing is written where they do. */
void kind_why_not_out(const struct interface *interface, char *reason, size_t size);

/* ---- vrf.c: which table an interface's packets are looked up in ---- */

/* The kernel's table from a VRF device's IFLA_LINKINFO; 0: it is none. */
uint32_t vrf_read_table(const struct nlattr *linkinfo);
/* The FIB's table for what comes in by an interface. False, and the reason: none that is known. */
bool vrf_table(struct links *links, const struct interface *interface, uint16_t *table,
	       char *reason, size_t size);
/* An interface is, or no longer is, the device of a VRF with this table of the kernel's. */
void vrf_changed(struct links *links, struct interface *interface, uint32_t kernel_table);
/* Closes the tables of VRFs that are gone. When all changed interfaces were judged. */
void vrf_close_left(struct links *links);

/* ---- rule.c ---- */

/* All of a family are about to be read. */
void rule_begin(struct links *links, uint8_t family);
void rule_message(struct links *links, const struct nlmsghdr *nlh);
void rule_read_again(struct links *links);
/* Bits of enum links_bypass: whose packets go other ways than the program would send them. */
uint32_t rule_bypass(const struct links *links, bool v6);
/* Whether packets of VRF members are for the router if its own table local says so, before their VRF's table is asked. */
bool rule_local_first(const struct links *links);

/* ---- bypass.c ---- */

/* Takes over what the watch found, what is allowed, and policy rules: interfaces that this concerns have changed. */
void bypass_read(struct links *links);
void bypass_apply(struct links *links, const struct bypass_view *view);
/* Whether packets that come in there may take the fast path, as configured; else the reason. */
bool settings_accelerate(struct links *links, const char *ifname, char *reason, size_t size);
bool settings_bypass(struct links *links, const char *ifname);

/* Before an interface is judged: what is allowed there, and whether packets out of it may take the fast path. */
void bypass_update(struct links *links, struct interface *interface);
/* Takes away families that would bypass something, and adds to the reason. */
void bypass_judge(struct links *links, struct interface *interface, bool *v4, bool *v6,
		  char *reason, size_t size);

/* ---- address.c ---- */

void address_message(struct links *links, const struct nlmsghdr *nlh);
/* The interface's table is another now: its addresses move there. */
void address_move_interface(struct links *links, struct interface *interface, uint16_t table);
void address_drop_interface(struct links *links, struct interface *interface);
void address_sweep(struct links *links, struct interface *interface);
/* Whether the gateway is in the network of one of the interface's addresses. */
bool address_covers(const struct interface *interface, const struct fib_neigh_key *gateway);

/* ---- neighbour.c ---- */

void neighbour_message(struct links *links, const struct nlmsghdr *nlh);
struct neighbour *neighbour_find(struct links *links, const struct fib_neigh_key *key);
bool neighbour_usable(const struct neighbour *neighbour);
void neighbour_drop_interface(struct links *links, struct interface *interface);
void neighbour_sweep(struct links *links, struct interface *interface);
void neighbour_retry(struct links *links);

/* ---- policy.c ---- */

/* Looks whether the kernel goes by the IPv6 flow label. */
void policy_look(struct links *links);

/* ---- predecessor.c ---- */

/* Takes out of an earlier process's tables what is not so any more, after events; or has them replaced, where that is wanted. */
void predecessor_look(struct links *links);
/* When to look again, ms. */
uint64_t predecessor_due(const struct links *links);

/* ---- nexthop.c ---- */

/* The watcher that the FIB calls, under its lock, from any thread. */
void nexthop_watcher(void *arg, uint32_t nexthop, const struct fib_nexthop_key *key, bool added);
void nexthop_read_queue(struct links *links);
/* A neighbour, or an interface that next hops go out of, is not what it was. */
void nexthop_gateway_changed(struct links *links, const struct fib_neigh_key *key);
void nexthop_interface_changed(struct links *links, struct interface *interface);
void nexthop_request_failed(struct links *links, const struct fib_neigh_key *key, int error);
/* Asks the kernel again where that is due. */
void nexthop_retry(struct links *links);
void nexthop_free_all(struct links *links);
/* Next-hop groups that go by this gateway, whatever the MTU. */
uint64_t nexthop_groups(struct links *links, const struct fib_neigh_key *key);

/* ---- outage.c ---- */

/* How a next hop is reached was published. was_in_service: it was published before, and not as down. */
void outage_note(struct links *links, const struct nexthop *nexthop, bool was_in_service);

#endif /* DPLANE_EBPF_LINKS_INTERNAL_H */
