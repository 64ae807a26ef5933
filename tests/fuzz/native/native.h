/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The program's maps for its source built to run in a process, and what of it the kernel or the
 * verifier wants otherwise. To be included before any other file of bpf/.
 */
#ifndef TESTS_FUZZ_NATIVE_NATIVE_H
#define TESTS_FUZZ_NATIVE_NATIVE_H

/* Read-only in the object that libbpf loads; here they are set before the first run. */
#define bounds bounds_of_the_object
#include "bpf/maps.h"
#undef bounds
static unsigned char bounds_memory[sizeof(bounds_of_the_object)]
	__attribute__((aligned(__alignof__(bounds_of_the_object))));
#define bounds (*(typeof(bounds_of_the_object) *)bounds_memory)

/* Its instruction is BPF's. */
#undef MASK
#define MASK(index, mask) ((__u64)(index) & (mask))

#endif /* TESTS_FUZZ_NATIVE_NATIVE_H */
