// SPDX-License-Identifier: GPL-2.0-or-later
/* Time, chance, figures and complaints of the measuring programs. */
#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench/bench.h"

static void line(const char *format, va_list args)
{
	fprintf(stderr, "%s: ", program_invocation_short_name);
	vfprintf(stderr, format, args);
}

void bench_fail(int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	line(format, args);
	va_end(args);
	if (err)
		fprintf(stderr, ": %s", strerror(abs(err)));
	fputc('\n', stderr);
	exit(1);
}

void bench_say(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	line(format, args);
	va_end(args);
	fputc('\n', stderr);
}

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t bench_now(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

uint64_t bench_cpu(void)
{
	return clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

void bench_pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		bench_fail(errno, "cannot stay on CPU %d", cpu);
}

/* splitmix64 */
uint64_t bench_random(uint64_t *seed)
{
	uint64_t x = *seed += 0x9e3779b97f4a7c15ull;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return x ^ x >> 31;
}

static int by_value(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

void bench_result(const char *key, double *value, size_t rounds)
{
	double median;

	qsort(value, rounds, sizeof(*value), by_value);
	median = rounds % 2 ? value[rounds / 2] : (value[rounds / 2 - 1] + value[rounds / 2]) / 2;
	printf("%s %.6g %.6g %.6g %zu\n", key, median, value[0], value[rounds - 1], rounds);
	fflush(stdout);
}

void bench_figure(const char *key, double value)
{
	bench_result(key, &value, 1);
}

void bench_options(struct bench_options *options, int argc, char **argv)
{
	static const struct option known[] = {
		{"tables", required_argument, NULL, 't'},
		{"rounds", required_argument, NULL, 'r'},
		{"quick", no_argument, NULL, 'q'},
		{NULL, 0, NULL, 0},
	};
	bool wrong = false;
	int option;

	*options = (struct bench_options){0};
	while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
		if (option == 't')
			options->tables = optarg;
		else if (option == 'r')
			options->rounds = strtoul(optarg, NULL, 10);
		else if (option == 'q')
			options->quick = true;
		else
			wrong = true;
	}
	if (!options->rounds)
		options->rounds = options->quick ? 5 : 9;
	if (!wrong && optind == argc && options->tables && options->rounds <= BENCH_ROUNDS_MAX)
		return;
	fprintf(stderr, "usage: %s --tables DIR [--rounds 1..%u] [--quick]\n",
		program_invocation_short_name, BENCH_ROUNDS_MAX);
	exit(2);
}
