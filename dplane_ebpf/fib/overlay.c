// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What is laid over zebra's routes.
 *
 * zebra's RIB is not the kernel's FIB: the kernel has addresses and routes of its own, and drops routes in
 * silence. A prefix about which zebra and the kernel do not say the same is the kernel's. Such a prefix has a record here,
 * which keeps zebra's route hidden, and says which of three is published in its place:
 *
 *   an address of the router       FIB_GROUP_LOCAL
 *   another way in the kernel      FIB_GROUP_KERNEL
 *   the same way in the kernel     zebra's own group
 *
 * Whether the ways are the same is asked again whenever one of the two changes, by a number that stands for a
 * set of next hops: so neither has to wait for the other, and no order of their messages can do harm.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "dplane_ebpf/fib/fib_internal.h"

/* ---- ways ---- */

static uint64_t mix(uint64_t hash, uint64_t word)
{
	hash = (hash ^ word) * 0x9e3779b97f4a7c15ull;
	return hash ^ hash >> 29;
}

uint64_t fib_way_add(uint64_t way, const struct fib_nexthop_key *key)
{
	uint64_t half[2], hash = mix(key->ifindex, key->family);

	memcpy(half, key->gate, sizeof(half));
	if (!key->family)
		half[0] = half[1] = 0;
	hash = mix(mix(mix(hash, half[0]), half[1]), FIB_WAY_BLACKHOLE);
	/* a sum: their order does not matter */
	way += hash;
	return way > FIB_WAY_BLACKHOLE ? way : way + FIB_WAY_BLACKHOLE + 1;
}

static bool same_way(const struct fib *fib, const struct fib_overlay *overlay)
{
	if (!overlay->kernel || !overlay->way)
		return false;
	if (overlay->route < FIB_GROUP_FIRST)
		return overlay->route == FIB_GROUP_BLACKHOLE && overlay->way == FIB_WAY_BLACKHOLE;
	return fib->group[overlay->route].way == overlay->way;
}

/* ---- records ---- */

/* The record's route, which its group counts: most have none, and are not looked for when they change. */
static void set_route(struct fib *fib, struct fib_overlay *overlay, uint16_t group)
{
	if (overlay->route >= FIB_GROUP_FIRST)
		fib->group[overlay->route].overlaid--;
	if (group >= FIB_GROUP_FIRST)
		fib->group[group].overlaid++;
	overlay->route = group;
}

static struct fib_overlay **bucket_of(const struct fib *fib, const struct fib_prefix *prefix)
{
	uint64_t hash = (uint64_t)prefix->table << 16 | prefix->family << 8 | prefix->len, half[2];

	memcpy(half, prefix->addr, sizeof(half));
	hash = mix(mix(hash, half[0]), half[1]);
	return &fib->overlay[(hash ^ hash >> 32) % FIB_OVERLAY_BUCKETS];
}

struct fib_overlay *fib_overlay_find(const struct fib *fib, const struct fib_prefix *prefix)
{
	struct fib_overlay *overlay;

	if (!fib->overlays)
		return NULL;
	overlay = *bucket_of(fib, prefix);
	while (overlay && memcmp(&overlay->prefix, prefix, sizeof(*prefix)) != 0)
		overlay = overlay->next;
	return overlay;
}

int fib_overlay_init(struct fib *fib)
{
	/* pages of it that nothing uses stay untouched */
	fib->overlay = calloc(FIB_OVERLAY_BUCKETS, sizeof(struct fib_overlay *));
	return fib->overlay ? 0 : -ENOMEM;
}

void fib_overlay_fini(struct fib *fib)
{
	for (uint32_t i = 0; fib->overlay && i < FIB_OVERLAY_BUCKETS; i++) {
		while (fib->overlay[i]) {
			struct fib_overlay *next = fib->overlay[i]->next;

			free(fib->overlay[i]);
			fib->overlay[i] = next;
		}
	}
	free(fib->overlay);
}

/* A record without anything laid over: what is published is what was there. NULL: out of memory. */
static struct fib_overlay *get(struct fib *fib, const struct fib_prefix *prefix)
{
	struct fib_overlay *overlay = fib_overlay_find(fib, prefix), **bucket;
	uint8_t len = 0;
	uint32_t group;

	if (overlay)
		return overlay;
	overlay = calloc(1, sizeof(*overlay));
	if (!overlay)
		return NULL;
	overlay->prefix = *prefix;
	group = fib_table_cover(fib, prefix, &len);
	if (group && len == prefix->len) {
		set_route(fib, overlay, (uint16_t)group);
		overlay->published = (uint16_t)group;
	}
	bucket = bucket_of(fib, prefix);
	overlay->next = *bucket;
	*bucket = overlay;
	fib->overlays++;
	return overlay;
}

static bool is_idle(const struct fib_overlay *overlay)
{
	return !overlay->locals && !overlay->kernel && !overlay->read && !overlay->doubt &&
	       !overlay->audited;
}

static void put(struct fib *fib, struct fib_overlay *overlay)
{
	struct fib_overlay **link = bucket_of(fib, &overlay->prefix);

	if (!is_idle(overlay) || overlay->published != overlay->route)
		return;
	while (*link != overlay)
		link = &(*link)->next;
	*link = overlay->next;
	set_route(fib, overlay, 0);
	fib->overlays--;
	free(overlay);
}

/* ---- what is published ---- */

/* A verdict that leaves packets to the kernel, and says better why. */
static bool kernel_decides(uint16_t route)
{
	return route && route < FIB_GROUP_FIRST && route != FIB_GROUP_BLACKHOLE;
}

static uint16_t wanted(const struct fib *fib, const struct fib_overlay *overlay)
{
	bool has_other = overlay->kernel || (overlay->read && overlay->route);

	if (overlay->locals)
		return FIB_GROUP_LOCAL;
	if (kernel_decides(overlay->route))
		return overlay->route;
	if (overlay->audited || (overlay->doubt && overlay->route))
		return FIB_GROUP_KERNEL;
	return has_other && !same_way(fib, overlay) ? FIB_GROUP_KERNEL : overlay->route;
}

static int publish(struct fib *fib, struct fib_overlay *overlay)
{
	uint16_t want = wanted(fib, overlay), old;
	int err = 0;

	if (want == overlay->published)
		return 0;
	if (want)
		err = fib_table_set(fib, &overlay->prefix, want, &old);
	else
		fib_table_del(fib, &overlay->prefix);
	if (err)
		return err;
	fib->laid_over += (want == FIB_GROUP_KERNEL) - (overlay->published == FIB_GROUP_KERNEL);
	overlay->published = want;
	return 0;
}

void fib_overlay_group_changed(struct fib *fib, uint32_t group)
{
	if (!fib->group[group].overlaid)
		return;
	for (uint32_t i = 0; i < FIB_OVERLAY_BUCKETS; i++) {
		for (struct fib_overlay *o = fib->overlay[i]; o; o = o->next) {
			/* the prefix is there, so that nothing has to be made for it */
			if (o->route == group)
				publish(fib, o);
		}
	}
}

/* ---- zebra's routes ---- */

int fib_overlay_route(struct fib *fib, const struct fib_prefix *prefix, uint16_t group, bool read,
		      uint16_t *old)
{
	struct fib_overlay *overlay = read ? get(fib, prefix) : fib_overlay_find(fib, prefix);
	struct fib_overlay before;
	int err;

	*old = 0;
	if (!overlay && read)
		return -ENOMEM;
	if (!overlay && group)
		return fib_table_set(fib, prefix, group, old);
	if (!overlay) {
		*old = fib_table_del(fib, prefix);
		return 0;
	}
	before = *overlay;
	*old = overlay->route;
	set_route(fib, overlay, group);
	overlay->read = read && group;
	overlay->doubt = false;
	err = publish(fib, overlay);
	if (err) {
		set_route(fib, overlay, before.route);
		*overlay = before;
		*old = 0;
	}
	put(fib, overlay);
	return err;
}

int fib_route_doubt(struct fib *fib, const struct fib_prefix *prefix, bool doubt)
{
	struct fib_overlay *overlay = NULL;
	struct fib_prefix clean;
	int err = -ENOENT;

	if (!fib_prefix_clean(&clean, prefix))
		return -EINVAL;
	fib_lock(fib);
	if (fib_table_exists(fib, clean.table) && fib_route_covering(fib, &clean, NULL))
		overlay = doubt ? get(fib, &clean) : fib_overlay_find(fib, &clean);
	if (overlay && overlay->route) {
		overlay->doubt = doubt;
		err = publish(fib, overlay);
	}
	if (overlay)
		put(fib, overlay);
	fib_unlock(fib);
	return err;
}

/* ---- what the kernel has of its own ---- */

enum own { OWN_LOCAL, OWN_KERNEL, OWN_AUDITED };

/* Lays something over a prefix, or takes it away. */
static int own_set(struct fib *fib, const struct fib_prefix *prefix, enum own own, bool on,
		   uint64_t way)
{
	struct fib_overlay *overlay = NULL, before;
	struct fib_prefix clean;
	int err = -ENOENT;

	if (!fib_prefix_clean(&clean, prefix))
		return -EINVAL;
	fib_lock(fib);
	if (!fib_table_exists(fib, clean.table)) {
		fib_unlock(fib);
		return -EINVAL;
	}
	overlay = on ? get(fib, &clean) : fib_overlay_find(fib, &clean);
	if (!overlay) {
		fib_unlock(fib);
		return on ? -ENOMEM : -ENOENT;
	}
	before = *overlay;
	switch (own) {
	case OWN_LOCAL:
		if (on || overlay->locals) {
			overlay->locals += on ? 1 : -1;
			err = 0;
		}
		break;
	case OWN_KERNEL:
		err = on || overlay->kernel ? 0 : -ENOENT;
		overlay->kernel = on;
		overlay->way = on ? way : 0;
		break;
	case OWN_AUDITED:
		err = on || overlay->audited ? 0 : -ENOENT;
		overlay->audited = on;
		break;
	}
	if (!err)
		err = publish(fib, overlay);
	if (err)
		*overlay = before;
	else if (clean.table != FIB_TABLE_LOCAL)
		fib->locals += !!overlay->locals - !!before.locals;
	put(fib, overlay);
	fib_unlock(fib);
	return err;
}

static bool host_prefix(struct fib_prefix *host, uint16_t table, uint8_t family,
			const uint8_t *addr)
{
	if (family != AF_INET && family != AF_INET6)
		return false;
	memset(host, 0, sizeof(*host));
	host->table = table;
	host->family = family;
	host->len = family == AF_INET ? 32 : 128;
	memcpy(host->addr, addr, host->len / 8u);
	return true;
}

int fib_local_add(struct fib *fib, uint16_t table, uint8_t family, const uint8_t *addr)
{
	struct fib_prefix host;

	return host_prefix(&host, table, family, addr) ? own_set(fib, &host, OWN_LOCAL, true, 0)
						       : -EINVAL;
}

int fib_local_del(struct fib *fib, uint16_t table, uint8_t family, const uint8_t *addr)
{
	struct fib_prefix host;

	return host_prefix(&host, table, family, addr) ? own_set(fib, &host, OWN_LOCAL, false, 0)
						       : -EINVAL;
}

int fib_local_prefix(struct fib *fib, const struct fib_prefix *prefix, bool add)
{
	return own_set(fib, prefix, OWN_LOCAL, add, 0);
}

int fib_kernel_set(struct fib *fib, const struct fib_prefix *prefix, uint64_t way)
{
	return own_set(fib, prefix, OWN_KERNEL, true, way);
}

int fib_kernel_del(struct fib *fib, const struct fib_prefix *prefix)
{
	return own_set(fib, prefix, OWN_KERNEL, false, 0);
}

int fib_audit_set(struct fib *fib, const struct fib_prefix *prefix)
{
	return own_set(fib, prefix, OWN_AUDITED, true, 0);
}

int fib_audit_del(struct fib *fib, const struct fib_prefix *prefix)
{
	return own_set(fib, prefix, OWN_AUDITED, false, 0);
}

void fib_audit_walk(struct fib *fib, void (*cb)(void *arg, const struct fib_prefix *prefix),
		    void *arg)
{
	fib_lock(fib);
	for (uint32_t i = 0; fib->overlays && i < FIB_OVERLAY_BUCKETS; i++) {
		for (const struct fib_overlay *o = fib->overlay[i]; o; o = o->next) {
			if (o->audited || o->doubt)
				cb(arg, &o->prefix);
		}
	}
	fib_unlock(fib);
}

uint32_t fib_route_over(struct fib *fib, const struct fib_prefix *prefix)
{
	const struct fib_overlay *overlay;
	struct fib_prefix clean;
	uint32_t over = 0;

	if (!fib_prefix_clean(&clean, prefix))
		return 0;
	fib_lock(fib);
	overlay = fib_overlay_find(fib, &clean);
	if (overlay && overlay->locals)
		over |= FIB_OVER_LOCAL;
	if (overlay && overlay->published == FIB_GROUP_KERNEL) {
		over |= overlay->doubt || overlay->audited ? FIB_OVER_DOUBT : 0;
		over |= (overlay->kernel || overlay->read) && !same_way(fib, overlay)
				? FIB_OVER_KERNEL
				: 0;
	}
	fib_unlock(fib);
	return over;
}
