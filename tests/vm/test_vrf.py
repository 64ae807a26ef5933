# SPDX-License-Identifier: GPL-2.0-or-later
"""VRFs as the kernel has them. Each situation is tried on the kernel alone, which says what is right, and on ours.

Linux knows a VRF by a rule: "1000: from all lookup [l3mdev-table]". It stands behind "0: from all lookup local" and in front
of "32766: from all lookup main", so that the default VRF's own addresses are the router's for every VRF, and that
what a VRF's table does not have goes on to the table main, unless the VRF has a default route, if only an unreachable one
(Documentation/networking/vrf.rst).
"""

import ends
from net import MAIN_ONLY, ROUTERS_OWN, SHARED, SIDES, VRFS, last_resort, vrf_lines
from topology import wait_until
from traffic import ping


RED_MEMBERS = ("r1-c-red", "r1-s-red")


def who(pair, side, address):
    """What becomes of a side's datagrams, which is the same on both: the names of those that get them."""
    seen = pair.same(lambda net: net.exchange(side, address, 5))
    return [name for name, _ in seen["arrived"]]


def test_overlapping_prefixes_stay_apart(both):
    """Each VRF's packets, and the answers, go to its own server, though all have the same addresses."""
    for address in SHARED:
        for side in SIDES:
            both.reaches(side, address, side, count=50)


def test_a_miss_does_not_leak(both):
    """What a VRF's table has for nobody is for nobody, or for the table main, as the kernel has it."""
    for address in MAIN_ONLY:
        both.reaches("main", address, "main")
        assert who(both, "blue", address) == []
    both.ip(*last_resort("del"), undo=last_resort("add"))
    for address in MAIN_ONLY:
        assert who(both, "blue", address) == ["main"]


def test_the_routers_own_address(both):
    """An address of the default VRF is the router's for every VRF's members too, in spite of a default route."""
    for address in ROUTERS_OWN:
        for side in SIDES:
            assert who(both, side, address) == ["router"]
            assert both.same(lambda net, s=side, a=address: ends.connect(net.clients[s], net.nodes, a)) == "router"
            answered = both.same(lambda net, s=side, a=address: ping(net.clients[s], a))
            # an echo request of IPv6 to an address of another VRF, if only the default one, is not answered by Linux
            assert answered == 3 or (":" in address and side in VRFS)


def test_local_behind_l3mdev(both):
    """The order that the kernel's documentation asks for: the default VRF's addresses are no VRF's any more."""
    both.rules("add pref 32765 table local", undo="del pref 32765")
    both.rules("del pref 0", undo="add pref 0 table local")
    for address in ROUTERS_OWN:
        assert who(both, "red", address) == ["red"]
        assert who(both, "main", address) == ["router"]
    for address in SHARED:
        assert who(both, "red", address) == ["red"]


def test_main_before_l3mdev(both):
    """What the table main has is no VRF's."""
    both.rules("add pref 500 table main", undo="del pref 500")
    for address in SHARED:
        assert [who(both, side, address) for side in SIDES] == [["main"]] * 3


def test_without_the_l3mdev_rule(both):
    """A VRF's table is nobody's."""
    both.rules("del pref 1000", undo="add pref 1000 l3mdev protocol kernel")
    for address in SHARED:
        assert [who(both, side, address) for side in SIDES] == [["main"]] * 3


def test_a_vrf_made_again(both):
    """A VRF is deleted and made again at once, with the same table: its routes, old and new, are forwarded by."""
    for _ in range(3):
        both.ip("link del red", *vrf_lines("red", VRFS["red"], RED_MEMBERS))
    for address in SHARED:
        both.reaches("red", address, "red")
    both.configure("vrf red", "ip route 203.0.113.0/25 10.0.9.2", "ipv6 route 2001:db8:200::/56 2001:db8:9::2",
                   "exit-vrf", undo=("vrf red", "no ip route 203.0.113.0/25 10.0.9.2",
                                     "no ipv6 route 2001:db8:200::/56 2001:db8:9::2", "exit-vrf"))
    for address in MAIN_ONLY:
        both.reaches("red", address, "red")


def test_another_vrf_with_the_table(both):
    """The table of a VRF that is gone, under another name: nothing of the old is left, and the new is forwarded by."""
    both.ip("link del red", *vrf_lines("green", VRFS["red"], RED_MEMBERS),
            undo=("link del green", *vrf_lines("red", VRFS["red"], RED_MEMBERS)))
    both.ip(*(f"route add {prefix} via {gateway} table {VRFS['red']}" for prefix, gateway in
              (("203.0.113.0/24", "10.0.9.2"), ("2001:db8:200::/48", "2001:db8:9::2"))))
    for address in MAIN_ONLY:
        both.reaches("red", address, "red")
    for address in SHARED:
        # green has no routes of zebra's, and no default that would keep the table main from being asked
        assert who(both, "red", address) == ["main"]


def test_a_member_moves(both):
    """An interface goes from one VRF to another, to the default one and back; its packets go by where it is."""
    misses = {"blue": [], "main": ["main"], "red": ["red"]}
    for how, server in (("master blue", "blue"), ("nomaster", "main"), ("master red", "red")):
        both.ip(f"link set dev r1-c-red {how}", undo=("link set dev r1-c-red master red",))
        for address in SHARED:
            both.reaches("red", address, server)
        for address in MAIN_ONLY:
            assert who(both, "red", address) == misses[server]


def test_the_tables_agree(both):
    """After all of that, every VRF's: what zebra, the kernel and the tables have is compared."""
    def compared():
        status = both.ours.r1.ask_json("show dplane ebpf consistency json")
        return status["result"] if status["state"] == "done" else None

    result = wait_until("the tables are compared", compared, timeout=60)
    assert result["differences"] == 0, result
    # connected, static and default routes of three sides, and nothing that could not be compared
    assert result["compared"]["ipv4"]["zebra"] >= 12, result
