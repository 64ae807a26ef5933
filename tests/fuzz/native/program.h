/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The forwarding program built to run in a process, on a copy of the kernel's maps. */
#ifndef TESTS_FUZZ_NATIVE_PROGRAM_H
#define TESTS_FUZZ_NATIVE_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/bpf.h>

#include "bpf/layout.h"

#define PROGRAM_FRAME_MAX 4096u

/* What the program did beside changing the packet. */
struct program_effects {
	size_t len; /* of the packet, afterwards */
	unsigned int redirects;
	uint32_t ifindex;
	bool neighbour; /* by the kernel's neighbour table: to */
	struct bpf_redir_neigh to;
	uint32_t checksum; /* sum of what bpf_csum_update() was told */
};

/* The maps by name; memory is as long as the map's value. False: the program has no such map. */
bool program_map(const char *name, void *memory);
bool program_map_missing(const char **name);
/* As libbpf fills them in. */
void program_bounds(const void *from, size_t size);
/* The neighbours' map: key is struct fib_neigh_key. */
void program_neighbour(const struct fib_neigh_key *key);
/* The one address in the map of own ones. */
void program_own(const uint8_t addr[4]);

/* Sets data and data_end in skb: `linear` bytes are readable until the program asks for more. */
int program_run(struct __sk_buff *skb, uint8_t *frame, size_t len, size_t linear,
		struct program_effects *effects);

#endif /* TESTS_FUZZ_NATIVE_PROGRAM_H */
