// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the kernel says of a packet: RTM_GETROUTE with the interface that it comes in by, which runs the kernel's own
 * input route lookup, with the checks of an IPv4 source. What `ip route get DST from SRC iif IF tos TOS` asks.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include <libmnl/libmnl.h>

#include "tests/differ/differ.h"

static struct mnl_socket *netlink;
static uint32_t port;

void kernel_open(void)
{
	netlink = mnl_socket_open(NETLINK_ROUTE);
	if (!netlink || mnl_socket_bind(netlink, 0, MNL_SOCKET_AUTOPID) < 0)
		fail(errno, "cannot talk to the kernel");
	port = mnl_socket_get_portid(netlink);
}

/* A way's own attributes; those of nested next hops are the same. */
static void read_way(struct way *way, const struct nlattr *attr)
{
	uint16_t length = mnl_attr_get_payload_len(attr);
	const struct rtvia *via = mnl_attr_get_payload(attr);

	switch (mnl_attr_get_type(attr)) {
	case RTA_GATEWAY:
		way->family = length == 4 ? AF_INET : AF_INET6;
		memcpy(way->gate, mnl_attr_get_payload(attr), length);
		break;
	case RTA_VIA:
		way->family = via->rtvia_family;
		memcpy(way->gate, via->rtvia_addr, address_length(way->family));
		break;
	case RTA_OIF:
		way->ifindex = mnl_attr_get_u32(attr);
		break;
	case RTA_ENCAP_TYPE:
		way->encap = true;
		break;
	}
}

static bool usable(unsigned int flags)
{
	return !(flags & RTNH_F_DEAD);
}

static size_t read_multipath(struct way ways[MAX_WAYS], const struct nlattr *multipath)
{
	const struct rtnexthop *hop = mnl_attr_get_payload(multipath);
	int left = mnl_attr_get_payload_len(multipath);
	size_t count = 0;

	while (RTNH_OK(hop, left) && count < MAX_WAYS) {
		struct way *way = &ways[count++];
		const struct nlattr *attr;

		memset(way, 0, sizeof(*way));
		way->ifindex = hop->rtnh_ifindex;
		way->usable = usable(hop->rtnh_flags);
		mnl_attr_for_each_payload((const void *)RTNH_DATA(hop),
					  hop->rtnh_len - sizeof(*hop)) read_way(way, attr);
		left -= NLMSG_ALIGN(hop->rtnh_len);
		hop = RTNH_NEXT(hop);
	}
	return count;
}

struct route {
	uint8_t type;
	struct way ways[MAX_WAYS];
	size_t count;
};

static void read_route(const struct nlmsghdr *message, struct route *route)
{
	const struct rtmsg *header = mnl_nlmsg_get_payload(message);
	struct way single = {.usable = usable(header->rtm_flags)};
	const struct nlattr *attr;

	route->type = header->rtm_type;
	mnl_attr_for_each(attr, message, sizeof(*header)) {
		if (mnl_attr_get_type(attr) == RTA_MULTIPATH)
			route->count = read_multipath(route->ways, attr);
		else
			read_way(&single, attr);
	}
	if (!route->count)
		route->ways[route->count++] = single;
}

/* 0, or the errno that the kernel answers with. */
static int ask(const struct packet *packet, unsigned int flags, struct route *route)
{
	static uint32_t sequence;
	char buffer[8192];
	struct nlmsghdr *message = mnl_nlmsg_put_header(buffer);
	size_t length = address_length(packet->family);
	struct rtmsg *header;
	ssize_t got;

	message->nlmsg_type = RTM_GETROUTE;
	message->nlmsg_flags = NLM_F_REQUEST;
	message->nlmsg_seq = ++sequence;
	header = mnl_nlmsg_put_extra_header(message, sizeof(*header));
	header->rtm_family = packet->family;
	header->rtm_dst_len = header->rtm_src_len = 8 * length;
	header->rtm_tos = packet->tos;
	header->rtm_flags = flags;
	mnl_attr_put(message, RTA_DST, length, packet->dst);
	mnl_attr_put(message, RTA_SRC, length, packet->src);
	mnl_attr_put_u32(message, RTA_IIF, packet->ifindex);
	mnl_attr_put_u8(message, RTA_IP_PROTO, packet->protocol);
	if (packet->sport) {
		mnl_attr_put_u16(message, RTA_SPORT, htons(packet->sport));
		mnl_attr_put_u16(message, RTA_DPORT, htons(packet->dport));
	}
	if (mnl_socket_sendto(netlink, message, message->nlmsg_len) < 0)
		fail(errno, "cannot ask the kernel");
	do {
		got = mnl_socket_recvfrom(netlink, buffer, sizeof(buffer));
		if (got < (ssize_t)sizeof(*message))
			fail(errno, "the kernel does not answer");
		message = (struct nlmsghdr *)buffer;
	} while (message->nlmsg_seq != sequence || message->nlmsg_pid != port);
	if (message->nlmsg_type == NLMSG_ERROR)
		return -((const struct nlmsgerr *)mnl_nlmsg_get_payload(message))->error;
	memset(route, 0, offsetof(struct route, ways));
	route->count = 0;
	read_route(message, route);
	return 0;
}

void kernel_ask(const struct packet *packet, struct kernel_answer *answer)
{
	struct route route;

	memset(answer, 0, sizeof(*answer));
	answer->error = ask(packet, 0, &route);
	if (answer->error)
		return;
	answer->type = route.type;
	answer->way = route.ways[0];
	if (packet->family == AF_INET6)
		answer->refuses = knowledge_refuses6(packet);
}

size_t kernel_ways(const struct packet *packet, struct way ways[MAX_WAYS])
{
	struct route route;

	if (ask(packet, RTM_F_FIB_MATCH, &route))
		return 0;
	memcpy(ways, route.ways, route.count * sizeof(*ways));
	return route.count;
}
