/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The fast half of the differential test: for random packets, what the kernel says and what the program says. It knows
 * nothing of the module but the pinned program and the maps that tell which next hop was taken.
 *
 * One thread, on one CPU. Whatever should work and does not ends the process with a line on stderr.
 */
#ifndef TESTS_DIFFER_DIFFER_H
#define TESTS_DIFFER_DIFFER_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define MAX_FRAME 128
#define MAX_WAYS 64

/* Prints a line on stderr, with errno's text where error is not 0, and exits. */
void fail(int error, const char *format, ...) __attribute__((noreturn, format(printf, 2, 3)));

/* ---- packets (packet.c) ---- */

struct packet {
	uint32_t ifindex; /* that it comes in by */
	uint8_t family;
	uint8_t tos;	  /* or traffic class */
	uint8_t protocol; /* IPPROTO_UDP, _TCP, _ICMP (echo request), _ICMPV6 (neighbour solicitation) */
	uint8_t src[16], dst[16];
	uint16_t sport, dport; /* host order; 0 where there are none */
};

size_t address_length(uint8_t family);
/* Returns the frame's length. mac: of the interface that it comes in by. */
size_t packet_frame(const struct packet *packet, const uint8_t mac[6], uint8_t frame[MAX_FRAME]);
/* "e0 192.0.2.1 198.18.0.1 0x10 udp 1000 2000", and back; packet_parse() says false of anything else. */
void packet_print(FILE *out, const struct packet *packet);
bool packet_parse(const char *text, struct packet *packet);

/* Pools to choose from, and a packet chosen. */
void pool_clear(void);
bool pool_add(const char *what, const char *text); /* what: "dst", "src", "iif", "host" */
void pool_resolve(void);			   /* interfaces by their names as they are now */
bool pool_packet(uint64_t *random, struct packet *packet);

/* ---- the kernel (kernel.c, knowledge.c) ---- */

/* Where a packet goes: an interface, and a gateway there or (family 0) the destination itself. */
struct way {
	uint32_t ifindex;
	uint8_t family;
	uint8_t gate[16];
	bool encap;
};

struct kernel_answer {
	int error;    /* errno, 0 for none */
	uint8_t type; /* RTN_*, where there is no error */
	struct way way;
	const char *
		refuses; /* what of the input or forwarding path, beyond the route, refuses it; NULL: nothing */
};

bool way_same(const struct way *a, const struct way *b);

void kernel_open(void);
void kernel_ask(const struct packet *packet, struct kernel_answer *answer);
/*
 * The ways that the kernel has for flows that differ in nothing but their ports; returns their number, at most MAX_WAYS.
 * RTM_F_FIB_MATCH is not asked: with next-hop objects, Linux answers for IPv6 with any route that shares one.
 */
size_t kernel_ways(const struct packet *packet, struct way ways[MAX_WAYS]);

/* Neighbours, links and sysctls, read once for many packets: what else the kernel's answer depends on. */
void knowledge_read(void);
const uint8_t *knowledge_mac(uint32_t ifindex); /* NULL: no such link, or none with MAC addresses */
bool knowledge_up(uint32_t ifindex);
bool knowledge_own4(const uint8_t *address); /* an IPv4 address of the router's */
/* NULL: the kernel does not know the neighbour's MAC address, or not any more. */
const uint8_t *knowledge_neighbour(uint32_t ifindex, uint8_t family, const uint8_t *address);
const uint8_t *
knowledge_proxied(uint64_t random); /* any address of a proxied neighbour; NULL: there is none */
/* What ip6_forward() refuses that RTM_GETROUTE does not tell of; NULL: nothing. */
const char *knowledge_refuses6(const struct packet *packet);

/* The second witness (program.c): BPF_FIB_LKUP_RET_*, and where that is a success or a neighbour is lacking, the way. */
struct witness_answer {
	long outcome;
	struct way way;
	uint8_t dst_mac[6], src_mac[6];
};
void witness_ask(const struct packet *packet, struct witness_answer *answer);

/* ---- the program (program.c) ---- */

enum fate {
	FATE_KERNEL,
	FATE_DROP,
	FATE_SENT,	/* MAC addresses written */
	FATE_NEIGHBOUR, /* MAC addresses left to the kernel */
	FATE_ODD, /* what must not be: an action or a counter that the program does not have */
};

struct program_answer {
	enum fate fate;
	const char *reason; /* the counter that rose */
	struct way way;
	uint32_t nexthop;
	const char *damaged; /* what of the frame is not as it must be; NULL: all is */
	uint8_t dst_mac[6], src_mac[6];
};

void program_open(const char *pins);
void program_ask(const struct packet *packet, struct program_answer *answer);

/* ---- both (compare.c) ---- */

/* Classes of what was compared, for the sums. */
#define CLASSES(X) \
	X(SAME, "same way") \
	X(MEMBER, "another member of the same route") \
	X(NEIGHBOUR, "same way, MAC address by the kernel") \
	X(DROP, "dropped by both") \
	X(LEFT, "left to the kernel, which forwards it") \
	X(LEFT_OTHER, "left to the kernel, which does not") \
	X(DIFFERENT, "different")

enum verdict {
#define X(e, n) VERDICT_##e,
	CLASSES(X)
#undef X
		VERDICT_MAX,
};

extern const char *const verdict_names[VERDICT_MAX];

struct comparison {
	struct program_answer program;
	struct kernel_answer kernel;
	struct witness_answer witness;
	enum verdict verdict;
	const char *why; /* it is VERDICT_DIFFERENT */
};

void compare(const struct packet *packet, struct comparison *comparison);
/* The same, where the program's answer is known. */
void compare_answer(const struct packet *packet, const struct program_answer *program,
		    struct comparison *comparison);
/* One JSON object. */
void comparison_print(FILE *out, const struct packet *packet, const struct comparison *comparison);

#endif /* TESTS_DIFFER_DIFFER_H */
