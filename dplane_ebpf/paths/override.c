// SPDX-License-Identifier: GPL-2.0-or-later
/* The table of overrides: found by name, compared with the one before, and expiring. */
#include "dplane_ebpf/paths/paths_internal.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "dplane_ebpf/notice.h"

static int compare_key(const struct paths_override *a, const struct paths_override *b)
{
	int order = strncmp(a->interface, b->interface, sizeof(a->interface));

	if (!order)
		order = (a->family > b->family) - (a->family < b->family);
	return order ? order : memcmp(a->address, b->address, sizeof(a->address));
}

static int compare(const void *a, const void *b)
{
	const struct override *x = a, *y = b;

	return compare_key(&x->what, &y->what);
}

bool overrides_copy(struct overrides *to, const struct paths_override *list, size_t n, int64_t now)
{
	to->list = calloc(n + 1, sizeof(*to->list));
	to->n = to->list ? n : 0;
	to->quiet = false;
	for (size_t i = 0; i < to->n; i++) {
		to->list[i].what = list[i];
		to->list[i].expired = list[i].expires && list[i].expires <= now;
	}
	if (to->n)
		qsort(to->list, to->n, sizeof(*to->list), compare);
	return to->list != NULL;
}

void overrides_free(struct overrides *overrides)
{
	free(overrides->list);
	*overrides = (struct overrides){0};
}

struct override *overrides_find(const struct overrides *overrides, const char *interface,
				uint8_t family, const uint8_t *address)
{
	struct override key = {.what.family = family};

	if (!overrides->n)
		return NULL;
	strncpy(key.what.interface, interface, sizeof(key.what.interface) - 1);
	if (family)
		memcpy(key.what.address, address, sizeof(key.what.address));
	return bsearch(&key, overrides->list, overrides->n, sizeof(*overrides->list), compare);
}

static void tell(const struct overrides *overrides, enum notice_kind kind,
		 const struct paths_override *override)
{
	struct notice notice = {.kind = kind};

	if (overrides->quiet)
		return;
	memcpy(notice.interface, override->interface, sizeof(notice.interface));
	if (override->family)
		inet_ntop(override->family, override->address, notice.address,
			  sizeof(notice.address));
	notice_report(&notice);
}

/* Member by member: padding has no meaning. */
static bool same_values(const struct paths_values *a, const struct paths_values *b)
{
	return a->has == b->has && a->metric == b->metric && a->delay == b->delay &&
	       a->delay_min == b->delay_min && a->delay_max == b->delay_max &&
	       a->delay_variation == b->delay_variation && a->loss == b->loss &&
	       a->residual == b->residual && a->available == b->available &&
	       a->utilized == b->utilized && a->weight == b->weight && a->drain == b->drain;
}

void overrides_compare(const struct overrides *before, const struct overrides *after,
		       overrides_cb cb, void *arg)
{
	size_t b = 0, a = 0;

	while (b < before->n || a < after->n) {
		const struct override *old = b < before->n ? &before->list[b] : NULL;
		const struct override *new = a < after->n ? &after->list[a] : NULL;
		int order = !old ? 1 : !new ? -1 : compare(old, new);

		if (order < 0) {
			tell(after, NOTICE_OVERRIDE_REMOVED, &old->what);
		} else if (order > 0) {
			tell(after, NOTICE_OVERRIDE_SET, &new->what);
		} else if (!same_values(&old->what.values, &new->what.values) ||
			   old->what.expires != new->what.expires) {
			tell(after, NOTICE_OVERRIDE_CHANGED, &new->what);
		} else {
			old = new = NULL;
		}
		if (order >= 0 && new &&new->expired)
			tell(after, NOTICE_OVERRIDE_EXPIRED, &new->what);
		if (old || new)
			cb(arg, order < 0 ? old->what.interface : new->what.interface);
		b += order <= 0;
		a += order >= 0;
	}
}

int64_t overrides_expire(struct overrides *overrides, int64_t now, overrides_cb cb, void *arg)
{
	int64_t next = 0;

	for (size_t i = 0; i < overrides->n; i++) {
		struct override *override = &overrides->list[i];

		if (!override->what.expires || override->expired)
			continue;
		if (override->what.expires <= now) {
			override->expired = true;
			tell(overrides, NOTICE_OVERRIDE_EXPIRED, &override->what);
			cb(arg, override->what.interface);
		} else if (!next || override->what.expires < next) {
			next = override->what.expires;
		}
	}
	return next;
}
