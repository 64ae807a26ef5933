// SPDX-License-Identifier: GPL-2.0-or-later
/* One route at a time into the kernel's FIB, and out of it. */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>
#include <linux/rtnetlink.h>

#include <libmnl/libmnl.h>

#include "tests/scale/scale.h"

static struct mnl_socket *kernel;
static uint32_t out;

void kernel_open(void)
{
	kernel = mnl_socket_open(NETLINK_ROUTE);
	if (!kernel || mnl_socket_bind(kernel, 0, MNL_SOCKET_AUTOPID) < 0)
		bench_fail(errno, "cannot talk to the kernel");
	out = if_nametoindex("out");
}

static void put_gateway(struct nlmsghdr *message, uint8_t family, uint16_t answer)
{
	uint8_t addr[16];

	inet_pton(family, family == AF_INET ? "198.18.0.0" : "2001:2::", addr);
	addr[family == AF_INET ? 3 : 15] = (uint8_t)answer;
	mnl_attr_put_u32(message, RTA_OIF, out);
	mnl_attr_put(message, RTA_GATEWAY, family == AF_INET ? 4 : 16, addr);
}

void kernel_set(const struct fib_prefix *prefix, uint16_t answer)
{
	char buffer[4096];
	struct nlmsghdr *message = mnl_nlmsg_put_header(buffer);
	struct rtmsg *route;
	ssize_t got;

	message->nlmsg_type = answer == ANSWER_ABSENT ? RTM_DELROUTE : RTM_NEWROUTE;
	message->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	if (answer != ANSWER_ABSENT)
		message->nlmsg_flags |= NLM_F_CREATE | NLM_F_REPLACE;
	route = mnl_nlmsg_put_extra_header(message, sizeof(*route));
	route->rtm_family = prefix->family;
	route->rtm_dst_len = prefix->len;
	route->rtm_table = RT_TABLE_MAIN;
	route->rtm_protocol = RTPROT_STATIC;
	route->rtm_scope = RT_SCOPE_UNIVERSE;
	mnl_attr_put(message, RTA_DST, prefix->family == AF_INET ? 4 : 16, prefix->addr);
	if (answer == ANSWER_BLACKHOLE)
		route->rtm_type = RTN_BLACKHOLE;
	else if (answer == ANSWER_REJECT)
		route->rtm_type = RTN_UNREACHABLE;
	else if (answer != ANSWER_ABSENT) {
		route->rtm_type = RTN_UNICAST;
		put_gateway(message, prefix->family, answer);
	}
	if (mnl_socket_sendto(kernel, message, message->nlmsg_len) < 0)
		bench_fail(errno, "cannot give a route to the kernel");
	got = mnl_socket_recvfrom(kernel, buffer, sizeof(buffer));
	if (got <= 0 ||
	    mnl_cb_run(buffer, (size_t)got, 0, mnl_socket_get_portid(kernel), NULL, NULL) < 0) {
		char text[INET6_ADDRSTRLEN];
		int err = errno;

		inet_ntop(prefix->family, prefix->addr, text, sizeof(text));
		bench_fail(err, "the kernel refused %s/%u (answer %u)", text, prefix->len, answer);
	}
}
