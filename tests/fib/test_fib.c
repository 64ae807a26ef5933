// SPDX-License-Identifier: GPL-2.0-or-later
/* Runs the tests of the FIB. FIB_TEST_SEED repeats a random run. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/fib/fixture.h"

int main(void)
{
	Suite *suite = suite_create("fib");
	const char *seed = getenv("FIB_TEST_SEED");
	SRunner *runner;
	int failed;

	if (seed)
		test_seed = strtoull(seed, NULL, 0);
	suite_add_tcase(suite, table_case());
	suite_add_tcase(suite, random_case());
	suite_add_tcase(suite, group_case());
	suite_add_tcase(suite, reclaim_case());
	suite_add_tcase(suite, vrf_case());
	suite_add_tcase(suite, backup_case());
	suite_add_tcase(suite, steer_case());
	suite_add_tcase(suite, overlay_case());
	suite_add_tcase(suite, damage_case());
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	if (failed)
		printf("repeat with FIB_TEST_SEED=%llu\n", (unsigned long long)test_seed);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
