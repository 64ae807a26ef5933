/* SPDX-License-Identifier: GPL-2.0-or-later */
/* zebra's events as NETCONF notifications. */
#ifndef NETCONF_NOTIFY_H
#define NETCONF_NOTIFY_H

/* Once a second: sends what has happened since the last time. */
void notify_tick(void);

#endif /* NETCONF_NOTIFY_H */
