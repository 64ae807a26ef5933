# SPDX-License-Identifier: GPL-2.0-or-later
"""show and clear dplane ebpf consistency: every kind of difference is planted, told, and repaired where it is ours."""

import json
import os
import random
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import maps
import topology
from topology import wait_until

CONFIG = """
interface r-a
 ip address 10.9.1.1/24
 ipv6 address 2001:db8:91::1/64
exit
interface r-b
 ip address 10.9.2.1/24
 ipv6 address 2001:db8:92::1/64
exit
interface lo
 ip address 10.255.9.1/32
 ipv6 address 2001:db8:ff::9/128
exit
ip route 192.0.2.0/24 10.9.1.2
ip route 192.0.2.128/25 10.9.2.2
ip route 198.51.100.0/24 10.9.1.2
ip route 198.51.100.0/24 10.9.2.2
ip route 203.0.113.0/24 blackhole
ip route 203.0.114.0/24 reject
ip route 100.64.0.0/10 10.9.2.2
ipv6 route 2001:db8:77::/48 2001:db8:91::2
ipv6 route 2001:db8:78::/64 2001:db8:92::2
ipv6 route 2001:db8:79::/48 2001:db8:91::2
ipv6 route 2001:db8:79::/48 2001:db8:92::2
ipv6 route 2001:db8:7a::/48 blackhole
ipv6 route 2001:db8:7b::/48 2001:db8:92::2
"""
# the protocol number of zebra's own static routes: it takes no notice of such changes
ZEBRA_STATIC = "196"
LAST4, LAST6 = "100.64.0.0/10", "2001:db8:7b::/48"


@pytest.fixture(scope="module")
def router(module):
    """A router with static routes of all sorts, between two hosts."""
    if not module:
        pytest.skip("DPLANE_EBPF_MODULE=none: nothing to look at")
    with topology.Lab("consistency", module) as lab:
        made = lab.router("r", config=CONFIG)
        for host, n in (("a", 1), ("b", 2)):
            lab.link(made, lab.host(host))
            lab.nodes[host].configure(f"{host}-r", [f"10.9.{n}.2/24", f"2001:db8:9{n}::2/64"], [])
        made.start()
        yield made


@pytest.fixture
def r(router):
    """The router, in order; a test leaves it so."""
    wait_until("all routes are in", lambda: ours(router, LAST4) and ours(router, LAST6))
    wait_until("nothing differs", lambda: compare(router)["differences"] == 0, interval=0.5)
    return router


def ours(router, prefix):
    return router.ask_json(f"show dplane ebpf route {prefix} json").get("found")


def show(router):
    return router.ask_json("show dplane ebpf consistency json")


def ended(router, before):
    """The result of a run that began after `before` runs had ended."""
    def done():
        status = show(router)
        return status["result"] if status["state"] == "done" and status["runs"] > before else None
    return wait_until("the tables are compared", done, timeout=60, interval=0.02)


def compare(router):
    """The result of a run that began after this was called."""
    status = wait_until("nothing runs", lambda: status if (status := show(router)) else None)
    if status["state"] != "done":
        ended(router, status["runs"])
    # an old result is not believed: the next question after its time starts another run
    before = show(router)["runs"]
    result = wait_until("another run", lambda: (status := show(router))["runs"] > before and status,
                        timeout=60, interval=0.02)
    result = result["result"]
    assert "error" not in result, result
    return result


def told(result, prefix):
    """The kinds that are told of a prefix."""
    return [kind for found in result["prefixes"] if found["prefix"] == prefix for kind in found["kinds"]]


def repair(router):
    """clear, until what it starts has ended."""
    before = show(router)["repairs"]
    router.ask("clear dplane ebpf consistency")
    wait_until("something is repaired", lambda: show(router)["repairs"] > before)
    wait_until("it is compared again", lambda: show(router)["state"] == "done", interval=0.02)
    return show(router)["result"]


def nexthop_id(router, prefix):
    family = "-6" if ":" in prefix else "-4"
    return next(route["nhid"] for route in router.ip_json(family, "route", "show", prefix))


def test_clean(r):
    result = compare(r)
    assert result["differences"] == 0 and result["prefixes"] == []
    for family, least in (("ipv4", 9), ("ipv6", 7)):
        counts = result["compared"][family]
        assert counts["zebra"] == counts["ours"] >= least, result
        # the kernel has the loopback's own IPv4 address in another table
        assert counts["kernel"] >= counts["zebra"] - 1, result
    text = r.ask("show dplane ebpf consistency")
    assert "0 differences" in text, text


def test_fast_on_a_small_router(r):
    begun = time.monotonic()
    result = compare(r)
    assert result["tookSeconds"] < 0.5 and time.monotonic() - begun < 10, result


def test_kernel_lost_a_route(r):
    """The kernel drops routes with their next hop; zebra puts the next hop back, and not the route."""
    prefix = "192.0.2.0/24"
    try:
        r.sh("ip", "nexthop", "del", "id", nexthop_id(r, prefix))
        result = compare(r)
        assert told(result, prefix) == ["kernelMissing"], result
        assert result["byKind"]["missing"] + result["byKind"]["leftOver"] == 0, result
        text = r.ask("show dplane ebpf consistency")
        assert prefix in text and "the kernel lacks it" in text, text
        wait_until("it is in the log", lambda: "consistency: the kernel lacks it" in r.log())
    finally:
        bounce(r)


def bounce(router):
    """Has zebra install all static routes again."""
    lines = [line for line in CONFIG.splitlines() if " route " in line]
    for command in ("no ", ""):
        router.vtysh("configure", *(command + line for line in lines))


def test_kernel_has_other_next_hops(r):
    try:
        r.sh("ip", "route", "replace", "192.0.2.128/25", "via", "10.9.1.2", "metric", "20", "proto", ZEBRA_STATIC)
        result = compare(r)
        assert told(result, "192.0.2.128/25") == ["kernelOtherNexthops"], result
    finally:
        bounce(r)


def test_kernel_has_fewer_next_hops(r):
    try:
        r.sh("ip", "route", "replace", "198.51.100.0/24", "via", "10.9.1.2", "metric", "20", "proto", ZEBRA_STATIC)
        result = compare(r)
        assert told(result, "198.51.100.0/24") == ["kernelFewerNexthops"], result
    finally:
        bounce(r)


def test_kernel_route_that_zebra_does_not_know(r):
    """zebra takes routes of its own protocols for its own; ours would forward these packets elsewhere."""
    other, same = "100.64.7.0/24", "100.64.8.0/24"
    try:
        r.sh("ip", "route", "add", other, "via", "10.9.1.2", "proto", ZEBRA_STATIC)
        r.sh("ip", "route", "add", same, "via", "10.9.2.2", "proto", ZEBRA_STATIC)
        result = compare(r)
        assert told(result, other) == ["kernelOnly"] and told(result, same) == [], result
        assert result["differences"] == 1, result
    finally:
        r.sh("ip", "route", "del", other, check=False)
        r.sh("ip", "route", "del", same, check=False)


def test_route_of_another_program(r):
    """A route that zebra imports is none."""
    prefix = "100.64.9.0/24"
    r.sh("ip", "route", "add", prefix, "via", "10.9.1.2")
    try:
        wait_until("zebra has it", lambda: ours(r, prefix))
        assert compare(r)["differences"] == 0
    finally:
        r.sh("ip", "route", "del", prefix)


def corrupt_word(r, prefix):
    """The word that the program finds for an address leads to the kernel."""
    address = prefix.split("/")[0]
    name = "fib6_root" if ":" in prefix else "fib4_root"
    maps.write(r, name, "=I", maps.root_offset(address), 1)


def corrupt_node(r, prefix):
    """A word leads out of the pool."""
    maps.write(r, "fib4_root", "=I", maps.root_offset(prefix.split("/")[0]), maps.NODE | 0x3fffffff)


def corrupt_descriptor(r, prefix):
    maps.write(r, "fib_group", "=Q", 8 * maps.group_of(r, prefix)["group"], 0)


def corrupt_slot(r, prefix):
    group = maps.group_of(r, prefix)
    with maps.array(r, "fib_group") as memory:
        offset = int.from_bytes(memory[8 * group["group"]:8 * group["group"] + 4], "little")
    numbers = {hop["nexthop"] for hop in r.ask_json("show dplane ebpf nexthop json")}
    wrong = min(numbers - {member["nexthop"] for member in group["members"]})
    maps.write(r, "fib_slot", "=H", 2 * offset, wrong)


def corrupt_nexthop(r, prefix):
    """Out of another interface."""
    member = maps.group_of(r, prefix)["members"][0]
    maps.write(r, "fib_nexthop", "=I", 64 * member["nexthop"] + 16, member["interfaceIndex"] + 100)


@pytest.mark.parametrize("corrupt, prefix", (
    (corrupt_word, "192.0.2.0/24"), (corrupt_word, "100.64.0.0/10"), (corrupt_word, "2001:db8:79::/48"),
    (corrupt_node, "192.0.2.0/24"), (corrupt_descriptor, "198.51.100.0/24"), (corrupt_slot, "198.51.100.0/24"),
    (corrupt_slot, "2001:db8:79::/48"), (corrupt_nexthop, "192.0.2.0/24")))
def test_memory_written_by_somebody_else(r, corrupt, prefix):
    """Told as damaged, and clear writes it again."""
    corrupt(r, prefix)
    result = compare(r)
    assert "damaged" in told(result, prefix), result
    assert set(kind for kind, n in result["byKind"].items() if n) == {"damaged"}, result
    result = repair(r)
    assert result["differences"] == 0, result
    assert "repaired" in r.log()
    wait_until("its next hops are resolved again", lambda: all(
        member["state"] != "kernel" for member in maps.group_of(r, prefix)["members"]))


def test_clear_without_differences(r):
    """Nothing is repaired where nothing differs."""
    before = show(r)["repairs"]
    r.ask("clear dplane ebpf consistency")
    assert ended(r, show(r)["runs"] - 1)["differences"] == 0
    assert show(r)["repairs"] == before


def configure(router, lines):
    """Has staticd take lines, many at a time."""
    for first in range(0, len(lines), 500):
        router.vtysh("configure", *lines[first:first + 500], check=False)


def test_no_false_alarms(r):
    """Routes come, go and change while tables are compared: nothing differs, during the storm and afterwards."""
    random.seed(4)
    prefixes = [f"172.{16 + n // 256}.{n % 256}.0/24" for n in range(1000)]
    prefixes += [f"2001:db8:{0x1000 + n:x}::/48" for n in range(1000)]
    lines = []
    for _ in range(20000):
        prefix = random.choice(prefixes)
        kind, gates = (("ipv6", ("2001:db8:91::2", "2001:db8:92::2", "blackhole")) if ":" in prefix else
                       ("ip", ("10.9.1.2", "10.9.2.2", "blackhole")))
        lines.append(f"{random.choice(('', '', 'no '))}{kind} route {prefix} {random.choice(gates)}")
    results = []
    with ThreadPoolExecutor(1) as pool:
        changing = pool.submit(configure, r, lines)
        while not changing.done():
            results.append(compare(r))
        changing.result()
    assert [result for result in results if result["differences"]] == []
    assert len(results) >= 3, results
    result = compare(r)
    assert result["differences"] == 0 and result["compared"]["ipv4"]["ours"] > 100, result
    configure(r, list({"no " + line.removeprefix("no ") for line in lines}))
    wait_until("all of them are gone", lambda: compare(r)["compared"]["ipv4"]["ours"] < 20)


def test_in_vtysh(r):
    """Stock vtysh with the extension has both commands."""
    extension = Path(os.environ["DPLANE_EBPF_VTYSH"]).resolve()
    compare(r)
    text = r.vtysh("show dplane ebpf consistency", preload=extension)
    assert "0 differences" in text, text
    shown = json.loads(r.vtysh("show dplane ebpf consistency json", preload=extension))
    assert shown["result"]["differences"] == 0, shown
    assert "Nothing differs" in r.vtysh("clear dplane ebpf consistency", preload=extension)
    summary = json.loads(r.vtysh("show dplane ebpf summary json", preload=extension))
    assert summary["consistency"]["runs"] > 0 and summary["consistency"]["differences"] == 0, summary


def test_whole_network(net, need_module):
    """OSPF, BGP with recursive routes and IPv6 next hops of IPv4 routes, two paths: nothing differs on any router."""
    for router in net.routers:
        result = compare(router)
        assert result["differences"] == 0, (router.name, result)
        assert result["compared"]["ipv4"]["ours"] >= 3, (router.name, result)


def test_whole_network_while_a_link_flaps(net, need_module):
    """Nor while a link goes down and comes back, but for what the kernel does to next-hop groups behind zebra's back."""
    results = []
    for state in ("down", "up") * 4:
        net.r1.sh("ip", "link", "set", "dev", "r1-r2", state)
        results += [(router.name, compare(router)) for router in (net.r1, net.r4)]
    net.wait_steady()
    for name, result in results:
        ours = {kind: n for kind, n in result["byKind"].items() if n and not kind.startswith("kernel")}
        assert not ours, (name, result)


def test_main_thread_is_not_held_up(r):
    assert show(r)["longestMainThreadMicroseconds"] < 50_000
