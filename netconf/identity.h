/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who a session's client is. */
#ifndef NETCONF_IDENTITY_H
#define NETCONF_IDENTITY_H

#include <stdbool.h>

#include "netconf/yuma.h"

/*
 * netconf-subsystem tells netconfd the user's name out of its environment, which a user with a shell may set to anything. Whether the
 * kernel says the same of who is at the other end; root may speak for others, and netconfd's own sessions are nobody's.
 */
bool identity_is_true(const ses_cb_t *scb);

#endif /* NETCONF_IDENTITY_H */
