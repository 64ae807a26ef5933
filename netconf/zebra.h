/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Questions to zebra on its vty socket, the commands of dplane_ebpf/northbound/datastore.c. One thread; no command takes longer than
 * ZEBRA_TIMEOUT_MS.
 */
#ifndef NETCONF_ZEBRA_H
#define NETCONF_ZEBRA_H

#include <stdbool.h>
#include <stdint.h>

#define ZEBRA_TIMEOUT_MS 5000

struct zebra_status {
	uint64_t instance; /* another one: zebra was started anew */
	uint64_t version;  /* of the configuration */
	uint64_t event;	   /* the last one's number */
	bool read;	   /* frr.conf has been read */
};

/* Where it listens; before anything else. */
void zebra_init(const char *path);
void zebra_close(void);

/*
 * Asks, connecting if need be. The answer is malloc'ed, the caller frees it. False: zebra could not be asked, and
 * zebra_error() says why. *ok: whether zebra counts the command as done.
 */
bool zebra_ask(const char *command, char **answer, bool *ok);
const char *zebra_error(void);

bool zebra_status(struct zebra_status *status);

/* The configuration, or the state, as XML; malloc'ed. NULL: zebra_error(). */
char *zebra_xml(const char *what);

enum zebra_verdict {
	ZEBRA_DONE,
	ZEBRA_INVALID,	/* zebra refuses the values */
	ZEBRA_CONFLICT, /* somebody else changed the same meanwhile */
	ZEBRA_FAILED,	/* zebra could not do it */
	ZEBRA_BUSY, /* mgmtd (FRR 9 and later) has zebra change something, and that takes long */
	ZEBRA_UNREACHABLE, /* zebra could not be asked; it may have done it all the same */
};

struct zebra_refusal {
	char path[1024], message[1024];
};

/*
 * Hands over what an edit started from, and what it shall be: to be checked only, or put in force. While zebra is busy it is asked
 * again, for ZEBRA_PATIENCE_MS.
 */
#define ZEBRA_PATIENCE_MS 3000
enum zebra_verdict zebra_edit(const char *base, const char *target, bool commit,
			      struct zebra_refusal *refusal);

#endif /* NETCONF_ZEBRA_H */
