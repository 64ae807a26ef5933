// SPDX-License-Identifier: GPL-2.0-or-later
/* Loads the programs of forward.bpf.c over the maps of the real one, and attaches one at a time. */
#include <errno.h>
#include <linux/if_link.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "bench/forward.h"
#include "bench/forward.skel.h"
#include "bench/variants.h"

const char *const variant_name[VARIANTS] = {"kernel", "ours",  "fib_lookup", "lpm_trie",
					    "xdp",    "empty", "drop"};
/* ---- loading ---- */

/* The kernel keeps 15 characters of a name, and libbpf puts the object's before that of .rodata. */
static bool same_map(const struct bpf_map *map, const char *name)
{
	if (strstr(bpf_map__name(map), ".rodata"))
		return strstr(name, ".rodata");
	return !bpf_map__is_internal(map) &&
	       !strncmp(bpf_map__name(map), name, BPF_OBJ_NAME_LEN - 1);
}

/* .rodata has the bounds of the maps' indices and nothing else, in both objects. */
static void copy_rodata(struct bpf_map *map, int fd)
{
	const uint32_t zero = 0;
	uint8_t value[4096];

	if (bpf_map__value_size(map) > sizeof(value) || bpf_map_lookup_elem(fd, &zero, value) ||
	    bpf_map__set_initial_value(map, value, bpf_map__value_size(map)))
		bench_fail(errno, "cannot copy the bounds of the tables");
}

static void share_map(struct bpf_object *object, int fd)
{
	struct bpf_map_info info = {0};
	uint32_t len = sizeof(info);
	struct bpf_map *map;

	if (bpf_obj_get_info_by_fd(fd, &info, &len))
		bench_fail(errno, "cannot look at a map");
	bpf_object__for_each_map(map, object)
	{
		if (!same_map(map, info.name))
			continue;
		if (bpf_map__value_size(map) != info.value_size && bpf_map__is_internal(map))
			bench_fail(0, "bounds of the tables are not what they were");
		if (bpf_map__is_internal(map))
			copy_rodata(map, fd);
		else if (bpf_map__reuse_fd(map, fd))
			bench_fail(errno, "cannot share a map");
	}
}

static void share_maps(struct bpf_object *object, int program_fd)
{
	uint32_t ids[64], len;
	struct bpf_prog_info info = {.map_ids = (uint64_t)(uintptr_t)ids, .nr_map_ids = 64};

	len = sizeof(info);
	if (bpf_obj_get_info_by_fd(program_fd, &info, &len))
		bench_fail(errno, "cannot read the program's maps");
	for (uint32_t i = 0; i < info.nr_map_ids; i++) {
		int fd = bpf_map_get_fd_by_id(ids[i]);

		if (fd < 0)
			bench_fail(errno, "cannot open a map");
		share_map(object, fd);
		close(fd);
	}
}

void variants_open(struct variants *variants, struct bench_router *router,
		   const struct bench_network *network, int lpm4, int lpm6)
{
	struct forward_bpf *skel = forward_bpf__open();

	if (!skel)
		bench_fail(errno, "cannot open the programs to compare with");
	share_maps(skel->obj, datapath_program_fd(router->datapath));
	if (bpf_map__reuse_fd(skel->maps.lpm4, lpm4) || bpf_map__reuse_fd(skel->maps.lpm6, lpm6))
		bench_fail(errno, "cannot share an LPM_TRIE");
	if (forward_bpf__load(skel))
		bench_fail(errno, "cannot load the programs to compare with");
	for (uint32_t g = 0; g < FORWARD_NEXTHOPS; g++) {
		struct forward_nexthop *nexthop = &skel->bss->state.nexthop[g];

		*nexthop = (struct forward_nexthop){.ifindex = network->out,
						    .dst = {2, 0, 0, 0, 0, 1}};
		memcpy(nexthop->src, network->mac_out, 6);
	}
	*variants = (struct variants){.router = router, .network = network, .skel = skel};
}

void variants_close(struct variants *variants)
{
	forward_bpf__destroy(variants->skel);
}

/* ---- on and off ---- */

static int tc_program_fd(const struct variants *variants, enum variant variant)
{
	switch (variant) {
	case VARIANT_FIB_LOOKUP:
		return bpf_program__fd(variants->skel->progs.fib_lookup);
	case VARIANT_LPM_TRIE:
		return bpf_program__fd(variants->skel->progs.lpm_trie);
	case VARIANT_DROP:
		return bpf_program__fd(variants->skel->progs.drop);
	case VARIANT_EMPTY:
		return bpf_program__fd(variants->skel->progs.empty);
	default:
		return -1;
	}
}

static void xdp_on(struct variants *variants)
{
	LIBBPF_OPTS(bpf_link_create_opts, native, .flags = XDP_FLAGS_DRV_MODE);

	variants->xdp_link_fd = bpf_link_create(bpf_program__fd(variants->skel->progs.xdp_fib),
						(int)variants->network->in, BPF_XDP, &native);
	if (variants->xdp_link_fd < 0)
		bench_fail(errno, "cannot attach an XDP program");
}

void variant_on(struct variants *variants, enum variant variant)
{
	int fd = tc_program_fd(variants, variant), err;
	enum datapath_hook hook;

	if (variant == VARIANT_OURS) {
		err = datapath_attach(variants->router->datapath, variants->network->in, &hook);
		if (err)
			bench_fail(err, "cannot attach the program");
	} else if (variant == VARIANT_XDP) {
		xdp_on(variants);
	} else if (fd >= 0) {
		hook_attach(&variants->hook, fd, variants->network->in, false);
	}
}

void variant_off(struct variants *variants, enum variant variant)
{
	if (variant == VARIANT_OURS)
		datapath_detach(variants->router->datapath, variants->network->in);
	else if (variant == VARIANT_XDP)
		close(variants->xdp_link_fd);
	else if (tc_program_fd(variants, variant) >= 0)
		hook_detach(&variants->hook);
}

uint64_t variant_given_up(const struct variants *variants, enum variant variant)
{
	uint64_t packets[FIB_CNT_MAX], sum = 0;

	if (variant != VARIANT_OURS)
		return variants->skel->bss->state.given_up;
	datapath_counters(variants->router->datapath, packets);
	for (int i = 0; i < FIB_CNT_MAX; i++) {
		if (i != FIB_CNT_FORWARDED && i != FIB_CNT_FORWARDED_NEIGH)
			sum += packets[i];
	}
	return sum;
}
