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
	const char *fewer; /* of what makes room */
	uint64_t used, size;
	uint64_t full; /* the size in tables of size full; 0: the same in all */
};

enum { PARTS = 7 };

bool pressure_is_high(bool was_high, uint64_t used, uint64_t size)
{
	/* in tenths, as shares of both */
	return was_high ? used * 10 >= size * 8 : used * 10 > size * 9;
}

static void tell(const struct part *part, bool high)
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
	else if (part->size < part->full)
		dpe_log(LOG_WARNING,
			"tables: %s: %" PRIu64 " of %" PRIu64
			" in use; what finds no room stays with the kernel. dplane ebpf table-size full makes room",
			part->name, part->used, part->size);
	else
		dpe_log(LOG_WARNING,
			"tables: %s: %" PRIu64 " of %" PRIu64
			" in use; what finds no room stays with the kernel. Fewer %s make room: there is no larger size",
			part->name, part->used, part->size, part->fewer);
}

void pressure_look(const struct fib_stats *stats, uint64_t hosts)
{
	static bool high[PARTS];
	const struct fib_geometry *g = &stats->geometry, *full = &datapath_geometry_full;
	const struct part parts[PARTS] = {
		{"node-pool", "routes", stats->node.used, stats->node.size, full->node_bytes},
		{"ipv4-low-pool", "IPv4 routes longer than /24", stats->v4_low.used,
		 stats->v4_low.size, (uint64_t)full->v4_low_blocks * FIB4_LOW_SIZE * 2},
		{"groups", "different sets of next hops", stats->groups, g->groups, full->groups},
		{"slots", "routes with several next hops", stats->slots, g->slots, full->slots},
		/* with many CPUs there are fewer in all sizes */
		{"nexthops", "next hops", stats->nexthops, g->nexthops,
		 g->node_bytes < full->node_bytes ? full->nexthops : 0},
		{"hosts", "hosts on connected networks", hosts, g->neighbours, full->neighbours},
		{"tables", "VRFs", stats->tables, FIB_MAX_TABLES, 0},
	};

	for (size_t i = 0; i < PARTS; i++) {
		bool now = pressure_is_high(high[i], parts[i].used, parts[i].size);

		if (now != high[i])
			tell(&parts[i], now);
		high[i] = now;
	}
}
