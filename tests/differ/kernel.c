// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the kernel says of a packet: RTM_GETROUTE with the interface that it comes in by, which runs the kernel's own
 * input route lookup, with the checks of an IPv4 source. What `ip route get DST from SRC iif IF tos TOS` asks.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <string.h>

#include <libmnl/libmnl.h>

#include "tests/differ/differ.h"

/* Flows asked for to see all members of a route: one of eight is missed by all of them once in 2 * 10^7 times. */
#define FLOWS 128

static struct mnl_socket *netlink;
static uint32_t port;

void kernel_open(void)
{
	netlink = mnl_socket_open(NETLINK_ROUTE);
	if (!netlink || mnl_socket_bind(netlink, 0, MNL_SOCKET_AUTOPID) < 0)
		fail(errno, "cannot talk to the kernel");
	port = mnl_socket_get_portid(netlink);
}

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

/* 0, or the errno that the kernel answers with. */
static int ask(const struct packet *packet, struct kernel_answer *answer)
{
	static uint32_t sequence;
	char buffer[8192];
	struct nlmsghdr *message = mnl_nlmsg_put_header(buffer);
	size_t length = address_length(packet->family);
	const struct nlattr *attr;
	struct rtmsg *header;
	ssize_t got;

	message->nlmsg_type = RTM_GETROUTE;
	message->nlmsg_flags = NLM_F_REQUEST;
	message->nlmsg_seq = ++sequence;
	header = mnl_nlmsg_put_extra_header(message, sizeof(*header));
	header->rtm_family = packet->family;
	header->rtm_dst_len = header->rtm_src_len = 8 * length;
	header->rtm_tos = packet->tos;
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
	header = mnl_nlmsg_get_payload(message);
	answer->type = header->rtm_type;
	mnl_attr_for_each(attr, message, sizeof(*header))
		read_way(&answer->way, attr);
	return 0;
}

void kernel_ask(const struct packet *packet, struct kernel_answer *answer)
{
	memset(answer, 0, sizeof(*answer));
	answer->error = ask(packet, answer);
	if (!answer->error && packet->family == AF_INET6)
		answer->refuses = knowledge_refuses6(packet);
}

bool way_same(const struct way *a, const struct way *b)
{
	return a->ifindex == b->ifindex && a->family == b->family && a->encap == b->encap &&
	       (!a->family || !memcmp(a->gate, b->gate, address_length(a->family)));
}

size_t kernel_ways(const struct packet *packet, struct way ways[MAX_WAYS])
{
	struct packet flow = *packet;
	size_t count = 0, known;

	if (packet->protocol != IPPROTO_TCP)
		flow.protocol = IPPROTO_UDP;
	for (uint32_t n = 0; n < FLOWS && count < MAX_WAYS; n++) {
		struct kernel_answer answer = {0};

		flow.sport = 1 + (n * 40503u & 0x7fff);
		flow.dport = 1 + (n * 25717u & 0x7fff);
		if (ask(&flow, &answer) || answer.type != RTN_UNICAST)
			continue;
		for (known = 0; known < count && !way_same(&ways[known], &answer.way);)
			known++;
		if (known == count)
			ways[count++] = answer.way;
	}
	return count;
}
