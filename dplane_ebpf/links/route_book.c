// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The book of the kernel's own routes: for each prefix those that the kernel has, and what comes of them.
 *
 * Of several routes the one with the least metric counts, if there is but one with it; where the kernel chooses by more than
 * that (TOS, the order they were made in), the prefix is the kernel's. Messages do not always say which route another one
 * took the place of: such a prefix is the kernel's until all routes have been read again. And what a reading of all routes did
 * not meet was either dropped in silence or moved while it was read: such a route counts no more, but
 * that it is gone takes a second reading to say.
 */
#include "dplane_ebpf/links/route.h"

#include <errno.h>
#include <sys/socket.h>
#include <syslog.h>

#include <linux/rtnetlink.h>

#include "dplane_ebpf/log.h"

struct book_route {
	struct book_route *next;
	uint64_t identity, way;
	uint32_t metric;
	uint32_t generation;
	uint8_t tos;
	bool missed; /* by the last reading of all */
	bool local;  /* addresses in it are not those of others, so none of a packet's source */
};

struct book_prefix {
	struct table_node by_key;
	uint32_t kernel_table;
	struct fib_prefix prefix;
	struct book_route *routes;
	bool unsure; /* one of them is there no more, and it was not said which */
	/* what was laid over: in the FIB's table, with this way; and whether sources in it are found in FIB_TABLE_LOCAL */
	bool laid, source_laid;
	uint64_t way;
};

void route_book_init(struct route_book *book, struct fib *fib)
{
	memset(book, 0, sizeof(*book));
	book->fib = fib;
}

static void out_of_memory(struct route_book *book)
{
	if (!book->told_memory)
		dpe_log(LOG_ERR, "routes: out of memory; prefixes of the kernel's own may be "
				 "forwarded as zebra has it");
	book->told_memory = true;
	book->unsure = true;
}

/* ---- prefixes ---- */

static uint32_t hash_of(uint32_t kernel_table, const struct fib_prefix *prefix)
{
	return table_hash(prefix, sizeof(*prefix)) ^ kernel_table * 0x9e3779b1u;
}

static struct book_prefix *find(struct route_book *book, const struct route *route)
{
	uint32_t hash = hash_of(route->kernel_table, &route->prefix);

	for (struct table_node *n = table_find(&book->prefixes, hash); n; n = n->next) {
		struct book_prefix *prefix = container_of(n, struct book_prefix, by_key);

		if (prefix->kernel_table == route->kernel_table &&
		    memcmp(&prefix->prefix, &route->prefix, sizeof(route->prefix)) == 0)
			return prefix;
	}
	return NULL;
}

static struct book_prefix *make(struct route_book *book, const struct route *route)
{
	struct book_prefix *prefix = calloc(1, sizeof(*prefix));

	if (!prefix)
		return NULL;
	prefix->kernel_table = route->kernel_table;
	prefix->prefix = route->prefix;
	if (table_add(&book->prefixes, &prefix->by_key,
		      hash_of(route->kernel_table, &route->prefix)))
		return prefix;
	free(prefix);
	return NULL;
}

/* ---- what comes of it ---- */

static bool is_host(const struct fib_prefix *prefix)
{
	return prefix->len == (prefix->family == AF_INET ? 32 : 128);
}

/* The route that the kernel goes by, as far as can be told; NULL: it cannot. */
static const struct book_route *best_of(const struct book_prefix *prefix)
{
	const struct book_route *best = NULL;
	bool several = prefix->unsure;

	for (const struct book_route *r = prefix->routes; r; r = r->next) {
		if (r->tos || r->missed)
			return NULL;
		if (best && r->metric == best->metric)
			several = true;
		if (!best || r->metric < best->metric) {
			several = prefix->unsure;
			best = r;
		}
	}
	return several ? NULL : best;
}

/* What the kernel's local table has is laid over the main table's, and stands in a table of its own. */
static int lay_local(struct route_book *book, struct book_prefix *prefix, bool lay)
{
	struct fib_prefix at = prefix->prefix, own = at;
	int err;

	own.table = FIB_TABLE_LOCAL;
	err = fib_local_prefix(book->fib, &own, lay);
	if (err)
		return err;
	err = fib_local_prefix(book->fib, &at, lay);
	if (err) {
		fib_local_prefix(book->fib, &own, !lay);
		return err;
	}
	book->wide += is_host(&at) ? 0 : lay ? 1 : -1;
	return 0;
}

static int lay(struct route_book *book, struct book_prefix *prefix, uint64_t way)
{
	struct fib_prefix at = prefix->prefix;

	if (prefix->kernel_table == RT_TABLE_LOCAL)
		return prefix->laid ? 0 : lay_local(book, prefix, true);
	/* a VRF's may have gone meanwhile, and come again */
	if (prefix->laid && prefix->way == way && prefix->kernel_table == RT_TABLE_MAIN)
		return 0;
	/* no table that packets are looked up in, or not yet */
	if (fib_table_find(book->fib, prefix->kernel_table, &at.table))
		return -ENOENT;
	return fib_kernel_set(book->fib, &at, way);
}

static void take_away(struct route_book *book, struct book_prefix *prefix)
{
	struct fib_prefix at = prefix->prefix;

	if (!prefix->laid)
		return;
	prefix->laid = false;
	if (prefix->kernel_table == RT_TABLE_LOCAL)
		lay_local(book, prefix, false);
	else if (!fib_table_find(book->fib, prefix->kernel_table, &at.table))
		fib_kernel_del(book->fib, &at);
}

/* Sources in a local prefix of another table than the local one. */
static void lay_source(struct route_book *book, struct book_prefix *prefix)
{
	struct fib_prefix at = prefix->prefix;
	bool want = false;

	for (const struct book_route *r = prefix->routes; r; r = r->next)
		want |= r->local;
	if (prefix->kernel_table != RT_TABLE_MAIN || want == prefix->source_laid)
		return;
	at.table = FIB_TABLE_LOCAL;
	if (fib_local_prefix(book->fib, &at, want))
		out_of_memory(book);
	else
		prefix->source_laid = want;
}

/* Brings the FIB to what the prefix's routes say; the prefix is gone when it has none. */
static void settle(struct route_book *book, struct book_prefix *prefix)
{
	const struct book_route *best;
	uint64_t way;
	int err;

	lay_source(book, prefix);
	if (!prefix->routes && !prefix->unsure) {
		take_away(book, prefix);
		table_del(&book->prefixes, &prefix->by_key);
		free(prefix);
		return;
	}
	best = best_of(prefix);
	way = best ? best->way : 0;
	err = lay(book, prefix, way);
	if (err && err != -ENOENT)
		out_of_memory(book);
	prefix->laid = !err;
	prefix->way = way;
}

/* ---- routes ---- */

static struct book_route *route_find(const struct book_prefix *prefix, uint64_t identity)
{
	struct book_route *route = prefix->routes;

	while (route && route->identity != identity)
		route = route->next;
	return route;
}

static void route_remove(struct route_book *book, struct book_prefix *prefix,
			 struct book_route *route)
{
	struct book_route **link = &prefix->routes;

	while (*link != route)
		link = &(*link)->next;
	*link = route->next;
	free(route);
	book->routes--;
}

static void be_unsure(struct route_book *book, struct book_prefix *prefix)
{
	prefix->unsure = true;
	book->unsure = true;
}

/*
 * A route came where there are others of the same metric. It replaced one, which if there is but one is no question. And IPv6 may
 * have made one route of several next hops of it and of others that have gateways.
 */
static void make_way(struct route_book *book, struct book_prefix *prefix, const struct route *route)
{
	struct book_route *other = NULL;
	bool known = false;
	unsigned int n = 0;

	for (struct book_route *r = prefix->routes; r; r = r->next) {
		if (r->identity == route->identity) {
			known = true;
		} else if (r->metric == route->metric && r->tos == route->tos) {
			other = r;
			n++;
		}
	}
	if (!n || prefix->kernel_table == RT_TABLE_LOCAL)
		return;
	if (route->replaces && n == 1 && !known)
		route_remove(book, prefix, other);
	else if (route->replaces || (route->prefix.family == AF_INET6 && route->gateway))
		be_unsure(book, prefix);
}

void route_book_set(struct route_book *book, const struct route *route, bool reading)
{
	struct book_prefix *prefix = find(book, route);
	struct book_route *known;

	if (!prefix)
		prefix = make(book, route);
	if (!prefix) {
		out_of_memory(book);
		return;
	}
	if (!reading)
		make_way(book, prefix, route);
	known = route_find(prefix, route->identity);
	if (!known) {
		known = calloc(1, sizeof(*known));
		if (!known) {
			out_of_memory(book);
			be_unsure(book, prefix);
			settle(book, prefix);
			return;
		}
		known->identity = route->identity;
		known->metric = route->metric;
		known->tos = route->tos;
		known->next = prefix->routes;
		prefix->routes = known;
		book->routes++;
	}
	known->way = route->way;
	known->local = route->type == RTN_LOCAL || route->type == RTN_BROADCAST ||
		       route->type == RTN_ANYCAST;
	book->custom |= route->type == RTN_LOCAL && route->protocol != RTPROT_KERNEL;
	known->missed = false;
	known->generation = book->generation;
	settle(book, prefix);
}

void route_book_del(struct route_book *book, const struct route *route)
{
	struct book_prefix *prefix = find(book, route);
	struct book_route *known = prefix ? route_find(prefix, route->identity) : NULL;

	if (!prefix)
		return;
	if (known)
		route_remove(book, prefix, known);
	else
		be_unsure(book, prefix);
	settle(book, prefix);
}

/* ---- all of them ---- */

/* Calls for each prefix, which may go meanwhile. */
static void for_each(struct route_book *book,
		     void (*call)(struct route_book *book, struct book_prefix *prefix))
{
	for (uint32_t i = 0; i < book->prefixes.size; i++) {
		struct table_node *n = book->prefixes.bucket[i], *next;

		for (; n; n = next) {
			struct book_prefix *prefix = container_of(n, struct book_prefix, by_key);

			next = n->next;
			call(book, prefix);
		}
	}
}

void route_book_begin(struct route_book *book)
{
	book->generation++;
	book->missed = false;
}

static void sweep_one(struct route_book *book, struct book_prefix *prefix)
{
	struct book_route *route = prefix->routes, *next;
	bool changed = prefix->unsure;

	prefix->unsure = false;
	for (; route; route = next) {
		next = route->next;
		if (route->generation == book->generation)
			continue;
		changed = true;
		if (route->missed) {
			route_remove(book, prefix, route);
		} else {
			route->missed = true;
			book->missed = true;
		}
	}
	if (changed)
		settle(book, prefix);
}

void route_book_end(struct route_book *book, bool whole)
{
	if (!whole) {
		book->missed = true;
		return;
	}
	book->unsure = false;
	for_each(book, sweep_one);
}

static void free_one(struct route_book *book, struct book_prefix *prefix)
{
	while (prefix->routes)
		route_remove(book, prefix, prefix->routes);
	free(prefix);
}

void route_book_free(struct route_book *book)
{
	for_each(book, free_one);
	table_free(&book->prefixes);
}
