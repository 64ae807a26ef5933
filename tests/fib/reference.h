/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the FIB must say: every prefix in one hash, looked up length by length.
 * Slow, and shares no idea with the real thing.
 */
#ifndef TESTS_FIB_REFERENCE_H
#define TESTS_FIB_REFERENCE_H

#include "dplane_ebpf/fib/fib.h"

struct reference;
struct reference *reference_new(void);
void reference_free(struct reference *ref);
/* Both return the group that was there, or 0. Group 0 deletes. */
uint32_t reference_set(struct reference *ref, const struct fib_prefix *prefix, uint32_t group);
uint32_t reference_get(const struct reference *ref, const struct fib_prefix *prefix);
/* Longest match, no longer than len; FIB_GROUP_NO_ROUTE and found->len 0 without any. */
uint32_t reference_lookup(const struct reference *ref, uint8_t family, const uint8_t *addr,
			  unsigned int len, struct fib_prefix *found);
size_t reference_count(const struct reference *ref, uint8_t family);

#endif /* TESTS_FIB_REFERENCE_H */
