// SPDX-License-Identifier: GPL-2.0-or-later
/* Mutations that know what a packet is: without them nearly all would fail at the first check. */
#include <stdint.h>
#include <string.h>

#include "tests/fuzz/packet.h"

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed);

/* Bytes before the Ethernet type: see decode() in fuzz_packet.c. The last says how much is filled in. */
#define CONTEXT 6u
#define LEAST (CONTEXT + 2 + 20)

static uint32_t state;

static uint32_t dice(uint32_t sides)
{
	state = state * 1664525u + 1013904223u;
	return (state >> 8) % sides;
}

static const uint8_t protocols[] = {6, 17, 17, 132, 1, 58, 0, 44};

static size_t template4(uint8_t *ip)
{
	static const uint8_t udp[28] = {0x45, 0, 0,  0, 0, 0, 0, 0, 64, 17, 0, 0, 10, 99,
					1,    1, 10, 0, 0, 1, 4, 0, 8,	0,  0, 8, 0,  0};

	memcpy(ip, udp, sizeof(udp));
	return sizeof(udp);
}

static size_t template6(uint8_t *ip)
{
	static const uint8_t udp[48] = {
		0x60, 0,	0,	     0, 0,    8,    17,	      64, 0x20, 1, 0x0d, 0xb8, 0,
		0x99, [23] = 1, [24] = 0x20, 1, 0x0d, 0xb8, [39] = 1, 4,  0,	8, 0,	 0,    8};

	memcpy(ip, udp, sizeof(udp));
	return sizeof(udp);
}

static void change4(uint8_t *ip)
{
	if (dice(3)) {
		ip[16] = 10;
		ip[17] = (uint8_t)dice(15);
		ip[18] = (uint8_t)dice(2);
		ip[19] = (uint8_t)(dice(2) ? dice(9) : dice(256));
	}
	if (!dice(8))
		memcpy(ip + 12, (const uint8_t[]){10, 0, 0, (uint8_t)dice(9)}, 4);
	if (!dice(3))
		ip[0] = 0x45;
	if (!dice(4))
		ip[8] = (uint8_t)dice(4);
	if (!dice(4))
		ip[9] = protocols[dice(sizeof(protocols))];
	if (!dice(6))
		put16(ip + 6, (uint16_t)(dice(2) ? 0x2000 : dice(8)));
}

static void change6(uint8_t *ip)
{
	static const uint8_t prefix[] = {0x20, 1, 0x0d, 0xb8, 0};

	if (dice(3)) {
		memcpy(ip + 24, prefix, sizeof(prefix));
		ip[29] = (uint8_t)dice(15);
		memset(ip + 30, 0, 9);
		ip[39] = (uint8_t)dice(9);
	}
	if (!dice(3))
		ip[0] = 0x60 | ip[0] >> 4;
	if (!dice(4))
		ip[7] = (uint8_t)dice(4);
	if (!dice(4))
		ip[6] = protocols[dice(sizeof(protocols))];
}

/* What an honest sender fills in last. */
static void repair(uint8_t *data, size_t size)
{
	uint8_t *ip = data + CONTEXT + 2;
	size_t there = size - CONTEXT - 2, whole = there + 8u * data[CONTEXT - 1];

	if (ip[0] >> 4 == 4 && (ip[0] & 15) * 4u <= there) {
		if (dice(2))
			put16(ip + 2, (uint16_t)(whole - (dice(4) ? 0 : dice(9))));
		put16(ip + 10, 0);
		put16(ip + 10, checksum4(ip));
	} else if (ip[0] >> 4 == 6 && there >= 40) {
		put16(ip + 4, (uint16_t)(whole - 40 - (dice(4) || whole < 49 ? 0 : dice(9))));
	}
}

/* About as long as the ways out allow. */
static void fill(uint8_t *data, size_t size)
{
	size_t wanted = (dice(2) ? 1500 : 100) + 2 + CONTEXT;

	data[CONTEXT - 1] = (uint8_t)(wanted > size ? (wanted - size) / 8 + dice(2) : 0);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
	uint8_t *type = data + CONTEXT, *ip = type + 2;

	state = seed;
	if (max_size >= CONTEXT + 2 + 48 && (size < LEAST || !dice(32))) {
		bool v6 = dice(2);

		memset(data, 0, CONTEXT);
		put16(type, v6 ? 0x86dd : 0x0800);
		size = CONTEXT + 2 + (v6 ? template6(ip) : template4(ip));
	} else if (dice(4)) {
		size = LLVMFuzzerMutate(data, size, max_size);
	}
	if (size < LEAST)
		return size;
	if (!dice(8))
		put16(type, ip[0] >> 4 == 6 ? 0x86dd : 0x0800);
	if (!dice(8))
		fill(data, size);
	if (!dice(8))
		data[0] = (uint8_t)(dice(2) ? dice(256) : dice(4));
	if (dice(2) && get16(type) == 0x0800)
		change4(ip);
	else if (dice(2) && get16(type) == 0x86dd && size >= CONTEXT + 2 + 40)
		change6(ip);
	if (dice(4))
		repair(data, size);
	return size;
}
