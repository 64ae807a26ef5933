/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whether what frr.conf says of us has come through. */
#ifndef DPLANE_EBPF_NORTHBOUND_BOOT_H
#define DPLANE_EBPF_NORTHBOUND_BOOT_H

/* Once frr.conf has been read by vtysh, or would have been: tells, loudly, if it has lines of ours and none was handed over. Main thread. */
void boot_check(void);

#endif /* DPLANE_EBPF_NORTHBOUND_BOOT_H */
