# SPDX-License-Identifier: GPL-2.0-or-later
"""A neighbour goes silent while the link stays up: BFD tells OSPF, zebra tells the tables."""

import pytest

from topology import run, wait_until
from traffic import Witness, datagrams

TARGET = "10.0.2.2"
INTERVAL_MS, MULTIPLIER = 50, 3


def config(number, peers, bfd_peer=None):
    """A router of the triangle; OSPF alone would take 40 s to miss a neighbour."""
    lines = [f"hostname r{number}", "router ospf", f" ospf router-id 10.255.0.{number}",
             " timers throttle spf 10 50 500", " timers throttle lsa all 0", " timers lsa min-arrival 0", "exit",
             "bfd", " profile fast", f"  detect-multiplier {MULTIPLIER}", f"  receive-interval {INTERVAL_MS}",
             f"  transmit-interval {INTERVAL_MS}", " exit", "exit"]
    for peer, cost in peers.items():
        low, high = sorted((number, peer))
        lines += [f"interface r{number}-r{peer}", f" ip address 10.1.{low}{high}.{1 if number == low else 2}/24",
                  " ip ospf area 0", " ip ospf network point-to-point", " ip ospf hello-interval 1",
                  " ip ospf dead-interval 40", f" ip ospf cost {cost}"]
        if peer == bfd_peer:
            lines += [" ip ospf bfd", " ip ospf bfd profile fast"]
        lines += ["exit"]
    if number < 3:
        lines += [f"interface r{number}-h{number}", f" ip address 10.0.{number}.1/24", " ip ospf area 0",
                  " ip ospf passive", "exit"]
    return "\n".join(lines) + "\n"


@pytest.fixture
def triangle(lab):
    """h1 -- r1 -- wire -- r2 -- h2, and a longer way by r3. The wire is a bridge, whose far port can be shut."""
    peers = {1: {2: 10, 3: 100}, 2: {1: 10, 3: 100}, 3: {1: 100, 2: 100}}
    hosts = {number: lab.host(f"h{number}") for number in (1, 2)}
    wire = lab.host("wire")
    for number, its_peers in peers.items():
        lab.router(f"r{number}", daemons=("zebra", "bfdd", "ospfd"),
                   config=config(number, its_peers, {1: 2, 2: 1}.get(number)))
    nodes = lab.nodes
    wire.sh("ip", "link", "add", "name", "bridge", "type", "bridge")
    wire.sh("ip", "link", "set", "dev", "bridge", "up")
    for near, far in ((1, 2), (2, 1)):
        run("ip", "link", "add", f"r{near}-r{far}", "netns", nodes[f"r{near}"].ns, "type", "veth",
            "peer", "name", f"to-r{near}", "netns", wire.ns)
        nodes[f"r{near}"].sh("ip", "link", "set", "dev", f"r{near}-r{far}", "up")
        wire.sh("ip", "link", "set", "dev", f"to-r{near}", "up", "master", "bridge")
    for near, far in ((1, 3), (2, 3)):
        lab.link(nodes[f"r{near}"], nodes[f"r{far}"])
    for number, host in hosts.items():
        lab.link(nodes[f"r{number}"], host)
        host.configure(f"h{number}-r{number}", [f"10.0.{number}.2/24"], [f"10.0.{number}.1"])
    for number in peers:
        nodes[f"r{number}"].start()
    return lab


def way(router):
    """The interface that the target's packets leave by."""
    devices = {hop["dev"] for hop in router.ip_json("route", "show", "exact", "10.0.2.0/24")}
    return devices.pop() if len(devices) == 1 else None


def bfd_is(router, state):
    peers = router.ask_json("show bfd peers json", daemon="bfdd")
    return [peer["status"] for peer in peers] == [state]


def test_silent_neighbour(triangle, record_property):
    """
    From the last datagram on the old way to the first on the new one: what BFD needs to be sure, and some more for OSPF,
    zebra and the tables. Without BFD it would be OSPF's 40 s.
    """
    r1, h1, h2, wire = (triangle.nodes[name] for name in ("r1", "h1", "h2", "wire"))
    wait_until("OSPF has the short way", lambda: way(r1) == "r1-r2", timeout=60)
    wait_until("BFD is up on both sides", lambda: all(bfd_is(triangle.nodes[name], "up") for name in ("r1", "r2")))
    wait_until("h2 answers", lambda: datagrams(h1, h2, TARGET, count=50)["lost"] == 0)
    rate = 5000
    witness = Witness(h1, h2, TARGET, rate=rate)
    wait_until("the witness runs", lambda: r1.link_stats("r1-r2")["tx"]["packets"] > 1000)
    # no carrier is lost at r1
    wire.sh("ip", "link", "set", "dev", "to-r2", "nomaster")
    wait_until("the long way is taken", lambda: way(r1) == "r1-r3", timeout=20)
    wait_until("it is used", lambda: r1.link_stats("r1-r3")["tx"]["packets"] > 1000)
    assert "UP" in r1.ip_json("link", "show", "dev", "r1-r2")[0]["flags"]
    if triangle.module:
        before = sum(r1.transit()[:1])
        assert datagrams(h1, h2, TARGET, count=500)["lost"] == 0
        assert sum(r1.transit()[:1]) - before >= 495
    seen = witness.stop()
    outage_ms = 1000 * seen["lost"] / rate
    record_property("outage_ms", outage_ms)
    print(f"outage {outage_ms:.0f} ms, BFD's own share {INTERVAL_MS * MULTIPLIER} ms")
    assert seen["doubled"] == 0
    assert outage_ms < 5000, seen
