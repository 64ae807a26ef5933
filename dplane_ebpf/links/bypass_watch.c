// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The thread that reads what would be bypassed: at the start, when the kernel says that something changed, once that
 * is quiet, and from time to time, since not everything is told (iptables, tcx).
 */
#include "dplane_ebpf/links/bypass.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <syslog.h>
#include <unistd.h>

#include <linux/netfilter/nfnetlink.h>
#include <linux/rtnetlink.h>
#include <linux/xfrm.h>

#include "dplane_ebpf/links/links_internal.h"
#include "dplane_ebpf/log.h"

/* a change of many rules is many messages */
#define QUIET_MS 100
#define QUIET_MAX_MS 1000
#define AGAIN_MS 1000
#define TICK_MS 15000
#define ATTEMPTS 3
#define BATCH 256

static const struct {
	const char *what;
	int bus; /* -1: the kernel does not tell of changes */
	unsigned int group;
	int (*read)(const struct datapath *datapath, struct bypass_view *view);
} kinds[] = {
	{"nftables", NETLINK_NETFILTER, NFNLGRP_NFTABLES, bypass_read_nftables},
	{"XFRM policies", NETLINK_XFRM, XFRMNLGRP_POLICY, bypass_read_xfrm},
	{"XFRM states", NETLINK_XFRM, XFRMNLGRP_SA, bypass_read_xfrm_states},
	{"qdiscs and filters", NETLINK_ROUTE, RTNLGRP_TC, bypass_read_tc},
	{"iptables", -1, 0, bypass_read_iptables},
};

#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

struct source {
	struct bypass_view view;
	int fd;
	bool read;		  /* once at least */
	bool told;		  /* that it cannot be read */
	uint64_t changed_at, due; /* ms; due 0: nothing to be done */
};

struct bypass_watch {
	const struct datapath *datapath;
	int links_fd; /* to wake the link thread */
	int wake_fd;  /* to wake this one */
	struct source source[KINDS];
	atomic_bool stop, poked;
	bool started;
	pthread_t thread;

	pthread_mutex_t lock; /* fresh */
	struct bypass_view fresh;
	bool is_fresh;
};

bool bypass_view_add(struct bypass_view *view, uint32_t ifindex, uint32_t causes)
{
	if (view->n == view->size) {
		size_t size = view->size ? view->size * 2 : 16;
		struct bypass_port *ports = realloc(view->ports, size * sizeof(*ports));

		if (!ports)
			return false;
		view->ports = ports;
		view->size = size;
	}
	view->ports[view->n++] = (struct bypass_port){ifindex, causes};
	return true;
}

void bypass_view_clear(struct bypass_view *view)
{
	free(view->ports);
	memset(view, 0, sizeof(*view));
}

/* ---- one source ---- */

/* -1: changes are not told of, and found by the tick. */
static int open_notifications(int bus, unsigned int group)
{
	struct sockaddr_nl address = {.nl_family = AF_NETLINK};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, bus);

	if (fd < 0)
		return -1;
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static void failed(struct bypass_watch *watch, size_t i, int err)
{
	struct source *source = &watch->source[i];

	/* what was read before is as good a guess as any, unless it is out of reach for good */
	if (!source->read || err == -EPERM || err == -EACCES) {
		bypass_view_clear(&source->view);
		source->view.v4 = source->view.v6 = BYPASS_BIT(UNKNOWN);
	}
	if (err != -EPERM && err != -EACCES)
		source->due = links_now() + AGAIN_MS;
	if (!source->told)
		dpe_log(LOG_WARNING,
			"cannot read what there is of %s: %s; where bypassing is not allowed "
			"packets may stay with the kernel",
			kinds[i].what, strerror(-err));
	source->told = true;
}

static void read_source(struct bypass_watch *watch, size_t i)
{
	struct source *source = &watch->source[i];
	struct bypass_view view = {0};
	int err = -EAGAIN;

	source->due = source->changed_at = 0;
	for (int attempt = 0; attempt < ATTEMPTS && err == -EAGAIN; attempt++) {
		bypass_view_clear(&view);
		err = kinds[i].read(watch->datapath, &view);
	}
	if (err) {
		bypass_view_clear(&view);
		failed(watch, i, err);
		return;
	}
	bypass_view_clear(&source->view);
	source->view = view;
	source->read = true;
	source->told = false;
}

static void hand_over(struct bypass_watch *watch)
{
	struct bypass_view sum = {0};

	for (size_t i = 0; i < KINDS; i++) {
		const struct bypass_view *view = &watch->source[i].view;

		sum.v4 |= view->v4;
		sum.v6 |= view->v6;
		for (size_t j = 0; j < view->n; j++)
			bypass_view_add(&sum, view->ports[j].ifindex, view->ports[j].causes);
	}
	pthread_mutex_lock(&watch->lock);
	bypass_view_clear(&watch->fresh);
	watch->fresh = sum;
	watch->is_fresh = true;
	pthread_mutex_unlock(&watch->lock);
	eventfd_write(watch->links_fd, 1);
}

bool bypass_watch_take(struct bypass_watch *watch, struct bypass_view *view)
{
	bool is;

	pthread_mutex_lock(&watch->lock);
	is = watch->is_fresh;
	*view = watch->fresh;
	watch->fresh = (struct bypass_view){0};
	watch->is_fresh = false;
	pthread_mutex_unlock(&watch->lock);
	return is;
}

/* ---- the thread ---- */

static void changed(struct source *source, uint64_t now)
{
	if (!source->changed_at)
		source->changed_at = now;
	source->due = now + QUIET_MS;
	if (source->due > source->changed_at + QUIET_MAX_MS)
		source->due = source->changed_at + QUIET_MAX_MS;
}

/* Says only that there was something; an overrun says so too. */
static bool drain(int fd)
{
	char byte;
	bool any = false;

	for (int i = 0; i < BATCH; i++) {
		ssize_t len = recv(fd, &byte, sizeof(byte), MSG_DONTWAIT);

		if (len < 0 && (errno == EAGAIN || errno == EINTR))
			break;
		any = true;
	}
	return any;
}

static void listen_for_changes(struct bypass_watch *watch, uint64_t until)
{
	struct pollfd fds[KINDS + 1] = {{.fd = watch->wake_fd, .events = POLLIN}};
	uint64_t now = links_now();
	eventfd_t value;

	for (size_t i = 0; i < KINDS; i++)
		fds[i + 1] = (struct pollfd){.fd = watch->source[i].fd, .events = POLLIN};
	poll(fds, KINDS + 1, until > now ? until - now : 0);
	now = links_now();
	if (eventfd_read(watch->wake_fd, &value) == 0 && atomic_exchange(&watch->poked, false)) {
		for (size_t i = 0; i < KINDS; i++)
			changed(&watch->source[i], now);
	}
	for (size_t i = 0; i < KINDS; i++) {
		if (fds[i + 1].revents && drain(watch->source[i].fd))
			changed(&watch->source[i], now);
	}
}

static void *run(void *arg)
{
	struct bypass_watch *watch = arg;
	uint64_t tick = links_now() + TICK_MS;

	pthread_setname_np(pthread_self(), "dpe-bypass");
	while (!watch->stop) {
		uint64_t until = tick, now;
		bool any = false;

		for (size_t i = 0; i < KINDS; i++) {
			if (watch->source[i].due && watch->source[i].due < until)
				until = watch->source[i].due;
		}
		listen_for_changes(watch, until);
		now = links_now();
		for (size_t i = 0; i < KINDS && !watch->stop; i++) {
			if (now < tick && (!watch->source[i].due || now < watch->source[i].due))
				continue;
			read_source(watch, i);
			any = true;
		}
		if (now >= tick)
			tick = now + TICK_MS;
		if (any)
			hand_over(watch);
	}
	return NULL;
}

struct bypass_watch *bypass_watch_open(const struct datapath *datapath, int wake_fd)
{
	struct bypass_watch *watch = calloc(1, sizeof(*watch));

	if (!watch)
		return NULL;
	watch->datapath = datapath;
	watch->links_fd = wake_fd;
	watch->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	pthread_mutex_init(&watch->lock, NULL);
	for (size_t i = 0; i < KINDS; i++) {
		/* first listen, then read: so nothing is missed in between */
		watch->source[i].fd =
			kinds[i].bus < 0 ? -1 : open_notifications(kinds[i].bus, kinds[i].group);
		watch->source[i].due = 1;
	}
	return watch;
}

int bypass_watch_start(struct bypass_watch *watch)
{
	int err = links_thread_start(&watch->thread, run, watch);

	watch->started = !err;
	return err;
}

void bypass_watch_poke(struct bypass_watch *watch)
{
	watch->poked = true;
	eventfd_write(watch->wake_fd, 1);
}

void bypass_watch_close(struct bypass_watch *watch)
{
	if (!watch)
		return;
	watch->stop = true;
	eventfd_write(watch->wake_fd, 1);
	if (watch->started)
		pthread_join(watch->thread, NULL);
	for (size_t i = 0; i < KINDS; i++) {
		if (watch->source[i].fd >= 0)
			close(watch->source[i].fd);
		bypass_view_clear(&watch->source[i].view);
	}
	bypass_view_clear(&watch->fresh);
	if (watch->wake_fd >= 0)
		close(watch->wake_fd);
	pthread_mutex_destroy(&watch->lock);
	free(watch);
}
