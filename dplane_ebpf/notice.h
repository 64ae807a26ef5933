/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What happened that an operator or a management system wants to hear of at once: the last ones are kept, and
 * northbound/ sends each as a YANG notification. For all rooms; knows no FRR.
 */
#ifndef DPLANE_EBPF_NOTICE_H
#define DPLANE_EBPF_NOTICE_H

#include <net/if.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

/* The notification of yang/frr-dplane-ebpf.yang, and the word that says what happened. */
#define NOTICES(X) \
	X(OVERRIDE_SET, "override-change", "set") \
	X(OVERRIDE_CHANGED, "override-change", "changed") \
	X(OVERRIDE_REMOVED, "override-change", "removed") \
	X(OVERRIDE_EXPIRED, "override-change", "expired") \
	X(NEXTHOP_DOWN, "failover", "down") \
	X(NEXTHOP_UP, "failover", "up") \
	X(TABLE_HIGH, "table-pressure", "high") \
	X(TABLE_NORMAL, "table-pressure", "normal") \
	X(INCONSISTENCY, "inconsistency", "found")

enum notice_kind {
#define X(e, notification, word) NOTICE_##e,
	NOTICES(X)
#undef X
		NOTICE_KINDS_MAX
};

struct notice {
	enum notice_kind kind;
	char interface[IF_NAMESIZE];	/* override-change, failover */
	char address[INET6_ADDRSTRLEN]; /* the same; empty: none */
	const char *table;		/* table-pressure: which; a constant */
	uint64_t count; /* failover: groups; table-pressure: in use; inconsistency: prefixes */
	uint64_t size;	/* table-pressure */
	/* filled in by notice_report() */
	uint64_t number; /* 1, 2, ... */
	time_t when;
};

/* A transaction may change a thousand overrides, and the NETCONF server takes some hundred once a second. */
#define NOTICES_KEPT 4096

/* Any thread, also under locks: it takes a lock of its own, and calls the listener. */
void notice_report(const struct notice *notice);

/*
 * Copies up to max notices with numbers above `after`, oldest first, and returns how many. Where the oldest copied is
 * not after + 1, those between are lost. Any thread.
 */
size_t notice_read(uint64_t after, struct notice *list, size_t max);

/* The number of the last notice. Any thread. */
uint64_t notice_last(void);

/* Called after each report, in the thread that reports. NULL: nobody listens. */
void notice_listen(void (*listener)(void));

#endif /* DPLANE_EBPF_NOTICE_H */
