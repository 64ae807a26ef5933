/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel's own routes: those that zebra did not make. A thread of their own follows them and lays them over zebra's
 * in the FIB (fib_kernel_set()), so that a packet goes as the kernel would have it go:
 *
 *   route_read.c    a message of rtnetlink becomes a struct route
 *   route_book.c    which routes each prefix has, and what that means for it
 *   route_watch.c   the thread: listens, reads all again when something may have been dropped in silence
 */
#ifndef DPLANE_EBPF_LINKS_ROUTE_H
#define DPLANE_EBPF_LINKS_ROUTE_H

#include <stdatomic.h>
#include <linux/netlink.h>

#include "dplane_ebpf/fib/fib.h"
#include "dplane_ebpf/links/table.h"

/* ---- route_read.c ---- */

struct route {
	uint32_t kernel_table;
	struct fib_prefix prefix; /* its table is not filled in */
	uint32_t metric;
	uint8_t tos;
	uint8_t type;	   /* RTN_* */
	uint8_t protocol;  /* RTPROT_* */
	bool replaces;	   /* in place of another one of this metric */
	bool gateway;	   /* a next hop has one */
	uint64_t way;	   /* see fib_kernel_set(); 0: the program has no way for it */
	uint64_t identity; /* what the kernel tells it from others by, mixed */
};

/* False: no route, or not one that packets are looked up by. */
bool route_read(const struct nlmsghdr *nlh, struct route *route);

/* FRR's protocols are these, RTPROT_BGP to this one, and two of the kernel's. */
#define ROUTE_ZEBRAS_LAST 198
/* Whether a protocol (RTPROT_*) is one that zebra writes into its own routes: those it does not read. */
bool route_is_zebras(uint8_t protocol);

/* ---- route_book.c ---- */

struct route_book {
	struct fib *fib;
	struct table prefixes;
	uint32_t generation; /* of the reading of all */
	uint64_t routes;
	bool custom; /* there was a local route once that the kernel did not make: it looks at sources closely since */
	uint32_t wide; /* prefixes of the local table that are no host addresses */
	bool missed; /* the last reading missed some: it takes another one to tell that they are gone */
	bool unsure; /* some prefixes are the kernel's until all is read again */
	bool told_memory;
};

void route_book_init(struct route_book *book, struct fib *fib);
/* What was laid over the FIB's routes stays. */
void route_book_free(struct route_book *book);

/* The kernel has, or no longer has, a route. reading: it was asked for all, and no news. */
void route_book_set(struct route_book *book, const struct route *route, bool reading);
void route_book_del(struct route_book *book, const struct route *route);

/* Between these two, every route that there is was set. whole: none can have been missed. */
void route_book_begin(struct route_book *book);
void route_book_end(struct route_book *book, bool whole);

/* ---- route_watch.c ---- */

struct route_watch;

struct route_watch_stats {
	uint64_t routes;   /* of the kernel's own */
	uint64_t readings; /* times that all were read */
	uint64_t errors;
};

/*
 * Opens the sockets in the caller's network namespace; the thread reads all there is, first. The FIB must outlive it. local_wide: set
 * while the kernel's local table has more than host addresses, or others have made local routes (FIB_TABLE_LOCAL is to be asked
 * first); then, and when that ends, wake_fd, an eventfd or -1, is written to. NULL and one line in error otherwise.
 */
struct route_watch *route_watch_open(struct fib *fib, atomic_bool *local_wide, int wake_fd,
				     char *error, size_t error_len);
/* Starts the thread; 0 or an errno. */
int route_watch_start(struct route_watch *watch);
/* Whether all routes were read once, or that was tried in vain. Any thread; wake_fd is written to when it becomes so. */
bool route_watch_ready(const struct route_watch *watch);
/* What was laid over the FIB's routes stays so. NULL is fine. */
void route_watch_close(struct route_watch *watch);

/*
 * Called, in the watch's thread, when the kernel may have dropped routes in silence, zebra's too. NULL: nobody is; nobody is being
 * called any more when this returns. Any thread.
 */
void route_watch_tell(struct route_watch *watch, void (*dropped)(void));
/* All is to be read again: the FIB has a table that it did not have. Any thread. */
void route_watch_poke(struct route_watch *watch);
void route_watch_stats(struct route_watch *watch, struct route_watch_stats *stats);

#endif /* DPLANE_EBPF_LINKS_ROUTE_H */
