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
 * What changes meanwhile may be missing.
 */
int kernel_read(struct reading *reading, uint32_t kernel_table, uint16_t table, uint8_t family);

/* ours.c: one table and family of the FIB, and each prefix as the program finds it. */
void ours_read(struct reading *reading, uint16_t table, uint8_t family);
/* Each record of the snapshot, one by one; only_kernels: those that neither the RIB nor the walk had. */
void ours_look(struct reading *reading, bool only_kernels);

#endif /* DPLANE_EBPF_AUDIT_INTERNAL_H */
