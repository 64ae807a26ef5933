/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The witness's datagrams, and what became of them. */
#ifndef DPLANE_EBPF_TESTS_ACCOUNT_H
#define DPLANE_EBPF_TESTS_ACCOUNT_H

#include <stdbool.h>
#include <stdint.h>

#define MAX_FLOWS 1024
#define MAGIC 0x77697473u

struct datagram {
	uint32_t magic;
	uint32_t flow;
	uint32_t sequence; /* from 0 */
	uint32_t flows;	   /* how many there are */
	uint64_t sent_ns;
};

/* How a datagram came. Times are CLOCK_MONOTONIC's. */
struct arrival {
	uint64_t stamp_ns; /* when the kernel had it */
	uint64_t read_ns;  /* when we had it */
	int ttl, ifindex;
};

/* late_ns: what takes longer is late. ttl: what comes with another is counted; 0 for none. Returns false without memory. */
bool account_init(uint64_t late_ns, int ttl);

/* Counts a datagram. Returns false if it is none of ours. */
bool account_note(const struct datagram *d, const struct arrival *arrival);

/* Prints all of it as a line of JSON. overflow: datagrams that the receiver had no room for. */
void account_report(uint32_t overflow);

#endif /* DPLANE_EBPF_TESTS_ACCOUNT_H */
