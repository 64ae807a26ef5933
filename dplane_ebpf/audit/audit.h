/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Compares zebra's RIB, the kernel's FIB and ours, prefix by prefix: when asked, when something happened about which the
 * kernel may have dropped routes in silence, and time and again on its own.
 * The RIB is read in zebra's main thread, some milliseconds at a time; the rest is done by a thread of its
 * own. What differs is looked at three times more, and counts only if nothing of it moved meanwhile. Prefixes by which
 * ours might forward where the kernel would not are then the kernel's, until all three agree again. All functions
 * but audit_soon() are for zebra's main thread.
 */
#ifndef DPLANE_EBPF_AUDIT_H
#define DPLANE_EBPF_AUDIT_H

#include "dplane_ebpf/audit/snapshot.h"
#include "dplane_ebpf/compat.h"

/* The FIB must outlive audit_stop(). False: no thread could be had; there is no audit then. */
bool audit_start(compat_loop *loop, struct fib *fib);
void audit_stop(void);

/* Starts to compare, unless it does so already. */
void audit_run(void);
/*
 * Any thread: the kernel may have dropped routes without a word (an address or a link went, messages were lost, it refused
 * something). Compares soon: 0.2 s after the last such call, or 2 s after the first, and not so often that it takes more
 * than a tenth of the time.
 */
void audit_soon(void);
/*
 * Repairs what is ours among the differences that are known, and compares again. Where nothing was compared
 * within the last seconds that comes first.
 */
void audit_repair(void);

/* Prefixes of each source, by family: 0 IPv4, 1 IPv6. */
struct audit_counts {
	uint64_t rib[2], kernel[2], ours[2];
};

struct audit_result {
	uint64_t run; /* its number, from 1 on */
	time_t when;  /* it ended, by the clock on the wall */
	int64_t at;   /* the same in µs, see rib_now() */
	int64_t took_us;
	char error[128]; /* why it could not be finished; empty: it was */
	struct audit_counts counts;
	uint64_t left_to_kernel; /* prefixes that the program leaves to the kernel on purpose */
	uint64_t unsettled; /* that changed while they were looked at: nothing is told of them */
	uint64_t differing; /* prefixes that differ */
	uint64_t by_kind[AUDIT_KINDS_MAX];
	uint64_t
		by_oddity[ODDITY_MAX]; /* prefixes for which the kernel's side cannot be compared */
	uint64_t sent_to_kernel;       /* prefixes that are the kernel's by the audit's word */
	uint64_t not_sent;	       /* that should be, for which memory was lacking */
	struct snapshot differences;   /* the first of them */
};

enum audit_state { AUDIT_IDLE, AUDIT_RUNNING, AUDIT_REPAIRING };

struct audit_status {
	enum audit_state state;
	unsigned int percent;		   /* of the run that goes on */
	const char *doing;		   /* what it does */
	uint64_t runs;			   /* finished ones */
	uint64_t repairs;		   /* prefixes that a repair was asked for */
	uint64_t longest_us;		   /* that the main thread was busy with it at a time */
	int64_t age_us;			   /* of the result */
	const struct audit_result *result; /* of the last finished run; NULL: there is none yet */
};
void audit_status(struct audit_status *status);

#endif /* DPLANE_EBPF_AUDIT_H */
