# SPDX-License-Identifier: GPL-2.0-or-later
"""What can be done to a router, by kind: random commands beside random routes of zebra's.

A kind is a function that gives commands (world.py) and remembers, in script.undo, how to take them back; which of the
two is done when is left to chance. Nothing here asks the router: a script depends on its random numbers alone.

Left out is what README says that the program bypasses: loose rp_filter, and disable_ipv6 of an interface.
"""

import random

from world import HOSTS, LINKS, PREFIXES4, PREFIXES6

KINDS = {}


def kind(function):
    KINDS[function.__name__.replace("_", "-")] = function
    return function


class Script:
    """Random numbers, what can be undone, and what commands are made of."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.undo = []
        self.number = 100

    def next_number(self):
        self.number += 1
        return self.number

    def choose(self, *values):
        return self.random.choice(values)

    def link(self):
        return self.random.randrange(LINKS)

    def v6(self):
        return self.random.random() < 0.5

    def prefix(self, v6, default=False):
        prefixes = PREFIXES6 if v6 else PREFIXES4
        return self.random.choice(prefixes if default else prefixes[1:])

    def gateway(self, v6, link=None):
        """A link and a host on it."""
        link = self.link() if link is None else link
        host = self.random.choice(HOSTS)
        return link, f"2001:db8:{link}::{host}" if v6 else f"10.9.{link}.{host}"

    def via(self, v6):
        link, gateway = self.gateway(v6)
        return f"via {gateway} dev e{link}"

    def route(self, v6, words, how="add", type_=""):
        """A route, and how it goes."""
        family = "ip -6" if v6 else "ip"
        self.undo.append(f"{family} route del {type_}{words}")
        return [f"{family} route {how} {type_}{words}"]


# ---- zebra's own routes

def zebra(s):
    v6 = s.v6()
    family, prefix = ("ipv6" if v6 else "ip"), s.prefix(v6, default=s.random.random() < 0.1)
    what = s.random.random()
    if what < 0.12:
        ways = ["blackhole"]
    elif what < 0.2:
        ways = ["reject"]
    else:
        ways = []
        for _ in range(s.choose(1, 1, 1, 2, 3)):
            link, gateway = s.gateway(v6)
            ways.append(gateway if s.random.random() < 0.7 else f"{gateway} e{link}")
    lines = [f"{family} route {prefix} {way}" for way in dict.fromkeys(ways)]
    s.undo += [f"zebra no {line}" for line in lines]
    return [f"zebra {line}" for line in lines]


# ---- routes of the kernel's own

@kind
def local(s):
    v6 = s.v6()
    return s.route(v6, f"{s.prefix(v6)} dev {s.choose('lo', f'e{s.link()}')}"
                   f"{s.choose('', '', ' table main')}", type_="local ")


@kind
def reject(s):
    v6 = s.v6()
    metric = s.choose("", "", " metric 5", " metric 100")
    return s.route(v6, f"{s.prefix(v6, True)}{metric}", type_=s.choose("throw ", "unreachable ", "prohibit ",
                                                                      "blackhole "))


@kind
def anycast(s):
    """IPv4's kernel has types that are not forwarded; IPv6's has anycast."""
    v6 = s.v6()
    type_ = "anycast " if v6 else s.choose("broadcast ", "anycast ")
    return s.route(v6, f"{s.prefix(v6)} dev e{s.link()}{s.choose('', ' table main')}", type_=type_)


@kind
def tos(s):
    return s.route(False, f"{s.prefix(False, True)} tos {s.choose('0x10', '0x08', '0x04')} {s.via(False)}")


@kind
def metric(s):
    v6 = s.v6()
    return s.route(v6, f"{s.prefix(v6, True)} {s.via(v6)} metric {s.choose(1, 5, 10, 20, 100, 1024, 5000)}",
                   s.choose("add", "replace"))


@kind
def append(s):
    """Several routes of one prefix and one metric."""
    v6 = s.v6()
    return s.route(v6, f"{s.prefix(v6, True)} {s.via(v6)}", s.choose("append", "append", "prepend", "replace"))


@kind
def multipath(s):
    v6 = s.v6()
    return s.route(v6, f"{s.prefix(v6, True)} nexthop {s.via(v6)} nexthop {s.via(v6)} weight {s.choose(1, 3)}",
                   s.choose("add", "append", "replace"))


@kind
def encap(s):
    v6 = s.v6()
    link, gateway = s.gateway(v6)
    what = s.choose("seg6 mode encap segs", "ip6 id 7 dst", "seg6local action End.DX6 nh6") if v6 else "ip id 7 dst"
    on = s.choose(f"dev e{link}", f"via {gateway} dev e{link}", s.via(v6))
    return s.route(v6, f"{s.prefix(v6, True)} encap {what} {gateway} {on}", s.choose("add", "replace"))


@kind
def nexthop_object(s):
    v6, one, two, group = s.v6(), s.next_number(), s.next_number(), s.next_number()
    family = "ip -6" if v6 else "ip"
    commands = [f"ip nexthop add id {one} {s.via(v6)}", f"ip nexthop add id {two} {s.via(v6)}",
                f"ip nexthop add id {group} group {one}/{two}"]
    s.undo += [f"ip nexthop del id {two}", f"ip nexthop del id {group}",
               f"ip nexthop replace id {one} {s.via(v6)}", f"ip nexthop replace id {group} group {two}",
               f"ip nexthop replace id {one} blackhole"]
    return commands + s.route(v6, f"{s.prefix(v6)} nhid {s.choose(one, group)}")[:1] + \
        ([f"{family} route add {s.prefix(v6)} nhid {group}"] if s.v6() else [])


@kind
def preference(s):
    """Of IPv6 routes of one prefix and metric, as router advertisements make them."""
    prefix = s.prefix(True, True)
    return [command for _ in range(2) for command in
            s.route(True, f"{prefix} {s.via(True)} metric {s.choose(20, 1024)} pref {s.choose('low', 'medium', 'high')}",
                    s.choose("add", "append"))]


@kind
def expires(s):
    commands = s.route(True, f"{s.prefix(True)} {s.via(True)} expires {s.choose(1, 1, 300)}",
                       s.choose("add", "replace"))
    return commands + (["wait 1.2"] if s.v6() else [])


@kind
def from_source(s):
    return s.route(True, f"{s.prefix(True)} from 2001:db8:{s.link()}::/64 {s.via(True)}")


@kind
def other_gateway(s):
    """An IPv4 route by an IPv6 gateway; one onto a link without a gateway; one that claims a gateway to be there."""
    link = s.link()
    way = s.choose(f"via inet6 2001:db8:{link}::2 dev e{link}", f"via inet6 fe80::{link + 10}:3 dev e{link}",
                   f"dev e{link}", f"via 10.9.{(link + 1) % LINKS}.3 dev e{link} onlink")
    return s.route(False, f"{s.prefix(False)} {way}", s.choose("add", "replace"))


@kind
def many(s):
    v6 = s.v6()
    first = s.choose("198.18.64.0/32", "203.0.113.0/32", "198.18.64.0/30") if not v6 else \
        s.choose("2001:db8:f040:142::/128", "fd00:1234::/127")
    words = f"{s.choose(50, 200)} {first} {s.via(v6)}"
    s.undo.append(f"many del {words}")
    return [f"many add {words}"]


@kind
def other_table(s):
    v6 = s.v6()
    return s.route(v6, f"{s.prefix(v6)} {s.via(v6)} table 100")


# ---- addresses

@kind
def source_address(s):
    """Routes with a source address of their own, which then goes."""
    v6, link, number = s.v6(), s.link(), s.next_number()
    address = f"2001:db8:ff::{number:x}" if v6 else f"10.255.9.{number % 250}"
    length, on = (128 if v6 else 32), s.choose("lo", f"e{link}")
    s.undo.append(f"ip address del {address}/{length} dev {on}")
    nodad = " nodad" if v6 else ""
    return [f"ip address add {address}/{length} dev {on}{nodad}"] + \
        s.route(v6, f"{s.prefix(v6, True)} {s.via(v6)} src {address}", s.choose("add", "replace"))


@kind
def zebra_source(s):
    """The same with zebra's routes, as a route map gives them: the kernel drops them with the address."""
    v6, link, number = s.v6(), s.link(), s.next_number()
    address, length = (f"2001:db8:{link}::{number:x}", 64) if v6 else (f"10.9.{link}.{number % 150 + 100}", 24)
    family = "ipv6" if v6 else "ip"
    s.undo += [f"ip address del {address}/{length} dev e{link}"] * 2 + [f"zebra no {family} protocol static"]
    return [f"ip address add {address}/{length} dev e{link}{' nodad' if v6 else ''}", "wait 0.1",
            f"zebra route-map S{number} permit 10; set src {address}; exit; {family} protocol static route-map S{number}"] + \
        zebra(s)


@kind
def address(s):
    v6, link = s.v6(), s.link()
    words = s.choose(f"2001:db8:77::{link + 1}/64", f"2001:db8:ff::{link + 10}/128") if v6 else \
        s.choose(f"10.77.{link % 2}.{link + 1}/24", f"10.255.9.{link + 2}/32", f"10.9.{link}.77/24")
    on = s.choose("lo", f"e{link}", f"e{link}")
    s.undo.append(f"ip address del {words} dev {on}")
    return [f"ip address add {words} dev {on}{' nodad' if v6 else ''}"]


@kind
def noprefixroute(s):
    """zebra has a connected route that the kernel does not have."""
    v6, link = s.v6(), s.link()
    words = f"2001:db8:77::{link + 1}/64" if v6 else f"10.77.{link % 2}.{link + 1}/24"
    s.undo.append(f"ip address del {words} dev e{link}")
    return [f"ip address add {words} dev e{link} noprefixroute"]


@kind
def peer_address(s):
    link = s.link()
    words = f"10.77.0.{link + 1} peer 10.77.1.{link + 1}/32"
    s.undo.append(f"ip address del {words} dev e{link}")
    return [f"ip address add {words} dev e{link}"]


@kind
def last_address(s):
    """What went by the network of an address goes with it, and does not come back by itself."""
    link, v6 = s.link(), s.v6()
    one = f"2001:db8:{link}::1/64" if v6 else f"10.9.{link}.1/24"
    again = f"ip address add {one} dev e{link}{' nodad' if v6 else ''}"
    if s.v6():
        # neighbours went with it
        return [f"ip address del {one} dev e{link}", again] + ([f"make e{link}"] if s.v6() else [])
    s.undo += [again, f"make e{link}"]
    return [f"ip address del {one} dev e{link}" if s.v6() else
            f"ip {'-6' if v6 else '-4'} address flush dev e{link} scope global"]


@kind
def two_links(s):
    """One network on two links."""
    link, other, v6 = s.link(), s.link(), s.v6()
    words = f"2001:db8:{link}::7{other}/64" if v6 else f"10.9.{link}.7{other}/24"
    s.undo.append(f"ip address del {words} dev e{other}")
    return [f"ip address add {words} dev e{other}{' nodad' if v6 else ''}"]


# ---- links

@kind
def carrier(s):
    link = s.link()
    s.undo.append(f"peer ip link set dev p{link} up")
    return [f"peer ip link set dev p{link} down"]


@kind
def down_up(s):
    link = s.link()
    if s.v6():
        return [f"ip link set dev e{link} down", f"ip link set dev e{link} up"] + ([f"make e{link}"] if s.v6() else [])
    s.undo += [f"make e{link}", f"ip link set dev e{link} up"]
    return [f"ip link set dev e{link} down"]


@kind
def rename(s):
    link = s.link()
    s.undo.append(f"ip link set dev x{link} name e{link}")
    if s.v6():
        return [f"ip link set dev e{link} name x{link}"]
    return [f"ip link set dev e{link} down", f"ip link set dev e{link} name x{link}",
            f"ip link set dev x{link} up"]


@kind
def remake(s):
    link = s.link()
    if s.v6():
        return [f"ip link del dev e{link}", f"make e{link}"]
    s.undo.append(f"make e{link}")
    return [f"ip link del dev e{link}"]


@kind
def mac_address(s):
    link = s.link()
    s.undo.append(f"make e{link}")
    return [f"ip link set dev e{link} address 02:e1:00:00:{s.random.randrange(256):02x}:{link:02x}"] + \
        ([f"make e{link}"] if s.v6() else [])


# ---- rules, sysctls, neighbours

@kind
def rule(s):
    v6 = s.v6()
    family, pref = ("ip -6" if v6 else "ip"), s.choose(500, 600, 1500, 32765, 40000)
    what = s.choose("fwmark 1 table 100", f"from {s.prefix(v6)} table 100", f"to {s.prefix(v6)} table 100",
                    f"iif e{s.link()} table 100", "table main", f"to {s.prefix(v6)} prohibit",
                    f"to {s.prefix(v6)} blackhole", "tos 0x10 table 100", "ipproto tcp table 100",
                    "table main suppress_prefixlength 0", f"from {s.prefix(v6)} unreachable")
    s.undo.append(f"{family} rule del pref {pref}")
    return [f"{family} rule add pref {pref} {what}"] + s.route(v6, f"{s.prefix(v6, True)} {s.via(v6)} table 100")


def sysctl(s, key, *values, normal):
    s.undo.append(f"sysctl {key}={normal}")
    return [f"sysctl {key}={s.choose(*values)}"]


@kind
def forwarding(s):
    where = s.choose("all", f"e{s.link()}", f"e{s.link()}", f"e{s.link()}")
    family = s.choose("ipv4", "ipv6")
    return sysctl(s, f"net.{family}.conf.{where}.forwarding", 0, normal=1)


@kind
def accept_local(s):
    return sysctl(s, f"net.ipv4.conf.{s.choose('all', f'e{s.link()}')}.accept_local", 1, normal=0)


@kind
def rp_filter(s):
    return sysctl(s, f"net.ipv4.conf.{s.choose('all', f'e{s.link()}')}.rp_filter", 1, normal=0)


@kind
def proxy(s):
    """Proxied neighbours: solicitations for them are the router's."""
    link, v6 = s.link(), s.v6()
    if not v6:
        return sysctl(s, f"net.ipv4.conf.e{link}.proxy_arp", 1, normal=0)
    host = s.choose(f"2001:db8:{s.link()}::{s.choose(*HOSTS)}", "2001:db8:f040:142::7")
    s.undo += [f"ip -6 neighbour del proxy {host} dev e{link}", "sysctl net.ipv6.conf.all.proxy_ndp=0"]
    return [f"sysctl net.ipv6.conf.{s.choose('all', 'all', f'e{link}')}.proxy_ndp=1",
            f"ip -6 neighbour add proxy {host} dev e{link}"]


@kind
def ignore_linkdown(s):
    link = s.link()
    s.undo.append(f"peer ip link set dev p{link} up")
    return sysctl(s, f"net.{s.choose('ipv4', 'ipv6')}.conf.{s.choose('all', f'e{link}')}.ignore_routes_with_linkdown",
                  1, normal=0) + [f"peer ip link set dev p{link} down"]


@kind
def neighbour(s):
    link, host = s.gateway(s.v6())
    again = f"ip neighbour replace {host} lladdr 02:{s.random.randrange(256):02x}:00:00:00:99 nud permanent dev e{link}"
    s.undo.append(again)
    return [s.choose(f"ip neighbour del {host} dev e{link}",
                     f"ip neighbour replace {host} lladdr 02:00:00:00:00:98 nud failed dev e{link}",
                     f"ip neighbour replace {host} lladdr 02:00:00:00:00:97 nud stale dev e{link}", again)]


# ---- scripts

def deck(seed, names):
    """Kinds in random order, each as often as any other."""
    shuffled = random.Random(seed)
    while True:
        names = list(names)
        shuffled.shuffle(names)
        yield from names


def script(seed, kinds, batches=6):
    """Batches of commands. kinds: an endless iterator of their names."""
    s = Script(seed)
    made = []
    for _ in range(batches):
        batch = []
        for _ in range(s.random.randint(1, 4)):
            what = s.random.random()
            if what < 0.3:
                batch += zebra(s)
            elif what < 0.55 and s.undo:
                batch.append(s.undo.pop(s.random.randrange(len(s.undo))))
            else:
                batch += KINDS[next(kinds)](s)
        made.append(batch)
    return made
