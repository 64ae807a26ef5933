// SPDX-License-Identifier: GPL-2.0-or-later
/* What a router's choice among the members of a group begins with: its own, and the same after each restart. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "dplane_ebpf/datapath/datapath.h"

/* A number that differs in one bit gives one that differs in half of them (the end of MurmurHash3). */
static uint64_t mixed(uint64_t x)
{
	x ^= x >> 33;
	x *= 0xff51afd7ed558ccdull;
	x ^= x >> 33;
	x *= 0xc4ceb9fe1a85ec53ull;
	return x ^ x >> 33;
}

/* FNV-1a, with the text's end, so that "a" and "bc" are not "ab" and "c". */
static uint64_t add_text(uint64_t hash, const char *text)
{
	do
		hash = (hash ^ (uint8_t)*text) * 0x100000001b3ull;
	while (*text++);
	return hash;
}

uint64_t datapath_seed_of(const char *machine, const char *host, const char *instance)
{
	uint64_t hash = 0xcbf29ce484222325ull;

	hash = add_text(hash, machine);
	hash = add_text(hash, host);
	return mixed(add_text(hash, instance));
}

uint64_t datapath_seed_here(const char *instance)
{
	static const char *const files[] = {"/etc/machine-id", "/var/lib/dbus/machine-id"};
	char machine[64] = "", host[256] = "";

	/* without one the name has to do */
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]) && !machine[0]; i++) {
		FILE *file = fopen(files[i], "re");

		if (file && !fgets(machine, sizeof(machine), file))
			machine[0] = '\0';
		if (file)
			fclose(file);
	}
	gethostname(host, sizeof(host) - 1);
	return datapath_seed_of(machine, host, instance);
}

uint64_t datapath_seed_number(uint64_t number)
{
	/* 0 would stay 0 */
	return mixed(number + 1);
}
