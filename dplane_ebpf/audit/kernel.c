// SPDX-License-Identifier: GPL-2.0-or-later
/* The kernel's routes, by RTM_GETROUTE, and its next hops, should it name them by id alone. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <libmnl/libmnl.h>
#include <linux/lwtunnel.h>
#include <linux/rtnetlink.h>

#include "dplane_ebpf/audit/audit_internal.h"

#define BUFFER_SIZE (128u * 1024)
#define TIMEOUT_S 5
#define ATTEMPTS 4
#define MEMBERS_MAX 512u

struct dump {
	struct reading *reading;
	uint32_t kernel_table;
	uint16_t table;
	struct fib_member member[MEMBERS_MAX];
	size_t n;
};

static int open_socket(void)
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

static int request(int fd, uint32_t kernel_table, uint8_t family, uint32_t seq)
{
	char buffer[MNL_ALIGN(sizeof(struct nlmsghdr)) + 64] = {0};
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buffer);
	struct rtmsg *rtm;

	nlh->nlmsg_type = RTM_GETROUTE;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	nlh->nlmsg_seq = seq;
	rtm = mnl_nlmsg_put_extra_header(nlh, sizeof(*rtm));
	rtm->rtm_family = family;
	mnl_attr_put_u32(nlh, RTA_TABLE, kernel_table);
	return send(fd, nlh, nlh->nlmsg_len, 0) < 0 ? -errno : 0;
}

static size_t address_len(uint8_t family)
{
	return family == AF_INET ? 4 : 16;
}

/* ---- next hops ---- */

/* The attributes that say how one next hop is reached. */
struct hop {
	struct fib_nexthop_key key;
	bool encap;
};

static void hop_attribute(struct hop *hop, const struct nlattr *attr, uint8_t family)
{
	size_t len = mnl_attr_get_payload_len(attr);
	const uint8_t *data = mnl_attr_get_payload(attr);
	uint16_t type;

	switch (mnl_attr_get_type(attr)) {
	case RTA_OIF:
		if (len >= sizeof(uint32_t))
			hop->key.ifindex = mnl_attr_get_u32(attr);
		break;
	case RTA_GATEWAY:
		if (len != address_len(family))
			break;
		hop->key.family = family;
		memcpy(hop->key.gate, data, len);
		break;
	case RTA_VIA:
		memcpy(&type, data, len >= sizeof(type) ? sizeof(type) : 0);
		if ((type != AF_INET && type != AF_INET6) ||
		    len != sizeof(type) + address_len((uint8_t)type))
			break;
		hop->key.family = (uint8_t)type;
		memcpy(hop->key.gate, data + sizeof(type), len - sizeof(type));
		break;
	case RTA_ENCAP_TYPE:
		hop->encap |=
			len >= sizeof(uint16_t) && mnl_attr_get_u16(attr) != LWTUNNEL_ENCAP_NONE;
		break;
	}
}

static bool add_member(struct dump *dump, const struct hop *hop, uint32_t weight)
{
	if (!hop->key.ifindex || hop->encap || dump->n == MEMBERS_MAX)
		return false;
	dump->member[dump->n] = (struct fib_member){.nexthop = hop->key, .weight = weight};
	dump->n++;
	return true;
}

/* False: not all of them are plain next hops. */
static bool read_multipath(struct dump *dump, const struct nlattr *multipath, uint8_t family)
{
	const struct rtnexthop *rtnh = mnl_attr_get_payload(multipath);
	size_t left = mnl_attr_get_payload_len(multipath);

	while (left >= sizeof(*rtnh) && rtnh->rtnh_len >= sizeof(*rtnh) && rtnh->rtnh_len <= left) {
		struct hop hop = {.key.ifindex = (uint32_t)rtnh->rtnh_ifindex};
		const struct nlattr *attr;
		size_t used = MNL_ALIGN(rtnh->rtnh_len);

		mnl_attr_for_each_payload((const struct nlattr *)(rtnh + 1),
					  rtnh->rtnh_len - sizeof(*rtnh))
			hop_attribute(&hop, attr, family);
		if (!add_member(dump, &hop, rtnh->rtnh_hops + 1u))
			return false;
		if (used >= left)
			break;
		left -= used;
		rtnh = (const void *)((const char *)rtnh + used);
	}
	return true;
}

/* ---- routes ---- */

static uint32_t read_way(struct dump *dump, const struct rtmsg *rtm, const struct hop *hop,
			 const struct nlattr *multipath)
{
	bool plain;

	switch (rtm->rtm_type) {
	case RTN_BLACKHOLE:
		return FIB_GROUP_BLACKHOLE;
	case RTN_UNREACHABLE:
	case RTN_PROHIBIT:
		return FIB_GROUP_REJECT;
	}
	dump->n = 0;
	plain = multipath ? read_multipath(dump, multipath, rtm->rtm_family)
			  : add_member(dump, hop, 1);
	/* with net.ipv4.nexthop_compat_mode=0 there is no more than the id of a next hop */
	return plain ? ways_of(dump->reading->snapshot->ways, dump->member, dump->n) : WAY_UNKNOWN;
}

static bool wanted(const struct rtmsg *rtm)
{
	switch (rtm->rtm_type) {
	case RTN_UNICAST:
	case RTN_BLACKHOLE:
	case RTN_UNREACHABLE:
	case RTN_PROHIBIT:
		return !rtm->rtm_src_len && !rtm->rtm_tos && !(rtm->rtm_flags & RTM_F_CLONED) &&
		       (rtm->rtm_family == AF_INET || rtm->rtm_family == AF_INET6);
	}
	return false;
}

static void read_route(struct dump *dump, const struct nlmsghdr *nlh)
{
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(nlh);
	struct fib_prefix prefix = {.table = dump->table};
	const struct nlattr *attr, *multipath = NULL;
	uint32_t kernel_table, metric = 0;
	struct hop hop = {0};

	if (nlh->nlmsg_type != RTM_NEWROUTE || mnl_nlmsg_get_payload_len(nlh) < sizeof(*rtm) ||
	    !wanted(rtm))
		return;
	kernel_table = rtm->rtm_table;
	prefix.family = rtm->rtm_family;
	prefix.len = rtm->rtm_dst_len;
	mnl_attr_for_each(attr, nlh, sizeof(*rtm)) {
		size_t len = mnl_attr_get_payload_len(attr);

		if (mnl_attr_get_type(attr) == RTA_DST && len == address_len(prefix.family))
			memcpy(prefix.addr, mnl_attr_get_payload(attr), len);
		else if (mnl_attr_get_type(attr) == RTA_PRIORITY && len >= sizeof(metric))
			metric = mnl_attr_get_u32(attr);
		else if (mnl_attr_get_type(attr) == RTA_TABLE && len >= sizeof(kernel_table))
			kernel_table = mnl_attr_get_u32(attr);
		else if (mnl_attr_get_type(attr) == RTA_MULTIPATH)
			multipath = attr;
		else
			hop_attribute(&hop, attr, prefix.family);
	}
	if (kernel_table != dump->kernel_table || prefix.len > 8 * address_len(prefix.family) ||
	    snapshot_ignores(&prefix))
		return;
	*dump->reading->seen += 1;
	snapshot_kernel(dump->reading->snapshot, &prefix, read_way(dump, rtm, &hop, multipath),
			metric, dump->reading->all);
}

/* 0: done, *interrupted: something changed meanwhile. */
static int read_dump(struct dump *dump, int fd, uint32_t seq, char *buffer, bool *interrupted)
{
	for (;;) {
		struct sockaddr_nl from = {0};
		socklen_t from_len = sizeof(from);
		ssize_t len =
			recvfrom(fd, buffer, BUFFER_SIZE, 0, (struct sockaddr *)&from, &from_len);
		const struct nlmsghdr *nlh = (const struct nlmsghdr *)buffer;
		int left = (int)len;

		if (len < 0 && errno == EINTR)
			continue;
		if (len < 0)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		for (; mnl_nlmsg_ok(nlh, left) && !from.nl_pid; nlh = mnl_nlmsg_next(nlh, &left)) {
			if (nlh->nlmsg_seq != seq)
				continue;
			*interrupted |= nlh->nlmsg_flags & NLM_F_DUMP_INTR;
			if (nlh->nlmsg_type == NLMSG_DONE)
				return 0;
			if (nlh->nlmsg_type == NLMSG_ERROR) {
				const struct nlmsgerr *e = mnl_nlmsg_get_payload(nlh);

				/* a table without routes does not exist */
				return mnl_nlmsg_get_payload_len(nlh) < sizeof(*e) ? -EPROTO
				       : e->error == -ENOENT			   ? 0
										   : e->error;
			}
			read_route(dump, nlh);
		}
		if (!reading_pause(dump->reading))
			return -ECANCELED;
	}
}

static void forget(struct snapshot *snapshot, uint16_t table, uint8_t family)
{
	uint8_t v6 = family == AF_INET6 ? RECORD_V6 : 0;

	for (size_t i = 0; i < snapshot->n; i++) {
		struct record *record = &snapshot->record[i];

		if (record->table == table && (record->flags & RECORD_V6) == v6)
			record->kernel = WAY_NONE;
	}
}

int kernel_read(struct reading *reading, uint32_t kernel_table, uint16_t table, uint8_t family)
{
	struct dump *dump = malloc(sizeof(*dump));
	char *buffer = malloc(BUFFER_SIZE);
	uint64_t seen = *reading->seen;
	bool interrupted = true;
	int err = -ENOMEM, fd = -1;

	if (dump && buffer) {
		*dump = (struct dump){
			.reading = reading, .kernel_table = kernel_table, .table = table};
		fd = open_socket();
		err = fd < 0 ? fd : 0;
	}
	/* what is missed after the last attempt is seen at the next look */
	for (uint32_t i = 1; !err && interrupted && i <= ATTEMPTS; i++) {
		interrupted = false;
		*reading->seen = seen;
		if (i > 1)
			forget(reading->snapshot, table, family);
		err = request(fd, kernel_table, family, i);
		if (!err)
			err = read_dump(dump, fd, i, buffer, &interrupted);
	}
	if (fd >= 0)
		close(fd);
	free(dump);
	free(buffer);
	return err;
}
