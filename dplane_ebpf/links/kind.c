// SPDX-License-Identifier: GPL-2.0-or-later
/* Links of all sorts: whether packets can leave by a device, and why they are left to the kernel where they are. */
#include "dplane_ebpf/links/links_internal.h"

#include <stdio.h>
#include <string.h>

#include <linux/if_arp.h>

#define DEVICES_MAX 8 /* one on another, as the kernel allows */

/*
 * Tunnels that look at the path of what they carry drop an IPv4 packet that is too large for it. They have the ICMP error
 * sent by the route that the packet came with, and what the program hands over came with none: it would vanish.
 */
struct kind {
	const char *name; /* IFLA_INFO_KIND */
	const char *text;
	bool packets; /* without a MAC header: takes them as they are */
	bool path_mtu;
};

static const struct kind kinds[] = {
	{.name = "tun", .text = "tun", .packets = true},
	{.name = "wireguard", .text = "WireGuard", .packets = true},
	{.name = "gre", .text = "GRE tunnel", .path_mtu = true},
	{.name = "gretap", .text = "GRE tunnel", .path_mtu = true},
	{.name = "ip6gre", .text = "GRE tunnel", .path_mtu = true},
	{.name = "ip6gretap", .text = "GRE tunnel", .path_mtu = true},
	{.name = "erspan", .text = "ERSPAN tunnel", .path_mtu = true},
	{.name = "ip6erspan", .text = "ERSPAN tunnel", .path_mtu = true},
	{.name = "ipip", .text = "IPIP tunnel", .path_mtu = true},
	{.name = "sit", .text = "SIT tunnel", .path_mtu = true},
	{.name = "ip6tnl", .text = "IPv6 tunnel", .path_mtu = true},
	{.name = "vti", .text = "VTI tunnel", .path_mtu = true},
	{.name = "vti6", .text = "VTI tunnel", .path_mtu = true},
	{.name = "xfrm", .text = "XFRM interface", .path_mtu = true},
	{.name = "gtp", .text = "GTP tunnel", .path_mtu = true},
	{.name = "ppp", .text = "PPP"},
};

static const struct kind *kind_of(const struct interface *interface)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strcmp(kinds[i].name, interface->kind) == 0)
			return &kinds[i];
	}
	return NULL;
}

bool kind_takes_frames(const struct interface *interface)
{
	const struct kind *kind = kind_of(interface);

	return interface_is_ethernet(interface) && !(kind && kind->path_mtu);
}

bool kind_takes_packets(const struct interface *interface)
{
	const struct kind *kind = kind_of(interface);

	/* a tap is of kind "tun" too */
	return interface->type == ARPHRD_NONE && kind && kind->packets;
}

/* A bridge or bond stands on its members. */
static bool has_switched_member(const struct links *links, const struct interface *interface)
{
	if (strcmp(interface->kind, "bridge") && strcmp(interface->kind, "bond") &&
	    strcmp(interface->kind, "team"))
		return false;
	list_for_each(n, &links->all) {
		const struct interface *member = container_of(n, struct interface, in_all);

		if (member->known && member->switchdev && member->master == interface->ifindex)
			return true;
	}
	return false;
}

/*
 * Hardware that forwards (switchdev) hands packets over that it has forwarded already, marked with skb->offload_l3_fwd_mark, which
 * the kernel's forwarding heeds and no program can see. The kernel says of most devices on top of ports that they are of
 * the same hardware, though not of all: of what stands on two sorts of it nothing is said.
 */
bool kind_is_switched(const struct links *links, const struct interface *interface)
{
	if (!links->switchdevs)
		return false;
	for (int depth = 0; interface && depth < DEVICES_MAX; depth++) {
		if (interface->switchdev || has_switched_member(links, interface))
			return true;
		interface = interface->lower
				    ? interface_find((struct links *)links, interface->lower)
				    : NULL;
	}
	return interface != NULL;
}

void kind_why_not_in(const struct interface *interface, char *reason, size_t size)
{
	const struct kind *kind = kind_of(interface);

	if (!kind)
		snprintf(reason, size, "no Ethernet header (link type %u)", interface->type);
	else if (kind_takes_packets(interface))
		snprintf(reason, size, "in: no Ethernet header (%s); out of it in eBPF",
			 kind->text);
	else if (kind->path_mtu)
		snprintf(reason, size,
			 "no Ethernet header (%s); out: only the kernel answers what is too large",
			 kind->text);
	else
		snprintf(reason, size, "no Ethernet header (%s)", kind->text);
}

void kind_why_not_out(const struct interface *interface, char *reason, size_t size)
{
	const struct kind *kind = kind_of(interface);

	if (kind && !kind_takes_frames(interface))
		snprintf(reason, size,
			 "out: %s, only the kernel answers what is too large for its path",
			 kind->text);
	/* the kernel tells of no neighbours there */
	else if (interface->flags & IFF_NOARP)
		snprintf(reason, size, "out: hosts on it by the kernel (NOARP), gateways in eBPF");
}
