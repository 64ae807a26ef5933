/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The program's maps for its source built to run in a process, and what of it the kernel or the
 * verifier wants otherwise. To be included before any other file of bpf/.
 */
#ifndef TESTS_FUZZ_NATIVE_NATIVE_H
#define TESTS_FUZZ_NATIVE_NATIVE_H

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bpf/maps.h"

/* Its instruction is BPF's. */
#undef MASK
#define MASK(index, mask) ((__u64)(index) & (mask))

/* The program's constants, which libbpf fills in before it loads the object; here, too, they are read-only. */
static inline void bounds_fill(const void *from)
{
	unsigned long page = (unsigned long)sysconf(_SC_PAGESIZE);
	unsigned long at = (unsigned long)&bounds, first = at & -page;

	/* the compiler may leave out what is written to a constant: it must not know */
	asm volatile("" : "+r"(at));
	if (mprotect((void *)first, at + sizeof(bounds) - first, PROT_READ | PROT_WRITE))
		abort();
	memcpy((void *)at, from, sizeof(bounds));
}

#endif /* TESTS_FUZZ_NATIVE_NATIVE_H */
