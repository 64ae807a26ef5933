// SPDX-License-Identifier: GPL-2.0-or-later
/* Next hops that the FIB uses: how each is reached, told to the FIB; and kept resolved. */
#include "dplane_ebpf/links/links_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <syslog.h>
#include <sys/eventfd.h>

#include <linux/neighbour.h>
#include <linux/rtnetlink.h>

#include "dplane_ebpf/log.h"

#define ASK_INTERVAL_MS 1000
#define USE_INTERVAL_MS 15000

/* ---- the queue, from the FIB ---- */

void nexthop_watcher(void *arg, uint32_t nexthop, const struct fib_nexthop_key *key, bool added)
{
	struct links *links = arg;

	pthread_mutex_lock(&links->queue_lock);
	if (links->queue_n == links->queue_size) {
		size_t size = links->queue_size ? links->queue_size * 2 : 64;
		struct nexthop_event *queue = realloc(links->queue, size * sizeof(*queue));

		if (queue) {
			links->queue = queue;
			links->queue_size = size;
		}
	}
	if (links->queue_n < links->queue_size)
		links->queue[links->queue_n++] = (struct nexthop_event){nexthop, *key, added};
	else
		links->queue_lost = true;
	pthread_mutex_unlock(&links->queue_lock);
	eventfd_write(links->wake_fd, 1);
}

static uint32_t hash_number(uint32_t number)
{
	return table_hash(&number, sizeof(number));
}

static struct nexthop *find_number(struct links *links, uint32_t number)
{
	for (struct table_node *n = table_find(&links->nexthops, hash_number(number)); n;
	     n = n->next) {
		struct nexthop *nexthop = container_of(n, struct nexthop, by_number);

		if (nexthop->number == number)
			return nexthop;
	}
	return NULL;
}

/* The next one with this gateway, from node on. */
static struct nexthop *match(struct table_node *node, const struct fib_neigh_key *key)
{
	for (; node; node = node->next) {
		struct nexthop *nexthop = container_of(node, struct nexthop, by_key);

		if (memcmp(&nexthop->key, key, sizeof(*key)) == 0)
			return nexthop;
	}
	return NULL;
}

static struct nexthop *first_with(struct links *links, const struct fib_neigh_key *key)
{
	return match(table_find(&links->gateways, table_hash(key, sizeof(*key))), key);
}

/* ---- kept resolved ---- */

/* Permanent entries, and those of interfaces without resolution, need nobody's care. */
static bool is_static(const struct neighbour *neighbour)
{
	return neighbour && neighbour->state & (NUD_PERMANENT | NUD_NOARP);
}

static bool wants_use(const struct neighbour *neighbour)
{
	return !neighbour || !neighbour_usable(neighbour) || neighbour->state & NUD_STALE;
}

static void keep(struct links *links, struct nexthop *nexthop, const struct neighbour *neighbour)
{
	uint64_t interval = nexthop->use_only ? USE_INTERVAL_MS : ASK_INTERVAL_MS;
	uint64_t now = links_now();

	nexthop->pending = false;
	if (nexthop->key.family == AF_UNSPEC || is_static(neighbour) ||
	    !interface_is_running(nexthop->interface) || !interface_is_ethernet(nexthop->interface))
		return;
	if (!nexthop->use_only && neighbour && neighbour->managed)
		return;
	if (nexthop->asked_at && now - nexthop->asked_at < interval) {
		nexthop->pending = true;
		return;
	}
	nexthop->pending = nexthop->use_only;
	nexthop->asked_at = now;
	if (nexthop->use_only && !wants_use(neighbour))
		return;
	netlink_neighbour_use(links, &nexthop->key, !nexthop->use_only, true,
			      neighbour ? neighbour->flags : 0);
}

/* Ours are marked with a protocol: what an administrator made managed stays so. */
static void let_go(struct links *links, const struct nexthop *nexthop)
{
	const struct neighbour *neighbour = neighbour_find(links, &nexthop->key);

	if (neighbour && neighbour->managed && neighbour->protocol == RTPROT_ZEBRA &&
	    !is_static(neighbour))
		netlink_neighbour_use(links, &nexthop->key, false, false, neighbour->flags);
}

void nexthop_request_failed(struct links *links, const struct fib_neigh_key *key, int error)
{
	struct nexthop *nexthop = first_with(links, key);
	char text[INET6_ADDRSTRLEN] = "";

	/* the interface or the entry went away meanwhile: netlink says so as well */
	if (error == -ENODEV || error == -ENETDOWN || error == -ENOENT || error == -ENXIO)
		return;
	if (nexthop && !nexthop->use_only && (error == -EINVAL || error == -EOPNOTSUPP)) {
		nexthop->use_only = true;
		nexthop->asked_at = 0;
		nexthop->pending = true;
	}
	links->errors++;
	if (links->told_request)
		return;
	links->told_request = true;
	inet_ntop(key->family, key->addr, text, sizeof(text));
	dpe_log(LOG_WARNING, "the kernel does not keep next hop %s (interface %u) resolved: %s",
		text, key->ifindex, strerror(-error));
}

void nexthop_retry(struct links *links)
{
	for (uint32_t i = 0; i < links->nexthops.size; i++) {
		for (struct table_node *n = links->nexthops.bucket[i]; n; n = n->next) {
			struct nexthop *nexthop = container_of(n, struct nexthop, by_number);

			if (nexthop->pending)
				keep(links, nexthop, neighbour_find(links, &nexthop->key));
		}
	}
}

/* ---- how it is reached ---- */

/*
 * Once its neighbour has failed a next hop stays out of service until it answers: the kernel goes on asking, and flows must
 * not go back and forth meanwhile.
 */
static void note_neighbour(struct nexthop *nexthop, const struct neighbour *neighbour)
{
	if (neighbour && neighbour_usable(neighbour))
		nexthop->failed = false;
	else if (neighbour && neighbour->state & NUD_FAILED)
		nexthop->failed = true;
}

/* Whether the address went that the gateway was reached by. A gateway may do without, if it always did ("onlink"). */
static bool lost_network(struct nexthop *nexthop)
{
	bool covered = nexthop->key.family != AF_UNSPEC &&
		       address_covers(nexthop->interface, &nexthop->key);

	nexthop->had_network |= covered;
	return nexthop->had_network && !covered;
}

static struct fib_adjacency reach(const struct nexthop *nexthop, const struct neighbour *neighbour)
{
	const struct interface *interface = nexthop->interface;
	struct fib_adjacency adjacency = {.action = FIB_NH_KERNEL};

	adjacency.mtu = interface->mtu > UINT16_MAX ? UINT16_MAX : interface->mtu;
	if (nexthop->mtu && nexthop->mtu < adjacency.mtu)
		adjacency.mtu = nexthop->mtu;
	memcpy(adjacency.src, interface->mac, sizeof(adjacency.src));
	if (!interface_is_running(interface)) {
		adjacency.down = true;
	} else if (interface_is_port(interface)) {
		return adjacency;
	} else if (kind_takes_packets(interface)) {
		adjacency.action = FIB_NH_DEVICE;
	} else if (!kind_takes_frames(interface)) {
		return adjacency;
	} else if (nexthop->key.family == AF_UNSPEC) {
		adjacency.action = FIB_NH_CONNECTED;
	} else if (neighbour && neighbour_usable(neighbour)) {
		adjacency.action = FIB_NH_REWRITE;
		memcpy(adjacency.dst, neighbour->lladdr, sizeof(adjacency.dst));
	} else if (nexthop->failed) {
		adjacency.down = true;
	} else {
		adjacency.action = FIB_NH_RESOLVE;
	}
	if (interface->out_to_kernel)
		adjacency.action = FIB_NH_KERNEL;
	return adjacency;
}

static bool adjacency_equal(const struct fib_adjacency *a, const struct fib_adjacency *b)
{
	return a->down == b->down && a->action == b->action && a->mtu == b->mtu &&
	       memcmp(a->dst, b->dst, sizeof(a->dst)) == 0 &&
	       memcmp(a->src, b->src, sizeof(a->src)) == 0;
}

static void resolve(struct links *links, struct nexthop *nexthop)
{
	const struct neighbour *neighbour = neighbour_find(links, &nexthop->key);
	struct fib_nexthop_key key = {.ifindex = nexthop->key.ifindex,
				      .family = nexthop->key.family,
				      .mtu = nexthop->mtu};
	bool was_in_service = nexthop->published && !nexthop->adjacency.down;
	struct fib_adjacency adjacency;
	int err;

	note_neighbour(nexthop, neighbour);
	adjacency = reach(nexthop, neighbour);
	if (lost_network(nexthop)) {
		adjacency.down = true;
		adjacency.action = FIB_NH_KERNEL;
	}
	keep(links, nexthop, neighbour);
	if (nexthop->published && adjacency_equal(&adjacency, &nexthop->adjacency))
		return;
	memcpy(key.gate, nexthop->key.addr, sizeof(key.gate));
	err = fib_nexthop_resolve(links->fib, nexthop->number, &key, &adjacency);
	if (err == -ENOENT) /* the word that it is no longer used is under way */
		return;
	if (err)
		links->errors++;
	nexthop->published = true;
	nexthop->adjacency = adjacency;
	outage_note(links, nexthop, was_in_service);
}

uint64_t nexthop_groups(struct links *links, const struct fib_neigh_key *key)
{
	struct nexthop *nexthop = first_with(links, key);
	struct fib_nexthop_info info;
	uint64_t groups = 0;

	for (; nexthop; nexthop = match(nexthop->by_key.next, key)) {
		if (fib_nexthop_get(links->fib, nexthop->number, &info) == 0)
			groups += info.groups;
	}
	return groups;
}

void nexthop_gateway_changed(struct links *links, const struct fib_neigh_key *key)
{
	struct nexthop *nexthop = first_with(links, key);

	for (; nexthop; nexthop = match(nexthop->by_key.next, key))
		resolve(links, nexthop);
}

void nexthop_interface_changed(struct links *links, struct interface *interface)
{
	bool running = interface_is_running(interface);

	list_for_each(n, &interface->nexthops) {
		struct nexthop *nexthop = container_of(n, struct nexthop, in_interface);

		/* without carrier the kernel forgets neighbours: ask without delay */
		if (running && !interface->was_running) {
			nexthop->asked_at = 0;
			nexthop->failed = false;
		}
		resolve(links, nexthop);
	}
	interface->was_running = running;
}

/* ---- come and go ---- */

static void drop(struct links *links, struct nexthop *nexthop)
{
	struct interface *interface = nexthop->interface;

	table_del(&links->nexthops, &nexthop->by_number);
	table_del(&links->gateways, &nexthop->by_key);
	list_del(&nexthop->in_interface);
	if (!first_with(links, &nexthop->key))
		let_go(links, nexthop);
	free(nexthop);
	interface_unref(links, interface);
}

static void add(struct links *links, const struct nexthop_event *event)
{
	struct nexthop *nexthop = find_number(links, event->nexthop);
	struct fib_neigh_key key = {.ifindex = event->key.ifindex, .family = event->key.family};
	struct interface *interface;

	if (key.family != AF_UNSPEC)
		memcpy(key.addr, event->key.gate, key.family == AF_INET ? 4 : sizeof(key.addr));
	if (nexthop && memcmp(&nexthop->key, &key, sizeof(key)) == 0 &&
	    nexthop->mtu == event->key.mtu) {
		nexthop->generation = links->generation;
		nexthop->published = false;
		nexthop->had_network = false;
		resolve(links, nexthop);
		return;
	}
	if (nexthop)
		drop(links, nexthop);
	interface = interface_ref(links, key.ifindex);
	if (!interface)
		return;
	nexthop = calloc(1, sizeof(*nexthop));
	if (!nexthop ||
	    !table_add(&links->nexthops, &nexthop->by_number, hash_number(event->nexthop)))
		goto no_memory;
	if (!table_add(&links->gateways, &nexthop->by_key, table_hash(&key, sizeof(key)))) {
		table_del(&links->nexthops, &nexthop->by_number);
		goto no_memory;
	}
	nexthop->number = event->nexthop;
	nexthop->key = key;
	nexthop->mtu = event->key.mtu;
	nexthop->generation = links->generation;
	nexthop->interface = interface;
	list_add(&interface->nexthops, &nexthop->in_interface);
	resolve(links, nexthop);
	return;

no_memory:
	free(nexthop);
	links_out_of_memory(links);
	interface_unref(links, interface);
}

static void sweep(struct links *links)
{
	list_for_each(i, &links->all) {
		struct interface *interface = container_of(i, struct interface, in_all);
		struct list *node = interface->nexthops.next, *next;

		/* the interface itself may go with its last next hop */
		for (bool last = list_empty(&interface->nexthops); !last; node = next) {
			struct nexthop *nexthop = container_of(node, struct nexthop, in_interface);

			next = node->next;
			last = next == &interface->nexthops;
			if (nexthop->generation != links->generation)
				drop(links, nexthop);
		}
	}
}

/* False: some of it was lost. */
static bool drain(struct links *links)
{
	struct nexthop_event *queue;
	bool lost;
	size_t n;

	pthread_mutex_lock(&links->queue_lock);
	queue = links->queue;
	n = links->queue_n;
	lost = links->queue_lost;
	links->queue = NULL;
	links->queue_n = links->queue_size = 0;
	links->queue_lost = false;
	pthread_mutex_unlock(&links->queue_lock);

	for (size_t i = 0; i < n; i++) {
		struct nexthop *nexthop;

		if (queue[i].added) {
			add(links, &queue[i]);
			continue;
		}
		nexthop = find_number(links, queue[i].nexthop);
		if (nexthop)
			drop(links, nexthop);
	}
	free(queue);
	return !lost;
}

void nexthop_read_queue(struct links *links)
{
	if (drain(links))
		return;
	/* the FIB tells a new watcher of all that exists: what it leaves out is gone */
	links_out_of_memory(links);
	links->generation++;
	fib_nexthop_watch(links->fib, nexthop_watcher, links);
	if (drain(links)) {
		sweep(links);
		return;
	}
	pthread_mutex_lock(&links->queue_lock);
	links->queue_lost = true; /* again at the next tick */
	pthread_mutex_unlock(&links->queue_lock);
}

void nexthop_free_all(struct links *links)
{
	for (uint32_t i = 0; i < links->nexthops.size; i++) {
		struct table_node *n = links->nexthops.bucket[i], *next;

		for (; n; n = next) {
			next = n->next;
			struct nexthop *nexthop = container_of(n, struct nexthop, by_number);

			list_del(&nexthop->in_interface);
			free(nexthop);
		}
	}
	table_free(&links->nexthops);
	table_free(&links->gateways);
}
