// SPDX-License-Identifier: GPL-2.0-or-later
/* The pressure that each part of the tables is under. */
#include "dplane_ebpf/pressure.h"

#include <inttypes.h>
#include <syslog.h>

#include "dplane_ebpf/datapath/datapath.h"
#include "dplane_ebpf/log.h"
#include "dplane_ebpf/notice.h"

struct part {
	const char *name;
	uint64_t used, size;
};

enum { PARTS = 5 };

bool pressure_is_high(bool was_high, uint64_t used, uint64_t size)
{
	/* in tenths, as shares of both */
	return was_high ? used * 10 >= size * 8 : used * 10 > size * 9;
}

static void tell(const struct part *part, bool high, bool small)
{
	struct notice notice = {
		.kind = high ? NOTICE_TABLE_HIGH : NOTICE_TABLE_NORMAL,
		.table = part->name,
		.count = part->used,
		.size = part->size,
	};

	notice_report(&notice);
	if (!high)
		dpe_log(LOG_NOTICE, "tables: %s: room again, %" PRIu64 " of %" PRIu64 " in use",
			part->name, part->used, part->size);
	else
		dpe_log(LOG_WARNING,
			"tables: %s: %" PRIu64 " of %" PRIu64
			" in use; what finds no room stays with the kernel. %s",
			part->name, part->used, part->size,
			small ? "dplane ebpf table-size full makes room"
			      : "Fewer routes or next hops make room: there is no larger size");
}

void pressure_look(const struct fib_stats *stats)
{
	static bool high[PARTS];
	const struct fib_geometry *g = &stats->geometry;
	const struct part parts[PARTS] = {
		{"node-pool", stats->node.used, stats->node.size},
		{"ipv4-low-pool", stats->v4_low.used, stats->v4_low.size},
		{"groups", stats->groups, g->groups},
		{"slots", stats->slots, g->slots},
		{"nexthops", stats->nexthops, g->nexthops},
	};

	for (size_t i = 0; i < PARTS; i++) {
		bool now = pressure_is_high(high[i], parts[i].used, parts[i].size);

		if (now != high[i])
			tell(&parts[i], now, g->node_bytes < datapath_geometry_full.node_bytes);
		high[i] = now;
	}
}
