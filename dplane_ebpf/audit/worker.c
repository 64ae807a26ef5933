// SPDX-License-Identifier: GPL-2.0-or-later
/* The audit's own thread. */
#include "dplane_ebpf/audit/worker.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "dplane_ebpf/audit/audit_internal.h"

struct worker {
	pthread_t thread;
	void (*done)(void);
	passed_cb passed;
	_Atomic bool stop;
	pthread_mutex_t mutex; /* of what follows */
	pthread_cond_t given;
	struct run *run;
	enum pass pass;
	int err;
};

static const uint8_t families[] = {AF_INET, AF_INET6};

/* ---- reading ---- */

static struct reading reading_of(struct worker *worker, struct run *run, bool all)
{
	return (struct reading){
		.snapshot = &run->snapshot,
		.fib = run->fib,
		.all = all,
		.slow = &run->slow,
		.stop = &worker->stop,
	};
}

/* The local table comes before the main one. */
static int read_table(struct reading *reading, uint16_t table, uint8_t family,
		      _Atomic uint64_t *seen)
{
	uint32_t kernel_table = fib_table_kernel(reading->fib, table);
	_Atomic uint64_t ignored = 0;
	int err = 0;

	reading->seen = &ignored;
	if (kernel_table == RT_TABLE_MAIN)
		err = kernel_read(reading, RT_TABLE_LOCAL, table, family);
	reading->seen = seen;
	return err ? err : kernel_read(reading, kernel_table, table, family);
}

/* Those that zebra has routes for. */
static bool is_compared(struct fib *fib, uint32_t table)
{
	uint32_t kernel_table = fib_table_kernel(fib, (uint16_t)table);

	return kernel_table && kernel_table != RT_TABLE_LOCAL;
}

static int read_all(struct worker *worker, struct run *run)
{
	struct reading reading = reading_of(worker, run, true);
	int err = 0;

	for (uint32_t table = 0; !err && table < FIB_MAX_TABLES; table++) {
		for (int i = 0; !err && i < 2 && is_compared(run->fib, table); i++)
			err = read_table(&reading, (uint16_t)table, families[i], &run->kernel[i]);
	}
	snapshot_sort(&run->snapshot);
	doubt_read(&run->snapshot, run->fib);
	for (uint32_t table = 0; !err && table < FIB_MAX_TABLES; table++) {
		for (int i = 0; i < 2 && is_compared(run->fib, table); i++) {
			reading.seen = &run->ours[i];
			ours_read(&reading, (uint16_t)table, families[i]);
		}
	}
	snapshot_sort(&run->snapshot);
	ours_look(&reading, true);
	return err;
}

/* The tables and families that the records are of, each once: they are sorted. */
static int read_again(struct worker *worker, struct run *run)
{
	struct reading reading = reading_of(worker, run, false);
	struct snapshot *snapshot = &run->snapshot;
	_Atomic uint64_t ignored = 0;
	struct fib_prefix prefix, last = {0};
	int err = 0;

	for (size_t i = 0; i < snapshot->n; i++) {
		snapshot->record[i].kernel = WAY_NONE;
		snapshot->record[i].flags &= (uint8_t)~RECORD_LOCAL;
	}
	for (size_t i = 0; !err && i < snapshot->n; i++) {
		record_prefix(&snapshot->record[i], &prefix);
		if (prefix.table == last.table && prefix.family == last.family)
			continue;
		last = prefix;
		err = read_table(&reading, prefix.table, prefix.family, &ignored);
	}
	ours_look(&reading, false);
	return err;
}

/* ---- what stays ---- */

static void shrink(struct snapshot *snapshot, size_t n)
{
	struct record *record;

	snapshot->n = snapshot->sorted = n;
	record = n ? realloc(snapshot->record, n * sizeof(*record)) : NULL;
	if (n && !record)
		return;
	if (!n)
		free(snapshot->record);
	snapshot->record = record;
	snapshot->size = n;
}

static void add_up(struct run *run, uint32_t found)
{
	run->differing++;
	for (int kind = 0; kind < AUDIT_KINDS_MAX; kind++)
		run->by_kind[kind] += found >> kind & 1;
}

/* What differs. Whether links/ has laid the prefix over is asked only where it matters. */
static uint32_t judge(const struct run *run, struct record *record)
{
	const struct ways *ways = run->snapshot.ways;
	uint32_t found;

	record->flags &= (uint8_t)~RECORD_OVER;
	found = compare(ways, record);
	if (!(found & ~AUDIT_OURS) || !ours_over(run->fib, record))
		return found;
	record->flags |= RECORD_OVER;
	return compare(ways, record);
}

static void count_oddities(struct run *run, uint32_t kernel)
{
	for (int i = 0; kernel & WAY_ODD && i < ODDITY_MAX; i++)
		run->by_oddity[i] += kernel >> i & 1;
}

static void sift_all(struct run *run)
{
	struct snapshot *snapshot = &run->snapshot;
	size_t kept = 0;

	for (size_t i = 0; i < snapshot->n; i++) {
		struct record *record = &snapshot->record[i];
		uint32_t found = judge(run, record);

		count_oddities(run, record->kernel);
		if (!found)
			run->left_to_kernel += compare_left_to_kernel(record);
		if (found || record->flags & RECORD_DOUBTED)
			snapshot->record[kept++] = *record;
	}
	shrink(snapshot, kept);
}

static void apply(struct run *run, struct record *record, uint32_t found)
{
	if (doubt_apply(run->fib, record, compare_doubtful(record, found)))
		run->not_sent++;
}

static void sift_again(struct worker *worker, struct run *run)
{
	struct snapshot *snapshot = &run->snapshot;
	struct fib_prefix prefix;
	size_t kept = 0;

	for (size_t i = 0; i < snapshot->n; i++) {
		struct record *record = &snapshot->record[i];
		uint32_t found = judge(run, record);
		bool settled;

		if (!found && !(record->flags & RECORD_DOUBTED))
			continue;
		record_prefix(record, &prefix);
		settled = compare_settled(record, worker->pass == PASS_FIRST_LOOK) &&
			  !worker->passed(&prefix);
		run->unsettled += !settled && found;
		if (!settled)
			continue;
		if (worker->pass == PASS_LAST_LOOK)
			apply(run, record, found);
		if (found)
			add_up(run, found);
		if (found || worker->pass != PASS_LAST_LOOK)
			snapshot->record[kept++] = *record;
	}
	if (worker->pass == PASS_LAST_LOOK && kept > RUN_KEEPS)
		kept = RUN_KEEPS;
	shrink(snapshot, kept);
}

static int64_t thread_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return now.tv_sec * INT64_C(1000000) + now.tv_nsec / 1000;
}

static int work(struct worker *worker, struct run *run)
{
	int64_t began = thread_us();
	int err = worker->pass == PASS_ALL ? read_all(worker, run) : read_again(worker, run);

	if (!err && run->snapshot.failed)
		err = -ENOMEM;
	run->differing = 0;
	memset(run->by_kind, 0, sizeof(run->by_kind));
	if (err)
		shrink(&run->snapshot, 0);
	else if (worker->pass == PASS_ALL)
		sift_all(run);
	else
		sift_again(worker, run);
	run->sent_to_kernel = doubt_count(run->fib);
	run->cpu_us += thread_us() - began;
	return err;
}

/* ---- the thread ---- */

static void *loop(void *arg)
{
	struct worker *worker = arg;
	struct run *run;

	pthread_mutex_lock(&worker->mutex);
	for (;;) {
		while (!worker->run && !worker->stop)
			pthread_cond_wait(&worker->given, &worker->mutex);
		run = worker->run;
		if (worker->stop)
			break;
		pthread_mutex_unlock(&worker->mutex);
		worker->err = work(worker, run);
		pthread_mutex_lock(&worker->mutex);
		worker->run = NULL;
		if (worker->stop)
			break;
		worker->done();
	}
	pthread_mutex_unlock(&worker->mutex);
	return NULL;
}

struct worker *worker_start(void (*done)(void), passed_cb passed)
{
	struct worker *worker = calloc(1, sizeof(*worker));
	sigset_t all, old;
	int err;

	if (!worker)
		return NULL;
	worker->done = done;
	worker->passed = passed;
	pthread_mutex_init(&worker->mutex, NULL);
	pthread_cond_init(&worker->given, NULL);
	/* signals are zebra's */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = pthread_create(&worker->thread, NULL, loop, worker);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (err) {
		free(worker);
		return NULL;
	}
	pthread_setname_np(worker->thread, "dpe-audit");
	return worker;
}

void worker_stop(struct worker *worker)
{
	atomic_store(&worker->stop, true);
	pthread_mutex_lock(&worker->mutex);
	pthread_cond_signal(&worker->given);
	pthread_mutex_unlock(&worker->mutex);
	pthread_join(worker->thread, NULL);
	pthread_cond_destroy(&worker->given);
	pthread_mutex_destroy(&worker->mutex);
	free(worker);
}

void worker_give(struct worker *worker, struct run *run, enum pass pass)
{
	pthread_mutex_lock(&worker->mutex);
	worker->run = run;
	worker->pass = pass;
	pthread_cond_signal(&worker->given);
	pthread_mutex_unlock(&worker->mutex);
}

int worker_take(struct worker *worker)
{
	int err;

	pthread_mutex_lock(&worker->mutex);
	err = worker->err;
	pthread_mutex_unlock(&worker->mutex);
	return err;
}
