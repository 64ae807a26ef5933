// SPDX-License-Identifier: GPL-2.0-or-later
/* Whether what frr.conf says of us has come through: a vtysh without the extension leaves it out. */
#include "dplane_ebpf/northbound/boot.h"

#include <libgen.h>

#include "dplane_ebpf/northbound/northbound.h"

#include "dplane_ebpf/log.h"

#define OURS "dplane ebpf "

static bool has_our_lines(const char *path)
{
	FILE *file = fopen(path, "re");
	char *line = NULL;
	size_t size = 0;
	bool found = false;

	while (file && !found && getline(&line, &size, file) >= 0) {
		const char *text = line + strspn(line, " \t");

		if (strncmp(text, "no ", 3) == 0)
			text += 3;
		found = strncmp(text, OURS, strlen(OURS)) == 0;
	}
	free(line);
	if (file)
		fclose(file);
	return found;
}

void boot_check(void)
{
	const struct lyd_node *root =
		running_config ? yang_dnode_get(running_config->dnode, NORTHBOUND_ROOT) : NULL;
	char zebra_conf[sizeof(config_default)], path[sizeof(config_default) + 16];

	/* the integrated file stands beside zebra's own */
	snprintf(zebra_conf, sizeof(zebra_conf), "%s", config_default);
	snprintf(path, sizeof(path), "%s/frr.conf", dirname(zebra_conf));
	if ((root && !yang_dnode_is_default_recursive(root)) || commit_waits() ||
	    !has_our_lines(path))
		return;
	dpe_log(LOG_ERR,
		"the lines of %s that begin with \"" OURS
		"\" are NOT in force: the vtysh that reads it lacks our extension; let "
		"dplane-ebpf-vtysh -b read it, and put that in the place of vtysh (README, Configuration)",
		path);
}
