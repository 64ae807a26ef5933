// SPDX-License-Identifier: GPL-2.0-or-later
/* zebra's events as NETCONF notifications (RFC 5277). */
#include "netconf/notify.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "netconf/store.h"

static const char *text_of(json_object *event, const char *name)
{
	json_object *value;

	return json_object_object_get_ex(event, name, &value) ? json_object_get_string(value)
							      : NULL;
}

/* The members behind these three are the notification's leaves. */
static bool is_leaf(const char *name)
{
	return strcmp(name, "number") != 0 && strcmp(name, "time") != 0 &&
	       strcmp(name, "notification") != 0;
}

static void send_one(json_object *event)
{
	const char *name = text_of(event, "notification"), *when = text_of(event, "time");
	obj_template_t *obj = name ? ncx_find_object(yang_module, (const xmlChar *)name) : NULL;
	agt_not_msg_t *notification = obj ? agt_not_new_notification(obj) : NULL;

	if (!notification)
		return;
	if (when)
		snprintf((char *)notification->eventTime, sizeof(notification->eventTime), "%s",
			 when);
	json_object_object_foreach(event, key, value) {
		obj_template_t *leaf = NULL;
		val_value_t *val = NULL;
		status_t res;

		if (is_leaf(key))
			leaf = obj_find_child(obj, YANG_MODULE, (const xmlChar *)key);
		if (leaf)
			val = val_make_simval_obj(
				leaf, (const xmlChar *)json_object_get_string(value), &res);
		if (val)
			agt_not_add_to_payload(notification, val);
	}
	agt_not_queue_notification(notification);
}

void notify_tick(void)
{
	struct zebra_status status;
	json_object *list, *event;
	char command[64], *answer;
	bool ok;

	if (!zebra_status(&status) || status.event <= store_event)
		return;
	snprintf(command, sizeof(command), "show dplane ebpf datastore events %" PRIu64,
		 store_event);
	if (!zebra_ask(command, &answer, &ok))
		return;
	list = ok ? json_tokener_parse(answer) : NULL;
	free(answer);
	for (size_t i = 0; list && i < json_object_array_length(list); i++) {
		uint64_t number;

		event = json_object_array_get_idx(list, i);
		number = strtoull(text_of(event, "number"), NULL, 10);
		if (number > store_event + 1)
			log_warn("\ndplane_ebpf: %" PRIu64
				 " notifications are lost: more happened than zebra keeps",
				 number - store_event - 1);
		send_one(event);
		store_event = number;
	}
	json_object_put(list);
}
