// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A witness for traffic: sends numbered UDP datagrams over many flows, and on
 * the other side tells which were lost, late, doubled or overtaken, for how long none of a flow came
 * through, and by which interfaces each flow came. Prints one line of JSON at its end.
 *
 *   witness recv [-6] -p PORT [-i IDLE_MS] [-t MAX_SECONDS] [-m LATE_MS]
 *   witness send [-6] -p PORT -d ADDRESS... [-r PACKETS_A_SECOND] [-n PACKETS] [-f FLOWS] [-l BYTES]
 *
 * recv says "ready" on stderr once it listens, and ends after IDLE_MS without a packet
 * (once there was one), at MAX_SECONDS, or on SIGTERM or SIGINT. Sequence numbers
 * are one a flow; a flow is a source port, and flows take turns. Several addresses (-d repeated)
 * are one for each flow, in turns as well. send also ends on SIGTERM. Times are compared between
 * the two, so both run on one machine.
 */
#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAX_FLOWS 1024
#define MAX_SEQUENCE (1u << 22) /* per flow, for the bitmap of what was seen */
#define MAX_TIMES (1u << 23)	/* datagrams whose time of sending is remembered */
#define MAX_WAYS 8
#define MAGIC 0x77697473u

struct datagram {
	uint32_t magic;
	uint32_t flow;
	uint32_t sequence; /* from 0 */
	uint32_t flows;	   /* how many there are */
	uint64_t sent_ns;
};

struct flow {
	uint64_t received, doubled, reordered;
	uint32_t highest; /* plus one */
	uint8_t *seen;
	uint8_t ttl_low, ttl_high;
	struct {
		int ifindex;
		uint64_t received;
	} way[MAX_WAYS]; /* in the order in which it first came by them; 0 ends it */
};

/* When each datagram that came was sent, by its place in the order of sending; 0: it did not come. */
static uint64_t *sent_at;
static uint32_t sent_flows, sent_end;

struct options {
	int family;
	const char *address[MAX_FLOWS];
	unsigned int addresses;
	uint16_t port;
	unsigned int rate, count, flows, length, idle_ms, late_ms, seconds;
};

static volatile sig_atomic_t stop;

static void on_signal(int signal)
{
	stop = signal;
}

static uint64_t to_ns(const struct timespec *t)
{
	return (uint64_t)t->tv_sec * 1000000000u + t->tv_nsec;
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return to_ns(&t);
}

/* What the clock that the kernel stamps datagrams with is ahead of ours. */
static uint64_t stamp_offset(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return to_ns(&t) - now_ns();
}

static void fail(const char *what)
{
	fprintf(stderr, "witness: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* text: NULL for any. */
static socklen_t make_address(const struct options *o, const char *text,
			      struct sockaddr_storage *storage)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)storage;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)storage;
	int ok = 1;

	memset(storage, 0, sizeof(*storage));
	storage->ss_family = o->family;
	if (o->family == AF_INET) {
		v4->sin_port = htons(o->port);
		if (text)
			ok = inet_pton(AF_INET, text, &v4->sin_addr);
		if (ok == 1)
			return sizeof(*v4);
	} else {
		v6->sin6_port = htons(o->port);
		if (text)
			ok = inet_pton(AF_INET6, text, &v6->sin6_addr);
		if (ok == 1)
			return sizeof(*v6);
	}
	fprintf(stderr, "witness: '%s' is no address of this family\n", text);
	exit(2);
}

static void note_way(struct flow *f, int ifindex)
{
	int i = 0;

	while (i < MAX_WAYS && f->way[i].ifindex && f->way[i].ifindex != ifindex)
		i++;
	if (i < MAX_WAYS) {
		f->way[i].ifindex = ifindex;
		f->way[i].received++;
	}
}

static void note_time(const struct datagram *d, uint32_t flow, uint32_t sequence)
{
	uint64_t place;

	sent_flows = be32toh(d->flows);
	place = (uint64_t)sequence * sent_flows + flow;
	if (place >= MAX_TIMES)
		return;
	sent_at[place] = be64toh(d->sent_ns);
	if (place >= sent_end)
		sent_end = place + 1;
}

struct outage {
	uint64_t ns;	    /* the longest */
	unsigned int count; /* how many there were */
};

/*
 * Losses that follow one another within a turn of the flows are one outage. It lasted from the last datagram that was
 * sent before and came, to the first one after: any flow's, so that both are near.
 */
static struct outage find_outages(void)
{
	struct outage found = {0};
	uint64_t began = 0, before = 0;
	uint32_t last_lost = 0;

	for (uint32_t i = 0; i < sent_end; i++) {
		if (!sent_at[i]) {
			if (!began)
				began = before;
			last_lost = i;
			continue;
		}
		before = sent_at[i];
		if (!began)
			continue;
		if (i == last_lost + 1 && before - began > found.ns)
			found.ns = before - began;
		if (i - last_lost > sent_flows) {
			began = 0;
			found.count++;
		}
	}
	found.count += began != 0;
	return found;
}

struct lateness {
	uint64_t count; /* datagrams that took longer than allowed */
	uint64_t most_ns;
};

static void note_delay(struct lateness *late, int64_t ns, unsigned int allowed_ms)
{
	if (ns > (int64_t)allowed_ms * 1000000)
		late->count++;
	if (ns > (int64_t)late->most_ns)
		late->most_ns = ns;
}

/* Returns true for a datagram of ours that was counted. */
static bool note(struct flow *flows, const struct datagram *d, int ttl, int ifindex)
{
	uint32_t number = be32toh(d->flow), sequence = be32toh(d->sequence);
	struct flow *f;

	if (be32toh(d->magic) != MAGIC || number >= MAX_FLOWS || sequence >= MAX_SEQUENCE)
		return false;
	f = &flows[number];
	if (!f->seen) {
		f->seen = calloc(1, MAX_SEQUENCE / 8);
		if (!f->seen)
			fail("memory");
		f->ttl_low = f->ttl_high = ttl;
	}
	f->received++;
	note_way(f, ifindex);
	note_time(d, number, sequence);
	if (ttl < f->ttl_low)
		f->ttl_low = ttl;
	if (ttl > f->ttl_high)
		f->ttl_high = ttl;
	if (f->seen[sequence / 8] & (1u << sequence % 8))
		f->doubled++;
	else if (sequence < f->highest)
		f->reordered++;
	f->seen[sequence / 8] |= 1u << sequence % 8;
	if (sequence >= f->highest)
		f->highest = sequence + 1;
	return true;
}

/* Of each flow, by its number, the interfaces, or how many datagrams came by each: an array of arrays. */
static void report_ways(const struct flow *flows, const char *name, bool packets)
{
	printf("\"%s\": [", name);
	for (uint32_t i = 0; i < sent_flows; i++) {
		printf("%s[", i ? ", " : "");
		for (int w = 0; w < MAX_WAYS && flows[i].way[w].ifindex; w++)
			printf("%s%llu", w ? ", " : "",
			       packets ? (unsigned long long)flows[i].way[w].received
				       : (unsigned long long)flows[i].way[w].ifindex);
		printf("]");
	}
	printf("]");
}

static void report(const struct flow *flows, uint64_t gap_ns, uint32_t overflow,
		   const struct lateness *late)
{
	struct outage outage = find_outages();
	uint64_t received = 0, doubled = 0, reordered = 0, expected = 0;
	unsigned int count = 0, low = 255, high = 0;

	for (unsigned int i = 0; i < MAX_FLOWS; i++) {
		const struct flow *f = &flows[i];

		if (!f->seen)
			continue;
		count++;
		received += f->received;
		doubled += f->doubled;
		reordered += f->reordered;
		expected += f->highest;
		if (f->ttl_low < low)
			low = f->ttl_low;
		if (f->ttl_high > high)
			high = f->ttl_high;
	}
	/* "missing" cannot see datagrams lost after the last one that came: compare with "sent" */
	printf("{\"received\": %llu, \"missing\": %llu, \"doubled\": %llu, \"reordered\": %llu, "
	       "\"flows\": %u, \"ttlLow\": %u, \"ttlHigh\": %u, \"longestGapMs\": %.3f, "
	       "\"outages\": %u, \"outageMs\": %.3f, \"receiverDropped\": %u, \"late\": %llu, "
	       "\"latestMs\": %.3f, ",
	       (unsigned long long)received, (unsigned long long)(expected - (received - doubled)),
	       (unsigned long long)doubled, (unsigned long long)reordered, count, count ? low : 0,
	       high, gap_ns / 1e6, outage.count, outage.ns / 1e6, overflow,
	       (unsigned long long)late->count, late->most_ns / 1e6);
	report_ways(flows, "ways", false);
	printf(", ");
	report_ways(flows, "wayPackets", true);
	printf("}\n");
}

/* What the kernel says beside a datagram. */
struct beside {
	int ttl, ifindex;
	struct timespec stamp; /* when it came */
	uint32_t overflow;     /* datagrams that the socket had no room for, so far */
};

static void read_beside(struct msghdr *message, struct beside *beside)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
		const void *data = CMSG_DATA(c);

		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_RXQ_OVFL)
			memcpy(&beside->overflow, data, sizeof(beside->overflow));
		else if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS)
			memcpy(&beside->stamp, data, sizeof(beside->stamp));
		else if ((c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TTL) ||
			 (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_HOPLIMIT))
			memcpy(&beside->ttl, data, sizeof(beside->ttl));
		else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO)
			beside->ifindex = ((const struct in_pktinfo *)data)->ipi_ifindex;
		else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO)
			beside->ifindex = ((const struct in6_pktinfo *)data)->ipi6_ifindex;
	}
}

/* Opens the socket that says all that struct beside holds. */
static int listen_on(const struct options *o)
{
	int one = 1, size = 32 << 20;
	struct sockaddr_storage address;
	socklen_t length = make_address(o, NULL, &address);
	int fd = socket(o->family, SOCK_DGRAM, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&address, length))
		fail("cannot listen");
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)))
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	setsockopt(fd, SOL_SOCKET, SO_RXQ_OVFL, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof(one));
	if (o->family == AF_INET) {
		setsockopt(fd, IPPROTO_IP, IP_RECVTTL, &one, sizeof(one));
		setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &one, sizeof(one));
	} else {
		setsockopt(fd, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, &one, sizeof(one));
		setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &one, sizeof(one));
	}
	return fd;
}

static int receive(const struct options *o)
{
	struct flow *flows = calloc(MAX_FLOWS, sizeof(*flows));
	uint64_t began = now_ns(), offset = stamp_offset(), last = 0, gap = 0;
	struct lateness late = {0};
	struct beside beside = {0};
	int fd;

	sent_at = calloc(MAX_TIMES, sizeof(*sent_at));
	if (!flows || !sent_at)
		fail("memory");
	fd = listen_on(o);
	fprintf(stderr, "ready\n");

	while (!stop) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		char buffer[65536], control[256];
		struct iovec vector = {buffer, sizeof(buffer)};
		struct msghdr message = {.msg_iov = &vector,
					 .msg_iovlen = 1,
					 .msg_control = control,
					 .msg_controllen = sizeof(control)};
		ssize_t n;
		uint64_t t;

		n = recvmsg(fd, &message, MSG_DONTWAIT);
		if (n < 0 && poll(&p, 1, 20) > 0)
			n = recvmsg(fd, &message, MSG_DONTWAIT);
		t = now_ns();
		if (n >= 0)
			read_beside(&message, &beside);
		if (n >= (ssize_t)sizeof(struct datagram) &&
		    note(flows, (struct datagram *)buffer, beside.ttl, beside.ifindex)) {
			note_delay(&late,
				   to_ns(&beside.stamp) - offset -
					   be64toh(((struct datagram *)buffer)->sent_ns),
				   o->late_ms);
			if (last && t - last > gap)
				gap = t - last;
			last = t;
		}
		if (n < 0 && last && t - last > (uint64_t)o->idle_ms * 1000000u)
			break;
		if (o->seconds && t - began > (uint64_t)o->seconds * 1000000000u)
			break;
	}
	report(flows, gap, beside.overflow, &late);
	return 0;
}

static int transmit(const struct options *o)
{
	static int sockets[MAX_FLOWS];
	static uint32_t sequence[MAX_FLOWS];
	char buffer[65536] = {0};
	struct datagram *d = (struct datagram *)buffer;
	uint64_t sent = 0, errors = 0, begin;

	for (unsigned int i = 0; i < o->flows; i++) {
		struct sockaddr_storage address;
		socklen_t length = make_address(o, o->address[i % o->addresses], &address);

		sockets[i] = socket(o->family, SOCK_DGRAM, 0);
		if (sockets[i] < 0 || connect(sockets[i], (struct sockaddr *)&address, length))
			fail("cannot connect");
	}

	prctl(PR_SET_TIMERSLACK, 1);
	begin = now_ns();
	for (uint64_t i = 0; !stop && (!o->count || i < o->count); i++) {
		unsigned int flow = i % o->flows;
		uint64_t due = begin + i * 1000000000u / o->rate;

		/* an error that ICMP reported belongs to an earlier datagram: this one is sent again */
		d->magic = htobe32(MAGIC);
		d->flow = htobe32(flow);
		d->sequence = htobe32(sequence[flow]);
		d->flows = htobe32(o->flows);
		d->sent_ns = htobe64(now_ns());
		if (send(sockets[flow], buffer, o->length, 0) < 0 &&
		    send(sockets[flow], buffer, o->length, 0) < 0) {
			errors++;
		} else {
			sequence[flow]++;
			sent++;
		}
		if (due > now_ns()) {
			struct timespec t = {due / 1000000000u, due % 1000000000u};

			clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
		}
	}
	printf("{\"sent\": %llu, \"errors\": %llu, \"seconds\": %.3f}\n", (unsigned long long)sent,
	       (unsigned long long)errors, (now_ns() - begin) / 1e9);
	return 0;
}

static unsigned int number(const char *text, unsigned int low, unsigned int high)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (*end || end == text || value < low || value > high) {
		fprintf(stderr, "witness: '%s' is not between %u and %u\n", text, low, high);
		exit(2);
	}
	return value;
}

int main(int argc, char **argv)
{
	struct options o = {.family = AF_INET,
			    .rate = 1000,
			    .flows = 1,
			    .length = 64,
			    .idle_ms = 1000,
			    .late_ms = 50};
	struct sigaction action = {.sa_handler = on_signal};
	int c;

	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	while ((c = getopt(argc, argv, "6p:d:r:n:f:l:i:m:t:")) != -1) {
		switch (c) {
		case '6':
			o.family = AF_INET6;
			break;
		case 'p':
			o.port = number(optarg, 1, 65535);
			break;
		case 'd':
			if (o.addresses == MAX_FLOWS) {
				fprintf(stderr, "witness: more than %d addresses\n", MAX_FLOWS);
				return 2;
			}
			o.address[o.addresses++] = optarg;
			break;
		case 'r':
			o.rate = number(optarg, 1, 10000000);
			break;
		case 'n':
			o.count = number(optarg, 1, 4000000000u);
			break;
		case 'f':
			o.flows = number(optarg, 1, MAX_FLOWS);
			break;
		case 'l':
			o.length = number(optarg, sizeof(struct datagram), 65000);
			break;
		case 'i':
			o.idle_ms = number(optarg, 1, 600000);
			break;
		case 'm':
			o.late_ms = number(optarg, 1, 600000);
			break;
		case 't':
			o.seconds = number(optarg, 1, 3600);
			break;
		default:
			return 2;
		}
	}
	if (optind == argc - 1 && o.port && !strcmp(argv[optind], "recv"))
		return receive(&o);
	if (optind == argc - 1 && o.port && o.addresses && !strcmp(argv[optind], "send"))
		return transmit(&o);
	fprintf(stderr, "usage: witness [options] recv|send (see witness.c)\n");
	return 2;
}
