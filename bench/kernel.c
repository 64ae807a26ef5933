// SPDX-License-Identifier: GPL-2.0-or-later
/* The kernel's FIB of this namespace, filled by netlink, many routes in a message. */
#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <linux/rtnetlink.h>

#include <libmnl/libmnl.h>

#include "bench/bench.h"

#define BATCH_BYTES 131072
#define MESSAGE_MAX 128

static void put_gateway(struct nlmsghdr *message, uint8_t family, uint32_t g)
{
	uint8_t v4[4] = {198, 18, 0, (uint8_t)(1 + g)};
	uint8_t v6[16] = {0x20, 0x01, 0, 2, [15] = (uint8_t)(1 + g)};

	mnl_attr_put(message, RTA_GATEWAY, family == AF_INET ? 4 : 16, family == AF_INET ? v4 : v6);
}

static void put_route(struct nlmsghdr *message, const struct bench_prefix *p, uint32_t out)
{
	struct rtmsg *route;

	message->nlmsg_type = RTM_NEWROUTE;
	message->nlmsg_flags = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_REPLACE;
	route = mnl_nlmsg_put_extra_header(message, sizeof(*route));
	route->rtm_family = p->prefix.family;
	route->rtm_dst_len = p->prefix.len;
	route->rtm_table = RT_TABLE_MAIN;
	route->rtm_protocol = RTPROT_STATIC;
	route->rtm_scope = RT_SCOPE_UNIVERSE;
	route->rtm_type = RTN_UNICAST;
	mnl_attr_put(message, RTA_DST, p->prefix.family == AF_INET ? 4 : 16, p->prefix.addr);
	mnl_attr_put_u32(message, RTA_OIF, out);
	put_gateway(message, p->prefix.family, bench_group(p));
}

/* The kernel answers only what fails. */
static void send_batch(struct mnl_socket *socket, const void *batch, size_t len)
{
	char answer[8192];
	ssize_t got;

	if (mnl_socket_sendto(socket, batch, len) < 0)
		bench_fail(errno, "cannot give routes to the kernel");
	got = recv(mnl_socket_get_fd(socket), answer, sizeof(answer), MSG_DONTWAIT);
	if (got > 0) {
		const struct nlmsghdr *message = (const void *)answer;
		const struct nlmsgerr *error = mnl_nlmsg_get_payload(message);

		bench_fail(message->nlmsg_type == NLMSG_ERROR ? error->error : 0,
			   "the kernel refused a route");
	}
}

double bench_kernel_load(const struct bench_table *table)
{
	static char batch[BATCH_BYTES];
	uint64_t began = bench_now();
	uint32_t out = if_nametoindex("out");
	struct mnl_socket *socket = mnl_socket_open(NETLINK_ROUTE);
	int size = 4 * BATCH_BYTES;
	size_t used = 0;

	if (!socket || mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) < 0)
		bench_fail(errno, "cannot talk to the kernel");
	setsockopt(mnl_socket_get_fd(socket), SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	for (size_t i = 0; i < table->n; i++) {
		struct nlmsghdr *message = mnl_nlmsg_put_header(batch + used);

		put_route(message, &table->list[i], out);
		used += message->nlmsg_len;
		if (used + MESSAGE_MAX > sizeof(batch)) {
			send_batch(socket, batch, used);
			used = 0;
		}
	}
	if (used)
		send_batch(socket, batch, used);
	mnl_socket_close(socket);
	return (double)(bench_now() - began) / 1e6;
}
