// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The thread that follows the kernel's own routes.
 *
 * The kernel tells of each route that is made or deleted, but not of those that it drops together with an address or a
 * link. So after such an event all routes are read again, soon where that is quick, and never so often that it would be more than
 * a tenth of the thread's time. What zebra writes itself is kept out by a filter in the kernel: a full table that comes from BGP does
 * not wake this thread.
 */
#include "dplane_ebpf/links/route.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <syslog.h>
#include <unistd.h>

#include <libmnl/libmnl.h>
#include <linux/filter.h>
#include <linux/rtnetlink.h>

#include "dplane_ebpf/links/links_internal.h"
#include "dplane_ebpf/log.h"

#define EVENTS_BUFFER (16 * 1024 * 1024)
#define DUMP_TIMEOUT_S 5
#define DUMP_ATTEMPTS 3
#define BATCH 64 /* datagrams under the FIB's lock, at most */

#define QUIET_MS 20	/* more of the same may follow an event */
#define PERIOD_MS 30000 /* between two readings when nothing is known to have happened */
#define RETRY_MS 1000
#define SHARE 10u /* at most one part of so many of the time goes into reading */
#define SHARE_IDLE 100u

struct route_watch {
	struct fib *fib;
	struct route_book book;
	atomic_bool *local_wide;
	int links_fd; /* to be told of it */
	int events_fd, dump_fd, wake_fd;
	uint32_t seq;
	uint8_t *buffer;

	uint64_t due;	/* ms: when all is to be read again */
	uint64_t ended; /* when the last reading was, */
	uint64_t took;	/* and how long it took */
	bool dropped;	/* the kernel may have dropped routes since */
	bool told_error;

	atomic_bool stop, ready, poked;
	bool started;
	pthread_t thread;
	atomic_uint_fast64_t routes, readings, errors;

	pthread_mutex_t lock; /* tell */
	void (*tell)(void);
};

/* ---- sockets ---- */

/* Messages on routes of zebra's are not for us; the words of a filter are in network byte order. */
static int filter_zebras(int fd)
{
	const uint32_t type = offsetof(struct nlmsghdr, nlmsg_type);
	const uint32_t protocol = sizeof(struct nlmsghdr) + offsetof(struct rtmsg, rtm_protocol);
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_ABS | BPF_H, type),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(RTM_NEWROUTE), 1, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(RTM_DELROUTE), 0, 6),
		BPF_STMT(BPF_LD | BPF_ABS | BPF_B, protocol),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, RTPROT_ZEBRA, 3, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, RTPROT_BABEL, 2, 0),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, RTPROT_BGP, 0, 2),
		BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, ROUTE_ZEBRAS_LAST, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, 0),
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
	};
	const struct sock_fprog program = {.len = sizeof(code) / sizeof(code[0]), .filter = code};

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
}

static int open_events(void)
{
	static const int groups[] = {RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE, RTNLGRP_LINK,
				     RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR};
	int fd = netlink_socket(SOCK_NONBLOCK), size = EVENTS_BUFFER;

	if (fd < 0)
		return -1;
	/* what is forced may go beyond net.core.rmem_max */
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	if (filter_zebras(fd) < 0)
		goto failed;
	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
		if (setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &groups[i],
			       sizeof(groups[i])) < 0)
			goto failed;
	}
	return fd;

failed:
	close(fd);
	return -1;
}

static int open_dump(void)
{
	const struct timeval timeout = {.tv_sec = DUMP_TIMEOUT_S};
	int fd = netlink_socket(0), yes = 1;

	/* without it a dump has the exceptions of routes, too */
	if (fd >= 0 &&
	    (setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &yes, sizeof(yes)) < 0 ||
	     setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) < 0)) {
		close(fd);
		return -1;
	}
	return fd;
}

/* ---- what is told ---- */

/* All is to be read again, ms from now at the earliest. */
static void read_again(struct route_watch *watch, uint64_t ms)
{
	uint64_t due = links_now() + ms, earliest = watch->ended + watch->took * SHARE;

	if (due < earliest)
		due = earliest;
	if (due < watch->due)
		watch->due = due;
}

static void route_message(struct route_watch *watch, const struct nlmsghdr *nlh, bool reading)
{
	struct route route;

	if (!route_read(nlh, &route) || route_is_zebras(route.protocol))
		return;
	if (nlh->nlmsg_type == RTM_NEWROUTE)
		route_book_set(&watch->book, &route, reading);
	else
		route_book_del(&watch->book, &route);
}

static void dispatch(struct route_watch *watch, const struct nlmsghdr *nlh)
{
	switch (nlh->nlmsg_type) {
	case RTM_NEWROUTE:
	case RTM_DELROUTE:
		route_message(watch, nlh, false);
		break;
	case RTM_NEWLINK:
	case RTM_DELLINK:
	case RTM_NEWADDR:
	case RTM_DELADDR:
		watch->dropped = true;
		read_again(watch, QUIET_MS);
		break;
	}
}

static void read_events(struct route_watch *watch)
{
	ssize_t len = 0;

	fib_batch_begin(watch->fib);
	for (int i = 0; i < BATCH && len >= 0; i++) {
		const struct nlmsghdr *nlh = (const struct nlmsghdr *)watch->buffer;

		len = netlink_receive(watch->events_fd, watch->buffer);
		for (int left = (int)len; mnl_nlmsg_ok(nlh, left); nlh = mnl_nlmsg_next(nlh, &left))
			dispatch(watch, nlh);
	}
	fib_batch_end(watch->fib);
	/* some were lost */
	if (len < 0 && len != -EAGAIN)
		read_again(watch, 0);
	if (watch->book.unsure)
		read_again(watch, 0);
}

/* ---- reading all ---- */

static int request(struct route_watch *watch, uint8_t family)
{
	char buffer[MNL_ALIGN(sizeof(struct nlmsghdr)) + 64] = {0};
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buffer);
	struct rtmsg *rtm = mnl_nlmsg_put_extra_header(nlh, sizeof(*rtm));

	nlh->nlmsg_type = RTM_GETROUTE;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	nlh->nlmsg_seq = ++watch->seq;
	rtm->rtm_family = family;
	return send(watch->dump_fd, nlh, nlh->nlmsg_len, 0) < 0 ? -errno : 0;
}

/* 0: done; 1: go on; negative errno. */
static int read_datagram(struct route_watch *watch, ssize_t len)
{
	const struct nlmsghdr *nlh = (const struct nlmsghdr *)watch->buffer;
	bool interrupted = false;

	for (int left = (int)len; mnl_nlmsg_ok(nlh, left); nlh = mnl_nlmsg_next(nlh, &left)) {
		const struct nlmsgerr *e = mnl_nlmsg_get_payload(nlh);

		if (nlh->nlmsg_seq != watch->seq)
			continue; /* what a dump that timed out had left to say */
		interrupted |= nlh->nlmsg_flags & NLM_F_DUMP_INTR;
		if (nlh->nlmsg_type == NLMSG_DONE)
			return interrupted ? -EAGAIN : 0;
		if (nlh->nlmsg_type == NLMSG_ERROR)
			return mnl_nlmsg_get_payload_len(nlh) >= sizeof(*e) && e->error ? e->error
											: -EPROTO;
		route_message(watch, nlh, true);
	}
	return interrupted ? -EAGAIN : 1;
}

static int read_family(struct route_watch *watch, uint8_t family)
{
	int err = request(watch, family);

	for (bool more = !err; more && !watch->stop;) {
		ssize_t len = netlink_receive(watch->dump_fd, watch->buffer);

		if (len < 0)
			return len == -EAGAIN ? -ETIMEDOUT : (int)len;
		fib_batch_begin(watch->fib);
		err = read_datagram(watch, len);
		fib_batch_end(watch->fib);
		more = err > 0;
	}
	return err;
}

/* A kernel without IPv6 has no such table. */
static int read_families(struct route_watch *watch)
{
	int err = read_family(watch, AF_INET);

	if (!err)
		err = read_family(watch, AF_INET6);
	return err == -EOPNOTSUPP ? 0 : err;
}

static void tell_links(struct route_watch *watch)
{
	bool wide = watch->book.wide > 0 || watch->book.custom,
	     news = atomic_exchange(watch->local_wide, wide) != wide;

	news |= watch->readings && !atomic_exchange(&watch->ready, true);
	if (news && watch->links_fd >= 0)
		eventfd_write(watch->links_fd, 1);
}

static int read_all(struct route_watch *watch)
{
	uint64_t start = links_now();
	int err = -EAGAIN;

	watch->due = UINT64_MAX;
	/* what changes while a dump is under way makes it start again; what it missed is seen by the next one */
	for (int i = 0; i < DUMP_ATTEMPTS && err == -EAGAIN; i++) {
		route_book_begin(&watch->book);
		err = read_families(watch);
		fib_batch_begin(watch->fib);
		route_book_end(&watch->book, !err);
		fib_batch_end(watch->fib);
	}
	watch->readings++;
	watch->ended = links_now();
	watch->took = watch->ended - start;
	if (watch->book.missed || watch->book.unsure || err)
		read_again(watch, err && err != -EAGAIN ? RETRY_MS : QUIET_MS);
	else
		read_again(watch, watch->took * SHARE_IDLE > PERIOD_MS ? watch->took * SHARE_IDLE
								       : PERIOD_MS);
	return err;
}

static void read_all_told(struct route_watch *watch)
{
	int err = read_all(watch);

	if (!err || err == -EAGAIN || watch->stop)
		return;
	watch->errors++;
	if (!watch->told_error)
		dpe_log(LOG_WARNING,
			"cannot read the kernel's own routes: %s; tried again every second, and taken as "
			"they were until then",
			strerror(-err));
	watch->told_error = true;
}

/* ---- the thread ---- */

static void tell_dropped(struct route_watch *watch)
{
	watch->dropped = false;
	pthread_mutex_lock(&watch->lock);
	if (watch->tell)
		watch->tell();
	pthread_mutex_unlock(&watch->lock);
}

static void *run(void *arg)
{
	struct route_watch *watch = arg;
	struct pollfd fds[] = {{.fd = watch->events_fd, .events = POLLIN},
			       {.fd = watch->wake_fd, .events = POLLIN}};

	pthread_setname_np(pthread_self(), "dpe-routes");
	while (!watch->stop) {
		uint64_t now = links_now();
		eventfd_t value;

		poll(fds, 2, watch->due > now ? (int)(watch->due - now) : 0);
		if (eventfd_read(watch->wake_fd, &value) == 0 &&
		    atomic_exchange(&watch->poked, false))
			read_again(watch, 0);
		read_events(watch);
		if (links_now() >= watch->due)
			read_all_told(watch);
		if (watch->dropped)
			tell_dropped(watch);
		watch->routes = watch->book.routes;
		tell_links(watch);
	}
	return NULL;
}

/* ---- for the others ---- */

static void watch_free(struct route_watch *watch)
{
	route_book_free(&watch->book);
	if (watch->events_fd >= 0)
		close(watch->events_fd);
	if (watch->dump_fd >= 0)
		close(watch->dump_fd);
	if (watch->wake_fd >= 0)
		close(watch->wake_fd);
	pthread_mutex_destroy(&watch->lock);
	free(watch->buffer);
	free(watch);
}

struct route_watch *route_watch_open(struct fib *fib, atomic_bool *local_wide, int wake_fd,
				     char *error, size_t error_len)
{
	struct route_watch *watch = calloc(1, sizeof(*watch));

	if (!watch) {
		snprintf(error, error_len, "routes: out of memory");
		return NULL;
	}
	watch->fib = fib;
	watch->local_wide = local_wide;
	watch->links_fd = wake_fd;
	route_book_init(&watch->book, fib);
	pthread_mutex_init(&watch->lock, NULL);
	watch->buffer = malloc(NETLINK_BUFFER);
	watch->events_fd = open_events();
	watch->dump_fd = open_dump();
	watch->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (watch->buffer && watch->events_fd >= 0 && watch->dump_fd >= 0 && watch->wake_fd >= 0)
		return watch;
	snprintf(error, error_len, "routes: cannot listen for the kernel's routes: %s",
		 strerror(errno));
	watch_free(watch);
	return NULL;
}

int route_watch_start(struct route_watch *watch)
{
	int err = links_thread_start(&watch->thread, run, watch);

	watch->started = !err;
	return err;
}

bool route_watch_ready(const struct route_watch *watch)
{
	return watch->ready;
}

void route_watch_close(struct route_watch *watch)
{
	if (!watch)
		return;
	watch->stop = true;
	eventfd_write(watch->wake_fd, 1);
	if (watch->started)
		pthread_join(watch->thread, NULL);
	watch_free(watch);
}

void route_watch_tell(struct route_watch *watch, void (*dropped)(void))
{
	pthread_mutex_lock(&watch->lock);
	watch->tell = dropped;
	pthread_mutex_unlock(&watch->lock);
}

void route_watch_poke(struct route_watch *watch)
{
	watch->poked = true;
	eventfd_write(watch->wake_fd, 1);
}

void route_watch_stats(struct route_watch *watch, struct route_watch_stats *stats)
{
	stats->routes = watch->routes;
	stats->readings = watch->readings;
	stats->errors = watch->errors;
}
