# SPDX-License-Identifier: GPL-2.0-or-later
"""The tables' size is changed while traffic flows: nothing is lost, and all routes are in the new tables."""

import os
from pathlib import Path

import pytest

from topology import wait_until
from ways import Ways

BORDER, WAYS = "10.255.0.1", (1, 2, 3)
TARGETS = [f"203.0.113.{n}" for n in range(1, 9)]
RATE = 20000
OVER = dict.fromkeys(TARGETS, WAYS)
STATIC = 3000
SOURCE_SPECIFIC = "2001:db8:aa::/48"
CONFIG = "\n".join(
    [f"ip route 203.0.113.0/24 {BORDER}", "interface lo", " ipv6 address 2001:db8::1/128", "exit",
     f"ipv6 route {SOURCE_SPECIFIC} from 2001:db8:bb::/48 r1-m1", f"ipv6 route {SOURCE_SPECIFIC} r1-m2",
     "ipv6 route 2001:db8:cc::/48 r1-m2"] +
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
