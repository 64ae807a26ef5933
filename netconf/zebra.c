// SPDX-License-Identifier: GPL-2.0-or-later
/* Questions to zebra on its vty socket. */
#include "netconf/zebra.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <json-c/json.h>

#include "netconf/yuma.h"

#define RETRY_MS 20

/* FRR 8.4 takes commands of at most 4095 bytes. Three bytes are four characters. */
#define PIECE 2700

static struct {
	struct sockaddr_un address;
	int fd;
	char error[256];
} zebra = {.fd = -1};

void zebra_init(const char *path)
{
	zebra.address.sun_family = AF_UNIX;
	snprintf(zebra.address.sun_path, sizeof(zebra.address.sun_path), "%s", path);
}

void zebra_close(void)
{
	if (zebra.fd >= 0)
		close(zebra.fd);
	zebra.fd = -1;
}

const char *zebra_error(void)
{
	return zebra.error;
}

static bool failed(const char *what, const char *why)
{
	snprintf(zebra.error, sizeof(zebra.error), "%s %s: %s", what, zebra.address.sun_path, why);
	zebra_close();
	return false;
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static bool wait_for(short events, int64_t until)
{
	struct pollfd pollfd = {.fd = zebra.fd, .events = events};
	int64_t left = until - now_ms();
	int n = left > 0 ? poll(&pollfd, 1, (int)left) : 0;

	while (n < 0 && errno == EINTR) {
		left = until - now_ms();
		n = left > 0 ? poll(&pollfd, 1, (int)left) : 0;
	}
	return n > 0 || failed("zebra does not answer on", "timed out");
}

static bool send_all(const char *data, size_t len, int64_t until)
{
	while (len) {
		ssize_t n = send(zebra.fd, data, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EAGAIN) {
			if (!wait_for(POLLOUT, until))
				return false;
			continue;
		}
		if (n < 0)
			return failed("zebra's socket", strerror(errno));
		data += n;
		len -= (size_t)n;
	}
	return true;
}

/* An answer ends with three bytes of zero and one that says how it went. */
static bool receive_all(char **answer, unsigned char *result, int64_t until)
{
	size_t size = 65536, len = 0;
	char *data = malloc(size);

	while (data) {
		ssize_t n = recv(zebra.fd, data + len, size - len, 0);

		if (n == 0 || (n < 0 && errno != EAGAIN)) {
			failed("zebra's socket", n ? strerror(errno) : "closed by zebra");
			break;
		}
		if (n < 0) {
			if (!wait_for(POLLIN, until))
				break;
			continue;
		}
		len += (size_t)n;
		if (len >= 4 && memcmp(data + len - 4, "\0\0\0", 3) == 0) {
			*result = (unsigned char)data[len - 1];
			*answer = data;
			return true;
		}
		if (len == size) {
			char *larger = realloc(data, 2 * size);

			if (!larger)
				break;
			data = larger;
			size *= 2;
		}
	}
	if (!data)
		failed("zebra's answer on", "out of memory");
	free(data);
	return false;
}

static bool exchange(const char *command, char **answer, bool *ok)
{
	int64_t until = now_ms() + ZEBRA_TIMEOUT_MS;
	unsigned char result;

	if (!send_all(command, strlen(command) + 1, until) || !receive_all(answer, &result, until))
		return false;
	*ok = result == 0;
	return true;
}

static bool open_socket(void)
{
	char *answer;
	bool ok;

	zebra.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (zebra.fd < 0)
		return failed("no socket for", strerror(errno));
	if (connect(zebra.fd, (struct sockaddr *)&zebra.address, sizeof(zebra.address)) < 0)
		return failed("cannot reach zebra on", strerror(errno));
	if (!exchange("enable", &answer, &ok))
		return false;
	free(answer);
	return true;
}

bool zebra_ask(const char *command, char **answer, bool *ok)
{
	bool was_open = zebra.fd >= 0;

	if (!was_open && !open_socket())
		return false;
	if (exchange(command, answer, ok))
		return true;
	/* a zebra that was restarted has closed the old socket */
	return was_open && zebra.fd < 0 && open_socket() && exchange(command, answer, ok);
}

static uint64_t number(json_object *object, const char *name)
{
	json_object *value;

	return json_object_object_get_ex(object, name, &value)
		       ? (uint64_t)json_object_get_int64(value)
		       : 0;
}

bool zebra_status(struct zebra_status *status)
{
	json_object *object, *value;
	char *answer;
	bool ok;

	if (!zebra_ask("show dplane ebpf datastore status", &answer, &ok))
		return false;
	object = ok ? json_tokener_parse(answer) : NULL;
	free(answer);
	if (!object)
		return failed("no answer of dplane_ebpf's on",
			      "zebra runs without it, or with another version");
	status->instance = number(object, "instance");
	status->version = number(object, "version");
	status->event = number(object, "event");
	status->read =
		json_object_object_get_ex(object, "read", &value) && json_object_get_boolean(value);
	json_object_put(object);
	return true;
}

char *zebra_xml(const char *what)
{
	char command[64], *answer;
	bool ok;

	snprintf(command, sizeof(command), "show dplane ebpf datastore %s", what);
	if (!zebra_ask(command, &answer, &ok))
		return NULL;
	if (ok && answer[0] == '<')
		return answer;
	free(answer);
	failed("no answer of dplane_ebpf's on", "zebra runs without it, or with another version");
	return NULL;
}

/* ---- edits ---- */

/* One command; the answer of a refused one into refusal. */
static enum zebra_verdict command(const char *text, struct zebra_refusal *refusal)
{
	enum zebra_verdict verdict = ZEBRA_FAILED;
	json_object *object, *value;
	char *answer;
	bool ok;

	if (!zebra_ask(text, &answer, &ok)) {
		snprintf(refusal->message, sizeof(refusal->message), "%s", zebra.error);
		return ZEBRA_UNREACHABLE;
	}
	object = ok ? NULL : json_tokener_parse(answer);
	snprintf(refusal->message, sizeof(refusal->message), "%s", ok ? "" : answer);
	free(answer);
	if (ok)
		return ZEBRA_DONE;
	if (!object)
		return ZEBRA_FAILED;
	if (json_object_object_get_ex(object, "error", &value)) {
		if (strcmp(json_object_get_string(value), "invalid") == 0)
			verdict = ZEBRA_INVALID;
		else if (strcmp(json_object_get_string(value), "conflict") == 0)
			verdict = ZEBRA_CONFLICT;
		else if (strcmp(json_object_get_string(value), "busy") == 0)
			verdict = ZEBRA_BUSY;
	}
	if (json_object_object_get_ex(object, "path", &value))
		snprintf(refusal->path, sizeof(refusal->path), "%s", json_object_get_string(value));
	if (json_object_object_get_ex(object, "message", &value))
		snprintf(refusal->message, sizeof(refusal->message), "%s",
			 json_object_get_string(value));
	json_object_put(object);
	return verdict;
}

static enum zebra_verdict hand_over(const char *name, const char *text,
				    struct zebra_refusal *refusal)
{
	char line[64 + PIECE / 3 * 4 + 5];
	enum zebra_verdict verdict = ZEBRA_DONE;
	size_t len = strlen(text);

	for (size_t at = 0; at < len && verdict == ZEBRA_DONE; at += PIECE) {
		int prefix = snprintf(line, sizeof(line), "dplane ebpf datastore %s ", name);
		unsigned int n = 0;

		if (b64_encode((const unsigned char *)text + at,
			       len - at < PIECE ? len - at : PIECE, (unsigned char *)line + prefix,
			       sizeof(line) - prefix - 1, 0, &n) != NO_ERR)
			return ZEBRA_FAILED;
		line[prefix + n] = '\0';
		verdict = command(line, refusal);
	}
	return verdict;
}

/* What is begun, as often as zebra has no time for it. */
static enum zebra_verdict finish(const char *text, struct zebra_refusal *refusal)
{
	int64_t until = now_ms() + ZEBRA_PATIENCE_MS;
	enum zebra_verdict verdict;

	while ((verdict = command(text, refusal)) == ZEBRA_BUSY && now_ms() < until)
		poll(NULL, 0, RETRY_MS);
	return verdict;
}

enum zebra_verdict zebra_edit(const char *base, const char *target, bool commit,
			      struct zebra_refusal *refusal)
{
	enum zebra_verdict verdict;

	memset(refusal, 0, sizeof(*refusal));
	verdict = command("dplane ebpf datastore begin", refusal);
	if (verdict == ZEBRA_DONE)
		verdict = hand_over("base", base, refusal);
	if (verdict == ZEBRA_DONE)
		verdict = hand_over("target", target, refusal);
	if (verdict == ZEBRA_DONE)
		verdict = finish(commit ? "dplane ebpf datastore commit"
					: "dplane ebpf datastore validate",
				 refusal);
	return verdict;
}
