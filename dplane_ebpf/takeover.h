/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * After a restart: when the tables that an earlier zebra left are replaced by ours. They forward meanwhile, so it is when ours
 * are full; or at once, when something is no longer as it was. What ours do not have by then the kernel forwards.
 */
#ifndef DPLANE_EBPF_TAKEOVER_H
#define DPLANE_EBPF_TAKEOVER_H

#include <stdbool.h>
#include <stdint.h>

#include "dplane_ebpf/compat.h"

/*
 * Main thread. handled: the number of contexts so far; now: called once, from any thread, when ours are to replace the others;
 * at_once: they must not forward until then.
 */
void takeover_start(compat_loop *loop, uint64_t (*handled)(void), void (*now)(bool at_once));
void takeover_stop(void);

/* Any thread: whether an earlier zebra's tables forward still. */
bool takeover_pending(void);
/* Any thread: something is not as they have it. Nothing happens if they were replaced already. */
void takeover_now(void);

#endif /* DPLANE_EBPF_TAKEOVER_H */
