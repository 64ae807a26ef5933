# SPDX-License-Identifier: GPL-2.0-or-later
"""Prints frames that come in by an interface as lines of hexadecimal digits, until ended.

capture.py INTERFACE      says "ready" on stderr once it listens
"""

import socket
import sys

with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) as packets:
    packets.bind((sys.argv[1], 0))
    print("ready", file=sys.stderr, flush=True)
    while True:
        frame, address = packets.recvfrom(65536)
        if address[2] != socket.PACKET_OUTGOING:
            print(frame.hex(), flush=True)
