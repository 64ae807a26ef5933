# SPDX-License-Identifier: GPL-2.0-or-later
"""Sends one UDP datagram with "do not fragment" and prints, as JSON, the ICMP errors that come back within WAIT
seconds (the first ends the waiting) and the path MTU that the kernel knows then.

probe.py ADDRESS PORT SIZE TTL WAIT
"""

import json
import select
import socket
import struct
import sys
import time

# linux/in.h and linux/in6.h; Python's socket module does not name them all
IP_TTL, IP_MTU_DISCOVER, IP_RECVERR, IP_MTU, PMTUDISC_DO = 2, 10, 11, 14, 2
IPV6_UNICAST_HOPS, IPV6_MTU_DISCOVER, IPV6_MTU, IPV6_RECVERR = 16, 23, 24, 25
# struct sock_extended_err
EXTENDED_ERROR = struct.Struct("=IBBBBII")
FROM_ICMP = (2, 3)


def offender(data, v6):
    if v6:
        return socket.inet_ntop(socket.AF_INET6, data[8:24])
    return socket.inet_ntop(socket.AF_INET, data[4:8])


def read_error(udp, v6):
    try:
        _, control, _, _ = udp.recvmsg(2048, 512, socket.MSG_ERRQUEUE | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return None
    for _, _, data in control:
        if len(data) < EXTENDED_ERROR.size:
            continue
        number, origin, kind, code, _, info, _ = EXTENDED_ERROR.unpack_from(data)
        if origin in FROM_ICMP:
            return {"errno": number, "type": kind, "code": code, "info": info,
                    "from": offender(data[EXTENDED_ERROR.size:], v6)}
    return None


def main(address, port, size, ttl, wait):
    v6 = ":" in address
    level = socket.IPPROTO_IPV6 if v6 else socket.IPPROTO_IP
    udp = socket.socket(socket.AF_INET6 if v6 else socket.AF_INET, socket.SOCK_DGRAM)
    udp.setsockopt(level, IPV6_RECVERR if v6 else IP_RECVERR, 1)
    udp.setsockopt(level, IPV6_UNICAST_HOPS if v6 else IP_TTL, ttl)
    udp.setsockopt(level, IPV6_MTU_DISCOVER if v6 else IP_MTU_DISCOVER, PMTUDISC_DO)
    udp.connect((address, port))
    result = {"sent": True, "errors": []}
    try:
        udp.send(bytes(size))
    except OSError as error:
        result["sent"] = False
        result["errno"] = error.errno
    end = time.monotonic() + wait
    while result["sent"] and not result["errors"] and time.monotonic() < end:
        select.select([], [], [udp], 0.02)
        error = read_error(udp, v6)
        if error:
            result["errors"].append(error)
    result["mtu"] = udp.getsockopt(level, IPV6_MTU if v6 else IP_MTU)
    print(json.dumps(result))


main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5]))
