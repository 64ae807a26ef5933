// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The course of a change of size, from the opening of new tables to the end of the old ones. Programs are replaced while both are
 * kept true, by zebra's updates and by the links, however long the kernel takes for it; the main thread waits for nothing of this.
 */
#include "dplane_ebpf/compat.h"
#include "dplane_ebpf/resize.h"

#include <pthread.h>
#include <signal.h>

#include "zebra/zebra_router.h"

#include "dplane_ebpf/audit/rib.h"
#include "dplane_ebpf/log.h"
#include "dplane_ebpf/provider.h"
#include "dplane_ebpf/repair.h"
#include "dplane_ebpf/takeover.h"

/* The main thread works for so long, and leaves zebra alone for so long afterwards. */
#define CHUNK_US 3000
#define GAP_MS 2
/* So many routes may be on their way to the dplane thread before the main thread reads more. */
#define WAITING_MAX 8192u
#define LOOK_MS 50
/* So many looks at prefixes that zebra goes on changing: their contexts come to the new tables, too. */
#define CHANGING_LOOKS 100u
/* Looks after the last route, for its next hops to be resolved. */
#define SETTLE_LOOKS 4u

enum phase {
	IDLE,
	OPENING,     /* a helper opens the new tables */
	JOINING,     /* the dplane thread is to know of them */
	FILLING,     /* from the RIB */
	CHANGING,    /* what zebra was changing meanwhile */
	SETTLING,    /* the dplane thread and the links are to be done with it */
	FREEZING,    /* the old ones are to attach nothing any more */
	TAKING_OVER, /* programs are replaced */
	LEAVING,     /* the dplane thread is to let go of the old ones */
	FREEING,     /* a helper frees the old tables */
};

static struct {
	compat_loop *loop;
	const struct options *options;
	struct resize_callbacks callbacks;
	struct engine *current;
	bool small;	 /* what current is */
	bool next_small; /* what next is */
	bool wanted;	 /* small, too */
	bool refused;	 /* the last that was wanted cannot be had */

	enum phase phase;
	struct engine next, old;
	compat_event *step, *helped;

	pthread_t helper;
	bool helping;
	bool opened;
	char error[256];

	struct rib_cursor cursor;
	struct fib_prefix *changing;
	size_t n_changing, changing_size;
	size_t to_look; /* so many of them, the first, have not been looked at this time */
	unsigned int looks;
	int64_t began;
} resize;

static void step(compat_event *event);

static void later(unsigned int ms)
{
	compat_cancel_event(&resize.step);
	compat_add_timer_msec(resize.loop, step, ms, &resize.step);
}

static const char *size_name(bool small)
{
	return small ? "small" : "full";
}

static void idle(void)
{
	resize.phase = IDLE;
	later(0);
}

static void give_up(const char *error)
{
	resize.refused = resize.wanted == resize.next_small;
	dpe_log(LOG_ERR, "the tables stay of size %s: %s", size_name(resize.small), error);
	idle();
}

/* ---- what takes too long for the main thread ---- */

static void helped(compat_event *event);

static void *open_next(void *arg)
{
	resize.opened = engine_open(&resize.next, resize.options, resize.next_small,
				    resize.current->datapath, resize.error, sizeof(resize.error));
	if (!resize.opened)
		engine_leave(&resize.next);
	compat_add_event(resize.loop, helped, &resize.helped);
	return NULL;
}

static void *free_old(void *arg)
{
	engine_leave(&resize.old);
	compat_add_event(resize.loop, helped, &resize.helped);
	return NULL;
}

static bool help(void *(*with)(void *))
{
	sigset_t all, old;
	int err = EAGAIN;

	/* signals are zebra's; the privileges are inherited */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	frr_with_privs(&zserv_privs) {
		err = pthread_create(&resize.helper, NULL, with, NULL);
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	resize.helping = !err;
	return resize.helping;
}

static void wait_for_helper(void)
{
	if (resize.helping)
		pthread_join(resize.helper, NULL);
	resize.helping = false;
}

/* ---- the new tables ---- */

static void joined(void)
{
	memset(&resize.cursor, 0, sizeof(resize.cursor));
	resize.n_changing = 0;
	resize.phase = FILLING;
	later(0);
}

static void leave_next(void)
{
	frr_with_privs(&zserv_privs) {
		engine_leave(&resize.next);
	}
}

static void fill(void)
{
	if (!engine_start(&resize.next, resize.options, resize.error, sizeof(resize.error))) {
		leave_next();
		give_up(resize.error);
		return;
	}
	paths_quiet(resize.next.paths, true);
	resize.phase = JOINING;
	resize.callbacks.started();
	if (!provider_join(resize.next.fib, joined)) {
		leave_next();
		give_up("out of memory");
	}
}

static void begin(void)
{
	resize.began = rib_now();
	resize.next_small = resize.wanted;
	resize.phase = OPENING;
	if (!help(open_next))
		give_up("no thread to open new ones");
}

/*
 * A change that passed the dplane thread before it knew of the new tables, and zebra has not heard of the end of yet. It is
 * looked at again; if there is no memory for that, the comparison that follows finds it.
 */
static void is_changing(const struct fib_prefix *prefix)
{
	if (resize.n_changing == resize.changing_size) {
		size_t size = resize.changing_size ? 2 * resize.changing_size : 1024;
		struct fib_prefix *list = realloc(resize.changing, size * sizeof(*list));

		if (!list)
			return;
		resize.changing = list;
		resize.changing_size = size;
	}
	resize.changing[resize.n_changing++] = *prefix;
}

/* One look at each, some at a time; true while there are more. */
static bool look_at_changing(int64_t deadline)
{
	while (resize.to_look) {
		struct fib_prefix prefix = resize.changing[0];

		/* one that still is goes to the end */
		resize.changing[0] = resize.changing[--resize.to_look];
		resize.changing[resize.to_look] = resize.changing[--resize.n_changing];
		rib_fill_one(&prefix, resize.next.fib, is_changing);
		if (rib_now() >= deadline)
			return resize.to_look > 0;
	}
	return false;
}

static void changing(void)
{
	if (repair_waiting() >= WAITING_MAX || look_at_changing(rib_now() + CHUNK_US)) {
		later(GAP_MS);
		return;
	}
	if (!resize.n_changing || ++resize.looks == CHANGING_LOOKS) {
		resize.phase = SETTLING;
		resize.looks = 0;
	}
	resize.to_look = resize.n_changing;
	later(LOOK_MS);
}

/* ---- the exchange ---- */

static void left(void)
{
	resize.callbacks.before();
	resize.old = *resize.current;
	*resize.current = resize.next;
	memset(&resize.next, 0, sizeof(resize.next));
	resize.small = resize.next_small;
	/* of the two that are told the same, one tells it */
	paths_quiet(resize.old.paths, true);
	paths_quiet(resize.current->paths, false);
	datapath_counters_continue(resize.current->datapath, resize.old.datapath);
	dpe_log(LOG_INFO,
		"tables of size %s forward: %" PRIu64 " IPv4 and %" PRIu64
		" IPv6 routes filled in within %" PRId64 " ms",
		size_name(resize.small), resize.cursor.seen[0], resize.cursor.seen[1],
		(rib_now() - resize.began) / 1000);
	resize.callbacks.after();
	resize.phase = FREEING;
	if (!help(free_old)) {
		frr_with_privs(&zserv_privs) {
			engine_leave(&resize.old);
		}
		idle();
	}
}

static void helped(compat_event *event)
{
	wait_for_helper();
	if (resize.phase == FREEING)
		idle();
	else if (resize.opened)
		fill();
	else
		give_up(resize.error);
}

/* ---- its course ---- */

static void step(compat_event *event)
{
	/* zebra takes its tables apart */
	if (zebra_router_in_shutdown())
		return;
	switch (resize.phase) {
	case IDLE:
		if (resize.wanted == resize.small || resize.refused)
			break;
		/* an earlier zebra's are to be replaced first */
		if (takeover_pending() || links_behind(resize.current->links))
			later(LOOK_MS);
		else
			begin();
		break;
	case FILLING:
		if (repair_waiting() < WAITING_MAX &&
		    !rib_fill(&resize.cursor, resize.next.fib, is_changing, rib_now() + CHUNK_US)) {
			resize.phase = CHANGING;
			resize.looks = 0;
			resize.to_look = resize.n_changing;
		}
		later(GAP_MS);
		break;
	case CHANGING:
		changing();
		break;
	case SETTLING:
		if (repair_waiting() == 0 && ++resize.looks == SETTLE_LOOKS) {
			links_freeze(resize.current->links);
			resize.phase = FREEZING;
		}
		later(resize.phase == FREEZING ? 1 : LOOK_MS);
		break;
	case FREEZING:
		if (!links_attaching(resize.current->links)) {
			links_take_over(resize.next.links, false);
			resize.phase = TAKING_OVER;
		}
		later(1);
		break;
	case TAKING_OVER:
		if (links_behind(resize.next.links)) {
			later(1);
			break;
		}
		resize.phase = LEAVING;
		provider_leave(left);
		break;
	case OPENING:
	case JOINING:
	case LEAVING:
	case FREEING:
		break;
	}
}

/* ---- for the others ---- */

void resize_start(compat_loop *loop, struct engine *current, const struct options *options,
		  const struct resize_callbacks *callbacks)
{
	memset(&resize, 0, sizeof(resize));
	resize.loop = loop;
	resize.current = current;
	resize.options = options;
	resize.callbacks = *callbacks;
	resize.small = resize.wanted = options->small;
}

void resize_want(bool small)
{
	if (!resize.current || resize.wanted == small)
		return;
	resize.wanted = small;
	resize.refused = false;
	if (resize.phase == IDLE)
		later(0);
}

struct engine *resize_next(void)
{
	return resize.next.paths ? &resize.next : NULL;
}

void resize_halt(void)
{
	wait_for_helper();
	compat_cancel_event(&resize.step);
	compat_cancel_event(&resize.helped);
}

void resize_stop(void)
{
	if (!resize.current)
		return;
	resize_halt();
	leave_next();
	free(resize.changing);
	resize.changing = NULL;
	resize.n_changing = resize.changing_size = 0;
	resize.current = NULL;
}

void resize_end(void)
{
	frr_with_privs(&zserv_privs) {
		engine_leave(&resize.old);
	}
}
