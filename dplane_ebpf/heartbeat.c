// SPDX-License-Identifier: GPL-2.0-or-later
/* When each of zebra's threads that matter was heard of last. */
#include "dplane_ebpf/heartbeat.h"

#include <stdatomic.h>
#include <stddef.h>
#include <time.h>

/* when each was heard of last; 0: it is not expected to be */
static atomic_uint_fast64_t last[HEARTBEAT_MAX];

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

void heartbeat_beat(enum heartbeat who)
{
	atomic_store(&last[who], now_ms() + 1);
}

void heartbeat_end(void)
{
	for (int who = 0; who < HEARTBEAT_MAX; who++)
		atomic_store(&last[who], 0);
}

const char *heartbeat_missing(uint32_t patience_ms)
{
	static const char *const names[HEARTBEAT_MAX] = {
		[HEARTBEAT_MAIN] = "main thread",
		[HEARTBEAT_DPLANE] = "dplane thread",
	};

	for (int who = 0; who < HEARTBEAT_MAX; who++) {
		uint64_t then = atomic_load(&last[who]);

		if (then && now_ms() >= then + patience_ms)
			return names[who];
	}
	return NULL;
}
