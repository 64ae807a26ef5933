# SPDX-License-Identifier: GPL-2.0-or-later
"""Links of all sorts between a router and its neighbour, each under traffic: h1 -- r1 ==LINK== x.

Where the link's device on r1 has an Ethernet header both directions are forwarded in eBPF; out of tun as well, but what comes
in by it is the kernel's.
"""

import contextlib
import itertools
import signal

import pytest

from conftest import Net
from topology import HERE, Lab, wait_until
from traffic import Transfer, datagrams, ping, probe

H1 = ("10.0.1.2", "2001:db8:1::2")
# on the link: r1, x, and another that some links have; behind x
R1, X, Y = (tuple(f"{net}{n}" for net in ("10.0.2.", "2001:db8:2::")) for n in (1, 2, 3))
FAR = ("198.51.100.9", "2001:db8:9::9")
FAMILIES = pytest.mark.parametrize("family", (0, 1), ids=("IPv4", "IPv6"))
TOO_BIG = ((3, 4), (2, 0))  # type and code
HEADERS = (28, 48)

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def sorts(module):
    with Lab("links", module) as lab:
        h1, r1 = lab.host("h1"), lab.router("r1", config="interface r1-h1\n ip address 10.0.1.1/24\n"
                                            " ipv6 address 2001:db8:1::1/64\nexit\n")
        lab.link(r1, h1)
        h1.configure("h1-r1", [f"{H1[0]}/24", f"{H1[1]}/64"], ["10.0.1.1", "2001:db8:1::1"])
        r1.start()
        yield Net(lab)


def addresses(node, device, at):
    node.sh("ip", "address", "add", f"{at[0]}/24", "dev", device)
    node.sh("ip", "address", "add", f"{at[1]}/64", "dev", device, "nodad")


def link_local(node, device):
    return next(a["local"] for a in node.ip_json("-6", "address", "show", "dev", device)[0]["addr_info"]
                if a["scope"] == "link")


class Neighbour:
    """A node at the other end of a wire to r1, and the devices at both ends."""

    def __init__(self, lab):
        self.lab, self.r1 = lab, lab.nodes["r1"]
        name = f"x{next(_numbers)}"
        self.node = lab.host(name)
        lab.link(self.r1, self.node)
        self.wire = self.r1_device = f"r1-{name}"
        self.far_wire = self.device = f"{name}-r1"
        self.mtu = 1500

    def both(self, command):
        """Runs an ip command at both ends; {device}, {here} and {there} stand for what differs."""
        for node, device, here, there in ((self.r1, self.r1_device, 1, 2), (self.node, self.device, 2, 1)):
            text = command.format(device=device, here=f"10.9.0.{here}", there=f"10.9.0.{there}")
            node.sh("ip", *text.split())

    def join(self, at):
        """The node takes these addresses on the link, and r1 for its router."""
        addresses(self.node, self.device, at)
        # redirects are believed from the address that is the gateway's, and IPv6's come from the link-local one
        for gateway in (R1[0], link_local(self.r1, self.r1_device)):
            self.node.sh("ip", "route", "replace", "default", "via", gateway, "dev", self.device)

    def addresses(self):
        addresses(self.r1, self.r1_device, R1)
        self.join(X)
        for address in FAR:
            self.node.sh("ip", "address", "add", address, "dev", "lo")

    def remove(self):
        for device in (self.r1_device, self.wire):
            self.r1.sh("ip", "link", "delete", "dev", device, check=False)


def veth(link, _):
    link.addresses()


def bridge(link, _):
    link.r1_device = "br0"
    link.r1.sh("ip", "link", "add", "dev", "br0", "type", "bridge")
    link.r1.sh("ip", "link", "set", "dev", link.wire, "master", "br0")
    link.r1.sh("ip", "link", "set", "dev", "br0", "up")
    link.addresses()


def macvlan(link, _):
    link.r1_device = "mv0"
    link.r1.sh("ip", "link", "add", "link", link.wire, "dev", "mv0", "type", "macvlan", "mode", "bridge")
    link.r1.sh("ip", "link", "set", "dev", "mv0", "up")
    link.addresses()


def vxlan(link, _):
    link.both("address add {here}/24 dev {device}")
    link.r1_device = link.device = "vx0"
    link.both("link add dev vx0 type vxlan id 7 dstport 4789 local {here} remote {there}")
    link.both("link set dev vx0 mtu 1450 up")
    link.mtu = 1450
    link.addresses()


def tun(link, stack):
    link.both("address add {here}/24 dev {device}")
    link.r1_device = link.device = "tun0"
    for node, here, there in ((link.r1, 1, 2), (link.node, 2, 1)):
        process = node.popen("/usr/bin/python3", "-B", HERE / "tunnel.py", "tun0", f"10.9.0.{here}",
                             f"10.9.0.{there}", 5555)
        assert "ready" in process.stderr.readline()
        stack.callback(end, process)
    link.both("link set dev tun0 mtu 1400 up")
    link.mtu = 1400
    link.addresses()


def noarp(link, _):
    """Ethernet, but nobody is asked: frames carry the sender's own address, which is the receiver's too."""
    link.both("link set dev {device} address 02:00:00:00:00:99 arp off")
    link.addresses()


def end(process):
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=10)


SORTS = (veth, bridge, macvlan, vxlan, tun, noarp)
REASONS = {tun: "in: no Ethernet header (tun); out of it in eBPF",
           noarp: "out: hosts on it by the kernel (NOARP), gateways in eBPF"}


def shown(r1, device):
    return r1.ask_json("show dplane ebpf interface json").get(device, {})


@contextlib.contextmanager
def linked(net, sort):
    """A link of this sort is there, with routes to x, to hosts on the link and to what is behind x."""
    with contextlib.ExitStack() as stack:
        link = Neighbour(net.lab)
        stack.callback(link.remove)
        sort(link, stack)
        for version, far, x in zip(("ip", "ipv6"), FAR, X):
            route = f"{version} route {far}/{32 if version == 'ip' else 128} {x}"
            net.r1.vtysh("configure terminal", route)
            stack.callback(net.r1.vtysh, "configure terminal", f"no {route}")
            wait_until(f"{far} is in the kernel", lambda far=far, version=version: net.r1.ip_json(
                "-4" if version == "ip" else "-6", "route", "show", "exact", far))
        for address in (*X, *FAR):
            by_ebpf = 3 * ((sort is not tun) + (sort is not noarp or address in FAR))
            wait_until(f"{address} is reached in eBPF", lambda address=address, n=by_ebpf: settled(net, address, n))
        yield link


def settled(net, address, by_ebpf):
    """Three packets go to the address and three come back, so many of them by eBPF."""
    before = net.r1.transit()
    if ping(net.h1, address, 3) < 3:
        return False
    return not net.lab.module or net.r1.transit()[0] - before[0] >= by_ebpf


@pytest.mark.parametrize("sort", SORTS, ids=lambda sort: sort.__name__)
def test_link(sorts, sort):
    """Datagrams to a neighbour on the link and to what is behind it, and back; TCP; and the link's MTU."""
    with linked(sorts, sort) as link:
        inward = sort is not tun
        if sorts.lab.module:
            state = shown(sorts.r1, link.r1_device)
            assert state["ipv4Accelerated"] == state["ipv6Accelerated"] == inward, state
            assert state.get("reason", "") == REASONS.get(sort, ""), state
        for family in (0, 1):
            for address in (X[family], FAR[family]):
                # no entry appears for a host on a device that asks nobody: the kernel's, as it says
                by_ebpf = sort is not noarp or address in FAR
                with sorts.forwarded_by_ebpf(500, sorts.r1) if by_ebpf else contextlib.nullcontext():
                    seen = datagrams(sorts.h1, link.node, address, count=500)
                assert seen["lost"] == 0 and seen["doubled"] == 0, (address, seen)
            with sorts.forwarded_by_ebpf(500, sorts.r1) if inward else contextlib.nullcontext():
                seen = datagrams(link.node, sorts.h1, H1[family], count=500)
            assert seen["lost"] == 0 and seen["doubled"] == 0, seen
            mtu_is(sorts, link, family)
            for source, target, address in ((sorts.h1, link.node, FAR[family]), (link.node, sorts.h1, H1[family])):
                done = Transfer(source, target, address, megabytes=4).finish()
                assert done["intact"] and done["bytes"] == 4 << 20, (address, done)


def mtu_is(net, link, family):
    """What is as large as fits arrives; a byte more is answered, from r1's address on h1's side."""
    largest = link.mtu - HEADERS[family]

    def forget():
        net.h1.sh("ip", "-6" if family else "-4", "route", "flush", "cache")

    forget()
    # nobody listens there: the answer says that it came
    assert [e["from"] for e in probe(net.h1, FAR[family], size=largest)["errors"]] == [FAR[family]]
    if link.mtu < 1500:
        errors = probe(net.h1, FAR[family], size=largest + 1)["errors"]
        assert [((e["type"], e["code"]), e["info"]) for e in errors] == [
            (TOO_BIG[family], link.mtu)], errors
        assert errors[0]["from"] == ("10.0.1.1", "2001:db8:1::1")[family], errors
    forget()


def capture(stack, node, device):
    process = node.popen("/usr/bin/python3", "-B", HERE / "capture.py", device)
    assert "ready" in process.stderr.readline()
    stack.callback(end, process)
    return process


def vxlan_frame(process):
    """The next VXLAN frame that carries a UDP datagram, without what differs from one datagram to the next."""
    while True:
        frame = bytearray.fromhex(process.stdout.readline().strip())
        inner = 14 + 20 + 8 + 8
        if frame[23] != 17 or frame[36:38] != (4789).to_bytes(2, "big") or frame[inner + 23] != 17:
            continue
        for at in (0, inner):
            for start, size in ((14 + 4, 2), (14 + 10, 2), (34, 2), (34 + 6, 2)):  # IP id and sum, UDP source and sum
                frame[at + start:at + start + size] = bytes(size)
        return bytes(frame)


def test_vxlan_as_the_kernel(sorts, need_module):
    """On the wire below, what eBPF hands to a VXLAN device looks as what the kernel does."""
    with linked(sorts, vxlan) as link, contextlib.ExitStack() as stack:
        # all neighbours known, so that nothing else is sent in between
        frames = capture(stack, link.node, link.far_wire)
        with sorts.forwarded_by_ebpf(1, sorts.r1):
            assert probe(sorts.h1, FAR[0], size=700)["errors"]
        by_ebpf = vxlan_frame(frames)
        sorts.r1.sh("ip", "rule", "add", "from", "192.0.2.0/24", "table", "200", "priority", "99")
        stack.callback(sorts.r1.sh, "ip", "rule", "del", "priority", "99")
        wait_until("all is the kernel's", lambda: not shown(sorts.r1, "r1-h1")["ipv4Accelerated"])
        forwarded = sorts.r1.kernel_forwarded()
        assert probe(sorts.h1, FAR[0], size=700)["errors"]
        assert sorts.r1.kernel_forwarded() > forwarded
        by_kernel = vxlan_frame(frames)
        assert len(by_ebpf) == 14 + 20 + 8 + 8 + 14 + 28 + 700 and by_ebpf == by_kernel
    wait_until("eBPF forwards again", lambda: shown(sorts.r1, "r1-h1")["ipv4Accelerated"])


@contextlib.contextmanager
def two_on_a_bridge(net):
    """x and y on one bridge of r1's, with their addresses there."""
    with linked(net, bridge) as link:
        other = Neighbour(net.lab)
        try:
            net.r1.sh("ip", "link", "set", "dev", other.wire, "master", "br0")
            other.r1_device = "br0"
            other.join(Y)
            for address in Y:
                wait_until(f"{address} answers", lambda address=address: ping(link.node, address, 1))
            yield link, other
        finally:
            other.remove()


def test_ports_of_a_bridge(sorts):
    """The bridge is forwarded for and its ports are not; frames to an address it has forgotten are flooded."""
    with two_on_a_bridge(sorts) as (link, other):
        if sorts.lab.module:
            for port in (link.wire, other.wire):
                state = shown(sorts.r1, port)
                assert not state["attached"] and state["reason"] == "member of bridge br0", state
        # between ports nothing is routed
        def untouched():
            """Detaching is lazy: until then the program leaves to the kernel whatever comes, and counts it so."""
            before = sorts.r1.counters()
            seen = datagrams(link.node, other.node, Y[0], count=300)
            assert seen["lost"] == 0 and seen["doubled"] == 0, seen
            after = sorts.r1.counters()
            risen = {name for name in before or () if after[name] - before[name] >= 30}
            assert risen <= {"kernel-interface", "kernel-not-host"}, (before, after)
            return not risen

        wait_until("the ports are let go of", untouched)
        for family in (0, 1):
            sorts.r1.sh("ip", "link", "set", "dev", "br0", "type", "bridge", "ageing_time", "0")
            with sorts.forwarded_by_ebpf(300, sorts.r1):
                seen = datagrams(sorts.h1, link.node, FAR[family], count=300)
            assert seen["lost"] == 0 and seen["doubled"] == 0, seen
            sorts.r1.sh("ip", "link", "set", "dev", "br0", "type", "bridge", "ageing_time", "30000")
            with sorts.forwarded_by_ebpf(300, sorts.r1):
                seen = datagrams(sorts.h1, link.node, FAR[family], count=300)
            assert seen["lost"] == 0 and seen["doubled"] == 0, seen


@FAMILIES
def test_redirect(sorts, family):
    """y sends to r1 what x next to it has: it arrives, by the kernel, which tells y of the shorter way."""
    address = ("198.51.100.10", "2001:db8:9::a")[family]
    with two_on_a_bridge(sorts) as (link, other):
        link.node.sh("ip", "address", "add", address, "dev", "lo")
        via = (X[0], link_local(link.node, link.device))[family]
        route = (f"ip route {address}/32 {via}", f"ipv6 route {address}/128 {via} br0")[family]
        sorts.r1.vtysh("configure terminal", route)
        try:
            before = sorts.r1.counters()
            # the kernel waits longer and longer between redirects
            wait_until("y is told of the shorter way", lambda: ping(other.node, address, 2) == 2 and f"via {via} " in (
                other.node.sh("ip", "route", "get", address).stdout))
            if before:
                after = sorts.r1.counters()
                assert after["kernel-same-interface"] > before["kernel-same-interface"], after
        finally:
            sorts.r1.vtysh("configure terminal", f"no {route}")


def test_macvlan_and_what_is_below(sorts, need_module):
    """The program sees a macvlan's packets twice, below it and on it, and forwards once, on it."""
    with linked(sorts, macvlan) as link:
        assert shown(sorts.r1, link.wire)["ipv4Accelerated"] and shown(sorts.r1, "mv0")["ipv4Accelerated"]
        before = sorts.r1.counters()
        seen = datagrams(link.node, sorts.h1, H1[0], count=500)
        assert seen["lost"] == 0 and seen["doubled"] == 0, seen
        after = sorts.r1.counters()
        rose = {name: after[name] - before[name] for name in after}
        assert rose["kernel-not-host"] >= 500, rose
        assert 500 <= rose["forwarded"] + rose["forwarded-neighbour"] < 550, rose
