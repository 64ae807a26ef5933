# SPDX-License-Identifier: GPL-2.0-or-later
"""What a router has to answer is answered, by the kernel: errors, its own addresses, routes that refuse."""

import errno
from contextlib import contextmanager

import pytest

from network import HOSTS, core_address, loopback
from topology import wait_until
from traffic import Transfer, datagrams, ping, probe, segments

V4, V6 = 0, 1
FAMILIES = pytest.mark.parametrize("family", (V4, V6), ids=("IPv4", "IPv6"))
TIME_EXCEEDED, UNREACHABLE, TOO_BIG = (11, 3), (3, 1), (3, 2)


@FAMILIES
def test_time_exceeded(net, family):
    """A hop limit that ends on a router is answered by that router, one more reaches the next."""
    target = HOSTS["h2"][family]
    second = {core_address(router, "r1")[family] for router in ("r2", "r3")}
    third = {core_address("r4", router)[family] for router in ("r2", "r3")}
    for ttl, expected in ((1, {("10.0.1.1", "2001:db8:1::1")[family]}), (2, second), (3, third)):
        errors = probe(net.h1, target, ttl=ttl)["errors"]
        assert errors and errors[0]["type"] == TIME_EXCEEDED[family], (ttl, errors)
        assert errors[0]["from"] in expected, (ttl, errors)
    port_unreachable = probe(net.h1, target, ttl=4)["errors"][0]
    assert port_unreachable["from"] == target and port_unreachable["errno"] == errno.ECONNREFUSED


@FAMILIES
def test_traceroute(net, family):
    """As a person would see it, to the outside."""
    target = HOSTS["h3"][family]
    output = net.h1.sh("traceroute", "-n", "-q", "1", "-w", "2", target).stdout
    hops = [line.split()[1] for line in output.splitlines()[1:]]
    assert len(hops) == 5 and "*" not in hops, output
    assert hops[0] == ("10.0.1.1", "2001:db8:1::1")[family], output
    assert hops[1] in {core_address(router, "r1")[family] for router in ("r2", "r3")}, output
    assert hops[2] in {core_address("r4", router)[family] for router in ("r2", "r3")}, output
    assert hops[4] == target, output


@FAMILIES
def test_path_mtu_discovery(net, family):
    """Narrow links in the middle: too-big comes back from r2 or r3, the host adapts, TCP gets through."""
    narrow, target = 1320, HOSTS["h2"][family]
    ends = ((net.r2, "r2-r4"), (net.r4, "r4-r2"), (net.r3, "r3-r4"), (net.r4, "r4-r3"))

    def set_mtu(mtu):
        for router, interface in ends:
            router.sh("ip", "link", "set", "dev", interface, "mtu", mtu)
        # OSPF resets an interface whose MTU changed: its adjacencies go and come back
        for router, interface in ends:
            wait_until("ospfd knows the MTU", lambda router=router, interface=interface: router.ask_json(
                f"show ip ospf interface {interface} json", "ospfd")["interfaces"][interface]["mtuBytes"] == mtu)
            wait_until("ospf6d knows the MTU", lambda router=router, interface=interface: router.ask_json(
                f"show ipv6 ospf6 interface {interface} json", "ospf6d")[interface]["interfaceMtu"] == mtu)
        wait_until("the adjacencies are back", lambda: all(
            adjacent(router, interface) for router, interface in ends))
        net.wait_steady()
        net.h1.sh("ip", "-6" if family else "-4", "route", "flush", "cache")

    def adjacent(router, interface):
        return router.ask_json(f"show ip ospf interface {interface} json", "ospfd")[
            "interfaces"][interface]["nbrAdjacentCount"] == 1

    headers = (28, 48)[family]
    try:
        set_mtu(narrow)
        # exactly as large as fits; then one byte more
        fits = probe(net.h1, target, size=narrow - headers)
        assert fits["errors"][0]["errno"] == errno.ECONNREFUSED, fits
        large = probe(net.h1, target, size=narrow - headers + 1)
        assert large["errors"] and large["errors"][0]["type"] == TOO_BIG[family], large
        assert large["errors"][0]["errno"] == errno.EMSGSIZE and large["errors"][0]["info"] == narrow, large
        assert large["errors"][0]["from"] in {core_address(r, "r1")[family] for r in ("r2", "r3")}, large
        assert large["mtu"] == narrow, large

        net.h1.sh("ip", "-6" if family else "-4", "route", "flush", "cache")
        done = Transfer(net.h1, net.h2, target, megabytes=20).finish()
        assert done["intact"] and done["bytes"] == 20 << 20, done
    finally:
        set_mtu(1500)
    with net.forwarded_by_ebpf(500, net.r1, (net.r2, net.r3), net.r4):
        seen = datagrams(net.h1, net.h2, target, count=500, length=1400)
    assert seen["lost"] == 0, seen


@FAMILIES
def test_route_mtu(net, family):
    """An MTU of a route's own holds for what is forwarded by it, and for nothing beside; as large as fits goes in eBPF."""
    version, target, headers = ("-4", "-6")[family], HOSTS["h2"][family], (28, 48)[family]
    other, router = HOSTS["h3"][family], ("10.0.1.1", "2001:db8:1::1")[family]
    via = ("via", core_address("r2", "r1")[family], "dev", "r1-r2")
    # without "lock" Linux ignores the MTU where it forwards IPv6
    lock = (("mtu",), ("mtu", "lock"))[family]

    def forget():
        net.h1.sh("ip", version, "route", "flush", "cache")

    try:
        for mtu in (1400, 1300):
            net.r1.sh("ip", version, "route", "replace", target, *via, *lock, mtu)
            wait_until(f"r1 answers for its MTU of {mtu}", lambda mtu=mtu: forget() or [
                error["info"] for error in probe(net.h1, target, size=1500 - headers)["errors"]] == [mtu])
            forget()
            large = probe(net.h1, target, size=mtu - headers + 1)["errors"]
            assert large and (large[0]["type"], large[0]["info"]) == (TOO_BIG[family], mtu), large
            assert large[0]["from"] == router, large
            forget()
            with net.forwarded_by_ebpf(500, net.r1):
                seen = datagrams(net.h1, net.h2, target, count=500, length=mtu - headers)
            assert seen["lost"] == 0, seen
            beside = probe(net.h1, other, size=1500 - headers)["errors"]
            assert beside and beside[0]["errno"] == errno.ECONNREFUSED, beside
            forget()
            done = Transfer(net.h1, net.h2, target, megabytes=5).finish()
            assert done["intact"] and done["bytes"] == 5 << 20, done
    finally:
        net.r1.sh("ip", version, "route", "del", target, *via)
        net.wait_steady()
        forget()
    wait_until("the MTU is forgotten with the route", lambda: probe(net.h1, target, size=1500 - headers)[
        "errors"][0]["errno"] == errno.ECONNREFUSED)


@contextmanager
def narrow_route(net, family, mtu):
    """r1's route to h2 has this MTU."""
    version, target = ("-4", "-6")[family], HOSTS["h2"][family]
    via = ("via", core_address("r2", "r1")[family], "dev", "r1-r2")
    net.r1.sh("ip", version, "route", "replace", target, *via, "mtu", "lock", mtu)
    try:
        if net.lab.module:
            wait_until("the program has the MTU", lambda: mtu in (
                member["mtu"] for member in net.r1.ask_json(
                    f"show dplane ebpf route {target} json").get("group", {"members": ()})["members"]))
        yield
    finally:
        net.r1.sh("ip", version, "route", "del", target, *via)
        net.wait_steady()
        net.h1.sh("ip", version, "route", "flush", "cache")


@FAMILIES
def test_fragments(net, family):
    """A datagram of three fragments: all of them go the same way, in eBPF, and come."""
    with net.forwarded_by_ebpf(3 * 200, net.r1, (net.r2, net.r3), net.r4):
        assert segments(net.h1, net.h2, HOSTS["h2"][family], 200, 4000) == {4000: 200}


def test_fragmented_on_the_way(net):
    """Without "do not fragment" what is too large goes on in pieces, which the kernel makes."""
    with narrow_route(net, V4, 1000):
        before = net.r1.counters()
        assert segments(net.h1, net.h2, HOSTS["h2"][V4], 200, 1400) == {1400: 200}
        if before:
            after = net.r1.counters()
            assert after["kernel-mtu"] - before["kernel-mtu"] >= 200, after


@FAMILIES
def test_datagrams_in_segments(net, family):
    """UDP_SEGMENT: one packet on its way, judged by the size of the datagrams that it will be."""
    target, headers = HOSTS["h2"][family], (28, 48)[family]
    with net.forwarded_by_ebpf(100, net.r1, (net.r2, net.r3), net.r4):
        assert segments(net.h1, net.h2, target, 100, 12000, 1200) == {1200: 1000}
    with narrow_route(net, family, 1300):
        before = net.r1.counters()
        with net.forwarded_by_ebpf(100, net.r1):
            assert segments(net.h1, net.h2, target, 100, 12000, 1300 - headers) == {
                size: number for size, number in ((1300 - headers, 100 * (12000 // (1300 - headers))),
                                                  (12000 % (1300 - headers), 100))}
        if before:
            assert net.r1.counters()["kernel-mtu"] == before["kernel-mtu"]
        # a byte more, and it is not ours to send
        segments(net.h1, net.h2, target, 1, 12000, 1300 - headers + 1)
        if before:
            assert net.r1.counters()["kernel-mtu"] > before["kernel-mtu"]


@FAMILIES
def test_ping_own_addresses(net, family):
    """Each router answers on its loopback and on the address that faces the asking host's side."""
    own = [loopback(router)[family] for router in ("r1", "r2", "r3", "r4", "r5")]
    own += [("10.0.1.1", "2001:db8:1::1")[family], core_address("r2", "r1")[family],
            core_address("r4", "r3")[family], ("10.0.3.1", "2001:db8:3::1")[family]]
    for address in own:
        assert ping(net.h1, address) == 3, address
    assert ping(net.h1, own[3], 3, "-s", "4000") == 3, "fragments to the router itself"


def test_ping_broadcast_and_multicast_leave_no_transit(net):
    """Subnet broadcast and multicast are not carried on."""
    before = net.h2.link_stats("h2-r4")["rx"]["packets"]
    net.h1.sh("ping", "-b", "-c", "3", "-i", "0.02", "-W", "1", "10.0.1.255", check=False)
    net.h1.sh("ping", "-c", "3", "-i", "0.02", "-W", "1", "224.0.0.1", check=False)
    assert ping(net.h1, HOSTS["h2"][V4]) == 3
    assert net.h2.link_stats("h2-r4")["rx"]["packets"] - before < 3 + 4


@pytest.fixture
def static_route(net):
    """Adds a static route to r1, waits for it in the kernel, and takes it away again."""
    added = []

    def present(prefix):
        return bool(net.r1.ip_json("-6" if ":" in prefix else "-4", "route", "show", "exact", prefix))

    def add(prefix, what):
        command = f"{'ipv6' if ':' in prefix else 'ip'} route {prefix} {what}"
        added.append((command, prefix))
        net.r1.vtysh("configure terminal", command)
        wait_until(f"{prefix} is in the kernel", lambda: present(prefix))

    yield add
    for command, prefix in added:
        net.r1.vtysh("configure terminal", f"no {command}")
        wait_until(f"{prefix} has left the kernel", lambda prefix=prefix: not present(prefix))


@FAMILIES
def test_unreachable_route(net, family, static_route):
    """"reject" is answered with unreachable; the covering route goes on for the rest."""
    prefix, inside = (("10.0.2.128/25", "10.0.2.200"), ("2001:db8:2::8000/113", "2001:db8:2::8001"))[family]
    static_route(prefix, "reject")
    errors = probe(net.h1, inside)["errors"]
    assert errors and errors[0]["type"] == UNREACHABLE[family], errors
    assert errors[0]["from"] == ("10.0.1.1", "2001:db8:1::1")[family], errors
    assert ping(net.h1, HOSTS["h2"][family]) == 3


@FAMILIES
def test_prohibit_route(net, family):
    """A prohibit route that an operator put into the kernel: "administratively prohibited"."""
    prefix = ("198.51.100.0/24", "2001:db8:5100::/48")[family]
    address = ("198.51.100.9", "2001:db8:5100::9")[family]
    ip = ("ip", "-6" if family else "-4", "route")
    net.r1.sh(*ip, "add", "prohibit", prefix)
    try:
        errors = probe(net.h1, address)["errors"]
        assert errors and (errors[0]["type"], errors[0]["code"]) == ((3, 13), (1, 1))[family], errors
    finally:
        net.r1.sh(*ip, "del", "prohibit", prefix)


@FAMILIES
def test_blackhole_route(net, family, static_route):
    """Silence, for the blackhole's addresses alone; and packets go through again when it is gone."""
    host = HOSTS["h2"][family]
    static_route(f"{host}/{(32, 128)[family]}", "blackhole")
    before = net.r1.counters()
    wait_until("the blackhole swallows", lambda: ping(net.h1, host, 1) == 0, timeout=10)
    result = probe(net.h1, host, wait=0.5)
    assert result["sent"] and result["errors"] == [], result
    if before:
        after = net.r1.counters()
        assert after["drop-blackhole"] > before["drop-blackhole"], after
    assert ping(net.h1, HOSTS["h3"][family]) == 3


@FAMILIES
def test_no_route(net, family):
    """No route at all: network unreachable."""
    errors = probe(net.h1, ("192.0.2.77", "3fff:77::1")[family])["errors"]
    assert errors and (errors[0]["type"], errors[0]["code"]) == ((3, 0), (1, 0))[family], errors
