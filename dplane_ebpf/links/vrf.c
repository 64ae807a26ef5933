// SPDX-License-Identifier: GPL-2.0-or-later
/* VRFs: a device of kind "vrf" stands for a table of the kernel's, in which the packets of its members are looked up. */
#include "dplane_ebpf/links/links_internal.h"

#include <stdio.h>
#include <string.h>

#include <libmnl/libmnl.h>
#include <linux/if_link.h>

#include "dplane_ebpf/fib/fib.h"

uint32_t vrf_read_table(const struct nlattr *linkinfo)
{
	const struct nlattr *attr, *data = NULL, *inner;
	bool is_vrf = false;

	mnl_attr_for_each_nested(attr, linkinfo) {
		if (mnl_attr_get_type(attr) == IFLA_INFO_KIND)
			is_vrf = strncmp(mnl_attr_get_payload(attr), "vrf",
					 mnl_attr_get_payload_len(attr)) == 0;
		else if (mnl_attr_get_type(attr) == IFLA_INFO_DATA)
			data = attr;
	}
	if (!is_vrf || !data)
		return 0;
	mnl_attr_for_each_nested(inner, data) {
		if (mnl_attr_get_type(inner) == IFLA_VRF_TABLE &&
		    mnl_attr_validate(inner, MNL_TYPE_U32) == 0)
			return mnl_attr_get_u32(inner);
	}
	return 0;
}

bool vrf_table(struct links *links, const struct interface *interface, uint16_t *table,
	       char *reason, size_t size)
{
	const struct interface *device = interface;

	*table = 0;
	if (interface_is_vrf_member(interface))
		device = interface_find(links, interface->master);
	else if (!interface->vrf_table)
		return true;
	if (!device || !device->known || !device->vrf_table) {
		snprintf(reason, size, "member of a VRF whose table is not known");
		return false;
	}
	if (fib_table_open(links->fib, device->vrf_table, table) == 0)
		return true;
	snprintf(reason, size, "no room for the table of VRF %s", device->name);
	return false;
}

static void members_changed(struct links *links, const struct interface *device)
{
	list_for_each(n, &links->all) {
		struct interface *interface = container_of(n, struct interface, in_all);

		if (interface->master == device->ifindex)
			interface_changed(links, interface);
	}
}

void vrf_changed(struct links *links, struct interface *interface, uint32_t kernel_table)
{
	uint32_t old = interface->vrf_table;
	uint16_t table;

	if (old == kernel_table)
		return;
	links->vrfs += !old;
	links->vrfs -= !kernel_table;
	interface->vrf_table = kernel_table;
	members_changed(links, interface);
	/*
	 * The kernel has dropped the routes, and zebra need not say so. Another VRF may have this table already: zebra may have heard of
	 * all that before, and have set its routes.
	 */
	if (old && !links->stop && fib_table_find(links->fib, old, &table) == 0) {
		fib_table_leave(links->fib, table, interface->ifindex);
		links->vrf_left[table / 64] |= 1ull << (table % 64);
	}
	/* what the kernel has in it of its own can be laid over zebra's routes now; with no room the members stay the kernel's */
	if (kernel_table && !links->stop && fib_table_open(links->fib, kernel_table, &table) == 0 &&
	    links->routes)
		route_watch_poke(links->routes);
}

static bool has_device(const struct links *links, uint32_t kernel_table)
{
	list_for_each(n, &links->all) {
		if (container_of(n, struct interface, in_all)->vrf_table == kernel_table)
			return true;
	}
	return false;
}

void vrf_close_left(struct links *links)
{
	for (unsigned int i = 0; i < sizeof(links->vrf_left) / sizeof(links->vrf_left[0]); i++) {
		for (uint64_t left = links->vrf_left[i]; left; left &= left - 1) {
			uint16_t table = (uint16_t)(64 * i + (unsigned int)__builtin_ctzll(left));

			/* made again, or another device has it */
			if (!has_device(links, fib_table_kernel(links->fib, table)))
				fib_table_close(links->fib, table);
		}
		links->vrf_left[i] = 0;
	}
}
