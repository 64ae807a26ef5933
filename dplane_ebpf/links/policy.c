// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * By what the kernel spreads flows. Of net.ipv6.fib_multipath_hash_policy one thing matters to the program: with 0 the kernel goes
 * by the flow label, which some senders change to get another way. The kernel does not tell of changes.
 */
#include "dplane_ebpf/links/links_internal.h"

#include <fcntl.h>
#include <unistd.h>

#define POLICY_FILE "/proc/sys/net/ipv6/fib_multipath_hash_policy"

void policy_look(struct links *links)
{
	char text[2] = "";
	/* of the network namespace that this thread is in; a kernel without IPv6 has no such file */
	int fd = open(POLICY_FILE, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (read(fd, text, sizeof(text)) > 0)
		datapath_label_counts(links->datapath, text[0] == '0');
	close(fd);
}
