/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dpe_log() into zebra's log. zlog() may be called from FRR's own threads only, so lines of ours wait in
 * a short queue for zebra's main thread; those of the start wait until zebra knows where to log.
 */
#ifndef DPLANE_EBPF_ZLOG_SINK_H
#define DPLANE_EBPF_ZLOG_SINK_H

#include "dplane_ebpf/compat.h"

/*
 * From the main thread, before any other thread logs. released: called once, when zlog_sink_released() has become true, unless the
 * module ends before that.
 */
void zlog_sink_start(compat_loop *loop, void (*released)(void));

/* From the main thread, once the other threads are gone: logs what still waits. */
void zlog_sink_stop(void);

/* Whether frr.conf has been read by vtysh, or nobody did so for some seconds after the start. */
bool zlog_sink_released(void);

#endif /* DPLANE_EBPF_ZLOG_SINK_H */
