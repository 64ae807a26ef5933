# SPDX-License-Identifier: GPL-2.0-or-later
"""Routes come, go and move, and packets follow."""

import pytest

from network import EXTRA4, EXTRA6, HOSTS, OUTSIDE4, OUTSIDE6, core_address, routes_to
from topology import wait_until
from traffic import Witness, datagrams, ping, probe

V4, V6 = 0, 1
FAMILIES = pytest.mark.parametrize("family", (V4, V6), ids=("IPv4", "IPv6"))


def announce(net, family, prefix, there):
    kind = ("ipv4", "ipv6")[family]
    net.r5.vtysh("configure terminal", "router bgp 65005", f"address-family {kind} unicast",
                 f"{'' if there else 'no '}network {prefix}")


@FAMILIES
def test_bgp_withdraw_and_announce(net, family):
    """
    A withdrawn network falls back to the aggregate that r4 announces and is unreachable there; announced again,
    packets go through eBPF again.
    """
    prefix, host = (OUTSIDE4, OUTSIDE6)[family], HOSTS["h3"][family]
    try:
        announce(net, family, prefix, False)
        wait_until("r1 has no route", lambda: not routes_to(net.r1, prefix))
        errors = probe(net.h1, host)["errors"]
        assert errors and errors[0]["from"] in {core_address("r4", peer)[family] for peer in ("r2", "r3")}, errors
    finally:
        announce(net, family, prefix, True)
    net.wait_steady()
    with net.forwarded_by_ebpf(1000, net.r1, (net.r2, net.r3), net.r4, net.r5):
        seen = datagrams(net.h1, net.h3, host, count=1000)
    assert seen["lost"] == 0, seen


@FAMILIES
def test_more_specific_route(net, family):
    """The longest prefix counts: one host of the outside is sent elsewhere, and comes back."""
    host = HOSTS["h3"][family]
    part = f"{host}/{(32, 128)[family]}"
    route = f"{('ip', 'ipv6')[family]} route {part} {HOSTS['h2'][family]}"

    def to_h2():
        return net.h2.link_stats("h2-r4")["rx"]["packets"]

    net.r4.vtysh("configure terminal", route)
    try:
        wait_until("r4 has it", lambda: routes_to(net.r4, part))
        before = to_h2()
        # h2 is no router: nobody answers
        assert ping(net.h1, host, 5, "-W", "0.3") == 0
        assert to_h2() - before >= 5
    finally:
        net.r4.vtysh("configure terminal", f"no {route}")
    wait_until("r4 has lost it", lambda: not routes_to(net.r4, part))
    wait_until("packets reach h3", lambda: ping(net.h1, host, 1) == 1)


def set_cost(router, interface, family, cost):
    no = "" if cost else "no "
    value = f" {cost}" if cost else ""
    protocol = ("ip ospf", "ipv6 ospf6")[family]
    router.vtysh("configure terminal", f"interface {interface}", f"{no}{protocol} cost{value}")


def tx(router, interface):
    return router.link_stats(interface)["tx"]["packets"]


@FAMILIES
def test_ospf_cost_moves_traffic(net, family):
    """A worse link empties, without a lost packet; BGP's recursive routes follow; and all comes back."""
    inside = ("10.0.2.0/24", "2001:db8:2::/64")[family]
    outside = (OUTSIDE4, OUTSIDE6)[family]
    witnesses = [Witness(net.h1, net.h2, HOSTS["h2"][family]), Witness(net.h1, net.h3, HOSTS["h3"][family])]
    try:
        set_cost(net.r1, "r1-r2", family, 500)
        for prefix in (inside, outside):
            wait_until("r1 has one path left", lambda prefix=prefix: [
                dev for _, dev in routes_to(net.r1, prefix)] == ["r1-r3"])
        with net.forwarded_by_ebpf(2000, net.r1, net.r3, net.r4):
            on_r2 = tx(net.r1, "r1-r2")
            seen = datagrams(net.h1, net.h2, HOSTS["h2"][family], count=2000)
            # all that still goes there is the protocols' own
            assert tx(net.r1, "r1-r2") - on_r2 < 200
        assert seen["lost"] == 0, seen
    finally:
        set_cost(net.r1, "r1-r2", family, None)
    net.wait_steady()
    for witness in witnesses:
        seen = witness.stop()
        assert (seen["lost"], seen["doubled"]) == (0, 0), seen
    on_r2 = tx(net.r1, "r1-r2")
    with net.forwarded_by_ebpf(2000, net.r1, (net.r2, net.r3), net.r4):
        datagrams(net.h1, net.h2, HOSTS["h2"][family], count=2000)
    assert tx(net.r1, "r1-r2") - on_r2 > 400, "the second path is used again"


@FAMILIES
def test_bgp_session_cleared(net, family):
    """A hard reset of the eBGP session: the routes go and come back, and so do the packets."""
    prefix = (EXTRA4, EXTRA6)[family]
    net.r5.vtysh("clear bgp *")
    wait_until("the session is down", lambda: not routes_to(net.r4, prefix), timeout=20, interval=0.01)
    net.wait_steady()
    with net.forwarded_by_ebpf(1000, net.r4, net.r5):
        seen = datagrams(net.h1, net.h3, HOSTS["h3"][family], count=1000)
    assert seen["lost"] == 0, seen
