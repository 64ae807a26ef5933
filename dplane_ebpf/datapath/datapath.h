/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is in the kernel: maps, the forwarding program, where it is attached.
 * The only room that knows libbpf. Knows nothing of FRR.
 *
 * datapath_open() and the attach functions need CAP_NET_ADMIN and
 * CAP_SYS_ADMIN (or CAP_BPF and CAP_PERFMON) effective in the calling thread; the rest needs nothing.
 * Two threads of links use one of these at the same time. What attaches (datapath_attach(), datapath_attach_again(),
 * datapath_detach(), datapath_replace()) waits for the kernel, some 12 ms for each interface, and is for
 * a thread that nothing waits for. What writes the tables (interfaces, neighbours, predecessor, alive) is a store or a system
 * call that does not wait, and is for the other. Of each kind one call at a time; datapath_close() and datapath_leave() when
 * both have ended. The counters may be read from any thread.
 */
#ifndef DPLANE_EBPF_DATAPATH_H
#define DPLANE_EBPF_DATAPATH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/layout.h"
#include "dplane_ebpf/fib/fib.h"

struct datapath;

struct datapath_config {
	const char
		*pin_dir; /* a directory on a bpffs, made if its parent exists; NULL: pin nothing */
	struct fib_geometry geometry; /* cpus is filled in by datapath_open() */
	uint64_t seed;		      /* of the choice among a group's members, well mixed */
	unsigned int hold_ms; /* how long the tables count after datapath_alive(); 0: for ever */
	bool clsact_only;     /* as on a kernel without tcx (tests) */
	/*
	 * Another one of this process with the same pin_dir, NULL: none. It is left alone and goes on forwarding until
	 * datapath_take_over(), and must live until then.
	 */
	const struct datapath *replaces;
};

/* Sizes for a full Internet table, and for a router in a laboratory. */
extern const struct fib_geometry datapath_geometry_full;
extern const struct fib_geometry datapath_geometry_small;

/*
 * A seed for a router: the same whenever it is asked for, and another for each machine, host name, and instance on it. The first is
 * from the text given, which may be empty; the second from this machine; the third from a number that somebody chose.
 */
uint64_t datapath_seed_of(const char *machine, const char *host, const char *instance);
uint64_t datapath_seed_here(const char *instance);
uint64_t datapath_seed_number(uint64_t number);

/*
 * Load the program and its maps, map them, pin them. Where an earlier process left pins of the same layout behind,
 * its program goes on forwarding by its tables where it is attached, until datapath_take_over(); one of
 * another layout until datapath_attach() replaces it, interface by interface.
 * Returns NULL and one line in error (what failed, and what to do), which names the
 * missing kernel feature or the directory that cannot be written.
 */
struct datapath *datapath_open(const struct datapath_config *config, char *error, size_t error_len);

/*
 * keep: leave programs attached and pinned, so that they go on forwarding.
 * Otherwise all packets are the kernel's at once, and the pins are removed; the kernel detaches what it can do without us (tcx)
 * afterwards, by and by: for some thousand interfaces that takes half a minute, which nobody has to wait for.
 */
void datapath_close(struct datapath *datapath, bool keep);

/*
 * Of two of this process the one that is not needed (any more): the other has taken over, or is not to be replaced after all.
 * What the other uses stays attached and pinned; this one forwards nothing any more. Any thread, when nobody else uses this one; needs the capabilities.
 */
void datapath_leave(struct datapath *datapath);

/* The mapped arrays, for fib_new(). Valid until datapath_close(). */
void datapath_memory(const struct datapath *datapath, struct fib_memory *memory);
const struct fib_geometry *datapath_geometry(const struct datapath *datapath);

/* What tells our clsact filter from those of others. */
#define DATAPATH_CLSACT_HANDLE 0xdeb
#define DATAPATH_CLSACT_PRIORITY 57005

enum datapath_hook { DATAPATH_HOOK_NONE, DATAPATH_HOOK_TCX, DATAPATH_HOOK_CLSACT };

/*
 * Attach at the ingress of an interface: tcx where the kernel has it, else
 * clsact. A program that another run of ours left there is replaced without a gap. Negative errno; hook
 * says what was used.
 */
int datapath_attach(struct datapath *datapath, uint32_t ifindex, enum datapath_hook *hook);

/*
 * Somebody may have taken away what datapath_attach() attached: then it is attached again, and 1 is returned. 0: it is
 * there; or a negative errno, and nothing is attached.
 */
int datapath_attach_again(struct datapath *datapath, uint32_t ifindex, enum datapath_hook *hook);

/*
 * Ends what was attached to an interface, by us or by an earlier process with the same
 * pins. An interface that is gone, or never had anything, is no error.
 */
int datapath_detach(struct datapath *datapath, uint32_t ifindex);

/*
 * What others have at an interface's tcx hooks that a packet forwarded by our program does not meet, or would not in the
 * kernel's way. 0 or a negative errno. Any thread; needs CAP_NET_ADMIN.
 */
struct datapath_others {
	bool tcx;     /* the kernel has such hooks, and we use them: before every clsact filter */
	bool ingress; /* programs behind ours */
	bool egress;
};
int datapath_others(const struct datapath *datapath, uint32_t ifindex,
		    struct datapath_others *others);

/*
 * The switch, which is independent of what is attached: without a word for the interface the program does nothing there.
 * Which families the program forwards for packets that come in by an interface, in which of
 * the FIB's tables it looks them up, and what else it has to heed there: FIB_IF_LOCAL, FIB_IF_PROXY.
 * -ENOSPC: the entry is taken by another ifindex that is equal modulo FIB_MAX_INTERFACES.
 */
int datapath_interface_set(struct datapath *datapath, uint32_t ifindex, uint16_t table, bool v4,
			   bool v6, uint64_t more);

/* The tables are true as of now: without such a word packets are the kernel's once hold_ms are over. */
void datapath_alive(struct datapath *datapath);
/* Whether the IPv6 flow label counts, too, where flows have ports; at first it does not. */
void datapath_label_counts(struct datapath *datapath, bool counts);
/* hold_ms from the next word on. Any thread. */
void datapath_hold(struct datapath *datapath, unsigned int hold_ms);

/*
 * What an earlier process left goes on forwarding while the tables are filled anew: its program where datapath_attach() found
 * it.
 */
bool datapath_has_predecessor(const struct datapath *datapath);
/*
 * Asks about each next hop by which its program forwards: where the answer is no, those packets are the kernel's.
 */
typedef bool (*datapath_nexthop_cb)(void *arg, const struct fib_nexthop_key *key,
				    const struct fib_adjacency *adjacency);
void datapath_predecessor_check(struct datapath *datapath, datapath_nexthop_cb is_good, void *arg);
/*
 * What the earlier process's program may forward that comes in by an interface, as in datapath_interface_set(), which does this
 * too. What it did not forward it does not start to.
 */
void datapath_predecessor_restrict(struct datapath *datapath, uint32_t ifindex, uint16_t table,
				   bool v4, bool v6, uint64_t more);
/* It forwards nothing any more: its tables contradict what is true. At once, wherever it is attached. */
void datapath_predecessor_halt(struct datapath *datapath);

/*
 * Replacing it has two parts. The first, of the thread that attaches, puts our program in its place on all interfaces where
 * datapath_attach() found it, without a gap; what is attached from then on is ours. Interfaces where that fails are detached,
 * which is counted in the return value. The second, of the thread that writes the tables, puts our pins in place of its; where its program is
 * still attached it forwards nothing. datapath_take_over() does both.
 */
unsigned int datapath_replace(struct datapath *datapath);
void datapath_predecessor_end(struct datapath *datapath);
unsigned int datapath_take_over(struct datapath *datapath);
/* Whether what is to be replaced is another one of this process, which others keep true meanwhile. */
bool datapath_replaces_own(const struct datapath *datapath);

/* Hosts of connected networks. -E2BIG: no room, such packets stay with the kernel. */
int datapath_neighbour_set(struct datapath *datapath, const struct fib_neigh_key *key);
int datapath_neighbour_del(struct datapath *datapath, const struct fib_neigh_key *key);

/*
 * The router's own IPv4 addresses, of every interface and VRF: packets with such a source are the kernel's. Counted: each set
 * needs a del. -ENOMEM: the address is not heeded; -ENOENT: it was not set.
 */
int datapath_own_set(struct datapath *datapath, const uint8_t addr[4]);
int datapath_own_del(struct datapath *datapath, const uint8_t addr[4]);

/* Sums over all CPUs; what an earlier process's program does in our time is counted as ours. */
void datapath_counters(const struct datapath *datapath, uint64_t packets[FIB_CNT_MAX]);
void datapath_nexthop_counters(const struct datapath *datapath, uint32_t nexthop,
			       struct fib_nexthop_counters *sum);

/*
 * The packets that `before` has counted, and goes on to count until it is replaced, count for the one that replaces it. Next
 * hops begin at zero. Main thread.
 */
void datapath_counters_continue(struct datapath *datapath, const struct datapath *before);

/* From now on both begin at zero; the program counts on. Not beside the two above: main thread, as they are. */
void datapath_counters_clear(struct datapath *datapath);

/* Waits until every program that runs now has ended (some ms). Any thread. */
int datapath_grace_period(struct datapath *datapath);

/* A thread that does fib_reclaim_*() with datapath_grace_period(). Stop it before datapath_close(). */
struct datapath_reclaimer;
struct datapath_reclaimer *datapath_reclaimer_start(struct datapath *datapath, struct fib *fib);
void datapath_reclaimer_stop(struct datapath_reclaimer *reclaimer);

/* For tests and benchmarks: the program's descriptor, for BPF_PROG_TEST_RUN. */
int datapath_program_fd(const struct datapath *datapath);

#endif /* DPLANE_EBPF_DATAPATH_H */
