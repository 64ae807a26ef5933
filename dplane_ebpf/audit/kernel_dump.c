// SPDX-License-Identifier: GPL-2.0-or-later
/* Asking the kernel for all that it has of a kind: a request, and its answer to the end. */
#include <errno.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <linux/rtnetlink.h>

#include "dplane_ebpf/audit/kernel.h"

#define TIMEOUT_S 5

int kernel_open(void)
{
	struct sockaddr_nl address = {.nl_family = AF_NETLINK};
	struct timeval timeout = {.tv_sec = TIMEOUT_S};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE), yes = 1, err;

	if (fd < 0)
		return -errno;
	/* only one table is asked for, and a kernel that does not do so is older than what we run on */
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &yes, sizeof(yes)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) < 0) {
		err = -errno;
		close(fd);
		return err;
	}
	return fd;
}

static int receive(int fd, char *buffer)
{
	struct sockaddr_nl from;
	socklen_t from_len;
	ssize_t len;

	do {
		from_len = sizeof(from);
		len = recvfrom(fd, buffer, KERNEL_BUFFER, 0, (struct sockaddr *)&from, &from_len);
		/* another process could write to us */
	} while ((len < 0 && errno == EINTR) || (len >= 0 && from.nl_pid));
	if (len < 0)
		return errno == EAGAIN ? -ETIMEDOUT : -errno;
	return (int)len;
}

static int error_of(const struct nlmsghdr *nlh)
{
	const struct nlmsgerr *error = mnl_nlmsg_get_payload(nlh);

	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*error))
		return -EPROTO;
	/* a table without routes does not exist */
	return error->error == -ENOENT ? 0 : error->error;
}

int kernel_dump(const struct reading *reading, int fd, struct nlmsghdr *request, char *buffer,
		kernel_message_cb cb, void *arg, bool *interrupted)
{
	uint32_t seq = request->nlmsg_seq;

	if (send(fd, request, request->nlmsg_len, 0) < 0)
		return -errno;
	do {
		const struct nlmsghdr *nlh = (const struct nlmsghdr *)buffer;
		int left = receive(fd, buffer);

		if (left < 0)
			return left;
		for (; mnl_nlmsg_ok(nlh, left); nlh = mnl_nlmsg_next(nlh, &left)) {
			if (nlh->nlmsg_seq != seq)
				continue;
			*interrupted |= nlh->nlmsg_flags & NLM_F_DUMP_INTR;
			if (nlh->nlmsg_type == NLMSG_DONE)
				return 0;
			if (nlh->nlmsg_type == NLMSG_ERROR)
				return error_of(nlh);
			cb(arg, nlh);
		}
	} while (reading_pause(reading));
	return -ECANCELED;
}
