// SPDX-License-Identifier: GPL-2.0-or-later
/* The program attached: frames on a wire, for what BPF_PROG_TEST_RUN cannot show. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "tests/bpf/fixture.h"

static struct frame frame;
static int sender, receiver;

static int packet_socket(uint32_t ifindex)
{
	struct sockaddr_ll at = {
		.sll_family = AF_PACKET, .sll_protocol = htons(0x0003), .sll_ifindex = ifindex};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(0x0003));

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(bind(fd, (const struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

static void attach(void)
{
	enum datapath_hook hook;

	bed_setup();
	ck_assert_int_eq(datapath_attach(bed.datapath, bed.in, &hook), 0);
	ck_assert_int_ne(hook, DATAPATH_HOOK_NONE);
	sender = packet_socket(bed.in_peer);
	receiver = packet_socket(bed.out_peer);
}

static void detach(void)
{
	close(sender);
	close(receiver);
	bed_teardown();
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ull + now.tv_nsec / 1000000;
}

/* Send a frame towards "in", and wait until exactly this counter has risen by one. */
static void send_counted(const char *what, enum fib_counter counter)
{
	uint64_t before[FIB_CNT_MAX], after[FIB_CNT_MAX], end = now_ms() + 5000;

	datapath_counters(bed.datapath, before);
	ck_assert_int_eq(send(sender, frame.data, frame.len, 0), frame.len);
	do
		datapath_counters(bed.datapath, after);
	while (!memcmp(before, after, sizeof(before)) && now_ms() < end);
	for (int i = 0; i < FIB_CNT_MAX; i++)
		ck_assert_msg(after[i] - before[i] == (i == (int)counter),
			      "%s, %zu bytes: counter %d rose by %d", what, frame.len, i,
			      (int)(after[i] - before[i]));
}

/* The wanted frame comes out of "out"; others (the kernel's own) may come as well. */
static void expect_out(const char *what, const struct frame *wanted)
{
	uint64_t end = now_ms() + 5000;

	while (now_ms() < end) {
		struct pollfd fd = {.fd = receiver, .events = POLLIN};
		uint8_t data[FRAME_MAX];
		ssize_t len;

		if (poll(&fd, 1, 100) < 1)
			continue;
		len = recv(receiver, data, sizeof(data), 0);
		if (len == (ssize_t)wanted->len && !memcmp(data, wanted->data, len))
			return;
	}
	ck_abort_msg("%s: the frame did not arrive", what);
}

/* What leaves: other MACs, one hop less. */
static struct frame sent_on(const uint8_t dst[6], const uint8_t src[6])
{
	struct frame wanted = frame;

	memcpy(wanted.data, dst, 6);
	memcpy(wanted.data + 6, src, 6);
	if (wanted.data[ETHER_LEN] >> 4 == 6) {
		wanted.data[ETHER_LEN + 7]--;
	} else {
		wanted.data[ETHER_LEN + 8]--;
		frame_checksum4(&wanted);
	}
	return wanted;
}

static void forward_and_expect(const char *what, enum fib_counter counter, const uint8_t dst[6],
			       const uint8_t src[6])
{
	struct frame wanted = sent_on(dst, src);

	send_counted(what, counter);
	expect_out(what, &wanted);
}

START_TEST(rewritten)
{
	struct hop hop = hop_new("192.0.2.1", FIB_NH_REWRITE, 1500);

	route("0.0.0.0/0", hop.group);
	route("::/0", hop.group);
	FRAME4(&frame, .payload = 500);
	forward_and_expect("IPv4", FIB_CNT_FORWARDED, gateway_mac, egress_mac);
	FRAME6(&frame, .payload = 500);
	forward_and_expect("IPv6", FIB_CNT_FORWARDED, gateway_mac, egress_mac);
}
END_TEST

/* The kernel's neighbour table has the MAC addresses. */
START_TEST(by_neighbour)
{
	struct hop connected = hop_new("", FIB_NH_CONNECTED, 1500);
	struct hop gate4 = hop_new("192.0.2.1", FIB_NH_RESOLVE, 1500);
	struct hop gate6 = hop_new("2001:db8::1", FIB_NH_RESOLVE, 1500);
	struct fib_neigh_key key4 = {.ifindex = bed.out, .family = AF_INET};
	struct fib_neigh_key key6 = {.ifindex = bed.out, .family = AF_INET6};
	const char *mac = "02:12:23:34:45:56";
	const uint8_t bytes[6] = {0x02, 0x12, 0x23, 0x34, 0x45, 0x56};

	shell("sysctl -qw net.ipv6.conf.out.disable_ipv6=0");
	shell("ip neigh replace 10.2.2.2 lladdr %s dev out nud permanent", mac);
	shell("ip neigh replace 192.0.2.1 lladdr %s dev out nud permanent", mac);
	shell("ip neigh replace 2001:db8:2::2 lladdr %s dev out nud permanent", mac);
	shell("ip neigh replace 2001:db8::1 lladdr %s dev out nud permanent", mac);
	inet_pton(AF_INET, "10.2.2.2", key4.addr);
	inet_pton(AF_INET6, "2001:db8:2::2", key6.addr);
	ck_assert_int_eq(datapath_neighbour_set(bed.datapath, &key4), 0);
	ck_assert_int_eq(datapath_neighbour_set(bed.datapath, &key6), 0);

	route("0.0.0.0/0", connected.group);
	route("::/0", connected.group);
	FRAME4(&frame, .payload = 100);
	forward_and_expect("connected, IPv4", FIB_CNT_FORWARDED_NEIGH, bytes, bed.out_mac);
	FRAME6(&frame, .payload = 100);
	forward_and_expect("connected, IPv6", FIB_CNT_FORWARDED_NEIGH, bytes, bed.out_mac);

	route("0.0.0.0/0", gate4.group);
	route("::/0", gate6.group);
	FRAME4(&frame, .dst = "10.9.9.9", .payload = 100);
	forward_and_expect("gateway, IPv4", FIB_CNT_FORWARDED_NEIGH, bytes, bed.out_mac);
	FRAME6(&frame, .dst = "2001:db8:9::9", .payload = 100);
	forward_and_expect("gateway, IPv6", FIB_CNT_FORWARDED_NEIGH, bytes, bed.out_mac);

	route("0.0.0.0/0", gate6.group);
	FRAME4(&frame, .dst = "10.9.9.9", .payload = 100);
	forward_and_expect("IPv4 by an IPv6 gateway", FIB_CNT_FORWARDED_NEIGH, bytes, bed.out_mac);
}
END_TEST

/* A root directory without a device manager has no such file: then one is made for the moment. */
static int tun_driver(void)
{
	char path[] = "/tmp/test_bpf.XXXXXX";
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	if (fd >= 0)
		return fd;
	ck_assert_ptr_nonnull(mkdtemp(path));
	rmdir(path);
	ck_assert_int_eq(mknod(path, S_IFCHR | 0600, makedev(10, 200)), 0);
	fd = open(path, O_RDWR | O_CLOEXEC);
	unlink(path);
	return fd;
}

/* A tun device, up, with this MTU; what is sent out of it is read from the descriptor. */
static int tun_open(uint32_t *ifindex)
{
	struct ifreq request = {.ifr_name = "tun-out", .ifr_flags = IFF_TUN | IFF_NO_PI};
	int fd = tun_driver();

	ck_assert_msg(fd >= 0, "the tun driver cannot be opened");
	ck_assert_int_eq(ioctl(fd, TUNSETIFF, &request), 0);
	shell("ip link set dev tun-out up");
	*ifindex = if_nametoindex("tun-out");
	return fd;
}

/* Out of the device comes the packet alone, one hop less. */
static void expect_packet(int tun, const char *what)
{
	struct frame wanted = sent_on(gateway_mac, egress_mac);
	struct pollfd wait = {.fd = tun, .events = POLLIN};
	uint8_t data[FRAME_MAX];

	send_counted(what, FIB_CNT_FORWARDED);
	ck_assert_msg(poll(&wait, 1, 5000) == 1, "%s: the packet did not arrive", what);
	ck_assert_int_eq(read(tun, data, sizeof(data)), wanted.len - ETHER_LEN);
	ck_assert_mem_eq(data, wanted.data + ETHER_LEN, wanted.len - ETHER_LEN);
}

START_TEST(without_a_mac_header)
{
	struct fib_adjacency adjacency = {.action = FIB_NH_DEVICE, .mtu = 1500};
	struct fib_member member = {.weight = 1};
	uint32_t group = 0;
	int tun = tun_open(&member.nexthop.ifindex);

	ck_assert_int_eq(fib_group_set(bed.fib, &group, &member, 1), 0);
	ck_assert_int_eq(fib_nexthop_resolve(bed.fib, nexthop_number(&member.nexthop),
					     &member.nexthop, &adjacency),
			 0);
	route("0.0.0.0/0", group);
	route("::/0", group);
	for (size_t payload = 0; payload <= 1452; payload += 121) {
		FRAME4(&frame, .payload = payload);
		expect_packet(tun, "IPv4");
		FRAME6(&frame, .payload = payload);
		expect_packet(tun, "IPv6");
	}
	close(tun);
}
END_TEST

/* BPF_PROG_TEST_RUN refuses what is shorter than the network header. */
START_TEST(truncated)
{
	struct hop hop = hop_new("192.0.2.1", FIB_NH_REWRITE, 1500);

	route("0.0.0.0/0", hop.group);
	route("::/0", hop.group);
	for (size_t len = ETHER_LEN; len < ETHER_LEN + 28; len++) {
		FRAME4(&frame, .payload = 0);
		frame.len = len;
		send_counted("IPv4", FIB_CNT_KERNEL_MALFORMED);
	}
	for (size_t len = ETHER_LEN; len < ETHER_LEN + 48; len++) {
		FRAME6(&frame, .payload = 0);
		frame.len = len;
		send_counted("IPv6", FIB_CNT_KERNEL_MALFORMED);
	}
}
END_TEST

/* The kernel takes the tag out of the frame before the program sees it. */
START_TEST(tagged)
{
	static const uint8_t types[][2] = {{0x81, 0x00}, {0x88, 0xa8}};
	struct hop hop = hop_new("192.0.2.1", FIB_NH_REWRITE, 1500);

	route("0.0.0.0/0", hop.group);
	for (size_t i = 0; i < 2; i++) {
		for (uint16_t vid = 0; vid < 4095; vid += 819) {
			FRAME4(&frame, .payload = 40);
			memmove(frame.data + 16, frame.data + 12, frame.len - 12);
			frame.len += 4;
			memcpy(frame.data + 12, types[i], 2);
			frame.data[14] = vid >> 8;
			frame.data[15] = vid;
			send_counted("tagged", FIB_CNT_KERNEL_VLAN);
		}
	}
}
END_TEST

/* What the program leaves alone is received by the kernel as it came. */
START_TEST(kernel_gets_the_rest)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(2000)};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct pollfd wait = {.fd = fd, .events = POLLIN};
	uint8_t data[128];

	shell("ip addr replace 10.2.2.2/24 dev in");
	shell("sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.in.rp_filter=0");
	shell("ip route replace 10.1.1.0/24 dev in");
	ck_assert_int_eq(bind(fd, (const struct sockaddr *)&at, sizeof(at)), 0);
	route("10.2.2.2/32", FIB_GROUP_LOCAL);
	FRAME4(&frame, .payload = 60);
	/* the sum is not computed: 0 says so */
	send_counted("local", FIB_CNT_KERNEL_LOCAL);
	ck_assert_int_eq(poll(&wait, 1, 5000), 1);
	ck_assert_int_eq(recv(fd, data, sizeof(data), 0), 60);
	ck_assert_mem_eq(data, frame.data + ETHER_LEN + 28, 60);
	close(fd);
	shell("ip addr del 10.2.2.2/24 dev in");
}
END_TEST

/* The first IPv4 frame that has come out since: the kernel's own are ARP or IPv6. */
static size_t next_out(uint8_t data[FRAME_MAX])
{
	struct pollfd wait = {.fd = receiver, .events = POLLIN};
	ssize_t len;

	do {
		ck_assert_msg(poll(&wait, 1, 5000) == 1, "no frame arrived");
		len = recv(receiver, data, FRAME_MAX, 0);
	} while (len < (ssize_t)ETHER_LEN || data[12] != 0x08 || data[13] != 0x00);
	return (size_t)len;
}

/*
 * What stands behind a packet in its frame: Ethernet's padding, or more. Nothing of it comes out, by the program as by the
 * kernel, which says what is right.
 */
START_TEST(trailer)
{
	static const size_t trailers[] = {1, 14, 28, 29, 500, 1400, 2000};
	struct hop hop = hop_new("192.0.2.1", FIB_NH_REWRITE, 1500);
	struct fib_adjacency adjacency = {.action = FIB_NH_REWRITE, .mtu = 1500};

	shell("ip link set dev in mtu 3000 && ip link set dev in-peer mtu 3000");
	shell("ip addr add 192.0.2.254/24 dev out && ip route add 10.2.0.0/16 via 192.0.2.1");
	shell("ip neigh replace 192.0.2.1 lladdr 02:11:22:33:44:55 dev out");
	shell("sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.in.rp_filter=0 net.ipv4.conf.all.rp_filter=0");
	memcpy(adjacency.dst, gateway_mac, 6);
	memcpy(adjacency.src, bed.out_mac, 6);
	ck_assert_int_eq(fib_nexthop_resolve(bed.fib, hop.nexthop, &hop.key, &adjacency), 0);
	for (int ours = 0; ours < 2; ours++) {
		route("0.0.0.0/0", ours ? hop.group : FIB_GROUP_UNSUPPORTED);
		for (size_t i = 0; i < sizeof(trailers) / sizeof(trailers[0]); i++) {
			uint8_t data[FRAME_MAX];
			struct frame wanted;

			FRAME4(&frame, .payload = 4);
			wanted = sent_on(gateway_mac, bed.out_mac);
			memset(frame.data + frame.len, 0xee, trailers[i]);
			frame.len += trailers[i];
			send_counted("trailer",
				     ours ? FIB_CNT_FORWARDED : FIB_CNT_KERNEL_UNSUPPORTED);
			ck_assert_uint_eq(next_out(data), wanted.len);
			ck_assert_mem_eq(data, wanted.data, wanted.len);
		}
	}
	shell("ip route del 10.2.0.0/16 && ip addr del 192.0.2.254/24 dev out");
	shell("sysctl -qw net.ipv4.ip_forward=0");
	shell("ip link set dev in mtu 1500 && ip link set dev in-peer mtu 1500");
}
END_TEST

TCase *wire_tests(void)
{
	TCase *tcase = tcase_create("wire");

	tcase_add_checked_fixture(tcase, attach, detach);
	tcase_add_test(tcase, rewritten);
	tcase_add_test(tcase, by_neighbour);
	tcase_add_test(tcase, without_a_mac_header);
	tcase_add_test(tcase, truncated);
	tcase_add_test(tcase, tagged);
	tcase_add_test(tcase, trailer);
	tcase_add_test(tcase, kernel_gets_the_rest);
	return tcase;
}
