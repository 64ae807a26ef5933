# SPDX-License-Identifier: GPL-2.0-or-later
"""Backup next hops: IS-IS' loop-free alternates carry traffic from the failure until SPF has run."""

import pytest

from topology import wait_until
from traffic import Witness, datagrams

TARGET = "10.0.3.2"


def config(number, peers, host):
    """A router of the triangle. SPF waits long, so that there is something to see."""
    lines = [f"hostname r{number}", "router isis 1", " is-type level-1", f" net 49.0001.0000.0000.000{number}.00",
             " spf-delay-ietf init-delay 4000 short-delay 4000 long-delay 4000 holddown 8000 time-to-learn 4000",
             " lsp-gen-interval 1", "exit"]
    for peer in peers:
        low, high = sorted((number, peer))
        lines += [f"interface r{number}-r{peer}", f" ip address 10.1.{low}{high}.{1 if number == low else 2}/24",
                  " ip router isis 1", " isis network point-to-point", " isis circuit-type level-1",
                  " isis hello-interval 1", " isis fast-reroute lfa level-1", "exit"]
    if host:
        lines += [f"interface r{number}-{host}", f" ip address 10.0.{number}.1/24", " ip router isis 1",
                  " isis passive", "exit"]
    return "\n".join(lines) + "\n"


@pytest.fixture
def triangle(lab):
    """h1 -- r1 -- r3 -- h3, and r2 beside the link in the middle."""
    peers = {1: (2, 3), 2: (1, 3), 3: (1, 2)}
    hosts = {1: lab.host("h1"), 3: lab.host("h3")}
    for number, its_peers in peers.items():
        host = hosts.get(number)
        lab.router(f"r{number}", daemons=("zebra", "isisd"), config=config(number, its_peers, host and host.name))
    for low, high in ((1, 2), (1, 3), (2, 3)):
        lab.link(lab.nodes[f"r{low}"], lab.nodes[f"r{high}"])
    for number, host in hosts.items():
        lab.link(lab.nodes[f"r{number}"], host)
        host.configure(f"{host.name}-r{number}", [f"10.0.{number}.2/24"], [f"10.0.{number}.1"])
    for number in peers:
        lab.nodes[f"r{number}"].start()
    return lab


def members(router):
    """What the tables have for the target: members by interface."""
    group = router.ask_json(f"show dplane ebpf route {TARGET} json").get("group", {})
    return {member["interfaceName"]: member for member in group.get("members", [])}


def is_protected(router):
    found = members(router)
    return set(found) == {"r1-r3", "r1-r2"} and found["r1-r2"]["backup"] and \
        found["r1-r3"].get("backups") == [found["r1-r2"]["nexthop"]]


def test_alternate_until_spf(need_module, triangle):
    """
    The link of the only next hop goes down. The alternate forwards at once, while isisd has not run SPF and the kernel has no
    route any more; then SPF's own answer does.
    """
    r1, h1, h3 = (triangle.nodes[name] for name in ("r1", "h1", "h3"))
    wait_until("r1 has an alternate for h3's network", lambda: is_protected(r1), timeout=60)
    wait_until("h3 answers", lambda: datagrams(h1, h3, TARGET, count=50)["lost"] == 0)
    before = members(r1)
    assert before["r1-r2"]["slots"] == 0 and before["r1-r2"]["packets"] == 0, "a backup is not for balancing"

    witness = Witness(h1, h3, TARGET, rate=5000)
    r1.sh("ip", "link", "set", "dev", "r1-r3", "down")
    # seen while only the alternate can have done it
    wait_until("1000 datagrams on the alternate", lambda: members(r1)["r1-r2"]["packets"] >= 1000, timeout=3)
    now = members(r1)
    assert now["r1-r2"]["backup"], "SPF has run already: nothing was seen"
    assert now["r1-r3"]["state"] == "down" and now["r1-r3"]["slots"] == 0
    assert not r1.ip_json("route", "show", "exact", "10.0.3.0/24"), "the kernel has a way of its own"

    wait_until("SPF's answer is in the tables", lambda: set(members(r1)) == {"r1-r2"}, timeout=20)
    seen = witness.stop()
    assert seen["doubled"] == 0
    # generous: what a busy machine needs to tell of the link; bench/failover measures it
    assert seen["lost"] < 0.1 * seen["sent"], seen

    r1.sh("ip", "link", "set", "dev", "r1-r3", "up")
    wait_until("the alternate is one again", lambda: is_protected(r1), timeout=60)
