// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * iptables before nftables (ip_tables, ip6_tables): tables with more on the way through the router than chains
 * that are empty and accept. Asking for a table makes it, so only those are asked for that /proc names. That file is
 * root's: zebra is root for only as long as it loads modules.
 */
#include "dplane_ebpf/links/bypass.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/netfilter.h>
#include <linux/netfilter_ipv4/ip_tables.h>
#include <linux/netfilter_ipv6/ip6_tables.h>

#define TABLE_MAX (64u << 20)

static const struct family {
	int family, level, get_info, get_entries;
	const char *names;
} families[] = {
	{AF_INET, IPPROTO_IP, IPT_SO_GET_INFO, IPT_SO_GET_ENTRIES,
	 "/proc/thread-self/net/ip_tables_names"},
	{AF_INET6, IPPROTO_IPV6, IP6T_SO_GET_INFO, IP6T_SO_GET_ENTRIES,
	 "/proc/thread-self/net/ip6_tables_names"},
};

#define FAMILIES (sizeof(families) / sizeof(families[0]))

static int prepared_fd[FAMILIES] = {-1, -1};

void links_prepare(void)
{
	for (size_t i = 0; i < FAMILIES; i++) {
		if (prepared_fd[i] < 0)
			prepared_fd[i] = open(families[i].names, O_RDONLY | O_CLOEXEC);
	}
}

/* ---- a table ---- */

/* Where a chain is no longer than its policy, what that is. */
static bool is_accept(int family, const uint8_t *entry, size_t len)
{
	struct xt_standard_target target;
	uint16_t offset;

	if (family == AF_INET) {
		struct ipt_entry header;

		if (len < sizeof(header))
			return false;
		memcpy(&header, entry, sizeof(header));
		offset = header.target_offset;
	} else {
		struct ip6t_entry header;

		if (len < sizeof(header))
			return false;
		memcpy(&header, entry, sizeof(header));
		offset = header.target_offset;
	}
	if (offset > len || len - offset < sizeof(target))
		return false;
	memcpy(&target, entry + offset, sizeof(target));
	return target.target.u.user.name[0] == '\0' && target.verdict == -NF_ACCEPT - 1;
}

bool bypass_table_matters(int family, const struct ipt_getinfo *info, const uint8_t *entries,
			  size_t len)
{
	static const unsigned int hooks[] = {NF_INET_PRE_ROUTING, NF_INET_FORWARD,
					     NF_INET_POST_ROUTING};

	for (size_t i = 0; i < sizeof(hooks) / sizeof(hooks[0]); i++) {
		uint32_t policy = info->underflow[hooks[i]];

		if (!(info->valid_hooks & 1u << hooks[i]))
			continue;
		if (info->hook_entry[hooks[i]] != policy || policy >= len ||
		    !is_accept(family, entries + policy, len - policy))
			return true;
	}
	return false;
}

/* 1: it does something. 0: it does not. Or a negative errno. */
static int read_table(int fd, const struct family *family, const char *name)
{
	struct ipt_getinfo info = {0};
	struct ipt_get_entries *answer;
	socklen_t len = sizeof(info);
	int err = 0;

	strncpy(info.name, name, sizeof(info.name) - 1);
	if (getsockopt(fd, family->level, family->get_info, &info, &len) < 0)
		return -errno;
	/* ip6_tables has the same structures, but for the entries proper */
	if (info.size > TABLE_MAX)
		return 1;
	len = sizeof(*answer) + info.size;
	answer = calloc(1, len);
	if (!answer)
		return -ENOMEM;
	memcpy(answer->name, info.name, sizeof(answer->name));
	answer->size = info.size;
	if (getsockopt(fd, family->level, family->get_entries, answer, &len) < 0)
		err = -errno;
	else
		err = bypass_table_matters(family->family, &info,
					   (const uint8_t *)answer->entrytable, info.size);
	free(answer);
	return err;
}

/* ---- which tables there are ---- */

/* The names, a line each, as a string. 0 or a negative errno; -ENOENT: no such thing as tables. */
static int read_names(size_t i, char *names, size_t size)
{
	ssize_t len = -1;
	int fd, err = 0;

	if (prepared_fd[i] >= 0)
		len = pread(prepared_fd[i], names, size - 1, 0);
	if (len < 0) {
		/* not there at that time, or the kernel's module was removed since */
		fd = open(families[i].names, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			return -errno;
		len = read(fd, names, size - 1);
		if (len < 0)
			err = -errno;
		close(fd);
	}
	names[len < 0 ? 0 : len] = '\0';
	return err;
}

static int read_family(size_t i, bool *matters)
{
	char names[1024], *rest = names, *name;
	int err = read_names(i, names, sizeof(names)), fd;

	if (err)
		return err == -ENOENT ? 0 : err;
	if (!names[0])
		return 0;
	fd = socket(families[i].family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return bypass_is_unsupported(-errno) ? 0 : -errno;
	while (err == 0 && (name = strsep(&rest, "\n")) != NULL) {
		if (!name[0])
			continue;
		err = read_table(fd, &families[i], name);
		if (err == -ENOENT) /* gone meanwhile */
			err = 0;
	}
	close(fd);
	*matters = err > 0;
	return err < 0 ? err : 0;
}

int bypass_read_iptables(const struct datapath *datapath, struct bypass_view *view)
{
	bool v4 = false, v6 = false;
	int err = read_family(0, &v4);

	(void)datapath;
	if (!err)
		err = read_family(1, &v6);
	if (v4)
		view->v4 |= BYPASS_BIT(IPTABLES);
	if (v6)
		view->v6 |= BYPASS_BIT(IPTABLES);
	return err;
}
