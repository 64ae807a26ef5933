// SPDX-License-Identifier: GPL-2.0-or-later
/* zebra's routes in and out of the tables, beneath what is laid over them. */
#include <errno.h>
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

bool fib_prefix_clean(struct fib_prefix *clean, const struct fib_prefix *prefix)
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

int fib_table_set(struct fib *fib, const struct fib_prefix *prefix, uint16_t gid, uint16_t *old)
{
	if (prefix->table)
		return fib_vrf_set(fib, prefix, gid, old);
	if (prefix->family == AF_INET)
		return fib4_set(fib, addr4(prefix->addr), prefix->len, gid, old);
	return fib6_set(fib, prefix->addr, prefix->len, gid, old);
}

uint16_t fib_table_del(struct fib *fib, const struct fib_prefix *prefix)
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

/* ---- routes ---- */

static int route_set(struct fib *fib, const struct fib_prefix *prefix, uint32_t group, bool read)
{
	struct fib_prefix clean;
	int err = -EINVAL;
	uint16_t old = 0;

	if (!fib_prefix_clean(&clean, prefix))
		return -EINVAL;
	fib_lock(fib);
	if (fib_table_exists(fib, clean.table) && fib_group_usable(fib, group)) {
		fib->route_sets++;
		err = fib_overlay_route(fib, &clean, (uint16_t)group, read, &old);
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

int fib_route_set(struct fib *fib, const struct fib_prefix *prefix, uint32_t group)
{
	return route_set(fib, prefix, group, false);
}

int fib_route_read(struct fib *fib, const struct fib_prefix *prefix, uint32_t group)
{
	return route_set(fib, prefix, group, true);
}

int fib_route_del(struct fib *fib, const struct fib_prefix *prefix)
{
	struct fib_prefix clean;
	uint16_t old = 0;

	if (!fib_prefix_clean(&clean, prefix))
		return -EINVAL;
	fib_lock(fib);
	fib->route_dels++;
	if (fib_table_exists(fib, clean.table))
		fib_overlay_route(fib, &clean, 0, false, &old);
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

uint32_t fib_table_cover(const struct fib *fib, const struct fib_prefix *prefix, uint8_t *len)
{
	if (prefix->table)
		return fib_vrf_cover(fib, prefix, len);
	if (prefix->family == AF_INET)
		return fib4_cover(fib, addr4(prefix->addr), prefix->len, len);
	return fib6_cover(fib, prefix->addr, prefix->len, len);
}

uint32_t fib_route_covering(struct fib *fib, const struct fib_prefix *prefix,
			    struct fib_prefix *found)
{
	const struct fib_overlay *overlay;
	struct fib_prefix clean;
	uint32_t group = 0;
	uint8_t len = 0;

	if (!fib_prefix_clean(&clean, prefix))
		return 0;
	fib_lock(fib);
	overlay = fib_overlay_find(fib, &clean);
	if (!fib_table_exists(fib, clean.table)) {
		/* nothing covers it */
	} else if (overlay && overlay->route) {
		group = overlay->route;
		len = clean.len;
	} else {
		group = fib_table_cover(fib, &clean, &len);
	}
	fib_unlock(fib);
	if (group && found) {
		clean.len = len;
		fib_prefix_clean(found, &clean);
	}
	return group;
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
	const struct fib_overlay *overlay;

	memcpy(prefix.addr, addr, sizeof(prefix.addr));
	overlay = fib_overlay_find(walk->fib, &prefix);
	if (overlay)
		gid = overlay->route;
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
