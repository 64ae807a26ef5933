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

static int read_all(struct worker *worker, struct run *run)
{
	struct reading reading = reading_of(worker, run, true);
	int err = 0;

	for (uint32_t table = 0; !err && table < FIB_MAX_TABLES; table++) {
		uint32_t kernel_table = fib_table_kernel(run->fib, (uint16_t)table);

		/* the kernel's own: none of its routes is zebra's */
		if (table == FIB_TABLE_LOCAL)
			continue;
		for (int i = 0; !err && kernel_table && i < 2; i++) {
			reading.seen = &run->kernel[i];
			err = kernel_read(&reading, kernel_table, (uint16_t)table, families[i]);
		}
	}
	snapshot_sort(&run->snapshot);
	for (uint32_t table = 0; !err && table < FIB_MAX_TABLES; table++) {
		if (table == FIB_TABLE_LOCAL)
			continue;
		for (int i = 0; i < 2 && fib_table_kernel(run->fib, (uint16_t)table); i++) {
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

	reading.seen = &ignored;
	for (size_t i = 0; i < snapshot->n; i++)
		snapshot->record[i].kernel = WAY_NONE;
	for (size_t i = 0; !err && i < snapshot->n; i++) {
		record_prefix(&snapshot->record[i], &prefix);
		if (prefix.table == last.table && prefix.family == last.family)
			continue;
		last = prefix;
		err = kernel_read(&reading, fib_table_kernel(run->fib, prefix.table), prefix.table,
				  prefix.family);
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

static void sift_all(struct run *run)
{
	struct snapshot *snapshot = &run->snapshot;
	size_t kept = 0;

	for (size_t i = 0; i < snapshot->n; i++) {
		const struct record *record = &snapshot->record[i];

		if (compare(snapshot->ways, record))
			snapshot->record[kept++] = *record;
		else
			run->left_to_kernel += compare_left_to_kernel(record);
	}
	shrink(snapshot, kept);
}

static void sift_again(struct worker *worker, struct run *run)
{
	struct snapshot *snapshot = &run->snapshot;
	struct fib_prefix prefix;
	size_t kept = 0;

	for (size_t i = 0; i < snapshot->n; i++) {
		struct record *record = &snapshot->record[i];
		uint32_t found = compare(snapshot->ways, record);
		bool settled;

		if (!found)
			continue;
		record_prefix(record, &prefix);
		settled = compare_settled(record, worker->pass == PASS_FIRST_LOOK) &&
			  !worker->passed(&prefix);
		run->unsettled += !settled;
		if (!settled)
			continue;
		add_up(run, found);
		snapshot->record[kept++] = *record;
	}
	if (worker->pass == PASS_LAST_LOOK && kept > RUN_KEEPS)
		kept = RUN_KEEPS;
	shrink(snapshot, kept);
}

static int work(struct worker *worker, struct run *run)
{
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
