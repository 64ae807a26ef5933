// SPDX-License-Identifier: GPL-2.0-or-later
/* Sockets, dumps and requests: bytes from and to rtnetlink. What they mean is for the others. */
#include "dplane_ebpf/links/links_internal.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <syslog.h>
#include <unistd.h>

#include <libmnl/libmnl.h>
#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/netconf.h>
#include <linux/rtnetlink.h>

#include "dplane_ebpf/log.h"

#define EVENTS_BUFFER (8 * 1024 * 1024)
#define DUMP_TIMEOUT_MS 3000
#define DUMP_ATTEMPTS 5
#define BATCH 256 /* datagrams read before timers and next hops have their turn */

static const int groups[] = {RTNLGRP_LINK,	RTNLGRP_IPV4_IFADDR,  RTNLGRP_IPV6_IFADDR,
			     RTNLGRP_NEIGH,	RTNLGRP_IPV4_NETCONF, RTNLGRP_IPV6_NETCONF,
			     RTNLGRP_IPV4_RULE, RTNLGRP_IPV6_RULE};

int netlink_socket(int flags)
{
	struct sockaddr_nl address = {.nl_family = AF_NETLINK};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | flags, NETLINK_ROUTE);

	if (fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

int netlink_open(struct links *links, const struct links_options *options, char *error,
		 size_t error_len)
{
	int size = options->receive_buffer ? options->receive_buffer : EVENTS_BUFFER;

	links->buffer = malloc(NETLINK_BUFFER);
	if (!links->buffer) {
		snprintf(error, error_len, "links: out of memory");
		return -ENOMEM;
	}
	links->events_fd = netlink_socket(SOCK_NONBLOCK);
	links->dump_fd = netlink_socket(SOCK_NONBLOCK);
	links->request_fd = netlink_socket(SOCK_NONBLOCK);
	if (links->events_fd < 0 || links->dump_fd < 0 || links->request_fd < 0) {
		snprintf(error, error_len, "links: cannot open a netlink socket: %s",
			 strerror(errno));
		return -errno;
	}
	/* what is forced may go beyond net.core.rmem_max */
	if (options->receive_buffer ||
	    setsockopt(links->events_fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
		setsockopt(links->events_fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
		if (setsockopt(links->events_fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &groups[i],
			       sizeof(groups[i])) < 0) {
			snprintf(error, error_len, "links: cannot join netlink group %d: %s",
				 groups[i], strerror(errno));
			return -errno;
		}
	}
	return 0;
}

void netlink_close(struct links *links)
{
	if (links->events_fd >= 0)
		close(links->events_fd);
	if (links->dump_fd >= 0)
		close(links->dump_fd);
	if (links->request_fd >= 0)
		close(links->request_fd);
	free(links->buffer);
}

ssize_t netlink_receive(int fd, uint8_t *buffer)
{
	struct sockaddr_nl from = {0};
	struct iovec iov = {.iov_base = buffer, .iov_len = NETLINK_BUFFER};
	struct msghdr msg = {
		.msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = &iov, .msg_iovlen = 1};
	ssize_t len;

	do {
		len = recvmsg(fd, &msg, 0);
	} while (len < 0 && errno == EINTR);
	if (len < 0)
		return -errno;
	if (msg.msg_flags & MSG_TRUNC)
		return -EMSGSIZE;
	return from.nl_pid == 0 ? len : 0;
}

static bool has_header(const struct nlmsghdr *nlh, size_t size)
{
	return mnl_nlmsg_get_payload_len(nlh) >= size;
}

static void dispatch(struct links *links, const struct nlmsghdr *nlh)
{
	links->events++;
	switch (nlh->nlmsg_type) {
	case RTM_NEWLINK:
	case RTM_DELLINK:
		if (has_header(nlh, sizeof(struct ifinfomsg)))
			interface_message(links, nlh);
		break;
	case RTM_NEWNETCONF:
	case RTM_DELNETCONF:
		if (has_header(nlh, sizeof(struct netconfmsg)))
			netconf_message(links, nlh);
		break;
	case RTM_NEWADDR:
	case RTM_DELADDR:
		if (has_header(nlh, sizeof(struct ifaddrmsg)))
			address_message(links, nlh);
		break;
	case RTM_NEWRULE:
	case RTM_DELRULE:
		if (has_header(nlh, sizeof(struct fib_rule_hdr)))
			rule_message(links, nlh);
		break;
	case RTM_NEWNEIGH:
	case RTM_DELNEIGH:
		if (has_header(nlh, sizeof(struct ndmsg)))
			neighbour_message(links, nlh);
		break;
	}
}

void netlink_read_events(struct links *links)
{
	for (int i = 0; i < BATCH; i++) {
		ssize_t len = netlink_receive(links->events_fd, links->buffer);
		const struct nlmsghdr *nlh = (const struct nlmsghdr *)links->buffer;

		if (len == -EAGAIN)
			return;
		if (len < 0) {
			/* one that failed is repeated when it is due */
			links->resync = true;
			return;
		}
		for (int left = len; mnl_nlmsg_ok(nlh, left); nlh = mnl_nlmsg_next(nlh, &left))
			dispatch(links, nlh);
	}
}

void netlink_discard_events(struct links *links)
{
	/* An overrun socket takes nothing new until it is empty, so this ends; the limit is for a flood. */
	for (int i = 0; i < 1000000; i++) {
		if (netlink_receive(links->events_fd, links->buffer) == -EAGAIN)
			return;
	}
}

/* 0: done. -EAGAIN: the kernel's tables changed meanwhile, read them again. */
static int read_dump(struct links *links, uint32_t seq)
{
	struct pollfd pfd = {.fd = links->dump_fd, .events = POLLIN};
	uint64_t deadline = links_now() + DUMP_TIMEOUT_MS;
	bool interrupted = false;

	for (;;) {
		ssize_t len = netlink_receive(links->dump_fd, links->buffer);
		const struct nlmsghdr *nlh = (const struct nlmsghdr *)links->buffer;

		if (len == -EAGAIN) {
			uint64_t now = links_now();

			if (now >= deadline)
				return -ETIMEDOUT;
			poll(&pfd, 1, deadline - now);
			continue;
		}
		if (len < 0)
			return len;
		for (int left = len; mnl_nlmsg_ok(nlh, left); nlh = mnl_nlmsg_next(nlh, &left)) {
			if (nlh->nlmsg_seq != seq)
				continue; /* what a dump that timed out had left to say */
			interrupted |= nlh->nlmsg_flags & NLM_F_DUMP_INTR;
			if (nlh->nlmsg_type == NLMSG_DONE)
				return interrupted ? -EAGAIN : 0;
			if (nlh->nlmsg_type == NLMSG_ERROR) {
				const struct nlmsgerr *e = mnl_nlmsg_get_payload(nlh);

				return has_header(nlh, sizeof(*e)) && e->error < 0 ? e->error
										   : -EPROTO;
			}
			dispatch(links, nlh);
		}
	}
}

static int dump(struct links *links, uint16_t type, uint8_t family)
{
	char request[MNL_ALIGN(sizeof(struct nlmsghdr)) + 64];
	int err = 0;

	for (int i = 0; i < DUMP_ATTEMPTS; i++) {
		struct nlmsghdr *nlh = mnl_nlmsg_put_header(request);

		if (type == RTM_GETRULE)
			rule_begin(links, family);
		nlh->nlmsg_type = type;
		nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
		nlh->nlmsg_seq = ++links->seq;
		if (type == RTM_GETLINK) {
			struct ifinfomsg *ifi = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifi));

			ifi->ifi_family = family;
			mnl_attr_put_u32(nlh, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
		} else if (type == RTM_GETNEIGH) {
			struct ndmsg *ndm = mnl_nlmsg_put_extra_header(nlh, sizeof(*ndm));

			ndm->ndm_family = family;
		} else if (type == RTM_GETADDR) {
			struct ifaddrmsg *ifa = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifa));

			ifa->ifa_family = family;
		} else if (type == RTM_GETRULE) {
			struct fib_rule_hdr *rule = mnl_nlmsg_put_extra_header(nlh, sizeof(*rule));

			rule->family = family;
		} else {
			struct netconfmsg *ncm = mnl_nlmsg_put_extra_header(nlh, sizeof(*ncm));

			ncm->ncm_family = family;
		}
		if (send(links->dump_fd, nlh, nlh->nlmsg_len, MSG_DONTWAIT) < 0)
			return -errno;
		err = read_dump(links, nlh->nlmsg_seq);
		if (err != -EAGAIN)
			break;
	}
	return err;
}

static int dump_rules(struct links *links, uint8_t family, struct rules *rules)
{
	/* a kernel without policy routing has no rules that could lead elsewhere */
	static const struct rules none = {.by_main = true, .by_vrf = true, .local_first = true};
	struct rules before = *rules;
	int err = dump(links, RTM_GETRULE, family);

	if (err == -EOPNOTSUPP) {
		*rules = none;
		return 0;
	}
	if (err)
		*rules = before;
	return err;
}

int netlink_dump_rules(struct links *links)
{
	int err4 = dump_rules(links, AF_INET, &links->rules_v4);
	int err6 = dump_rules(links, AF_INET6, &links->rules_v6);

	return err4 ? err4 : err6;
}

int netlink_dump_all(struct links *links)
{
	static const struct {
		uint16_t type;
		uint8_t family;
		bool optional; /* a kernel without IPv6 has no such table */
	} tables[] = {
		{RTM_GETNETCONF, AF_INET, false}, {RTM_GETNETCONF, AF_INET6, true},
		{RTM_GETLINK, AF_UNSPEC, false},  {RTM_GETADDR, AF_INET, false},
		{RTM_GETADDR, AF_INET6, true},	  {RTM_GETNEIGH, AF_INET, false},
		{RTM_GETNEIGH, AF_INET6, true},
	};

	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		int err = dump(links, tables[i].type, tables[i].family);

		if (err && !(tables[i].optional && err == -EOPNOTSUPP))
			return err;
	}
	return netlink_dump_rules(links);
}

void netlink_neighbour_use(struct links *links, const struct fib_neigh_key *key, bool managed,
			   bool create, uint8_t flags)
{
	char request[MNL_ALIGN(sizeof(struct nlmsghdr)) + 128];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(request);
	struct ndmsg *ndm = mnl_nlmsg_put_extra_header(nlh, sizeof(*ndm));
	int err;

	nlh->nlmsg_type = RTM_NEWNEIGH;
	nlh->nlmsg_flags = NLM_F_REQUEST | (create ? NLM_F_CREATE : 0);
	nlh->nlmsg_seq = ++links->seq;
	ndm->ndm_family = key->family;
	ndm->ndm_ifindex = key->ifindex;
	/* with "use" or "managed" the kernel leaves state and MAC address of an entry alone */
	ndm->ndm_flags = NTF_USE | (flags & (NTF_EXT_LEARNED | NTF_ROUTER));
	mnl_attr_put(nlh, NDA_DST, key->family == AF_INET ? 4 : 16, key->addr);
	if (managed) {
		mnl_attr_put_u32(nlh, NDA_FLAGS_EXT, NTF_EXT_MANAGED);
		mnl_attr_put_u8(nlh, NDA_PROTOCOL, RTPROT_ZEBRA);
	}
	/* not sent from here: the kernel does at once what is asked, and has the sender wait for its lock */
	err = attacher_send(links->attacher, nlh);
	if (err)
		nexthop_request_failed(links, key, err);
}

static void request_failed(struct links *links, const struct nlmsghdr *request, int error)
{
	struct fib_neigh_key key = {0};
	const struct nlattr *attr;
	const struct ndmsg *ndm;

	if (request->nlmsg_type != RTM_NEWNEIGH || !has_header(request, sizeof(*ndm)))
		return;
	ndm = mnl_nlmsg_get_payload(request);
	key.ifindex = ndm->ndm_ifindex;
	key.family = ndm->ndm_family;
	mnl_attr_for_each(attr, request, sizeof(*ndm)) {
		if (mnl_attr_get_type(attr) == NDA_DST &&
		    mnl_attr_get_payload_len(attr) <= sizeof(key.addr))
			memcpy(key.addr, mnl_attr_get_payload(attr),
			       mnl_attr_get_payload_len(attr));
	}
	nexthop_request_failed(links, &key, error);
}

/* The kernel sends the request back with its error: that says which neighbour it was. */
static void request_error(struct links *links, const struct nlmsghdr *nlh)
{
	const struct nlmsgerr *e = mnl_nlmsg_get_payload(nlh);
	const size_t offset = offsetof(struct nlmsgerr, msg);

	if (has_header(nlh, sizeof(*e)) && e->error &&
	    mnl_nlmsg_ok(&e->msg, mnl_nlmsg_get_payload_len(nlh) - offset))
		request_failed(links, &e->msg, e->error);
}

void netlink_read_errors(struct links *links)
{
	uint8_t refused[ATTACHER_REQUEST_MAX];
	int err;

	while (attacher_take_refused(links->attacher, refused, &err))
		request_failed(links, (const struct nlmsghdr *)refused, err);
	for (int i = 0; i < BATCH; i++) {
		ssize_t len = netlink_receive(links->request_fd, links->buffer);
		const struct nlmsghdr *nlh = (const struct nlmsghdr *)links->buffer;

		if (len < 0)
			return;
		for (int left = len; mnl_nlmsg_ok(nlh, left); nlh = mnl_nlmsg_next(nlh, &left)) {
			if (nlh->nlmsg_type == NLMSG_ERROR)
				request_error(links, nlh);
		}
	}
}
