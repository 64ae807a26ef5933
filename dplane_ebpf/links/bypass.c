// SPDX-License-Identifier: GPL-2.0-or-later
/* What would be bypassed, as the link thread sees it: where it keeps packets with the kernel, and where it may not. */
#include "dplane_ebpf/links/links_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <syslog.h>

#include "dplane_ebpf/log.h"

static const char *const texts[LINKS_BYPASS_MAX] = {
#define X(e, name, text) [LINKS_BYPASS_##e] = text,
	LINKS_BYPASS(X)
#undef X
};

/* What rule.c says, not the watch: of packets of ordinary interfaces, and of members of VRFs. */
#define BYPASS_RULES (BYPASS_BIT(RULES) | BYPASS_BIT(VRF_RULES))

/* ---- where it is allowed ---- */

void links_bypass_allow(struct links *links, const char *ifname, bool allowed)
{
	struct bypass_allowance *list;
	size_t i = 0;

	pthread_mutex_lock(&links->lock);
	list = links->allowed;
	if (!ifname) {
		links->all_allowed = allowed;
	} else {
		while (i < links->allowed_n && strcmp(list[i].name, ifname) != 0)
			i++;
		if (i < links->allowed_n && !allowed) {
			list[i] = list[--links->allowed_n];
		} else if (i == links->allowed_n && allowed) {
			list = reallocarray(list, i + 1, sizeof(*list));
			if (list) {
				links->allowed = list;
				snprintf(list[i].name, sizeof(list[i].name), "%s", ifname);
				links->allowed_n++;
			}
		}
	}
	links->allowed_changed = true;
	pthread_mutex_unlock(&links->lock);
	eventfd_write(links->wake_fd, 1);
	if (!list && ifname && allowed)
		dpe_log(LOG_ERR, "links: out of memory; bypassing stays not allowed on %s", ifname);
}

static bool is_allowed(struct links *links, const char *ifname)
{
	bool allowed;

	pthread_mutex_lock(&links->lock);
	allowed = links->all_allowed;
	for (size_t i = 0; i < links->allowed_n && !allowed; i++)
		allowed = strcmp(links->allowed[i].name, ifname) == 0;
	pthread_mutex_unlock(&links->lock);
	return allowed || settings_bypass(links, ifname);
}

/* ---- what there is ---- */

static const char *families(bool v4, bool v6)
{
	return v4 && v6 ? "IPv4, IPv6" : v4 ? "IPv4" : "IPv6";
}

static void tell(uint32_t old4, uint32_t old6, uint32_t new4, uint32_t new6)
{
	for (int cause = 0; cause < LINKS_BYPASS_MAX; cause++) {
		uint32_t bit = 1u << cause;
		bool v4 = new4 & bit, v6 = new6 & bit;

		if (v4 == !!(old4 & bit) && v6 == !!(old6 & bit))
			continue;
		if (v4 || v6)
			dpe_log(LOG_WARNING,
				"%s: %s; such packets stay with the kernel wherever bypassing is "
				"not allowed (dplane ebpf [interface IFNAME] bypass)",
				families(v4, v6), texts[cause]);
		else
			dpe_log(LOG_INFO, "no longer there: %s", texts[cause]);
	}
}

static void set_global(struct links *links, uint32_t v4, uint32_t v6)
{
	if (v4 == links->bypass_v4 && v6 == links->bypass_v6)
		return;
	tell(links->bypass_v4, links->bypass_v6, v4, v6);
	links->bypass_v4 = v4;
	links->bypass_v6 = v6;
	interface_all_changed(links);
}

void bypass_apply(struct links *links, const struct bypass_view *view)
{
	const uint32_t rules = BYPASS_RULES;

	list_for_each(n, &links->all)
		container_of(n, struct interface, in_all)->bypass_found = 0;
	for (size_t i = 0; i < view->n; i++) {
		struct interface *interface = interface_find(links, view->ports[i].ifindex);

		if (interface)
			interface->bypass_found |= view->ports[i].causes;
	}
	list_for_each(n, &links->all) {
		struct interface *interface = container_of(n, struct interface, in_all);

		if (interface->bypass == interface->bypass_found)
			continue;
		interface->bypass = interface->bypass_found;
		interface_changed(links, interface);
	}
	set_global(links, view->v4 | (links->bypass_v4 & rules),
		   view->v6 | (links->bypass_v6 & rules));
}

void bypass_read(struct links *links)
{
	const uint32_t rules = BYPASS_RULES;
	struct bypass_view view;
	bool is_changed, is_wide;

	pthread_mutex_lock(&links->lock);
	is_changed = links->allowed_changed;
	links->allowed_changed = false;
	pthread_mutex_unlock(&links->lock);
	is_wide = links->local_wide || links->rules_v4.others;
	is_changed |=
		rule_local_first(links) != links->local_first || is_wide != links->local_was_wide;
	links->local_first = rule_local_first(links);
	links->local_was_wide = is_wide;
	if (is_changed)
		interface_all_changed(links);
	set_global(links, (links->bypass_v4 & ~rules) | rule_bypass(links, false),
		   (links->bypass_v6 & ~rules) | rule_bypass(links, true));
	if (!links->watch || !bypass_watch_take(links->watch, &view))
		return;
	links->viewed = true;
	bypass_apply(links, &view);
	bypass_view_clear(&view);
	/* whoever changes filters may have taken ours away */
	if (links->attacher)
		attacher_check(links->attacher);
}

/* ---- what comes of it ---- */

static void append(char *text, size_t size, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
static void append(char *text, size_t size, const char *format, ...)
{
	size_t len = strlen(text);
	va_list args;

	va_start(args, format);
	vsnprintf(text + len, size - len, format, args);
	va_end(args);
}

static void append_causes(char *text, size_t size, uint32_t causes)
{
	const char *separator = "";

	for (int cause = 0; cause < LINKS_BYPASS_MAX; cause++) {
		if (!(causes & 1u << cause))
			continue;
		append(text, size, "%s%s", separator, texts[cause]);
		separator = ", ";
	}
}

static void append_reason(char *reason, size_t size, const char *what, uint32_t causes)
{
	if (!causes)
		return;
	append(reason, size, "%s%s: ", reason[0] ? "; " : "", what);
	append_causes(reason, size, causes);
}

void bypass_judge(struct links *links, struct interface *interface, bool *v4, bool *v6,
		  char *reason, size_t size)
{
	uint32_t here = (interface->bypass & ~BYPASS_OUT) |
			(kind_is_switched(links, interface) ? BYPASS_BIT(SWITCHDEV) : 0);
	uint32_t all =
		~(interface_is_vrf_member(interface) ? BYPASS_BIT(RULES) : BYPASS_BIT(VRF_RULES));
	uint32_t lost4 = *v4 ? (links->bypass_v4 & all) | here : 0;
	uint32_t lost6 = *v6 ? (links->bypass_v6 & all) | here : 0;

	interface->bypass_shown |= lost4 | lost6;
	if (interface->bypass_allowed)
		return;
	*v4 &= !lost4;
	*v6 &= !lost6;
	if (lost4 == lost6) {
		append_reason(reason, size, families(true, true), lost4);
	} else {
		append_reason(reason, size, families(true, false), lost4);
		append_reason(reason, size, families(false, true), lost6);
	}
	append_reason(reason, size, "out of it", interface->bypass & BYPASS_OUT);
}

void bypass_update(struct links *links, struct interface *interface)
{
	bool out_to_kernel;
	char causes[128] = "";

	interface->bypass_shown = interface->bypass;
	interface->bypass_allowed = is_allowed(links, interface->name);
	out_to_kernel = interface->bypass & BYPASS_OUT && !interface->bypass_allowed;
	if (out_to_kernel == interface->out_to_kernel)
		return;
	interface->out_to_kernel = out_to_kernel;
	interface->link_changed = true;
	links->checked = 0; /* an earlier process's next hops as well */
	append_causes(causes, sizeof(causes), interface->bypass & BYPASS_OUT);
	if (!interface->known)
		return;
	if (out_to_kernel)
		dpe_log(LOG_WARNING,
			"interface %s: packets out of it stay with the kernel: %s (bypass=%s "
			"allows the fast path)",
			interface->name, causes, interface->name);
	else
		dpe_log(LOG_INFO, "interface %s: packets out of it take the fast path again",
			interface->name);
}
