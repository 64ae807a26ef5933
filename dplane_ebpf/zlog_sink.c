// SPDX-License-Identifier: GPL-2.0-or-later
/* Lines of the log on their way to zebra's main thread, and past zebra's start. */
#include "dplane_ebpf/zlog_sink.h"

#include <pthread.h>

#include "dplane_ebpf/log.h"

#define WAITING_MAX 256

/*
 * Where an integrated frr.conf says where to log, it does so after zebra has started: what is
 * logged before goes nowhere. So lines wait for the end of the configuration that vtysh sends,
 * or so long, should there be none.
 */
#define HOLD_SECONDS 5
#define END_OF_CONFIGURATION "XFRR_end_configuration"

struct waiting {
	int priority;
	char line[512];
};

static struct {
	pthread_t main_thread;
	compat_loop *loop;
	compat_event *event, *timer;
	void (*released)(void);
	pthread_mutex_t mutex; /* of what follows */
	struct waiting waiting[WAITING_MAX];
	size_t n;
	uint64_t lost;
	bool hold;
} sink = {.mutex = PTHREAD_MUTEX_INITIALIZER};

/* Taken in small batches, so that the lock is not held while zlog() writes to a disk. */
static void flush(void)
{
	struct waiting batch[8];
	uint64_t lost;
	size_t n;

	do {
		pthread_mutex_lock(&sink.mutex);
		n = sink.n < array_size(batch) ? sink.n : array_size(batch);
		memcpy(batch, sink.waiting, n * sizeof(batch[0]));
		sink.n -= n;
		memmove(sink.waiting, sink.waiting + n, sink.n * sizeof(sink.waiting[0]));
		lost = sink.n ? 0 : sink.lost;
		sink.lost -= lost;
		pthread_mutex_unlock(&sink.mutex);
		for (size_t i = 0; i < n; i++)
			zlog(batch[i].priority, "dplane_ebpf: %s", batch[i].line);
		if (lost)
			zlog_warn("dplane_ebpf: %" PRIu64 " lines were too many for the log", lost);
	} while (n);
}

static void flush_event(compat_event *event)
{
	flush();
}

static void release(void)
{
	pthread_mutex_lock(&sink.mutex);
	sink.hold = false;
	pthread_mutex_unlock(&sink.mutex);
	flush();
}

static void release_and_tell(void)
{
	bool was_held = sink.hold;

	release();
	if (was_held)
		sink.released();
}

static void release_event(compat_event *event)
{
	release_and_tell();
}

static int command_done(struct vty *vty, const char *command)
{
	if (sink.hold && strncmp(command, END_OF_CONFIGURATION, strlen(END_OF_CONFIGURATION)) == 0)
		release_and_tell();
	return 0;
}

static void to_zlog(int priority, const char *line)
{
	bool now;

	pthread_mutex_lock(&sink.mutex);
	now = !sink.hold && sink.n == 0;
	if (now && pthread_equal(pthread_self(), sink.main_thread)) {
		pthread_mutex_unlock(&sink.mutex);
		zlog(priority, "dplane_ebpf: %s", line);
		return;
	}
	if (sink.n < WAITING_MAX) {
		sink.waiting[sink.n].priority = priority;
		snprintf(sink.waiting[sink.n].line, sizeof(sink.waiting[0].line), "%s", line);
		sink.n++;
	} else {
		sink.lost++;
	}
	pthread_mutex_unlock(&sink.mutex);
	if (now)
		compat_add_event(sink.loop, flush_event, &sink.event);
}

void zlog_sink_start(compat_loop *loop, void (*released)(void))
{
	sink.main_thread = pthread_self();
	sink.loop = loop;
	sink.released = released;
	sink.hold = true;
	hook_register(cmd_execute_done, command_done);
	compat_add_timer(loop, release_event, HOLD_SECONDS, &sink.timer);
	dpe_log_set_sink(to_zlog);
}

void zlog_sink_stop(void)
{
	compat_cancel_event(&sink.event);
	compat_cancel_event(&sink.timer);
	release();
}

bool zlog_sink_released(void)
{
	return !sink.hold;
}
