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
    def __init__(self):
        # (family, first, last, kernel's outcome, ours)
        self.ranges = []
        # (family, address, kernel's outcome, what the program did)
        self.packets = []
        self.told = None
        self.looked = self.left = self.sent = 0

    def count(self):
        return len(self.ranges) + len(self.packets) + self.told["differences"]

    def tell(self):
        say(f"{len(self.ranges)} of {self.looked} address ranges differ ({self.left} left to the kernel), "
            f"{len(self.packets)} of {self.sent} packets went wrong; consistency: {self.told['differences']} of "
            f"{json.dumps(self.told['compared'])}")
        for family, first, last, kernel, ours in self.ranges[:SHOWN]:
            say(f"  {text(family, first)} to {text(family, last)}: kernel {kernel}, ours {ours}")
        for family, address, kernel, did in self.packets[:SHOWN]:
            say(f"  packet to {text(family, address)}: kernel {kernel}, ours {did}")
        for one in self.told["prefixes"][:SHOWN]:
            say(f"  consistency: {json.dumps(one)}")


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
        if ours == tablewalk.LEFT:
            return True
        if not isinstance(kernel, tablewalk.Hops):
            return kernel != tablewalk.BLACKHOLE
        # a host whose MAC address the kernel has to ask for; next hops that all failed
        return any(gateway is None for _, gateway in kernel.live) or \
            isinstance(ours, tablewalk.Hops) and not ours.live

    def wrong(self, family, address, kernel, port, ours):
        """What the program did to a packet, if it is not what the kernel does."""
        status, macs = self.program.send(family, address, port)
        if status == testrun.SHOT:
            return None if kernel == tablewalk.BLACKHOLE else "drops it"
        if status != testrun.REDIRECT:
            return None if self.may_leave(kernel, ours) else "leaves it to the kernel"
        if not isinstance(kernel, tablewalk.Hops):
            return "forwards it"
        ways = self.ways(kernel)
        return None if ways is None or macs in ways else f"sends it to {macs[:6].hex(':')}"


def look(router, found):
    memory = tablewalk.Memory(router)
    packets = Packets(router)
    try:
        for family in (4, 6):
            for first, last, kernel, ours in tablewalk.compare(router, memory, family):
                found.looked += 1
                found.left += ours == tablewalk.LEFT and kernel != tablewalk.LEFT
                if not tablewalk.agree(kernel, ours):
                    found.ranges.append((family, first, last, kernel, ours))
                for port in range(FLOWS):
                    address = first if port % 2 == 0 else last
                    did = packets.wrong(family, address, kernel, 1024 + port, ours)
                    found.sent += 1
                    if did:
                        found.packets.append((family, address, kernel, did))
                        break
    finally:
        packets.program.close()


def find(network):
    """All differences. Nothing must change meanwhile."""
    found = Found()
    wait_until("all gateways answer", lambda: not network.reach_gateways(), timeout=30)
    found.told = audit(network.router)
    testrun.run_in(network.router, lambda: look(network.router, found))
    return found
