// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One netlink request and its answer. The socket is closed behind it, which is how a dump is ended that has said
 * enough.
 */
#include "dplane_ebpf/links/bypass.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <libmnl/libmnl.h>

#include "dplane_ebpf/links/links_internal.h"

#define BUFFER_SIZE (64u * 1024)
#define TIMEOUT_MS 3000

enum progress { MORE, DONE };

/* One datagram's messages. MORE, DONE, or a negative errno. */
static int read_messages(const struct nlmsghdr *nlh, int left, bypass_handler handler, void *arg)
{
	for (; mnl_nlmsg_ok(nlh, left); nlh = mnl_nlmsg_next(nlh, &left)) {
		if (nlh->nlmsg_flags & NLM_F_DUMP_INTR)
			return -EAGAIN;
		if (nlh->nlmsg_type == NLMSG_DONE)
			return DONE;
		if (nlh->nlmsg_type == NLMSG_ERROR) {
			const struct nlmsgerr *e = mnl_nlmsg_get_payload(nlh);

			if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*e) || e->error > 0)
				return -EPROTO;
			return e->error ? e->error : DONE;
		}
		if (handler(nlh, arg) || !(nlh->nlmsg_flags & NLM_F_MULTI))
			return DONE;
	}
	return MORE;
}

static int read_answer(int fd, uint8_t *buffer, bypass_handler handler, void *arg)
{
	struct pollfd pfd = {.fd = fd, .events = POLLIN};
	uint64_t deadline = links_now() + TIMEOUT_MS;
	int progress = MORE;

	while (progress == MORE) {
		struct sockaddr_nl from = {0};
		socklen_t from_len = sizeof(from);
		ssize_t len = recvfrom(fd, buffer, BUFFER_SIZE, MSG_DONTWAIT | MSG_TRUNC,
				       (struct sockaddr *)&from, &from_len);
		uint64_t now = links_now();

		if (len > (ssize_t)BUFFER_SIZE)
			return -EMSGSIZE;
		if (len >= 0 && from.nl_pid == 0)
			progress =
				read_messages((const struct nlmsghdr *)buffer, len, handler, arg);
		else if (len < 0 && errno != EAGAIN && errno != EINTR)
			return -errno;
		else if (now >= deadline)
			return -ETIMEDOUT;
		else
			poll(&pfd, 1, deadline - now);
	}
	return progress == DONE ? 0 : progress;
}

int bypass_request(int bus, const struct nlmsghdr *request, bypass_handler handler, void *arg)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, bus), err;
	uint8_t *buffer;

	if (fd < 0)
		return -errno;
	buffer = malloc(BUFFER_SIZE);
	if (!buffer)
		err = -ENOMEM;
	else if (send(fd, request, request->nlmsg_len, 0) < 0)
		err = -errno;
	else
		err = read_answer(fd, buffer, handler, arg);
	free(buffer);
	close(fd);
	return err;
}

bool bypass_is_unsupported(int err)
{
	return err == -EOPNOTSUPP || err == -EPROTONOSUPPORT || err == -EAFNOSUPPORT;
}
