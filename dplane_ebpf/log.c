// SPDX-License-Identifier: GPL-2.0-or-later
/* Log lines from rooms and threads that do not know FRR. */
#include "dplane_ebpf/log.h"

#include <stdarg.h>
#include <stdio.h>

static _Atomic(dpe_log_sink) log_sink;

void dpe_log_set_sink(dpe_log_sink sink)
{
	log_sink = sink;
}

void dpe_log(int priority, const char *format, ...)
{
	dpe_log_sink sink = log_sink;
	char line[512];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);

	if (sink)
		sink(priority, line);
	else
		fprintf(stderr, "dplane_ebpf: %s\n", line);
}
