/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of datapath/ share. */
#ifndef DPLANE_EBPF_DATAPATH_INTERNAL_H
#define DPLANE_EBPF_DATAPATH_INTERNAL_H

#include <limits.h>

#include "dplane_ebpf/datapath/datapath.h"

struct dplane_ebpf_bpf;

/* linux/bpf.h has them from 6.6 on, and the headers may be older than the kernel */
#define DATAPATH_TCX_INGRESS 46
#define DATAPATH_TCX_EGRESS 47

/* Where the program is attached. */
struct attachment {
	struct attachment *next;
	uint32_t ifindex;
	enum datapath_hook hook;
	int link_fd;	    /* tcx; else -1 */
	bool qdisc_is_ours; /* clsact: made by us, so removed by us */
	bool deferred;	    /* the predecessor's program is still there */
};

/* What an earlier process pinned, and the kernel still runs. */
struct predecessor {
	uint32_t program; /* the kernel's id */
	/* it is another datapath of this process: nothing of what follows is there, as it is kept true by others */
	const struct datapath *own;
	struct fib_geometry geometry;
	struct fib_header *header;
	struct fib_nexthop *nexthop;
	uint64_t *interfaces;
};

struct own_address;
#define DATAPATH_OWN_CHAINS 4096u

struct datapath {
	struct dplane_ebpf_bpf *skel;
	struct fib_geometry geometry;
	uint64_t seed;
	void *memory[FIB_ARRAY_MAX]; /* mapped arrays; NULL: not yet */
	uint64_t *interfaces;
	struct fib_cpu_counters *counters;
	struct fib_nexthop_counters *nexthop_counters;

	char pin_dir[PATH_MAX - NAME_MAX]; /* "": pin nothing */
	int lock_fd;			   /* of pin_dir, locked as long as we live */
	int mount_fd; /* where links are pinned if pin_dir is "": see pins.c; or -1 */

	bool clsact_only;
	struct attachment *attachments; /* of the thread that attaches, as defers_to is */
	uint32_t
		defers_to; /* the program that is left where it is attached until it is replaced; 0: none */
	/* the earlier process's counters, and what they were when we began; NULL: there was none */
	struct fib_cpu_counters *earlier;
	uint32_t earlier_cpus;
	uint64_t earlier_start[FIB_CNT_MAX];
	struct predecessor *predecessor; /* NULL: none, or taken over */
	_Atomic uint64_t hold_ns;
	/* what was counted when somebody cleared it; next hops: also when a number became free */
	uint64_t cleared[FIB_CNT_MAX];
	struct fib_nexthop_counters *nexthop_start;

	struct own_address *own[DATAPATH_OWN_CHAINS];
	bool told_own; /* that there are too many */

	int grace_inner_fd, grace_outer_fd;
};

/* ---- pins.c ---- */

/*
 * Make the directory if need be, see that it can be pinned in, and lock it against another
 * live process; replaces, if not NULL, has the lock already. False and a line in error otherwise.
 */
bool pins_open(struct datapath *datapath, const struct datapath *replaces, char *error,
	       size_t error_len);
/* See that nothing of others is in it. After the program was opened, whose maps tell what is ours. False as above. */
bool pins_prepare(const struct datapath *datapath, char *error, size_t error_len);
/* Pin maps and program, in place of what an earlier process left. */
bool pins_make(struct datapath *datapath, char *error, size_t error_len);
void pins_remove(struct datapath *datapath);
void pins_close(struct datapath *datapath);
/* Where an interface's link is pinned; false: nowhere, or the name is too long. */
bool pins_link_path(const struct datapath *datapath, uint32_t ifindex, char path[PATH_MAX]);
/* That an interface's clsact qdisc was made by one of us, told to those that come later. */
void pins_note_qdisc(const struct datapath *datapath, uint32_t ifindex, bool is_ours);
bool pins_has_qdisc(const struct datapath *datapath, uint32_t ifindex);

/* ---- attach.c ---- */

void attach_close(struct datapath *datapath, bool keep);
/* See datapath_leave(). */
void attach_leave(struct datapath *datapath);

/* ---- predecessor.c ---- */

/* Looks for what an earlier process pinned; nothing usable is no error. Before pins_make(). */
void predecessor_open(struct datapath *datapath);
/* The predecessor is another one of this process. False: out of memory. */
bool predecessor_own(struct datapath *datapath, const struct datapath *own);
void predecessor_close(struct datapath *datapath);
/* Adds what the earlier process's program has counted in our time, to the last packet. */
void predecessor_add_counters(const struct datapath *datapath, uint64_t packets[FIB_CNT_MAX]);
void predecessor_alive(struct datapath *datapath, uint64_t until);

/* ---- own.c ---- */

void own_free(struct datapath *datapath);
/* ---- tables.c ---- */

/* Nothing that comes in anywhere is forwarded by the program that reads these words. */
void interfaces_clear(uint64_t *words);

/* ---- grace.c ---- */

bool grace_open(struct datapath *datapath, char *error, size_t error_len);
void grace_close(struct datapath *datapath);

#endif /* DPLANE_EBPF_DATAPATH_INTERNAL_H */
