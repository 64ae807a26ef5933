// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The thread that attaches and detaches. Of each interface it knows what is wanted and what is there, and works on the difference:
 * what is asked for and taken back before its turn came is not done at all. Others need the lock that the kernel holds meanwhile,
 * zebra for its routes among them, so it makes pauses as long as what it did.
 */
#include "dplane_ebpf/links/attacher.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>

#include "dplane_ebpf/links/links_internal.h"

/* An interface that is not wanted keeps its program for so long. */
#define LAZY_NS 1000000000ull
/* Pauses, as multiples of what was done: others wait for an attachment, and nobody for a detachment. */
#define PAUSE_ATTACH 1
#define PAUSE_DETACH 8
#define PAUSE_MAX_NS 200000000ull
#define PAUSE_MIN_NS 500000ull

enum there { NOTHING, ATTACHED, FAILED };

struct port {
	struct table_node by_index;
	struct list in_queue, in_news;
	uint32_t ifindex;
	/* what is asked for */
	bool wanted;
	bool renew; /* what is there is another interface's, and goes first */
	bool check;
	bool lazy;    /* in that queue, */
	uint64_t due; /* to be done then */
	/* what is */
	enum there there;
	enum datapath_hook hook;
	int err;
	bool detaching; /* the thread is about to change what is there */
	struct attacher_news news;
};

struct request {
	struct list in_list;
	int err;
	uint8_t message[ATTACHER_REQUEST_MAX];
};

struct attacher {
	struct datapath *datapath; /* what attaches there is this thread's alone */
	int request_fd, wake_fd;
	pthread_t thread;

	pthread_mutex_t lock; /* all that follows; never held while the kernel is waited for */
	pthread_cond_t wake;
	struct table ports;
	struct list soon, lazy, news; /* of ports; lazy: by due */
	struct list requests, refused;
	struct port *at; /* what the thread works on */
	bool stop, frozen, busy;
	bool replace, replaced;
	unsigned int replace_failed;
};

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

/* ---- ports; with the lock ---- */

static struct port *find(const struct attacher *attacher, uint32_t ifindex)
{
	struct table_node *n = table_find(&attacher->ports, table_hash(&ifindex, sizeof(ifindex)));

	while (n && container_of(n, struct port, by_index)->ifindex != ifindex)
		n = n->next;
	return n ? container_of(n, struct port, by_index) : NULL;
}

static struct port *find_or_make(struct attacher *attacher, uint32_t ifindex)
{
	struct port *port = find(attacher, ifindex);

	if (port)
		return port;
	port = calloc(1, sizeof(*port));
	if (!port)
		return NULL;
	port->ifindex = ifindex;
	list_init(&port->in_queue);
	list_init(&port->in_news);
	if (!table_add(&attacher->ports, &port->by_index, table_hash(&ifindex, sizeof(ifindex)))) {
		free(port);
		return NULL;
	}
	return port;
}

/* Nothing is wanted there, nothing is there, and nobody has to be told. */
static void forget_if_idle(struct attacher *attacher, struct port *port)
{
	if (port->wanted || port->there == ATTACHED || port == attacher->at ||
	    !list_empty(&port->in_queue) || !list_empty(&port->in_news))
		return;
	table_del(&attacher->ports, &port->by_index);
	free(port);
}

static void queue_soon(struct attacher *attacher, struct port *port)
{
	list_del(&port->in_queue);
	list_add(&attacher->soon, &port->in_queue);
	pthread_cond_signal(&attacher->wake);
}

static void queue_lazily(struct attacher *attacher, struct port *port, uint64_t delay)
{
	struct list *before = &attacher->lazy;

	if (!list_empty(&port->in_queue))
		return;
	port->due = now_ns() + delay;
	/* by due, which mostly means at the end */
	while (before->prev != &attacher->lazy &&
	       container_of(before->prev, struct port, in_queue)->due > port->due)
		before = before->prev;
	list_add(before, &port->in_queue);
	pthread_cond_signal(&attacher->wake);
}

static void tell(struct attacher *attacher, struct port *port)
{
	if (list_empty(&port->in_news))
		list_add(&attacher->news, &port->in_news);
	eventfd_write(attacher->wake_fd, 1);
}

/* ---- for the link thread ---- */

enum attacher_state attacher_want(struct attacher *attacher, uint32_t ifindex, bool again,
				  enum datapath_hook *hook, int *err)
{
	enum attacher_state state = ATTACHER_WAITING;
	struct port *port;

	*hook = DATAPATH_HOOK_NONE;
	*err = 0;
	pthread_mutex_lock(&attacher->lock);
	port = find_or_make(attacher, ifindex);
	if (!port) {
		*err = -ENOMEM;
		state = ATTACHER_FAILED;
	} else if (port->there == ATTACHED && !port->renew && !port->detaching) {
		*hook = port->hook;
		state = ATTACHER_ATTACHED;
		/* what is queued is that it be detached, or looked at */
		if (!port->check)
			list_del(&port->in_queue);
	} else if (port->there == FAILED && port->wanted && !again) {
		*err = port->err;
		state = ATTACHER_FAILED;
	} else if (!port->wanted || (port != attacher->at && list_empty(&port->in_queue))) {
		queue_soon(attacher, port);
	}
	if (port)
		port->wanted = true;
	pthread_mutex_unlock(&attacher->lock);
	return state;
}

void attacher_let_go(struct attacher *attacher, uint32_t ifindex, bool gone)
{
	struct port *port;

	pthread_mutex_lock(&attacher->lock);
	port = find_or_make(attacher, ifindex);
	if (port) {
		bool was_there = port->there == ATTACHED || port == attacher->at;

		port->wanted = false;
		port->renew |= gone;
		if (gone)
			queue_soon(attacher, port);
		else
			queue_lazily(attacher, port, was_there ? LAZY_NS : 0);
	}
	pthread_mutex_unlock(&attacher->lock);
}

void attacher_check(struct attacher *attacher)
{
	pthread_mutex_lock(&attacher->lock);
	for (uint32_t i = 0; i < attacher->ports.size; i++) {
		for (struct table_node *n = attacher->ports.bucket[i]; n; n = n->next) {
			struct port *port = container_of(n, struct port, by_index);

			if (!port->wanted || port->there != ATTACHED)
				continue;
			port->check = true;
			if (list_empty(&port->in_queue))
				queue_soon(attacher, port);
		}
	}
	pthread_mutex_unlock(&attacher->lock);
}

bool attacher_take(struct attacher *attacher, struct attacher_news *news)
{
	bool is;

	pthread_mutex_lock(&attacher->lock);
	is = !list_empty(&attacher->news);
	if (is) {
		struct port *port = container_of(attacher->news.next, struct port, in_news);

		*news = port->news;
		news->ifindex = port->ifindex;
		memset(&port->news, 0, sizeof(port->news));
		list_del(&port->in_news);
		forget_if_idle(attacher, port);
	}
	pthread_mutex_unlock(&attacher->lock);
	return is;
}

void attacher_freeze(struct attacher *attacher)
{
	pthread_mutex_lock(&attacher->lock);
	attacher->frozen = true;
	pthread_mutex_unlock(&attacher->lock);
}

bool attacher_is_busy(struct attacher *attacher)
{
	bool busy;

	pthread_mutex_lock(&attacher->lock);
	busy = attacher->busy;
	pthread_mutex_unlock(&attacher->lock);
	return busy;
}

bool attacher_is_settled(struct attacher *attacher)
{
	bool settled;

	pthread_mutex_lock(&attacher->lock);
	settled = !attacher->busy && list_empty(&attacher->soon) && list_empty(&attacher->news);
	pthread_mutex_unlock(&attacher->lock);
	return settled;
}

void attacher_replace(struct attacher *attacher)
{
	pthread_mutex_lock(&attacher->lock);
	attacher->replace = true;
	pthread_cond_signal(&attacher->wake);
	pthread_mutex_unlock(&attacher->lock);
}

bool attacher_replaced(struct attacher *attacher, unsigned int *failed)
{
	bool replaced;

	pthread_mutex_lock(&attacher->lock);
	replaced = attacher->replaced;
	attacher->replaced = false;
	*failed = attacher->replace_failed;
	pthread_mutex_unlock(&attacher->lock);
	return replaced;
}

int attacher_send(struct attacher *attacher, const struct nlmsghdr *request)
{
	struct request *copy;

	if (request->nlmsg_len > ATTACHER_REQUEST_MAX)
		return -EMSGSIZE;
	copy = calloc(1, sizeof(*copy));
	if (!copy)
		return -ENOMEM;
	memcpy(copy->message, request, request->nlmsg_len);
	pthread_mutex_lock(&attacher->lock);
	list_add(&attacher->requests, &copy->in_list);
	pthread_cond_signal(&attacher->wake);
	pthread_mutex_unlock(&attacher->lock);
	return 0;
}

/* The first of a list, taken out; NULL: it is empty. With the lock. */
static struct request *pop(struct list *list)
{
	struct request *request;

	if (list_empty(list))
		return NULL;
	request = container_of(list->next, struct request, in_list);
	list_del(&request->in_list);
	return request;
}

bool attacher_take_refused(struct attacher *attacher, uint8_t message[ATTACHER_REQUEST_MAX],
			   int *err)
{
	struct request *request;

	pthread_mutex_lock(&attacher->lock);
	request = pop(&attacher->refused);
	pthread_mutex_unlock(&attacher->lock);
	if (!request)
		return false;
	memcpy(message, request->message, ATTACHER_REQUEST_MAX);
	*err = request->err;
	free(request);
	return true;
}

/* ---- the thread; it has the lock but for what takes time ---- */

static void send_requests(struct attacher *attacher)
{
	struct request *request;

	while ((request = pop(&attacher->requests))) {
		const struct nlmsghdr *nlh = (const struct nlmsghdr *)request->message;
		ssize_t sent;

		pthread_mutex_unlock(&attacher->lock);
		sent = send(attacher->request_fd, nlh, nlh->nlmsg_len, MSG_DONTWAIT);
		request->err = sent < 0 ? -errno : 0;
		pthread_mutex_lock(&attacher->lock);
		if (!request->err) {
			free(request);
			continue;
		}
		list_add(&attacher->refused, &request->in_list);
		eventfd_write(attacher->wake_fd, 1);
	}
}

static void check_all(struct attacher *attacher)
{
	pthread_mutex_unlock(&attacher->lock);
	attacher_check(attacher);
	pthread_mutex_lock(&attacher->lock);
}

static void replace(struct attacher *attacher)
{
	unsigned int failed;

	attacher->replace = false;
	attacher->busy = true;
	pthread_mutex_unlock(&attacher->lock);
	failed = datapath_replace(attacher->datapath);
	pthread_mutex_lock(&attacher->lock);
	attacher->busy = false;
	attacher->replace_failed = failed;
	attacher->replaced = true;
	if (failed)
		check_all(attacher);
	eventfd_write(attacher->wake_fd, 1);
}

/* What is wanted at one interface is done; a negative errno. With the lock on entry and on return. */
static void work(struct attacher *attacher, struct port *port)
{
	bool wanted = port->wanted, renew = port->renew, check = port->check;
	enum datapath_hook hook = DATAPATH_HOOK_NONE;
	int detached = 0, attached = 0;

	list_del(&port->in_queue);
	port->renew = port->check = false;
	port->detaching = !wanted || renew;
	attacher->at = port;
	attacher->busy = true;
	pthread_mutex_unlock(&attacher->lock);
	if (!wanted || renew)
		detached = datapath_detach(attacher->datapath, port->ifindex);
	if (wanted && check && !renew)
		attached = datapath_attach_again(attacher->datapath, port->ifindex, &hook);
	else if (wanted)
		attached = datapath_attach(attacher->datapath, port->ifindex, &hook);
	pthread_mutex_lock(&attacher->lock);
	attacher->at = NULL;
	attacher->busy = port->detaching = false;
	port->hook = hook;
	port->err = attached < 0 ? attached : 0;
	port->there = !wanted ? NOTHING : attached < 0 ? FAILED : ATTACHED;
	port->news.mended |= attached > 0;
	port->news.unloosed = detached ? detached : port->news.unloosed;
	if (detached || (wanted && (!check || attached)))
		tell(attacher, port);
	forget_if_idle(attacher, port);
}

/* Until a time, or something is to be done. True: it is that time. */
static bool wait_until(struct attacher *attacher, uint64_t ns)
{
	struct timespec ts = {.tv_sec = (time_t)(ns / 1000000000ull),
			      .tv_nsec = (long)(ns % 1000000000ull)};

	if (ns == UINT64_MAX)
		return pthread_cond_wait(&attacher->wake, &attacher->lock) != 0;
	return pthread_cond_timedwait(&attacher->wake, &attacher->lock, &ts) == ETIMEDOUT;
}

/* The lock is left to others for a while. Requests do not wait for that. */
static void pause_after(struct attacher *attacher, bool attached, uint64_t ns)
{
	uint64_t until;

	ns *= attached ? PAUSE_ATTACH : PAUSE_DETACH;
	until = now_ns() + (ns < PAUSE_MAX_NS ? ns : PAUSE_MAX_NS);
	while (ns >= PAUSE_MIN_NS && !attacher->stop && !attacher->replace &&
	       (attached || list_empty(&attacher->soon)) && !wait_until(attacher, until))
		send_requests(attacher);
}

/* The next one whose turn it is; otherwise NULL, and when to look again. */
static struct port *next(const struct attacher *attacher, uint64_t *until)
{
	struct port *port;

	*until = UINT64_MAX;
	if (attacher->frozen)
		return NULL;
	if (!list_empty(&attacher->soon))
		return container_of(attacher->soon.next, struct port, in_queue);
	if (list_empty(&attacher->lazy))
		return NULL;
	port = container_of(attacher->lazy.next, struct port, in_queue);
	*until = port->due;
	return port->due <= now_ns() ? port : NULL;
}

static void *run(void *arg)
{
	struct attacher *attacher = arg;
	uint64_t until;

	pthread_setname_np(pthread_self(), "dpe-attach");
	pthread_mutex_lock(&attacher->lock);
	while (!attacher->stop) {
		struct port *port;
		uint64_t began;
		bool wanted;

		send_requests(attacher);
		if (attacher->replace) {
			replace(attacher);
			continue;
		}
		port = next(attacher, &until);
		if (!port) {
			if (list_empty(&attacher->requests))
				wait_until(attacher, until);
			continue;
		}
		wanted = port->wanted;
		began = now_ns();
		work(attacher, port);
		pause_after(attacher, wanted, now_ns() - began);
	}
	send_requests(attacher);
	pthread_mutex_unlock(&attacher->lock);
	return NULL;
}

static void free_requests(struct list *list)
{
	struct request *request;

	while ((request = pop(list)))
		free(request);
}

static void attacher_free(struct attacher *attacher)
{
	for (uint32_t i = 0; i < attacher->ports.size; i++) {
		struct table_node *n = attacher->ports.bucket[i], *after;

		for (; n; n = after) {
			after = n->next;
			free(container_of(n, struct port, by_index));
		}
	}
	table_free(&attacher->ports);
	free_requests(&attacher->requests);
	free_requests(&attacher->refused);
	pthread_cond_destroy(&attacher->wake);
	pthread_mutex_destroy(&attacher->lock);
	free(attacher);
}

struct attacher *attacher_start(struct datapath *datapath, int request_fd, int wake_fd)
{
	struct attacher *attacher = calloc(1, sizeof(*attacher));
	pthread_condattr_t clock;
	int err;

	if (!attacher)
		return NULL;
	attacher->datapath = datapath;
	attacher->request_fd = request_fd;
	attacher->wake_fd = wake_fd;
	list_init(&attacher->soon);
	list_init(&attacher->lazy);
	list_init(&attacher->news);
	list_init(&attacher->requests);
	list_init(&attacher->refused);
	pthread_mutex_init(&attacher->lock, NULL);
	pthread_condattr_init(&clock);
	pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
	pthread_cond_init(&attacher->wake, &clock);
	pthread_condattr_destroy(&clock);
	err = links_thread_start(&attacher->thread, run, attacher);
	if (!err)
		return attacher;
	attacher_free(attacher);
	errno = err;
	return NULL;
}

void attacher_stop(struct attacher *attacher)
{
	if (!attacher)
		return;
	pthread_mutex_lock(&attacher->lock);
	attacher->stop = true;
	pthread_cond_signal(&attacher->wake);
	pthread_mutex_unlock(&attacher->lock);
	pthread_join(attacher->thread, NULL);
	attacher_free(attacher);
}
