// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Is what the program does with a packet what the kernel would do, or left to the kernel? Anything else is a
 * difference, and why.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include "tests/differ/differ.h"

const char *const verdict_names[VERDICT_MAX] = {
#define X(e, n) [VERDICT_##e] = n,
	CLASSES(X)
#undef X
};

static const uint8_t *gateway_mac(const struct packet *packet, const struct way *way)
{
	if (way->family)
		return knowledge_neighbour(way->ifindex, way->family, way->gate);
	return knowledge_neighbour(way->ifindex, packet->family, packet->dst);
}

/* Of a way that the kernel takes too. */
static const char *wrong_macs(const struct packet *packet, const struct program_answer *program)
{
	const uint8_t *dst = gateway_mac(packet, &program->way);
	const uint8_t *src = knowledge_mac(program->way.ifindex);

	if (!dst)
		return "the kernel does not know this neighbour's MAC address";
	if (memcmp(dst, program->dst_mac, 6))
		return "another MAC address than the kernel's neighbour has";
	if (!src || memcmp(src, program->src_mac, 6))
		return "the source MAC address is not the interface's";
	return NULL;
}

/* The kernel chose another way: would it choose the program's for another flow? */
static bool is_member(const struct packet *packet, const struct way *way)
{
	struct way ways[MAX_WAYS];
	size_t count = kernel_ways(packet, ways);

	for (size_t i = 0; i < count; i++) {
		if (way_same(&ways[i], way))
			return true;
	}
	return false;
}

/* A way that both have by RTM_GETROUTE: does bpf_fib_lookup() say nothing against it? */
static const char *witness_against(const struct packet *packet, struct comparison *c)
{
	const struct witness_answer *witness = &c->witness;
	const struct program_answer *program = &c->program;

	witness_ask(packet, &c->witness);
	if (witness->outcome != BPF_FIB_LKUP_RET_SUCCESS &&
	    witness->outcome != BPF_FIB_LKUP_RET_NO_NEIGH)
		return "bpf_fib_lookup() has no way";
	if (witness->way.ifindex != program->way.ifindex)
		return is_member(packet, &program->way) ? NULL
							: "bpf_fib_lookup() has another interface";
	if (witness->outcome == BPF_FIB_LKUP_RET_SUCCESS && program->fate == FATE_SENT &&
	    memcmp(witness->dst_mac, program->dst_mac, 6) && !is_member(packet, &program->way))
		return "bpf_fib_lookup() has another MAC address";
	return NULL;
}

static const char *sent_wrongly(const struct packet *packet, struct comparison *c)
{
	const struct kernel_answer *kernel = &c->kernel;
	const struct program_answer *program = &c->program;
	const char *wrong = NULL;

	if (kernel->error)
		return "forwarded, and the kernel does not";
	if (kernel->type != RTN_UNICAST)
		return "forwarded, and for the kernel it is not another's";
	if (kernel->refuses)
		return kernel->refuses;
	if (kernel->way.encap)
		return "forwarded bare, and the kernel encapsulates";
	c->verdict = program->fate == FATE_SENT ? VERDICT_SAME : VERDICT_NEIGHBOUR;
	if (!way_same(&kernel->way, &program->way)) {
		if (!is_member(packet, &program->way))
			return program->fate == FATE_NEIGHBOUR && program->way.family &&
					       !gateway_mac(packet, &program->way)
				       ? "a gateway without a MAC address, which the kernel passes over"
				       : "another way than the kernel's";
		c->verdict = VERDICT_MEMBER;
	}
	if (program->fate == FATE_SENT && knowledge_mac(program->way.ifindex))
		wrong = wrong_macs(packet, program);
	return wrong ? wrong : witness_against(packet, c);
}

static const char *judge(const struct packet *packet, struct comparison *c)
{
	const struct kernel_answer *kernel = &c->kernel;

	if (c->program.damaged)
		return c->program.damaged;
	switch (c->program.fate) {
	case FATE_KERNEL:
		c->verdict = kernel->error || kernel->type != RTN_UNICAST || kernel->refuses
				     ? VERDICT_LEFT_OTHER
				     : VERDICT_LEFT;
		return NULL;
	case FATE_DROP:
		/* without an answer to the sender: blackhole's error is EINVAL in both families */
		c->verdict = VERDICT_DROP;
		return kernel->error == EINVAL ? NULL : "dropped, and the kernel does not";
	case FATE_SENT:
	case FATE_NEIGHBOUR:
		return sent_wrongly(packet, c);
	default:
		return "an answer that is none";
	}
}

void compare(const struct packet *packet, struct comparison *c)
{
	struct program_answer program;

	program_ask(packet, &program);
	compare_answer(packet, &program, c);
}

void compare_answer(const struct packet *packet, const struct program_answer *program,
		    struct comparison *c)
{
	c->program = *program;
	kernel_ask(packet, &c->kernel);
	c->why = judge(packet, c);
	if (c->why)
		c->verdict = VERDICT_DIFFERENT;
}

/* ---- words ---- */

static void print_way(FILE *out, const struct way *way)
{
	char name[IF_NAMESIZE], gate[INET6_ADDRSTRLEN];

	if (!if_indextoname(way->ifindex, name))
		snprintf(name, sizeof(name), "#%u", way->ifindex);
	if (way->family)
		fprintf(out, "via %s ", inet_ntop(way->family, way->gate, gate, sizeof(gate)));
	fprintf(out, "dev %s%s", name, way->encap ? " encap" : "");
}

static void print_macs(FILE *out, const uint8_t dst[6], const uint8_t src[6])
{
	for (int i = 0; i < 12; i++)
		fprintf(out, "%s%02x",
			i == 0	 ? " mac "
			: i == 6 ? " from "
				 : ":",
			i < 6 ? dst[i] : src[i - 6]);
}

static const char *type_name(uint8_t type)
{
	static const char *const names[] = {
		[RTN_UNICAST] = "unicast",
		[RTN_LOCAL] = "local",
		[RTN_BROADCAST] = "broadcast",
		[RTN_ANYCAST] = "anycast",
		[RTN_MULTICAST] = "multicast",
		[RTN_BLACKHOLE] = "blackhole",
		[RTN_UNREACHABLE] = "unreachable",
		[RTN_PROHIBIT] = "prohibit",
		[RTN_THROW] = "throw",
	};

	return type < sizeof(names) / sizeof(*names) && names[type] ? names[type] : "?";
}

static void print_kernel(FILE *out, const struct packet *packet, const struct kernel_answer *kernel)
{
	struct way ways[MAX_WAYS];
	size_t count;

	if (kernel->error) {
		fprintf(out, "error: %s", strerror(kernel->error));
		return;
	}
	fprintf(out, "%s ", type_name(kernel->type));
	print_way(out, &kernel->way);
	if (kernel->refuses)
		fprintf(out, ", but: %s", kernel->refuses);
	count = kernel_ways(packet, ways);
	for (size_t i = 0; count > 1 && i < count; i++) {
		fprintf(out, "%s", i ? ", " : " (of: ");
		print_way(out, &ways[i]);
		fprintf(out, "%s", i + 1 == count ? ")" : "");
	}
}

static void print_program(FILE *out, const struct program_answer *program)
{
	static const char *const fates[] = {
		[FATE_KERNEL] = "to the kernel",
		[FATE_DROP] = "dropped",
		[FATE_SENT] = "sent",
		[FATE_NEIGHBOUR] = "sent by the neighbour table",
		[FATE_ODD] = "odd",
	};

	fprintf(out, "%s (%s) ", fates[program->fate], program->reason);
	if (program->fate != FATE_SENT && program->fate != FATE_NEIGHBOUR)
		return;
	print_way(out, &program->way);
	if (program->fate == FATE_SENT)
		print_macs(out, program->dst_mac, program->src_mac);
}

void comparison_print(FILE *out, const struct packet *packet, const struct comparison *c)
{
	struct witness_answer witness;

	fprintf(out, "{\"packet\": \"");
	packet_print(out, packet);
	fprintf(out, "\", \"verdict\": \"%s\", \"why\": \"%s\", \"program\": \"",
		verdict_names[c->verdict], c->why ? c->why : "");
	print_program(out, &c->program);
	fprintf(out, "\", \"kernel\": \"");
	print_kernel(out, packet, &c->kernel);
	witness_ask(packet, &witness);
	fprintf(out, "\", \"witness\": \"%ld ", witness.outcome);
	print_way(out, &witness.way);
	print_macs(out, witness.dst_mac, witness.src_mac);
	fprintf(out, "\"}");
}
