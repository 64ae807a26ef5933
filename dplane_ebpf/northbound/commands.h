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
	  "Whether zebra, the kernel and the program agree; compares them\n" DPE_JSON_STR) \
	X(show_dplane_ebpf_link_metric, "show dplane ebpf link-metric [json]", \
	  "Show running system information\n" DPE_STR \
	  "Metrics of links: configured, measured, and what counts\n" DPE_JSON_STR) \
	X(show_dplane_ebpf_events, "show dplane ebpf events [(0-4294967295)] [json]", \
	  "Show running system information\n" DPE_STR "What happened last\n" \
	  "After the event of this number\n" DPE_JSON_STR)

/* Those that change something. */
#define DPE_ENABLE_COMMANDS(X) \
	X(clear_dplane_ebpf_counters, "clear dplane ebpf counters [json]", \
	  "Reset functions\n" DPE_STR \
	  "Let the counters of packets start from zero\n" DPE_JSON_STR) \
	X(clear_dplane_ebpf_consistency, "clear dplane ebpf consistency [json]", \
	  "Reset functions\n" DPE_STR \
	  "Set right what differs from zebra in our tables\n" DPE_JSON_STR)

/* Configuration: X(function, command, help, its "no" form, help). */
#define DPE_CONFIG_COMMANDS(X) \
	X(dplane_ebpf_kernel_only, "dplane ebpf kernel-only", DPE_STR DPE_KERNEL_ONLY_STR, \
	  "no dplane ebpf kernel-only", NO_STR DPE_STR DPE_KERNEL_ONLY_STR) \
	X(dplane_ebpf_table_size, "dplane ebpf table-size <full|small>", \
	  DPE_STR DPE_TABLE_SIZE_STR, "no dplane ebpf table-size [<full|small>]", \
	  NO_STR DPE_STR DPE_TABLE_SIZE_STR) \
	X(dplane_ebpf_hold_time, "dplane ebpf hold-time <(1-86400)|forever>", \
	  DPE_STR DPE_HOLD_TIME_STR, "no dplane ebpf hold-time [<(1-86400)|forever>]", \
	  NO_STR DPE_STR DPE_HOLD_TIME_STR) \
	X(dplane_ebpf_bypass, "dplane ebpf bypass", DPE_STR DPE_BYPASS_STR, \
	  "no dplane ebpf bypass", NO_STR DPE_STR DPE_BYPASS_STR) \
	X(dplane_ebpf_interface, "dplane ebpf interface IFNAME [<kernel-only|bypass>]", \
	  DPE_STR DPE_INTERFACE_STR, "no dplane ebpf interface IFNAME [<kernel-only|bypass>]", \
	  NO_STR DPE_STR DPE_INTERFACE_STR) \
	X(dplane_ebpf_link_metric, \
	  "dplane ebpf link-metric IFNAME [<A.B.C.D|X:X::X:X>] [<metric (1-16777215)" \
	  "|delay (0-16777215)|min-delay (0-16777215)|max-delay (0-16777215)" \
	  "|delay-variation (0-16777215)|packet-loss PERCENTAGE|res-bw BANDWIDTH" \
	  "|ava-bw BANDWIDTH|use-bw BANDWIDTH|weight (1-65535)|drain|expires TIME|lifetime (1-31536000)>]", \
	  DPE_STR DPE_LINK_METRIC_STR DPE_METRICS_STR, \
	  "no dplane ebpf link-metric IFNAME [<A.B.C.D|X:X::X:X>] [<metric [(1-16777215)]" \
	  "|delay [(0-16777215)]|min-delay [(0-16777215)]|max-delay [(0-16777215)]" \
	  "|delay-variation [(0-16777215)]|packet-loss [PERCENTAGE]|res-bw [BANDWIDTH]" \
	  "|ava-bw [BANDWIDTH]|use-bw [BANDWIDTH]|weight [(1-65535)]|drain|expires [TIME]|lifetime [(1-31536000)]|description>]", \
	  NO_STR DPE_STR DPE_LINK_METRIC_STR DPE_METRICS_STR "Free text\n") \
	X(dplane_ebpf_link_metric_description, \
	  "dplane ebpf link-metric IFNAME [<A.B.C.D|X:X::X:X>] description LINE...", \
	  DPE_STR DPE_LINK_METRIC_STR DPE_DESCRIPTION_STR, \
	  "no dplane ebpf link-metric IFNAME [<A.B.C.D|X:X::X:X>] description LINE...", \
	  NO_STR DPE_STR DPE_LINK_METRIC_STR DPE_DESCRIPTION_STR)

#define DPE_KERNEL_ONLY_STR "Forward nothing in eBPF: the kernel does\n"
#define DPE_TABLE_SIZE_STR \
	"Size of the forwarding tables\n" \
	"For a full Internet table\n" \
	"For a router in a laboratory\n"
#define DPE_HOLD_TIME_STR \
	"How long tables forward that nobody keeps true any more\n" \
	"Seconds\n" \
	"Until somebody removes them\n"
#define DPE_BYPASS_STR "Take the fast path on every interface even where it bypasses something\n"
#define DPE_INTERFACE_STR \
	"Settings of an interface\n" \
	"Interface's name\n" \
	"What comes in here is forwarded by the kernel\n" \
	"Take the fast path here even where it bypasses something\n"
#define DPE_LINK_METRIC_STR \
	"Metrics of a link, instead of what is measured\n" \
	"Interface's name\n" \
	"One next hop on the link: IPv4 address\n" \
	"One next hop on the link: IPv6 address\n"
#define DPE_METRICS_STR \
	"Metric: the lowest in a next-hop group gets the traffic\n" \
	"Metric, 10 where nothing is said\n" \
	"Average unidirectional delay\n" \
	"Microseconds\n" \
	"Minimum delay\n" \
	"Microseconds\n" \
	"Maximum delay\n" \
	"Microseconds\n" \
	"Variation of the delay\n" \
	"Microseconds\n" \
	"Unidirectional packet loss\n" \
	"Percent, 0 to 50.331642\n" \
	"Residual bandwidth\n" \
	"Bytes per second\n" \
	"Available bandwidth\n" \
	"Bytes per second\n" \
	"Utilised bandwidth\n" \
	"Bytes per second\n" \
	"Weight in next-hop groups, instead of zebra's\n" \
	"Weight\n" \
	"Out of use: traffic goes elsewhere, while there is another way\n" \
	"When this entry ends\n" \
	"UTC, like 2030-12-31T23:59:59Z\n" \
	"How long this entry counts from now on; it is written as expires\n" \
	"Seconds\n"
#define DPE_DESCRIPTION_STR \
	"Free text\n" \
	"The text\n"

#endif /* DPLANE_EBPF_COMMANDS_H */
