// SPDX-License-Identifier: GPL-2.0-or-later
/* The forwarding program, packet by packet, and what loads and attaches it. Needs root. */
#include <stdlib.h>
#include <unistd.h>

#include "tests/bpf/fixture.h"

int main(void)
{
	TCase *(*const tests[])(void) = {
		packet4_tests,	  packet6_tests,     nexthop_tests, ecmp_tests,	   ecmp_row_tests,
		icmp_quote_tests, lookup_tests,	     local_tests,   wire_tests,	   datapath_tests,
		pins_tests,	  predecessor_tests, replace_tests, pressure_tests};
	Suite *suite = suite_create("bpf");
	SRunner *runner;
	int failed;

	if (geteuid() != 0)
		return 77; /* automake: skipped */
	bed_make_network();
	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
		TCase *tcase = tests[i]();

		tcase_set_timeout(tcase, 120);
		suite_add_tcase(suite, tcase);
	}
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
