# SPDX-License-Identifier: GPL-2.0-or-later
"""One end of a tunnel in user space: a tun device, whose packets travel as UDP datagrams. Runs until it is ended.

tunnel.py DEVICE LOCAL REMOTE PORT      says "ready" on stderr once the device is there
"""

import fcntl
import os
import select
import socket
import struct
import sys

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 1, 0x1000


def main(device, local, remote, port):
    tun = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", device.encode(), IFF_TUN | IFF_NO_PI))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        udp.bind((local, port))
        print("ready", file=sys.stderr, flush=True)
        while True:
            for ready in select.select([tun, udp], [], [])[0]:
                try:
                    if ready is udp:
                        os.write(tun, udp.recv(65536))
                    else:
                        udp.sendto(os.read(tun, 65536), (remote, port))
                except OSError:
                    continue  # the device is down, or nobody listens yet


main(*sys.argv[1:4], int(sys.argv[4]))
