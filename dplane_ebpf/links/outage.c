// SPDX-License-Identifier: GPL-2.0-or-later
/* Next hops that went out of service, and are back: told as notices. */
#include "dplane_ebpf/links/links_internal.h"

#include <arpa/inet.h>
#include <string.h>

#include "dplane_ebpf/notice.h"

/* Where it stands among those that are told to be out of service; OUTAGES_MAX: nowhere. */
static size_t find(const struct links *links, const struct fib_neigh_key *key)
{
	size_t i = 0;

	while (i < OUTAGES_MAX && memcmp(&links->outages[i], key, sizeof(*key)) != 0)
		i++;
	return i;
}

static void tell(struct links *links, enum notice_kind kind, const struct nexthop *nexthop)
{
	struct notice notice = {.kind = kind, .count = nexthop_groups(links, &nexthop->key)};

	/* the tables that forward are told of by whoever keeps them */
	if (links->behind || !nexthop->interface->name[0])
		return;
	memcpy(notice.interface, nexthop->interface->name, sizeof(notice.interface));
	if (nexthop->key.family != AF_UNSPEC)
		inet_ntop(nexthop->key.family, nexthop->key.addr, notice.address,
			  sizeof(notice.address));
	notice_report(&notice);
}

void outage_note(struct links *links, const struct nexthop *nexthop, bool was_in_service)
{
	size_t at = find(links, &nexthop->key);

	if (nexthop->adjacency.down && was_in_service && at == OUTAGES_MAX) {
		/* the oldest makes room: that it is back will not be told */
		links->outages[links->next_outage++ % OUTAGES_MAX] = nexthop->key;
		tell(links, NOTICE_NEXTHOP_DOWN, nexthop);
	} else if (!nexthop->adjacency.down && at < OUTAGES_MAX) {
		memset(&links->outages[at], 0, sizeof(links->outages[at]));
		tell(links, NOTICE_NEXTHOP_UP, nexthop);
	}
}
