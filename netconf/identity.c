// SPDX-License-Identifier: GPL-2.0-or-later
/* Who a session's client is. */
#include "netconf/identity.h"

#include <pwd.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

bool identity_is_true(const ses_cb_t *scb)
{
	const struct passwd *user;
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (scb->type == SES_TYP_DUMMY)
		return true;
	if (getsockopt(scb->fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
		return false;
	if (peer.uid == 0)
		return true;
	user = getpwuid(peer.uid);
	return user && scb->username && strcmp(user->pw_name, (const char *)scb->username) == 0;
}
