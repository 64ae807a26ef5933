/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The thread that waits for the kernel. To attach or detach a program the kernel takes the lock of all its network configuration
 * (RTNL), and keeps it for a grace period; who asks for a neighbour waits for whoever has that lock. The link thread, whose
 * failovers must not wait, and zebra's main thread leave all of this to a thread of its own, and do what packets depend
 * on themselves: an interface's word (datapath_interface_set()) is a store.
 *
 * So attaching is asked for and told of later; detaching is lazy: the word is 0 already, and an interface that is wanted
 * again soon, because its link flaps or a setting is tried out, has never lost its program.
 */
#ifndef DPLANE_EBPF_LINKS_ATTACHER_H
#define DPLANE_EBPF_LINKS_ATTACHER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/netlink.h>

#include "dplane_ebpf/datapath/datapath.h"

struct attacher;

/*
 * Starts the thread, with the caller's capabilities and in its network namespace. wake_fd, an eventfd, is written to whenever
 * there is something to take; requests are sent on request_fd. NULL, and errno.
 */
struct attacher *attacher_start(struct datapath *datapath, int request_fd, int wake_fd);
/*
 * Ends the thread, which finishes what it is at (some 12 ms) and sends the requests that wait; what else was asked for is not done.
 * What is attached stays so. NULL is fine.
 */
void attacher_stop(struct attacher *attacher);

/* ---- one interface; all of these, but for the last, are the link thread's ---- */

enum attacher_state { ATTACHER_WAITING, ATTACHER_ATTACHED, ATTACHER_FAILED };

/*
 * The program is to be attached to an interface. ATTACHED: it is, by *hook. FAILED: it could not be, for *err, a negative
 * errno; it is tried again only if `again`. WAITING: attacher_take() tells of the interface when that has changed.
 */
enum attacher_state attacher_want(struct attacher *attacher, uint32_t ifindex, bool again,
				  enum datapath_hook *hook, int *err);
/*
 * It need not be attached there any more, nor what an earlier process left. gone: there is no such interface, or it is not in this
 * namespace any more; one that comes with its number is another.
 */
void attacher_let_go(struct attacher *attacher, uint32_t ifindex, bool gone);
/* Look whether all that was attached is still there; what somebody has taken away is attached again. */
void attacher_check(struct attacher *attacher);

struct attacher_news {
	uint32_t ifindex;
	bool mended;  /* somebody had taken the program away, and it is attached again */
	int unloosed; /* a negative errno: it could not be detached */
};
/* An interface for which attacher_want() has another answer now, or where something else happened. False: there is none. */
bool attacher_take(struct attacher *attacher, struct attacher_news *news);

/* Nothing is attached or detached any more. Any thread. */
void attacher_freeze(struct attacher *attacher);
/* Whether it is at something at this moment. Any thread. */
bool attacher_is_busy(struct attacher *attacher);

/* Whether all that was asked for is done and taken, but for what is lazy. */
bool attacher_is_settled(struct attacher *attacher);

/* ---- what an earlier process left ---- */

/* Asks for datapath_replace(), before anything else. */
void attacher_replace(struct attacher *attacher);
/* Once: it is done, and failed on so many interfaces. */
bool attacher_replaced(struct attacher *attacher, unsigned int *failed);

/* ---- requests ---- */

#define ATTACHER_REQUEST_MAX 144

/* Sends a copy of a netlink request, in the order in which they come. -ENOMEM; -EMSGSIZE: longer than ATTACHER_REQUEST_MAX. */
int attacher_send(struct attacher *attacher, const struct nlmsghdr *request);
/* One that could not be sent, and why: a negative errno. False: there is none. */
bool attacher_take_refused(struct attacher *attacher, uint8_t request[ATTACHER_REQUEST_MAX],
			   int *err);

#endif /* DPLANE_EBPF_LINKS_ATTACHER_H */
