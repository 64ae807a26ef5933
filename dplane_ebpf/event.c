// SPDX-License-Identifier: GPL-2.0-or-later
/* Events: a ring of the last ones. */
#include "dplane_ebpf/event.h"

#include <pthread.h>

static struct {
	pthread_mutex_t mutex;
	struct event kept[EVENTS_KEPT];
	uint64_t last;
	void (*listener)(void);
} ring = {.mutex = PTHREAD_MUTEX_INITIALIZER};

void event_report(const struct event *event)
{
	void (*listener)(void);
	struct event *to;

	pthread_mutex_lock(&ring.mutex);
	to = &ring.kept[ring.last % EVENTS_KEPT];
	*to = *event;
	to->number = ++ring.last;
	to->when = time(NULL);
	listener = ring.listener;
	pthread_mutex_unlock(&ring.mutex);
	if (listener)
		listener();
}

size_t event_read(uint64_t after, struct event *list, size_t max)
{
	size_t n = 0;

	pthread_mutex_lock(&ring.mutex);
	if (ring.last > EVENTS_KEPT && after < ring.last - EVENTS_KEPT)
		after = ring.last - EVENTS_KEPT;
	while (n < max && after < ring.last)
		list[n++] = ring.kept[after++ % EVENTS_KEPT];
	pthread_mutex_unlock(&ring.mutex);
	return n;
}

uint64_t event_last(void)
{
	uint64_t last;

	pthread_mutex_lock(&ring.mutex);
	last = ring.last;
	pthread_mutex_unlock(&ring.mutex);
	return last;
}

void event_listen(void (*listener)(void))
{
	pthread_mutex_lock(&ring.mutex);
	ring.listener = listener;
	pthread_mutex_unlock(&ring.mutex);
}
