// SPDX-License-Identifier: GPL-2.0-or-later
/* Packets: chosen at random from pools of what matters, as text, and as frames. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "tests/differ/differ.h"

#define MAX_POOL 1024

size_t address_length(uint8_t family)
{
	return family == AF_INET ? 4 : 16;
}

/* ---- frames ---- */

static void put16(uint8_t *at, uint16_t value)
{
	at[0] = value >> 8;
	at[1] = value;
}

static uint16_t checksum(const uint8_t *at, size_t length)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < length; i += 2)
		sum += at[i] << 8 | at[i + 1];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

/* Returns the length. What is behind the network header concerns no router but by its ports and its type. */
static size_t put_transport(const struct packet *packet, uint8_t *at)
{
	switch (packet->protocol) {
	case IPPROTO_TCP:
		put16(at, packet->sport);
		put16(at + 2, packet->dport);
		at[12] = 5 << 4;
		return 20;
	case IPPROTO_UDP:
		put16(at, packet->sport);
		put16(at + 2, packet->dport);
		put16(at + 4, 12);
		return 12;
	case IPPROTO_ICMPV6:
		at[0] = 135; /* neighbour solicitation */
		memcpy(at + 8, packet->dst, 16);
		return 24;
	default:
		at[0] = 8; /* echo request */
		return 16;
	}
}

size_t packet_frame(const struct packet *packet, const uint8_t mac[6], uint8_t frame[MAX_FRAME])
{
	static const uint8_t sender[6] = {0x02, 0xfe, 0xfe, 0xfe, 0xfe, 0xfe};
	bool v4 = packet->family == AF_INET;
	size_t header = v4 ? 20 : 40, length;
	uint8_t *ip = frame + 14;

	memset(frame, 0, MAX_FRAME);
	memcpy(frame, mac, 6);
	memcpy(frame + 6, sender, 6);
	put16(frame + 12, v4 ? 0x0800 : 0x86dd);
	length = put_transport(packet, ip + header);
	if (v4) {
		ip[0] = 0x45;
		ip[1] = packet->tos;
		put16(ip + 2, 20 + length);
		ip[8] = 64;
		ip[9] = packet->protocol;
		memcpy(ip + 12, packet->src, 4);
		memcpy(ip + 16, packet->dst, 4);
		put16(ip + 10, checksum(ip, 20));
	} else {
		ip[0] = 0x60 | packet->tos >> 4;
		ip[1] = packet->tos << 4;
		put16(ip + 4, length);
		ip[6] = packet->protocol;
		ip[7] = packet->protocol == IPPROTO_ICMPV6 ? 255 : 64;
		memcpy(ip + 8, packet->src, 16);
		memcpy(ip + 24, packet->dst, 16);
	}
	return 14 + header + length;
}

/* ---- text ---- */

static const struct {
	uint8_t number;
	const char *name;
} protocols[] = {
	{IPPROTO_UDP, "udp"},
	{IPPROTO_TCP, "tcp"},
	{IPPROTO_ICMP, "icmp"},
	{IPPROTO_ICMPV6, "solicitation"},
};

#define PROTOCOLS (sizeof(protocols) / sizeof(*protocols))

void packet_print(FILE *out, const struct packet *packet)
{
	char src[INET6_ADDRSTRLEN], dst[INET6_ADDRSTRLEN], name[IF_NAMESIZE] = "?";
	const char *protocol = "?";

	inet_ntop(packet->family, packet->src, src, sizeof(src));
	inet_ntop(packet->family, packet->dst, dst, sizeof(dst));
	if_indextoname(packet->ifindex, name);
	for (size_t i = 0; i < PROTOCOLS; i++) {
		if (protocols[i].number == packet->protocol)
			protocol = protocols[i].name;
	}
	fprintf(out, "%s %s %s 0x%02x %s %u %u", name, src, dst, packet->tos, protocol,
		packet->sport, packet->dport);
}

static uint8_t parse_address(const char *text, uint8_t address[16])
{
	uint8_t family = strchr(text, ':') ? AF_INET6 : AF_INET;

	memset(address, 0, 16);
	return inet_pton(family, text, address) == 1 ? family : 0;
}

bool packet_parse(const char *text, struct packet *packet)
{
	char name[IF_NAMESIZE], src[48], dst[48], protocol[16];
	unsigned int tos, sport, dport;

	memset(packet, 0, sizeof(*packet));
	if (sscanf(text, "%15s %47s %47s %x %15s %u %u", name, src, dst, &tos, protocol, &sport,
		   &dport) != 7)
		return false;
	packet->ifindex = if_nametoindex(name);
	packet->family = parse_address(dst, packet->dst);
	packet->tos = tos;
	packet->sport = sport;
	packet->dport = dport;
	for (size_t i = 0; i < PROTOCOLS; i++) {
		if (!strcmp(protocols[i].name, protocol))
			packet->protocol = protocols[i].number;
	}
	return packet->ifindex && packet->protocol && packet->family &&
	       parse_address(src, packet->src) == packet->family;
}

/* ---- pools ---- */

struct prefix {
	uint8_t family, length;
	uint8_t address[16];
};

static struct pool {
	const char *name;
	struct prefix prefix[MAX_POOL];
	size_t count;
} pools[] = {{.name = "dst"}, {.name = "src"}, {.name = "host"}};

static struct {
	char name[IF_NAMESIZE];
} interfaces[64];
static size_t interface_count;
/* of those, which are there and up */
static uint32_t present[64];
static size_t present_count;

void pool_clear(void)
{
	for (size_t i = 0; i < sizeof(pools) / sizeof(*pools); i++)
		pools[i].count = 0;
	interface_count = 0;
}

bool pool_add(const char *what, const char *text)
{
	struct prefix prefix = {0};
	const char *slash = strchr(text, '/');
	char address[48];

	if (!strcmp(what, "iif")) {
		if (interface_count == 64)
			return false;
		snprintf(interfaces[interface_count++].name, IF_NAMESIZE, "%s", text);
		return true;
	}
	snprintf(address, sizeof(address), "%.*s", (int)(slash ? slash - text : 47), text);
	prefix.family = parse_address(address, prefix.address);
	prefix.length = slash ? (size_t)atoi(slash + 1) : 8 * address_length(prefix.family);
	for (size_t i = 0; i < sizeof(pools) / sizeof(*pools); i++) {
		if (strcmp(pools[i].name, what) || !prefix.family || pools[i].count == MAX_POOL)
			continue;
		pools[i].prefix[pools[i].count++] = prefix;
		return true;
	}
	return false;
}

void pool_resolve(void)
{
	present_count = 0;
	for (size_t i = 0; i < interface_count; i++) {
		uint32_t ifindex = if_nametoindex(interfaces[i].name);

		if (knowledge_up(ifindex))
			present[present_count++] = ifindex;
	}
}

/* splitmix64 */
static uint64_t next(uint64_t *random)
{
	uint64_t z = *random += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

static uint64_t below(uint64_t *random, uint64_t bound)
{
	return next(random) % bound;
}

/* Of a prefix the first, the last, or any address; now and then the one before the first, or behind the last. */
static void address_in(uint64_t *random, const struct prefix *prefix, uint8_t address[16])
{
	int bits = 8 * address_length(prefix->family), step = 0;
	uint64_t how = below(random, 16);
	uint8_t fill = how < 3 ? 0 : 0xff;

	memcpy(address, prefix->address, 16);
	for (int i = prefix->length; i < bits; i++) {
		uint8_t bit = 0x80 >> i % 8, value = how < 6 ? fill : (uint8_t)next(random);

		address[i / 8] = (address[i / 8] & ~bit) | (value & bit);
	}
	if (how == 0)
		step = -1;
	else if (how == 3)
		step = 1;
	for (int i = bits / 8 - 1; step && i >= 0; i--) {
		uint8_t old = address[i];

		address[i] += step;
		if (step > 0 ? address[i] > old : address[i] < old)
			break;
	}
}

static bool choose(uint64_t *random, const struct pool *pool, uint8_t family, uint8_t address[16])
{
	for (int tries = 0; pool->count && tries < 64; tries++) {
		const struct prefix *prefix = &pool->prefix[below(random, pool->count)];

		if (family && prefix->family != family)
			continue;
		address_in(random, prefix, address);
		return true;
	}
	return false;
}

/* One source in two is a host that could be there, the others are anything. */
bool pool_packet(uint64_t *random, struct packet *packet)
{
	static const uint8_t tos[] = {0, 0, 0, 0, 0x10, 0x08, 0x04, 0xb8};
	const struct pool *sources = below(random, 2) ? &pools[1] : &pools[2];
	uint64_t protocol = below(random, 8);
	const uint8_t *proxied;

	memset(packet, 0, sizeof(*packet));
	packet->family = below(random, 2) ? AF_INET : AF_INET6;
	if (!present_count)
		return false;
	packet->ifindex = present[below(random, present_count)];
	if (!choose(random, &pools[0], packet->family, packet->dst) ||
	    !choose(random, sources, packet->family, packet->src))
		return false;
	packet->tos = tos[below(random, sizeof(tos))];
	packet->protocol = protocol < 5 ? IPPROTO_UDP : IPPROTO_TCP;
	if (protocol == 7)
		packet->protocol = packet->family == AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6;
	proxied = packet->protocol == IPPROTO_ICMPV6 ? knowledge_proxied(next(random)) : NULL;
	if (proxied && below(random, 2))
		memcpy(packet->dst, proxied, 16);
	if (protocol != 7) {
		packet->sport = 1 + below(random, 0xffff);
		packet->dport = 1 + below(random, 0xffff);
	}
	return true;
}
