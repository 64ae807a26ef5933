// SPDX-License-Identifier: GPL-2.0-or-later
/* What is known of each link, for show and YANG. */
#include "dplane_ebpf/paths/paths_internal.h"

#include <stdlib.h>
#include <string.h>

struct list {
	struct paths_link_info *info;
	size_t n, size;
};

static void add(struct list *list, const char *interface, uint8_t family, const uint8_t *address)
{
	struct paths_link_info *info;

	if (list->n == list->size) {
		size_t size = list->size ? 2 * list->size : 32;

		info = realloc(list->info, size * sizeof(*info));
		if (!info)
			return;
		list->info = info;
		list->size = size;
	}
	info = &list->info[list->n++];
	memset(info, 0, sizeof(*info));
	strncpy(info->interface, interface, sizeof(info->interface) - 1);
	info->family = family;
	if (family)
		memcpy(info->address, address, sizeof(info->address));
}

static int compare(const void *a, const void *b)
{
	const struct paths_link_info *x = a, *y = b;
	int order = strncmp(x->interface, y->interface, sizeof(x->interface));

	if (!order)
		order = (x->family > y->family) - (x->family < y->family);
	return order ? order : memcmp(x->address, y->address, sizeof(x->address));
}

static void unique(struct list *list)
{
	size_t kept = 0;

	if (list->n)
		qsort(list->info, list->n, sizeof(*list->info), compare);
	for (size_t i = 0; i < list->n; i++) {
		if (!kept || compare(&list->info[kept - 1], &list->info[i]))
			list->info[kept++] = list->info[i];
	}
	list->n = kept;
}

static const struct paths_values *in_force(const struct override *override)
{
	return override && !override->expired ? &override->what.values : NULL;
}

static void fill(const struct paths *paths, struct paths_link_info *info)
{
	const struct override *own, *of_link;

	own = overrides_find(&paths->overrides, info->interface, info->family, info->address);
	of_link = info->family ? overrides_find(&paths->overrides, info->interface, 0, NULL) : own;
	info->ifindex = paths_ifindex_of(paths, info->interface);
	if (own) {
		info->configured = own->what.values;
		info->expires = own->what.expires;
		info->state = own->expired    ? PATHS_EXPIRED
			      : info->ifindex ? PATHS_IN_FORCE
					      : PATHS_WAITING;
	}
	paths_effective(info->family ? in_force(own) : NULL, in_force(of_link), NULL,
			&info->effective, info->source);
}

/* The next hops in use. Without the lock: the FIB's comes first. */
static struct fib_nexthop_key *nexthops(struct fib *fib, size_t *n)
{
	struct fib_nexthop_key *list = NULL, *longer;
	struct fib_nexthop_info info;
	size_t size = 0;

	*n = 0;
	for (uint32_t number = 0; (number = fib_nexthop_next(fib, number + 1)) != 0;) {
		if (fib_nexthop_get(fib, number, &info))
			continue;
		if (*n == size) {
			size = size ? 2 * size : 64;
			longer = realloc(list, size * sizeof(*list));
			if (!longer)
				break;
			list = longer;
		}
		list[(*n)++] = info.key;
	}
	return list;
}

size_t paths_links(struct paths *paths, struct paths_link_info **list)
{
	struct fib_nexthop_key *hops;
	struct list found = {0};
	size_t n;

	hops = nexthops(paths->fib, &n);
	pthread_mutex_lock(&paths->lock);
	for (size_t i = 0; i < n; i++) {
		const char *name = paths_name_of(paths, hops[i].ifindex);

		if (!name)
			continue;
		add(&found, name, 0, NULL);
		if (hops[i].family)
			add(&found, name, hops[i].family, hops[i].gate);
	}
	for (size_t i = 0; i < paths->overrides.n; i++) {
		const struct paths_override *override = &paths->overrides.list[i].what;

		add(&found, override->interface, 0, NULL);
		if (override->family)
			add(&found, override->interface, override->family, override->address);
	}
	unique(&found);
	for (size_t i = 0; i < found.n; i++)
		fill(paths, &found.info[i]);
	pthread_mutex_unlock(&paths->lock);
	free(hops);
	*list = found.info;
	return found.n;
}
