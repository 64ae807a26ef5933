// SPDX-License-Identifier: GPL-2.0-or-later
/* The course of a run, from the walk of the RIB to what is told of it: zebra's main thread's part. */
#include "dplane_ebpf/compat.h"
#include "dplane_ebpf/audit/audit.h"

#include "zebra/zebra_router.h"

#include "dplane_ebpf/audit/clock.h"
#include "dplane_ebpf/audit/marks.h"
#include "dplane_ebpf/audit/rib.h"
#include "dplane_ebpf/audit/worker.h"
#include "dplane_ebpf/log.h"
#include "dplane_ebpf/notice.h"
#include "dplane_ebpf/repair.h"

/* The main thread works for so long, and leaves zebra alone for so long afterwards: when somebody waits, and else. */
#define CHUNK_US 2000
#define GAP_MS 3
#define GAP_SLOW_MS 40
#define SMALL_NODES 20000
/* Between two looks at what differs. */
#define LOOKS 3
#define LOOK_MS 120
/* A repair goes by a result that is not older than this; and lets the dplane thread do it before it is checked. */
#define FRESH_US 5000000
#define REPAIRED_MS 200

static struct {
	compat_loop *loop;
	struct fib *fib;
	struct worker *worker;
	compat_event *step, *done;
	enum { IDLE, WALKING, READING, LOOKING, LOOK_READING, REPAIRING } phase;
	bool repair; /* when this run has ended */
	struct run run;
	struct rib_cursor cursor;
	size_t next; /* record to look at, or to repair */
	unsigned int look;
	uint64_t nodes; /* of the RIB, about */
	int64_t began;
	int64_t busy_us; /* of the main thread, in this run */
	struct audit_result *result;
	uint64_t runs, repairs, longest_us;
	uint64_t repaired; /* of the repair that goes on */
} audit;

static void step(compat_event *event);
static void begin(bool slow);

/* ---- the main thread's time ---- */

static void later(unsigned int ms)
{
	compat_add_timer_msec(audit.loop, step, ms, &audit.step);
}

static void busy_since(int64_t start)
{
	uint64_t us = (uint64_t)(rib_now() - start);

	audit.busy_us += (int64_t)us;
	if (us > audit.longest_us)
		audit.longest_us = us;
}

static unsigned int gap(void)
{
	return audit.run.slow ? GAP_SLOW_MS : GAP_MS;
}

/* Nobody waits: slowly, but where it is a matter of milliseconds. */
static void by_the_clock(void)
{
	if (audit.phase == IDLE)
		begin(rib_nodes(audit.fib) > SMALL_NODES);
}

/* ---- the end of a run ---- */

static const struct {
	const char *what, *why;
} kinds[AUDIT_KINDS_MAX] = {
#define X(e, name, what, why) [AUDIT_##e] = {what, why},
	AUDIT_KINDS(X)
#undef X
};

/* The first prefixes that the kernel gets, and that there are none any more. */
static void tell_sent(const struct audit_result *result, const struct audit_result *before)
{
	uint64_t sent = before ? before->sent_to_kernel : 0;

	if (result->sent_to_kernel && !sent)
		dpe_log(LOG_NOTICE,
			"consistency: packets of %" PRIu64
			" prefix%s that differ are the kernel's until zebra and the kernel agree",
			result->sent_to_kernel, result->sent_to_kernel == 1 ? "" : "es");
	if (sent && !result->sent_to_kernel && !result->error[0])
		dpe_log(LOG_NOTICE,
			"consistency: zebra and the kernel agree about all prefixes that "
			"were left to the kernel; they are forwarded again");
	if (result->not_sent && !(before && before->not_sent))
		dpe_log(LOG_ERR,
			"consistency: out of memory: packets of %" PRIu64
			" prefix%s that differ go as zebra says. Free memory; it is tried again",
			result->not_sent, result->not_sent == 1 ? "" : "es");
}

/* Each kind is told when it appears; how many prefixes there are, when that is another number. */
static void tell(const struct audit_result *result, const struct audit_result *before)
{
	struct notice notice = {.kind = NOTICE_INCONSISTENCY, .count = result->differing};

	if (result->differing && (!before || before->differing != result->differing))
		notice_report(&notice);
	for (int i = 0; i < AUDIT_KINDS_MAX; i++) {
		if (!result->by_kind[i] || (before && before->by_kind[i]))
			continue;
		dpe_log(LOG_WARNING,
			"consistency: %s: %" PRIu64
			" prefix%s; %s. See show dplane ebpf consistency",
			kinds[i].what, result->by_kind[i], result->by_kind[i] == 1 ? "" : "es",
			kinds[i].why);
	}
	if (before && before->differing && !result->differing && !result->error[0])
		dpe_log(LOG_INFO, "consistency: no differences any more");
	tell_sent(result, before);
}

static void result_free(struct audit_result *result)
{
	if (result)
		snapshot_fini(&result->differences);
	free(result);
}

static void start_repair(void)
{
	audit.repair = false;
	if (!audit.result->differing)
		return;
	audit.phase = REPAIRING;
	audit.next = 0;
	audit.repaired = 0;
	later(0);
}

static void finish(const char *error)
{
	struct audit_result *result = calloc(1, sizeof(*result));

	marks_end();
	audit.phase = IDLE;
	clock_ended(rib_now() - audit.began, audit.busy_us + audit.run.cpu_us);
	if (!result) {
		snapshot_fini(&audit.run.snapshot);
		return;
	}
	result->run = ++audit.runs;
	result->when = time(NULL);
	result->at = rib_now();
	result->took_us = result->at - audit.began;
	result->left_to_kernel = audit.run.left_to_kernel;
	result->unsettled = audit.run.unsettled;
	result->sent_to_kernel = audit.run.sent_to_kernel;
	result->not_sent = audit.run.not_sent;
	memcpy(result->by_oddity, audit.run.by_oddity, sizeof(result->by_oddity));
	result->counts.rib[0] = audit.run.rib[0];
	result->counts.rib[1] = audit.run.rib[1];
	for (int i = 0; i < 2; i++) {
		result->counts.kernel[i] = audit.run.kernel[i];
		result->counts.ours[i] = audit.run.ours[i];
	}
	if (error) {
		snprintf(result->error, sizeof(result->error), "%s", error);
		snapshot_fini(&audit.run.snapshot);
	} else {
		result->differing = audit.run.differing;
		memcpy(result->by_kind, audit.run.by_kind, sizeof(result->by_kind));
		result->differences = audit.run.snapshot;
	}
	memset(&audit.run.snapshot, 0, sizeof(audit.run.snapshot));
	tell(result, audit.result);
	result_free(audit.result);
	audit.result = result;
	if (audit.repair)
		start_repair();
}

/* ---- its course ---- */

static void begin(bool slow)
{
	memset(&audit.cursor, 0, sizeof(audit.cursor));
	memset(&audit.run, 0, sizeof(audit.run));
	audit.look = 0;
	audit.busy_us = 0;
	audit.began = rib_now();
	clock_began();
	audit.nodes = rib_nodes(audit.fib);
	audit.run.fib = audit.fib;
	audit.run.slow = slow;
	if (snapshot_init(&audit.run.snapshot)) {
		finish("out of memory");
		return;
	}
	/* what is not used costs nothing, and to grow would hold up zebra */
	snapshot_reserve(&audit.run.snapshot, audit.nodes + audit.nodes / 16 + 64);
	audit.phase = WALKING;
	later(0);
}

static void look_again(void)
{
	audit.phase = LOOKING;
	audit.next = 0;
	if (!audit.look)
		marks_watch();
	later(audit.look ? LOOK_MS : 0);
}

/* The worker has read the kernel's FIB and ours. */
static void worker_done(compat_event *event)
{
	int64_t start = rib_now();
	int err = worker_take(audit.worker);

	if (err) {
		char text[96];

		snprintf(text, sizeof(text), "reading the kernel's routes: %s",
			 safe_strerror(-err));
		finish(audit.run.snapshot.failed ? "out of memory" : text);
	} else if (audit.run.snapshot.n == 0 ||
		   (audit.phase == LOOK_READING && ++audit.look == LOOKS)) {
		finish(NULL);
	} else {
		look_again();
	}
	busy_since(start);
}

static void notify(void)
{
	compat_add_event(audit.loop, worker_done, &audit.done);
}

static void repair_some(int64_t deadline)
{
	const struct snapshot *known = &audit.result->differences;
	struct fib_prefix prefix;
	struct repair repair;

	for (; audit.next < known->n; audit.next++) {
		const struct record *record = &known->record[audit.next];

		if (rib_now() >= deadline)
			return;
		record_prefix(record, &prefix);
		if ((compare(known->ways, record) & AUDIT_OURS) &&
		    rib_repair(&prefix, audit.fib, &repair) && repair_ask(&repair))
			audit.repaired++;
	}
}

static void step(compat_event *event)
{
	int64_t start = rib_now(), deadline = start + CHUNK_US;
	struct snapshot *snapshot = &audit.run.snapshot;

	/* zebra takes its tables apart */
	if (zebra_router_in_shutdown())
		return;
	switch (audit.phase) {
	case WALKING:
		if (rib_walk(&audit.cursor, snapshot, audit.fib, deadline)) {
			later(gap());
			break;
		}
		audit.run.rib[0] = audit.cursor.seen[0];
		audit.run.rib[1] = audit.cursor.seen[1];
		audit.phase = READING;
		worker_give(audit.worker, &audit.run, PASS_ALL);
		break;
	case LOOKING:
		if (rib_look(snapshot, &audit.next, audit.fib, deadline)) {
			later(gap());
			break;
		}
		audit.phase = LOOK_READING;
		worker_give(audit.worker, &audit.run,
			    audit.look == 0	      ? PASS_FIRST_LOOK
			    : audit.look == LOOKS - 1 ? PASS_LAST_LOOK
						      : PASS_LOOK);
		break;
	case REPAIRING:
		repair_some(deadline);
		if (audit.next < audit.result->differences.n) {
			later(gap());
			break;
		}
		audit.repairs += audit.repaired;
		if (audit.repaired)
			dpe_log(LOG_NOTICE, "consistency: %" PRIu64 " prefix%s repaired",
				audit.repaired, audit.repaired == 1 ? "" : "es");
		begin(false);
		compat_cancel_event(&audit.step);
		later(REPAIRED_MS);
		break;
	case IDLE:
	case READING:
	case LOOK_READING:
		break;
	}
	busy_since(start);
}

/* ---- for the others ---- */

void audit_run(void)
{
	if (audit.worker && audit.phase == IDLE)
		begin(false);
	audit.run.slow = false;
}

void audit_repair(void)
{
	bool fresh = audit.result && rib_now() - audit.result->at < FRESH_US;

	if (!audit.worker)
		return;
	if (audit.phase == IDLE && fresh) {
		start_repair();
		return;
	}
	audit.repair = true;
	audit_run();
}

bool audit_start(compat_loop *loop, struct fib *fib)
{
	/* beyond the tables that it compares: what it did so far */
	uint64_t runs = audit.runs, repairs = audit.repairs, longest_us = audit.longest_us;

	memset(&audit, 0, sizeof(audit));
	audit.runs = runs;
	audit.repairs = repairs;
	audit.longest_us = longest_us;
	audit.loop = loop;
	audit.fib = fib;
	audit.worker = worker_start(notify, marks_has);
	if (audit.worker)
		clock_start(loop, by_the_clock);
	return audit.worker != NULL;
}

void audit_stop(void)
{
	if (!audit.worker)
		return;
	clock_stop();
	worker_stop(audit.worker);
	audit.worker = NULL;
	compat_cancel_event(&audit.step);
	compat_cancel_event(&audit.done);
	marks_end();
	snapshot_fini(&audit.run.snapshot);
	result_free(audit.result);
	audit.result = NULL;
	audit.phase = IDLE;
}

static unsigned int share(uint64_t part, uint64_t whole, unsigned int of)
{
	return part < whole ? (unsigned int)(part * of / whole) : of;
}

void audit_status(struct audit_status *status)
{
	static const char *const doing[] = {
		[IDLE] = "",
		[WALKING] = "reading zebra's RIB",
		[READING] = "reading the kernel's routes and ours",
		[LOOKING] = "looking again at what differs",
		[LOOK_READING] = "looking again at what differs",
		[REPAIRING] = "repairing",
	};
	const struct run *run = &audit.run;

	memset(status, 0, sizeof(*status));
	status->state = audit.phase == IDLE	   ? AUDIT_IDLE
			: audit.phase == REPAIRING ? AUDIT_REPAIRING
						   : AUDIT_RUNNING;
	status->doing = doing[audit.phase];
	status->runs = audit.runs;
	status->repairs = audit.repairs;
	status->longest_us = audit.longest_us;
	status->result = audit.result;
	status->age_us = audit.result ? rib_now() - audit.result->at : 0;
	switch (audit.phase) {
	case WALKING:
		status->percent = share(audit.cursor.nodes, audit.nodes, 30);
		break;
	case READING:
		status->percent =
			30 + share(run->kernel[0] + run->kernel[1] + run->ours[0] + run->ours[1],
				   2 * (run->rib[0] + run->rib[1]), 50);
		break;
	case LOOKING:
	case LOOK_READING:
		status->percent = 80 + 20 * audit.look / LOOKS;
		break;
	case IDLE:
	case REPAIRING:
		break;
	}
}
