# SPDX-License-Identifier: GPL-2.0-or-later
"""Links and processes fail; what the kernel alone would not lose, is not lost."""

import os
import signal

import pytest

from network import HOSTS, routes_to
from topology import wait_until
from traffic import Transfer, Witness, datagrams

V4, V6 = 0, 1


def witnesses(net, rate=1000):
    """h1 to the inside and to the outside, in both families."""
    return [Witness(net.h1, net.h2 if host == "h2" else net.h3, address, rate)
            for host in ("h2", "h3") for address in HOSTS[host]]


def one_path_left(net, device):
    return all([dev for _, dev in routes_to(net.r1, prefix)] == [device]
               for prefix in ("10.0.2.0/24", "2001:db8:2::/64", "10.0.3.0/24", "2001:db8:3::/64"))


def forwards_everything(net, *groups):
    """Nothing is lost now and the program does the work, for each family."""
    for family in (V4, V6):
        with net.forwarded_by_ebpf(1000, *groups):
            seen = datagrams(net.h1, net.h2, HOSTS["h2"][family], count=1000)
        assert (seen["lost"], seen["doubled"]) == (0, 0), seen


def test_link_down_and_up(net):
    """The other path takes over, TCP survives, and both are used when the link is back."""
    transfers = [Transfer(net.h1, net.h2, address, seconds=6) for address in HOSTS["h2"]]
    net.r1.sh("ip", "link", "set", "dev", "r1-r2", "down")
    try:
        wait_until("r1 uses r3 alone", lambda: one_path_left(net, "r1-r3"))
        forwards_everything(net, net.r1, net.r3, net.r4)
    finally:
        net.r1.sh("ip", "link", "set", "dev", "r1-r2", "up")
    net.wait_steady()
    for transfer in transfers:
        done = transfer.finish()
        assert done["intact"] and done["bytes"] > 1 << 20, done
    forwards_everything(net, net.r1, (net.r2, net.r3), net.r4)


def test_link_far_end_down(net):
    """Carrier lost in the middle: r2 cannot reach r4, and the traffic goes by r3."""
    net.r4.sh("ip", "link", "set", "dev", "r4-r2", "down")
    try:
        wait_until("r1 uses r3 alone", lambda: one_path_left(net, "r1-r3"))
        forwards_everything(net, net.r1, net.r3, net.r4)
    finally:
        net.r4.sh("ip", "link", "set", "dev", "r4-r2", "up")
    net.wait_steady()
    forwards_everything(net, net.r1, (net.r2, net.r3), net.r4)


def test_interface_deleted_and_recreated(net):
    """The veth between r2 and r4 goes away and another one, with other numbers and MACs, takes its name."""
    net.lab.unlink(net.r2, net.r4)
    try:
        wait_until("r1 uses r3 alone", lambda: one_path_left(net, "r1-r3"))
        forwards_everything(net, net.r1, net.r3, net.r4)
    finally:
        net.lab.link(net.r2, net.r4)
    net.wait_steady()
    forwards_everything(net, net.r1, (net.r2, net.r3), net.r4)
    before = net.r2.link_stats("r2-r4")["tx"]["packets"]
    datagrams(net.h1, net.h2, HOSTS["h2"][V4], count=1000, flows=512)
    assert net.r2.link_stats("r2-r4")["tx"]["packets"] - before > 250


def test_interface_renamed(lab):
    """A link that gets another name forwards under it, and again under its old one. (No routing protocol: FRR's
    do not know the new name.)"""
    h1, h2, r1 = lab.host("h1"), lab.host("h2"), lab.router("r1")
    for host, n in ((h1, 1), (h2, 2)):
        lab.link(r1, host)
        r1.sh("ip", "address", "add", f"10.0.{n}.1/24", "dev", f"r1-{host.name}")
        host.configure(f"{host.name}-r1", [f"10.0.{n}.2/24"], [f"10.0.{n}.1"])
    r1.start()
    old = "r1-h1"
    for new in ("renamed", "r1-h1"):
        r1.sh("ip", "link", "set", "dev", old, "down")
        r1.sh("ip", "link", "set", "dev", old, "name", new)
        r1.sh("ip", "link", "set", "dev", new, "up")
        wait_until("h1 reaches h2", lambda: datagrams(h1, h2, "10.0.2.2", count=20)["lost"] == 0)
        if lab.module:
            wait_until(f"{new} is attached", lambda new=new: r1.ask_json("show dplane ebpf interface json")
                       .get(new, {}).get("attached"))
        before = sum(r1.transit()[:1])
        assert datagrams(h1, h2, "10.0.2.2", count=500)["lost"] == 0
        assert not lab.module or r1.transit()[0] - before >= 495
        old = new


def test_neighbour_changes_mac(net):
    """A host with a new MAC address is reached at it, as soon as the kernel knows."""
    link = net.h2.ip_json("link", "show", "dev", "h2-r4")[0]
    try:
        net.h2.sh("ip", "link", "set", "dev", "h2-r4", "address", "02:00:00:00:00:77")
        net.r4.sh("ip", "neighbour", "flush", "dev", "r4-h2")
        wait_until("h2 answers", lambda: datagrams(net.h1, net.h2, HOSTS["h2"][V4], count=20)["lost"] == 0)
        forwards_everything(net, net.r1, (net.r2, net.r3), net.r4)
    finally:
        net.h2.sh("ip", "link", "set", "dev", "h2-r4", "address", link["address"])
        net.r4.sh("ip", "neighbour", "flush", "dev", "r4-h2")
    wait_until("h2 answers", lambda: datagrams(net.h1, net.h2, HOSTS["h2"][V4], count=20)["lost"] == 0)


@pytest.mark.parametrize("signum", (signal.SIGKILL, signal.SIGTERM), ids=("killed", "ended"))
def test_zebra_restarted(net, signum):
    """
    zebra ends on r1 and is started again, as watchfrr would, told to keep the kernel's routes until the
    protocols are back (-K; and -r for an orderly end). The kernel alone loses nothing then.
    """
    if signum == signal.SIGTERM:
        net.r1.restart("-r", "-K", "15")
        net.wait_steady()
    running = witnesses(net)
    by_kernel = net.r1.kernel_forwarded()
    net.r1.restart("-r", "-K", "15", signum=signum)
    net.wait_steady()
    results = [witness.stop() for witness in running]
    assert [(seen["lost"], seen["doubled"]) for seen in results] == [(0, 0)] * 4, results
    if net.lab.module:
        # the old tables forwarded until the new ones were full
        by_kernel = net.r1.kernel_forwarded() - by_kernel
        assert by_kernel < 0.02 * sum(seen["sent"] for seen in results), by_kernel
        assert "took over from an earlier zebra" in net.r1.log()
    forwards_everything(net, net.r1, (net.r2, net.r3), net.r4)


def test_killed_zebra_keeps_forwarding(net):
    """While zebra is dead nothing is lost, and the program still does it: no packet of transit is the kernel's."""
    running = witnesses(net)
    net.r1.stop_daemon("zebra", signal.SIGKILL)
    try:
        by_kernel = net.r1.kernel_forwarded()
        for family in (V4, V6):
            seen = datagrams(net.h1, net.h2, HOSTS["h2"][family], count=2000)
            assert seen["lost"] == 0, seen
        if net.lab.module:
            assert os.listdir(net.r1.pin), "the pins stay"
            assert net.r1.kernel_forwarded() - by_kernel < 40
        else:
            assert net.r1.kernel_forwarded() - by_kernel >= 4000
    finally:
        for daemon in net.r1.daemons[1:]:
            net.r1.stop_daemon(daemon, signal.SIGKILL)
        net.r1.start("-K", "15")
    net.wait_steady()
    results = [witness.stop() for witness in running]
    assert [(seen["lost"], seen["doubled"]) for seen in results] == [(0, 0)] * 4, results


def test_link_fails_while_zebra_is_dead(net):
    """Nobody tells the tables, which count only for a while then: the kernel, which knows, forwards."""
    net.r1.stop_daemon("zebra", signal.SIGKILL)
    try:
        net.r1.sh("ip", "link", "set", "dev", "r1-r2", "down")
        wait_until("h2 is reached over r3", lambda: datagrams(net.h1, net.h2, HOSTS["h2"][V4], count=200,
                                                              flows=64)["lost"] == 0, timeout=20)
        by_kernel = net.r1.kernel_forwarded()
        for family in (V4, V6):
            assert datagrams(net.h1, net.h2, HOSTS["h2"][family], count=500)["lost"] == 0
        assert net.r1.kernel_forwarded() - by_kernel >= 1000
    finally:
        net.r1.sh("ip", "link", "set", "dev", "r1-r2", "up")
        for daemon in net.r1.daemons[1:]:
            net.r1.stop_daemon(daemon, signal.SIGKILL)
        net.r1.start("-K", "15")
    net.wait_steady()
    forwards_everything(net, net.r1, (net.r2, net.r3), net.r4)


def test_end_with_retain_keeps_forwarding(net, need_module):
    """zebra -r leaves its routes in the kernel when it ends, and so do we: program and pins stay."""
    net.r1.restart("-r", "-K", "15")
    net.wait_steady()
    net.r1.stop_daemon("zebra")
    try:
        assert "program" in os.listdir(net.r1.pin)
        by_kernel = net.r1.kernel_forwarded()
        assert datagrams(net.h1, net.h2, HOSTS["h2"][V4], count=2000)["lost"] == 0
        assert net.r1.kernel_forwarded() - by_kernel < 40
    finally:
        for daemon in net.r1.daemons[1:]:
            net.r1.stop_daemon(daemon, signal.SIGKILL)
        net.r1.start("-K", "15")
    net.wait_steady()
    forwards_everything(net, net.r1, (net.r2, net.r3), net.r4)


def test_restarted_without_and_with_the_module(net, need_module):
    """Taking the module away, and adding it again, loses nothing either; without it the kernel forwards."""
    running = witnesses(net)
    net.r1.restart("-r", "-K", "15", module=[])
    net.wait_steady()
    try:
        # a killed zebra could not detach: whoever forwards, the tables must not grow old
        assert "ebpf" not in net.r1.ask("show modules"), "zebra runs without the module"
    finally:
        net.r1.restart("-K", "15")
    net.wait_steady()
    results = [witness.stop() for witness in running]
    assert [(seen["lost"], seen["doubled"]) for seen in results] == [(0, 0)] * 4, results
    forwards_everything(net, net.r1, (net.r2, net.r3), net.r4)


def test_orderly_end_removes_everything(net, need_module):
    """zebra without -r takes its routes from the kernel, and the program and its pins away."""
    net.r1.stop_daemon("zebra")
    try:
        assert not net.r1.pin.exists() or not os.listdir(net.r1.pin)
        assert "dplane_ebpf" not in net.r1.sh("bpftool", "net", "show").stdout
    finally:
        for daemon in net.r1.daemons[1:]:
            net.r1.stop_daemon(daemon, signal.SIGKILL)
        net.r1.start()
    net.wait_steady()
    forwards_everything(net, net.r1, (net.r2, net.r3), net.r4)
