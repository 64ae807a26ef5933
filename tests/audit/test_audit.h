/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The parts of the audit's tests. */
#ifndef TESTS_AUDIT_TEST_AUDIT_H
#define TESTS_AUDIT_TEST_AUDIT_H

#include <check.h>

TCase *compare_case(void);
TCase *kernel_case(void);
TCase *ours_case(void);
TCase *run_case(void);

#endif /* TESTS_AUDIT_TEST_AUDIT_H */
