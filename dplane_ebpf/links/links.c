// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The link thread: starts, reads all there is, waits for netlink, the FIB and the other threads, reads all again after an overrun,
 * stops. It never waits for the kernel's lock of the network configuration (RTNL) but to read everything: see links_internal.h.
 */
#include "dplane_ebpf/links/links_internal.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "dplane_ebpf/heartbeat.h"
#include "dplane_ebpf/log.h"

#define TICK_MS 250 /* a quarter of the shortest time that the tables count without */
#define ASK_TICKS 4
#define RETRY_TICKS 60
#define RESYNC_MIN_MS 10
#define RESYNC_MAX_MS 1000

uint64_t links_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

void links_out_of_memory(struct links *links)
{
	links->errors++;
	if (!links->told_memory)
		dpe_log(LOG_ERR,
			"links: out of memory; packets that this concerns stay with the kernel");
	links->told_memory = true;
}

/* Everything from the kernel, and away with what is no longer there. */
static int read_all(struct links *links)
{
	int err;

	links->resync = false;
	links->resync_at = 0;
	links->generation++;
	netlink_discard_events(links);
	err = netlink_dump_all(links);
	if (!err)
		interface_sweep(links);
	return err;
}

/* Events are read meanwhile: each is true, and what fails now must not wait. */
static void read_all_later(struct links *links)
{
	links->resync_wait = links->resync_wait ? links->resync_wait * 2 : RESYNC_MIN_MS;
	if (links->resync_wait > RESYNC_MAX_MS)
		links->resync_wait = RESYNC_MAX_MS;
	links->resync = true;
	links->resync_at = links_now() + links->resync_wait;
}

static void resync(struct links *links)
{
	bool again = links->resync_wait;
	int err;

	if (links->read) {
		links->resyncs += !again;
		if (!links->told_resync)
			dpe_log(LOG_INFO,
				"links: netlink overran its buffer, everything is read again");
		links->told_resync = true;
	}
	err = read_all(links);
	links->read |= !err;
	if (!err) {
		links->resync_wait = 0;
		return;
	}
	links->errors++;
	if (!again)
		dpe_log(LOG_WARNING,
			"links: cannot read interfaces and neighbours: %s; tried again until it works",
			strerror(-err));
	read_all_later(links);
}

/* The tables are true as long as zebra works, too. */
static void say_alive(struct links *links)
{
	const char *missing = heartbeat_missing(HEARTBEAT_PATIENCE_MS);

	if (missing && !links->told_missing)
		dpe_log(LOG_WARNING,
			"zebra's %s has not come round for %u s: unless it does, packets are the "
			"kernel's when the hold time is over",
			missing, HEARTBEAT_PATIENCE_MS / 1000);
	else if (!missing && links->told_missing)
		dpe_log(LOG_INFO, "zebra goes on; the tables count again");
	links->told_missing = missing;
	if (!missing)
		datapath_alive(links->datapath);
}

bool links_ready(const struct links *links)
{
	return links->read && links->viewed && route_watch_ready(links->routes);
}

static void tick(struct links *links, unsigned int ticks)
{
	if (links_ready(links))
		say_alive(links);
	policy_look(links);
	if (ticks % ASK_TICKS == 0)
		nexthop_retry(links);
	if (ticks % RETRY_TICKS == 0) {
		interface_retry(links);
		neighbour_retry(links);
	}
}

/* The next time that something is to be done without being told. */
static uint64_t next_due(const struct links *links, uint64_t next_tick, uint64_t now)
{
	uint64_t due = next_tick;

	if (links_ready(links) && !list_empty(&links->dirty))
		return now;
	if (links->resync && links->resync_at < due)
		due = links->resync_at;
	if (predecessor_due(links) < due)
		due = predecessor_due(links);
	return due;
}

static void handle(struct links *links)
{
	bool was_ready = links_ready(links);

	netlink_read_events(links);
	if (links->rules_changed)
		rule_read_again(links);
	if (links->resync && links_now() >= links->resync_at)
		resync(links);
	bypass_read(links);
	interface_read_news(links);
	if (links_ready(links)) {
		interface_judge_changed(links);
		nexthop_read_queue(links);
	}
	predecessor_look(links);
	if (!was_ready && links_ready(links))
		datapath_alive(links->datapath);
	netlink_read_errors(links);
}

static void *run(void *arg)
{
	struct links *links = arg;
	struct pollfd fds[] = {
		{.fd = links->events_fd, .events = POLLIN},
		{.fd = links->request_fd, .events = POLLIN},
		{.fd = links->wake_fd, .events = POLLIN},
	};
	uint64_t next_tick = links_now() + TICK_MS;
	unsigned int ticks = 0;

	pthread_setname_np(pthread_self(), "dpe-links");
	policy_look(links);
	while (!links->stop) {
		uint64_t now = links_now(), until = next_due(links, next_tick, now);
		eventfd_t value;

		poll(fds, sizeof(fds) / sizeof(fds[0]), until > now ? until - now : 0);
		eventfd_read(links->wake_fd, &value);

		handle(links);
		if (links_now() >= next_tick) {
			tick(links, ++ticks);
			next_tick = links_now() + TICK_MS;
		}
	}
	return NULL;
}

int links_thread_start(pthread_t *thread, void *(*run_it)(void *), void *arg)
{
	sigset_t all, old;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = pthread_create(thread, NULL, run_it, arg);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return err;
}

static void links_free(struct links *links)
{
	links->stop = true;
	route_watch_close(links->routes);
	attacher_stop(links->attacher);
	bypass_watch_close(links->watch);
	free(links->allowed);
	free((void *)links->settings.list);
	nexthop_free_all(links);
	interface_free_all(links);
	table_free(&links->addresses);
	table_free(&links->neighbours);
	free(links->queue);
	netlink_close(links);
	if (links->wake_fd >= 0)
		close(links->wake_fd);
	pthread_mutex_destroy(&links->lock);
	pthread_mutex_destroy(&links->queue_lock);
	free(links);
}

static void allow(struct links *links, const char *bypass)
{
	char *names = bypass ? strdup(bypass) : NULL, *rest = names, *name;

	while (rest && (name = strsep(&rest, "+")) != NULL) {
		if (name[0])
			links_bypass_allow(links, strcmp(name, "all") ? name : NULL, true);
	}
	free(names);
}

struct links *links_start_with(struct fib *fib, struct datapath *datapath,
			       const struct links_options *options, char *error, size_t error_len)
{
	struct links *links = calloc(1, sizeof(*links));
	int err;

	if (!links) {
		snprintf(error, error_len, "links: out of memory");
		return NULL;
	}
	links->fib = fib;
	links->datapath = datapath;
	links->events_fd = links->dump_fd = links->request_fd = -1;
	list_init(&links->all);
	list_init(&links->dirty);
	pthread_mutex_init(&links->lock, NULL);
	pthread_mutex_init(&links->queue_lock, NULL);
	links->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (links->wake_fd < 0) {
		snprintf(error, error_len, "links: cannot make an eventfd: %s", strerror(errno));
		goto failed;
	}
	if (netlink_open(links, options, error, error_len) < 0)
		goto failed;
	/* before anything is attached: it must not be where it would bypass something */
	allow(links, options->bypass);
	links->watch = bypass_watch_open(datapath, links->wake_fd);
	if (!links->watch) {
		snprintf(error, error_len, "links: out of memory");
		goto failed;
	}
	links->routes = route_watch_open(fib, &links->local_wide, links->wake_fd, error, error_len);
	if (!links->routes)
		goto failed;
	links->behind = datapath_has_predecessor(datapath);
	/* everything is read by the threads: the kernel may have it wait for others, and the caller must not */
	links->resync = true;
	fib_nexthop_watch(fib, nexthop_watcher, links);
	links->attacher = attacher_start(datapath, links->request_fd, links->wake_fd);
	err = links->attacher ? bypass_watch_start(links->watch) : errno;
	if (!err)
		err = route_watch_start(links->routes);
	if (!err)
		err = links_thread_start(&links->thread, run, links);
	if (err) {
		snprintf(error, error_len, "links: cannot start a thread: %s", strerror(err));
		fib_nexthop_watch(fib, NULL, NULL);
		goto failed;
	}
	return links;

failed:
	links_free(links);
	return NULL;
}

struct links *links_start(struct fib *fib, struct datapath *datapath, const char *bypass,
			  char *error, size_t error_len)
{
	const struct links_options options = {.bypass = bypass};

	return links_start_with(fib, datapath, &options, error, error_len);
}

void links_stop(struct links *links)
{
	if (!links)
		return;
	links->stop = true;
	eventfd_write(links->wake_fd, 1);
	pthread_join(links->thread, NULL);
	fib_nexthop_watch(links->fib, NULL, NULL);
	nexthop_read_queue(links);
	links_free(links);
}

void links_take_over(struct links *links, bool at_once)
{
	links->take_over = at_once ? REPLACE_AT_ONCE : REPLACE_SOON;
	eventfd_write(links->wake_fd, 1);
}

void links_freeze(struct links *links)
{
	attacher_freeze(links->attacher);
}

bool links_attaching(struct links *links)
{
	return attacher_is_busy(links->attacher);
}

bool links_behind(const struct links *links)
{
	return links->behind;
}

static int by_ifindex(const void *a, const void *b)
{
	const struct links_interface *x = a, *y = b;

	return (x->ifindex > y->ifindex) - (x->ifindex < y->ifindex);
}

size_t links_interfaces(struct links *links, struct links_interface **list)
{
	size_t n = 0, size = 0;

	pthread_mutex_lock(&links->lock);
	list_for_each(i, &links->all)
		size++;
	*list = calloc(size ? size : 1, sizeof(**list));
	list_for_each(i, &links->all) {
		const struct interface *interface = container_of(i, struct interface, in_all);

		if (*list && interface->shown.ifindex)
			(*list)[n++] = interface->shown;
	}
	pthread_mutex_unlock(&links->lock);
	qsort(*list, n, sizeof(**list), by_ifindex);
	return n;
}

void links_watch_drops(struct links *links, void (*dropped)(void))
{
	route_watch_tell(links->routes, dropped);
}

void links_stats(struct links *links, struct links_stats *stats)
{
	struct route_watch_stats routes;

	route_watch_stats(links->routes, &routes);
	stats->routes = routes.routes;
	stats->route_readings = routes.readings;
	stats->events = links->events;
	stats->resyncs = links->resyncs;
	stats->errors = links->errors + routes.errors;
	stats->neighbours = links->hosts;
	stats->neighbours_refused = links->refused;
}
