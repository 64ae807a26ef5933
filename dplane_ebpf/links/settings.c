// SPDX-License-Identifier: GPL-2.0-or-later
/* What is configured of interfaces while zebra runs. */
#include "dplane_ebpf/links/links_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

int links_configure(struct links *links, const struct links_settings *settings)
{
	struct links_setting *list = calloc(settings->n + 1, sizeof(*list));
	const struct links_setting *old;

	if (!list)
		return -ENOMEM;
	if (settings->n)
		memcpy(list, settings->list, settings->n * sizeof(*list));
	pthread_mutex_lock(&links->lock);
	old = links->settings.list;
	links->settings = *settings;
	links->settings.list = list;
	links->allowed_changed = true;
	pthread_mutex_unlock(&links->lock);
	free((void *)old);
	eventfd_write(links->wake_fd, 1);
	return 0;
}

/* Under the lock. */
static const struct links_setting *find(const struct links *links, const char *ifname)
{
	for (size_t i = 0; i < links->settings.n; i++) {
		if (strcmp(links->settings.list[i].name, ifname) == 0)
			return &links->settings.list[i];
	}
	return NULL;
}

bool settings_accelerate(struct links *links, const char *ifname, char *reason, size_t size)
{
	const struct links_setting *setting;
	bool nowhere, not_here;

	pthread_mutex_lock(&links->lock);
	setting = find(links, ifname);
	nowhere = links->settings.kernel_only;
	not_here = setting && setting->kernel_only;
	pthread_mutex_unlock(&links->lock);
	if (nowhere)
		snprintf(reason, size, "configured so (dplane ebpf kernel-only)");
	else if (not_here)
		snprintf(reason, size, "configured so (dplane ebpf interface %s kernel-only)",
			 ifname);
	return !nowhere && !not_here;
}

bool settings_bypass(struct links *links, const char *ifname)
{
	const struct links_setting *setting;
	bool bypass;

	pthread_mutex_lock(&links->lock);
	setting = find(links, ifname);
	bypass = links->settings.bypass || (setting && setting->bypass);
	pthread_mutex_unlock(&links->lock);
	return bypass;
}
