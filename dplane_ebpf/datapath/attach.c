// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Attaching to interfaces: by a tcx link, which is pinned, or as a clsact filter
 * with a handle and priority of ours. Both outlive the process and are taken over by the next one,
 * program for program, so that no packet passes between the two.
 *
 * To attach or detach at tcx the kernel waits for a grace period, 12 ms, and holds the lock of all its network
 * configuration (RTNL) meanwhile. So all of this is the work of a thread that nobody waits for. Whether
 * packets are forwarded is told by the interface's word in tables.c, which takes a store.
 */
#include <errno.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "dplane_ebpf/datapath/datapath_internal.h"

static struct attachment *attachment_find(const struct datapath *datapath, uint32_t ifindex)
{
	struct attachment *a = datapath->attachments;

	while (a && a->ifindex != ifindex)
		a = a->next;
	return a;
}

/* ---- tcx ---- */

static bool tcx_has_program(uint32_t ifindex, uint32_t id)
{
	__u32 ids[64], count = sizeof(ids) / sizeof(ids[0]), flags = 0;

	if (bpf_prog_query(ifindex, DATAPATH_TCX_INGRESS, 0, &flags, ids, &count))
		return false;
	for (__u32 i = 0; i < count; i++) {
		if (ids[i] == id)
			return true;
	}
	return false;
}

/* Is our program among those at the interface's tcx ingress? */
static bool tcx_runs_here(const struct datapath *datapath, uint32_t ifindex)
{
	struct bpf_prog_info info = {0};
	__u32 len = sizeof(info);

	return bpf_obj_get_info_by_fd(datapath_program_fd(datapath), &info, &len) == 0 &&
	       tcx_has_program(ifindex, info.id);
}

/* Does the link hold the program that is to go on for now, at this interface? */
static bool tcx_is_deferred(const struct datapath *datapath, int link_fd, uint32_t ifindex)
{
	struct bpf_link_info info = {0};
	__u32 len = sizeof(info);

	return datapath->defers_to && bpf_obj_get_info_by_fd(link_fd, &info, &len) == 0 &&
	       info.prog_id == datapath->defers_to && tcx_has_program(ifindex, info.prog_id);
}

/*
 * The link that an earlier process pinned, with our program in place of its, or that put off; -1: none, or
 * not here.
 */
static int tcx_take_over(const struct datapath *datapath, uint32_t ifindex, bool *deferred)
{
	char path[PATH_MAX];
	int fd;

	if (!pins_link_path(datapath, ifindex, path))
		return -1;
	fd = bpf_obj_get(path);
	if (fd < 0)
		return -1;
	*deferred = tcx_is_deferred(datapath, fd, ifindex);
	if (*deferred)
		return fd;
	/* numbers are used again: the link may be of an interface that is gone */
	if (bpf_link_update(fd, datapath_program_fd(datapath), NULL) == 0 &&
	    tcx_runs_here(datapath, ifindex))
		return fd;
	close(fd);
	unlink(path);
	return -1;
}

static int tcx_attach(const struct datapath *datapath, uint32_t ifindex, bool *deferred)
{
	int fd = tcx_take_over(datapath, ifindex, deferred);
	char path[PATH_MAX];

	if (fd >= 0)
		return fd;
	fd = bpf_link_create(datapath_program_fd(datapath), ifindex, DATAPATH_TCX_INGRESS, NULL);
	if (fd < 0)
		return -errno;
	if (pins_link_path(datapath, ifindex, path) && bpf_obj_pin(fd, path)) {
		int err = -errno;

		close(fd);
		return err;
	}
	return fd;
}

/* ---- clsact ---- */

/* The program of our filter, whoever of us attached it; 0: it is not there. */
static uint32_t clsact_program(uint32_t ifindex)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex, .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, filter, .handle = DATAPATH_CLSACT_HANDLE,
		    .priority = DATAPATH_CLSACT_PRIORITY);

	return bpf_tc_query(&hook, &filter) ? 0 : filter.prog_id;
}

/* The qdisc is there afterwards, and whose it is. */
static int clsact_make(const struct datapath *datapath, uint32_t ifindex, bool *qdisc_is_ours)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex, .attach_point = BPF_TC_INGRESS);
	int err = bpf_tc_hook_create(&hook);

	if (err && err != -EEXIST)
		return err;
	*qdisc_is_ours = !err;
	if (!err) {
		pins_note_qdisc(datapath, ifindex, true);
		return 0;
	}
	/* made by an earlier run of ours; its note may be of an interface that is gone, which had this number */
	*qdisc_is_ours = pins_has_qdisc(datapath, ifindex) && clsact_program(ifindex);
	if (!*qdisc_is_ours)
		pins_note_qdisc(datapath, ifindex, false);
	return 0;
}

static int clsact_attach(const struct datapath *datapath, uint32_t ifindex, bool *qdisc_is_ours)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex, .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, filter, .handle = DATAPATH_CLSACT_HANDLE,
		    .priority = DATAPATH_CLSACT_PRIORITY, .prog_fd = datapath_program_fd(datapath),
		    .flags = BPF_TC_F_REPLACE);
	int err = clsact_make(datapath, ifindex, qdisc_is_ours);

	return err ? err : bpf_tc_attach(&hook, &filter);
}

/* Is there any filter in one direction? True as well where that cannot be told. */
static bool clsact_has_filter(int fd, uint32_t ifindex, uint32_t direction)
{
	struct {
		struct nlmsghdr header;
		struct tcmsg tc;
	} request = {
		.header = {.nlmsg_len = sizeof(request),
			   .nlmsg_type = RTM_GETTFILTER,
			   .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
		.tc = {.tcm_family = AF_UNSPEC,
		       .tcm_ifindex = ifindex,
		       .tcm_parent = TC_H_MAKE(TC_H_CLSACT, direction)},
	};
	union {
		struct nlmsghdr header;
		char bytes[32768];
	} reply;
	bool found = false;
	ssize_t len;

	if (send(fd, &request, sizeof(request), 0) != sizeof(request))
		return true;
	for (;;) {
		len = recv(fd, &reply, sizeof(reply), 0);
		if (len <= 0)
			return true;
		for (struct nlmsghdr *h = &reply.header; NLMSG_OK(h, len); h = NLMSG_NEXT(h, len)) {
			if (h->nlmsg_type == NLMSG_ERROR)
				return true;
			if (h->nlmsg_type == NLMSG_DONE)
				return found;
			found = true;
		}
	}
}

/* Others may have put filters into the qdisc that we made: it is theirs then. */
static bool clsact_empty(uint32_t ifindex)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	bool empty;

	if (fd < 0)
		return false;
	empty = !clsact_has_filter(fd, ifindex, TC_H_MIN_INGRESS) &&
		!clsact_has_filter(fd, ifindex, TC_H_MIN_EGRESS);
	close(fd);
	return empty;
}

/* Our filter, whoever of us attached it; and the qdisc, if one of us made it and nobody uses it. */
static int clsact_detach(const struct datapath *datapath, uint32_t ifindex, bool qdisc_is_ours)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex, .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, filter, .handle = DATAPATH_CLSACT_HANDLE,
		    .priority = DATAPATH_CLSACT_PRIORITY);
	bool noted = pins_has_qdisc(datapath, ifindex) && clsact_program(ifindex);
	int err = bpf_tc_detach(&hook, &filter);

	if ((qdisc_is_ours || noted) && clsact_empty(ifindex)) {
		hook.attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS;
		bpf_tc_hook_destroy(&hook);
	}
	pins_note_qdisc(datapath, ifindex, false);
	return err;
}

/* ---- both ---- */

static uint32_t own_program(const struct datapath *datapath)
{
	struct bpf_prog_info info = {0};
	__u32 len = sizeof(info);

	return bpf_obj_get_info_by_fd(datapath_program_fd(datapath), &info, &len) ? 0 : info.id;
}

int datapath_attach(struct datapath *datapath, uint32_t ifindex, enum datapath_hook *hook)
{
	struct attachment *a = attachment_find(datapath, ifindex);
	int err = -EINVAL;

	*hook = DATAPATH_HOOK_NONE;
	if (a) {
		*hook = a->hook;
		return 0;
	}
	a = calloc(1, sizeof(*a));
	if (!a)
		return -ENOMEM;
	a->ifindex = ifindex;
	a->link_fd = -1;
	if (!datapath->clsact_only) {
		a->hook = DATAPATH_HOOK_TCX;
		a->link_fd = err = tcx_attach(datapath, ifindex, &a->deferred);
	}
	/* so says a kernel that does not know tcx */
	if (err == -EINVAL) {
		a->hook = DATAPATH_HOOK_CLSACT;
		a->deferred = datapath->defers_to && clsact_program(ifindex) == datapath->defers_to;
		err = a->deferred ? 0 : clsact_attach(datapath, ifindex, &a->qdisc_is_ours);
	}
	if (err < 0) {
		free(a);
		return err;
	}
	a->next = datapath->attachments;
	datapath->attachments = a;
	*hook = a->hook;
	return 0;
}

static bool is_there(const struct datapath *datapath, const struct attachment *a)
{
	uint32_t id = a->deferred ? datapath->defers_to : own_program(datapath);

	return a->hook == DATAPATH_HOOK_CLSACT ? clsact_program(a->ifindex) == id
					       : tcx_has_program(a->ifindex, id);
}

int datapath_attach_again(struct datapath *datapath, uint32_t ifindex, enum datapath_hook *hook)
{
	const struct attachment *a = attachment_find(datapath, ifindex);
	int err;

	if (a && is_there(datapath, a)) {
		*hook = a->hook;
		return 0;
	}
	datapath_detach(datapath, ifindex);
	err = datapath_attach(datapath, ifindex, hook);
	return err ? err : 1;
}

static int take_over(struct datapath *datapath, struct attachment *a)
{
	a->deferred = false;
	if (a->hook == DATAPATH_HOOK_CLSACT)
		return clsact_attach(datapath, a->ifindex, &a->qdisc_is_ours);
	return bpf_link_update(a->link_fd, datapath_program_fd(datapath), NULL) ? -errno : 0;
}

unsigned int datapath_replace(struct datapath *datapath)
{
	bool own = datapath_replaces_own(datapath);
	unsigned int failed = 0;

	datapath->defers_to = 0;
	for (struct attachment *a = datapath->attachments, *next; a; a = next) {
		enum datapath_hook hook;
		uint32_t ifindex = a->ifindex;

		next = a->next;
		/* one of this process may have attached itself again after we did */
		if ((!a->deferred && !own) || take_over(datapath, a) == 0)
			continue;
		/* what was there has been taken away meanwhile */
		datapath_detach(datapath, ifindex);
		if (datapath_attach(datapath, ifindex, &hook))
			failed++;
	}
	return failed;
}

static bool is_nothing(int err)
{
	return err == -ENODEV || err == -ENOENT || err == -EINVAL;
}

int datapath_detach(struct datapath *datapath, uint32_t ifindex)
{
	struct attachment **place = &datapath->attachments, *a;
	bool qdisc_is_ours = false;
	char path[PATH_MAX];
	int err, fd = -1;

	while (*place && (*place)->ifindex != ifindex)
		place = &(*place)->next;
	a = *place;
	if (a) {
		fd = a->link_fd;
		qdisc_is_ours = a->qdisc_is_ours;
	}
	if (pins_link_path(datapath, ifindex, path)) {
		if (fd < 0)
			fd = bpf_obj_get(path);
		unlink(path);
	}
	/* now: the kernel puts off what the last reference would do, and the number may be used again */
	if (fd >= 0) {
		err = bpf_link_detach(fd) ? -errno : 0;
		close(fd);
	} else {
		err = clsact_detach(datapath, ifindex, qdisc_is_ours);
	}
	if (a) {
		*place = a->next;
		free(a);
	}
	return is_nothing(err) ? 0 : err;
}

/*
 * Ends one without waiting: of a link that is pinned the descriptor is closed first and the pin removed then, and the kernel
 * detaches it in its own time.
 */
static void let_go(struct datapath *datapath, struct attachment *a)
{
	char path[PATH_MAX];

	if (a->hook == DATAPATH_HOOK_CLSACT) {
		clsact_detach(datapath, a->ifindex, a->qdisc_is_ours);
		return;
	}
	close(a->link_fd);
	if (pins_link_path(datapath, a->ifindex, path))
		unlink(path);
}

static void keep(struct attachment *a)
{
	if (a->link_fd >= 0)
		close(a->link_fd);
}

void attach_leave(struct datapath *datapath)
{
	while (datapath->attachments) {
		struct attachment *a = datapath->attachments;

		datapath->attachments = a->next;
		/* where it is not to be replaced the other one has nothing of this */
		if (datapath->predecessor && !a->deferred)
			let_go(datapath, a);
		else
			keep(a);
		free(a);
	}
}

void attach_close(struct datapath *datapath, bool keep_all)
{
	while (datapath->attachments) {
		struct attachment *a = datapath->attachments;

		datapath->attachments = a->next;
		if (keep_all)
			keep(a);
		else
			let_go(datapath, a);
		free(a);
	}
}
