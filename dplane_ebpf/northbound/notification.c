// SPDX-License-Identifier: GPL-2.0-or-later
/* Notices as YANG notifications, and `show dplane ebpf events`. */
#include "dplane_ebpf/northbound/northbound.h"

#include "lib/linklist.h"

#include "dplane_ebpf/notice.h"
#include "dplane_ebpf/northbound/show.h"
#include "dplane_ebpf/northbound/values.h"

static const struct {
	const char *notification, *word;
} kinds[NOTICE_KINDS_MAX] = {
#define X(e, notification, word) [NOTICE_##e] = {notification, word},
	NOTICES(X)
#undef X
};

static struct {
	compat_loop *loop;
	compat_event *event;
	uint64_t sent;
} sender;

/* ---- the leaves of a notification ---- */

typedef void (*leaf_cb)(void *arg, const char *leaf, const char *value);

static void each_number(leaf_cb cb, void *arg, const char *leaf, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, value);
	cb(arg, leaf, text);
}

/* In YANG's order. */
static void each_leaf(const struct notice *notice, leaf_cb cb, void *arg)
{
	switch (notice->kind) {
	case NOTICE_OVERRIDE_SET:
	case NOTICE_OVERRIDE_CHANGED:
	case NOTICE_OVERRIDE_REMOVED:
	case NOTICE_OVERRIDE_EXPIRED:
		cb(arg, "change", kinds[notice->kind].word);
		break;
	case NOTICE_INCONSISTENCY:
		each_number(cb, arg, "prefixes", notice->count);
		return;
	default:
		cb(arg, "state", kinds[notice->kind].word);
		break;
	}
	if (notice->kind == NOTICE_TABLE_HIGH || notice->kind == NOTICE_TABLE_NORMAL) {
		cb(arg, "table", notice->table);
		each_number(cb, arg, "used", notice->count);
		each_number(cb, arg, "size", notice->size);
		return;
	}
	cb(arg, "interface", notice->interface);
	if (notice->address[0])
		cb(arg, "address", notice->address);
	if (notice->kind == NOTICE_NEXTHOP_DOWN || notice->kind == NOTICE_NEXTHOP_UP)
		each_number(cb, arg, "groups", notice->count);
}

/* ---- sent ---- */

struct sending {
	struct list *list;
	const char *notification;
};

static void add_leaf(void *arg, const char *leaf, const char *value)
{
	const struct sending *sending = arg;
	char xpath[XPATH_MAXLEN];

	snprintf(xpath, sizeof(xpath), "/frr-dplane-ebpf:%s/%s", sending->notification, leaf);
	listnode_add(sending->list, yang_data_new(xpath, value));
}

static void send_one(const struct notice *notice)
{
	struct sending sending = {
		.list = yang_data_list_new(),
		.notification = kinds[notice->kind].notification,
	};
	char xpath[XPATH_MAXLEN];

	snprintf(xpath, sizeof(xpath), "/frr-dplane-ebpf:%s", sending.notification);
	each_leaf(notice, add_leaf, &sending);
	nb_notification_send(xpath, sending.list);
}

static void send_waiting(compat_event *event)
{
	struct notice list[16];
	size_t n;

	while ((n = notice_read(sender.sent, list, array_size(list)))) {
		for (size_t i = 0; i < n; i++)
			send_one(&list[i]);
		sender.sent = list[n - 1].number;
	}
}

/* Any thread. */
static void wake(void)
{
	compat_add_event(sender.loop, send_waiting, &sender.event);
}

void notification_start(compat_loop *loop)
{
	sender.loop = loop;
	notice_listen(wake);
}

void notification_stop(void)
{
	notice_listen(NULL);
	compat_cancel_event(&sender.event);
}

/* ---- shown ---- */

static void add_member(void *arg, const char *leaf, const char *value)
{
	json_object_string_add(arg, leaf, value);
}

json_object *notification_json(const struct notice *notice)
{
	json_object *object = json_object_new_object();
	char when[VALUES_TEXT_LEN];

	values_time_text(notice->when, when);
	json_object_int_add(object, "number", notice->number);
	json_object_string_add(object, "time", when);
	json_object_string_add(object, "notification", kinds[notice->kind].notification);
	each_leaf(notice, add_member, object);
	return object;
}

static void print_member(void *arg, const char *leaf, const char *value)
{
	vty_out(arg, " %s %s", leaf, value);
}

int show_events(struct vty *vty, const char *after, bool json)
{
	uint64_t number = after ? strtoull(after, NULL, 10) : 0;
	json_object *array = json ? json_object_new_array() : NULL;
	struct notice *list = calloc(NOTICES_KEPT, sizeof(*list));
	size_t n = list ? notice_read(number, list, NOTICES_KEPT) : 0;

	for (size_t i = 0; i < n; i++) {
		char when[VALUES_TEXT_LEN];

		if (json) {
			json_object_array_add(array, notification_json(&list[i]));
			continue;
		}
		values_time_text(list[i].when, when);
		vty_out(vty, "%6" PRIu64 "  %s  %-16s", list[i].number, when,
			kinds[list[i].kind].notification);
		each_leaf(&list[i], print_member, vty);
		vty_out(vty, "\n");
	}
	free(list);
	if (json)
		return vty_json(vty, array);
	if (!n)
		vty_out(vty, "No events%s\n", number ? " after that one" : "");
	return CMD_SUCCESS;
}
