/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A network namespace with two links a and b, tables of ours, and a snapshot, for each test of what is read. */
#ifndef TESTS_AUDIT_NAMESPACE_H
#define TESTS_AUDIT_NAMESPACE_H

#include "dplane_ebpf/audit/audit_internal.h"
#include "tests/audit/test_audit.h"
#include "tests/fib/fixture.h"

#define ADDRESS_A "10.0.1.2"
#define ADDRESS_B "10.0.2.2"

extern struct snapshot snapshot;
extern uint32_t link_a, link_b;
extern _Atomic uint64_t seen;

void namespace_setup(void);
void namespace_teardown(void);

/* Runs a command of the shell, which must succeed. */
void run(const char *command);
struct reading reading(bool all);
/* A next hop; gate NULL: the network is connected. */
struct fib_member via(uint32_t ifindex, int family, const char *gate, uint32_t weight);
/* The ways of sets of one and of two, in the snapshot. */
uint32_t set_of(struct fib_member a);
uint32_t set_of2(struct fib_member a, struct fib_member b);
/* Sorts the snapshot. NULL: it is not there. */
const struct record *record_of(const char *text);
/* A group of ours. */
uint32_t group_to(const struct fib_member *members, size_t n);

#endif /* TESTS_AUDIT_NAMESPACE_H */
