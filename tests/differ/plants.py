# SPDX-License-Identifier: GPL-2.0-or-later
"""The differential test tested: would it notice?

For each kind of command (kinds.py) the program is made wrong in the way that a module would be that has not heard of
it. Either its answers from before the command are compared with the kernel's from after it ("deaf"); or, where the
program leaves those packets to the kernel all along and so cannot be deaf, a wrong word is written into its pinned
tables ("word"): the group of a route by e1, over the root's word of an address, which the kernel does not send by e1.
Further words are planted in next hops, slots and interfaces.
"""

import ipaddress
import itertools

import maps
from topology import LabError, wait_until

PACKETS = 12000
# a route by e1 for each family
BY_E1 = {4: "198.18.0.0/15", 6: "2001:db8:f000::/36"}
HERE4, HERE6 = "203.0.113.0/24", "fd00:1234::/48"
GATE4, GATE6 = "via 10.9.2.3 dev e2", "via 2001:db8:2::3 dev e2"


class Plant:
    """before: what must be so first; commands: what the module shall not have heard of; undo: all of it taken back."""

    def __init__(self, kind, commands, undo=(), before=(), word=None):
        self.kind, self.commands, self.undo, self.before, self.word = kind, commands, undo, before, word


def route(kind, words, v6=False, type_="", word=False):
    family = "ip -6" if v6 else "ip"
    here = HERE6 if v6 else HERE4
    return Plant(kind, [f"{family} route add {type_}{here} {words}"], [f"{family} route del {type_}{here} {words}"],
                 word=here if word else None)


def plants():
    yield Plant("zebra", [f"zebra ip route {HERE4} 10.9.2.3"], [f"zebra no ip route {HERE4} 10.9.2.3"])
    yield Plant("zebra", [f"zebra ipv6 route {HERE6} blackhole"], [f"zebra no ipv6 route {HERE6} blackhole"])
    for type_, on in (("local ", "dev lo"), ("broadcast ", "dev e2"), ("anycast ", "dev e2")):
        yield route(type_.strip(), on, type_=type_)
    yield route("local", "dev lo", True, "local ")
    yield route("anycast", "dev e2", True, "anycast ")
    for type_ in ("throw ", "unreachable ", "prohibit ", "blackhole "):
        yield route("reject", "", type_=type_)
        yield route("reject", "", True, type_)
    yield route("tos", f"tos 0x10 {GATE4}")
    yield route("metric", f"{GATE4} metric 7")
    yield route("metric", f"{GATE6} metric 7", True)
    yield Plant("append", [f"ip route prepend {HERE4} via 10.9.3.3 dev e3"],
                [f"ip route del {HERE4} via 10.9.3.3 dev e3", f"ip route del {HERE4} {GATE4}"],
                [f"ip route add {HERE4} {GATE4}"], word=HERE4)
    yield route("encap", "encap ip id 7 dst 10.9.2.2 via 10.9.2.2 dev e2")
    yield route("encap", "encap seg6 mode encap segs 2001:db8:2::2 via 2001:db8:2::2 dev e2", True)
    yield Plant("nexthop-object", ["ip nexthop replace id 9901 via 10.9.3.3 dev e3"],
                [f"ip route del {HERE4} nhid 9901", "ip nexthop del id 9901"],
                [f"ip nexthop add id 9901 {GATE4}", f"ip route add {HERE4} nhid 9901"], word=HERE4)
    yield Plant("preference", [f"ip -6 route add {HERE6} via 2001:db8:3::3 dev e3 pref high"],
                [f"ip -6 route del {HERE6} via 2001:db8:3::3", f"ip -6 route del {HERE6} {GATE6}"],
                [f"ip -6 route add {HERE6} {GATE6} pref low"], word=HERE6)
    yield Plant("expires", ["wait 1.2"], [f"ip -6 route del {HERE6} {GATE6}"],
                [f"ip -6 route add {HERE6} {GATE6} expires 1"], word=HERE6)
    yield Plant("from-source", [f"ip -6 route add {HERE6} from 2001:db8:4::/64 {GATE6}"],
                [f"ip -6 route del {HERE6} from 2001:db8:4::/64 {GATE6}"])
    yield route("other-gateway", "via inet6 2001:db8:2::2 dev e2")
    yield Plant("many", [f"many add 256 203.0.113.0/32 {GATE4}"], [f"many del 256 203.0.113.0/32 {GATE4}"])
    yield Plant("source-address", ["ip address del 10.255.9.9/32 dev lo"], [],
                ["ip address add 10.255.9.9/32 dev lo", f"ip route add {HERE4} {GATE4} src 10.255.9.9"], word=HERE4)
    yield Plant("address", ["ip address add 10.77.0.1/24 dev e2"], ["ip address del 10.77.0.1/24 dev e2"])
    yield Plant("noprefixroute", ["ip address add 10.77.0.1/24 dev e2 noprefixroute"],
                ["ip address del 10.77.0.1/24 dev e2"], word="10.77.0.0/24")
    yield Plant("peer-address", ["ip address add 10.77.0.1 peer 10.77.1.0/29 dev e2"],
                ["ip address del 10.77.0.1 peer 10.77.1.0/29 dev e2"])
    yield Plant("last-address", ["ip address del 10.9.3.1/24 dev e3"], ["make e3"])
    yield Plant("two-links", ["ip address del 10.9.3.1/24 dev e3"],
                ["make e3", "ip address del 10.9.3.72/24 dev e2"],
                ["ip address add 10.9.3.72/24 dev e2"], word="10.9.3.0/24")
    yield Plant("own source", ["ip address add 198.18.64.201/32 dev lo"], ["ip address del 198.18.64.201/32 dev lo"])
    yield Plant("source of a local prefix", ["ip route add local 100.64.0.0/10 dev lo"],
                ["ip route del local 100.64.0.0/10 dev lo"])
    yield Plant("carrier", ["peer ip link set dev p3 down"], ["peer ip link set dev p3 up", "wait 1.2"],
                ["sysctl net.ipv4.conf.e3.ignore_routes_with_linkdown=1"])
    yield Plant("ignore-linkdown", ["sysctl net.ipv4.conf.e3.ignore_routes_with_linkdown=1",
                                    "peer ip link set dev p3 down"],
                ["sysctl net.ipv4.conf.e3.ignore_routes_with_linkdown=0", "peer ip link set dev p3 up", "wait 1.2"])
    yield Plant("down-up", ["ip link set dev e3 down"], ["ip link set dev e3 up", "wait 1.2", "make e3"])
    yield Plant("remake", ["ip link del dev e3"], ["make e3", "wait 1.2"])
    yield Plant("mac-address", ["ip link set dev e1 address 02:e1:00:00:01:02"],
                ["ip link set dev e1 address 02:e0:00:00:00:01", "make e1"])
    yield Plant("rule", [f"ip rule add pref 500 to {HERE4} prohibit"], ["ip rule del pref 500"])
    yield Plant("forwarding", ["sysctl net.ipv4.conf.e3.forwarding=0"], ["sysctl net.ipv4.conf.e3.forwarding=1"])
    yield Plant("forwarding", ["sysctl net.ipv6.conf.all.forwarding=0"], ["sysctl net.ipv6.conf.all.forwarding=1"])
    yield Plant("rp-filter", ["sysctl net.ipv4.conf.e3.rp_filter=1"], ["sysctl net.ipv4.conf.e3.rp_filter=0"])
    yield Plant("neighbour", ["ip neighbour replace 10.9.1.2 lladdr 02:04:00:09:01:99 nud permanent dev e1"],
                ["ip neighbour replace 10.9.1.2 lladdr 02:04:00:09:01:02 nud permanent dev e1"])
    yield Plant("neighbour", ["ip neighbour del 10.9.1.2 dev e1"],
                ["ip neighbour replace 10.9.1.2 lladdr 02:04:00:09:01:02 nud permanent dev e1"])


# ---- words

BLACKHOLE = 6
# struct fib_nexthop: its size, and where in it dst, src and ifindex are
NEXTHOP, DST, SRC, IFINDEX = 64, 0, 8, 16


def words(router):
    """(what, map, form, offset, value as a function of what is there): each makes the program wrong for HERE4 or HERE6."""
    root4, root6 = maps.root_offset("203.0.113.0"), maps.root_offset("fd00::")
    by_e1 = {family: maps.group_of(router, prefix)["group"] for family, prefix in BY_E1.items()}
    nexthop = NEXTHOP * maps.group_of(router, "0.0.0.0/0")["members"][0]["nexthop"]
    e2 = router.ip_json("link", "show", "dev", "e2")[0]["ifindex"]
    yield "another group, IPv4", "fib4_root", "=I", root4, lambda _: by_e1[4]
    yield "another group, IPv6", "fib6_root", "=I", root6, lambda _: by_e1[6]
    yield "blackhole, IPv4", "fib4_root", "=I", root4, lambda _: BLACKHOLE
    yield "blackhole, IPv6", "fib6_root", "=I", root6, lambda _: BLACKHOLE
    yield "a next hop's MAC address", "fib_nexthop", "=Q", nexthop + DST, lambda old: old ^ 1 << 40
    yield "a next hop's source MAC address", "fib_nexthop", "=Q", nexthop + SRC, lambda old: old ^ 1 << 40
    yield "a next hop's interface", "fib_nexthop", "=I", nexthop + IFINDEX, lambda _: e2


class Planted:
    """Counts what was found of what was planted, and says it."""

    def __init__(self, world, seed, say):
        self.world, self.say = world, say
        self.seeds = itertools.count(seed)
        self.found = self.missed = 0

    def result(self, what, found):
        self.found += bool(found)
        self.missed += not found
        example = f": {found[0]['why']} ({found[0]['packet']})" if found else ": NOT FOUND"
        self.say(f"planted {what}{example}")

    def clean(self):
        """What is found has to be what was planted."""
        differences = self.world.run(next(self.seeds), PACKETS, 3000)["differences"]
        if differences:
            raise LabError(f"something differs before anything is planted: {differences[0]}")

    def run(self, inside=None):
        """What differs now; inside: of packets to this prefix."""
        differences = self.world.run(next(self.seeds), PACKETS, 0)["differences"]
        inside = ipaddress.ip_network(inside or "0.0.0.0/0")
        return [found for found in differences
                if ipaddress.ip_address(found["packet"].split()[2]) in inside] if inside.prefixlen else differences

    def deaf(self, plant):
        """The program's answers from before, the kernel's from after."""
        world = self.world
        world.do(plant.before)
        world.quiet()

        def steady():
            nonlocal wrong
            world.freeze(next(self.seeds), PACKETS)
            wrong = world.frozen()["differences"]
            return not wrong
        wrong = []
        try:
            wait_until("what is kept is right", steady, 5)
        except LabError:
            raise LabError(f"before '{plant.kind}' is planted, something differs: {wrong[0]}") from None
        world.do(plant.commands)
        try:
            return wait_until("the kernel's answers change", lambda: world.frozen()["differences"],
                              0.2 if plant.word else 3)
        except LabError:
            return []

    def kind(self, plant):
        what = f"{plant.kind} ({'; '.join(plant.commands)})"
        try:
            found = self.deaf(plant)
            if not found and plant.word:
                self.world.quiet()
                with self.word("fib4_root" if "." in plant.word else "fib6_root", "=I",
                               maps.root_offset(plant.word.split("/")[0]),
                               maps.group_of(self.world.router, BY_E1[6 if ":" in plant.word else 4])["group"]):
                    found = self.run(plant.word)
            self.result(what, found)
        finally:
            self.world.do(plant.undo)
            self.world.quiet()

    def word(self, *where):
        return Word(self.world.router, *where)

    def all(self):
        self.clean()
        for what, array, form, offset, value in words(self.world.router):
            with self.word(array, form, offset, value):
                self.result(f"word: {what}", self.run())
        for plant in plants():
            self.kind(plant)


class Word:
    """A word of a pinned array is another for a while."""

    def __init__(self, router, array, form, offset, value):
        self.where = (router, array, form, offset)
        self.value = value

    def __enter__(self):
        self.old = maps.write(*self.where, 0)
        maps.write(*self.where, self.value(self.old) if callable(self.value) else self.value)

    def __exit__(self, *_):
        maps.write(*self.where, self.old)
