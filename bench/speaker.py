#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""A BGP speaker that announces and withdraws at random, as fast as its peer takes it.

    speaker.py LOCAL PEER AS NEXTHOP4,NEXTHOP6...

It connects, and then does what it reads on stdin: "run SEED EVENTS PREFIXES" announces, withdraws and announces again that many
times, of so many prefixes, with next hops of those given and changing paths. It says "ready" once the session is up and
"done ANNOUNCED" after each run. RFC 4271, 4760; four-octet AS numbers are not needed and not offered.
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
SPACE = {4: ipaddress.ip_network("20.0.0.0/6"), 6: ipaddress.ip_network("2a00::/12")}
# every length there is, the usual ones more often; 27 is left to routes of others than BGP
LENGTHS = {4: [24] * 90 + [22, 23, 20, 19, 16] * 4 + [n for n in range(7, 33) if n != 27],
           6: [48] * 120 + [32, 36, 40, 44, 56, 64] * 6 + list(range(13, 129))}
IPV6_SHARE = 0.25
WITHDRAWN_SHARE = 0.4
# as good as every other path of the kind, so that next hops share; or another path
USUAL_SHARE = 0.7


def on_wire(family, address, length):
    """As in NLRI (RFC 4271 4.3)."""
    bits = SPACE[family].max_prefixlen
    address = address >> (bits - length) << (bits - length)
    return bytes([length]) + address.to_bytes(bits // 8, "big")[:(length + 7) // 8], family


def universe(count):
    """The same for everybody: (bytes on the wire, family) of so many prefixes, default routes among them."""
    rng = random.Random(count)
    found = dict.fromkeys(on_wire(family, 0, 0) for family in SPACE)
    while len(found) < count:
        family = 6 if rng.random() < IPV6_SHARE else 4
        space = SPACE[family]
        address = int(space.network_address) | rng.getrandbits(space.max_prefixlen - space.prefixlen)
        found[on_wire(family, address, rng.choice(LENGTHS[family]))] = None
    return list(found)


def message(kind, body=b""):
    return b"\xff" * 16 + struct.pack(">HB", 19 + len(body), kind) + body


def attribute(flags, kind, value):
    if len(value) > 255:
        return struct.pack(">BBH", flags | 0x10, kind, len(value)) + value
    return struct.pack(">BBB", flags, kind, len(value)) + value


ORIGIN = attribute(0x40, 1, b"\0")


def path(rng):
    """ORIGIN, AS_PATH, and what else decides (without NEXT_HOP, which goes between them): two pieces."""
    ases, preference = [64600], LOCAL_PREF
    if rng.random() > USUAL_SHARE:
        ases = [rng.randrange(64600, 64700) for _ in range(rng.randrange(1, 5))]
        preference += rng.choice((0, 0, -10, 10))
    segment = struct.pack(f">BB{len(ases)}H", 2, len(ases), *ases)
    return ORIGIN + attribute(0x40, 2, segment), attribute(0x40, 5, struct.pack(">I", preference))


def update(family, prefixes, nexthop, attributes):
    """nexthop None: withdrawn. attributes: as path() makes them."""
    wire = b"".join(prefixes)
    if family == 4 and nexthop is None:
        return message(UPDATE, struct.pack(">H", len(wire)) + wire + b"\0\0")
    before, after = attributes
    if family == 4:
        attributes = before + attribute(0x40, 3, nexthop) + after
        return message(UPDATE, b"\0\0" + struct.pack(">H", len(attributes)) + attributes + wire)
    if nexthop is None:
        attributes = attribute(0x80, 15, b"\0\2\1" + wire)
    else:
        attributes = before + after + attribute(0x80, 14, b"\0\2\1\x10" + nexthop + b"\0" + wire)
    return message(UPDATE, b"\0\0" + struct.pack(">H", len(attributes)) + attributes)


class Session:
    def __init__(self, local, peer, asn):
        self.buffer = b""
        self.socket = socket.create_connection((peer, 179), timeout=30, source_address=(local, 0))
        # a busy peer reads when it likes
        self.socket.settimeout(None)
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

    def send(self, family, prefixes, nexthop, attributes):
        """In as many messages as it takes, as fast as the peer reads."""
        while prefixes:
            part, size = [], 200
            while prefixes and size + len(prefixes[-1]) < LONGEST:
                part.append(prefixes.pop())
                size += len(part[-1])
            self.socket.sendall(update(family, part, nexthop, attributes))


def connect(local, peer, asn):
    """A session, as soon as the peer wants one."""
    for _ in range(300):
        try:
            return Session(local, peer, asn)
        except OSError as error:
            reason = error
            time.sleep(0.1)
    sys.exit(f"speaker: no session with {peer}: {reason}")


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
            withdraw = rng.random() < WITHDRAWN_SHARE
            attributes = path(rng)
            for family in (4, 6):
                some = [one for one in batch if one[1] == family]
                nexthop = None if withdraw else rng.choice(self.nexthops[family])
                (self.announced.difference_update if withdraw else self.announced.update)(some)
                self.session.send(family, [wire for wire, _ in some], nexthop, attributes)
            self.session.idle()


def main():
    local, peer, asn, nexthops = sys.argv[1:]
    wire = {4: [], 6: []}
    for text in nexthops.split(","):
        address = ipaddress.ip_address(text)
        wire[address.version].append(address.packed)
    speaker = Speaker(connect(local, peer, int(asn)), wire)
    print("ready", flush=True)
    while True:
        while not select.select([sys.stdin], [], [], 1)[0]:
            speaker.session.idle()
        words = sys.stdin.readline().split()
        if not words:
            return
        speaker.run(*map(int, words[1:]))
        print(f"done {len(speaker.announced)}", flush=True)


if __name__ == "__main__":
    try:
        main()
    except OSError as error:
        sys.exit(f"speaker: {error}")
