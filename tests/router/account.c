// SPDX-License-Identifier: GPL-2.0-or-later
/* What the witness's receiver keeps of the datagrams that came, and how it judges and prints that. */
#include "account.h"

#include <endian.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define MAX_SEQUENCE (1u << 22) /* per flow, for the bitmap of what was seen */
#define MAX_TIMES (1u << 23)	/* datagrams whose time of sending is remembered */
#define MAX_WAYS 8

struct flow {
	uint64_t received, doubled, reordered;
	uint32_t highest; /* plus one */
	uint8_t *seen;
	struct {
		int ifindex;
		uint64_t received;
	} way[MAX_WAYS]; /* in the order in which it first came by them; 0 ends it */
};

static struct {
	struct flow *flow;
	uint32_t flows;
	/* when each that came was sent, by its place in the order of sending; 0: it did not come */
	uint64_t *sent_at;
	uint32_t sent_end;
	uint64_t late_ns, late, latest_ns;
	uint64_t gap_ns, last_read_ns;
	int ttl, ttl_low, ttl_high;
	uint64_t other_ttl;
} account;

bool account_init(uint64_t late_ns, int ttl)
{
	account.late_ns = late_ns;
	account.ttl = ttl;
	account.flow = calloc(MAX_FLOWS, sizeof(*account.flow));
	account.sent_at = calloc(MAX_TIMES, sizeof(*account.sent_at));
	return account.flow && account.sent_at;
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

static void note_times(uint64_t place, uint64_t sent_ns, const struct arrival *arrival)
{
	int64_t took = arrival->stamp_ns - sent_ns;

	if (took > (int64_t)account.late_ns)
		account.late++;
	if (took > (int64_t)account.latest_ns)
		account.latest_ns = took;
	if (account.last_read_ns && arrival->read_ns - account.last_read_ns > account.gap_ns)
		account.gap_ns = arrival->read_ns - account.last_read_ns;
	account.last_read_ns = arrival->read_ns;
	if (place >= MAX_TIMES)
		return;
	account.sent_at[place] = sent_ns;
	if (place >= account.sent_end)
		account.sent_end = place + 1;
}

static void note_ttl(int ttl)
{
	if (!account.ttl_low || ttl < account.ttl_low)
		account.ttl_low = ttl;
	if (ttl > account.ttl_high)
		account.ttl_high = ttl;
	if (account.ttl && ttl != account.ttl)
		account.other_ttl++;
}

bool account_note(const struct datagram *d, const struct arrival *arrival)
{
	uint32_t number = be32toh(d->flow), sequence = be32toh(d->sequence),
		 flows = be32toh(d->flows);
	struct flow *f;

	if (be32toh(d->magic) != MAGIC || flows > MAX_FLOWS || number >= flows ||
	    sequence >= MAX_SEQUENCE)
		return false;
	f = &account.flow[number];
	if (!f->seen)
		f->seen = calloc(1, MAX_SEQUENCE / 8);
	if (!f->seen) {
		perror("witness: memory");
		exit(1);
	}
	account.flows = flows;
	f->received++;
	note_ttl(arrival->ttl);
	note_way(f, arrival->ifindex);
	note_times((uint64_t)sequence * flows + number, be64toh(d->sent_ns), arrival);
	if (f->seen[sequence / 8] & (1u << sequence % 8))
		f->doubled++;
	else if (sequence < f->highest)
		f->reordered++;
	f->seen[sequence / 8] |= 1u << sequence % 8;
	if (sequence >= f->highest)
		f->highest = sequence + 1;
	return true;
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

	for (uint32_t i = 0; i < account.sent_end; i++) {
		if (!account.sent_at[i]) {
			if (!began)
				began = before;
			last_lost = i;
			continue;
		}
		before = account.sent_at[i];
		if (!began)
			continue;
		if (i == last_lost + 1 && before - began > found.ns)
			found.ns = before - began;
		if (i - last_lost > account.flows) {
			began = 0;
			found.count++;
		}
	}
	found.count += began != 0;
	return found;
}

/* Of each flow, by its number, the interfaces, or how many datagrams came by each: an array of arrays. */
static void report_ways(const char *name, bool packets)
{
	printf("\"%s\": [", name);
	for (uint32_t i = 0; i < account.flows; i++) {
		const struct flow *f = &account.flow[i];

		printf("%s[", i ? ", " : "");
		for (int w = 0; w < MAX_WAYS && f->way[w].ifindex; w++)
			printf("%s%" PRIu64, w ? ", " : "",
			       packets ? f->way[w].received : (uint64_t)f->way[w].ifindex);
		printf("]");
	}
	printf("]");
}

/* Of each flow, by its number, how many datagrams came after later ones. */
static void report_reordered(void)
{
	printf("\"flowReordered\": [");
	for (uint32_t i = 0; i < account.flows; i++)
		printf("%s%" PRIu64, i ? ", " : "", account.flow[i].reordered);
	printf("]");
}

void account_report(uint32_t overflow)
{
	struct outage outage = find_outages();
	uint64_t received = 0, doubled = 0, reordered = 0, expected = 0;
	unsigned int count = 0;

	for (uint32_t i = 0; i < account.flows; i++) {
		const struct flow *f = &account.flow[i];

		count += f->seen != NULL;
		received += f->received;
		doubled += f->doubled;
		reordered += f->reordered;
		expected += f->highest;
	}
	/* "missing" cannot see datagrams lost after the last one that came: compare with "sent" */
	printf("{\"received\": %" PRIu64 ", \"missing\": %" PRIu64 ", \"doubled\": %" PRIu64
	       ", \"reordered\": %" PRIu64 ", ",
	       received, expected - (received - doubled), doubled, reordered);
	printf("\"flows\": %u, \"ttlLow\": %d, \"ttlHigh\": %d, \"otherTtl\": %" PRIu64 ", ", count,
	       account.ttl_low, account.ttl_high, account.other_ttl);
	printf("\"longestGapMs\": %.3f, \"outages\": %u, \"outageMs\": %.3f, \"late\": %" PRIu64
	       ", \"latestMs\": %.3f, ",
	       account.gap_ns / 1e6, outage.count, outage.ns / 1e6, account.late,
	       account.latest_ns / 1e6);
	printf("\"receiverDropped\": %" PRIu32 ", ", overflow);
	report_ways("ways", false);
	printf(", ");
	report_ways("wayPackets", true);
	printf(", ");
	report_reordered();
	printf("}\n");
}
