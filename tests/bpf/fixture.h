/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A loaded program with a FIB, packets, and what must have become of them. Everything runs in a
 * network namespace and a mount namespace of the test's own.
 */
#ifndef TESTS_BPF_FIXTURE_H
#define TESTS_BPF_FIXTURE_H

#include <check.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include "dplane_ebpf/datapath/datapath.h"
#include "dplane_ebpf/fib/fib.h"

/* ---- the bed: two pairs of interfaces, a program, tables ---- */

/* "in" and "out" are the router's ends, "in-peer" and "out-peer" the ends of who talks to it. */
struct bed {
	uint32_t in, out, in_peer, out_peer;
	uint8_t in_mac[6], out_mac[6], in_peer_mac[6], out_peer_mac[6];
	struct datapath *datapath;
	struct fib *fib;
};

extern struct bed bed;
extern const struct fib_geometry small_geometry;

/* Once a process: the namespaces and the interfaces. */
void bed_make_network(void);
/* Checked fixture: a program and empty tables, forwarding both families at "in". */
void bed_setup(void);
void bed_teardown(void);

/* The kernel detaches what was let go of in its own time. */
#define expect_soon(condition) \
	do { \
		for (int ms_ = 0; ms_ < 5000 && !(condition); ms_++) \
			usleep(1000); \
		ck_assert_msg(condition, "in vain: %s", #condition); \
	} while (0)

/* Runs a shell command that must succeed. */
void shell(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ---- routes ---- */

/* "10.0.0.0/8" or "2001:db8::/32". */
struct fib_prefix prefix_of(const char *text);
void route(const char *prefix, uint32_t group);

/* A next hop on "out" with this gateway ("" for none), in a group of its own. */
struct hop {
	uint32_t group;
	uint32_t nexthop;
	struct fib_nexthop_key key;
};
struct hop hop_new(const char *gate, uint8_t action, uint16_t mtu);
void hop_publish(const struct hop *hop, uint8_t action, uint16_t mtu, bool down);
uint32_t nexthop_number(const struct fib_nexthop_key *key);

/* MAC addresses that a FIB_NH_REWRITE next hop writes. */
extern const uint8_t gateway_mac[6], egress_mac[6];

/* ---- packets ---- */

#define FRAME_MAX 3072

struct frame {
	uint8_t data[FRAME_MAX];
	size_t len;
	uint32_t gso_size; /* 0: an ordinary packet */
	uint32_t mark;	   /* of the skb */
};

struct spec {
	const char *src, *dst; /* NULL: 10.1.1.1 and 10.2.2.2, 2001:db8:1::1 and 2001:db8:2::2 */
	const uint8_t *mac;    /* destination; NULL: "in"'s */
	uint8_t ttl;	       /* 0: 64, for a TTL of 0 write it afterwards */
	uint8_t protocol;      /* 0: UDP */
	uint8_t ihl;	       /* 0: 5 */
	uint16_t id, fragment; /* fragment: the header's field */
	uint32_t label;	       /* of an IPv6 flow */
	uint16_t sport, dport; /* 0: 1000 and 2000 */
	size_t payload;	       /* bytes behind the transport header */
};

/* An IPv4 or IPv6 packet with a right checksum; a TCP header has tcp_words words (NULL spec: all default). */
void frame4(struct frame *frame, const struct spec *spec);
void frame6(struct frame *frame, const struct spec *spec);
/* Compute the IPv4 header checksum anew. */
void frame_checksum4(struct frame *frame);

#define FRAME4(frame, ...) frame4(frame, &(const struct spec){__VA_ARGS__})
#define FRAME6(frame, ...) frame6(frame, &(const struct spec){__VA_ARGS__})

#define ETHER_LEN 14

/* ---- runs ---- */

struct result {
	int action;
	enum fib_counter counter; /* the one that rose; FIB_CNT_MAX: none or several did */
	uint32_t nexthop;	  /* the one that rose; UINT32_MAX: none */
	uint64_t nexthop_bytes;	  /* by how much */
	bool several;		  /* more than one counter, or one by more than one */
	uint32_t priority;
	struct frame out;
};

/* Run the program once for a frame that came in by an interface. */
void run_at(uint32_t ifindex, const struct frame *frame, struct result *result);

/*
 * Run a frame and compare everything: action, bytes, counter. Forwarded packets are expected by
 * next hop `nexthop`, with the bytes computed here from the frame.
 */
void expect_at(uint32_t ifindex, const char *what, const struct frame *frame,
	       enum fib_counter counter, uint32_t nexthop);
void expect(const char *what, const struct frame *frame, enum fib_counter counter,
	    uint32_t nexthop);
#define NO_NEXTHOP UINT32_MAX

/* ---- suites ---- */

TCase *packet4_tests(void);
TCase *packet6_tests(void);
TCase *nexthop_tests(void);
TCase *ecmp_tests(void);
TCase *ecmp_row_tests(void);
TCase *icmp_quote_tests(void);
TCase *lookup_tests(void);
TCase *local_tests(void);
TCase *datapath_tests(void);
TCase *pins_tests(void);
TCase *predecessor_tests(void);
TCase *pressure_tests(void);
TCase *replace_tests(void);
TCase *wire_tests(void);

#endif /* TESTS_BPF_FIXTURE_H */
