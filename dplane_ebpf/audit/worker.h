/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The audit's own thread: reads the kernel's FIB and ours, keeps of a run what differs, and has the kernel forward what is in
 * doubt. Knows no FRR.
 */
#ifndef DPLANE_EBPF_AUDIT_WORKER_H
#define DPLANE_EBPF_AUDIT_WORKER_H

#include "dplane_ebpf/audit/snapshot.h"

/* A run, which one thread has at a time; the counts may be read by the other. [0] is IPv4, [1] IPv6. */
struct run {
	struct snapshot snapshot;
	struct fib *fib;
	_Atomic bool slow; /* nobody waits for it */
	uint64_t rib[2];
	_Atomic uint64_t kernel[2], ours[2];
	uint64_t left_to_kernel, unsettled;
	uint64_t differing, by_kind[AUDIT_KINDS_MAX]; /* as of the last pass */
	uint64_t
		by_oddity[ODDITY_MAX]; /* prefixes for which the kernel's side cannot be compared */
	uint64_t sent_to_kernel;       /* prefixes that the audit has given to the kernel */
	uint64_t not_sent;	       /* that it could not give */
	int64_t cpu_us;		       /* that the worker's thread has worked for it */
};

/*
 * The first reads all; the looks go through what differed. The last gives to the kernel what is doubtful, takes back what
 * no longer is, and keeps no more than is shown.
 */
enum pass { PASS_ALL, PASS_FIRST_LOOK, PASS_LOOK, PASS_LAST_LOOK };
#define RUN_KEEPS 65536u

struct worker;

/* Whether a prefix was changed since what differs was looked at first. Any thread. */
typedef bool (*passed_cb)(const struct fib_prefix *prefix);

/* done is called in the worker's thread when it is through with a run. NULL: no thread. */
struct worker *worker_start(void (*done)(void), passed_cb passed);
/* Ends it, in the middle of its work if need be. */
void worker_stop(struct worker *worker);

/*
 * Hands a run over. PASS_ALL: the snapshot has the RIB, the rest is added, and what does not differ is taken out. Else it
 * has prefixes that differed; those that no longer do, or have changed since the first look, are taken out.
 */
void worker_give(struct worker *worker, struct run *run, enum pass pass);
/* After done() was called: takes the run back. 0 or a negative errno. */
int worker_take(struct worker *worker);

#endif /* DPLANE_EBPF_AUDIT_WORKER_H */
