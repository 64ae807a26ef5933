/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The ways to forward that are measured, each switched on and off at the router's interface "in". */
#ifndef BENCH_VARIANTS_H
#define BENCH_VARIANTS_H

#include "bench/bench.h"
#include "bench/liveframes.h"

struct forward_bpf;

enum variant {
	VARIANT_KERNEL,	    /* no program: the kernel forwards */
	VARIANT_OURS,	    /* the forwarding program */
	VARIANT_FIB_LOOKUP, /* TC, bpf_fib_lookup() */
	VARIANT_LPM_TRIE,   /* TC, BPF_MAP_TYPE_LPM_TRIE */
	VARIANT_XDP,	    /* our tables, native XDP */
	VARIANT_EMPTY,	    /* TC, a program that leaves everything to the kernel */
	VARIANT_DROP, /* frames end where they come in: what everything around the router costs */
	VARIANTS,
};
extern const char *const variant_name[VARIANTS];

struct variants {
	struct bench_router *router;
	const struct bench_network *network;
	struct forward_bpf *skel;
	struct hook hook;
	int xdp_link_fd;
};

/* lpm4, lpm6: descriptors of bench_lpm_new(). */
void variants_open(struct variants *variants, struct bench_router *router,
		   const struct bench_network *network, int lpm4, int lpm6);
void variants_close(struct variants *variants);
void variant_on(struct variants *variants, enum variant variant);
void variant_off(struct variants *variants, enum variant variant);
/* Packets that the variant's program has left to the kernel so far. */
uint64_t variant_given_up(const struct variants *variants, enum variant variant);

#endif /* BENCH_VARIANTS_H */
