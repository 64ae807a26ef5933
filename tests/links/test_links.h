/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The parts of the tests of links/. */
#ifndef TESTS_LINKS_TEST_LINKS_H
#define TESTS_LINKS_TEST_LINKS_H

#include <check.h>

TCase *attacher_case(void);
TCase *attacher_clsact_case(void);
TCase *bypass_case(void);
TCase *bypass_links_case(void);
TCase *kind_case(void);
TCase *route_case(void);
TCase *resync_case(void);
TCase *rule_case(void);
TCase *vrf_case(void);

#endif
