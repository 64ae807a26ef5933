// SPDX-License-Identifier: GPL-2.0-or-later
/* Frames through a router by BPF_PROG_TEST_RUN of XDP programs with BPF_F_TEST_XDP_LIVE_FRAMES. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/sockios.h>
#include <linux/udp.h>
#include <net/if.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "bench/liveframes.h"
#include "bench/liveframes.skel.h"

/* linux/bpf.h has them from 6.6 on */
#define TCX_INGRESS 46
#define TCX_EGRESS 47

#define CPU 0
#define BATCH 64
#define TTL 64
/*
 * Of the frames that must come out, and be seen in this thread: a list may have the router's addresses.
 * There may be more than were sent, for the kernel sends some of its own (MLD).
 */
#define LEAST_SHARE 0.99
#define STRAYS 16u
/* Where other tasks wait for the CPU the kernel lets ksoftirqd do some of the work: once more, then. */
#define TRIES 10

static const uint8_t mac_gateway[6] = {2, 0, 0, 0, 0, 1}, mac_sender[6] = {2, 0, 0, 0, 0, 2};

/* ---- programs at interfaces ---- */

void hook_attach(struct hook *hook, int program_fd, uint32_t ifindex, bool egress)
{
	LIBBPF_OPTS(bpf_tc_hook, clsact, .ifindex = (int)ifindex,
		    .attach_point = egress ? BPF_TC_EGRESS : BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, filter, .prog_fd = program_fd);
	int err;

	hook->ifindex = ifindex;
	hook->link_fd =
		bpf_link_create(program_fd, (int)ifindex, egress ? TCX_EGRESS : TCX_INGRESS, NULL);
	if (hook->link_fd >= 0)
		return;
	err = bpf_tc_hook_create(&clsact);
	if (!err)
		err = bpf_tc_attach(&clsact, &filter);
	if (err)
		bench_fail(err, "cannot attach a program at TC");
}

void hook_detach(struct hook *hook)
{
	LIBBPF_OPTS(bpf_tc_hook, clsact, .ifindex = (int)hook->ifindex,
		    .attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS);

	if (hook->link_fd >= 0)
		close(hook->link_fd);
	else
		bpf_tc_hook_destroy(&clsact);
}

void sink_attach(struct liveframes *frames, enum sink sink)
{
	LIBBPF_OPTS(bpf_link_create_opts, native, .flags = XDP_FLAGS_DRV_MODE);
	const struct liveframes_bpf *skel = frames->skel;

	frames->sink = sink;
	if (sink == SINK_EGRESS) {
		hook_attach(&frames->egress, bpf_program__fd(skel->progs.sink_tc),
			    frames->network->out, true);
		return;
	}
	frames->peer_link_fd = bpf_link_create(bpf_program__fd(skel->progs.sink_xdp),
					       (int)frames->network->out_peer, BPF_XDP, &native);
	if (frames->peer_link_fd < 0)
		bench_fail(errno, "cannot attach an XDP program");
}

void sink_detach(struct liveframes *frames)
{
	if (frames->sink == SINK_EGRESS)
		hook_detach(&frames->egress);
	else
		close(frames->peer_link_fd);
}

/* A veth takes frames from XDP only if the far end has a NAPI, which GRO gives it. */
static void gro_on(const char *name)
{
	struct ethtool_value value = {.cmd = ETHTOOL_SGRO, .data = 1};
	struct ifreq request = {.ifr_data = (void *)&value};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	strcpy(request.ifr_name, name);
	if (fd < 0 || ioctl(fd, SIOCETHTOOL, &request))
		bench_fail(errno, "cannot turn GRO on at %s", name);
	close(fd);
}

/* As few as possible shall want the CPU that the frames go through. */
static void take_precedence(void)
{
	const struct sched_param first = {.sched_priority = 1};

	if (sched_setscheduler(0, SCHED_FIFO, &first))
		bench_fail(errno, "cannot take precedence over other tasks");
}

void liveframes_open(struct liveframes *frames, const struct bench_network *network, size_t list)
{
	*frames = (struct liveframes){.network = network, .skel = liveframes_bpf__open_and_load()};
	if (!frames->skel)
		bench_fail(errno, "cannot load the programs that make frames");
	frames->list = mmap(NULL, sizeof(*frames->list), PROT_READ | PROT_WRITE, MAP_SHARED,
			    bpf_map__fd(frames->skel->maps.destinations), 0);
	if (frames->list == MAP_FAILED)
		bench_fail(errno, "cannot map the destinations");
	frames->skel->bss->control.mask = list - 1;
	gro_on("in");
	bench_pin(CPU);
	take_precedence();
}

void liveframes_close(struct liveframes *frames)
{
	munmap(frames->list, sizeof(*frames->list));
	liveframes_bpf__destroy(frames->skel);
}

/* ---- what is sent ---- */

static uint32_t sum_words(const void *data, size_t words)
{
	const uint16_t *word = data;
	uint32_t sum = 0;

	while (words--)
		sum += *word++;
	return sum;
}

static void make_head(struct liveframes *frames)
{
	struct frames_control *control = &frames->skel->bss->control;
	uint8_t *head = (uint8_t *)control->head;
	struct ethhdr *eth = (void *)head;
	struct iphdr *ip4 = (void *)(head + ETH_HLEN);
	struct ipv6hdr *ip6 = (void *)(head + ETH_HLEN);
	size_t ip_len = frames->family == AF_INET ? sizeof(*ip4) : sizeof(*ip6);
	struct udphdr *udp = (void *)(head + ETH_HLEN + ip_len);
	uint16_t payload = htons((uint16_t)(frames->length - ETH_HLEN - ip_len));

	memset(head, 0, FRAMES_HEAD);
	memcpy(eth->h_dest, frames->network->mac_in, 6);
	memcpy(eth->h_source, mac_sender, 6);
	if (frames->family == AF_INET) {
		eth->h_proto = htons(ETH_P_IP);
		*ip4 = (struct iphdr){.version = 4,
				      .ihl = 5,
				      .tot_len = htons((uint16_t)(frames->length - ETH_HLEN)),
				      .ttl = TTL,
				      .protocol = IPPROTO_UDP};
		inet_pton(AF_INET, "198.19.0.1", &ip4->saddr);
		control->sum = sum_words(ip4, sizeof(*ip4) / 2);
	} else {
		eth->h_proto = htons(ETH_P_IPV6);
		*ip6 = (struct ipv6hdr){.version = 6,
					.payload_len = payload,
					.hop_limit = TTL,
					.nexthdr = IPPROTO_UDP};
		inet_pton(AF_INET6, "2001:2:0:1::1", &ip6->saddr);
	}
	udp->source = htons(1024);
	udp->dest = htons(9);
	udp->len = payload;
}

void liveframes_set(struct liveframes *frames, const struct bench_table *table,
		    enum bench_destinations destinations, uint32_t length, bool through_peer)
{
	struct frames_control *control = &frames->skel->bss->control;
	uint8_t(*addr)[16] = frames->list->bytes;

	frames->family = table->family;
	frames->length = length;
	control->redirect = through_peer ? frames->network->in_peer : 0;
	make_head(frames);
	bench_destinations(table, destinations, 1, addr, control->mask + 1);
	if (table->family == AF_INET) {
		for (size_t i = 0; i <= control->mask; i++)
			memmove(&frames->list->v4[i], addr[i], 4);
	}
}

/* ---- sending ---- */

uint64_t liveframes_send(struct liveframes *frames, uint64_t place, uint32_t n)
{
	static uint8_t frame[ETH_FRAME_LEN];
	struct xdp_md context = {.data_end = frames->length,
				 .ingress_ifindex = frames->network->in};
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = frame, .data_size_in = frames->length,
		    .ctx_in = &context, .ctx_size_in = sizeof(context), .repeat = (int)n,
		    .flags = BPF_F_TEST_XDP_LIVE_FRAMES, .batch_size = BATCH);
	struct liveframes_bpf *skel = frames->skel;
	uint64_t began;

	skel->bss->control.position = place;
	skel->bss->control.task = 0;
	memset(&skel->bss->sink, 0, offsetof(struct frames_sink, record));
	began = bench_cpu();
	if (bpf_prog_test_run_opts(bpf_program__fd(frames->family == AF_INET ? skel->progs.send4
									     : skel->progs.send6),
				   &run))
		bench_fail(errno, "cannot send frames");
	return bench_cpu() - began;
}

uint64_t liveframes_forward(struct liveframes *frames, uint64_t place, uint32_t n, const char *who)
{
	const struct frames_sink *sink = &frames->skel->bss->sink;
	uint64_t ns;

	for (int tries = 0; tries < TRIES; tries++) {
		ns = liveframes_send(frames, place, n);
		if (sink->frames < n * LEAST_SHARE || sink->frames > n + STRAYS)
			bench_fail(0, "%s: of %u frames %llu came out", who, n,
				   (unsigned long long)sink->frames);
		if (sink->own >= sink->asked * LEAST_SHARE)
			return ns;
	}
	bench_fail(0, "%s: much of the work is done in other threads: is this machine busy?", who);
}

static void verify_head(const struct liveframes *frames, const uint8_t *addr, const char *who)
{
	const struct frames_sink *sink = &frames->skel->bss->sink;
	const uint8_t *head = (const uint8_t *)sink->head;
	const struct iphdr *ip4 = (const void *)(head + ETH_HLEN);
	const struct ipv6hdr *ip6 = (const void *)(head + ETH_HLEN);
	uint32_t sum = sum_words(ip4, sizeof(*ip4) / 2);
	bool v4 = frames->family == AF_INET;

	if (sink->length != frames->length)
		bench_fail(0, "%s: frames have another length when they come out", who);
	if (memcmp(head, mac_gateway, 6) || memcmp(head + 6, frames->network->mac_out, 6))
		bench_fail(0, "%s: frames come out with wrong MAC addresses", who);
	if (memcmp(v4 ? (const void *)&ip4->daddr : &ip6->daddr, addr, v4 ? 4 : 16))
		bench_fail(0, "%s: not the packet that was sent", who);
	if ((v4 ? ip4->ttl : ip6->hop_limit) != TTL - 1)
		bench_fail(0, "%s: packets come out with a TTL of %d", who,
			   v4 ? ip4->ttl : ip6->hop_limit);
	sum = (sum & 0xffff) + (sum >> 16);
	if (v4 && (sum & 0xffff) + (sum >> 16) != 0xffff)
		bench_fail(0, "%s: packets come out with a wrong checksum", who);
}

void liveframes_verify(struct liveframes *frames, const char *who)
{
	struct frames_sink *sink = &frames->skel->bss->sink;
	const struct frames_list *list = frames->list;
	const uint32_t n = 16 * BATCH;

	sink->record = true;
	liveframes_forward(frames, 0, n, who);
	sink->record = false;
	verify_head(frames,
		    frames->family == AF_INET ? (const uint8_t *)&list->v4[n - 1]
					      : (const uint8_t *)list->v6[n - 1],
		    who);
}
