# SPDX-License-Identifier: GPL-2.0-or-later
"""Link metrics: what an override does to traffic, how soon, and that nothing is lost on the way."""

import os
import time
from math import sqrt
from pathlib import Path

import pytest

import netconf
from doors import VTYSH, Session
from topology import wait_until
from ways import Ways

TARGET = "198.51.100.1"
BORDER = "10.9.0.1"


@pytest.fixture
def net(need_module, lab):
    """Three equal ways."""
    made = Ways(lab, {BORDER: [1, 2, 3]}, [TARGET], config=f"ip route 198.51.100.0/24 {BORDER}\n")
    made.router.start()
    made.wait_steady({TARGET: [1, 2, 3]})
    return made


def group(net):
    return net.router.ask_json(f"show dplane ebpf route {TARGET} json")["group"]


def slots(net):
    return {int(member["interfaceName"].removeprefix("r1-m")): member["slots"] for member in group(net)["members"]}


def packets(net):
    return {int(member["interfaceName"].removeprefix("r1-m")): member["packets"] for member in group(net)["members"]}


FLOWS = 1000

CASES = {
    "lower": (["link-metric r1-m1 metric 5"], (1, 0, 0)),
    "higher": (["link-metric r1-m1 metric 50"], (0, 1, 1)),
    "equal": (["link-metric r1-m1 metric 7", "link-metric r1-m3 metric 7"], (1, 0, 1)),
    "weight": (["link-metric r1-m2 weight 3"], (1, 3, 1)),
    "fine": (["link-metric r1-m1 weight 100", "link-metric r1-m2 weight 7", "link-metric r1-m3 weight 1"], (100, 7, 1)),
    "next-hop": (["link-metric r1-m1 10.1.1.2 weight 6", "link-metric r1-m1 weight 2"], (6, 1, 1)),
    "drain": (["link-metric r1-m3 drain"], (1, 1, 0)),
    "all drained": (["link-metric r1-m1 drain", "link-metric r1-m2 drain", "link-metric r1-m3 drain"], (1, 1, 1)),
    "drained though lowest": (["link-metric r1-m3 metric 1", "link-metric r1-m3 drain"], (1, 1, 0)),
}


def nearest(whole, shares):
    """So many of the whole for each as come nearest to its share: the largest remainders are rounded up."""
    exact = [whole * share / sum(shares) for share in shares]
    up = sorted(range(len(shares)), key=lambda i: exact[i] % 1, reverse=True)[:round(whole - sum(int(e) for e in exact))]
    return [int(e) + (i in up) for i, e in enumerate(exact)]


def furthest(counts, whole, shares):
    return max(abs(count - whole * share / sum(shares)) for count, share in zip(counts, shares))


@pytest.mark.parametrize("lines,shares", CASES.values(), ids=CASES)
def test_split(net, lines, shares):
    """Each member has its share as near as whole slots allow; removing what was said brings each flow back to its way."""
    zebra = Session(net.router)
    witness = net.witness(rate=20000, flows=256)
    before = slots(net)
    for line in lines:
        assert zebra(f"dplane ebpf {line}")
    now = slots(net)
    whole = sum(now.values())
    assert furthest(now.values(), whole, shares) <= furthest(nearest(whole, shares), whole, shares) + 1e-9, now
    time_for_some_packets(net)
    on_way = witness.stop()
    assert on_way["lost"] == on_way["doubled"] == 0

    # what goes where, as the target sees it
    seen = net.witness(rate=20000, flows=FLOWS)
    time_for_some_packets(net)
    seen = seen.stop()
    assert all(len(came) == 1 for came in seen["ways"]), "a flow has one way"
    came = [net.way_of[ifindex] for (ifindex,) in seen["ways"]]
    assert len(came) == FLOWS
    for way, count in now.items():
        part = count / whole
        # a flow's slot is a matter of chance: five standard deviations
        assert abs(came.count(way) - FLOWS * part) <= 5 * sqrt(FLOWS * part * (1 - part)), (way, came.count(way), now)

    for line in lines:
        assert zebra(f"no dplane ebpf {line}")
    assert slots(net) == before and not group(net)["steered"]


def time_for_some_packets(net):
    start = sum(packets(net).values())
    wait_until("5000 packets", lambda: sum(packets(net).values()) - start > 5000)


def test_only_what_must_moves(net):
    """A weight is changed and changed back: each flow that moved comes back, the others never left."""
    zebra = Session(net.router)
    witness = net.witness(rate=20000, flows=512)
    assert zebra("dplane ebpf link-metric r1-m1 weight 2")
    time_for_some_packets(net)
    assert zebra("no dplane ebpf link-metric r1-m1")
    time_for_some_packets(net)
    seen = witness.stop()
    assert seen["lost"] == seen["doubled"] == 0
    moved = [came for came in seen["ways"] if len(came) > 1]
    # 22:21:21 becomes 32:16:16, so that 10 of 64 slots move
    assert 0 < len(moved) < 512 * 10 / 64 * 2, len(moved)
    assert all(len(came) == 2 and 1 in {net.way_of[ifindex] for ifindex in came} for came in moved), \
        "flows moved to the first way only, and back from there"
    reordered = [count for came, count in zip(seen["ways"], seen["flowReordered"]) if len(came) == 1]
    assert sum(reordered) == 0, "datagrams of flows that did not move came in another order"


def drain_by_vty(net):
    zebra = Session(net.router)
    yield
    yield zebra("dplane ebpf link-metric r1-m2 drain")


def drain_by_netconf(net):
    with netconf.Server(net.router) as server, netconf.Raw(server, netconf.OPERATOR) as session:
        session.greet()
        assert session.edit(netconf.link("r1-m2", "<drain/>"))
        yield
        yield b"<ok/>" in session.ask("<commit/>")


@pytest.mark.parametrize("drain", (drain_by_vty, drain_by_netconf), ids=("vty", "netconf"))
def test_in_force_at_once(net, users, drain):
    """No packet goes by a drained link when the command or the commit has returned, and that is soon."""
    door = drain(net)
    next(door)
    witness = net.witness(rate=20000, flows=64)
    time_for_some_packets(net)
    begin = time.monotonic()
    assert next(door)
    took = time.monotonic() - begin
    at_return = packets(net)[2]
    time_for_some_packets(net)
    assert packets(net)[2] - at_return <= 1, "one may have been under way"
    print(f"in force after {took * 1000:.1f} ms")
    assert took < 0.1, f"{took * 1000:.0f} ms"
    assert witness.stop()["lost"] == 0
    door.close()


def test_it_expires(net):
    zebra = Session(net.router)
    assert zebra("dplane ebpf link-metric r1-m1 drain")
    assert zebra("dplane ebpf link-metric r1-m1 lifetime 2")
    assert slots(net)[1] == 0
    wait_until("its time is over", lambda: slots(net)[1] > 0, timeout=10)
    assert "expired" in net.router.ask("show dplane ebpf events")
    assert "drain" in net.router.ask("show running-config"), "it stays in the configuration"


def test_zebra_wins(net):
    """A member that zebra takes away is gone, whatever its metric; a failure is none the slower."""
    zebra = Session(net.router)
    assert zebra("dplane ebpf link-metric r1-m1 metric 1")
    assert slots(net) == {1: 64, 2: 0, 3: 0}
    witness = net.witness(rate=20000, flows=64)
    time_for_some_packets(net)
    net.down(1)
    wait_until("the others have it", lambda: slots(net).get(1, 0) == 0)
    time_for_some_packets(net)
    seen = witness.stop()
    # generous: bench/failover measures it
    assert seen["lost"] < 0.05 * seen["sent"]
    net.up(1)
    wait_until("it is back", lambda: slots(net).get(1, 0) == 64, timeout=30)


def test_an_interface_that_comes_later(net):
    zebra = Session(net.router)
    assert zebra("dplane ebpf link-metric new2 metric 1")
    assert not group(net)["steered"]
    net.down(2)
    net.router.sh("ip", "link", "set", "dev", "r1-m2", "name", "new2")
    net.router.sh("ip", "link", "set", "dev", "new2", "up")
    # FRR 8.4.4 may lose the connected network of an interface that is renamed while it is down: it is told anew
    for address in net.router.ip_json("-4", "address", "show", "dev", "new2")[0]["addr_info"]:
        text = f"{address['local']}/{address['prefixlen']}"
        net.router.sh("ip", "address", "del", text, "dev", "new2")
        net.router.sh("ip", "address", "add", text, "dev", "new2")
    wait_until("the link of that name gets the traffic", lambda: any(
        member["interfaceName"] == "new2" and member["slots"] == 64 for member in group(net)["members"]), timeout=30)


def test_it_outlives_a_crash_of_zebra(net):
    """What is drained stays so: the tables that are left forward as they were, and the next ones have it from frr.conf."""
    drained = "dplane ebpf link-metric r1-m2 drain"
    assert Session(net.router)(drained)
    net.router.config += drained + "\n"
    witness = net.witness(rate=20000, flows=64)
    time_for_some_packets(net)
    before, by_kernel = net.router.link_stats("r1-m2")["tx"]["packets"], net.router.kernel_forwarded()
    os.environ["LD_PRELOAD"] = str(Path(VTYSH).resolve())
    try:
        net.router.restart("-K", "15")
    finally:
        del os.environ["LD_PRELOAD"]
    wait_until("the new tables forward", lambda: "took over" in net.router.log())
    wait_until("over both of the other ways", lambda: slots(net) == {1: 32, 2: 0, 3: 32})
    time_for_some_packets(net)
    witness.stop()
    # the kernel knows nothing of metrics, and has to stand in while routes are configured again; a few ask for neighbours
    by_kernel = net.router.kernel_forwarded() - by_kernel
    assert net.router.link_stats("r1-m2")["tx"]["packets"] - before <= by_kernel + 10
    assert by_kernel < 1000
