// SPDX-License-Identifier: GPL-2.0-or-later
/* The data-plane provider. */
#include "dplane_ebpf/compat.h"
#include "dplane_ebpf/provider.h"

#include <stdatomic.h>

#include "dplane_ebpf/audit/marks.h"
#include "dplane_ebpf/heartbeat.h"
#include "dplane_ebpf/log.h"
#include "dplane_ebpf/members.h"
#include "dplane_ebpf/repair.h"
#include "dplane_ebpf/takeover.h"
#include "dplane_ebpf/target.h"

/* What the main thread asks of the dplane thread. */
enum exchange { NOTHING, JOIN, LEAVE };

static struct {
	struct provider_callbacks callbacks;
	compat_loop *loop;
	struct target *targets
		[2]; /* all that zebra says goes to each; while there are two the first forwards */
	size_t n;
	struct target *target; /* that is at work; one of them */
	bool told;
	_Atomic uint64_t counters[PROVIDER_MAX], handled;
	/* handed over with `asked`, and back with `event` */
	_Atomic enum exchange asked;
	struct target *joins, *left;
	void (*done)(void);
	compat_event *event;
} provider;

/* Each context once, however many targets there are. */
static void count(enum provider_counter counter)
{
	if (provider.target == provider.targets[0])
		atomic_fetch_add_explicit(&provider.counters[counter], 1, memory_order_relaxed);
}

void provider_counters(uint64_t counters[PROVIDER_MAX])
{
	for (int i = 0; i < PROVIDER_MAX; i++)
		counters[i] = atomic_load_explicit(&provider.counters[i], memory_order_relaxed);
}

uint64_t provider_handled(void)
{
	return atomic_load_explicit(&provider.handled, memory_order_relaxed);
}

/* Told once: `show dplane ebpf summary` goes on counting. */
static void check(int err, const char *what)
{
	if (!err)
		return;
	count(PROVIDER_ERROR);
	if (provider.told)
		return;
	provider.told = true;
	dpe_log(LOG_WARNING,
		"%s refused: %s. What it covers is forwarded by the kernel; see show dplane ebpf summary",
		what, strerror(-err));
}

/*
 * The FIB's table for a route. False: not one that packets are looked up in by the interface they came in by. A VRF
 * that is a network namespace of its own has another kernel's "main", which is not ours.
 */
static bool table_of(const struct zebra_dplane_ctx *ctx, uint16_t *table)
{
	/* a route that goes must not bring back the table of a VRF that is gone */
	int (*table_get)(struct fib *, uint32_t, uint16_t *) =
		dplane_ctx_get_op(ctx) == DPLANE_OP_ROUTE_DELETE ? fib_table_find : fib_table_use;

	if (dplane_ctx_get_safi(ctx) != SAFI_UNICAST) {
		count(PROVIDER_IGNORED_SAFI);
		return false;
	}
	*table = 0;
	if (dplane_ctx_get_vrf(ctx) != VRF_DEFAULT) {
		if (vrf_is_backend_netns() || dplane_ctx_get_table(ctx) == RT_TABLE_MAIN ||
		    dplane_ctx_get_table(ctx) == RT_TABLE_LOCAL ||
		    table_get(provider.target->fib, dplane_ctx_get_table(ctx), table)) {
			count(PROVIDER_IGNORED_VRF);
			return false;
		}
		/* zebra's number of a VRF is its device's */
		fib_table_claim(provider.target->fib, *table, dplane_ctx_get_vrf(ctx));
	} else if (dplane_ctx_get_table(ctx) != RT_TABLE_MAIN) {
		count(PROVIDER_IGNORED_TABLE);
		return false;
	}
	return true;
}

/* False: not a route that is ours. */
static bool fib_prefix_of(const struct zebra_dplane_ctx *ctx, struct fib_prefix *to)
{
	const struct prefix *from = dplane_ctx_get_dest(ctx);

	if (from->family != AF_INET && from->family != AF_INET6)
		return false;
	memset(to, 0, sizeof(*to));
	if (!table_of(ctx, &to->table))
		return false;
	to->family = from->family;
	to->len = from->prefixlen;
	memcpy(to->addr, &from->u.prefix, from->family == AF_INET ? 4 : 16);
	marks_leave(to);
	return true;
}

/* The group of a route's next hops. The caller drops it if *owned. */
static uint32_t route_group(const struct zebra_dplane_ctx *ctx, uint16_t table, bool *owned)
{
	uint16_t mtu = members_mtu(dplane_ctx_get_mtu(ctx), dplane_ctx_get_nh_mtu(ctx));
	uint32_t id = dplane_ctx_get_nhe_id(ctx), group;

	*owned = false;
	if (srcdest_has(provider.target->srcdest, table, dplane_ctx_get_dest(ctx)))
		return FIB_GROUP_UNSUPPORTED;
	if (compat_route_is_local(ctx))
		return FIB_GROUP_LOCAL;
	/* those that a restarted zebra found in the kernel, too, are told of by its routes alone */
	if (!groups_known(provider.target->groups, id))
		count(PROVIDER_GROUP_UNKNOWN);
	if (groups_find(provider.target->groups, id, dplane_ctx_get_ng(ctx), mtu, &group)) {
		check(groups_protect(provider.target->groups, id, dplane_ctx_get_ng(ctx),
				     dplane_ctx_get_backup_ng(ctx)),
		      "a route's backup next hops");
		return group;
	}
	return groups_make(provider.target->groups, dplane_ctx_get_ng(ctx),
			   dplane_ctx_get_backup_ng(ctx), mtu, owned);
}

static bool is_update_to_others(const struct zebra_dplane_ctx *ctx)
{
	return dplane_ctx_get_op(ctx) == DPLANE_OP_ROUTE_UPDATE &&
	       !members_same(dplane_ctx_get_old_ng(ctx), dplane_ctx_get_ng(ctx));
}

static void route_set(const struct zebra_dplane_ctx *ctx)
{
	struct fib_prefix prefix;
	bool owned;
	uint32_t group;
	const struct prefix *src = dplane_ctx_get_src(ctx);

	if (!fib_prefix_of(ctx, &prefix))
		return;
	count(PROVIDER_ROUTE_SET);
	if (src) {
		count(PROVIDER_SOURCE_SPECIFIC);
		check(srcdest_add(provider.target->srcdest, prefix.table, dplane_ctx_get_dest(ctx),
				  src),
		      "a route");
		check(fib_route_set(provider.target->fib, &prefix, FIB_GROUP_UNSUPPORTED),
		      "a route");
		return;
	}
	group = route_group(ctx, prefix.table, &owned);
	check(compat_type_is_kernels(dplane_ctx_get_type(ctx))
		      ? fib_route_read(provider.target->fib, &prefix, group)
		      : fib_route_set(provider.target->fib, &prefix, group),
	      "a route");
	if (owned)
		fib_group_drop(provider.target->fib, group);
	if (takeover_pending() && is_update_to_others(ctx))
		takeover_now();
}

static void route_del(const struct zebra_dplane_ctx *ctx)
{
	struct fib_prefix prefix;
	const struct prefix *src = dplane_ctx_get_src(ctx);
	int err;

	if (!fib_prefix_of(ctx, &prefix))
		return;
	count(PROVIDER_ROUTE_DEL);
	takeover_now();
	if (src) {
		/*
		 * An ordinary route may stand beside this one: the prefix stays with the kernel, which knows, until the
		 * ordinary route is set or deleted.
		 */
		srcdest_del(provider.target->srcdest, prefix.table, dplane_ctx_get_dest(ctx), src);
		return;
	}
	if (srcdest_has(provider.target->srcdest, prefix.table, dplane_ctx_get_dest(ctx)))
		return;
	err = fib_route_del(provider.target->fib, &prefix);
	check(err == -ENOENT ? 0 : err, "a route's removal");
}

static void group_set(const struct zebra_dplane_ctx *ctx)
{
	/* of another network namespace, whose routes are not ours either */
	if (vrf_is_backend_netns() && dplane_ctx_get_nhe_vrf_id(ctx) != VRF_DEFAULT) {
		count(PROVIDER_IGNORED_VRF);
		return;
	}
	count(PROVIDER_GROUP_SET);
	check(groups_set(provider.target->groups, dplane_ctx_get_nhe_id(ctx),
			 dplane_ctx_get_nhe_ng(ctx)),
	      "a next-hop group");
}

static void group_del(const struct zebra_dplane_ctx *ctx)
{
	count(PROVIDER_GROUP_DEL);
	groups_del(provider.target->groups, dplane_ctx_get_nhe_id(ctx));
}

static void handle_one(const struct zebra_dplane_ctx *ctx)
{
	switch (dplane_ctx_get_op(ctx)) {
	case DPLANE_OP_ROUTE_INSTALL:
	case DPLANE_OP_ROUTE_UPDATE:
	case DPLANE_OP_SYS_ROUTE_ADD:
		route_set(ctx);
		break;
	case DPLANE_OP_ROUTE_DELETE:
	case DPLANE_OP_SYS_ROUTE_DELETE:
		route_del(ctx);
		break;
	case DPLANE_OP_NH_INSTALL:
	case DPLANE_OP_NH_UPDATE:
		group_set(ctx);
		break;
	case DPLANE_OP_NH_DELETE:
		group_del(ctx);
		break;
	default:
		count(PROVIDER_IGNORED_OP);
		break;
	}
}

static void handle(const struct zebra_dplane_ctx *ctx)
{
	atomic_fetch_add_explicit(&provider.handled, 1, memory_order_relaxed);
	for (size_t i = 0; i < provider.n; i++) {
		provider.target = provider.targets[i];
		handle_one(ctx);
	}
}

static void repair(void)
{
	int err;
	size_t n;

	provider.target = provider.targets[0];
	n = repair_all(provider.targets, provider.n, &err);

	atomic_fetch_add_explicit(&provider.counters[PROVIDER_REPAIRED], n, memory_order_relaxed);
	check(err, "a repair");
}

/* ---- two targets ---- */

static void exchanged(compat_event *event)
{
	target_free(provider.left);
	provider.left = NULL;
	provider.done();
}

static void exchange(void)
{
	switch (atomic_exchange(&provider.asked, NOTHING)) {
	case JOIN:
		provider.targets[provider.n++] = provider.joins;
		provider.joins = NULL;
		break;
	case LEAVE:
		provider.left = provider.targets[0];
		provider.targets[0] = provider.targets[--provider.n];
		provider.targets[provider.n] = NULL;
		break;
	case NOTHING:
		return;
	}
	compat_add_event(provider.loop, exchanged, &provider.event);
}

static void ask(enum exchange what, void (*done)(void))
{
	provider.done = done;
	atomic_store(&provider.asked, what);
	dplane_provider_work_ready();
}

bool provider_join(struct fib *fib, void (*done)(void))
{
	struct target *target = target_new(fib);

	if (!target)
		return false;
	provider.joins = target;
	ask(JOIN, done);
	return true;
}

void provider_leave(void (*done)(void))
{
	ask(LEAVE, done);
}

/* ---- zebra's ---- */

static void batch(void (*begin_or_end)(struct fib *fib))
{
	for (size_t i = 0; i < provider.n; i++)
		begin_or_end(provider.targets[i]->fib);
}

static int process(struct zebra_dplane_provider *prov)
{
	int limit = dplane_provider_get_work_limit(prov);
	int done;

	heartbeat_beat(HEARTBEAT_DPLANE);
	exchange();
	repair();
	/* all that zebra has now is published at once: a table that comes whole is made several times faster */
	batch(fib_batch_begin);
	for (done = 0; done < limit; done++) {
		struct zebra_dplane_ctx *ctx = dplane_provider_dequeue_in_ctx(prov);

		if (!ctx)
			break;
		handle(ctx);
		if (compat_ctx_returns(ctx))
			dplane_provider_enqueue_out_ctx(prov, ctx);
		else
			dplane_ctx_fini(&ctx);
	}
	batch(fib_batch_end);
	if (done == limit)
		dplane_provider_work_ready();
	return 0;
}

static void release(void)
{
	compat_cancel_event(&provider.event);
	for (size_t i = 0; i < provider.n; i++)
		target_free(provider.targets[i]);
	provider.n = 0;
	provider.targets[0] = provider.targets[1] = NULL;
	target_free(provider.joins);
	target_free(provider.left);
	provider.joins = provider.left = NULL;
	repair();
}

static int start(struct zebra_dplane_provider *prov)
{
	struct fib *fib = provider.callbacks.start();
	struct target *target;

	if (!fib)
		return 0;
	target = target_new(fib);
	if (!target) {
		dpe_log(LOG_ERR, "out of memory: zebra goes on with the kernel alone");
		provider.callbacks.stop(false);
		return 0;
	}
	provider.targets[provider.n++] = target;
	return 0;
}

/* Routes are still deleted between the early call and the late one, and taken out like any other. */
static int finish(struct zebra_dplane_provider *prov, bool early)
{
	if (early) {
		provider.callbacks.ending();
		return 0;
	}
	release();
	provider.callbacks.stop(compat_retain());
	return 0;
}

int provider_register(compat_loop *loop, const struct provider_callbacks *callbacks)
{
	provider.loop = loop;
	provider.callbacks = *callbacks;
	dplane_enable_sys_route_notifs();
	return dplane_provider_register("dplane_ebpf", DPLANE_PRIO_POSTPROCESS,
					DPLANE_PROV_FLAGS_DEFAULT, start, process, finish, NULL,
					NULL);
}
