#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""A BGP speaker that announces and withdraws at random, as fast as its peer takes it.

    speaker.py LOCAL PEER AS NEXTHOP4,NEXTHOP6...

It connects, and then does what it reads on stdin: "run SEED EVENTS PREFIXES" announces, withdraws and announces again that many
times, of so many prefixes and with next hops of those given; "withdraw" takes all back. It says "ready" once the session is
up and "done ANNOUNCED" after each. RFC 4271, 4760; four-octet AS numbers are not needed and not offered.
"""
import ipaddress
import random
import select
import socket
import struct
import sys
import time

OPEN, UPDATE, NOTIFICATION, KEEPALIVE = 1, 2, 3, 4
HOLD_S = 180
LONGEST = 4096
LOCAL_PREF = 100
# where nobody else's addresses are in a laboratory
SPACE4, SPACE6 = ipaddress.ip_network("20.0.0.0/6"), ipaddress.ip_network("2a00::/12")
LENGTHS4 = [24] * 60 + [22, 23, 20, 16, 16, 12, 19] * 4 + [25, 26, 28, 30, 32, 32]
LENGTHS6 = [48] * 50 + [32, 40, 44, 36] * 5 + [56, 64, 64, 127, 128]


def universe(count):
    """The same for everybody: (bytes on the wire, family) of so many prefixes, one in five of IPv6."""
    rng = random.Random(count)
    found = {}
    while len(found) < count:
        family = 6 if rng.random() < 0.2 else 4
        space, length = (SPACE6, rng.choice(LENGTHS6)) if family == 6 else (SPACE4, rng.choice(LENGTHS4))
        bits = space.max_prefixlen
        address = int(space.network_address) | rng.getrandbits(bits - space.prefixlen)
        address = address >> (bits - length) << (bits - length)
        wire = bytes([length]) + address.to_bytes(bits // 8, "big")[:(length + 7) // 8]
        found[(wire, family)] = None
    return list(found)


def message(kind, body=b""):
    return b"\xff" * 16 + struct.pack(">HB", 19 + len(body), kind) + body


def attribute(flags, kind, value):
    if len(value) > 255:
        return struct.pack(">BBH", flags | 0x10, kind, len(value)) + value
    return struct.pack(">BBB", flags, kind, len(value)) + value


ORIGIN = attribute(0x40, 1, b"\0")
AS_PATH = attribute(0x40, 2, b"")
PREFERENCE = attribute(0x40, 5, struct.pack(">I", LOCAL_PREF))


def update(family, prefixes, nexthop):
    """nexthop None: withdrawn."""
    wire = b"".join(prefixes)
    if family == 4 and nexthop is None:
        return message(UPDATE, struct.pack(">H", len(wire)) + wire + b"\0\0")
    if family == 4:
        attributes = ORIGIN + AS_PATH + attribute(0x40, 3, nexthop) + PREFERENCE
        return message(UPDATE, b"\0\0" + struct.pack(">H", len(attributes)) + attributes + wire)
    if nexthop is None:
        attributes = attribute(0x80, 15, b"\0\2\1" + wire)
    else:
        attributes = ORIGIN + AS_PATH + PREFERENCE + attribute(0x80, 14, b"\0\2\1\x10" + nexthop + b"\0" + wire)
    return message(UPDATE, b"\0\0" + struct.pack(">H", len(attributes)) + attributes)


class Session:
    def __init__(self, local, peer, asn):
        for _ in range(300):
            try:
                self._open(local, peer, asn)
                return
            except OSError:
                # it does not listen yet, or does not know this neighbour yet
                time.sleep(0.1)
        sys.exit(f"speaker: no session with {peer}")

    def _open(self, local, peer, asn):
        self.buffer = b""
        self.socket = socket.create_connection((peer, 179), timeout=30, source_address=(local, 0))
        capabilities = b"".join(b"\2\6\1\4\0" + bytes([family]) + b"\0\1" for family in (1, 2))
        self.socket.sendall(message(OPEN, struct.pack(">BHH", 4, asn, HOLD_S) + socket.inet_aton(local) +
                                    bytes([len(capabilities)]) + capabilities))
        if self.read()[0] != OPEN:
            sys.exit("speaker: no OPEN came")
        self.keepalive()
        if self.read()[0] != KEEPALIVE:
            sys.exit("speaker: the OPEN was not accepted")

    def read(self):
        """One message: (kind, body)."""
        while len(self.buffer) < 19 or len(self.buffer) < struct.unpack_from(">H", self.buffer, 16)[0]:
            part = self.socket.recv(65536)
            if not part:
                raise ConnectionError("the peer closed the session")
            self.buffer += part
        length, kind = struct.unpack_from(">HB", self.buffer, 16)
        body, self.buffer = self.buffer[19:length], self.buffer[length:]
        if kind == NOTIFICATION:
            sys.exit(f"speaker: the peer notified {body.hex()}")
        return kind, body

    def keepalive(self):
        self.socket.sendall(message(KEEPALIVE))
        self.spoke = time.monotonic()

    def idle(self, seconds=0.0):
        """Reads what came, and says that it lives where that is due."""
        while select.select([self.socket], [], [], seconds)[0]:
            self.read()
        if time.monotonic() - self.spoke > HOLD_S / 6:
            self.keepalive()

    def send(self, family, prefixes, nexthop):
        """In as many messages as it takes."""
        while prefixes:
            part, size = [], 200
            while prefixes and size + len(prefixes[-1]) < LONGEST:
                part.append(prefixes.pop())
                size += len(part[-1])
            self.socket.sendall(update(family, part, nexthop))


class Speaker:
    def __init__(self, session, nexthops):
        """nexthops: by family, as on the wire."""
        self.session = session
        self.nexthops = nexthops
        self.announced = set()

    def run(self, seed, events, prefixes):
        rng = random.Random(seed)
        table = universe(prefixes)
        while events > 0:
            batch = rng.sample(table, min(rng.randrange(1, 120), events, len(table)))
            events -= len(batch)
            withdraw = rng.random() < 0.4
            for family in (4, 6):
                some = [one for one in batch if one[1] == family]
                nexthop = None if withdraw else rng.choice(self.nexthops[family])
                (self.announced.difference_update if withdraw else self.announced.update)(some)
                self.session.send(family, [wire for wire, _ in some], nexthop)
            self.session.idle()

    def withdraw(self):
        for family in (4, 6):
            self.session.send(family, [wire for wire, its in self.announced if its == family], None)
        self.announced.clear()


def main():
    local, peer, asn, nexthops = sys.argv[1:]
    wire = {4: [], 6: []}
    for text in nexthops.split(","):
        address = ipaddress.ip_address(text)
        wire[address.version].append(address.packed)
    speaker = Speaker(Session(local, peer, int(asn)), wire)
    print("ready", flush=True)
    while True:
        while not select.select([sys.stdin], [], [], 1)[0]:
            speaker.session.idle()
        words = sys.stdin.readline().split()
        if not words:
            return
        if words[0] == "run":
            speaker.run(*map(int, words[1:]))
        elif words[0] == "withdraw":
            speaker.withdraw()
        print(f"done {len(speaker.announced)}", flush=True)


if __name__ == "__main__":
    main()
