// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Teaches stock vtysh our commands. Preloaded, it stands in for libfrr's vty_init_vtysh(), which vtysh calls
 * right after it has built its own command table.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include "lib/zebra.h"
#include "lib/command.h"
#include "lib/vty.h"

#include "dplane_ebpf/northbound/commands.h"

/* vtysh's number for zebra, which FRR has in no installed header; the same in all of its versions. */
#define VTYSH_ZEBRA 0x00001

#define X(name, string, help) DEFSH(VTYSH_ZEBRA, name##_cmd, string, help)
DPE_COMMANDS(X)
DPE_ENABLE_COMMANDS(X)
#undef X
#define X(name, string, help, no_string, no_help) \
	DEFSH(VTYSH_ZEBRA, name##_cmd, string, help) \
	DEFSH(VTYSH_ZEBRA, no_##name##_cmd, no_string, no_help)
DPE_CONFIG_COMMANDS(X)
#undef X

__attribute__((visibility("default"))) void vty_init_vtysh(void)
{
	void (*original)(void) = (void (*)(void))dlsym(RTLD_NEXT, "vty_init_vtysh");

#define X(name, string, help) install_element(VIEW_NODE, &name##_cmd);
	DPE_COMMANDS(X)
#undef X
#define X(name, string, help) install_element(ENABLE_NODE, &name##_cmd);
	DPE_ENABLE_COMMANDS(X)
#undef X
#define X(name, string, help, no_string, no_help) \
	install_element(CONFIG_NODE, &name##_cmd); \
	install_element(CONFIG_NODE, &no_##name##_cmd);
	DPE_CONFIG_COMMANDS(X)
#undef X
	if (original)
		original();
	else
		fprintf(stderr,
			"dplane_ebpf: this vtysh has no vty_init_vtysh(), its FRR is not supported\n");
}
