// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The FIB's operations from the fuzzer's bytes, against the model: routes that meet, no room, no
 * memory, grace periods, and readers that stop halfway while the tables change under them.
 */
#include <errno.h>
#include <sys/socket.h>

#include "tests/fuzz/fib_operations.h"
#include "tests/fuzz/native/lookup.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define WALK_ONE_IN 64u
#define COMPACT_ONE_IN 16u

struct input in;

/*
 * What takes milliseconds only a few of the inputs do. To run out of memory is up to the input: that
 * FIB is made anew. To walk is not: all that routes do shows in a walk's coverage too, and every new input would walk.
 */
static bool may_run_out, may_walk, may_compact;

bool no_memory(int err)
{
	bool failed = allocate_fail(0);

	model->out_of_memory |= failed;
	must(err != -ENOMEM || failed, "out of memory without reason");
	return err == -ENOMEM;
}

uint32_t take_group(void)
{
	uint8_t byte = take8(&in);

	if (byte < 16)
		return byte;
	for (uint32_t i = 0, id = byte; i < model->geometry.groups; i++, id++) {
		id %= model->geometry.groups;
		if (model->group[id].used)
			return id;
	}
	return byte;
}

static void check_everything(void)
{
	routes_check();
	groups_check();
	if (may_walk) {
		may_walk = false;
		for (unsigned int i = 0; i < MODEL_TABLES; i++) {
			model_check_walk(model->table[i], AF_INET);
			model_check_walk(model->table[i], AF_INET6);
		}
	}
}

void operation(void)
{
	struct fib_prefix prefix;

	switch (take8(&in) % 32) {
	case 0 ... 7:
		route_set();
		break;
	case 8 ... 11:
		route_delete();
		break;
	case 12:
	case 13:
		route_delete_known();
		break;
	case 14:
		local_add();
		break;
	case 15:
		local_delete();
		break;
	case 16:
		prefix = take_prefix();
		model_check_covering(&prefix);
		break;
	case 17:
		group_new();
		break;
	case 18:
		group_change();
		break;
	case 19:
		group_drop(take_group());
		break;
	case 20:
		nexthop_resolve();
		break;
	case 21:
		grace_begin();
		break;
	case 22:
		grace_end();
		break;
	case 23 ... 25:
		reader();
		break;
	case 26:
		check_everything();
		break;
	case 27:
		batch_begin();
		break;
	case 28:
		batch_end();
		break;
	case 29:
		table_clear();
		break;
	case 30:
		if (may_compact) {
			may_compact = false;
			compact();
		} else {
			link_change();
		}
		break;
	case 31:
		if (may_run_out)
			allocate_fail(take8(&in) % 8);
		break;
	}
}

/* True for one in n of all inputs, and for the same ones always. */
static bool chance(const uint8_t *data, size_t size, uint32_t n)
{
	uint64_t hash = 14695981039346656037ull;

	for (size_t i = 0; i < size; i++)
		hash = (hash ^ data[i]) * 1099511628211ull;
	return (hash ^ hash >> 32) % n == 0;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	/* of making a FIB there is nothing to fuzz: each of its allocations fails once */
	for (unsigned int n = 1; model_without_memory(n); n++)
		;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	in = (struct input){data, data + size};
	routes_begin();
	model_open(take8(&in) % MODEL_GEOMETRIES);
	may_run_out = take8(&in) >= 224;
	may_walk = chance(data, size, WALK_ONE_IN);
	may_compact = chance(data, size, COMPACT_ONE_IN);
	reader_open(&model->memory, &model->geometry);
	while (input_left(&in))
		operation();
	allocate_fail(0);
	routes_end();
	groups_end();
	/* what was retired before the last one began, and what after */
	grace_end();
	grace_begin();
	grace_end();
	model_close();
	return 0;
}
