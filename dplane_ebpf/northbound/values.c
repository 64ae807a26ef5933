// SPDX-License-Identifier: GPL-2.0-or-later
/* Link metrics as text. */
#include "dplane_ebpf/northbound/values.h"

#include <math.h>

const struct values_leaf values_leaves[] = {
	{"metric", "metric", VALUES_NUMBER, PATHS_METRIC},
	{"delay", "delay", VALUES_NUMBER, PATHS_DELAY},
	{"min-max-delay/delay-min", "min-delay", VALUES_NUMBER, PATHS_DELAY_MIN},
	{"min-max-delay/delay-max", "max-delay", VALUES_NUMBER, PATHS_DELAY_MAX},
	{"delay-variation", "delay-variation", VALUES_NUMBER, PATHS_DELAY_VARIATION},
	{"packet-loss", "packet-loss", VALUES_PERCENT, PATHS_LOSS},
	{"residual-bandwidth", "res-bw", VALUES_BANDWIDTH, PATHS_RESIDUAL_BANDWIDTH},
	{"available-bandwidth", "ava-bw", VALUES_BANDWIDTH, PATHS_AVAILABLE_BANDWIDTH},
	{"utilized-bandwidth", "use-bw", VALUES_BANDWIDTH, PATHS_UTILIZED_BANDWIDTH},
	{"weight", "weight", VALUES_NUMBER, PATHS_WEIGHT},
	{"drain", "drain", VALUES_EMPTY, PATHS_DRAIN},
	{"expires", "expires", VALUES_TIME, 0},
	{"description", "description", VALUES_TEXT, 0},
	{NULL, NULL, VALUES_TEXT, 0},
};

static const char *leaf_name(const struct values_leaf *leaf)
{
	const char *slash = strrchr(leaf->path, '/');

	return slash ? slash + 1 : leaf->path;
}

const struct values_leaf *values_by_name(const char *name)
{
	for (const struct values_leaf *leaf = values_leaves; leaf->path; leaf++) {
		if (strcmp(leaf_name(leaf), name) == 0)
			return leaf;
	}
	return NULL;
}

const struct values_leaf *values_by_keyword(const char *keyword)
{
	for (const struct values_leaf *leaf = values_leaves; leaf->path; leaf++) {
		if (strcmp(leaf->keyword, keyword) == 0)
			return leaf;
	}
	return NULL;
}

static uint32_t *number_of(struct paths_values *values, uint32_t bit)
{
	switch (bit) {
	case PATHS_METRIC:
		return &values->metric;
	case PATHS_DELAY:
		return &values->delay;
	case PATHS_DELAY_MIN:
		return &values->delay_min;
	case PATHS_DELAY_MAX:
		return &values->delay_max;
	case PATHS_DELAY_VARIATION:
		return &values->delay_variation;
	case PATHS_LOSS:
		return &values->loss;
	default:
		return &values->weight;
	}
}

static float *bandwidth_of(struct paths_values *values, uint32_t bit)
{
	switch (bit) {
	case PATHS_RESIDUAL_BANDWIDTH:
		return &values->residual;
	case PATHS_AVAILABLE_BANDWIDTH:
		return &values->available;
	default:
		return &values->utilized;
	}
}

void values_read(struct paths_override *override, const char *name, const char *value)
{
	struct paths_values *values = &override->values;
	const struct values_leaf *leaf = values_by_name(name);

	if (strcmp(name, "interface") == 0)
		snprintf(override->interface, sizeof(override->interface), "%s", value);
	else if (strcmp(name, "address") == 0)
		values_address(value, &override->family, override->address);
	if (!leaf)
		return;
	values->has |= leaf->bit;
	switch (leaf->kind) {
	case VALUES_NUMBER:
		*number_of(values, leaf->bit) = strtoul(value, NULL, 10);
		break;
	case VALUES_PERCENT:
		*number_of(values, leaf->bit) = llround(strtod(value, NULL) * 1e6);
		break;
	case VALUES_BANDWIDTH:
		*bandwidth_of(values, leaf->bit) = strtof(value, NULL);
		break;
	case VALUES_EMPTY:
		values->drain = true;
		break;
	case VALUES_TIME:
		values_time(value, &override->expires);
		break;
	case VALUES_TEXT:
		break;
	}
}

/* Six digits after the point at most, as YANG writes a decimal64: at least one. */
static void percent_text(uint32_t millionths, char *buf)
{
	size_t len = snprintf(buf, VALUES_TEXT_LEN, "%u.%06u", millionths / 1000000,
			      millionths % 1000000);

	while (buf[len - 1] == '0' && buf[len - 2] != '.')
		buf[--len] = '\0';
}

static bool write_value(const struct paths_values *values, const struct values_leaf *leaf,
			const char *bandwidth_format, char *buf)
{
	struct paths_values copy = *values;

	if (!(values->has & leaf->bit))
		return false;
	switch (leaf->kind) {
	case VALUES_NUMBER:
		snprintf(buf, VALUES_TEXT_LEN, "%u", *number_of(&copy, leaf->bit));
		break;
	case VALUES_PERCENT:
		percent_text(*number_of(&copy, leaf->bit), buf);
		break;
	case VALUES_BANDWIDTH:
		snprintf(buf, VALUES_TEXT_LEN, bandwidth_format,
			 (double)*bandwidth_of(&copy, leaf->bit));
		break;
	case VALUES_EMPTY:
		snprintf(buf, VALUES_TEXT_LEN, "%s", values->drain ? "true" : "false");
		break;
	case VALUES_TIME:
	case VALUES_TEXT:
		return false;
	}
	return true;
}

bool values_write(const struct paths_values *values, const struct values_leaf *leaf, char *buf)
{
	return write_value(values, leaf, "%a", buf);
}

bool values_print(const struct paths_values *values, const struct values_leaf *leaf, char *buf)
{
	/* nine digits tell every float from every other */
	return write_value(values, leaf, "%.9g", buf);
}

static bool from_percent(const char *text, char *yang)
{
	char *end;
	double percent = strtod(text, &end);

	if (end == text || *end || !(percent >= 0 && percent <= 50.331642) || strpbrk(text, "xXeE"))
		return false;
	percent_text(llround(percent * 1e6), yang);
	return true;
}

static bool from_bandwidth(const char *text, char *yang)
{
	char *end;
	float bandwidth = strtof(text, &end);

	if (end == text || *end || !isfinite(bandwidth) || (bandwidth != 0 && bandwidth < 1))
		return false;
	snprintf(yang, VALUES_TEXT_LEN, "%a", bandwidth == 0 ? 0.0 : (double)bandwidth);
	return true;
}

bool values_from_cli(const struct values_leaf *leaf, const char *text, char *yang, char *error,
		     size_t error_len)
{
	const char *expected = NULL;
	int64_t when;

	switch (leaf->kind) {
	case VALUES_PERCENT:
		if (!from_percent(text, yang))
			expected = "a percentage, 0 to 50.331642";
		break;
	case VALUES_BANDWIDTH:
		if (!from_bandwidth(text, yang))
			expected = "bytes per second: 0, or a number from 1 up (1.25e9)";
		break;
	case VALUES_TIME:
		snprintf(yang, VALUES_TEXT_LEN, "%.40s", text);
		if (!values_time(text, &when))
			expected = "a time in UTC like 2030-12-31T23:59:59Z";
		break;
	default:
		snprintf(yang, VALUES_TEXT_LEN, "%.60s", text);
		break;
	}
	if (expected)
		snprintf(error, error_len, "%s: '%.40s' is not %s", leaf->keyword, text, expected);
	return !expected;
}

void values_to_cli(const struct values_leaf *leaf, const char *yang, char *text)
{
	if (leaf->kind == VALUES_BANDWIDTH)
		snprintf(text, VALUES_TEXT_LEN, "%.9g", (double)strtof(yang, NULL));
	else
		snprintf(text, VALUES_TEXT_LEN, "%.60s", yang);
}

bool values_time(const char *text, int64_t *when)
{
	struct tm tm = {0}, asked;
	const char *end = strptime(text, "%Y-%m-%dT%H:%M:%SZ", &tm);
	time_t seconds;

	if (!end || *end || strlen(text) != strlen("2026-01-01T00:00:00Z"))
		return false;
	asked = tm;
	seconds = timegm(&tm);
	/* it has made another day of the 31st of February */
	if (asked.tm_mday != tm.tm_mday || asked.tm_sec != tm.tm_sec)
		return false;
	*when = seconds;
	return true;
}

void values_time_text(int64_t when, char *buf)
{
	time_t seconds = when;
	struct tm tm;

	if (!gmtime_r(&seconds, &tm) || !strftime(buf, VALUES_TEXT_LEN, "%Y-%m-%dT%H:%M:%SZ", &tm))
		buf[0] = '\0';
}

bool values_address(const char *text, uint8_t *family, uint8_t *address)
{
	char canonical[INET6_ADDRSTRLEN];
	bool multicast, unspecified;

	memset(address, 0, 16);
	*family = strchr(text, ':') ? AF_INET6 : AF_INET;
	if (inet_pton(*family, text, address) != 1 ||
	    !inet_ntop(*family, address, canonical, sizeof(canonical)) ||
	    strcmp(text, canonical) != 0)
		return false;
	multicast = *family == AF_INET ? address[0] >= 224 : address[0] == 0xff;
	unspecified = memcmp(address, (uint8_t[16]){0}, 16) == 0;
	return !multicast && !unspecified;
}
