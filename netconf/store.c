// SPDX-License-Identifier: GPL-2.0-or-later
/* netconfd's <running> as a copy of zebra's configuration. */
#include "netconf/store.h"

#include <stdlib.h>
#include <string.h>

#include "netconf/tree.h"

#define JOURNAL_BYTES (4u << 20)

/* What a commit made of what, as zebra has it. */
struct change {
	struct change *next;
	char *before, *after;
};

static struct {
	bool known; /* zebra was asked at least once */
	struct zebra_status seen;
	char *running;		    /* zebra's, as last taken over */
	char *mirror;		    /* the same, as netconfd prints it */
	char *candidate;	    /* what the candidate was made from; NULL: it is clean */
	char *before;		    /* zebra's, when the commit that goes on was handed over */
	struct change *unconfirmed; /* the last first */
	struct change *journal;
} store;

uint64_t store_event;

static val_value_t *root_of(ncx_cfg_t id)
{
	cfg_template_t *config = cfg_get_config_id(id);

	return config ? config->root : NULL;
}

static bool candidate_is_clean(void)
{
	cfg_template_t *candidate = cfg_get_config_id(NCX_CFGID_CANDIDATE);

	return !candidate || !cfg_get_dirty_flag(candidate);
}

static void keep(char **place, char *text)
{
	free(*place);
	*place = text;
}

static char *copy(const char *text)
{
	return text ? strdup(text) : NULL;
}

static bool same(const char *a, const char *b)
{
	return a && b && strcmp(a, b) == 0;
}

/* Of what is done on the server's own account: it is tried again a second later. */
static bool to_be_repeated(enum zebra_verdict verdict)
{
	return verdict == ZEBRA_BUSY || verdict == ZEBRA_UNREACHABLE;
}

/* ---- the journal ---- */

static void change_drop(struct change **at)
{
	struct change *change = *at;

	*at = change->next;
	free(change->before);
	free(change->after);
	free(change);
}

/* NULL: out of memory. */
static struct change *change_new(const char *before, const char *after)
{
	struct change *change = calloc(1, sizeof(*change));

	if (!change)
		return NULL;
	change->before = copy(before);
	change->after = copy(after);
	if (!change->before || !change->after)
		change_drop(&change);
	return change;
}

static void journal_limit(void)
{
	size_t bytes = 0;

	for (struct change *change = store.journal; change; change = change->next)
		bytes += strlen(change->before) + strlen(change->after);
	while (bytes > JOURNAL_BYTES && store.journal && store.journal->next) {
		bytes -= strlen(store.journal->before) + strlen(store.journal->after);
		change_drop(&store.journal);
		log_warn(
			"\ndplane_ebpf: too many commits to remember; the first will not outlive a "
			"restart of zebra unless they are written (vtysh -c 'write memory')");
	}
}

static void journal_add(const char *before, const char *after)
{
	struct change **at = &store.journal, *change;

	if (!before || !after || same(before, after))
		return;
	while (*at && (*at)->next)
		at = &(*at)->next;
	/* one that goes on from where the last ended is one with it */
	if (*at && same((*at)->after, before)) {
		keep(&(*at)->after, copy(after));
		if (same((*at)->before, (*at)->after))
			change_drop(at);
		return;
	}
	change = change_new(before, after);
	if (!change)
		return;
	if (*at)
		(*at)->next = change;
	else
		store.journal = change;
	journal_limit();
}

/* zebra was started anew: what it had from us, and frr.conf does not have. The file wins. */
static bool journal_replay(void)
{
	struct change **at = &store.journal;
	struct zebra_refusal refusal;

	while (*at) {
		enum zebra_verdict verdict =
			zebra_edit((*at)->before, (*at)->after, true, &refusal);

		if (to_be_repeated(verdict))
			return false;
		if (verdict == ZEBRA_DONE) {
			at = &(*at)->next;
			continue;
		}
		log_warn(
			"\ndplane_ebpf: a change of before zebra's restart does not fit what is configured now and is dropped: %s %s",
			refusal.path, refusal.message);
		change_drop(at);
	}
	if (store.journal)
		log_info(
			"\ndplane_ebpf: zebra was restarted; what was committed before is configured again");
	return true;
}

/* ---- taking over ---- */

static bool take_over(const struct zebra_status *status)
{
	bool clean = candidate_is_clean();
	char *text = zebra_xml("running");

	if (!text)
		return false;
	if (!tree_replace(root_of(NCX_CFGID_RUNNING), text)) {
		log_error(
			"\ndplane_ebpf: zebra's configuration does not fit this server's YANG module: are both of the same version?");
		free(text);
		return false;
	}
	if (clean)
		cfg_fill_candidate_from_running();
	keep(&store.running, text);
	keep(&store.mirror, tree_print(root_of(NCX_CFGID_RUNNING)));
	store.seen = *status;
	store.known = true;
	return true;
}

static bool sync_now(void)
{
	struct zebra_status status;

	if (!zebra_status(&status))
		return false;
	if (store.known && status.instance == store.seen.instance &&
	    status.version == store.seen.version)
		return true;
	if (store.known && status.instance != store.seen.instance) {
		/* what vtysh is still reading to it comes first */
		if (!status.read)
			return false;
		store_event = 0;
		if (!journal_replay() || !zebra_status(&status))
			return false;
	} else if (!store.known) {
		store_event = status.event;
	}
	return take_over(&status);
}

/* ---- commits ---- */

void store_candidate_begins(void)
{
	if (candidate_is_clean())
		keep(&store.candidate, copy(store.running));
}

/* Where nothing else is known the candidate was made from what is running. */
static enum zebra_verdict hand_over(bool commit, struct zebra_refusal *refusal)
{
	const char *base = store.candidate ? store.candidate : store.running;
	char *target = tree_print(root_of(NCX_CFGID_CANDIDATE));
	enum zebra_verdict verdict = ZEBRA_FAILED;

	memset(refusal, 0, sizeof(*refusal));
	if (target && base)
		verdict = zebra_edit(base, target, commit, refusal);
	free(target);
	return verdict;
}

enum zebra_verdict store_check(struct zebra_refusal *refusal)
{
	return hand_over(false, refusal);
}

enum zebra_verdict store_commit(struct zebra_refusal *refusal)
{
	enum zebra_verdict verdict = hand_over(true, refusal);

	if (verdict == ZEBRA_DONE)
		keep(&store.before, copy(store.running));
	return verdict;
}

void store_committed(bool taken_over)
{
	struct zebra_refusal refusal;
	struct change *change;
	char *now;

	if (!taken_over) {
		/* netconfd goes on with what it had, and so must zebra */
		now = zebra_xml("running");
		if (!now || !store.before ||
		    zebra_edit(now, store.before, true, &refusal) != ZEBRA_DONE)
			log_error(
				"\ndplane_ebpf: a failed commit could not be taken back in zebra");
		free(now);
		return;
	}
	keep(&store.candidate, NULL);
	if (!sync_now())
		return;
	journal_add(store.before, store.running);
	while (store.unconfirmed && !agt_ncx_cc_active())
		change_drop(&store.unconfirmed);
	if (!agt_ncx_cc_active())
		return;
	change = change_new(store.before, store.running);
	if (change) {
		change->next = store.unconfirmed;
		store.unconfirmed = change;
	}
}

/* netconfd changed <running> on its own: commits were not confirmed. What others have changed since then stays. */
static void roll_back(const char *running)
{
	enum zebra_verdict verdict = ZEBRA_DONE;
	struct zebra_refusal refusal;
	char *before = copy(store.running);

	if (!store.unconfirmed)
		verdict = zebra_edit(store.running, running, true, &refusal);
	while (store.unconfirmed && verdict == ZEBRA_DONE) {
		verdict = zebra_edit(store.unconfirmed->after, store.unconfirmed->before, true,
				     &refusal);
		if (!to_be_repeated(verdict))
			change_drop(&store.unconfirmed);
	}
	if (verdict == ZEBRA_DONE)
		log_info("\ndplane_ebpf: back to the configuration of before the commit");
	else
		log_error(
			"\ndplane_ebpf: zebra does not go back to the configuration of before the commit: %s %s",
			refusal.path, refusal.message);
	if (!to_be_repeated(verdict)) {
		store.seen.version = UINT64_MAX;
		if (sync_now())
			journal_add(before, store.running);
	}
	free(before);
}

bool store_sync(void)
{
	char *running = store.known ? tree_print(root_of(NCX_CFGID_RUNNING)) : NULL;

	if (running && store.mirror && !same(running, store.mirror))
		roll_back(running);
	free(running);
	return sync_now();
}

void store_start(void)
{
	if (!sync_now())
		log_warn("\ndplane_ebpf: %s; nothing can be read or configured until zebra answers",
			 zebra_error());
}

void store_stop(void)
{
	while (store.journal)
		change_drop(&store.journal);
	while (store.unconfirmed)
		change_drop(&store.unconfirmed);
	keep(&store.running, NULL);
	keep(&store.mirror, NULL);
	keep(&store.candidate, NULL);
	keep(&store.before, NULL);
}
