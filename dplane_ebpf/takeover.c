// SPDX-License-Identifier: GPL-2.0-or-later
/* Watches zebra fill the tables after a restart. */
#include "dplane_ebpf/compat.h"
#include "dplane_ebpf/takeover.h"

#include <stdatomic.h>

#include "lib/monotime.h"

#define LOOK_MS 100
/* So many looks without a context in between: zebra has no more to say now. */
#define QUIET_LOOKS 5
/* Then what an earlier zebra left is too old, whatever is missing in ours. */
#define LIMIT_MS 15000

static struct {
	compat_loop *loop;
	compat_event *timer;
	uint64_t (*handled)(void);
	void (*now)(bool at_once);
	uint64_t seen;
	unsigned int quiet;
	int64_t started; /* ms */
	atomic_bool pending;
} watch;

bool takeover_pending(void)
{
	return atomic_load_explicit(&watch.pending, memory_order_relaxed);
}

void takeover_now(void)
{
	if (takeover_pending() && atomic_exchange(&watch.pending, false))
		watch.now(true);
}

static int64_t now_ms(void)
{
	return monotime(NULL) / 1000;
}

static void look(compat_event *event)
{
	uint64_t handled = watch.handled();

	if (!takeover_pending())
		return;
	watch.quiet = handled == watch.seen ? watch.quiet + 1 : 0;
	watch.seen = handled;
	if ((handled && watch.quiet >= QUIET_LOOKS) || now_ms() - watch.started >= LIMIT_MS) {
		if (atomic_exchange(&watch.pending, false))
			watch.now(false);
		return;
	}
	compat_add_timer_msec(watch.loop, look, LOOK_MS, &watch.timer);
}

void takeover_start(compat_loop *loop, uint64_t (*handled)(void), void (*now)(bool at_once))
{
	watch.loop = loop;
	watch.handled = handled;
	watch.now = now;
	watch.seen = 0;
	watch.quiet = 0;
	watch.started = now_ms();
	watch.pending = true;
	compat_add_timer_msec(loop, look, LOOK_MS, &watch.timer);
}

void takeover_stop(void)
{
	watch.pending = false;
	compat_cancel_event(&watch.timer);
}
