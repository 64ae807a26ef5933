# SPDX-License-Identifier: GPL-2.0-or-later
"""A router with BGP speakers for its peers and hosts for its next hops, and everything that may happen to its links.

    speakers -- r1 -- g1 ... g4       two of a route's next hops stand behind g1 and g2, or g3 and g4, by static routes
                 |
                src                   whose packets the program is asked about
"""
import ipaddress
import random
import subprocess
import sys

from section import HERE
from topology import LabError

WAYS = 4
SESSIONS = ("198.18.0.2", "198.18.0.3", "198.18.0.4")
ROUTER, ASN = "198.18.0.1", 64512
BORDERS = {(1, 2): ("10.255.0.1", "2001:db8:ff::1"), (3, 4): ("10.255.0.2", "2001:db8:ff::2")}
# static routes with next hops of their own, for plant.py
PLANTED = {"192.0.2.0/25": "10.1.1.77", "192.0.2.128/25": "10.1.2.77", "198.51.100.0/24": "10.1.3.77",
           "2001:db8:cb01::/48": "2001:db8:1:1::77", "2001:db8:cb02::/48": "2001:db8:1:2::77"}
# IP protocol number of zebra's BGP routes in the kernel, which it takes for its own
ZEBRA_BGP = "186"


def gateways(way):
    return f"10.1.{way}.2", f"2001:db8:1:{way}::2"


def addresses(way):
    """r1's own."""
    return f"10.1.{way}.1/24", f"2001:db8:1:{way}::1/64"


def config():
    # zebra keeps unused next-hop groups and believes them whole, although the kernel took members out of them
    lines = ["hostname r1", "zebra nexthop-group keep 1"]
    lines += ["interface r1-feed", f" ip address {ROUTER}/24", "exit"]
    lines += ["interface r1-src", " ip address 10.0.1.1/24", " ipv6 address 2001:db8:5::ff/64", "exit"]
    for way in range(1, WAYS + 1):
        v4, v6 = addresses(way)
        lines += [f"interface r1-g{way}", f" ip address {v4}", f" ipv6 address {v6}", "exit"]
    for ways, (v4, v6) in BORDERS.items():
        for way in ways:
            lines += [f"ip route {v4}/32 {gateways(way)[0]}", f"ipv6 route {v6}/128 {gateways(way)[1]}"]
    lines += [f"ip{'v6' if ':' in prefix else ''} route {prefix} {gateway}" for prefix, gateway in PLANTED.items()]
    lines += [f"router bgp {ASN}", f" bgp router-id {ROUTER}", " no bgp default ipv4-unicast"]
    for session in SESSIONS:
        lines += [f" neighbor {session} remote-as {ASN}", f" neighbor {session} passive"]
    for family in ("ipv4", "ipv6"):
        lines += [f" address-family {family} unicast", f"  maximum-paths ibgp {len(SESSIONS)}",
                  *(f"  neighbor {session} activate" for session in SESSIONS), " exit-address-family"]
    return "\n".join(lines + ["exit"]) + "\n"


class Network:
    def __init__(self, lab):
        self.lab = lab
        self.router = lab.router("r1", daemons=("zebra", "staticd", "bgpd"), config=config())
        self.feed, source = lab.host("feed"), lab.host("src")
        lab.link(self.router, self.feed)
        lab.link(self.router, source)
        self.feed.configure("feed-r1", [f"{session}/24" for session in SESSIONS], [])
        for way in range(1, WAYS + 1):
            self.link(lab.host(f"g{way}"), way)
        self.speakers = []
        self.module = lab.module

    def link(self, node, way):
        self.lab.link(self.router, node)
        v4, v6 = gateways(way)
        node.configure(f"g{way}-r1", [f"{v4}/24", f"{v6}/64"], [])

    def start(self):
        """Starts FRR and the speakers; returns when all sessions are up."""
        # all sorts of prefixes take more room than a real table of their number
        self.router.start(module=["-M", f"{self.module}:size=full,pin={self.router.pin}"] if self.module else [])
        nexthops = [address for way in range(1, WAYS + 1) for address in gateways(way)]
        nexthops += [address for border in BORDERS.values() for address in border]
        for session in SESSIONS:
            self.speakers.append(self.feed.popen("/usr/bin/python3", "-B", HERE / "speaker.py", session, ROUTER, ASN,
                                                 ",".join(nexthops), stdin=subprocess.PIPE, stderr=sys.stderr))
        for speaker in self.speakers:
            self.answer(speaker, "ready")

    @staticmethod
    def answer(speaker, word):
        if not speaker.stdout.readline().startswith(word):
            raise LabError("a BGP speaker ended: it says above why")

    @staticmethod
    def device(way):
        return f"r1-g{way}"

    def reach_gateways(self):
        """Has r1's kernel learn the MAC address of every gateway. Those that do not answer."""
        silent = []
        for way in range(1, WAYS + 1):
            for address in gateways(way):
                if self.router.sh("ping", "-n", "-q", "-c", 1, "-W", 1, address, check=False).returncode:
                    silent.append(address)
        return silent


class Disturber:
    """One thing after another happens to r1's links and routes; restore() undoes all of it but routes."""

    def __init__(self, network, seed):
        self.network, self.router = network, network.router
        self.random = random.Random(seed)
        self.count = 0
        self.what = {self.link: 8, self.carrier: 4, self.address: 6, self.neighbours: 4, self.gateway_mac: 1, self.mtu: 3,
                     self.administrator: 12, self.burst: 2, self.recreated: 2}

    def one(self):
        """The next event."""
        what, = self.random.choices(list(self.what), list(self.what.values()))
        what(self.random.randint(1, WAYS))
        self.count += 1

    def sh(self, *command):
        # an interface or an address may just be gone: that is what this is about
        self.router.sh(*command, check=False)

    def far(self, way, *command):
        self.network.lab.nodes[f"g{way}"].sh(*command, check=False)

    def link(self, way):
        self.sh("ip", "link", "set", "dev", self.network.device(way), self.random.choice(("down", "up")))

    def carrier(self, way):
        self.far(way, "ip", "link", "set", "dev", f"g{way}-r1", self.random.choice(("down", "up")))

    def address(self, way):
        action = self.random.choice(("del", "replace"))
        self.sh("ip", "address", action, self.random.choice(addresses(way)), "dev", self.network.device(way))

    def neighbours(self, way):
        self.sh("ip", "neighbour", "flush", "dev", self.network.device(way))

    def gateway_mac(self, way):
        mac = "02:00:00:00:%02x:%02x" % (way, self.random.randrange(256))
        self.far(way, "ip", "link", "set", "dev", f"g{way}-r1", "address", mac)

    def mtu(self, way):
        self.sh("ip", "link", "set", "dev", self.network.device(way), "mtu", self.random.choice((1300, 1400, 1500)))

    def administrator(self, way):
        """Routes of nobody's but the administrator, below BGP's and beside them."""
        n, family = self.random.randrange(64), self.random.randrange(2)
        prefix = (self.random.choice((f"203.0.113.{n}/32", f"20.{n}.0.32/27")),
                  self.random.choice((f"2001:db8:cb00:{n}::/64", f"2a00:{n:x}::/27")))[family]
        to = self.random.choice((("via", gateways(way)[family]), ("dev", self.network.device(way)), ("blackhole",),
                                 ("unreachable",), None, None, None))
        if to is None:
            self.sh("ip", "route", "del", prefix)
        elif len(to) == 1:
            self.sh("ip", "route", "replace", *to, prefix)
        else:
            self.sh("ip", "route", "replace", prefix, *to)

    def burst(self, way):
        """A link that flaps faster than anybody follows."""
        lines = [f"link set dev {self.network.device(way)} {state}" for _ in range(5) for state in ("down", "up")]
        self.router.sh("ip", "-force", "-batch", "-", input="\n".join(lines) + "\n", check=False)
        self.count += len(lines) - 1

    def recreated(self, way):
        """Another interface, with another number and MAC, takes the name."""
        node = self.network.lab.nodes[f"g{way}"]
        self.network.lab.unlink(self.router, node)
        self.network.link(node, way)

    def restore(self):
        for way in range(1, WAYS + 1):
            device = self.network.device(way)
            self.sh("ip", "link", "set", "dev", device, "mtu", 1500)
            self.sh("ip", "link", "set", "dev", device, "up")
            self.far(way, "ip", "link", "set", "dev", f"g{way}-r1", "up")
            for address, length in zip(gateways(way), (24, 64)):
                self.far(way, "ip", "address", "replace", f"{address}/{length}", "dev", f"g{way}-r1")
            for address in addresses(way):
                self.sh("ip", "address", "replace", address, "dev", device)
