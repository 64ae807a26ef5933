// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Grace periods: when every program that runs now has ended. The kernel waits for just
 * that before an update of a map of maps returns. A thread does it for what the FIB takes out of use.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "dplane_ebpf/datapath/datapath_internal.h"
#include "dplane_ebpf/log.h"

#define WAIT_MS 1000

bool grace_open(struct datapath *datapath, char *error, size_t error_len)
{
	LIBBPF_OPTS(bpf_map_create_opts, options);

	datapath->grace_inner_fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "grace_inner", sizeof(__u32),
						  sizeof(__u32), 1, NULL);
	if (datapath->grace_inner_fd >= 0) {
		options.inner_map_fd = datapath->grace_inner_fd;
		datapath->grace_outer_fd =
			bpf_map_create(BPF_MAP_TYPE_ARRAY_OF_MAPS, "grace", sizeof(__u32),
				       sizeof(__u32), 1, &options);
	}
	if (datapath->grace_outer_fd >= 0)
		return true;
	snprintf(error, error_len, "cannot make the map that tells grace periods: %s",
		 strerror(errno));
	return false;
}

void grace_close(struct datapath *datapath)
{
	if (datapath->grace_outer_fd >= 0)
		close(datapath->grace_outer_fd);
	if (datapath->grace_inner_fd >= 0)
		close(datapath->grace_inner_fd);
}

int datapath_grace_period(struct datapath *datapath)
{
	const __u32 zero = 0;

	return bpf_map_update_elem(datapath->grace_outer_fd, &zero, &datapath->grace_inner_fd,
				   BPF_ANY)
		       ? -errno
		       : 0;
}

struct datapath_reclaimer {
	struct datapath *datapath;
	struct fib *fib;
	pthread_t thread;
	atomic_bool stop;
};

static void *run(void *arg)
{
	struct datapath_reclaimer *reclaimer = arg;
	bool told = false;

	pthread_setname_np(pthread_self(), "dpe-reclaim");
	while (!reclaimer->stop) {
		uint64_t epoch;
		int err;

		if (!fib_reclaim_wait(reclaimer->fib, WAIT_MS))
			continue;
		epoch = fib_reclaim_begin(reclaimer->fib);
		err = datapath_grace_period(reclaimer->datapath);
		if (!err) {
			fib_reclaim_end(reclaimer->fib, epoch);
			fib_compact(reclaimer->fib, false);
			continue;
		}
		/* nothing is reused then: pools fill up, and what does not fit is the kernel's */
		if (!told)
			dpe_log(LOG_ERR, "cannot wait for a grace period: %s; memory is not reused",
				strerror(-err));
		told = true;
		usleep(WAIT_MS * 1000);
	}
	return NULL;
}

struct datapath_reclaimer *datapath_reclaimer_start(struct datapath *datapath, struct fib *fib)
{
	struct datapath_reclaimer *reclaimer = calloc(1, sizeof(*reclaimer));
	sigset_t all, old;
	int err;

	if (!reclaimer)
		return NULL;
	reclaimer->datapath = datapath;
	reclaimer->fib = fib;
	/* signals are for the daemon's own threads */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = pthread_create(&reclaimer->thread, NULL, run, reclaimer);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (err) {
		free(reclaimer);
		return NULL;
	}
	return reclaimer;
}

void datapath_reclaimer_stop(struct datapath_reclaimer *reclaimer)
{
	if (!reclaimer)
		return;
	reclaimer->stop = true;
	fib_reclaim_wake(reclaimer->fib);
	pthread_join(reclaimer->thread, NULL);
	free(reclaimer);
}
