/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whether zebra still does its work. The link thread, which says again and again that the tables are true, lives on when zebra's
 * main thread hangs, in a deadlock or an endless loop, and nothing that a protocol says arrives any more. So zebra's
 * threads say that they come round, and the link thread stops saying its word when one of them has not for long.
 *
 * They may be busy for seconds: a full table as JSON is one step of the main loop. watchfrr gives a daemon ten seconds to
 * answer, then ends it; so do we.
 */
#ifndef DPLANE_EBPF_HEARTBEAT_H
#define DPLANE_EBPF_HEARTBEAT_H

#include <stdint.h>

#define HEARTBEAT_PATIENCE_MS 10000u

enum heartbeat { HEARTBEAT_MAIN, HEARTBEAT_DPLANE, HEARTBEAT_MAX };

/* This one has come round, and is expected to do so again. Any thread. */
void heartbeat_beat(enum heartbeat who);
/* Nobody is expected to any more: zebra ends, or there is none, as in tests. */
void heartbeat_end(void);
/* Who has not come round for so long, in words; NULL: all have who ever did. Any thread. */
const char *heartbeat_missing(uint32_t patience_ms);

#endif /* DPLANE_EBPF_HEARTBEAT_H */
