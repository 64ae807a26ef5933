// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Packets from the fuzzer's bytes through the program, in the kernel and natively: both must do the
 * same, and what the judge says.
 */
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/input.h"
#include "tests/fuzz/packet.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

void packet_wrong(const char *what, const char *format, ...)
{
	va_list args;

	fprintf(stderr, "not so: %s: ", what);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	abort();
}

uint16_t get16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

void put16(uint8_t *at, uint16_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

uint16_t checksum4(const uint8_t *ip)
{
	uint32_t sum = 0;

	for (unsigned int i = 0; i < (ip[0] & 15u) * 4; i += 2)
		sum += get16(ip + i);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* As the kernel's eth_type_trans() tells it from the frame. */
static void classify(struct packet_in *in)
{
	static const uint8_t all[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
	uint16_t type = get16(in->data + 12);

	in->pkt_type = !memcmp(in->data, in->from->mac, 6) ? PACKET_HOST
		       : !memcmp(in->data, all, 6)	   ? PACKET_BROADCAST
		       : in->data[0] & 1		   ? PACKET_MULTICAST
							   : PACKET_OTHERHOST;
	if (type < ETH_P_802_3_MIN)
		type = in->len >= 16 && get16(in->data + 14) == 0xffff ? ETH_P_802_3 : ETH_P_802_2;
	in->protocol = type;
}

/* Returns whether the kernel's test run can be told all of it. */
static bool decode(struct packet_in *in, const uint8_t *data, size_t size)
{
	struct input bytes = {data, data + size};
	uint8_t how = take8(&bytes), type = take8(&bytes), fill;
	uint16_t gso = take16(&bytes), linear = take8(&bytes);
	size_t given;

	fill = take8(&bytes);
	given = (size_t)(bytes.end - bytes.at);
	memset(in, 0, sizeof(*in));
	in->from = &ingress[how % INGRESSES];
	memcpy(in->data, in->from->mac, 6);
	if (how & 4)
		in->data[5] ^= how & 8 ? 1 : 0;
	if ((how & 12) == 12)
		memset(in->data, how & 16 ? 0xff : 0x33, 6);
	memcpy(in->data + 6, (const uint8_t[6]){2, 0x99, 0x88, 0x77, 0x66, 0x55}, 6);
	if (given > PACKET_MAX - 12)
		given = PACKET_MAX - 12;
	in->len = 12 + (given < 2 ? 2 : given) + 8u * fill;
	if (in->len > PACKET_MAX)
		in->len = PACKET_MAX;
	memcpy(in->data + 12, bytes.at, given);
	/* long packets from few bytes */
	for (size_t i = 12 + given; i < in->len; i++)
		in->data[i] = (uint8_t)(i * 7);
	/* half of the segments about as long as the way out allows */
	if (gso & 0x8000)
		gso = (uint16_t)(1500 - (gso & 63) - (gso & 64 ? 0 : 20));
	in->gso_size = how & 32 ? gso : 0;
	in->linear = how & 64 ? ETHER_HEADER + linear : in->len;
	if (in->linear > in->len)
		in->linear = in->len;
	classify(in);
	if (!(how & 128))
		return true;
	in->vlan = type & 1;
	in->pkt_type = type >> 1 & 7;
	in->protocol = type & 128 ? get16(in->data + 12) : in->protocol;
	return false;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	tables_open();
	run_open();
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct packet_out native, kernel;
	static struct packet_in in;
	bool kernel_can = decode(&in, data, size);

	run_native(&in, &native);
	judge(&in, &native);
	if (!kernel_can || !run_kernel(&in, &kernel))
		return 0;
	must(kernel.action == native.action, "action %d in the kernel, %d natively", kernel.action,
	     native.action);
	must(kernel.counted == native.counted && kernel.counter == native.counter,
	     "counter %d in the kernel, %d natively", kernel.counter, native.counter);
	must(kernel.nexthop == native.nexthop && kernel.nexthop_bytes == native.nexthop_bytes &&
		     kernel.nexthop_packets == native.nexthop_packets,
	     "next hop %d in the kernel, %d natively", (int)kernel.nexthop, (int)native.nexthop);
	must(kernel.len == native.len && !memcmp(kernel.data, native.data, native.len),
	     "other bytes in the kernel");
	return 0;
}
