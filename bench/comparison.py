# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether a router's program does what its kernel does: by the tables, by packets, and by "show dplane ebpf consistency"."""
import ipaddress
import json

import tablewalk
import testrun
from section import say
from topology import wait_until

INTERFACE = "r1-src"
FLOWS = 4
SHOWN = 8


def text(family, address):
    return str((ipaddress.IPv4Address if family == 4 else ipaddress.IPv6Address)(address))


class Found:
    """What differs: ours, or a kernel that has other next hops than zebra believes, or fewer."""

    def __init__(self):
        # (family, first, last, kernel's outcome, zebra's, ours)
        self.ranges, self.behind, self.fewer = [], [], []
        # (family, address, wanted outcome, what the program did)
        self.packets = []
        self.told = {"differences": 0, "byKind": {}, "prefixes": [], "compared": {}}
        self.looked = self.left = self.full = self.sent = 0

    def count(self):
        """All but where the kernel has fewer next hops than zebra gave it: so it is without the module too."""
        told = sum(n for kind, n in self.told["byKind"].items() if kind != "kernelFewerNexthops")
        return len(self.ranges) + len(self.behind) + self.full + len(self.packets) + told

    def tell(self):
        kinds = {kind: n for kind, n in self.told["byKind"].items() if n}
        say(f"{len(self.ranges)} of {self.looked} address ranges differ ({self.left} left to the kernel, {self.full} "
            f"for want of room; the kernel has fewer next hops than zebra in "
            f"{len(self.fewer)}, others in {len(self.behind)}), {len(self.packets)} of {self.sent} packets went wrong; consistency: "
            f"{json.dumps(kinds)} of {json.dumps(self.told['compared'])}")
        for what, ranges in (("", self.ranges), ("kernel: ", self.behind), ("fewer: ", self.fewer[:1])):
            for family, first, last, kernel, zebra, ours in ranges[:SHOWN]:
                say(f"  {what}{text(family, first)} to {text(family, last)}: kernel {words(kernel)}, zebra "
                    f"{words(zebra)}, ours {words(ours)}")
        for family, address, wanted, did in self.packets[:SHOWN]:
            say(f"  packet to {text(family, address)}: wanted {words(wanted)}, the program {did}")
        for one in [one for one in self.told["prefixes"] if not one["kinds"][0].startswith("kernel")][:SHOWN]:
            say(f"  consistency: {json.dumps(one)}")


def words(outcome):
    if not isinstance(outcome, tablewalk.Hops):
        return outcome
    return " ".join(sorted(f"{gateway or ''}%{interface}" for interface, gateway in outcome.live)) + (
        f" (down: {len(outcome.dead)})" if outcome.dead else "")


def audit(router):
    """What the module's own comparison tells, of a run that began after this was called."""
    def show():
        return router.ask_json("show dplane ebpf consistency json")

    # asking starts a run where the last result is old; one that was under way began too early
    wait_until("no comparison runs", lambda: show()["state"] == "done", timeout=120, interval=0.2)
    before = show()["runs"]
    return wait_until("the tables are compared",
                      lambda: (now := show())["runs"] > before and now["state"] == "done" and now,
                      timeout=120, interval=0.2)["result"]


def neighbours(router):
    """{(interface, address): MAC}"""
    return {(one["dev"], one["dst"]): one["lladdr"] for one in router.ip_json("neighbour", "show") if "lladdr" in one}


class Packets:
    """What the program does with packets, against what the kernel's table says."""

    def __init__(self, router):
        self.program = testrun.Program(router, INTERFACE)
        self.macs = {link["ifname"]: link["address"] for link in router.ip_json("link", "show") if "address" in link}
        self.neighbours = neighbours(router)

    def ways(self, hops):
        """The pairs of MAC addresses that a packet may leave with: destination, source; None: any."""
        found = set()
        for interface, gateway in hops.live:
            # a network of hosts, or one that is asked for: the kernel fills in the addresses
            if gateway is None or (interface, gateway) not in self.neighbours:
                return None
            found.add(bytes.fromhex((self.neighbours[interface, gateway] + self.macs[interface]).replace(":", "")))
        return found

    @staticmethod
    def may_leave(kernel, ours):
        """May the program leave a packet to the kernel that does this with it?"""
        if ours in (tablewalk.LEFT, tablewalk.FULL):
            return True
        if not isinstance(kernel, tablewalk.Hops):
            return kernel != tablewalk.BLACKHOLE
        # a host whose MAC address the kernel has to ask for; next hops that all failed
        return any(gateway is None for _, gateway in kernel.live) or \
            isinstance(ours, tablewalk.Hops) and not ours.live

    def wrong(self, family, address, wanted, port, ours):
        """What the program did to a packet, if it is not what is wanted."""
        status, macs = self.program.send(family, address, port)
        if status == testrun.SHOT:
            return None if wanted == tablewalk.BLACKHOLE else "drops it"
        if status != testrun.REDIRECT:
            return None if self.may_leave(wanted, ours) else "leaves it to the kernel"
        if not isinstance(wanted, tablewalk.Hops):
            return "forwards it"
        ways = self.ways(wanted)
        return None if ways is None or macs in ways else f"sends it to {macs[:6].hex(':')}"


def place(found, behind, difference):
    """Puts a difference where it belongs. behind: what we do is what zebra wants."""
    kernel, zebra = difference[3:5]
    if not behind:
        found.ranges.append(difference)
    elif isinstance(kernel, tablewalk.Hops) and isinstance(zebra, tablewalk.Hops) and kernel.live < zebra.live:
        found.fewer.append(difference)
    else:
        found.behind.append(difference)


def look(router, found):
    """Goes through all addresses: one range after another."""
    memory = tablewalk.Memory(router)
    packets = Packets(router)
    try:
        for family in (4, 6):
            for first, last, kernel, zebra, ours in tablewalk.compare(router, memory, family):
                found.looked += 1
                found.left += ours == tablewalk.LEFT and kernel != tablewalk.LEFT
                found.full += ours == tablewalk.FULL
                wanted = kernel
                if not tablewalk.agree(kernel, ours):
                    behind = tablewalk.agree(zebra, ours)
                    place(found, behind, (family, first, last, kernel, zebra, ours))
                    wanted = zebra if behind else kernel
                for port in range(FLOWS):
                    address = first if port % 2 == 0 else last
                    did = packets.wrong(family, address, wanted, 1024 + port, ours)
                    found.sent += 1
                    if did:
                        found.packets.append((family, address, wanted, did))
                        break
    finally:
        packets.program.close()


def look_without(router, found):
    """Without the module: what the kernel has not that zebra gave it."""
    for family in (4, 6):
        for first, last, kernel, zebra, _ in tablewalk.compare(router, None, family):
            found.looked += 1
            if kernel != zebra:
                place(found, True, (family, first, last, kernel, zebra, None))


def find(network):
    """All differences. Nothing must change meanwhile."""
    found = Found()
    wait_until("all gateways answer", lambda: not network.reach_gateways(), timeout=30)
    if network.module:
        found.told = audit(network.router)
        testrun.run_in(network.router, lambda: look(network.router, found))
    else:
        look_without(network.router, found)
    return found
