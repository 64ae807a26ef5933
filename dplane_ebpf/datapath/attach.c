// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Attaching to interfaces: by a tcx link, which is pinned, or as a clsact filter
 * with a handle and priority of ours. Both outlive the process and are taken over by the next one,
 * program for program, so that no packet passes between the two.
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

/* Does the link hold the predecessor's program, at this interface? */
static bool tcx_is_predecessors(const struct datapath *datapath, int link_fd, uint32_t ifindex)
{
	struct bpf_link_info info = {0};
	__u32 len = sizeof(info);

	return datapath->predecessor && bpf_obj_get_info_by_fd(link_fd, &info, &len) == 0 &&
	       info.prog_id == datapath->predecessor->program &&
	       tcx_has_program(ifindex, info.prog_id);
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
	*deferred = tcx_is_predecessors(datapath, fd, ifindex);
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

static int clsact_attach(const struct datapath *datapath, uint32_t ifindex, bool *qdisc_is_ours)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex, .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, filter, .handle = DATAPATH_CLSACT_HANDLE,
		    .priority = DATAPATH_CLSACT_PRIORITY, .prog_fd = datapath_program_fd(datapath),
		    .flags = BPF_TC_F_REPLACE);
	int err = bpf_tc_hook_create(&hook);

	if (err && err != -EEXIST)
		return err;
	*qdisc_is_ours = !err;
	return bpf_tc_attach(&hook, &filter);
}

/* Is our filter there, with the predecessor's program? */
static bool clsact_is_predecessors(const struct datapath *datapath, uint32_t ifindex)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex, .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, filter, .handle = DATAPATH_CLSACT_HANDLE,
		    .priority = DATAPATH_CLSACT_PRIORITY);

	return datapath->predecessor && bpf_tc_query(&hook, &filter) == 0 &&
	       filter.prog_id == datapath->predecessor->program;
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

/* Our filter, whoever of us attached it. */
static int clsact_detach(uint32_t ifindex, bool qdisc_is_ours)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex, .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, filter, .handle = DATAPATH_CLSACT_HANDLE,
		    .priority = DATAPATH_CLSACT_PRIORITY);
	int err = bpf_tc_detach(&hook, &filter);

	if (qdisc_is_ours && clsact_empty(ifindex)) {
		hook.attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS;
		bpf_tc_hook_destroy(&hook);
	}
	return err;
}

/* ---- both ---- */

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
		a->deferred = clsact_is_predecessors(datapath, ifindex);
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

int attach_take_over(struct datapath *datapath, struct attachment *a)
{
	const struct datapath *own = datapath->predecessor->own;
	const struct attachment *before = own ? attachment_find(own, a->ifindex) : NULL;

	/* one of this process may have attached itself again after we did */
	if (!a->deferred && !own)
		return 0;
	a->deferred = false;
	if (a->hook == DATAPATH_HOOK_CLSACT) {
		int err = clsact_attach(datapath, a->ifindex, &a->qdisc_is_ours);

		a->qdisc_is_ours |= before && before->qdisc_is_ours;
		return err;
	}
	return bpf_link_update(a->link_fd, datapath_program_fd(datapath), NULL) ? -errno : 0;
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
	/* at once: the kernel puts off what the last reference would do */
	if (fd >= 0) {
		err = bpf_link_detach(fd) ? -errno : 0;
		close(fd);
	} else {
		err = clsact_detach(ifindex, qdisc_is_ours);
	}
	if (a) {
		*place = a->next;
		free(a);
	}
	return is_nothing(err) ? 0 : err;
}

void attach_leave(struct datapath *datapath)
{
	while (datapath->attachments) {
		struct attachment *a = datapath->attachments;

		/* where it is not to be replaced the other one has nothing of this */
		if (datapath->predecessor && !a->deferred) {
			datapath_detach(datapath, a->ifindex);
			continue;
		}
		datapath->attachments = a->next;
		if (a->link_fd >= 0)
			close(a->link_fd);
		free(a);
	}
}

void attach_close(struct datapath *datapath, bool keep)
{
	while (datapath->attachments) {
		struct attachment *a = datapath->attachments;

		if (!keep) {
			datapath_detach(datapath, a->ifindex);
			continue;
		}
		datapath->attachments = a->next;
		if (a->link_fd >= 0)
			close(a->link_fd);
		free(a);
	}
}
