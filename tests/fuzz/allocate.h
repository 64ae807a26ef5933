/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The FIB's ordinary memory, counted, and failing where the fuzzer says; its shared memory from the heap, where
 * ASan sees its ends. Forced into every file by the compiler's -include.
 */
#ifndef TESTS_FUZZ_ALLOCATE_H
#define TESTS_FUZZ_ALLOCATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>

void *fuzz_malloc(size_t size);
void *fuzz_calloc(size_t n, size_t size);
void *fuzz_realloc(void *memory, size_t size);
void fuzz_free(void *memory);
/* mmap's answer where there is none: MAP_FAILED. */
void *fuzz_map(size_t size);

/* The n-th allocation from now fails, 0: none will. Returns whether one failed since the last call. */
bool allocate_fail(unsigned int n);
/* While suspended none fails, and none is counted for the next to fail. */
void allocate_suspend(bool suspend);
/* That are not freed. */
size_t allocate_live(void);

#define malloc(size) fuzz_malloc(size)
#define calloc(n, size) fuzz_calloc(n, size)
#define realloc(memory, size) fuzz_realloc(memory, size)
#define free(memory) fuzz_free(memory)
#define mmap(addr, size, prot, flags, fd, offset) fuzz_map(size)
#define munmap(memory, size) fuzz_free(memory)

#endif /* TESTS_FUZZ_ALLOCATE_H */
