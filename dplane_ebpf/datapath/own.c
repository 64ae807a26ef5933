// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The router's own IPv4 addresses, which no packet from outside may have as its source: a bit for each in the tables'
 * header, and an exact hash map for packets that meet one. Here they are counted, for several interfaces may have the same.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "dplane_ebpf/datapath/datapath_internal.h"
#include "dplane_ebpf/datapath/dplane_ebpf.skel.h"
#include "dplane_ebpf/log.h"

struct own_address {
	struct own_address *next;
	uint32_t addr; /* as packets have it */
	uint32_t uses;
	bool listed; /* in the exact map */
};

/* Addresses that share a bit are in one chain. */
static struct own_address **chain_of(struct datapath *datapath, uint32_t addr)
{
	return &datapath->own[FIB_OWN_BIT(addr) % DATAPATH_OWN_CHAINS];
}

/* Where the address stands in its chain, or the chain's end. */
static struct own_address **place_of(struct datapath *datapath, uint32_t addr)
{
	struct own_address **at = chain_of(datapath, addr);

	while (*at && (*at)->addr != addr)
		at = &(*at)->next;
	return at;
}

static void bit_set(struct datapath *datapath, uint32_t addr, bool on)
{
	struct fib_header *header = datapath->memory[FIB_ARRAY_HEADER];
	uint32_t bit = FIB_OWN_BIT(addr);
	__u64 *word = &header->own[bit / 64], mask = 1ull << bit % 64;

	__atomic_store_n(word, on ? *word | mask : *word & ~mask, __ATOMIC_RELEASE);
}

/* Where not all are in the exact map, the bits alone decide. */
static void unlisted_add(struct datapath *datapath, int n)
{
	struct fib_header *header = datapath->memory[FIB_ARRAY_HEADER];

	__atomic_store_n(&header->own_unlisted, header->own_unlisted + n, __ATOMIC_RELEASE);
}

static bool list_exactly(struct datapath *datapath, struct own_address *own)
{
	const uint8_t is = 1;

	own->listed = bpf_map_update_elem(bpf_map__fd(datapath->skel->maps.own_addresses),
					  &own->addr, &is, BPF_ANY) == 0;
	return own->listed;
}

/* There is room in the exact map again. */
static void list_another(struct datapath *datapath)
{
	const struct fib_header *header = datapath->memory[FIB_ARRAY_HEADER];

	for (uint32_t i = 0; header->own_unlisted && i < DATAPATH_OWN_CHAINS; i++) {
		for (struct own_address *own = datapath->own[i]; own; own = own->next) {
			if (own->listed)
				continue;
			if (list_exactly(datapath, own))
				unlisted_add(datapath, -1);
			return;
		}
	}
}

int datapath_own_set(struct datapath *datapath, const uint8_t addr[4])
{
	struct own_address *own, **at;
	uint32_t word;

	memcpy(&word, addr, sizeof(word));
	at = place_of(datapath, word);
	if (*at) {
		(*at)->uses++;
		return 0;
	}
	own = calloc(1, sizeof(*own));
	if (!own)
		return -ENOMEM;
	own->addr = word;
	own->uses = 1;
	if (!list_exactly(datapath, own)) {
		if (!datapath->told_own)
			dpe_log(LOG_WARNING,
				"more than %u own IPv4 addresses: while there are, some packets of other sources are the kernel's too",
				FIB_MAX_OWN);
		datapath->told_own = true;
		unlisted_add(datapath, 1);
	}
	*at = own;
	bit_set(datapath, word, true);
	return 0;
}

int datapath_own_del(struct datapath *datapath, const uint8_t addr[4])
{
	struct own_address *own, **at;
	bool alone = true;
	uint32_t word;

	memcpy(&word, addr, sizeof(word));
	at = place_of(datapath, word);
	own = *at;
	if (!own)
		return -ENOENT;
	if (--own->uses)
		return 0;
	*at = own->next;
	for (const struct own_address *other = *chain_of(datapath, word); other;
	     other = other->next)
		alone &= FIB_OWN_BIT(other->addr) != FIB_OWN_BIT(word);
	if (alone)
		bit_set(datapath, word, false);
	if (!own->listed) {
		unlisted_add(datapath, -1);
	} else {
		bpf_map_delete_elem(bpf_map__fd(datapath->skel->maps.own_addresses), &word);
		list_another(datapath);
	}
	free(own);
	return 0;
}

void own_free(struct datapath *datapath)
{
	for (uint32_t i = 0; i < DATAPATH_OWN_CHAINS; i++) {
		for (struct own_address *own = datapath->own[i], *next; own; own = next) {
			next = own->next;
			free(own);
		}
		datapath->own[i] = NULL;
	}
}
