/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The commands, each defined once: zebra makes DEFUNs of them and the vtysh extension DEFSHs.
 * X(function, command, help).
 */
#ifndef DPLANE_EBPF_COMMANDS_H
#define DPLANE_EBPF_COMMANDS_H

#define DPE_STR \
	"Data plane\n" \
	"Forwarding by eBPF\n"
#define DPE_JSON_STR "JavaScript Object Notation\n"

#define DPE_COMMANDS(X) \
	X(show_dplane_ebpf_summary, "show dplane ebpf summary [json]", \
	  "Show running system information\n" DPE_STR \
	  "What runs, and how full the tables are\n" DPE_JSON_STR) \
	X(show_dplane_ebpf_route, \
	  "show dplane ebpf route [vrf NAME] <A.B.C.D|A.B.C.D/M|X:X::X:X|X:X::X:X/M> [json]", \
	  "Show running system information\n" DPE_STR "What the program's tables say\n" \
	  "In the table of a VRF\n" \
	  "Name of the VRF\n" \
	  "IPv4 address: its longest matching prefix\n" \
	  "IPv4 prefix\n" \
	  "IPv6 address: its longest matching prefix\n" \
	  "IPv6 prefix\n" DPE_JSON_STR) \
	X(show_dplane_ebpf_nexthop, "show dplane ebpf nexthop [(1-65535)] [json]", \
	  "Show running system information\n" DPE_STR "Next hops\n" \
	  "One, by its number\n" DPE_JSON_STR) \
	X(show_dplane_ebpf_group, "show dplane ebpf group [(1-32767)] [json]", \
	  "Show running system information\n" DPE_STR "Next-hop groups\n" \
	  "One, by its number\n" DPE_JSON_STR) \
	X(show_dplane_ebpf_interface, "show dplane ebpf interface [json]", \
	  "Show running system information\n" DPE_STR \
	  "Where the program is attached, or why not\n" DPE_JSON_STR) \
	X(show_dplane_ebpf_counters, "show dplane ebpf counters [json]", \
	  "Show running system information\n" DPE_STR \
	  "What became of packets, by reason\n" DPE_JSON_STR) \
	X(show_dplane_ebpf_consistency, "show dplane ebpf consistency [json]", \
	  "Show running system information\n" DPE_STR \
	  "Whether zebra, the kernel and the program agree; compares them\n" DPE_JSON_STR)

/* Those that change something. */
#define DPE_ENABLE_COMMANDS(X) \
	X(clear_dplane_ebpf_consistency, "clear dplane ebpf consistency [json]", \
	  "Reset functions\n" DPE_STR \
	  "Set right what differs from zebra in our tables\n" DPE_JSON_STR)

#endif /* DPLANE_EBPF_COMMANDS_H */
