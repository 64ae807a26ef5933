// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A witness for traffic: sends numbered UDP datagrams over many flows, and on
 * the other side tells which were lost, late, doubled or overtaken, for how long none of a flow came
 * through, and by which interfaces each flow came. Prints one line of JSON at its end.
 *
 *   witness recv [-6] -p PORT [-i IDLE_MS] [-t MAX_SECONDS] [-m LATE_MS] [-e EXPECTED_TTL]
 *   witness send [-6] -p PORT -d ADDRESS... [-r PACKETS_A_SECOND] [-n PACKETS] [-f FLOWS] [-l BYTES]
 *
 * recv says "ready" on stderr once it listens, and ends after IDLE_MS without a packet
 * (once there was one), at MAX_SECONDS, or on SIGTERM or SIGINT. Sequence numbers
 * are one a flow; a flow is a source port, and flows take turns. Several addresses (-d repeated)
 * are one for each flow, in turns as well. send also ends on SIGTERM. Times are compared between
 * the two, so both run on one machine.
 */
#include "account.h"

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

struct options {
	int family;
	const char *address[MAX_FLOWS];
	unsigned int addresses;
	uint16_t port;
	unsigned int rate, count, flows, length, idle_ms, late_ms, ttl, seconds;
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
	uint64_t began = now_ns(), offset = stamp_offset(), last = 0;
	struct beside beside = {0};
	int fd;

	if (!account_init((uint64_t)o->late_ms * 1000000u, o->ttl))
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
		struct arrival arrival;
		ssize_t n;

		n = recvmsg(fd, &message, MSG_DONTWAIT);
		if (n < 0 && poll(&p, 1, 20) > 0)
			n = recvmsg(fd, &message, MSG_DONTWAIT);
		arrival.read_ns = now_ns();
		if (n >= 0)
			read_beside(&message, &beside);
		if (n >= (ssize_t)sizeof(struct datagram)) {
			arrival.stamp_ns = to_ns(&beside.stamp) - offset;
			arrival.ttl = beside.ttl;
			arrival.ifindex = beside.ifindex;
			if (account_note((struct datagram *)buffer, &arrival))
				last = arrival.read_ns;
		}
		if (n < 0 && last && arrival.read_ns - last > (uint64_t)o->idle_ms * 1000000u)
			break;
		if (o->seconds && arrival.read_ns - began > (uint64_t)o->seconds * 1000000000u)
			break;
	}
	account_report(beside.overflow);
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
	while ((c = getopt(argc, argv, "6p:d:e:r:n:f:l:i:m:t:")) != -1) {
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
		case 'e':
			o.ttl = number(optarg, 1, 255);
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
