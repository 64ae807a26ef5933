/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Link metrics as text: of YANG's leaves, and of the command line. */
#ifndef DPLANE_EBPF_NORTHBOUND_VALUES_H
#define DPLANE_EBPF_NORTHBOUND_VALUES_H

#include "dplane_ebpf/compat.h"
#include "dplane_ebpf/paths/paths.h"

enum values_kind {
	VALUES_NUMBER,
	VALUES_PERCENT,
	VALUES_BANDWIDTH,
	VALUES_EMPTY,
	VALUES_TIME,
	VALUES_TEXT
};

/* A leaf of an override: its place below the entry, its keyword on the command line. */
struct values_leaf {
	const char *path;
	const char *keyword;
	enum values_kind kind;
	uint32_t bit; /* of struct paths_values, 0: none */
};

/* All, in the order in which they are written; ends with path NULL. */
extern const struct values_leaf values_leaves[];

/* By the name of the YANG leaf, or the keyword. NULL: there is none. */
const struct values_leaf *values_by_name(const char *name);
const struct values_leaf *values_by_keyword(const char *keyword);

/* A leaf's value, valid by YANG, into an override. Others (description) are left out. */
void values_read(struct paths_override *override, const char *name, const char *value);
/* A value as YANG's leaf has it; false: it is not there. buf has VALUES_TEXT_LEN bytes. */
#define VALUES_TEXT_LEN 64
bool values_write(const struct paths_values *values, const struct values_leaf *leaf, char *buf);
/* The same for people and JSON: bandwidth in decimal. */
bool values_print(const struct paths_values *values, const struct values_leaf *leaf, char *buf);

/*
 * From the command line to YANG's text. False: it cannot be a value, and error says why. yang has VALUES_TEXT_LEN
 * bytes.
 */
bool values_from_cli(const struct values_leaf *leaf, const char *text, char *yang, char *error,
		     size_t error_len);
/* And back; text has VALUES_TEXT_LEN bytes. Not for VALUES_TEXT. */
void values_to_cli(const struct values_leaf *leaf, const char *yang, char *text);

/* UTC, seconds since 1970. False: not such a date. */
bool values_time(const char *text, int64_t *when);
void values_time_text(int64_t when, char *buf); /* VALUES_TEXT_LEN bytes */
/* Canonical text of a unicast address. */
bool values_address(const char *text, uint8_t *family, uint8_t *address);

#endif /* DPLANE_EBPF_NORTHBOUND_VALUES_H */
