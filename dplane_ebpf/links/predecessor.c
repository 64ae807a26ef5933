// SPDX-License-Identifier: GPL-2.0-or-later
/* While an earlier process's program still forwards: its next hops must be what the links are. */
#include "dplane_ebpf/links/links_internal.h"

#include <syslog.h>

#include <linux/neighbour.h>

#include "dplane_ebpf/log.h"

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

static void take_over(struct links *links)
{
	bool own = datapath_replaces_own(links->datapath);
	const char *whose = own ? "the former" : "an earlier zebra's";
	unsigned int failed = datapath_take_over(links->datapath);

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

void predecessor_look(struct links *links)
{
	if (!datapath_has_predecessor(links->datapath))
		return;
	if (links->take_over) {
		take_over(links);
		return;
	}
	if (links->checked != links->events)
		datapath_predecessor_check(links->datapath, is_good, links);
	links->checked = links->events;
}
