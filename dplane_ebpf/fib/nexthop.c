// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Next hops: one number for each key, as long as groups have it as a member.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "dplane_ebpf/fib/fib_internal.h"

int fib_nexthop_init(struct fib *fib)
{
	fib->nexthop = calloc(fib->geometry.nexthops, sizeof(*fib->nexthop));
	fib->nexthop_hash = calloc(fib->geometry.nexthops, sizeof(*fib->nexthop_hash));
	return fib->nexthop && fib->nexthop_hash ? 0 : -ENOMEM;
}

void fib_nexthop_fini(struct fib *fib)
{
	free(fib->nexthop);
	free(fib->nexthop_hash);
}

static size_t gate_len(uint8_t family)
{
	return family == AF_INET6 ? 16 : family == AF_INET ? 4 : 0;
}

bool fib_nexthop_key_valid(const struct fib_nexthop_key *key)
{
	return key->ifindex &&
	       (key->family == AF_INET || key->family == AF_INET6 || key->family == 0);
}

static bool key_equal(const struct fib_nexthop_key *a, const struct fib_nexthop_key *b)
{
	return a->ifindex == b->ifindex && a->family == b->family && a->mtu == b->mtu &&
	       !memcmp(a->gate, b->gate, gate_len(a->family));
}

static uint32_t *key_bucket(struct fib *fib, const struct fib_nexthop_key *key)
{
	uint64_t hash = (uint64_t)key->mtu << 40 | (uint64_t)key->ifindex << 8 | key->family;

	for (size_t i = 0; i < gate_len(key->family); i++)
		hash = hash * 1099511628211ull + key->gate[i];
	hash *= 0x9e3779b97f4a7c15ull;
	return &fib->nexthop_hash[(hash >> 32) & (fib->geometry.nexthops - 1)];
}

uint32_t fib_nexthop_ref(struct fib *fib, const struct fib_nexthop_key *key)
{
	uint32_t *bucket = key_bucket(fib, key), number;
	struct fib_nexthop_entry *entry;
	struct fib_nexthop *shared;

	for (number = *bucket; number; number = fib->nexthop[number].next) {
		if (key_equal(&fib->nexthop[number].key, key)) {
			fib->nexthop[number].refs++;
			return number;
		}
	}
	number = fib_pool_alloc(&fib->pool[FIB_POOL_NEXTHOP], 1);
	if (number == FIB_POOL_NONE)
		return 0;
	entry = &fib->nexthop[number];
	memset(entry, 0, sizeof(*entry));
	LIST_INIT(&entry->members);
	entry->key.ifindex = key->ifindex;
	entry->key.family = key->family;
	entry->key.mtu = key->mtu;
	memcpy(entry->key.gate, key->gate, gate_len(key->family));
	entry->refs = 1;
	entry->next = *bucket;
	*bucket = number;

	/* nobody reads it yet: the number appears in slots after this */
	shared = &fib->memory.nexthop[number];
	memset(shared, 0, sizeof(*shared));
	shared->ifindex = entry->key.ifindex;
	shared->family = entry->key.family;
	memcpy(shared->gate, entry->key.gate, sizeof(shared->gate));
	if (fib->watcher)
		fib->watcher(fib->watcher_arg, number, &entry->key, true);
	return number;
}

void fib_nexthop_unref(struct fib *fib, uint32_t nexthop)
{
	struct fib_nexthop_entry *entry = &fib->nexthop[nexthop];
	uint32_t *link = key_bucket(fib, &entry->key);

	if (--entry->refs)
		return;
	while (*link != nexthop)
		link = &fib->nexthop[*link].next;
	*link = entry->next;
	fib->nexthops_down -= entry->down;
	fib_retire(fib, FIB_POOL_NEXTHOP, nexthop, 1);
	if (fib->watcher)
		fib->watcher(fib->watcher_arg, nexthop, &entry->key, false);
}

void fib_nexthop_free(struct fib *fib, uint32_t nexthop)
{
	fib_store(&fib->memory.nexthop[nexthop].dst, 0);
	fib_nexthop_clear(&fib->memory, &fib->geometry, nexthop);
}

static bool nexthop_used(const struct fib *fib, uint32_t nexthop)
{
	return nexthop && nexthop < fib->geometry.nexthops && fib->nexthop[nexthop].refs;
}

static uint64_t mac_word(const uint8_t mac[6])
{
	uint64_t word = 0;

	for (int i = 0; i < 6; i++)
		word |= (uint64_t)mac[i] << (8 * i);
	return word;
}

static void word_mac(uint64_t word, uint8_t mac[6])
{
	for (int i = 0; i < 6; i++)
		mac[i] = (uint8_t)(word >> (8 * i));
}

static void adjacency_publish(struct fib *fib, uint32_t nexthop,
			      const struct fib_adjacency *adjacency)
{
	struct fib_nexthop_entry *entry = &fib->nexthop[nexthop];
	struct fib_nexthop *shared = &fib->memory.nexthop[nexthop];
	uint64_t dst = (uint64_t)adjacency->action << 48;
	uint64_t src = (uint64_t)adjacency->mtu << 48;

	if (adjacency->action == FIB_NH_REWRITE) {
		dst |= mac_word(adjacency->dst);
		src |= mac_word(adjacency->src);
	} else {
		/* a reader that still goes by an old REWRITE finds the MAC it goes with */
		src |= entry->src & FIB_WORD_MAC;
	}
	if (adjacency->action == FIB_NH_KERNEL) {
		fib_store(&shared->dst, dst);
		fib_store(&shared->src, src);
	} else {
		fib_store(&shared->src, src);
		fib_store(&shared->dst, dst);
	}
	entry->dst = dst;
	entry->src = src;
}

bool fib_nexthop_intact(const struct fib *fib, uint32_t nexthop)
{
	const struct fib_nexthop_entry *entry = &fib->nexthop[nexthop];
	const struct fib_nexthop *shared = &fib->memory.nexthop[nexthop];

	return fib_load(&shared->dst) == entry->dst && fib_load(&shared->src) == entry->src &&
	       shared->ifindex == entry->key.ifindex && shared->family == entry->key.family &&
	       !memcmp(shared->gate, entry->key.gate, sizeof(shared->gate));
}

void fib_nexthop_rewrite(struct fib *fib, uint32_t nexthop)
{
	const struct fib_nexthop_entry *entry = &fib->nexthop[nexthop];
	struct fib_nexthop *shared = &fib->memory.nexthop[nexthop];

	if (fib_nexthop_intact(fib, nexthop))
		return;
	/* the kernel's while it is written */
	fib_store(&shared->dst, (uint64_t)FIB_NH_KERNEL << 48);
	shared->ifindex = entry->key.ifindex;
	shared->family = entry->key.family;
	memcpy(shared->gate, entry->key.gate, sizeof(shared->gate));
	fib_store(&shared->src, entry->src);
	fib_store(&shared->dst, entry->dst);
}

int fib_nexthop_resolve(struct fib *fib, uint32_t nexthop, const struct fib_nexthop_key *key,
			const struct fib_adjacency *adjacency)
{
	struct fib_nexthop_entry *entry;
	struct fib_group_member *member;
	int err = -ENOENT;

	if (adjacency->action >= FIB_NH_MAX)
		return -EINVAL;
	fib_lock(fib);
	entry = nexthop_used(fib, nexthop) ? &fib->nexthop[nexthop] : NULL;
	if (entry && (!key || key_equal(&entry->key, key))) {
		bool changed = entry->down != adjacency->down;

		err = 0;
		entry->down = adjacency->down;
		if (changed)
			fib->nexthops_down += entry->down ? 1 : -1ull;
		adjacency_publish(fib, nexthop, adjacency);
		if (changed) {
			LIST_FOREACH(member, &entry->members, sibling)
			{
				fib->failovers += entry->down && member->slots;
				fib_slots_publish(fib, member->group);
			}
		}
	}
	fib_unlock(fib);
	return err;
}

void fib_nexthop_watch(struct fib *fib, fib_nexthop_watcher watcher, void *arg)
{
	fib_lock(fib);
	fib->watcher = watcher;
	fib->watcher_arg = arg;
	for (uint32_t i = 1; watcher && i < fib->pool[FIB_POOL_NEXTHOP].top; i++) {
		if (fib->nexthop[i].refs)
			watcher(arg, i, &fib->nexthop[i].key, true);
	}
	fib_unlock(fib);
}

int fib_nexthop_get(struct fib *fib, uint32_t nexthop, struct fib_nexthop_info *info)
{
	const struct fib_nexthop_entry *entry;
	int err = -ENOENT;

	memset(info, 0, sizeof(*info));
	fib_lock(fib);
	if (nexthop_used(fib, nexthop)) {
		entry = &fib->nexthop[nexthop];
		info->nexthop = nexthop;
		info->key = entry->key;
		info->groups = entry->refs;
		info->adjacency.down = entry->down;
		info->adjacency.action = (uint8_t)FIB_NH_ACTION(entry->dst);
		info->adjacency.mtu = (uint16_t)FIB_NH_MTU(entry->src);
		if (info->adjacency.action == FIB_NH_REWRITE) {
			word_mac(entry->dst, info->adjacency.dst);
			word_mac(entry->src, info->adjacency.src);
		}
		err = 0;
	}
	fib_unlock(fib);
	return err;
}

uint32_t fib_nexthop_next(struct fib *fib, uint32_t from)
{
	uint32_t found = 0;

	fib_lock(fib);
	for (uint32_t i = from ? from : 1; !found && i < fib->pool[FIB_POOL_NEXTHOP].top; i++) {
		if (fib->nexthop[i].refs)
			found = i;
	}
	fib_unlock(fib);
	return found;
}

/* ---- counters: the program only adds, what was there when it began is subtracted ---- */

static void count_all(const struct fib_memory *memory, const struct fib_geometry *geometry,
		      uint32_t nexthop, struct fib_nexthop_counters *sum)
{
	memset(sum, 0, sizeof(*sum));
	for (uint32_t cpu = 0; cpu < geometry->cpus; cpu++) {
		const struct fib_nexthop_counters *row =
			&memory->nexthop_counters[(size_t)cpu * geometry->nexthops + nexthop];

		sum->packets += __atomic_load_n(&row->packets, __ATOMIC_RELAXED);
		sum->bytes += __atomic_load_n(&row->bytes, __ATOMIC_RELAXED);
	}
}

void fib_nexthop_counted(const struct fib_memory *memory, const struct fib_geometry *geometry,
			 uint32_t nexthop, struct fib_nexthop_counters *sum)
{
	const struct fib_nexthop_counters *start;

	memset(sum, 0, sizeof(*sum));
	if (!memory->nexthop_counters || nexthop >= geometry->nexthops)
		return;
	count_all(memory, geometry, nexthop, sum);
	start = &memory->nexthop_start[nexthop];
	sum->packets -= __atomic_load_n(&start->packets, __ATOMIC_RELAXED);
	sum->bytes -= __atomic_load_n(&start->bytes, __ATOMIC_RELAXED);
}

void fib_nexthop_clear(const struct fib_memory *memory, const struct fib_geometry *geometry,
		       uint32_t nexthop)
{
	struct fib_nexthop_counters *start, sum;

	if (!memory->nexthop_counters || nexthop >= geometry->nexthops)
		return;
	count_all(memory, geometry, nexthop, &sum);
	start = &memory->nexthop_start[nexthop];
	__atomic_store_n(&start->packets, sum.packets, __ATOMIC_RELAXED);
	__atomic_store_n(&start->bytes, sum.bytes, __ATOMIC_RELAXED);
}
