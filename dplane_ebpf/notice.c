// SPDX-License-Identifier: GPL-2.0-or-later
/* Notices: a ring of the last ones. */
#include "dplane_ebpf/notice.h"

#include <pthread.h>

static struct {
	pthread_mutex_t mutex;
	struct notice kept[NOTICES_KEPT];
	uint64_t last;
	void (*listener)(void);
} ring = {.mutex = PTHREAD_MUTEX_INITIALIZER};

void notice_report(const struct notice *notice)
{
	void (*listener)(void);
	struct notice *to;

	pthread_mutex_lock(&ring.mutex);
	to = &ring.kept[ring.last % NOTICES_KEPT];
	*to = *notice;
	to->number = ++ring.last;
	to->when = time(NULL);
	listener = ring.listener;
	pthread_mutex_unlock(&ring.mutex);
	if (listener)
		listener();
}

size_t notice_read(uint64_t after, struct notice *list, size_t max)
{
	size_t n = 0;

	pthread_mutex_lock(&ring.mutex);
	if (ring.last > NOTICES_KEPT && after < ring.last - NOTICES_KEPT)
		after = ring.last - NOTICES_KEPT;
	while (n < max && after < ring.last)
		list[n++] = ring.kept[after++ % NOTICES_KEPT];
	pthread_mutex_unlock(&ring.mutex);
	return n;
}

uint64_t notice_last(void)
{
	uint64_t last;

	pthread_mutex_lock(&ring.mutex);
	last = ring.last;
	pthread_mutex_unlock(&ring.mutex);
	return last;
}

void notice_listen(void (*listener)(void))
{
	pthread_mutex_lock(&ring.mutex);
	ring.listener = listener;
	pthread_mutex_unlock(&ring.mutex);
}
