/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Between batch.c and batch.bpf.c: what is asked, and what our tables and the kernel's FIB answer. */
#ifndef TESTS_SCALE_BATCH_H
#define TESTS_SCALE_BATCH_H

#include <linux/types.h>

#define BATCH_MAX 65536u

/* A gateway's number is 1 to 255, the last byte of its address; what has none is here. */
enum answer {
	ANSWER_ABSENT = 0, /* of a route: it is withdrawn */
	ANSWER_NO_ROUTE = 256,
	ANSWER_BLACKHOLE,
	ANSWER_REJECT,
	ANSWER_NO_ROOM, /* ours: the kernel shall do it, as nothing fits any more */
	ANSWER_BROKEN,	/* never right */
};

struct batch_item {
	__u32 addr[4]; /* network byte order */
	__u64 done;    /* changes that were complete before the first lookup */
	__u64 begun;   /* changes that had begun when the last lookup was over */
	__u32 kernel
		[2]; /* its answer before and after our lookup: enum answer or a gateway's number */
	__u32 group; /* ours: a group id */
	__u32 reserved;
};

struct batch {
	__u32 n;
	__u32 ifindex; /* where the packets would come in */
	__u32 table;   /* ours; 0: main */
	__u32 reserved;
	struct batch_item item[BATCH_MAX];
};

/* Written by the one thread that changes both FIBs. */
struct progress {
	__u64 begun, done;
};

#endif /* TESTS_SCALE_BATCH_H */
