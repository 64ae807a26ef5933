# SPDX-License-Identifier: GPL-2.0-or-later
"""The tables' size is changed while traffic flows: nothing is lost, and all routes are in the new tables."""

import os
import resource
import signal
import time
from pathlib import Path

import pytest

from topology import wait_until
from ways import Ways

BORDER, WAYS = "10.255.0.1", (1, 2, 3)
TARGETS = [f"203.0.113.{n}" for n in range(1, 9)]
RATE = 20000
KERNEL = "kernel: not supported by the program"
OVER = dict.fromkeys(TARGETS, WAYS)
STATIC = 3000
CONFIG = "\n".join(
    [f"ip route 203.0.113.0/24 {BORDER}", "ipv6 route 2001:db8:cc::/48 r1-m2"] +
    [f"ip route 100.{64 + n // 256}.{n % 256}.0/24 10.1.{1 + n % 3}.2" for n in range(STATIC)]) + "\n"


def build(lab, config=CONFIG):
    if not lab.module:
        pytest.skip("DPLANE_EBPF_MODULE=none: there are no tables")
    return Ways(lab, {BORDER: WAYS}, TARGETS, config=config)


@pytest.fixture
def ways(lab):
    built = build(lab)
    built.router.start()
    built.wait_steady(OVER)
    wait_until("all static routes are in", lambda: routes(built.router) >= STATIC)
    return built


def summary(router):
    return router.ask_json("show dplane ebpf summary json")


def routes(router):
    return summary(router)["ipv4Routes"]


def node_pool(router):
    """Its size tells that of the tables."""
    return summary(router)["nodePool"]["size"]


def configure(router, *commands):
    """In one go, as commands of the module are known to vtysh only with its extension."""
    router.vtysh("configure terminal", *commands, preload=Path(os.environ["DPLANE_EBPF_VTYSH"]).resolve())


def changes(router, size):
    """How often the tables' size has become this."""
    return router.log().count(f"tables of size {size} forward")


def resize(router, size, during=lambda: None):
    before = changes(router, size)
    configure(router, f"dplane ebpf table-size {size}")
    during()
    wait_until(f"tables of size {size} forward", lambda: changes(router, size) > before)


def consistency(router):
    return router.ask_json("show dplane ebpf consistency json")


def same(router):
    """Whether a comparison that began after this was called finds no difference."""
    wait_until("nothing is compared", lambda: consistency(router)["state"] == "done")
    before = consistency(router)["runs"]
    # an old result is not believed: the question starts another run
    wait_until("another comparison", lambda: consistency(router)["runs"] > before, timeout=60)
    result = consistency(router)["result"]
    return "error" not in result and result["differences"] == 0


def test_no_packet_is_lost(ways):
    router = ways.router
    small = node_pool(router)
    before = router.transit()[0]
    witness = ways.witness(RATE)
    resize(router, "full")
    full = node_pool(router)
    resize(router, "small")
    resize(router, "full")
    seen = witness.stop()
    assert full > small and node_pool(router) == full
    assert seen["lost"] == seen["receiverDropped"] and seen["doubled"] == 0 and seen["otherTtl"] == 0, seen
    # also what the former tables' programs did counts
    assert router.transit()[0] - before > 0.99 * seen["received"], "the program did not forward"
    assert routes(router) >= STATIC
    wait_until("zebra, the kernel and the tables agree", lambda: same(router))


def test_routes_change_meanwhile(ways):
    """What zebra adds, removes and moves while new tables are filled is in them, whatever comes first."""
    router = ways.router
    rounds = 0

    def fresh(n, way):
        return f"198.{18 + n // 250}.{n % 250}.0/24 via 10.1.{way}.2"

    def churn(size, before):
        """Each round has prefixes of its own, so that a later one does not make up for what was missed."""
        nonlocal rounds
        while changes(router, size) == before:
            rounds += 1
            # the kernel's, of which zebra is told, as that is quicker than by vtysh
            lines = [f"route add {fresh(n, 1)}" for n in range(4 * rounds, 4 * rounds + 4)]
            if rounds > 1:
                lines += [f"route del {fresh(4 * rounds - 4, 1)}", f"route replace {fresh(4 * rounds - 3, 2)}"]
            router.sh("ip", "-batch", "-", input="\n".join(lines) + "\n")

    for size in ("full", "small"):
        before = changes(router, size)
        configure(router, *(f"{no}ip route 100.{64 + n // 256}.{n % 256}.0/24 10.1.{way}.2"
                            for n in range(0, STATIC, 29) for no, way in (("no ", 1 + n % 3), ("", 1 + n % 2))),
                  f"dplane ebpf table-size {size}")
        churn(size, before)
    assert rounds >= 8
    wait_until("zebra, the kernel and the tables agree", lambda: same(router))
    ways.wait_steady(OVER)


def test_last_one_counts(ways):
    """Several changes in a row, and one that is taken back."""
    router = ways.router
    small = node_pool(router)
    for size in ("full", "small", "full", "small", "full"):
        configure(router, f"dplane ebpf table-size {size}")
    wait_until("the tables are full-size", lambda: node_pool(router) > small)
    # none is under way that would undo it
    wait_until("no change is under way", lambda: changes(router, "full") == 1 + changes(router, "small"))
    configure(router, "no dplane ebpf table-size")
    # as the module's option says
    wait_until("the tables are small", lambda: node_pool(router) == small)
    assert not [line for line in router.log().splitlines() if "signal" in line]
    wait_until("zebra, the kernel and the tables agree", lambda: same(router))


def test_source_specific_routes(lab):
    """A destination with such a route is the kernel's in the new tables, too, and stays so when its ordinary route changes."""
    dest = "2001:db8:aa::/48"
    # the kernel takes no next-hop object for such a route
    built = build(lab, f"no zebra nexthop kernel enable\nip route 203.0.113.0/24 {BORDER}\nipv6 route {dest} r1-m2\n"
                       f"ipv6 route {dest} from 2001:db8:bb::/48 r1-m1\n")
    router = built.router
    router.start()

    def verdict():
        return router.ask_json(f"show dplane ebpf route {dest} json").get("verdict")

    wait_until("the destination is the kernel's", lambda: verdict() == KERNEL)
    resize(router, "full")
    assert verdict() == KERNEL
    configure(router, f"no ipv6 route {dest} r1-m2", f"ipv6 route {dest} r1-m3")
    wait_until("nothing differs", lambda: same(router))
    assert verdict() == KERNEL
    configure(router, f"no ipv6 route {dest} from 2001:db8:bb::/48 r1-m1", f"no ipv6 route {dest} r1-m3",
              f"ipv6 route {dest} r1-m2")
    wait_until("the destination is forwarded", lambda: verdict() == "forward")


def test_no_memory(ways):
    """Without memory for new tables the old ones stay, and the log says so once for each change."""
    router = ways.router
    status = Path(f"/proc/{router.pid('zebra')}/status").read_text()
    used = next(int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith("VmSize:"))
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    # less than tables of full size take; daemons inherit it
    resource.setrlimit(resource.RLIMIT_AS, (used + (24 << 20), hard))
    try:
        router.restart()
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
    ways.wait_steady(OVER)
    small = node_pool(router)
    witness = ways.witness(RATE)
    for times in (1, 2):
        configure(router, "dplane ebpf table-size full")
        wait_until("zebra says so", lambda: router.log().count("the tables stay of size small") == times)
        configure(router, f"ip route 198.18.{times}.0/24 10.1.1.2", "dplane ebpf table-size small")
    seen = witness.stop()
    assert seen["lost"] == seen["receiverDropped"], seen
    assert node_pool(router) == small and changes(router, "full") == 0
    wait_until("zebra, the kernel and the tables agree", lambda: same(router))


@pytest.mark.parametrize("delay", (0, 0.05, 0.1, 0.15, 0.2, 0.3))
def test_zebra_ends_meanwhile(ways, delay):
    """Wherever in its course: a clean end, and nothing of ours is left."""
    router = ways.router
    configure(router, "dplane ebpf table-size full")
    time.sleep(delay)
    router.stop_daemon("zebra")
    assert not [line for line in router.log().splitlines() if "signal 11" in line or "signal 6" in line]
    assert not router.pin.exists()
    for device in ("r1-src", "r1-m1"):
        assert "dplane_ebpf" not in router.sh("bpftool", "net", "show", "dev", device).stdout


def test_killed_and_configured_anew(lab):
    """
    The configuration comes after zebra's start, which begins with the option's size: what a killed zebra left forwards until
    it is replaced, once, and then the size is changed.
    """
    over = dict.fromkeys(TARGETS, (1,))
    # not by way of another route, which zebra takes out meanwhile
    ways = build(lab, CONFIG.replace(f"203.0.113.0/24 {BORDER}", "203.0.113.0/24 10.1.1.2"))
    router = ways.router
    router.start()
    ways.wait_steady(over)
    resize(router, "full")
    full = node_pool(router)
    router.config += "dplane ebpf table-size full\n"
    witness = ways.witness(RATE)
    os.environ["LD_PRELOAD"] = str(Path(os.environ["DPLANE_EBPF_VTYSH"]).resolve())
    try:
        router.restart("-K", "15", signum=signal.SIGKILL)
    finally:
        del os.environ["LD_PRELOAD"]
    wait_until("the tables are full-size again", lambda: node_pool(router) == full and changes(router, "full") == 2)
    seen = witness.stop()
    # FRR 10.7 without the module loses up to some hundreds here; 8.4 none
    assert seen["lost"] - seen["receiverDropped"] < 0.1 * RATE and seen["doubled"] == 0, seen
    wait_until("all static routes are in", lambda: routes(router) >= STATIC)
    wait_until("zebra, the kernel and the tables agree", lambda: same(router))
