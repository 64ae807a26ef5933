// SPDX-License-Identifier: GPL-2.0-or-later
/* The kernel's neighbours: MAC addresses of gateways, and hosts that the program may send to. */
#include "dplane_ebpf/links/links_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <syslog.h>

#include <libmnl/libmnl.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>

#include "dplane_ebpf/log.h"

#define USABLE (NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT | NUD_NOARP)

struct neighbour *neighbour_find(struct links *links, const struct fib_neigh_key *key)
{
	uint32_t hash = table_hash(key, sizeof(*key));

	for (struct table_node *n = table_find(&links->neighbours, hash); n; n = n->next) {
		struct neighbour *neighbour = container_of(n, struct neighbour, by_key);

		if (memcmp(&neighbour->key, key, sizeof(*key)) == 0)
			return neighbour;
	}
	return NULL;
}

bool neighbour_usable(const struct neighbour *neighbour)
{
	/* the kernel keeps multicast and broadcast addresses as neighbours too */
	return neighbour->state & USABLE && neighbour->lladdr_known && !(neighbour->lladdr[0] & 1);
}

static bool is_host(const struct fib_neigh_key *key)
{
	struct in6_addr v6;
	uint32_t v4;

	if (key->family == AF_INET) {
		memcpy(&v4, key->addr, sizeof(v4));
		return !IN_MULTICAST(ntohl(v4)) && v4 != INADDR_BROADCAST && v4 != INADDR_ANY;
	}
	memcpy(&v6, key->addr, sizeof(v6));
	return !IN6_IS_ADDR_MULTICAST(&v6) && !IN6_IS_ADDR_LINKLOCAL(&v6);
}

/* Into the program's map, or out of it. */
static void program(struct links *links, struct neighbour *neighbour, bool want)
{
	int err;

	if (neighbour->refused) {
		neighbour->refused = false;
		links->refused--;
	}
	if (want == neighbour->in_map || links->stop)
		return;
	if (!want) {
		err = datapath_neighbour_del(links->datapath, &neighbour->key);
		if (err && err != -ENOENT)
			links->errors++;
		neighbour->in_map = false;
		neighbour->interface->hosts--;
		links->hosts--;
		interface_changed(links, neighbour->interface);
		return;
	}
	err = datapath_neighbour_set(links->datapath, &neighbour->key);
	if (!err) {
		neighbour->in_map = true;
		neighbour->interface->hosts++;
		links->hosts++;
		interface_changed(links, neighbour->interface);
		return;
	}
	/* no room, or no memory at this moment: it is tried again; that the map is full, pressure.c tells */
	if (err == -E2BIG || err == -ENOMEM || err == -EBUSY) {
		neighbour->refused = true;
		links->refused++;
		return;
	}
	links->errors++;
	if (!links->told_refused)
		dpe_log(LOG_WARNING,
			"connected host not accelerated: %s; packets to such hosts stay with the kernel",
			strerror(-err));
	links->told_refused = true;
}

static void drop(struct links *links, struct neighbour *neighbour)
{
	struct fib_neigh_key key = neighbour->key;

	program(links, neighbour, false);
	table_del(&links->neighbours, &neighbour->by_key);
	list_del(&neighbour->in_interface);
	free(neighbour);
	nexthop_gateway_changed(links, &key);
}

static struct neighbour *make(struct links *links, const struct fib_neigh_key *key)
{
	struct interface *interface = interface_ref(links, key->ifindex);
	struct neighbour *neighbour;

	if (!interface)
		return NULL;
	neighbour = calloc(1, sizeof(*neighbour));
	if (!neighbour ||
	    !table_add(&links->neighbours, &neighbour->by_key, table_hash(key, sizeof(*key)))) {
		free(neighbour);
		links_out_of_memory(links);
		interface_unref(links, interface);
		return NULL;
	}
	neighbour->key = *key;
	neighbour->interface = interface;
	list_add(&interface->neighbours, &neighbour->in_interface);
	return neighbour;
}

static void read_attributes(struct neighbour *neighbour, const struct nlmsghdr *nlh)
{
	const struct ndmsg *ndm = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *attr;

	neighbour->state = ndm->ndm_state;
	neighbour->flags = ndm->ndm_flags;
	neighbour->protocol = RTPROT_UNSPEC;
	neighbour->managed = false;
	neighbour->lladdr_known = false;
	mnl_attr_for_each(attr, nlh, sizeof(*ndm)) {
		switch (mnl_attr_get_type(attr)) {
		case NDA_LLADDR:
			if (mnl_attr_get_payload_len(attr) != sizeof(neighbour->lladdr))
				break;
			memcpy(neighbour->lladdr, mnl_attr_get_payload(attr),
			       sizeof(neighbour->lladdr));
			neighbour->lladdr_known = true;
			break;
		case NDA_FLAGS_EXT:
			if (mnl_attr_validate(attr, MNL_TYPE_U32) == 0)
				neighbour->managed = mnl_attr_get_u32(attr) & NTF_EXT_MANAGED;
			break;
		case NDA_PROTOCOL:
			if (mnl_attr_validate(attr, MNL_TYPE_U8) == 0)
				neighbour->protocol = mnl_attr_get_u8(attr);
			break;
		}
	}
}

void neighbour_message(struct links *links, const struct nlmsghdr *nlh)
{
	const struct ndmsg *ndm = mnl_nlmsg_get_payload(nlh);
	struct fib_neigh_key key = {.ifindex = ndm->ndm_ifindex, .family = ndm->ndm_family};
	struct neighbour *neighbour;
	const struct nlattr *attr;
	bool found = false;
	size_t size;

	/* a bridge's forwarding entries and proxied addresses come in the same group */
	if ((key.family != AF_INET && key.family != AF_INET6) || ndm->ndm_flags & NTF_PROXY ||
	    ndm->ndm_ifindex <= 0)
		return;
	size = key.family == AF_INET ? 4 : 16;
	mnl_attr_for_each(attr, nlh, sizeof(*ndm)) {
		if (mnl_attr_get_type(attr) == NDA_DST && mnl_attr_get_payload_len(attr) == size) {
			memcpy(key.addr, mnl_attr_get_payload(attr), size);
			found = true;
		}
	}
	if (!found)
		return;

	neighbour = neighbour_find(links, &key);
	if (nlh->nlmsg_type == RTM_DELNEIGH) {
		if (neighbour) {
			struct interface *interface = neighbour->interface;

			drop(links, neighbour);
			interface_unref(links, interface);
		}
		return;
	}
	if (!neighbour)
		neighbour = make(links, &key);
	if (!neighbour)
		return;
	neighbour->generation = links->generation;
	read_attributes(neighbour, nlh);
	program(links, neighbour, neighbour_usable(neighbour) && is_host(&key));
	nexthop_gateway_changed(links, &key);
}

void neighbour_drop_interface(struct links *links, struct interface *interface)
{
	list_for_each(n, &interface->neighbours)
		drop(links, container_of(n, struct neighbour, in_interface));
}

void neighbour_sweep(struct links *links, struct interface *interface)
{
	list_for_each(n, &interface->neighbours) {
		struct neighbour *neighbour = container_of(n, struct neighbour, in_interface);

		if (neighbour->generation != links->generation)
			drop(links, neighbour);
	}
}

void neighbour_retry(struct links *links)
{
	if (!links->refused)
		return;
	list_for_each(i, &links->all) {
		struct interface *interface = container_of(i, struct interface, in_all);

		list_for_each(n, &interface->neighbours) {
			struct neighbour *neighbour =
				container_of(n, struct neighbour, in_interface);

			if (neighbour->refused)
				program(links, neighbour, true);
		}
	}
}
