/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What stands after `-M dplane_ebpf:`, key=value pairs with commas or spaces between them. Knows no FRR. */
#ifndef DPLANE_EBPF_OPTIONS_H
#define DPLANE_EBPF_OPTIONS_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct options {
	char pin_dir[PATH_MAX]; /* empty: pin nothing */
	unsigned int
		hold_seconds; /* how long the tables of a zebra that died are forwarded by; 0: for ever */
	uint64_t seed;	      /* of the choice among a group's members */
	bool small;	      /* tables for a laboratory */
	char bypass[256]; /* where bypassing is allowed, as links_start() takes it */
};

/*
 * text may be NULL; instance tells apart the zebras of one machine: pin directory, seed. Returns
 * false and one line in error where something is not understood.
 */
bool options_parse(struct options *options, const char *text, const char *instance, char *error,
		   size_t error_len);

#endif /* DPLANE_EBPF_OPTIONS_H */
