/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Between dplane_ebpf.so, which zebra loads, and the module proper, which that loads. */
#ifndef DPLANE_EBPF_LOADER_H
#define DPLANE_EBPF_LOADER_H

#include "dplane_ebpf/compat.h"

#define MODULE_FILE "dplane_ebpf_provider.so"
#define MODULE_PREPARE "dplane_ebpf_prepare"
#define MODULE_START "dplane_ebpf_start"

/* While zebra loads modules, and may still be root. */
typedef void (*module_prepare)(void);

/* In zebra's main thread, before it forks. args: what stands behind -M dplane_ebpf:, or NULL. */
typedef void (*module_start)(compat_loop *loop, const char *args);

#endif /* DPLANE_EBPF_LOADER_H */
