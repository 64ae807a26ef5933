# SPDX-License-Identifier: GPL-2.0-or-later
"""A link fails where others lead to the same place: the survivors take over, and nobody else is disturbed.

bench/failover measures for how long something is lost; here only that it is little.
"""

import random
import time

import pytest

from topology import wait_until
from ways import Ways

BORDER, WAYS = "10.255.0.1", (1, 2, 3)
TARGETS = [f"203.0.113.{n}" for n in range(1, 9)]
RATE = 20000
OVER = dict.fromkeys(TARGETS, WAYS)


@pytest.fixture
def ways(lab):
    """One prefix behind a border router that is reached over three ways."""
    built = Ways(lab, {BORDER: WAYS}, TARGETS, config=f"ip route 203.0.113.0/24 {BORDER}\n")
    built.router.start()
    built.wait_steady(OVER)
    return built


def fail(ways, way, break_it, mend):
    """One failure; what the witness saw."""
    left = [other for other in WAYS if other != way]
    groups = ways.kernel_groups()
    before = ways.router.transit()[0] if ways.lab.module else 0
    witness = ways.witness(RATE)
    wait_until("traffic flows", lambda: ways.router.link_stats("r1-src")["rx"]["packets"] > 0 and witness.running())
    time.sleep(random.uniform(0.2, 0.5))
    break_it()
    try:
        ways.wait_steady(dict.fromkeys(TARGETS, left))
        ways.wait_forgotten(groups)
        seen = witness.stop()
        if ways.lab.module:
            assert ways.router.transit()[0] - before > 0.9 * seen["received"], "the program did not forward"
    finally:
        mend()
    ways.wait_steady(OVER)
    assert any(way in {ways.way_of[ifindex] for ifindex in came} for came in seen["ways"]), "the way was not used"
    return seen


@pytest.mark.parametrize("way", WAYS)
def test_survivors_take_over(ways, way):
    """Whichever member of the group it is: flows of the others stay where they are, also when zebra's new group comes."""
    seen = fail(ways, way, lambda: ways.down(way), lambda: ways.up(way))
    assert seen["doubled"] == 0 and seen["otherTtl"] == 0
    # generous, for busy machines: a tenth of a second
    assert seen["lost"] - seen["receiverDropped"] < 0.1 * RATE, seen
    if ways.lab.module:
        assert ways.moved(seen, way) == 0, seen["ways"]


def test_far_end_down(ways):
    """Carrier is lost because the other side went away."""
    way, device = 2, "m2-r1"
    middle = ways.middle[way]
    seen = fail(ways, way, lambda: middle.sh("ip", "link", "set", "dev", device, "down"),
                lambda: middle.sh("ip", "link", "set", "dev", device, "up"))
    assert seen["doubled"] == 0 and seen["lost"] - seen["receiverDropped"] < 0.1 * RATE, seen
    if ways.lab.module:
        assert ways.moved(seen, way) == 0, seen["ways"]


def test_last_way_and_back(ways):
    """With all ways gone the router says so; with one back it is used."""
    for way in WAYS:
        ways.down(way)
    wait_until("the router has no way", lambda: not ways.kernel_ways(TARGETS[0]))
    if ways.lab.module:
        wait_until("nor have the tables", lambda: not ways.our_ways(TARGETS[0]))
    # those of two ways and of one as well: see wait_forgotten()
    wait_until("zebra has deleted all groups", lambda: "group" not in ways.router.sh("ip", "nexthop", "show").stdout)
    ways.up(3)
    ways.wait_steady(dict.fromkeys(TARGETS, (3,)))
    for way in WAYS[:2]:
        ways.up(way)
    ways.wait_steady(OVER)
