/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * netconfd's <running> as a copy of zebra's configuration. What sessions commit goes to zebra first; what others change there
 * is taken over; what zebra forgets when it is started anew is handed over again. One thread, as netconfd is.
 */
#ifndef NETCONF_STORE_H
#define NETCONF_STORE_H

#include "netconf/yuma.h"
#include "netconf/zebra.h"

/* Once netconfd has its datastores. */
void store_start(void);
void store_stop(void);

/*
 * Takes over what zebra has, if that is another than before, and takes back in zebra what netconfd has taken back: before each operation,
 * and once a second. False: zebra_error().
 */
bool store_sync(void);
/* Before the candidate is edited for the first time. */
void store_candidate_begins(void);
/* Checks the candidate, or hands it over. */
enum zebra_verdict store_check(struct zebra_refusal *refusal);
enum zebra_verdict store_commit(struct zebra_refusal *refusal);
/* After netconfd has taken over, or failed to, what was handed over. */
void store_committed(bool taken_over);
/* The number of the last event that was sent. */
extern uint64_t store_event;

#endif /* NETCONF_STORE_H */
