// SPDX-License-Identifier: GPL-2.0-or-later
/* The reader's addresses and its thread. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "bench/reader.h"
#include "bench/reader.skel.h"

#define CPU 0
/* Every so many prefixes one moves. */
#define MOVES 3

struct reader {
	struct reader_bpf *bpf;
	struct reader_list *list;
	uint32_t *moving;
	size_t n_moving;
	pthread_t thread;
	atomic_bool stop;
	uint64_t began;
};

static uint32_t host_order(const uint8_t *addr)
{
	return (uint32_t)addr[0] << 24 | (uint32_t)addr[1] << 16 | (uint32_t)addr[2] << 8 | addr[3];
}

static int by_address(const void *a, const void *b)
{
	const struct bench_prefix *x = a, *y = b;
	int order = memcmp(x->prefix.addr, y->prefix.addr, sizeof(x->prefix.addr));

	return order ? order : x->prefix.len - y->prefix.len;
}

/* The prefix that an address belongs to, as an index in the table; false: to none. */
static bool owner_of(struct bench_router *router, const struct bench_table *table,
		     const uint8_t addr[16], size_t *index)
{
	struct fib_prefix host = {.family = AF_INET, .len = 32};
	struct bench_prefix key = {0};
	const struct bench_prefix *found;

	memcpy(host.addr, addr, 4);
	if (!fib_route_covering(router->fib, &host, &key.prefix))
		return false;
	found = bsearch(&key, table->list, table->n, sizeof(key), by_address);
	if (found)
		*index = (size_t)(found - table->list);
	return found;
}

static void fill(struct reader *reader, struct bench_router *router,
		 const struct bench_table *table)
{
	struct reader_list *list = reader->list =
		mmap(NULL, sizeof(*list), PROT_READ | PROT_WRITE, MAP_SHARED,
		     bpf_map__fd(reader->bpf->maps.reader_list), 0);
	uint8_t addr[1024][16];
	uint64_t seed = 11;
	size_t n = 0, index;

	if (list == MAP_FAILED)
		bench_fail(errno, "cannot map the reader's addresses");
	while (n < READER_LIST) {
		bench_destinations(table, BENCH_UNIFORM, bench_random(&seed), addr, 1024);
		for (size_t i = 0; i < 1024 && n < READER_LIST; i++) {
			if (!owner_of(router, table, addr[i], &index) || index % MOVES == 0)
				continue;
			list->addr[n] = host_order(addr[i]);
			list->group[n++] =
				(uint16_t)router->group[bench_group(&table->list[index])];
		}
	}
}

struct reader *reader_new(struct bench_router *router, const struct bench_table *table)
{
	struct reader *reader = calloc(1, sizeof(*reader));

	if (reader)
		reader->moving = calloc(table->n / MOVES + 1, sizeof(*reader->moving));
	if (!reader || !reader->moving)
		bench_fail(ENOMEM, "the reader");
	for (size_t i = 0; i < table->n; i += MOVES)
		reader->moving[reader->n_moving++] = (uint32_t)i;
	reader->bpf = reader_bpf__open();
	if (!reader->bpf)
		bench_fail(errno, "cannot open the reader's program");
	reader->bpf->rodata->bounds.node =
		2 * (uint64_t)datapath_geometry(router->datapath)->node_bytes - 1;
	reader->bpf->rodata->bounds.v4_low =
		(uint64_t)datapath_geometry(router->datapath)->v4_low_blocks * FIB4_LOW_SIZE - 1;
	bench_router_share(router, reader->bpf->obj);
	if (reader_bpf__load(reader->bpf))
		bench_fail(errno, "cannot load the reader's program");
	fill(reader, router, table);
	return reader;
}

void reader_free(struct reader *reader)
{
	munmap(reader->list, sizeof(*reader->list));
	reader_bpf__destroy(reader->bpf);
	free(reader->moving);
	free(reader);
}

const uint32_t *reader_addresses(const struct reader *reader)
{
	return reader->list->addr;
}

const uint32_t *reader_moving(const struct reader *reader, size_t *n)
{
	*n = reader->n_moving;
	return reader->moving;
}

static void *run(void *arg)
{
	static const uint8_t frame[64];
	struct reader *reader = arg;

	bench_pin(CPU);
	while (!reader->stop) {
		LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame,
			    .data_size_in = sizeof(frame), .repeat = 4);

		if (bpf_prog_test_run_opts(bpf_program__fd(reader->bpf->progs.reader), &options) ||
		    options.retval)
			bench_fail(errno, "the reader");
	}
	return NULL;
}

void reader_start(struct reader *reader)
{
	int err;

	reader->bpf->bss->lookups = reader->bpf->bss->wrong = 0;
	reader->stop = false;
	reader->began = bench_now();
	err = pthread_create(&reader->thread, NULL, run, reader);
	if (err)
		bench_fail(err, "cannot start the reader");
}

uint64_t reader_lookups(const struct reader *reader)
{
	return __atomic_load_n(&reader->bpf->bss->lookups, __ATOMIC_RELAXED);
}

struct reader_result reader_stop(struct reader *reader)
{
	struct reader_result result;

	reader->stop = true;
	pthread_join(reader->thread, NULL);
	result.lookups = reader->bpf->bss->lookups;
	result.wrong = reader->bpf->bss->wrong;
	result.per_s = (double)result.lookups * 1e9 / (double)(bench_now() - reader->began);
	return result;
}
