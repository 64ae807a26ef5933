/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A packet's way through the tables, by the program's own code, while the tables change under it. */
#ifndef TESTS_FUZZ_NATIVE_LOOKUP_H
#define TESTS_FUZZ_NATIVE_LOOKUP_H

#include <stdint.h>

#include "dplane_ebpf/fib/fib.h"

/* Read these tables from now on. */
void reader_open(const struct fib_memory *memory, const struct fib_geometry *geometry);

/* pause() is called before each word that is read. The length of addr does not count. */
uint32_t reader_lookup(const struct fib_prefix *addr, void (*pause)(void));
/* The group's next hop for a flow; 0: the group sends to the kernel. */
uint32_t reader_nexthop(uint32_t group, uint32_t flow, void (*pause)(void));

#endif /* TESTS_FUZZ_NATIVE_LOOKUP_H */
