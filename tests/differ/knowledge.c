// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the kernel's treatment of a packet depends on beyond its route: links and their MAC addresses, neighbours, and
 * what ip6_forward() looks at (RTM_GETROUTE looks IPv6 routes up and checks nothing else). Read once for many packets,
 * and again whenever an answer is asked for again.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if_arp.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include <libmnl/libmnl.h>

#include "tests/differ/differ.h"

#define LINKS_MAX 256
#define PROXIED_MAX 64
#define ADDRESSES_MAX 1024
#define NEIGHBOURS_MAX 8192u /* a power of two */

struct link {
	uint32_t ifindex;
	char name[IF_NAMESIZE];
	uint8_t mac[6];
	bool ethernet, up;
	bool disabled6, force6;
};

struct neighbour {
	uint32_t ifindex; /* 0: free */
	uint8_t family;
	bool proxy;
	uint8_t address[16], mac[6];
};

static struct link links[LINKS_MAX];
static size_t link_count;
static struct neighbour neighbours[NEIGHBOURS_MAX];
static const struct neighbour *proxied[PROXIED_MAX];
static size_t proxied_count;
static bool forwarding6, proxy6;
static uint32_t own4[ADDRESSES_MAX];
static size_t own4_count;

/* ---- tables ---- */

static const struct link *link_of(uint32_t ifindex)
{
	for (size_t i = 0; i < link_count; i++) {
		if (links[i].ifindex == ifindex)
			return &links[i];
	}
	return NULL;
}

const uint8_t *knowledge_mac(uint32_t ifindex)
{
	const struct link *link = link_of(ifindex);

	return link && link->ethernet ? link->mac : NULL;
}

bool knowledge_up(uint32_t ifindex)
{
	const struct link *link = link_of(ifindex);

	return link && link->up && link->ethernet;
}

bool knowledge_own4(const uint8_t *address)
{
	for (size_t i = 0; i < own4_count; i++) {
		if (!memcmp(&own4[i], address, 4))
			return true;
	}
	return false;
}

/* Where a neighbour stands, or would stand. */
static struct neighbour *neighbour_at(uint32_t ifindex, uint8_t family, const uint8_t *address,
				      bool proxy)
{
	uint32_t hash = ifindex * 0x9e3779b1u + proxy;

	for (size_t i = 0; i < address_length(family); i++)
		hash = (hash ^ address[i]) * 0x01000193u;
	for (;; hash++) {
		struct neighbour *entry = &neighbours[hash & (NEIGHBOURS_MAX - 1)];

		if (!entry->ifindex)
			return entry;
		if (entry->ifindex == ifindex && entry->family == family && entry->proxy == proxy &&
		    !memcmp(entry->address, address, address_length(family)))
			return entry;
	}
}

const uint8_t *knowledge_neighbour(uint32_t ifindex, uint8_t family, const uint8_t *address)
{
	const struct neighbour *entry = neighbour_at(ifindex, family, address, false);

	return entry->ifindex ? entry->mac : NULL;
}

const uint8_t *knowledge_proxied(uint64_t random)
{
	return proxied_count ? proxied[random % proxied_count]->address : NULL;
}

/* ---- sysctls ---- */

static bool sysctl_on(const char *name, const char *key)
{
	char path[128];
	int value = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/%s", name, key);
	file = fopen(path, "re");
	if (!file)
		return false;
	if (fscanf(file, "%d", &value) != 1)
		value = 0;
	fclose(file);
	return value;
}

/*
 * In the order of ip6_rcv_core() and ip6_forward(). Addresses that are never forwarded (multicast, loopback, link-local,
 * mapped) are the program's to know by itself, so they are asked for here too.
 */
const char *knowledge_refuses6(const struct packet *packet)
{
	const struct link *in = link_of(packet->ifindex);
	const struct in6_addr *src = (const void *)packet->src, *dst = (const void *)packet->dst;

	if (!in || in->disabled6)
		return "IPv6 is disabled where it comes in";
	if (IN6_IS_ADDR_LOOPBACK(src) || IN6_IS_ADDR_LOOPBACK(dst) || IN6_IS_ADDR_MULTICAST(src) ||
	    IN6_IS_ADDR_V4MAPPED(src) || IN6_IS_ADDR_V4MAPPED(dst))
		return "an address that is not accepted";
	if (!forwarding6 && !in->force6)
		return "the kernel does not forward";
	if (proxy6 && packet->protocol == IPPROTO_ICMPV6 &&
	    neighbour_at(packet->ifindex, AF_INET6, packet->dst, true)->ifindex)
		return "the kernel answers for a proxied neighbour";
	if (IN6_IS_ADDR_UNSPECIFIED(src) || IN6_IS_ADDR_LINKLOCAL(src))
		return "a source that is not forwarded";
	return NULL;
}

/* ---- dumps ---- */

static int on_link(const struct nlmsghdr *message, void *data)
{
	const struct ifinfomsg *header = mnl_nlmsg_get_payload(message);
	struct link *link = &links[link_count];
	const struct nlattr *attr;

	(void)data;
	if (link_count == LINKS_MAX)
		fail(0, "more than %d links", LINKS_MAX);
	memset(link, 0, sizeof(*link));
	link->ifindex = header->ifi_index;
	link->ethernet = header->ifi_type == ARPHRD_ETHER;
	link->up = header->ifi_flags & IFF_UP;
	mnl_attr_for_each(attr, message, sizeof(*header)) {
		if (mnl_attr_get_type(attr) == IFLA_IFNAME)
			snprintf(link->name, sizeof(link->name), "%s", mnl_attr_get_str(attr));
		if (mnl_attr_get_type(attr) == IFLA_ADDRESS && mnl_attr_get_payload_len(attr) == 6)
			memcpy(link->mac, mnl_attr_get_payload(attr), 6);
	}
	link_count++;
	return MNL_CB_OK;
}

static int on_neighbour(const struct nlmsghdr *message, void *data)
{
	const uint16_t valid =
		NUD_PERMANENT | NUD_NOARP | NUD_REACHABLE | NUD_PROBE | NUD_STALE | NUD_DELAY;
	const struct ndmsg *header = mnl_nlmsg_get_payload(message);
	bool proxy = header->ndm_flags & NTF_PROXY;
	const uint8_t *address = NULL, *mac = NULL;
	struct neighbour *entry;
	const struct nlattr *attr;

	(void)data;
	if (header->ndm_family != AF_INET && header->ndm_family != AF_INET6)
		return MNL_CB_OK;
	mnl_attr_for_each(attr, message, sizeof(*header)) {
		if (mnl_attr_get_type(attr) == NDA_DST)
			address = mnl_attr_get_payload(attr);
		if (mnl_attr_get_type(attr) == NDA_LLADDR && mnl_attr_get_payload_len(attr) == 6)
			mac = mnl_attr_get_payload(attr);
	}
	if (!address || (!proxy && (!mac || !(header->ndm_state & valid))))
		return MNL_CB_OK;
	entry = neighbour_at(header->ndm_ifindex, header->ndm_family, address, proxy);
	entry->ifindex = header->ndm_ifindex;
	entry->family = header->ndm_family;
	entry->proxy = proxy;
	memcpy(entry->address, address, address_length(header->ndm_family));
	if (mac)
		memcpy(entry->mac, mac, 6);
	if (proxy && proxied_count < PROXIED_MAX)
		proxied[proxied_count++] = entry;
	return MNL_CB_OK;
}

static int on_address(const struct nlmsghdr *message, void *data)
{
	const struct nlattr *attr;

	(void)data;
	mnl_attr_for_each(attr, message, sizeof(struct ifaddrmsg)) {
		if (mnl_attr_get_type(attr) == IFA_LOCAL && own4_count < ADDRESSES_MAX)
			own4[own4_count++] = mnl_attr_get_u32(attr);
	}
	return MNL_CB_OK;
}

/* Sockets are cheap, and what a broken-off dump has left in one is in nobody's way. */
static void dump(uint16_t type, const void *header, size_t length, mnl_cb_t callback)
{
	struct mnl_socket *netlink = mnl_socket_open(NETLINK_ROUTE);
	char buffer[32768];
	struct nlmsghdr *message = mnl_nlmsg_put_header(buffer);
	int more = MNL_CB_OK;

	if (!netlink || mnl_socket_bind(netlink, 0, MNL_SOCKET_AUTOPID) < 0)
		fail(errno, "cannot talk to the kernel");
	message->nlmsg_type = type;
	message->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	message->nlmsg_seq = 1;
	memcpy(mnl_nlmsg_put_extra_header(message, length), header, length);
	if (mnl_socket_sendto(netlink, message, message->nlmsg_len) < 0)
		fail(errno, "cannot ask the kernel");
	while (more > MNL_CB_STOP) {
		ssize_t got = mnl_socket_recvfrom(netlink, buffer, sizeof(buffer));

		if (got < 0)
			fail(errno, "the kernel does not answer");
		more = mnl_cb_run(buffer, got, 1, mnl_socket_get_portid(netlink), callback, NULL);
		if (more < 0 && errno != EINTR)
			fail(errno, "a dump failed");
		if (more < 0)
			more = MNL_CB_OK; /* it changed meanwhile: what differs is asked again */
	}
	mnl_socket_close(netlink);
}

void knowledge_read(void)
{
	struct ifinfomsg link = {.ifi_family = AF_UNSPEC};
	struct ndmsg neighbour = {.ndm_family = AF_UNSPEC},
		     proxy = {.ndm_family = AF_INET6, .ndm_flags = NTF_PROXY};

	struct ifaddrmsg address = {.ifa_family = AF_INET};

	link_count = 0;
	own4_count = 0;
	proxied_count = 0;
	dump(RTM_GETADDR, &address, sizeof(address), on_address);
	dump(RTM_GETLINK, &link, sizeof(link), on_link);
	memset(neighbours, 0, sizeof(neighbours));
	dump(RTM_GETNEIGH, &neighbour, sizeof(neighbour), on_neighbour);
	dump(RTM_GETNEIGH, &proxy, sizeof(proxy), on_neighbour);
	for (size_t i = 0; i < link_count; i++) {
		links[i].disabled6 = sysctl_on(links[i].name, "disable_ipv6");
		links[i].force6 = sysctl_on(links[i].name, "force_forwarding");
	}
	forwarding6 = sysctl_on("all", "forwarding");
	proxy6 = sysctl_on("all", "proxy_ndp");
}
