# SPDX-License-Identifier: GPL-2.0-or-later
"""A router with two VRFs beside the default one, all with the same addresses behind it, and what is asked of it.

               in VRF red       in VRF blue      in the default VRF
    clients    10.0.1.2 red     10.0.2.2 blue    10.0.3.2 main          2001:db8:N::2 likewise
    servers    10.0.9.2         10.0.9.2         10.0.9.2               2001:db8:9::2
    routes     198.51.100.0/24  198.51.100.0/24  198.51.100.0/24        2001:db8:100::/48
               default          unreachable      203.0.113.0/24         2001:db8:200::/48

Every server has all of the addresses that anybody may be asked for, even those of the router itself: a packet that
goes astray arrives somewhere, and is seen there. Answers come from whoever was asked, by the server's default route.
"""

import time

import ends
from topology import Lab, LabError, wait_until

VRFS = {"red": 101, "blue": 102}
SIDES = ("red", "blue", "main")
# addresses of everybody's; of the default VRF only; of the router's loopback in the default VRF
SHARED = ("198.51.100.9", "2001:db8:100::9")
MAIN_ONLY = ("203.0.113.9", "2001:db8:200::9")
ROUTERS_OWN = ("192.0.2.1", "2001:db8:ffff::1")
# of the unreachable default route that the kernel's documentation asks for in a VRF
LAST_RESORT = 4278198272

CONFIG = """
ip route 198.51.100.0/24 10.0.9.2
ip route 203.0.113.0/24 10.0.9.2
ipv6 route 2001:db8:100::/48 2001:db8:9::2
ipv6 route 2001:db8:200::/48 2001:db8:9::2
vrf red
 ip route 198.51.100.0/24 10.0.9.2
 ip route 0.0.0.0/0 10.0.9.2
 ipv6 route 2001:db8:100::/48 2001:db8:9::2
 ipv6 route ::/0 2001:db8:9::2
exit-vrf
vrf blue
 ip route 198.51.100.0/24 10.0.9.2
 ipv6 route 2001:db8:100::/48 2001:db8:9::2
exit-vrf
"""


def ip(node, *lines):
    """Several "ip" commands as one process, which is much the quicker."""
    node.sh("ip", "-batch", "-", input="".join(f"{line}\n" for line in lines))


def vrf_lines(vrf, table, members=()):
    """What makes a VRF."""
    return (f"link add {vrf} type vrf table {table}", f"link set dev {vrf} up",
            *(f"link set dev {member} master {vrf}" for member in members))


def last_resort(action):
    """What adds or removes blue's unreachable default routes, which keep misses from going on to the table main."""
    return tuple(f"route {action} unreachable {prefix} metric {LAST_RESORT} table {VRFS['blue']}"
                 for prefix in ("0.0.0.0/0", "::/0"))


class Net:
    """One router with its hosts. Use it as a context manager."""

    def __init__(self, name, module=None):
        self.lab = Lab(name, module)

    def __enter__(self):
        self.lab.__enter__()
        try:
            self._build()
        except BaseException:
            self.lab.__exit__()
            raise
        return self

    def __exit__(self, *exception):
        self.lab.__exit__(*exception)

    def _build(self):
        lab = self.lab
        self.r1 = lab.router("r1", config=CONFIG)
        self.r1.sysctl({"net.ipv4.tcp_l3mdev_accept": 1, "net.ipv4.udp_l3mdev_accept": 1})
        ip(self.r1, *(line for vrf, table in VRFS.items() for line in vrf_lines(vrf, table)),
           *(f"address add {address} dev lo" for address in ROUTERS_OWN),
           *last_resort("add"))
        self.clients, self.servers = {}, {}
        for n, side in enumerate(SIDES, 1):
            self.clients[side] = self._host(f"c-{side}", side, n, ())
            self.servers[side] = self._host(f"s-{side}", side, 9, SHARED + MAIN_ONLY + ROUTERS_OWN)
        self.nodes = {**self.servers, "router": self.r1}
        self.r1.start()

    def _host(self, name, side, n, addresses):
        host = self.lab.host(name)
        self.lab.link(self.r1, host)
        ip(self.r1, *([f"link set dev r1-{name} master {side}"] if side in VRFS else []),
           f"address add 10.0.{n}.1/24 dev r1-{name}", f"address add 2001:db8:{n}::1/64 dev r1-{name}")
        ip(host, f"address add 10.0.{n}.2/24 dev {name}-r1", f"address add 2001:db8:{n}::2/64 dev {name}-r1",
           f"route add default via 10.0.{n}.1", f"route add default via 2001:db8:{n}::1",
           *(f"address add {address} dev lo" for address in addresses))
        return host

    def exchange(self, side, address, count=20, **kwargs):
        return ends.exchange(self.clients[side], self.nodes, address, count, **kwargs)

    def reaches(self, side, address, server, count, by_ebpf=False, timeout=60):
        """
        Every datagram arrives at the server and every answer comes back; by_ebpf: all of them forwarded by the
        program. It is waited for, since changes are noticed a moment later and neighbours have to be resolved.
        """
        last = wanted = {"outcome": arrives(server, count), "forwarded, by the kernel": (2 * count, 0)}

        def does():
            nonlocal last
            before = self.r1.transit()
            outcome = self.exchange(side, address, count)
            transit = tuple(now - then for now, then in zip(self.r1.transit(), before))
            last = {"outcome": outcome, "forwarded, by the kernel": transit}
            return last == wanted if by_ebpf else outcome == wanted["outcome"]

        try:
            wait_until("", does, timeout, interval=0.3)
        except LabError:
            raise AssertionError(f"{self.lab.name}: {side} to {address}: {last}, should be {wanted}") from None


def arrives(server, count=20):
    """What exchange() says if all arrive there, having passed one router, and are answered."""
    return {"arrived": {(server, 63): count}, "answered": count, "doubled": 0, "errors": []}


class Pair:
    """The kernel alone, and ours."""

    def __init__(self, alone, ours):
        self.alone = alone
        self.ours = ours
        self._undo = []

    def do(self, action, undo=None):
        """action(net) for both; restore() calls undo(net)."""
        if undo:
            self._undo.append(undo)
        action(self.alone)
        action(self.ours)

    def ip(self, *lines, undo=()):
        """ip commands on both routers; undo are those that restore() runs."""
        self.do(lambda net: ip(net.r1, *lines), (lambda net: ip(net.r1, *undo)) if undo else None)

    def rules(self, change, undo):
        """An "ip rule" command on both routers, for both families; undo is the one that restore() runs."""
        for family in ("-4", "-6"):
            self.do(lambda net, f=family: net.r1.sh("ip", f, "rule", *change.split()),
                    lambda net, f=family: net.r1.sh("ip", f, "rule", *undo.split()))

    def configure(self, *lines, undo):
        """Configuration of FRR's, on both routers; undo is what restore() configures."""
        self.do(lambda net: net.r1.vtysh("configure terminal", *lines),
                lambda net: net.r1.vtysh("configure terminal", *undo))

    def restore(self):
        """Undoes what was done, the last first; then everybody reaches its own server as before."""
        while self._undo:
            undo = self._undo.pop()
            undo(self.alone)
            undo(self.ours)
        for side in SIDES:
            for address in SHARED:
                self.reaches(side, address, side)

    def reaches(self, side, address, server, count=5):
        """A side's datagrams arrive at the server: by the kernel alone, and on ours by eBPF."""
        self.alone.reaches(side, address, server, count)
        self.ours.reaches(side, address, server, count, by_ebpf=True)

    def same(self, ask, timeout=20):
        """
        What both answer to ask(net), which must be the same. A change of rules or links is noticed within a second
        or so: until then ours may still be as it was before.
        """
        wanted = ask(self.alone)
        end = time.monotonic() + timeout
        got = ask(self.ours)
        while got != wanted and time.monotonic() < end:
            got = ask(self.ours)
        assert got == wanted, f"the kernel alone: {wanted}; with the module: {got}"
        return wanted
