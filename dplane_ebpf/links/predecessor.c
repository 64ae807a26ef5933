// SPDX-License-Identifier: GPL-2.0-or-later
/* While an earlier process's program still forwards: its next hops must be what the links are. */
#include "dplane_ebpf/links/links_internal.h"

#include <syslog.h>

#include <linux/neighbour.h>

#include "dplane_ebpf/log.h"

/*
 * Once it is to be replaced nobody says any more when its tables contradict ours, and whoever holds the kernel's lock may keep us
 * from doing it. Not so of another one of this process, which is kept true until it has been.
 */
#define REPLACE_MS 20

static bool is_good(void *arg, const struct fib_nexthop_key *key,
		    const struct fib_adjacency *adjacency)
{
	struct links *links = arg;
	const struct interface *interface = interface_find(links, key->ifindex);
	struct fib_neigh_key gateway = {.ifindex = key->ifindex, .family = key->family};
	const struct neighbour *neighbour;

	if (!interface || !interface_is_running(interface) || interface->out_to_kernel)
		return false;
	memcpy(gateway.addr, key->gate, sizeof(gateway.addr));
	neighbour = neighbour_find(links, &gateway);
	if (adjacency->action == FIB_NH_REWRITE)
		return neighbour && neighbour_usable(neighbour) &&
		       !memcmp(neighbour->lladdr, adjacency->dst, sizeof(adjacency->dst)) &&
		       !memcmp(interface->mac, adjacency->src, sizeof(adjacency->src));
	return !neighbour || !(neighbour->state & NUD_FAILED);
}

/* The program is replaced everywhere: what is left of the earlier one ends. */
static void end(struct links *links, unsigned int failed)
{
	bool own = datapath_replaces_own(links->datapath);
	const char *whose = own ? "the former" : "an earlier zebra's";

	datapath_predecessor_end(links->datapath);
	links->replacing = false;
	links->behind = false;
	if (!failed) {
		dpe_log(LOG_INFO, "took over from %s tables", whose);
		return;
	}
	links->errors += failed;
	dpe_log(LOG_WARNING,
		"took over from %s tables, but not on %u interfaces: their packets stay with the kernel",
		whose, failed);
}

static void halt(struct links *links)
{
	if (!links->halted)
		datapath_predecessor_halt(links->datapath);
	links->halted = true;
}

uint64_t predecessor_due(const struct links *links)
{
	bool limited = links->replace_since && !links->halted && links->behind;

	return limited && !datapath_replaces_own(links->datapath)
		       ? links->replace_since + REPLACE_MS
		       : UINT64_MAX;
}

/* Where it forwards ours is there to go on with: attached next to it, and with its words. */
static bool is_settled(const struct links *links)
{
	return list_empty(&links->dirty) && attacher_is_settled(links->attacher);
}

void predecessor_look(struct links *links)
{
	enum replacement take_over = links->take_over;
	unsigned int failed;

	if (!datapath_has_predecessor(links->datapath))
		return;
	if (take_over && !links->replace_since)
		links->replace_since = links_now();
	if (take_over == REPLACE_AT_ONCE || links_now() >= predecessor_due(links))
		halt(links);
	if (!links_ready(links))
		return;
	if (links->replacing && attacher_replaced(links->attacher, &failed)) {
		end(links, failed);
		return;
	}
	if (take_over && !links->replacing && (links->halted || is_settled(links))) {
		links->replacing = true;
		attacher_replace(links->attacher);
	}
	if (links->checked != links->events)
		datapath_predecessor_check(links->datapath, is_good, links);
	links->checked = links->events;
}
