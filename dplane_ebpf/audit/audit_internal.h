/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of audit/ that know no FRR share: reading the kernel's FIB and ours into a snapshot, in a worker thread. */
#ifndef DPLANE_EBPF_AUDIT_INTERNAL_H
#define DPLANE_EBPF_AUDIT_INTERNAL_H

#include <stdatomic.h>

#include "dplane_ebpf/audit/snapshot.h"

/* What a reader needs to know beside the snapshot. */
struct reading {
	struct snapshot *snapshot;
	struct fib *fib;
	bool all;		  /* prefixes that are not in the snapshot are added */
	const _Atomic bool *slow; /* nobody waits: pause after each chunk of work */
	const _Atomic bool *stop; /* ends it early */
	_Atomic uint64_t *seen;	  /* prefixes that were read, counted up */
};

/* Pauses, if it is to. False: it is time to stop. */
bool reading_pause(const struct reading *reading);

/*
 * kernel.c: one table and family of the kernel's, by its number there and in the FIB. 0 or a negative errno.
 * What changes meanwhile may be missing. RT_TABLE_LOCAL is read into the records of the table that its routes
 * come before, which is read next.
 */
int kernel_read(struct reading *reading, uint32_t kernel_table, uint16_t table, uint8_t family);

/* ours.c: one table and family of the FIB, and each prefix as the program finds it. */
void ours_read(struct reading *reading, uint16_t table, uint8_t family);
/* Each record of the snapshot, one by one; only_kernels: those that neither the RIB nor the walk had. */
void ours_look(struct reading *reading, bool only_kernels);
/* Whether packets of a record's prefix are the kernel's because links/ says so. */
bool ours_over(struct fib *fib, const struct record *record);

/* doubt.c: the prefixes that the audit gave to the kernel become records, if they are none yet. */
void doubt_read(struct snapshot *snapshot, struct fib *fib);
/* Gives what was found to be doubtful to the kernel, takes back what is no more. A negative errno: it could not be given. */
int doubt_apply(struct fib *fib, struct record *record, bool doubtful);
/* How many prefixes are the kernel's by the audit's word. */
uint64_t doubt_count(struct fib *fib);

#endif /* DPLANE_EBPF_AUDIT_INTERNAL_H */
