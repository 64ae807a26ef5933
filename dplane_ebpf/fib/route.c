// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Host addresses that are the kernel's, laid over the routes; and routes in and out,
 * which is where the two meet.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "dplane_ebpf/fib/fib_internal.h"

static unsigned int host_len(uint8_t family)
{
	return family == AF_INET ? 32 : 128;
}

static uint32_t addr4(const uint8_t *addr)
{
	return (uint32_t)addr[0] << 24 | (uint32_t)addr[1] << 16 | (uint32_t)addr[2] << 8 | addr[3];
}

/* ---- the tables of both families ---- */

/* A prefix with all bits beyond its length zero. False: no such prefix. */
static bool prefix_clean(struct fib_prefix *clean, const struct fib_prefix *prefix)
{
	unsigned int bytes = prefix->len / 8u;

	if ((prefix->family != AF_INET && prefix->family != AF_INET6) ||
	    prefix->len > host_len(prefix->family))
		return false;
	memset(clean, 0, sizeof(*clean));
	clean->family = prefix->family;
	clean->len = prefix->len;
	clean->table = prefix->table;
	memcpy(clean->addr, prefix->addr, bytes);
	if (prefix->len % 8)
		clean->addr[bytes] = prefix->addr[bytes] & (uint8_t)(0xff00 >> prefix->len % 8);
	return true;
}

static int table_set(struct fib *fib, const struct fib_prefix *prefix, uint16_t gid, uint16_t *old)
{
	if (prefix->table)
		return fib_vrf_set(fib, prefix, gid, old);
	if (prefix->family == AF_INET)
		return fib4_set(fib, addr4(prefix->addr), prefix->len, gid, old);
	return fib6_set(fib, prefix->addr, prefix->len, gid, old);
}

static uint16_t table_del(struct fib *fib, const struct fib_prefix *prefix)
{
	if (prefix->table)
		return fib_vrf_del(fib, prefix);
	if (prefix->family == AF_INET)
		return fib4_del(fib, addr4(prefix->addr), prefix->len);
	return fib6_del(fib, prefix->addr, prefix->len);
}

static uint64_t *routes_of(struct fib *fib, uint8_t family)
{
	return family == AF_INET ? &fib->routes4 : &fib->routes6;
}

/* ---- the overlay ---- */

static struct fib_local **local_bucket(struct fib *fib, const struct fib_prefix *prefix)
{
	uint64_t hash = (uint64_t)prefix->table << 8 | prefix->family;

	for (unsigned int i = 0; i < 16; i++)
		hash = (hash ^ prefix->addr[i]) * 1099511628211ull;
	return &fib->local[(hash ^ hash >> 32) % FIB_LOCAL_BUCKETS];
}

struct fib_local *fib_local_find(struct fib *fib, const struct fib_prefix *prefix)
{
	struct fib_local *local;

	if (!fib->locals || prefix->len != host_len(prefix->family))
		return NULL;
	for (local = *local_bucket(fib, prefix); local; local = local->next) {
		if (local->table == prefix->table && local->family == prefix->family &&
		    !memcmp(local->addr, prefix->addr, 16))
			return local;
	}
	return NULL;
}

void fib_local_fini(struct fib *fib)
{
	for (unsigned int i = 0; i < FIB_LOCAL_BUCKETS; i++) {
		while (fib->local[i]) {
			struct fib_local *next = fib->local[i]->next;

			free(fib->local[i]);
			fib->local[i] = next;
		}
	}
}

static bool host_prefix(struct fib_prefix *host, uint16_t table, uint8_t family,
			const uint8_t *addr)
{
	if (family != AF_INET && family != AF_INET6)
		return false;
	memset(host, 0, sizeof(*host));
	host->table = table;
	host->family = family;
	host->len = (uint8_t)host_len(family);
	memcpy(host->addr, addr, host->len / 8u);
	return true;
}

static int local_new(struct fib *fib, const struct fib_prefix *host)
{
	struct fib_local **bucket = local_bucket(fib, host);
	struct fib_local *local = calloc(1, sizeof(*local));
	int err;

	if (!local)
		return -ENOMEM;
	/* the hidden route keeps its reference */
	err = table_set(fib, host, FIB_GROUP_LOCAL, &local->route);
	if (err) {
		free(local);
		return err;
	}
	local->table = host->table;
	local->family = host->family;
	memcpy(local->addr, host->addr, sizeof(local->addr));
	local->count = 1;
	local->next = *bucket;
	*bucket = local;
	fib->locals++;
	return 0;
}

int fib_local_add(struct fib *fib, uint16_t table, uint8_t family, const uint8_t *addr)
{
	struct fib_prefix host;
	struct fib_local *local;
	int err = 0;

	if (!host_prefix(&host, table, family, addr))
		return -EINVAL;
	fib_lock(fib);
	if (!fib_table_exists(fib, table)) {
		fib_unlock(fib);
		return -EINVAL;
	}
	local = fib_local_find(fib, &host);
	if (local)
		local->count++;
	else
		err = local_new(fib, &host);
	fib_unlock(fib);
	return err;
}

static void local_remove(struct fib *fib, const struct fib_prefix *host, struct fib_local *local)
{
	struct fib_local **link = local_bucket(fib, host);
	uint16_t old;

	while (*link != local)
		link = &(*link)->next;
	*link = local->next;
	fib->locals--;
	/* the prefix is there, so that nothing has to be made for it */
	if (local->route)
		table_set(fib, host, local->route, &old);
	else
		table_del(fib, host);
	free(local);
}

int fib_local_del(struct fib *fib, uint16_t table, uint8_t family, const uint8_t *addr)
{
	struct fib_prefix host;
	struct fib_local *local;
	int err = -ENOENT;

	if (!host_prefix(&host, table, family, addr))
		return -EINVAL;
	fib_lock(fib);
	if (!fib_table_exists(fib, table)) {
		fib_unlock(fib);
		return -EINVAL;
	}
	local = fib_local_find(fib, &host);
	if (local) {
		err = 0;
		if (!--local->count)
			local_remove(fib, &host, local);
	}
	fib_unlock(fib);
	return err;
}

/* ---- routes ---- */

int fib_route_set(struct fib *fib, const struct fib_prefix *prefix, uint32_t group)
{
	struct fib_prefix clean;
	struct fib_local *local;
	int err = -EINVAL;
	uint16_t old = 0;

	if (!prefix_clean(&clean, prefix))
		return -EINVAL;
	fib_lock(fib);
	if (fib_table_exists(fib, clean.table) && fib_group_usable(fib, group)) {
		fib->route_sets++;
		local = fib_local_find(fib, &clean);
		if (local) {
			old = local->route;
			local->route = (uint16_t)group;
			err = 0;
		} else {
			err = table_set(fib, &clean, (uint16_t)group, &old);
		}
	}
	if (!err) {
		fib_slots_follow(fib, group, old);
		fib_group_ref(fib, group);
		if (old)
			fib_group_unref(fib, old);
		else
			++*routes_of(fib, clean.family);
	}
	fib_unlock(fib);
	return err;
}

int fib_route_del(struct fib *fib, const struct fib_prefix *prefix)
{
	struct fib_prefix clean;
	struct fib_local *local;
	uint16_t old;

	if (!prefix_clean(&clean, prefix))
		return -EINVAL;
	fib_lock(fib);
	fib->route_dels++;
	local = fib_local_find(fib, &clean);
	if (local) {
		old = local->route;
		local->route = 0;
	} else {
		old = fib_table_exists(fib, clean.table) ? table_del(fib, &clean) : 0;
	}
	if (old) {
		--*routes_of(fib, clean.family);
		fib_group_unref(fib, old);
	}
	fib_unlock(fib);
	return old ? 0 : -ENOENT;
}

uint32_t fib_lookup(struct fib *fib, uint16_t table, uint8_t family, const uint8_t *addr)
{
	uint32_t group;

	fib_lock(fib);
	if (table)
		group = fib_vrf_lookup(fib, table, family, addr);
	else
		group = family == AF_INET ? fib4_lookup(fib, addr4(addr)) : fib6_lookup(fib, addr);
	fib_unlock(fib);
	return group;
}

uint32_t fib_route_covering(struct fib *fib, const struct fib_prefix *prefix,
			    struct fib_prefix *found)
{
	struct fib_prefix clean;
	struct fib_local *local;
	uint32_t group = 0;
	uint8_t len = 0;

	if (!prefix_clean(&clean, prefix))
		return 0;
	fib_lock(fib);
	local = fib_local_find(fib, &clean);
	if (!fib_table_exists(fib, clean.table)) {
		/* nothing covers it */
	} else if (local && local->route) {
		group = local->route;
		len = clean.len;
	} else if (clean.table) {
		group = fib_vrf_cover(fib, &clean, &len);
	} else if (clean.family == AF_INET) {
		group = fib4_cover(fib, addr4(clean.addr), clean.len, &len);
	} else {
		group = fib6_cover(fib, clean.addr, clean.len, &len);
	}
	fib_unlock(fib);
	if (group && found) {
		clean.len = len;
		prefix_clean(found, &clean);
	}
	return group;
}

int fib_route_rewrite(struct fib *fib, const struct fib_prefix *prefix)
{
	struct fib_prefix clean, found;
	uint32_t group;
	uint16_t old;
	int err = -ENOENT;

	if (!prefix_clean(&clean, prefix))
		return -EINVAL;
	fib_lock(fib);
	group = fib_local_find(fib, &clean) ? FIB_GROUP_LOCAL
					    : fib_route_covering(fib, &clean, &found);
	if (group == FIB_GROUP_LOCAL || (group && found.len == clean.len)) {
		/* a change is written everywhere; the kernel has it for a moment */
		fib_root_rewrite(fib, &clean);
		err = table_set(fib, &clean, FIB_GROUP_UNSUPPORTED, &old);
		if (!err)
			err = table_set(fib, &clean, (uint16_t)group, &old);
	}
	fib_unlock(fib);
	return err;
}

struct route_walk {
	struct fib *fib;
	fib_route_cb cb;
	void *arg;
	size_t left;
	uint16_t table;
	uint8_t family;
};

static bool walk_visit(void *arg, const uint8_t *addr, uint8_t len, uint16_t gid)
{
	struct route_walk *walk = arg;
	struct fib_prefix prefix = {.family = walk->family, .len = len, .table = walk->table};
	struct fib_local *local;

	memcpy(prefix.addr, addr, sizeof(prefix.addr));
	local = fib_local_find(walk->fib, &prefix);
	if (local)
		gid = local->route;
	if (gid)
		walk->cb(walk->arg, &prefix, gid);
	return --walk->left > 0;
}

static bool walk_visit4(void *arg, uint32_t addr, uint8_t len, uint16_t gid)
{
	uint8_t bytes[16] = {(uint8_t)(addr >> 24), (uint8_t)(addr >> 16), (uint8_t)(addr >> 8),
			     (uint8_t)addr};

	return walk_visit(arg, bytes, len, gid);
}

bool fib_route_walk(struct fib *fib, uint16_t table, uint8_t family, struct fib_cursor *cursor,
		    size_t max, fib_route_cb cb, void *arg)
{
	struct route_walk walk = {.fib = fib,
				  .cb = cb,
				  .arg = arg,
				  .left = max ? max : 1,
				  .table = table,
				  .family = family};
	bool more;

	fib_lock(fib);
	if (table)
		more = fib_vrf_walk(fib, table, family, cursor, walk_visit, &walk);
	else if (family == AF_INET)
		more = fib4_walk(fib, &cursor->place, walk_visit4, &walk);
	else
		more = fib6_walk(fib, cursor, walk_visit, &walk);
	fib_unlock(fib);
	return more;
}
