// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the module's program does with a packet: the pinned program itself is run on the frame, as if it had come in by
 * the interface. Which next hop was taken is told by the counters of next hops, the first byte to the last by the frame.
 * The second witness is run here too.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/pkt_cls.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "bpf/layout.h"
#include "tests/differ/differ.h"
#include "tests/differ/fib_lookup.skel.h"

static struct {
	int program;
	struct {
		void *at;
		size_t size;
	} mapped[4];
	size_t mapped_count;
	const struct fib_header *header;
	const struct fib_nexthop *nexthops;
	/* this CPU's rows: the process stays on it */
	const __u64 *counters;
	const struct fib_nexthop_counters *nexthop_counters;
	struct fib_nexthop_counters *seen; /* as they were after the last packet */
} ours = {.program = -1};

static struct fib_lookup_bpf *witness;

/* ---- pins ---- */

static int open_pin(const char *pins, const char *name)
{
	char path[512];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", pins, name);
	fd = bpf_obj_get(path);
	if (fd < 0)
		fail(errno, "cannot open %s", path);
	return fd;
}

static const void *map_pin(const char *pins, const char *name)
{
	struct bpf_map_info info = {0};
	uint32_t length = sizeof(info);
	int fd = open_pin(pins, name);
	void *at;

	if (bpf_obj_get_info_by_fd(fd, &info, &length))
		fail(errno, "cannot ask about %s/%s", pins, name);
	at = mmap(NULL, info.value_size, PROT_READ, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED)
		fail(errno, "cannot map %s/%s", pins, name);
	close(fd);
	ours.mapped[ours.mapped_count].at = at;
	ours.mapped[ours.mapped_count++].size = info.value_size;
	return at;
}

static void close_ours(void)
{
	while (ours.mapped_count) {
		ours.mapped_count--;
		munmap(ours.mapped[ours.mapped_count].at, ours.mapped[ours.mapped_count].size);
	}
	free(ours.seen);
	if (ours.program >= 0)
		close(ours.program);
}

static uint32_t nexthop_count(void)
{
	return ours.header->geometry.nexthops;
}

void program_open(const char *pins)
{
	const struct fib_cpu_counters *counters;
	const struct fib_nexthop_counters *rows;
	size_t cpu = sched_getcpu(), row;

	close_ours();
	ours.program = open_pin(pins, "program");
	ours.header = map_pin(pins, "fib_header");
	if (ours.header->magic != FIB_MAGIC || ours.header->layout_version != FIB_LAYOUT_VERSION)
		fail(0, "the tables below %s are of another layout than this test", pins);
	ours.nexthops = map_pin(pins, "fib_nexthop");
	counters = map_pin(pins, "counters");
	ours.counters = counters[cpu].packets;
	rows = map_pin(pins, "nexthop_counters");
	ours.nexthop_counters = rows + cpu * nexthop_count();
	row = nexthop_count() * sizeof(*rows);
	ours.seen = malloc(row);
	if (!ours.seen)
		fail(errno, "no memory");
	memcpy(ours.seen, ours.nexthop_counters, row);
	if (!witness) {
		witness = fib_lookup_bpf__open_and_load();
		if (!witness)
			fail(errno, "cannot load the witness");
	}
}

/* ---- running ---- */

/* The next hop whose counter rose by one, UINT32_MAX: none, or more than one. */
static uint32_t risen(void)
{
	const struct fib_nexthop_counters *now = ours.nexthop_counters;
	uint32_t found = UINT32_MAX, count = 0;

	for (uint32_t n = 0; n < nexthop_count(); n++) {
		uint64_t packets = now[n].packets;

		if (packets == ours.seen[n].packets)
			continue;
		if (packets == ours.seen[n].packets + 1) {
			found = n;
			count++;
		}
		ours.seen[n].packets = packets;
	}
	return count == 1 ? found : UINT32_MAX;
}

static const char *risen_counter(const uint64_t before[FIB_CNT_MAX])
{
	static const char *const names[] = {
#define X(e, n, h) [FIB_CNT_##e] = n,
		FIB_COUNTERS(X)
#undef X
	};
	const char *name = NULL;

	for (int i = 0; i < FIB_CNT_MAX; i++) {
		if (ours.counters[i] == before[i])
			continue;
		if (name || ours.counters[i] != before[i] + 1)
			return "several";
		name = names[i];
	}
	return name ? name : "none";
}

/* What a router must do to a frame beyond its MAC addresses: one hop less, and the checksum that goes with it. */
static void forwarded(uint8_t *frame, uint8_t family)
{
	uint8_t *ip = frame + 14;
	uint32_t sum = 0;

	if (family == AF_INET6) {
		ip[7]--;
		return;
	}
	ip[8]--;
	ip[10] = ip[11] = 0;
	for (int i = 0; i < 20; i += 2)
		sum += ip[i] << 8 | ip[i + 1];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	ip[10] = ~sum >> 8;
	ip[11] = ~sum;
}

static const char *damage(const struct program_answer *answer, const struct packet *packet,
			  const uint8_t *in, const uint8_t *out, size_t length, size_t out_length)
{
	uint8_t wanted[MAX_FRAME];
	size_t from = 0;

	memcpy(wanted, in, length);
	if (answer->fate == FATE_SENT || answer->fate == FATE_NEIGHBOUR)
		forwarded(wanted, packet->family);
	if (answer->fate == FATE_SENT)
		from = 12;
	if (out_length != length)
		return "the frame's length";
	return memcmp(wanted + from, out + from, length - from) ? "the frame's bytes" : NULL;
}

static void read_way(struct program_answer *answer)
{
	const struct fib_nexthop *nexthop;

	answer->nexthop = risen();
	if (answer->nexthop == UINT32_MAX) {
		answer->fate = FATE_ODD;
		return;
	}
	nexthop = &ours.nexthops[answer->nexthop];
	answer->way.ifindex = nexthop->ifindex;
	answer->way.family = nexthop->family;
	memcpy(answer->way.gate, nexthop->gate, 16);
}

void program_ask(const struct packet *packet, struct program_answer *answer)
{
	static const uint8_t none[6];
	const uint8_t *mac = knowledge_mac(packet->ifindex);
	uint8_t in[MAX_FRAME], out[MAX_FRAME * 2];
	struct __sk_buff skb = {.ifindex = packet->ifindex};
	uint64_t before[FIB_CNT_MAX];
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = in, .data_out = out,
		    .data_size_out = sizeof(out), .ctx_in = &skb, .ctx_size_in = sizeof(skb),
		    .repeat = 1);

	memset(answer, 0, sizeof(*answer));
	options.data_size_in = packet_frame(packet, mac ? mac : none, in);
	memcpy(before, ours.counters, sizeof(before));
	if (bpf_prog_test_run_opts(ours.program, &options)) {
		answer->fate = FATE_KERNEL;
		answer->reason = "no such interface";
		return;
	}
	answer->reason = risen_counter(before);
	switch (options.retval) {
	case (uint32_t)TC_ACT_UNSPEC:
	case TC_ACT_OK:
		answer->fate = FATE_KERNEL;
		break;
	case TC_ACT_SHOT:
		answer->fate = FATE_DROP;
		break;
	case TC_ACT_REDIRECT:
		answer->fate = memcmp(in, out, 12) ? FATE_SENT : FATE_NEIGHBOUR;
		memcpy(answer->dst_mac, out, 6);
		memcpy(answer->src_mac, out + 6, 6);
		read_way(answer);
		break;
	default:
		answer->fate = FATE_ODD;
	}
	answer->damaged =
		damage(answer, packet, in, out, options.data_size_in, options.data_size_out);
}

/* ---- the witness ---- */

void witness_ask(const struct packet *packet, struct witness_answer *answer)
{
	struct bpf_fib_lookup *question = &witness->bss->question;
	struct __sk_buff skb = {.ifindex = packet->ifindex};
	uint8_t frame[MAX_FRAME] = {0};
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame, .data_size_in = 64,
		    .ctx_in = &skb, .ctx_size_in = sizeof(skb), .repeat = 1);

	memset(answer, 0, sizeof(*answer));
	memset(question, 0, sizeof(*question));
	question->family = packet->family;
	question->l4_protocol = packet->protocol;
	question->sport = htons(packet->sport);
	question->dport = htons(packet->dport);
	question->tot_len = 60;
	question->ifindex = packet->ifindex;
	if (packet->family == AF_INET) {
		question->tos = packet->tos;
		memcpy(&question->ipv4_src, packet->src, 4);
		memcpy(&question->ipv4_dst, packet->dst, 4);
	} else {
		question->flowinfo = htonl((uint32_t)packet->tos << 20);
		memcpy(question->ipv6_src, packet->src, 16);
		memcpy(question->ipv6_dst, packet->dst, 16);
	}
	if (bpf_prog_test_run_opts(bpf_program__fd(witness->progs.fib_lookup), &options)) {
		answer->outcome = -errno;
		return;
	}
	answer->outcome = witness->bss->outcome;
	answer->way.ifindex = question->ifindex;
	answer->way.family = question->family;
	memcpy(answer->way.gate,
	       question->family == AF_INET ? (void *)&question->ipv4_dst
					   : (void *)question->ipv6_dst,
	       address_length(question->family));
	memcpy(answer->dst_mac, question->dmac, 6);
	memcpy(answer->src_mac, question->smac, 6);
}
