// SPDX-License-Identifier: GPL-2.0-or-later
/* zebra's RIB: what it believes installed, as ways. */
#include "dplane_ebpf/compat.h"
#include "dplane_ebpf/audit/rib.h"

#include "lib/srcdest_table.h"
#include "lib/table.h"
#include "zebra/rib.h"
#include "zebra/zebra_nhg.h"
#include "zebra/zebra_vrf.h"

#include "dplane_ebpf/members.h"

#define NODES_A_CLOCK 64u /* nodes visited between two looks at the clock */

static const afi_t afis[] = {AFI_IP, AFI_IP6};

int64_t rib_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000000) + now.tv_nsec / 1000;
}

/* ---- tables: those that provider.c takes routes of ---- */

static bool table_of(vrf_id_t vrf_id, struct fib *fib, uint16_t *table)
{
	struct zebra_vrf *zvrf;

	*table = 0;
	if (vrf_id == VRF_DEFAULT)
		return true;
	zvrf = vrf_is_backend_netns() ? NULL : zebra_vrf_lookup_by_id(vrf_id);
	return zvrf && zvrf->table_id && zvrf->table_id != RT_TABLE_MAIN &&
	       zvrf->table_id != RT_TABLE_LOCAL && fib_table_open(fib, zvrf->table_id, table) == 0;
}

static vrf_id_t vrf_of(uint16_t table, struct fib *fib)
{
	uint32_t kernel_table = fib_table_kernel(fib, table);
	struct vrf *vrf;

	if (!table)
		return VRF_DEFAULT;
	RB_FOREACH(vrf, vrf_id_head, &vrfs_by_id) {
		struct zebra_vrf *zvrf = vrf->info;

		if (vrf->vrf_id != VRF_DEFAULT && zvrf && zvrf->table_id == kernel_table)
			return vrf->vrf_id;
	}
	return VRF_UNKNOWN;
}

/* The one with the next number; the default one, whose number is 0, comes first. */
static bool next_vrf(vrf_id_t *vrf_id)
{
	struct vrf *vrf;

	RB_FOREACH(vrf, vrf_id_head, &vrfs_by_id) {
		if (vrf->vrf_id > *vrf_id && vrf->vrf_id != VRF_UNKNOWN) {
			*vrf_id = vrf->vrf_id;
			return true;
		}
	}
	return false;
}

/* ---- one prefix ---- */

static struct route_entry *selected(struct route_node *rn)
{
	rib_dest_t *dest = rib_dest_from_rnode(rn);

	return dest ? dest->selected_fib : NULL;
}

/* zebra waits for its data plane, or is about to give it something. */
static bool changing(struct route_node *rn)
{
	rib_dest_t *dest = rib_dest_from_rnode(rn);
	struct route_entry *re;

	if (dest && dest->flags & (RIB_ROUTE_QUEUED(ZEBRA_MAX_QINDEX + 1) - 1))
		return true;
	RE_DEST_FOREACH_ROUTE(dest, re)
	{
		if (CHECK_FLAG(re->status, ROUTE_ENTRY_QUEUED | ROUTE_ENTRY_REMOVED))
			return true;
	}
	return false;
}

static bool installed(const struct route_entry *re)
{
	return re && re->nhe && CHECK_FLAG(re->status, ROUTE_ENTRY_INSTALLED);
}

/*
 * Whether the destination has a source-specific route; *moving: or is about to. Such nodes follow their
 * destination's, in an order that steps over what has none.
 */
static bool has_source(struct route_node *rn, bool *moving)
{
	bool found = false;

	if (rn->p.family != AF_INET6)
		return false;
	for (rn = srcdest_route_next(route_lock_node(rn)); rn && rnode_is_srcnode(rn);
	     rn = srcdest_route_next(rn)) {
		*moving |= changing(rn);
		found |= installed(selected(rn));
	}
	if (rn)
		route_unlock_node(rn);
	return found;
}

static struct nhg_hash_entry *nhe_of(const struct route_entry *re)
{
	return zebra_nhg_resolve(re->nhe);
}

static uint32_t entry_way(struct ways *ways, const struct route_entry *re)
{
	struct fib_member members[MEMBERS_MAX];
	uint32_t verdict;
	size_t n;

	if (compat_entry_is_local(re))
		return FIB_GROUP_LOCAL;
	verdict = members_read(&nhe_of(re)->nhg, members, &n);
	if (verdict < FIB_GROUP_FIRST)
		return verdict;
	for (size_t i = 0; i < n; i++)
		members[i].nexthop.mtu = members_mtu(re->mtu, re->nexthop_mtu);
	return n ? ways_of(ways, members, n) : FIB_GROUP_UNSUPPORTED;
}

/* The kernel keeps its own addresses elsewhere, and makes no route for the network of a host. */
static bool not_in_kernel(const struct prefix *p, const struct route_entry *re)
{
	return compat_entry_is_local(re) ||
	       (p->family == AF_INET && p->prefixlen == IPV4_MAX_BITLEN &&
		re->type == ZEBRA_ROUTE_CONNECT);
}

struct view {
	uint32_t way;
	uint8_t flags; /* RECORD_KERNEL_ANY */
};

static struct view look(struct ways *ways, struct route_node *rn)
{
	const struct route_entry *re = selected(rn);
	struct view view = {WAY_NONE, 0};
	bool moving = changing(rn);
	bool source = has_source(rn, &moving);

	if (moving) {
		view.way = WAY_CHANGING;
	} else if (source) {
		view.way = FIB_GROUP_UNSUPPORTED;
		view.flags = RECORD_KERNEL_ANY;
	} else if (installed(re)) {
		view.way = entry_way(ways, re);
		view.flags = not_in_kernel(&rn->p, re) ? RECORD_KERNEL_ANY : 0;
	}
	return view;
}

static void to_fib(const struct prefix *p, uint16_t table, struct fib_prefix *prefix)
{
	memset(prefix, 0, sizeof(*prefix));
	prefix->family = p->family;
	prefix->len = p->prefixlen;
	prefix->table = table;
	memcpy(prefix->addr, &p->u.prefix, p->family == AF_INET ? 4 : 16);
}

/* ---- all of them ---- */

/* Who walks, and what for. */
struct walk {
	void (*visit)(const struct walk *walk, struct rib_cursor *cursor, struct route_node *rn,
		      const struct fib_prefix *prefix);
	struct snapshot *snapshot;
	struct fib *fib;
	rib_changing_cb changing;
};

static void visit_audit(const struct walk *walk, struct rib_cursor *cursor, struct route_node *rn,
			const struct fib_prefix *prefix)
{
	struct view view = look(walk->snapshot->ways, rn);
	struct record *record;

	if (!view.way || snapshot_ignores(prefix))
		return;
	record = snapshot_add(walk->snapshot, prefix);
	if (record) {
		record->rib = view.way;
		record->flags |= view.flags;
	}
	cursor->seen[cursor->afi]++;
}

static bool walk_table(const struct walk *walk, struct rib_cursor *cursor, struct route_table *rib,
		       uint16_t table, int64_t deadline)
{
	struct route_node *rn =
		cursor->begun ? route_table_get_next(rib, &cursor->last) : route_top(rib);
	unsigned int nodes = 0;

	for (; rn; rn = route_next(rn)) {
		struct fib_prefix prefix;

		to_fib(&rn->p, table, &prefix);
		walk->visit(walk, cursor, rn, &prefix);
		cursor->nodes++;
		if (++nodes % NODES_A_CLOCK || rib_now() < deadline)
			continue;
		prefix_copy(&cursor->last, &rn->p);
		cursor->begun = true;
		route_unlock_node(rn);
		return true;
	}
	return false;
}

static bool walk_all(const struct walk *walk, struct rib_cursor *cursor, int64_t deadline)
{
	do {
		for (; cursor->afi < (int)array_size(afis); cursor->afi++) {
			struct route_table *rib =
				zebra_vrf_table(afis[cursor->afi], SAFI_UNICAST, cursor->vrf);
			uint16_t table;

			if (rib && table_of(cursor->vrf, walk->fib, &table) &&
			    walk_table(walk, cursor, rib, table, deadline))
				return true;
			cursor->begun = false;
		}
		cursor->afi = 0;
	} while (next_vrf(&cursor->vrf));
	return false;
}

bool rib_walk(struct rib_cursor *cursor, struct snapshot *snapshot, struct fib *fib,
	      int64_t deadline)
{
	const struct walk walk = {.visit = visit_audit, .snapshot = snapshot, .fib = fib};

	return walk_all(&walk, cursor, deadline);
}

uint64_t rib_nodes(struct fib *fib)
{
	vrf_id_t vrf = VRF_DEFAULT;
	uint64_t nodes = 0;
	uint16_t table;

	do {
		for (size_t i = 0; i < array_size(afis); i++) {
			struct route_table *rib = zebra_vrf_table(afis[i], SAFI_UNICAST, vrf);

			if (rib && table_of(vrf, fib, &table))
				nodes += route_table_count(rib);
		}
	} while (next_vrf(&vrf));
	return nodes;
}

static struct route_node *find(const struct fib_prefix *prefix, vrf_id_t vrf)
{
	afi_t afi = prefix->family == AF_INET ? AFI_IP : AFI_IP6;
	struct route_table *rib = zebra_vrf_table(afi, SAFI_UNICAST, vrf);
	struct prefix p;

	fib_to_prefix(prefix, &p);
	return rib ? srcdest_rnode_lookup(rib, &p, NULL) : NULL;
}

bool rib_look(struct snapshot *snapshot, size_t *next, struct fib *fib, int64_t deadline)
{
	vrf_id_t vrf = VRF_UNKNOWN;
	int table = -1;

	while (*next < snapshot->n) {
		struct record *record = &snapshot->record[(*next)++];
		struct view view = {WAY_NONE, 0};
		struct fib_prefix prefix;
		struct route_node *rn;

		record_prefix(record, &prefix);
		if (prefix.table != table)
			vrf = vrf_of(prefix.table, fib);
		table = prefix.table;
		rn = find(&prefix, vrf);
		if (rn) {
			view = look(snapshot->ways, rn);
			route_unlock_node(rn);
		}
		record->rib = view.way;
		record->flags &= (uint8_t)~RECORD_KERNEL_ANY;
		record->flags |= view.flags;
		if (*next % NODES_A_CLOCK == 0 && rib_now() >= deadline)
			return *next < snapshot->n;
	}
	return false;
}

/* ---- for repair.c ---- */

static void read_route(const struct route_entry *re, struct repair *repair)
{
	const struct nhg_hash_entry *backups =
		re->nhe->backup_info ? re->nhe->backup_info->nhe : NULL;

	repair->present = true;
	repair->local = compat_entry_is_local(re);
	repair->kernels = compat_type_is_kernels(re->type);
	repair->mtu = members_mtu(re->mtu, re->nexthop_mtu);
	repair->nhe_id = nhe_of(re)->id;
	nexthop_group_copy(&repair->ng, &nhe_of(re)->nhg);
	if (backups)
		nexthop_group_copy(&repair->backups, &backups->nhg);
}

bool rib_repair(const struct fib_prefix *prefix, struct fib *fib, struct repair *repair)
{
	struct route_node *rn = find(prefix, vrf_of(prefix->table, fib));
	bool moving;

	*repair = (struct repair){.fib = fib, .prefix = *prefix, .again = true};
	if (!rn)
		return true;
	moving = changing(rn);
	repair->source_specific = has_source(rn, &moving);
	if (!moving && installed(selected(rn)))
		read_route(selected(rn), repair);
	route_unlock_node(rn);
	return !moving;
}

/* Each of the destination's source-specific routes. */
static void fill_sources(struct route_node *rn, const struct repair *dest)
{
	for (rn = srcdest_route_next(route_lock_node(rn)); rn && rnode_is_srcnode(rn);
	     rn = srcdest_route_next(rn)) {
		struct repair repair = *dest;

		if (!installed(selected(rn)))
			continue;
		repair.source_specific = true;
		prefix_copy(&repair.src, &rn->p);
		repair_ask(&repair);
	}
	if (rn)
		route_unlock_node(rn);
}

static void visit_fill(const struct walk *walk, struct rib_cursor *cursor, struct route_node *rn,
		       const struct fib_prefix *prefix)
{
	struct repair repair = {.fib = walk->fib, .prefix = *prefix};
	bool moving = changing(rn), source = has_source(rn, &moving);

	if (moving) {
		walk->changing(prefix);
		return;
	}
	if (source)
		fill_sources(rn, &repair);
	if (source || !installed(selected(rn)))
		return;
	read_route(selected(rn), &repair);
	repair_ask(&repair);
	cursor->seen[cursor->afi]++;
}

bool rib_fill(struct rib_cursor *cursor, struct fib *fib, rib_changing_cb told, int64_t deadline)
{
	const struct walk walk = {.visit = visit_fill, .fib = fib, .changing = told};

	return walk_all(&walk, cursor, deadline);
}

void rib_fill_one(const struct fib_prefix *prefix, struct fib *fib, rib_changing_cb told)
{
	const struct walk walk = {.visit = visit_fill, .fib = fib, .changing = told};
	struct route_node *rn = find(prefix, vrf_of(prefix->table, fib));
	struct rib_cursor cursor = {0};

	if (!rn)
		return;
	visit_fill(&walk, &cursor, rn, prefix);
	route_unlock_node(rn);
}
