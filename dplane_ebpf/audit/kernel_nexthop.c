// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Next hops as the kernel has them. With net.ipv4.nexthop_compat_mode=0 its routes name nothing but the number of an
 * object, which is looked up among all of them: they are few.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/lwtunnel.h>
#include <linux/nexthop.h>
#include <linux/rtnetlink.h>

#include "dplane_ebpf/audit/kernel.h"

/* ---- sets of them ---- */

bool kernel_hop_gate(struct kernel_hop *hop, uint8_t family, const void *data, size_t len)
{
	if (len != (family == AF_INET ? 4 : 16))
		return false;
	hop->key.family = family;
	memcpy(hop->key.gate, data, len);
	return true;
}

void kernel_hops_add(struct kernel_hops *hops, const struct kernel_hop *hop, uint32_t weight)
{
	if (hop->encap)
		hops->odd |= WAY_ODD_BY(ENCAPSULATION);
	else if (!hop->key.ifindex || hops->n == KERNEL_MEMBERS_MAX)
		hops->odd |= WAY_ODD_BY(NEXTHOPS);
	else
		hops->member[hops->n++] =
			(struct fib_member){.nexthop = hop->key, .weight = weight};
}

uint32_t kernel_hops_way(struct ways *ways, const struct kernel_hops *hops)
{
	if (hops->odd)
		return hops->odd;
	return hops->n ? ways_of(ways, hops->member, hops->n) : WAY_ODD_BY(NEXTHOPS);
}

/* ---- objects ---- */

struct part {
	uint32_t id, weight;
};

struct object {
	uint32_t id;
	uint32_t n; /* parts, if it is a group */
	struct part *parts;
	struct kernel_hop hop;
	bool blackhole;
};

struct kernel_nexthops {
	struct object *object; /* by id */
	size_t n, size;
	bool failed; /* out of memory: some are missing */
};

static int by_id(const void *left, const void *right)
{
	const struct object *a = left, *b = right;

	return a->id < b->id ? -1 : a->id > b->id;
}

static bool read_group(struct object *object, const struct nlattr *attr)
{
	const struct nexthop_grp *group = mnl_attr_get_payload(attr);
	uint32_t n = (uint32_t)(mnl_attr_get_payload_len(attr) / sizeof(*group));

	object->parts = calloc(n ? n : 1, sizeof(*object->parts));
	if (!object->parts)
		return false;
	for (uint32_t i = 0; i < n; i++)
		object->parts[i] = (struct part){group[i].id, group[i].weight + 1u};
	object->n = n;
	return true;
}

static bool read_attributes(struct object *object, const struct nlmsghdr *nlh, uint8_t family)
{
	const struct nlattr *attr;

	mnl_attr_for_each(attr, nlh, sizeof(struct nhmsg)) {
		size_t len = mnl_attr_get_payload_len(attr);

		switch (mnl_attr_get_type(attr)) {
		case NHA_ID:
			object->id = len >= sizeof(uint32_t) ? mnl_attr_get_u32(attr) : 0;
			break;
		case NHA_GROUP:
			if (!read_group(object, attr))
				return false;
			break;
		case NHA_BLACKHOLE:
			object->blackhole = true;
			break;
		case NHA_OIF:
			if (len >= sizeof(uint32_t))
				object->hop.key.ifindex = mnl_attr_get_u32(attr);
			break;
		case NHA_GATEWAY:
			kernel_hop_gate(&object->hop, family, mnl_attr_get_payload(attr), len);
			break;
		case NHA_ENCAP_TYPE:
			object->hop.encap |= len >= sizeof(uint16_t) &&
					     mnl_attr_get_u16(attr) != LWTUNNEL_ENCAP_NONE;
			break;
		}
	}
	return true;
}

static void read_object(void *arg, const struct nlmsghdr *nlh)
{
	struct kernel_nexthops *nexthops = arg;
	const struct nhmsg *nhm = mnl_nlmsg_get_payload(nlh);
	struct object *object = nexthops->object;

	if (nlh->nlmsg_type != RTM_NEWNEXTHOP || mnl_nlmsg_get_payload_len(nlh) < sizeof(*nhm))
		return;
	if (nexthops->n == nexthops->size) {
		size_t size = nexthops->size ? 2 * nexthops->size : 64;

		object = realloc(object, size * sizeof(*object));
		if (!object) {
			nexthops->failed = true;
			return;
		}
		nexthops->object = object;
		nexthops->size = size;
	}
	object = &nexthops->object[nexthops->n];
	memset(object, 0, sizeof(*object));
	if (read_attributes(object, nlh, nhm->nh_family))
		nexthops->n++;
	else
		nexthops->failed = true;
}

static void forget(struct kernel_nexthops *nexthops)
{
	while (nexthops->n)
		free(nexthops->object[--nexthops->n].parts);
}

struct kernel_nexthops *kernel_nexthops_read(const struct reading *reading)
{
	char message[MNL_ALIGN(sizeof(struct nlmsghdr)) + MNL_ALIGN(sizeof(struct nhmsg))] = {0};
	struct kernel_nexthops *nexthops = calloc(1, sizeof(*nexthops));
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(message);
	char *buffer = malloc(KERNEL_BUFFER);
	int fd = kernel_open(), err = !nexthops || !buffer ? -ENOMEM : 0;
	bool interrupted = true;

	nlh->nlmsg_type = RTM_GETNEXTHOP;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	mnl_nlmsg_put_extra_header(nlh, sizeof(struct nhmsg));
	/* what is missed after the last attempt is seen at the next look */
	while (!err && fd >= 0 && interrupted && nlh->nlmsg_seq++ < 4) {
		interrupted = false;
		forget(nexthops);
		err = kernel_dump(reading, fd, nlh, buffer, read_object, nexthops, &interrupted);
	}
	if (fd >= 0)
		close(fd);
	free(buffer);
	if (fd < 0 || err || nexthops->failed) {
		kernel_nexthops_free(nexthops);
		return NULL;
	}
	if (nexthops->n)
		qsort(nexthops->object, nexthops->n, sizeof(struct object), by_id);
	return nexthops;
}

void kernel_nexthops_free(struct kernel_nexthops *nexthops)
{
	if (!nexthops)
		return;
	forget(nexthops);
	free(nexthops->object);
	free(nexthops);
}

static const struct object *object_of(const struct kernel_nexthops *nexthops, uint32_t id)
{
	const struct object key = {.id = id};

	if (!nexthops || !nexthops->n)
		return NULL;
	return bsearch(&key, nexthops->object, nexthops->n, sizeof(key), by_id);
}

uint32_t kernel_nexthops_way(const struct kernel_nexthops *nexthops, struct ways *ways, uint32_t id,
			     struct kernel_hops *hops)
{
	const struct object *object = object_of(nexthops, id);

	hops->n = 0;
	hops->odd = 0;
	if (!object)
		return WAY_ODD_BY(NEXTHOP_ID);
	if (object->blackhole)
		return FIB_GROUP_BLACKHOLE;
	if (!object->parts)
		kernel_hops_add(hops, &object->hop, 1);
	for (uint32_t i = 0; i < object->n; i++) {
		const struct object *part = object_of(nexthops, object->parts[i].id);

		/* groups are of plain ones only */
		if (!part || part->parts)
			return WAY_ODD_BY(NEXTHOP_ID);
		if (part->blackhole)
			return FIB_GROUP_BLACKHOLE;
		kernel_hops_add(hops, &part->hop, object->parts[i].weight);
	}
	return kernel_hops_way(ways, hops);
}
