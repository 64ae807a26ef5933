// SPDX-License-Identifier: GPL-2.0-or-later
/* Addresses of interfaces, and which of them the FIB must leave to the kernel. */
#include "dplane_ebpf/links/links_internal.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <syslog.h>

#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>

#include "dplane_ebpf/log.h"

#define MAX_LOCALS 4

/* What tells one address of an interface from another, in the kernel as well. */
struct address_key {
	uint32_t ifindex;
	uint8_t family, len;
	uint8_t local[16];
	uint8_t address[16]; /* the peer's, else the same; its network is the connected one */
};

struct address {
	struct table_node by_key;
	struct list in_interface;
	struct interface *interface;
	struct address_key key;
	uint32_t generation;
	uint16_t table; /* where local[] is */
	size_t n;	/* of local[]: added to the FIB for this address */
	uint8_t local[MAX_LOCALS][16];
};

static void add_local(struct address *address, const void *local)
{
	memset(address->local[address->n], 0, 16);
	memcpy(address->local[address->n++], local, address->key.family == AF_INET ? 4 : 16);
}

static void locals_v4(struct address *address, uint32_t broadcast)
{
	uint32_t peer, network, last, mask;

	add_local(address, address->key.local);
	if (broadcast != 0 && broadcast != INADDR_BROADCAST)
		add_local(address, &broadcast);
	if (address->key.len > 30 || address->key.len == 0)
		return;
	memcpy(&peer, address->key.address, sizeof(peer));
	mask = htonl(~0u << (32 - address->key.len));
	network = peer & mask;
	last = peer | ~mask;
	add_local(address, &network);
	add_local(address, &last);
}

static void locals_v6(struct address *address)
{
	uint8_t anycast[16] = {0};
	uint8_t len = address->key.len;

	add_local(address, address->key.local);
	if (len == 0 || len >= 127)
		return;
	/* the subnet-router anycast address, which the kernel answers to while it forwards */
	memcpy(anycast, address->key.local, len / 8);
	if (len % 8)
		anycast[len / 8] = address->key.local[len / 8] & (0xff00 >> len % 8);
	add_local(address, anycast);
}

static void program(struct links *links, const struct address *address, bool add)
{
	if (links->stop)
		return;
	for (size_t i = 0; i < address->n; i++) {
		int err = add ? fib_local_add(links->fib, address->table, address->key.family,
					      address->local[i])
			      : fib_local_del(links->fib, address->table, address->key.family,
					      address->local[i]);
		char text[INET6_ADDRSTRLEN];

		if (!err)
			continue;
		links->errors++;
		dpe_log(LOG_WARNING, "cannot %s own address %s: %s", add ? "add" : "remove",
			inet_ntop(address->key.family, address->local[i], text, sizeof(text)),
			strerror(-err));
	}
}

/* Nobody outside may speak with it. */
static void own(struct links *links, const struct address *address, bool add)
{
	const uint8_t *addr = address->key.local;
	char text[INET6_ADDRSTRLEN];
	int err;

	if (links->stop || address->key.family != AF_INET)
		return;
	err = add ? datapath_own_set(links->datapath, addr)
		  : datapath_own_del(links->datapath, addr);
	if (!err)
		return;
	links->errors++;
	dpe_log(LOG_WARNING, "cannot %s %s as a source that only the router has: %s",
		add ? "note" : "forget", inet_ntop(AF_INET, addr, text, sizeof(text)),
		strerror(-err));
}

static struct address *find(struct links *links, const struct address_key *key)
{
	uint32_t hash = table_hash(key, sizeof(*key));

	for (struct table_node *n = table_find(&links->addresses, hash); n; n = n->next) {
		struct address *address = container_of(n, struct address, by_key);

		if (memcmp(&address->key, key, sizeof(*key)) == 0)
			return address;
	}
	return NULL;
}

/* Gateways may be reached no more, or again. */
static void tell_nexthops(struct links *links, struct interface *interface)
{
	interface->link_changed = true;
	interface_changed(links, interface);
}

static void drop(struct links *links, struct address *address)
{
	tell_nexthops(links, address->interface);
	program(links, address, false);
	own(links, address, false);
	table_del(&links->addresses, &address->by_key);
	list_del(&address->in_interface);
	free(address);
}

static void add(struct links *links, const struct address_key *key, uint32_t broadcast)
{
	struct address *address = find(links, key), old = {0};

	if (!address) {
		struct interface *interface = interface_ref(links, key->ifindex);

		if (!interface)
			return;
		address = calloc(1, sizeof(*address));
		if (!address || !table_add(&links->addresses, &address->by_key,
					   table_hash(key, sizeof(*key)))) {
			free(address);
			links_out_of_memory(links);
			interface_unref(links, interface);
			return;
		}
		address->key = *key;
		address->interface = interface;
		address->table = interface->table;
		list_add(&interface->addresses, &address->in_interface);
		tell_nexthops(links, interface);
		own(links, address, true);
		/* an earlier process's tables do not have it as the router's own */
		if (links->read && links->take_over == REPLACE_NOT)
			links->take_over = REPLACE_SOON;
	}
	address->generation = links->generation;

	/* the broadcast address may be another now: new ones first, so that what stays never lapses */
	old = *address;
	address->n = 0;
	if (key->family == AF_INET)
		locals_v4(address, broadcast);
	else
		locals_v6(address);
	if (address->n == old.n && memcmp(address->local, old.local, old.n * 16) == 0)
		return;
	program(links, address, true);
	program(links, &old, false);
}

void address_message(struct links *links, const struct nlmsghdr *nlh)
{
	const struct ifaddrmsg *ifa = mnl_nlmsg_get_payload(nlh);
	const void *local = NULL, *address = NULL;
	struct address_key key = {
		.ifindex = ifa->ifa_index, .family = ifa->ifa_family, .len = ifa->ifa_prefixlen};
	size_t size = key.family == AF_INET ? 4 : 16;
	const struct nlattr *attr;
	struct address *known;
	uint32_t broadcast = 0;

	if ((key.family != AF_INET && key.family != AF_INET6) || key.len > size * 8)
		return;
	mnl_attr_for_each(attr, nlh, sizeof(*ifa)) {
		if (mnl_attr_get_payload_len(attr) != size)
			continue;
		if (mnl_attr_get_type(attr) == IFA_LOCAL)
			local = mnl_attr_get_payload(attr);
		else if (mnl_attr_get_type(attr) == IFA_ADDRESS)
			address = mnl_attr_get_payload(attr);
		else if (mnl_attr_get_type(attr) == IFA_BROADCAST && size == 4)
			memcpy(&broadcast, mnl_attr_get_payload(attr), sizeof(broadcast));
	}
	if (!local)
		local = address;
	if (!local)
		return;
	memcpy(key.local, local, size);
	memcpy(key.address, address ? address : local, size);

	if (nlh->nlmsg_type == RTM_NEWADDR) {
		add(links, &key, broadcast);
	} else {
		known = find(links, &key);
		if (known) {
			struct interface *interface = known->interface;

			drop(links, known);
			interface_unref(links, interface);
		}
	}
}

void address_move_interface(struct links *links, struct interface *interface, uint16_t table)
{
	list_for_each(n, &interface->addresses) {
		struct address *address = container_of(n, struct address, in_interface), old;

		if (address->table == table)
			continue;
		old = *address;
		address->table = table;
		program(links, address, true);
		program(links, &old, false);
	}
}

void address_drop_interface(struct links *links, struct interface *interface)
{
	list_for_each(n, &interface->addresses)
		drop(links, container_of(n, struct address, in_interface));
}

void address_sweep(struct links *links, struct interface *interface)
{
	list_for_each(n, &interface->addresses) {
		struct address *address = container_of(n, struct address, in_interface);

		if (address->generation != links->generation)
			drop(links, address);
	}
}

bool address_covers(const struct interface *interface, const struct fib_neigh_key *gateway)
{
	list_for_each(n, &interface->addresses) {
		const struct address_key *key = &container_of(n, struct address, in_interface)->key;
		unsigned int bytes = key->len / 8u, bits = key->len % 8u;

		if (key->family == gateway->family && !memcmp(key->address, gateway->addr, bytes) &&
		    (!bits || !((key->address[bytes] ^ gateway->addr[bytes]) >> (8 - bits))))
			return true;
	}
	return false;
}
