// SPDX-License-Identifier: GPL-2.0-or-later
/* The program's source as it is, and helpers that do what the kernel's do. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <sanitizer/asan_interface.h>

#include "tests/fuzz/native/native.h"
#include "tests/fuzz/native/program.h"

int dplane_ebpf(struct __sk_buff *skb);

#include "bpf/dplane_ebpf.bpf.c"

/* ---- maps ---- */

#define NEIGHBOURS_MAX 16u

static struct {
	const char *name;
	void *map;
	void *memory;
} maps[] = {
#define MAP(name) \
	{ \
#name, &name, NULL \
	}
	MAP(fib_header), MAP(fib4_root), MAP(fib4_low),		MAP(fib6_root),
	MAP(fib_node),	 MAP(fib_group), MAP(fib_slot),		MAP(fib_nexthop),
	MAP(interfaces), MAP(counters),	 MAP(nexthop_counters),
};

#define MAPS (sizeof(maps) / sizeof(maps[0]))

static struct fib_neigh_key known[NEIGHBOURS_MAX];
static unsigned int n_known;
static __u32 own;

bool program_map(const char *name, void *memory)
{
	for (size_t i = 0; i < MAPS; i++) {
		if (!strcmp(maps[i].name, name)) {
			maps[i].memory = memory;
			return true;
		}
	}
	return false;
}

bool program_map_missing(const char **name)
{
	for (size_t i = 0; i < MAPS; i++) {
		*name = maps[i].name;
		if (!maps[i].memory)
			return true;
	}
	return false;
}

void program_bounds(const void *from, size_t size)
{
	if (size != sizeof(bounds))
		abort();
	bounds_fill(from);
}

void program_neighbour(const struct fib_neigh_key *key)
{
	if (n_known == NEIGHBOURS_MAX)
		abort();
	known[n_known++] = *key;
}

void program_own(const uint8_t addr[4])
{
	memcpy(&own, addr, sizeof(own));
}

void *bpf_map_lookup_elem(void *map, const void *key)
{
	if (map == &own_addresses)
		return memcmp(&own, key, sizeof(own)) ? NULL : &own;
	if (map == &neighbours) {
		for (unsigned int i = 0; i < n_known; i++) {
			if (!memcmp(&known[i], key, sizeof(known[i])))
				return &known[i];
		}
		return NULL;
	}
	for (size_t i = 0; i < MAPS; i++) {
		if (maps[i].map == map)
			return *(const __u32 *)key ? NULL : maps[i].memory;
	}
	return NULL;
}

/* ---- a packet ---- */

static uint8_t *packet;
static size_t packet_len;
static struct program_effects *does;

/* The context's pointers have 32 bits, so that the packet has to lie low. */
static uint8_t *low_memory(void)
{
	static uint8_t *memory;

	if (!memory) {
		memory = mmap((void *)0x20000000, PROGRAM_FRAME_MAX + 64, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
		if (memory == MAP_FAILED) {
			perror("no memory for the packet below 4 GiB");
			exit(EXIT_FAILURE);
		}
	}
	return memory;
}

/* So many bytes of the packet may be touched, and none behind them. */
static void readable(struct __sk_buff *skb, size_t n)
{
	uint8_t *memory = low_memory();

	ASAN_UNPOISON_MEMORY_REGION(memory, PROGRAM_FRAME_MAX + 64);
	ASAN_POISON_MEMORY_REGION(packet + n, memory + PROGRAM_FRAME_MAX + 64 - packet - n);
	skb->data = (__u32)(unsigned long)packet;
	skb->data_end = (__u32)(unsigned long)(packet + n);
}

__u64 bpf_ktime_get_coarse_ns(void)
{
	return 0;
}

__u32 bpf_get_smp_processor_id(void)
{
	return 0;
}

long bpf_skb_pull_data(struct __sk_buff *skb, __u32 len)
{
	size_t linear = skb->data_end - skb->data;

	if (!len)
		len = (__u32)packet_len;
	if (len > packet_len)
		return -12;
	readable(skb, len > linear ? len : linear);
	return 0;
}

long bpf_skb_load_bytes(const void *skb, __u32 offset, void *to, __u32 len)
{
	const struct __sk_buff *context = skb;
	size_t linear = context->data_end - context->data;

	if (offset > packet_len || len > packet_len - offset)
		return -14;
	/* as far as the program may not read by itself */
	ASAN_UNPOISON_MEMORY_REGION(packet, packet_len);
	memcpy(to, packet + offset, len);
	ASAN_POISON_MEMORY_REGION(packet + linear, packet_len - linear);
	return 0;
}

/* Shorter only. */
long bpf_skb_change_tail(struct __sk_buff *skb, __u32 len, __u64 flags)
{
	if (flags || len > packet_len)
		return -22;
	packet_len = len;
	skb->len = len;
	readable(skb, len);
	return 0;
}

long bpf_csum_update(struct __sk_buff *skb, __u32 sum)
{
	does->checksum += sum;
	return 0;
}

long bpf_redirect(__u32 ifindex, __u64 flags)
{
	does->redirects += 1 + (flags != 0);
	does->ifindex = ifindex;
	return TC_ACT_REDIRECT;
}

long bpf_redirect_neigh(__u32 ifindex, struct bpf_redir_neigh *to, int len, __u64 flags)
{
	if (len != sizeof(*to) || flags)
		return TC_ACT_SHOT;
	does->redirects++;
	does->ifindex = ifindex;
	does->neighbour = true;
	does->to = *to;
	return TC_ACT_REDIRECT;
}

int program_run(struct __sk_buff *skb, uint8_t *frame, size_t len, size_t linear,
		struct program_effects *effects)
{
	int action;

	memset(effects, 0, sizeof(*effects));
	does = effects;
	/* as the kernel has it: the network header is aligned */
	packet = low_memory() + 2;
	packet_len = len;
	ASAN_UNPOISON_MEMORY_REGION(low_memory(), PROGRAM_FRAME_MAX + 64);
	memcpy(packet, frame, len);
	skb->len = (__u32)len;
	readable(skb, linear);
	action = dplane_ebpf(skb);
	readable(skb, packet_len);
	memcpy(frame, packet, packet_len);
	effects->len = packet_len;
	return action;
}
