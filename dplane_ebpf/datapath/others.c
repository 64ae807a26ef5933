// SPDX-License-Identifier: GPL-2.0-or-later
/* What others have attached where we have. */
#include <errno.h>

#include <bpf/bpf.h>

#include "dplane_ebpf/datapath/datapath_internal.h"

#define PROGRAMS_MAX 64 /* the kernel's limit for one hook */

/* The programs' ids in the order they run. Their number, or a negative errno; -EINVAL: the kernel does not know tcx. */
static int query(uint32_t ifindex, int hook, __u32 ids[PROGRAMS_MAX])
{
	__u32 count = PROGRAMS_MAX, flags = 0;
	int err = bpf_prog_query(ifindex, hook, 0, &flags, ids, &count);

	if (err == -ENOENT) /* so says one that does, of a hook that never had any */
		return 0;
	return err ? err : (int)count;
}

static bool follows_ours(const struct datapath *datapath, const __u32 *ids, int n)
{
	struct bpf_prog_info info = {0};
	__u32 len = sizeof(info);

	if (bpf_obj_get_info_by_fd(datapath_program_fd(datapath), &info, &len))
		return false;
	for (int i = 0; i < n - 1; i++) {
		if (ids[i] == info.id)
			return true;
	}
	return false; /* attached anew, ours would be the last one */
}

int datapath_others(const struct datapath *datapath, uint32_t ifindex,
		    struct datapath_others *others)
{
	__u32 ids[PROGRAMS_MAX];
	int n = query(ifindex, DATAPATH_TCX_INGRESS, ids);

	*others = (struct datapath_others){0};
	if (n == -EINVAL)
		return 0;
	if (n < 0)
		return n;
	others->tcx = !datapath->clsact_only;
	others->ingress = follows_ours(datapath, ids, n);
	n = query(ifindex, DATAPATH_TCX_EGRESS, ids);
	if (n < 0)
		return n;
	others->egress = n > 0;
	return 0;
}
