// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Reads commands on standard input, a line each, and answers each with a line of JSON. Runs in the router's network
 * namespace; differ.py speaks to it.
 *
 *   pools           forget all pools
 *   dst|src|host PREFIX, iif NAME
 *                   what packets are made of
 *   foreign         from now on no packets from the router's own IPv4 addresses
 *   run SEED COUNT WAIT
 *                   compare that many random packets; what differs is asked again for up to WAIT ms
 *   freeze SEED COUNT
 *                   keep what the program says of random packets now
 *   frozen          compare that with what the kernel says now, as if the program had heard of nothing since
 *   ask WAIT PACKET compare this packet, again for as long as it differs, up to WAIT ms
 *   quit
 */
#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tests/differ/differ.h"

#define SHOWN 16

static const char *pins;
static bool foreign;

void fail(int error, const char *format, ...)
{
	va_list args;

	fprintf(stderr, "differ: ");
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, "%s%s\n", error ? ": " : "", error ? strerror(error) : "");
	exit(EXIT_FAILURE);
}

static long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Asks about those that differed again, until none does or the time is over. Returns how many are left, in front. */
static size_t ask_again(struct packet *packets, size_t count, long wait, long *took)
{
	long start = now_ms();
	struct comparison c;

	*took = 0;
	while (count && now_ms() - start < wait) {
		size_t left = 0;

		usleep(10000);
		knowledge_read();
		for (size_t i = 0; i < count; i++) {
			compare(&packets[i], &c);
			if (c.verdict == VERDICT_DIFFERENT)
				packets[left++] = packets[i];
		}
		count = left;
		*took = now_ms() - start;
	}
	return count;
}

/* program: its answers where they are kept, NULL: it is asked. */
static void print_differences(const struct packet *packets, const struct program_answer *program,
			      size_t count)
{
	size_t shown = 0;

	for (size_t i = 0; i < count && shown < SHOWN; i++) {
		struct comparison c;

		if (program)
			compare_answer(&packets[i], &program[i], &c);
		else
			compare(&packets[i], &c);
		if (c.verdict != VERDICT_DIFFERENT)
			continue;
		printf("%s", shown++ ? ", " : "");
		comparison_print(stdout, &packets[i], &c);
	}
}

/* Opens and reads anew what answers depend on. */
static void begin(void)
{
	program_open(pins);
	knowledge_read();
	pool_resolve();
}

static bool next_packet(uint64_t *random, struct packet *packet)
{
	/* false: no packet comes in by an interface that is not there */
	return pool_packet(random, packet) &&
	       !(foreign && packet->family == AF_INET && knowledge_own4(packet->src));
}

static void print_sums(size_t compared, size_t transient, size_t left, long took,
		       const uint64_t sums[VERDICT_MAX])
{
	printf("{\"compared\": %zu, \"transient\": %zu, \"left\": %zu, \"ms\": %ld, \"classes\": {",
	       compared, transient, left, took);
	for (int i = 0; i < VERDICT_MAX; i++)
		printf("%s\"%s\": %llu", i ? ", " : "", verdict_names[i],
		       (unsigned long long)sums[i]);
	printf("}, \"differences\": [");
}

static void run(uint64_t random, size_t count, long wait)
{
	struct packet *different = calloc(count, sizeof(*different)), packet;
	uint64_t sums[VERDICT_MAX] = {0};
	size_t found = 0, left, compared = 0;
	struct comparison c;
	long took;

	if (!different)
		fail(errno, "no memory");
	begin();
	for (size_t i = 0; i < count; i++) {
		if (!next_packet(&random, &packet))
			continue;
		compare(&packet, &c);
		compared++;
		sums[c.verdict]++;
		if (c.verdict == VERDICT_DIFFERENT)
			different[found++] = packet;
	}
	left = ask_again(different, found, wait, &took);
	print_sums(compared, found - left, left, took, sums);
	print_differences(different, NULL, left);
	printf("]}\n");
	free(different);
}

/* What the program said, kept. */
static struct {
	struct packet *packet;
	struct program_answer *program;
	size_t count;
} kept;

static void freeze(uint64_t random, size_t count)
{
	free(kept.packet);
	free(kept.program);
	kept.packet = calloc(count, sizeof(*kept.packet));
	kept.program = calloc(count, sizeof(*kept.program));
	kept.count = 0;
	if (!kept.packet || !kept.program)
		fail(errno, "no memory");
	begin();
	for (size_t i = 0; i < count; i++) {
		if (!next_packet(&random, &kept.packet[kept.count]))
			continue;
		program_ask(&kept.packet[kept.count], &kept.program[kept.count]);
		kept.count++;
	}
}

static void frozen(void)
{
	uint64_t sums[VERDICT_MAX] = {0};
	struct comparison c;

	begin();
	for (size_t i = 0; i < kept.count; i++) {
		compare_answer(&kept.packet[i], &kept.program[i], &c);
		sums[c.verdict]++;
	}
	print_sums(kept.count, 0, sums[VERDICT_DIFFERENT], 0, sums);
	print_differences(kept.packet, kept.program, kept.count);
	printf("]}\n");
}

static void ask(const char *text, long wait)
{
	struct packet packet;
	struct comparison c;
	long took;

	program_open(pins);
	knowledge_read();
	if (!packet_parse(text, &packet)) {
		printf("{\"error\": \"no such packet, or no such interface\"}\n");
		return;
	}
	compare(&packet, &c);
	if (c.verdict == VERDICT_DIFFERENT)
		ask_again(&packet, 1, wait, &took);
	compare(&packet, &c);
	comparison_print(stdout, &packet, &c);
	printf("\n");
}

static bool obey(char *line)
{
	char *argument = strchr(line, ' ');
	unsigned long long seed;
	size_t count;
	long wait;
	int at;

	line[strcspn(line, "\n")] = '\0';
	if (argument)
		*argument++ = '\0';
	if (!strcmp(line, "quit"))
		return false;
	if (!strcmp(line, "pools"))
		pool_clear();
	else if (!strcmp(line, "foreign"))
		foreign = true;
	else if (!strcmp(line, "frozen"))
		frozen();
	else if (argument && !strcmp(line, "freeze") &&
		 sscanf(argument, "%llu %zu", &seed, &count) == 2)
		freeze(seed, count);
	else if (argument && !strcmp(line, "run") &&
		 sscanf(argument, "%llu %zu %ld", &seed, &count, &wait) == 3)
		run(seed, count, wait);
	else if (argument && !strcmp(line, "ask") && sscanf(argument, "%ld %n", &wait, &at) == 1)
		ask(argument + at, wait);
	else if (!argument || !pool_add(line, argument))
		fail(0, "what is '%s %s'?", line, argument ? argument : "");
	fflush(stdout);
	return true;
}

int main(int argc, char **argv)
{
	char line[512];
	int cpu = sched_getcpu();
	cpu_set_t here;

	if (argc != 2)
		fail(0, "usage: differ PIN-DIRECTORY");
	pins = argv[1];
	/* counters are read as one CPU's */
	CPU_ZERO(&here);
	CPU_SET(cpu, &here);
	if (sched_setaffinity(0, sizeof(here), &here))
		fail(errno, "cannot stay on CPU %d", cpu);
	kernel_open();
	while (fgets(line, sizeof(line), stdin) && obey(line))
		;
	return 0;
}
