// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * How a command's changes are committed: each command by itself, on a copy of the running configuration, so that an error is told
 * at the line which made it, and FRR's shared candidate holds nothing but what is committed: mgmtd's transactions (FRR 9 and later)
 * are made of it. While one of those is under way FRR refuses others; the lines of a file (vtysh -b, vtysh -f,
 * frr-reload.py) then wait here until it has ended, since nobody repeats them.
 */
#include "dplane_ebpf/northbound/northbound.h"

#include "lib/command.h"
#include "lib/northbound_cli.h"
#include "lib/vty.h"

#include "dplane_ebpf/log.h"

#define RETRY_MS 20
#define GIVE_UP_SECONDS 30
/* Lines of which a thousand take a second, so that zebra's main thread has time for others. */
#define AT_ONCE 50

struct change {
	struct change *next;
	enum nb_operation operation;
	char *value; /* may be NULL */
	char xpath[];
};

/* What one command changes. */
struct line {
	struct line *next;
	struct change *changes;
};

/* In the order they were given. */
static struct {
	struct line *lines;
	struct nb_config
		*view;	  /* the running configuration with all of them; NULL: none was made */
	uint32_t version; /* of the running configuration that it was made of */
	time_t since;	  /* monotime() */
	compat_loop *loop;
	compat_event *timer;
} waiting;

static void line_free(struct line *line)
{
	struct change *change;

	while ((change = line->changes)) {
		line->changes = change->next;
		free(change->value);
		free(change);
	}
	free(line);
}

static void drop_view(void)
{
	if (waiting.view)
		nb_config_free(waiting.view);
	waiting.view = NULL;
}

static void drop_first(void)
{
	struct line *line = waiting.lines;

	drop_view();
	waiting.lines = line->next;
	line_free(line);
}

static struct change *change_new(const char *xpath, enum nb_operation operation, const char *value)
{
	size_t len = strlen(xpath) + 1;
	struct change *change = calloc(1, sizeof(*change) + len);

	if (!change)
		return NULL;
	change->operation = operation;
	change->value = value ? strdup(value) : NULL;
	memcpy(change->xpath, xpath, len);
	if (value && !change->value) {
		free(change);
		return NULL;
	}
	return change;
}

static struct line *line_new(const struct vty *vty)
{
	struct line *line = calloc(1, sizeof(*line));
	struct change **end = line ? &line->changes : NULL;

	for (size_t i = 0; line && i < vty->num_cfg_changes; i++) {
		*end = change_new(vty->cfg_changes[i].xpath, vty->cfg_changes[i].operation,
				  vty->cfg_changes[i].value);
		if (!*end) {
			line_free(line);
			return NULL;
		}
		end = &(*end)->next;
	}
	return line;
}

static void edit(struct nb_config *candidate, const struct line *line)
{
	for (const struct change *change = line->changes; change; change = change->next) {
		const struct nb_node *node = nb_node_find(change->xpath);

		/* what cannot be edited was told when the command was given */
		if (node)
			compat_candidate_edit(candidate, node, change->operation, change->xpath,
					      change->value);
	}
}

static int commit(const struct line *line, char *message, size_t len)
{
	struct nb_config *candidate = nb_config_dup(running_config);
	int ret;

	edit(candidate, line);
	ret = compat_candidate_commit(NULL, candidate, true, message, len);
	nb_config_free(candidate);
	/* others' changes are made to the shared candidate, and committed with all that differs there */
	if (ret == NB_OK)
		edit(vty_shared_candidate_config, line);
	return ret;
}

static bool is_done(int ret)
{
	return ret == NB_OK || ret == NB_ERR_NO_CHANGES;
}

bool commit_is_busy(int ret)
{
	/* a lock that somebody took is not that */
	return ret == NB_ERR_LOCKED && !nb_running_lock_check(NB_CLIENT_CLI, NULL);
}

/* Whether it waits no longer. */
static bool settled(const struct line *line)
{
	char message[BUFSIZ] = "";
	int ret = commit(line, message, sizeof(message));

	if (commit_is_busy(ret))
		return false;
	if (!is_done(ret))
		dpe_log(LOG_ERR, "a line of a configuration file was refused: %s",
			message[0] ? message : nb_err_name(ret));
	return true;
}

static void settle(size_t most);

static void settle_event(compat_event *event)
{
	settle(AT_ONCE);
}

static void await(void)
{
	compat_cancel_event(&waiting.timer);
	compat_add_timer_msec(waiting.loop, settle_event, RETRY_MS, &waiting.timer);
}

static void settle(size_t most)
{
	while (waiting.lines && most-- > 0 && settled(waiting.lines)) {
		drop_first();
		waiting.since = monotime(NULL);
	}
	if (waiting.lines && monotime(NULL) - waiting.since < GIVE_UP_SECONDS) {
		await();
		return;
	}
	if (waiting.lines)
		dpe_log(LOG_ERR,
			"lines of a configuration file are NOT in force: FRR was busy with another transaction for %d s; load it again",
			GIVE_UP_SECONDS);
	commit_stop();
}

void commit_settle(void)
{
	if (waiting.lines)
		settle(SIZE_MAX);
}

bool commit_waits(void)
{
	return waiting.lines != NULL;
}

const struct lyd_node *commit_tree(const struct vty *vty)
{
	if (frr_get_cli_mode() != FRR_CLI_CLASSIC)
		return vty->candidate_config->dnode;
	commit_settle();
	if (!waiting.lines)
		return running_config->dnode;
	if (waiting.view && waiting.version != running_config->version)
		drop_view();
	if (!waiting.view) {
		waiting.view = nb_config_dup(running_config);
		waiting.version = running_config->version;
		for (const struct line *line = waiting.lines; line; line = line->next)
			edit(waiting.view, line);
	}
	return waiting.view->dnode;
}

/* Behind those that wait already. */
static void wait_too(struct line *line)
{
	struct line **end = &waiting.lines;

	while (*end)
		end = &(*end)->next;
	*end = line;
	if (waiting.view)
		edit(waiting.view, line);
}

/* FRR leaves out that part of a command which libyang refuses, and commits the rest: so libyang is asked before. */
static bool acceptable(struct vty *vty)
{
	for (size_t i = 0; i < vty->num_cfg_changes; i++) {
		struct lyd_node *tree = NULL;
		char message[BUFSIZ];
		LY_ERR err;

		if (vty->cfg_changes[i].operation == NB_OP_DESTROY)
			continue;
		ly_err_clean(ly_native_ctx, NULL);
		err = lyd_new_path(NULL, ly_native_ctx, vty->cfg_changes[i].xpath,
				   vty->cfg_changes[i].value, 0, &tree);
		lyd_free_all(tree);
		if (err) {
			yang_print_errors(ly_native_ctx, message, sizeof(message));
			vty_out(vty, "%% %s: %s", vty->cfg_changes[i].xpath, message);
			return false;
		}
	}
	return true;
}

static int fail(struct vty *vty, struct line *line, const char *why)
{
	vty_out(vty, "%% %s\n", why);
	if (line)
		line_free(line);
	return CMD_WARNING_CONFIG_FAILED;
}

int commit_changes(struct vty *vty)
{
	char message[BUFSIZ] = "";
	struct line *line;
	int ret;

	if (!acceptable(vty))
		return CMD_WARNING_CONFIG_FAILED;
	if (frr_get_cli_mode() != FRR_CLI_CLASSIC)
		return nb_cli_apply_changes(vty, NULL);
	line = line_new(vty);
	if (!line)
		return fail(vty, NULL, "Out of memory");
	commit_settle();
	if (waiting.lines && vty->pending_allowed) {
		wait_too(line);
		return CMD_SUCCESS;
	}
	ret = commit(line, message, sizeof(message));
	if (is_done(ret)) {
		line_free(line);
		return CMD_SUCCESS;
	}
	if (!commit_is_busy(ret) || !vty->pending_allowed)
		return fail(vty, line, message[0] ? message : nb_err_name(ret));
	vty_out(vty, "%% %s: this line and those after it are tried again until that has ended\n",
		message);
	wait_too(line);
	waiting.since = monotime(NULL);
	await();
	return CMD_SUCCESS;
}

void commit_start(compat_loop *loop)
{
	waiting.loop = loop;
}

void commit_stop(void)
{
	while (waiting.lines)
		drop_first();
	compat_cancel_event(&waiting.timer);
}
