# SPDX-License-Identifier: GPL-2.0-or-later
"""UDP datagrams in ways that others do not send them. The receiver prints, as JSON, how many came of which size.

segments.py recv ADDRESS PORT COUNT                says "ready" on stderr; ends after COUNT datagrams or 2 quiet seconds
segments.py send ADDRESS PORT COUNT SIZE SEGMENT   SEGMENT above 0: each send of SIZE bytes is cut into such segments by
                                                   the kernel or the device (UDP_SEGMENT); 0: one datagram, which may be
                                                   fragmented
"""

import json
import socket
import sys

SOL_UDP, UDP_SEGMENT = 17, 103
IP_MTU_DISCOVER, IPV6_MTU_DISCOVER, PMTUDISC_DONT = 10, 23, 0


def receive(udp, address, port, count):
    udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
    udp.bind((address, port))
    udp.settimeout(2)
    print("ready", file=sys.stderr, flush=True)
    sizes = {}
    try:
        for number in range(count):
            data = udp.recv(65536)
            if data == bytes(data[:1]) * len(data):
                sizes[len(data)] = sizes.get(len(data), 0) + 1
    except TimeoutError:
        pass
    print(json.dumps(sizes))


def send(udp, address, port, count, size, segment):
    if segment:
        udp.setsockopt(SOL_UDP, UDP_SEGMENT, segment)
    elif udp.family == socket.AF_INET6:
        udp.setsockopt(socket.IPPROTO_IPV6, IPV6_MTU_DISCOVER, PMTUDISC_DONT)
    else:
        udp.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, PMTUDISC_DONT)
    for number in range(count):
        udp.sendto(bytes([number % 256]) * size, (address, port))


def main(what, address, *numbers):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as udp:
        (receive if what == "recv" else send)(udp, address, *(int(n) for n in numbers))


main(*sys.argv[1:])
