# SPDX-License-Identifier: GPL-2.0-or-later
"""Next-hop groups come and go in zebra, sometimes without a word; ours stay as few as zebra's, and right."""

import pytest

import topology
from topology import wait_until
from traffic import datagrams

CONFIG = """
interface r-a
 ip address 10.9.1.1/24
exit
interface r-b
 ip address 10.9.2.1/24
exit
ip route 192.0.2.0/24 10.9.1.2
ip route 192.0.2.0/24 10.9.2.2
""" + "".join(f"ip route 203.0.113.{n}/32 10.9.1.{n}\n" for n in range(3, 13))
FLAPS = 20
# ids without routes are looked for when there are so many more than with
SLACK = 64


@pytest.fixture
def router(module):
    if not module:
        pytest.skip("DPLANE_EBPF_MODULE=none: nothing to look at")
    with topology.Lab("groups", module) as lab:
        made = lab.router("r", config=CONFIG)
        for host, n in (("a", 1), ("b", 2)):
            lab.link(made, lab.host(host))
            lab.nodes[host].configure(f"{host}-r", [f"10.9.{n}.2/24"], [f"10.9.{n}.1"])
        made.start()
        yield made


def interfaces(router, prefix):
    found = router.ask_json(f"show dplane ebpf route {prefix} json")
    return {member["interfaceName"] for member in found.get("group", {}).get("members", ()) if member["slots"]}


def groups_of_two(router):
    return [group for group in router.ask_json("show dplane ebpf group json") if len(group["members"]) == 2]


def flap(router):
    for state, wanted in (("down", {"r-b"}), ("up", {"r-a", "r-b"})):
        router.sh("ip", "link", "set", "dev", "r-a", state)
        wait_until(f"{wanted} are used", lambda wanted=wanted: interfaces(router, "192.0.2.0/24") == wanted)


def test_link_flaps_leave_no_groups_behind(router):
    """zebra does not tell that it forgets next hops of a link that is down."""
    for _ in range(FLAPS):
        flap(router)
    groups = router.ask_json("show dplane ebpf group json")
    used = sum(group["routes"] > 0 for group in groups)
    assert used >= 3 and len(groups) <= used + SLACK + 16, (used, len(groups))
    assert router.ask_json("show dplane ebpf summary json")["nexthops"] <= len(groups)


def test_forgotten_group_comes_back_with_a_route(router):
    """zebra keeps unused groups for three minutes and uses them again without another word on what they are."""
    prefixes, both = ("192.0.2.0/24", "198.51.100.0/24"), {"r-a", "r-b"}
    routes = [f"ip route {prefix} {gateway}" for prefix in prefixes for gateway in ("10.9.1.2", "10.9.2.2")]
    router.vtysh("configure", *routes[2:])
    wait_until("the routes are there", lambda: all(interfaces(router, prefix) == both for prefix in prefixes))
    router.vtysh("configure", *(f"no {route}" for route in routes))
    wait_until("no route uses the group", lambda: not any(interfaces(router, prefix) for prefix in prefixes))
    # each of these has a group of its own, so that the unused ones are looked for
    router.vtysh("configure", *(f"ip route 203.0.113.{n}/32 10.9.2.{n}" for n in range(20, 220)))
    wait_until("they are there", lambda: interfaces(router, "203.0.113.219/32") == {"r-b"})
    assert not groups_of_two(router), "the unused group is still there"
    router.vtysh("configure", *routes)
    wait_until("both are used", lambda: all(interfaces(router, prefix) == both for prefix in prefixes))
    group, = groups_of_two(router)
    assert group["routes"] == 2, group
    assert datagrams(router.lab.nodes["a"], router.lab.nodes["b"], "10.9.2.2", count=100)["lost"] == 0
