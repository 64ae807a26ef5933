// SPDX-License-Identifier: GPL-2.0-or-later
/* Runs the tests of the audit. Needs root: network namespaces. */
#include <stdlib.h>

#include "tests/audit/test_audit.h"

int main(void)
{
	Suite *suite = suite_create("audit");
	SRunner *runner;
	int failed;

	suite_add_tcase(suite, compare_case());
	suite_add_tcase(suite, kernel_case());
	suite_add_tcase(suite, ours_case());
	suite_add_tcase(suite, run_case());
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
