// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a lookup costs inside BPF, in our tables and in those that Linux has, side by side: README.md in
 * this directory says what the figures mean.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "bench/bench.h"
#include "bench/dir_24_8.h"
#include "bench/lookup.h"
#include "bench/lookup.skel.h"

#define MIB 1048576.0
#define WARM_NS 40000000u
#define COMPARED (2 * LOOKUP_RUN)

static struct bench_options options;
static struct bench_network network;
static struct bench_router router;
static struct lookup_bpf *programs;
static struct lookup_addresses *addresses;
static struct lookup_found *found;

struct family {
	uint8_t family;
	const char *name;
	struct bench_table table;
	int lpm;
};
static struct family families[2] = {{.family = AF_INET, .name = "v4"},
				    {.family = AF_INET6, .name = "v6"}};

static const char *const table_name[LOOKUP_TABLES] = {"ours", "lpm_trie", "fib_lookup", "dir_24_8"};

/* ---- setting up ---- */

static void *map_memory(const struct bpf_map *map)
{
	void *memory = mmap(NULL, bpf_map__value_size(map), PROT_READ | PROT_WRITE, MAP_SHARED,
			    bpf_map__fd(map), 0);

	if (memory == MAP_FAILED)
		bench_fail(errno, "cannot map %s", bpf_map__name(map));
	return memory;
}

static void open_programs(const struct dir_24_8 *dir)
{
	const struct fib_geometry *geometry = datapath_geometry(router.datapath);
	size_t dir8_bytes = dir->blocks * 256 * sizeof(uint32_t);

	programs = lookup_bpf__open();
	if (!programs)
		bench_fail(errno, "cannot open the programs");
	programs->rodata->bounds.v4_low = (uint64_t)geometry->v4_low_blocks * FIB4_LOW_SIZE - 1;
	programs->rodata->bounds.node = 2 * (uint64_t)geometry->node_bytes - 1;
	programs->rodata->dir8_bound = dir->blocks * 256 - 1;
	programs->rodata->ifindex_in = network.in;
	bench_router_share(&router, programs->obj);
	if (bpf_map__reuse_fd(programs->maps.lpm4, families[0].lpm) ||
	    bpf_map__reuse_fd(programs->maps.lpm6, families[1].lpm) ||
	    bpf_map__set_value_size(programs->maps.dir8, (uint32_t)dir8_bytes))
		bench_fail(errno, "cannot set up the programs' maps");
	if (lookup_bpf__load(programs))
		bench_fail(errno, "cannot load the programs");
	addresses = map_memory(programs->maps.addresses);
	found = map_memory(programs->maps.found);
	memcpy(map_memory(programs->maps.dir24), dir->dir24, DIR24_SIZE * sizeof(uint32_t));
	memcpy(map_memory(programs->maps.dir8), dir->dir8, dir8_bytes);
}

static void set_up(void)
{
	struct dir_24_8 dir;

	bench_network(&network);
	bench_router_open(&router, &network, &datapath_geometry_full);
	for (int i = 0; i < 2; i++) {
		struct family *f = &families[i];

		bench_table_read(&f->table, options.tables, f->family, 0);
		bench_say("%zu prefixes, %s: ours, LPM_TRIE and the kernel's", f->table.n, f->name);
		bench_router_load(&router, &f->table);
		f->lpm = bench_lpm_new(&f->table);
		bench_kernel_load(&f->table);
	}
	bench_router_settle(&router);
	dir_24_8_new(&dir, &families[0].table);
	open_programs(&dir);
	dir_24_8_free(&dir);
}

/* ---- running ---- */

/* Looks up count addresses, from the first on; ns that one took. */
static double run(const struct bpf_program *program, uint32_t first, uint32_t count)
{
	static const uint8_t frame[60];
	struct __sk_buff skb = {.ifindex = network.in};
	LIBBPF_OPTS(bpf_test_run_opts, test, .data_in = frame, .data_size_in = sizeof(frame),
		    .ctx_in = &skb, .ctx_size_in = sizeof(skb), .repeat = 1);
	int err;

	programs->bss->first = first;
	programs->bss->count = count;
	err = bpf_prog_test_run_opts(bpf_program__fd(program), &test);
	if (err || test.retval)
		bench_fail(err, "cannot run %s", bpf_program__name(program));
	return (double)test.duration / count;
}

static void fill(const struct family *f, enum bench_destinations which, uint64_t seed)
{
	bench_destinations(&f->table, which, seed, (uint8_t(*)[16])addresses->addr, LOOKUP_LIST);
}

/* ---- do the tables agree? ---- */

/* The number of the gateway. */
static uint32_t normal(enum lookup_table table, uint32_t value)
{
	if (table == LOOKUP_DIR_24_8)
		return value ? value - 1 : LOOKUP_NOTHING;
	if (table != LOOKUP_OURS)
		return value;
	for (uint32_t g = 0; g < BENCH_GROUPS; g++) {
		if (router.group[g] == value)
			return g;
	}
	return LOOKUP_NOTHING;
}

/* What the namespace has beside the table, and what the kernel never forwards. */
static bool kernels_own(const struct family *f, const uint8_t *addr)
{
	if (f->family == AF_INET)
		return (addr[0] == 198 && (addr[1] & ~1) == 18) || addr[0] == 127 || addr[0] >= 224;
	return !memcmp(addr, (const uint8_t[]){0x20, 0x01, 0, 2, 0, 0}, 6) || addr[0] == 0xff;
}

static void compare_run(const struct family *f, uint32_t first)
{
	enum lookup_table last = f->family == AF_INET ? LOOKUP_DIR_24_8 : LOOKUP_FIB_LOOKUP;

	for (uint32_t i = 0; i < LOOKUP_RUN; i++) {
		const uint8_t *addr = (const uint8_t *)addresses->addr[first + i];
		uint32_t trie = normal(LOOKUP_LPM_TRIE, found->group[i][LOOKUP_LPM_TRIE]);

		for (enum lookup_table t = 0; t <= last; t++) {
			uint32_t group = normal(t, found->group[i][t]);
			char text[INET6_ADDRSTRLEN];

			if (group == trie || (t == LOOKUP_FIB_LOOKUP && kernels_own(f, addr)))
				continue;
			inet_ntop(f->family, addr, text, sizeof(text));
			bench_fail(0, "WRONG: %s goes to gateway %u by %s, %u by lpm_trie", text,
				   group, table_name[t], trie);
		}
	}
}

static void compare(void)
{
	for (int i = 0; i < 2; i++) {
		struct family *f = &families[i];

		fill(f, BENCH_UNIFORM, 0);
		for (uint32_t first = 0; first < COMPARED; first += LOOKUP_RUN) {
			run(f->family == AF_INET ? programs->progs.compare4
						 : programs->progs.compare6,
			    first, LOOKUP_RUN);
			compare_run(f, first);
		}
		bench_say("%u destinations, %s: the same in all tables", COMPARED, f->name);
	}
}

/* ---- what is measured ---- */

enum mode { DEPENDENT, INDEPENDENT, MODES };
static const char *const mode_name[MODES] = {"dep", "indep"};

/* One row for each table, and its ratio to ours. */
static struct row {
	double ns[LOOKUP_TABLES][BENCH_ROUNDS_MAX];
	double ratio[LOOKUP_TABLES][BENCH_ROUNDS_MAX];
} rows[2][BENCH_HOT + 1][MODES];

/* The program of a table, or NULL; table LOOKUP_TABLES: the one that looks nothing up. */
static struct bpf_program *program_of(int family, int table, enum mode mode)
{
	struct bpf_program *const known[2][LOOKUP_TABLES + 1][MODES] = {
#define PAIR(name) {programs->progs.name##_dep, programs->progs.name##_indep}
		{PAIR(ours4), PAIR(lpm_trie4), PAIR(fib_lookup4), PAIR(dir_24_8), PAIR(nothing4)},
		{PAIR(ours6), PAIR(lpm_trie6), PAIR(fib_lookup6), {NULL}, PAIR(nothing6)},
#undef PAIR
	};

	return known[family][table][mode];
}

/*
 * The caches get what such traffic keeps there, for WARM_NS or for as long as there are addresses; then
 * others are timed.
 */
static double timed(const struct bpf_program *program)
{
	const uint32_t slice = LOOKUP_RUN / 4, last = LOOKUP_LIST - LOOKUP_RUN;
	uint64_t until = bench_now() + WARM_NS;

	for (uint32_t i = 0; i < last && bench_now() < until; i += slice)
		run(program, i, slice);
	return run(program, last, LOOKUP_RUN);
}

static void measure(int family, enum mode mode, struct row *row, size_t round)
{
	double loop = timed(program_of(family, LOOKUP_TABLES, mode));

	for (int table = 0; table < LOOKUP_TABLES; table++) {
		struct bpf_program *program = program_of(family, table, mode);

		if (!program)
			continue;
		row->ns[table][round] = timed(program) - loop;
		row->ratio[table][round] = row->ns[table][round] / row->ns[LOOKUP_OURS][round];
	}
}

static void print_row(const char *prefix, int family, struct row *row)
{
	char key[128];

	for (int table = 0; table < LOOKUP_TABLES; table++) {
		if (!program_of(family, table, DEPENDENT))
			continue;
		snprintf(key, sizeof(key), "%s.%s_ns", prefix, table_name[table]);
		bench_result(key, row->ns[table], options.rounds);
		if (table == LOOKUP_OURS)
			continue;
		snprintf(key, sizeof(key), "%s.vs_%s", prefix, table_name[table]);
		bench_result(key, row->ratio[table], options.rounds);
	}
}

static void for_each_row(size_t round, bool print)
{
	for (int family = 0; family < 2; family++) {
		for (enum bench_destinations which = BENCH_UNIFORM; which <= BENCH_HOT; which++) {
			if (!print)
				fill(&families[family], which, 1 + round);
			for (enum mode mode = 0; mode < MODES; mode++) {
				struct row *row = &rows[family][which][mode];
				char prefix[64];

				snprintf(prefix, sizeof(prefix), "lookup.%s.%s.%s",
					 families[family].name, bench_destination_name[which],
					 mode_name[mode]);
				if (print)
					print_row(prefix, family, row);
				else
					measure(family, mode, row, round);
			}
		}
	}
}

/* ---- memory ---- */

static double map_mib(int fd)
{
	unsigned long long bytes = 0;
	char path[64], text[256];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	file = fopen(path, "re");
	if (!file)
		bench_fail(errno, "cannot read %s", path);
	while (fgets(text, sizeof(text), file) && sscanf(text, "memlock: %llu", &bytes) != 1)
		;
	fclose(file);
	return (double)bytes / MIB;
}

static void print_memory(void)
{
	static const double root4 = FIB4_ROOT_SIZE * 4,
			    root6 = (FIB6_ROOT_SIZE + FIB6_OUTER_SIZE) * 4;
	struct fib_stats stats;

	fib_stats(router.fib, &stats);
	bench_figure("memory.v4.mib",
		     (root4 + (double)(stats.v4_node_bytes + stats.v4_low.used)) / MIB);
	bench_figure("memory.v6.mib", (root6 + (double)stats.v6_node_bytes) / MIB);
	/* one pool for both families, of two halves for compaction */
	bench_figure("memory.mapped_mib",
		     (root4 + root6 + (double)(stats.node.size + stats.v4_low.size)) / MIB);
	bench_figure("memory.lpm_trie.v4.mib", map_mib(families[0].lpm));
	bench_figure("memory.lpm_trie.v6.mib", map_mib(families[1].lpm));
	bench_figure("memory.dir_24_8.v4.mib", map_mib(bpf_map__fd(programs->maps.dir24)) +
						       map_mib(bpf_map__fd(programs->maps.dir8)));
}

int main(int argc, char **argv)
{
	bench_options(&options, argc, argv);
	bench_pin((int)sysconf(_SC_NPROCESSORS_ONLN) - 1);
	set_up();
	compare();
	for (size_t round = 0; round < options.rounds; round++) {
		bench_say("round %zu of %zu", round + 1, options.rounds);
		for_each_row(round, false);
	}
	for_each_row(0, true);
	print_memory();
	lookup_bpf__destroy(programs);
	bench_router_close(&router);
	return 0;
}
