# SPDX-License-Identifier: GPL-2.0-or-later
"""show dplane ebpf events: what happens to next hops and tables is told, once each."""

import pytest

from topology import wait_until
from ways import Ways, gateway

BORDER, WAYS = "10.255.0.1", (1, 2, 3)
TARGETS = ["203.0.113.1"]
OVER = dict.fromkeys(TARGETS, WAYS)
PREFIX = "203.0.113.0/24"
# the protocol number of zebra's own static routes: it takes no notice of such changes
ZEBRA_STATIC = "196"


@pytest.fixture
def ways(lab, need_module):
    built = Ways(lab, {BORDER: WAYS}, TARGETS, config=f"ip route {PREFIX} {BORDER}\n")
    built.router.start()
    built.wait_steady(OVER)
    return built


def events(router, notification, after=0):
    listed = router.ask_json(f"show dplane ebpf events {after} json")
    return [event for event in listed if event["notification"] == notification]


def last(router):
    return max((event["number"] for event in router.ask_json("show dplane ebpf events json")), default=0)


@pytest.mark.parametrize("far", (False, True), ids=("ours", "theirs"))
def test_failover(ways, far):
    """zebra takes the next hop out of its groups, and adds it again: both are told of all the same."""
    router, way = ways.router, 2
    node, device = (ways.middle[way], "m2-r1") if far else (router, ways.device(way))
    after, groups = last(router), ways.kernel_groups()
    node.sh("ip", "link", "set", "dev", device, "down")
    down = wait_until("the outage is told", lambda: events(router, "failover", after))
    ways.wait_steady(dict.fromkeys(TARGETS, (1, 3)))
    ways.wait_forgotten(groups)
    node.sh("ip", "link", "set", "dev", device, "up")
    ways.wait_steady(OVER)
    wait_until("its end is told", lambda: any(e["state"] == "up" for e in events(router, "failover", after)))
    told = [event for event in events(router, "failover", after) if event.get("address") == gateway(way)]
    assert [(event["state"], event["interface"]) for event in told] == [("down", "r1-m2"), ("up", "r1-m2")], told
    assert int(told[0]["groups"]) > 0 and down


def test_inconsistency(ways):
    """A comparison that finds differences tells how many; another that finds the same ones does not."""
    router = ways.router
    after = last(router)

    def runs():
        return router.ask_json("show dplane ebpf consistency json")["runs"]

    def compare():
        wait_until("nothing is compared",
                   lambda: router.ask_json("show dplane ebpf consistency json")["state"] == "done")
        before = runs()
        wait_until("another comparison", lambda: runs() > before, timeout=60)

    compare()
    assert not events(router, "inconsistency", after)
    # which nobody told zebra of, and ours would forward otherwise
    router.sh("ip", "route", "add", "203.0.113.128/25", "via", gateway(1), "proto", ZEBRA_STATIC)
    compare()
    told = wait_until("the difference is told", lambda: events(router, "inconsistency", after))
    assert [int(event["prefixes"]) for event in told] == [1], told
    compare()
    assert events(router, "inconsistency", after) == told
