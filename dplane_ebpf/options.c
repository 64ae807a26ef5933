// SPDX-License-Identifier: GPL-2.0-or-later
/* The module's options. */
#include "dplane_ebpf/options.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dplane_ebpf/datapath/datapath.h"

#define HOLD_DEFAULT 5
#define HOLD_MAX 86400
#define PIN_BASE "/run/dplane_ebpf/bpf"

static bool set_pin(struct options *options, const char *value)
{
	if (strcmp(value, "none") == 0) {
		options->pin_dir[0] = '\0';
		return true;
	}
	return value[0] == '/' && (size_t)snprintf(options->pin_dir, sizeof(options->pin_dir), "%s",
						   value) < sizeof(options->pin_dir);
}

static bool set_hold(struct options *options, const char *value)
{
	char *end;
	unsigned long seconds = strtoul(value, &end, 10);

	if (strcmp(value, "forever") == 0) {
		options->hold_seconds = 0;
		return true;
	}
	if (*value < '0' || *value > '9' || *end || seconds < 1 || seconds > HOLD_MAX)
		return false;
	options->hold_seconds = (unsigned int)seconds;
	return true;
}

static bool set_seed(struct options *options, const char *value)
{
	char *end;

	errno = 0;
	options->seed = datapath_seed_number(strtoull(value, &end, 0));
	return *value >= '0' && *value <= '9' && !*end && !errno;
}

static bool set_size(struct options *options, const char *value)
{
	options->small = strcmp(value, "small") == 0;
	return options->small || strcmp(value, "full") == 0;
}

/* Names of interfaces, which need not exist yet. */
static bool set_bypass(struct options *options, const char *value)
{
	const char *name = value;

	if ((size_t)snprintf(options->bypass, sizeof(options->bypass), "%s", value) >=
	    sizeof(options->bypass))
		return false;
	while (name) {
		size_t len = strcspn(name, "+");

		if (len == 0 || len >= IF_NAMESIZE)
			return false;
		name = name[len] ? name + len + 1 : NULL;
	}
	return true;
}

static const struct option {
	const char *key;
	bool (*set)(struct options *options, const char *value);
	const char *expected;
} option_table[] = {
	{"bypass", set_bypass, "all, or names of interfaces with + between them"},
	{"hold", set_hold, "seconds, 1 to 86400, or forever"},
	{"pin", set_pin, "an absolute path on a bpffs, or none"},
	{"seed", set_seed, "a number"},
	{"size", set_size, "full or small"},
};

static bool set_one(struct options *options, const char *key, const char *value, char *error,
		    size_t error_len)
{
	for (size_t i = 0; i < sizeof(option_table) / sizeof(option_table[0]); i++) {
		if (strcmp(key, option_table[i].key) != 0)
			continue;
		if (value && option_table[i].set(options, value))
			return true;
		snprintf(error, error_len, "bad value '%s' for option %s: it takes %s",
			 value ? value : "", key, option_table[i].expected);
		return false;
	}
	snprintf(
		error, error_len,
		"unknown option '%s': there are pin=DIR|none, size=full|small, hold=SECONDS|forever, "
		"seed=NUMBER and bypass=all|IFNAME+...",
		key);
	return false;
}

bool options_parse(struct options *options, const char *text, const char *instance, char *error,
		   size_t error_len)
{
	char copy[PATH_MAX + 64];
	char *next = copy;
	char *word;

	options->small = false;
	options->bypass[0] = '\0';
	options->hold_seconds = HOLD_DEFAULT;
	options->seed = datapath_seed_here(instance);
	snprintf(options->pin_dir, sizeof(options->pin_dir), "%s/%s", PIN_BASE, instance);
	if ((size_t)snprintf(copy, sizeof(copy), "%s", text ? text : "") >= sizeof(copy)) {
		snprintf(error, error_len, "the options are too long");
		return false;
	}
	while ((word = strsep(&next, ", \t")) != NULL) {
		char *value = strchr(word, '=');

		if (word[0] == '\0')
			continue;
		if (value)
			*value++ = '\0';
		if (!set_one(options, word, value, error, error_len))
			return false;
	}
	return true;
}
