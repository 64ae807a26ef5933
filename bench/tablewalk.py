# SPDX-License-Identifier: GPL-2.0-or-later
"""What the program's pinned tables say of every address there is, read as bpf/layout.h describes them, and the kernel's view.

Shares no code with the module. A view is a list of (first address, outcome), in order, that covers all addresses of a family. An
outcome is NONE, LOCAL, REJECT, BLACKHOLE, LEFT (to the kernel on purpose), FULL (for want of room), BROKEN, or a Hops.
"""
import heapq
import ipaddress
import socket
from collections import namedtuple

import maps

NONE, LOCAL, REJECT, BLACKHOLE, BROKEN = "no route", "local", "reject", "blackhole", "broken"
LEFT, FULL = "left to the kernel", "left to the kernel for want of room"
# (interface, gateway or None): those in use, and those that are members but down
Hops = namedtuple("Hops", "live dead")
VERDICTS = {1: NONE, 2: LOCAL, 3: REJECT, 4: LEFT, 5: FULL, 6: BLACKHOLE}
FIRST_GROUP = 16
NUMBER, UNIT, SMALL, LOW = 0x3fffffff, 8, 0x40000000, 0x8000
TABLES_OFFSET = 48
# what packets to or from is the kernel's, whatever the tables say: first and last address
MARTIAN = {
    4: [(0, 0x00ffffff), (0x7f000000, 0x7fffffff), (0xe0000000, 0xffffffff)],
    6: [(0, 1), (0xffff << 32, 0xffffffffffff), (0xfe80 << 112, (0xfec0 << 112) - 1), (0xff << 120, (1 << 128) - 1)],
}


class Ranges:
    """Collects a view: neighbours that say the same are one."""

    def __init__(self):
        self.list = []

    def add(self, first, outcome):
        if not self.list or self.list[-1][1] != outcome:
            self.list.append((first, outcome))


class Memory:
    """A copy of a router's tables, as of one moment where nothing changes."""

    def __init__(self, router):
        def words(name, form):
            with maps.array(router, name) as memory:
                return memoryview(bytes(memory)).cast(form)

        self.header = words("fib_header", "I")
        self.root = {4: words("fib4_root", "I"), 6: words("fib6_root", "I")}
        self.low = words("fib4_low", "H")
        self.node = words("fib_node", "B")
        self.node16, self.node32, self.node64 = (self.node.cast(form) for form in "HIQ")
        self.group = words("fib_group", "Q")
        self.slot = words("fib_slot", "H")
        with maps.array(router, "fib_nexthop") as memory:
            self.nexthop = bytes(memory)
        self.names = {link["ifindex"]: link["ifname"] for link in router.ip_json("link", "show")}
        self.outcomes = {}

    def default(self, family):
        """struct fib_table of table 0: v4_root, v4_default, v6_root, v6_default."""
        return self.header[TABLES_OFFSET // 4 + (1 if family == 4 else 3)]

    # ---- from group ids to next hops

    def hop(self, number):
        """(interface, gateway) and whether the program uses it."""
        at = 64 * number
        action = self.nexthop[at + 6]
        ifindex = int.from_bytes(self.nexthop[at + 16:at + 20], "little")
        family = int.from_bytes(self.nexthop[at + 20:at + 22], "little")
        gate = {0: lambda: None, socket.AF_INET: lambda: str(ipaddress.IPv4Address(self.nexthop[at + 24:at + 28])),
                socket.AF_INET6: lambda: str(ipaddress.IPv6Address(self.nexthop[at + 24:at + 40]))}
        return (self.names.get(ifindex, ifindex), gate.get(family, lambda: BROKEN)()), action != 0

    def outcome(self, group):
        if group not in self.outcomes:
            self.outcomes[group] = self._outcome(group)
        return self.outcomes[group]

    def _outcome(self, group):
        if group < FIRST_GROUP:
            return VERDICTS.get(group, BROKEN)
        if group >= len(self.group):
            return BROKEN
        descriptor = self.group[group]
        if not descriptor >> 63:
            return FULL
        offset, mask = descriptor & 0xffffffff, descriptor >> 32 & 0xffff
        hops = {number: self.hop(number) for number in set(self.slot[offset:offset + mask + 1])}
        live = frozenset(hop for hop, used in hops.values() if used)
        return Hops(live, frozenset(hop for hop, used in hops.values() if not used) - live)

    # ---- from addresses to group ids

    def view(self, family):
        ranges = Ranges()
        default = self.default(family)
        last = None
        for first, group in self._groups4() if family == 4 else self._groups6():
            if group != last:
                ranges.add(first, self.outcome(group or default))
                last = group
        return ranges.list

    def _groups4(self):
        last = None
        for i, word in enumerate(self.root[4][:1 << 18]):
            if word & maps.NODE:
                yield from self._node4(word, i << 14)
                last = None
            elif word != last:
                yield i << 14, word
                last = word

    def _node4(self, word, base):
        at = (word & NUMBER) * UNIT
        bits, rank = self.node64[at // 8], 0
        for i in range(64):
            if not bits >> i & 1:
                continue
            entry = self.node16[at // 2 + 4 + rank]
            rank += 1
            if not entry & LOW:
                yield base | i << 8, entry
                continue
            # equal words of a node are one entry: each of its strides has the same low block
            end = next((j for j in range(i + 1, 64) if bits >> j & 1), 64)
            block = (entry & LOW - 1) * 256
            for stride in range(i, end):
                for address, group in enumerate(self.low[block:block + 256], base | stride << 8):
                    yield address, group

    def _groups6(self):
        """In the order of the addresses: the first part of the root stands for 2000::/3."""
        inner, outer = self.root[6][:1 << 21], self.root[6][1 << 21:]
        for byte in range(256):
            if byte >> 5 != 1:
                yield from self._below(outer[byte], byte << 120, 120)
                continue
            if byte == 0x20:
                last = None
                for i, word in enumerate(inner):
                    if word != last or word & maps.NODE:
                        yield from self._below(word, 1 << 125 | i << 104, 104)
                        last = word

    def _below(self, word, base, shift):
        if not word & maps.NODE:
            yield base, word
        elif not shift:
            yield base, BROKEN_GROUP
        else:
            for byte, entry in self._small(word) if word & SMALL else self._wide(word):
                yield from self._below(entry, base | byte << shift - 8, shift - 8)

    def _wide(self, word):
        at, entry = (word & NUMBER) * UNIT, 0
        for part in range(4):
            bits = self.node64[at // 8 + part]
            for i in range(64):
                if bits >> i & 1:
                    yield part * 64 + i, self.node32[at // 4 + 9 + entry]
                    entry += 1

    def _small(self, word):
        at = (word & NUMBER) * UNIT
        bounds = self.node[at:at + 8]
        n = sum(bound == 0 for bound in bounds)
        yield 0, self.node32[at // 4 + 2 + 8 - n]
        for bound in bounds:
            if bound:
                n += 1
                yield bound, self.node32[at // 4 + 2 + 8 - n]


BROKEN_GROUP = 0xffffffff


# ---- the kernel's

def hops_of_kernel(route):
    """Members that the kernel knows to be dead are aside."""
    kind = route.get("type", "unicast")
    if kind != "unicast":
        return {"local": LOCAL, "broadcast": LOCAL, "anycast": LOCAL, "multicast": LOCAL, "blackhole": BLACKHOLE,
                "unreachable": REJECT, "prohibit": REJECT}.get(kind, LEFT)
    live, dead = set(), set()
    for hop in route.get("nexthops", [route]):
        gone = {"dead", "linkdown"} & set(hop.get("flags", []) + route.get("flags", []))
        (dead if gone else live).add((hop.get("dev"), hop.get("gateway") or hop.get("via", {}).get("host")))
    return Hops(frozenset(live), frozenset(dead - live))


def kernel_table(router, family, table):
    """{(address, length): outcome}; of several routes to a prefix the one with the smallest metric."""
    found = {}
    for route in router.ip_json(f"-{family}", "route", "show", "table", table):
        text = route["dst"] if route["dst"] != "default" else "::/0" if family == 6 else "0.0.0.0/0"
        network = ipaddress.ip_network(text)
        key, outcome = (int(network.network_address), network.prefixlen), hops_of_kernel(route)
        metric = route.get("metric", 0)
        if key not in found or metric < found[key][0]:
            found[key] = metric, outcome
        elif metric == found[key][0] and isinstance(outcome, Hops) and isinstance(found[key][1], Hops):
            # IPv6 may list members one by one
            found[key] = metric, Hops(outcome.live | found[key][1].live, outcome.dead | found[key][1].dead)
    return {key: outcome for key, (_, outcome) in found.items()}


def hops_of_zebra(nexthops):
    """Of those that zebra gave to the kernel."""
    hops = [hop for hop in nexthops if hop.get("fib") and not hop.get("recursive")]
    for hop in hops:
        if hop.get("reject") or hop.get("adminProhibited"):
            return REJECT
        if hop.get("unreachable"):
            return BLACKHOLE
    return Hops(frozenset((hop.get("interfaceName"), hop.get("ip")) for hop in hops), frozenset())


def zebra_table(router, family):
    """{(address, length): outcome} of the routes that zebra selected and believes to be in the kernel."""
    routes = router.ask_json("show ip route json" if family == 4 else "show ipv6 route json")
    found = {}
    for text, entries in routes.items():
        network = ipaddress.ip_network(text)
        for entry in entries:
            if entry.get("selected") and entry.get("installed"):
                found[int(network.network_address), network.prefixlen] = hops_of_zebra(entry["nexthops"])
    return found


def view_of_table(table, bits):
    """Longest match for every address; None where nothing matches."""
    ranges, stack = Ranges(), [((1 << bits) - 1, None)]
    ranges.add(0, None)

    def leave(address):
        while len(stack) > 1 and stack[-1][0] < address:
            end = stack.pop()[0]
            if end + 1 < 1 << bits:
                place(end + 1, stack[-1][1])

    def place(first, outcome):
        if ranges.list and ranges.list[-1][0] == first:
            ranges.list.pop()
        ranges.add(first, outcome)

    for (first, length), outcome in sorted(table.items(), key=lambda item: item[0]):
        leave(first)
        stack.append((first + (1 << bits - length) - 1, outcome))
        place(first, outcome)
    leave(1 << bits)
    return ranges.list


def merge(bits, *views):
    """(first, last, outcome of each view), wherever one of them changes."""
    current = [view[0][1] for view in views]
    first = 0
    for address, n, outcome in heapq.merge(*([(address, n, outcome) for address, outcome in view]
                                             for n, view in enumerate(views)), key=lambda change: change[0]):
        if address > first:
            yield first, address - 1, tuple(current)
            first = address
        current[n] = outcome
    yield first, (1 << bits) - 1, tuple(current)


def view(router, family, table):
    """What becomes of packets by a table: the kernel's own addresses come first."""
    bits = 32 if family == 4 else 128
    ranges = Ranges()
    own = view_of_table(kernel_table(router, family, "local"), bits)
    for first, _, (local, routed) in merge(bits, own, view_of_table(table, bits)):
        ranges.add(first, local or routed or NONE)
    return ranges.list


# ---- compared

def agree(wanted, ours):
    """May the program do this where that is wanted?"""
    if ours in (LEFT, FULL) or wanted == ours:
        return True
    if isinstance(wanted, Hops) and isinstance(ours, Hops):
        return ours.live <= wanted.live <= ours.live | ours.dead
    # packets to the router itself are the kernel's by any verdict
    return wanted == LOCAL and ours in (NONE, REJECT)


def is_network_address(kernel, ours, first, last):
    """Once a broadcast address (RFC 1812 4.2.3.1), and left to the kernel: newer ones have a host there."""
    return ours == LOCAL and first == last and isinstance(kernel, Hops) and all(gate is None for _, gate in kernel.live)


def is_martian(family, first, last):
    return any(low <= first and last <= high for low, high in MARTIAN[family])


def compare(router, memory, family):
    """All ranges as (first, last, what the kernel does, zebra wants, and we do), martians aside."""
    bits = 32 if family == 4 else 128
    edges = []
    for low, high in MARTIAN[family]:
        edges.append((low, low))
        if high + 1 < 1 << bits:
            edges.append((high + 1, high + 1))
    views = (view(router, family, kernel_table(router, family, "main")), view(router, family, zebra_table(router, family)),
             memory.view(family) if memory else [(0, None)])
    for first, last, (kernel, zebra, ours, _) in merge(bits, *views, [(0, 0)] + edges):
        if not is_martian(family, first, last):
            if family == 4 and is_network_address(kernel, ours, first, last):
                ours = LEFT
            yield first, last, kernel, zebra, ours
