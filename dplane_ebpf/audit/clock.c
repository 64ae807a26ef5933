// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * When to compare. Two timers of zebra's main thread: `regular`, from the end of one run to the next, and `soon`, after something
 * happened. A route that the kernel refuses never reaches the module's provider, as zebra does not hand it on; but zebra counts
 * such errors, and `show zebra dplane` has the count, which is asked for once a second.
 */
#include "dplane_ebpf/compat.h"
#include "dplane_ebpf/audit/clock.h"

#include <pthread.h>

#include "lib/buffer.h"

#include "dplane_ebpf/audit/audit.h"
#include "dplane_ebpf/audit/rib.h"

/* Between two runs: at least so long, and so long that they take no more than a hundredth of one CPU; at most so long. */
#define REGULAR_MIN_US INT64_C(10000000)
#define REGULAR_MAX_US INT64_C(600000000)
#define REGULAR_SHARE 100
/* After something happened: when it is over, but not for ever; and nine tenths of the time for other things. */
#define QUIET_US 200000
#define QUIET_MAX_US 2000000
#define SOON_MIN_US 2000000
#define SOON_SHARE 10
#define REFUSED_MS 1000

static struct {
	pthread_mutex_t mutex; /* of what other threads touch: these four */
	compat_loop *loop;     /* NULL: there is no audit */
	compat_event *happened;
	int64_t first, last; /* calls of audit_soon() that no run has seen; 0: none */

	compat_event *regular, *soon, *refusals;
	clock_cb cb;
	bool running;
	int64_t ended, took_us;
	struct vty *vty; /* a terminal in memory */
	uint64_t refused;
} now = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static int64_t least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t most(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* ---- from the end of one run to the next ---- */

static void on_regular(compat_event *event)
{
	now.cb();
}

static void set_regular(int64_t cpu_us)
{
	int64_t us = least(most(REGULAR_SHARE * cpu_us, REGULAR_MIN_US), REGULAR_MAX_US);

	compat_cancel_event(&now.regular);
	compat_add_timer_msec(now.loop, on_regular, us / 1000, &now.regular);
}

/* ---- after something happened ---- */

/* When a run is to begin that was asked for; 0: none was. */
static int64_t due(void)
{
	int64_t due = 0;

	pthread_mutex_lock(&now.mutex);
	if (now.first)
		due = least(now.last + QUIET_US, now.first + QUIET_MAX_US);
	pthread_mutex_unlock(&now.mutex);
	if (!due || !now.ended)
		return due;
	return most(due, now.ended + most(SOON_MIN_US, SOON_SHARE * now.took_us));
}

static void see_to_it(compat_event *event)
{
	int64_t us = due();

	/* what happens during a run is seen to at its end */
	if (!us || now.running)
		return;
	us -= rib_now();
	if (us <= 0) {
		now.cb();
		return;
	}
	compat_cancel_event(&now.soon);
	compat_add_timer_msec(now.loop, see_to_it, us / 1000 + 1, &now.soon);
}

void audit_soon(void)
{
	pthread_mutex_lock(&now.mutex);
	if (now.loop) {
		now.last = rib_now();
		/* one message to the main thread for all of them until a run begins */
		if (!now.first) {
			now.first = now.last;
			compat_add_event(now.loop, see_to_it, &now.happened);
		}
	}
	pthread_mutex_unlock(&now.mutex);
}

/* ---- what the kernel refused ---- */

/* The numbers behind "errors:" in what zebra says of its data plane, added up. */
static uint64_t count_refused(void)
{
	uint64_t refused = 0;
	char *text;

	dplane_show_helper(now.vty, false);
	text = buffer_getstr(now.vty->obuf);
	buffer_reset(now.vty->obuf);
	for (const char *at = text; (at = strstr(at, "errors:"));) {
		at += strlen("errors:");
		refused += strtoull(at, NULL, 10);
	}
	XFREE(MTYPE_TMP, text);
	return refused;
}

static void look_at_refusals(compat_event *event)
{
	uint64_t refused = count_refused();

	if (refused != now.refused)
		audit_soon();
	now.refused = refused;
	compat_add_timer_msec(now.loop, look_at_refusals, REFUSED_MS, &now.refusals);
}

static void watch_refusals(void)
{
	now.vty = calloc(1, sizeof(*now.vty));
	if (!now.vty)
		return;
	now.vty->type = VTY_FILE;
	now.vty->obuf = buffer_new(0);
	now.refused = count_refused();
	compat_add_timer_msec(now.loop, look_at_refusals, REFUSED_MS, &now.refusals);
}

/* ---- its course ---- */

void clock_start(compat_loop *loop, clock_cb cb)
{
	pthread_mutex_lock(&now.mutex);
	now.loop = loop;
	now.first = now.last = 0;
	pthread_mutex_unlock(&now.mutex);
	now.cb = cb;
	now.running = false;
	now.ended = now.took_us = 0;
	set_regular(0);
	watch_refusals();
}

void clock_stop(void)
{
	pthread_mutex_lock(&now.mutex);
	now.loop = NULL;
	pthread_mutex_unlock(&now.mutex);
	compat_cancel_event(&now.happened);
	compat_cancel_event(&now.soon);
	compat_cancel_event(&now.regular);
	compat_cancel_event(&now.refusals);
	if (now.vty)
		buffer_free(now.vty->obuf);
	free(now.vty);
	now.vty = NULL;
}

void clock_began(void)
{
	pthread_mutex_lock(&now.mutex);
	now.first = now.last = 0;
	pthread_mutex_unlock(&now.mutex);
	now.running = true;
	compat_cancel_event(&now.soon);
	compat_cancel_event(&now.regular);
}

void clock_ended(int64_t took_us, int64_t cpu_us)
{
	now.running = false;
	now.ended = rib_now();
	now.took_us = took_us;
	set_regular(cpu_us);
	see_to_it(NULL);
}
