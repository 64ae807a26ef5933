/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A packet, the tables it meets, and what became of it: in the kernel, in the program built natively, and
 * in the opinion of a judge that shares no code with either.
 */
#ifndef TESTS_FUZZ_PACKET_H
#define TESTS_FUZZ_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dplane_ebpf/fib/fib.h"
#include "tests/fuzz/native/program.h"

#define ETHER_HEADER 14u
#define PACKET_MAX 2048u

/* Ends the process with a line unless ok. */
#define must(ok, ...) \
	do { \
		if (!(ok)) \
			packet_wrong(#ok, __VA_ARGS__); \
	} while (0)
void packet_wrong(const char *what, const char *format, ...)
	__attribute__((noreturn, format(printf, 2, 3)));

/* Addresses in network byte order. */
uint16_t get16(const uint8_t *at);
void put16(uint8_t *at, uint16_t value);
/* Of an IPv4 header as long as it says; 0 if it has a right checksum. */
uint16_t checksum4(const uint8_t *ip);

/* ---- packet_tables.c: what the packets meet ---- */

/* One way out, as its next hop is published. */
struct way {
	uint32_t nexthop;
	struct fib_nexthop_key key;
	struct fib_adjacency adjacency;
};

struct ways {
	uint32_t group;
	unsigned int n;
	struct way way[3];
};

struct ingress {
	uint32_t ifindex;
	uint8_t mac[6];
	uint16_t table;
	bool v4, v6;
	uint64_t more; /* of the interface's word */
};

#define INGRESSES 4u
extern struct ingress ingress[INGRESSES];

void tables_open(void);
/* The group of the longest prefix, for what comes in there. */
uint32_t tables_lookup(const struct ingress *from, uint8_t family, const uint8_t *addr);
/* Whether an IPv4 source is one of the router's, for what comes in there. */
bool tables_own_source(const struct ingress *from, const uint8_t *addr);
/* NULL: a verdict, or a group without members. */
const struct ways *tables_ways(uint32_t group);
const struct way *tables_way(uint32_t nexthop);
/* The next hops' numbers are below this. */
uint32_t tables_nexthops(void);
bool tables_neighbour(uint32_t ifindex, uint8_t family, const uint8_t *addr);

/* ---- packets ---- */

struct packet_in {
	const struct ingress *from;
	uint8_t data[PACKET_MAX];
	size_t len;
	uint16_t gso_size;
	size_t linear;	   /* bytes that the program finds readable */
	bool vlan;	   /* tag in the context, as a device takes it out of the packet */
	uint8_t pkt_type;  /* linux/if_packet.h */
	uint16_t protocol; /* as in the context */
};

#define NEXTHOP_NONE UINT32_MAX

struct packet_out {
	int action;
	enum fib_counter counter;
	unsigned int counted; /* counters raised, by how much together */
	uint32_t nexthop;     /* that counted it, or NEXTHOP_NONE */
	unsigned int nexthop_packets;
	uint64_t nexthop_bytes;
	uint8_t data[PACKET_MAX];
	size_t len;
	struct program_effects effects; /* natively only */
};

/* ---- packet_run.c ---- */

/* False: the kernel does not want to run it. */
bool run_kernel(const struct packet_in *in, struct packet_out *out);
void run_native(const struct packet_in *in, struct packet_out *out);
/* Copies the kernel's maps for the native program. */
void run_open(void);

/* ---- packet_judge.c ---- */

void judge(const struct packet_in *in, const struct packet_out *out);

#endif /* TESTS_FUZZ_PACKET_H */
