/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Log lines from rooms and threads that do not know FRR. module.c sends them to
 * zebra's log; without a sink (tests, benchmarks) they go to stderr.
 */
#ifndef DPLANE_EBPF_LOG_H
#define DPLANE_EBPF_LOG_H

/* priority as syslog(3): LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG. Any thread. */
void dpe_log(int priority, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* sink gets a whole line without a newline, from any thread; NULL: stderr. */
typedef void (*dpe_log_sink)(int priority, const char *line);
void dpe_log_set_sink(dpe_log_sink sink);

#endif /* DPLANE_EBPF_LOG_H */
