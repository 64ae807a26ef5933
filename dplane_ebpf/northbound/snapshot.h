/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The operational state as one JSON object, shaped as the YANG module's container `state`. */
#ifndef DPLANE_EBPF_NORTHBOUND_SNAPSHOT_H
#define DPLANE_EBPF_NORTHBOUND_SNAPSHOT_H

#include "dplane_ebpf/compat.h"

/* As of now; the caller owns it. */
json_object *snapshot_state(void);

#endif /* DPLANE_EBPF_NORTHBOUND_SNAPSHOT_H */
