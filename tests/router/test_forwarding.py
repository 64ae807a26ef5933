# SPDX-License-Identifier: GPL-2.0-or-later
"""An undisturbed network: every packet arrives, by the program, the way it should."""

import signal

import pytest

from network import HOSTS
from topology import wait_until
from traffic import Transfer, Witness, datagrams, next_port

V4, V6 = 0, 1
FAMILIES = pytest.mark.parametrize("family", (V4, V6), ids=("IPv4", "IPv6"))


@FAMILIES
def test_datagrams_inside(net, family):
    """Routes of OSPF: none lost, none doubled, hop limit less by one on each of three routers."""
    with net.forwarded_by_ebpf(4000, net.r1, (net.r2, net.r3), net.r4):
        seen = datagrams(net.h1, net.h2, HOSTS["h2"][family], count=4000)
    assert (seen["lost"], seen["doubled"], seen["reordered"]) == (0, 0, 0), seen
    assert (seen["ttlLow"], seen["ttlHigh"]) == (61, 61), seen


@FAMILIES
def test_datagrams_outside(net, family):
    """Recursive BGP routes, and between r4 and r5 IPv4 over an IPv6 next hop; there and back."""
    with net.forwarded_by_ebpf(8000, net.r1, (net.r2, net.r3), net.r4, net.r5):
        there = Witness(net.h1, net.h3, HOSTS["h3"][family], count=4000)
        back = Witness(net.h3, net.h1, HOSTS["h1"][family], count=4000)
        for seen in (there.stop(wait=True), back.stop(wait=True)):
            assert (seen["lost"], seen["doubled"], seen["reordered"]) == (0, 0, 0), seen
            assert (seen["ttlLow"], seen["ttlHigh"]) == (60, 60), seen


def test_ipv4_routes_have_ipv6_next_hops(net):
    """That the test above is about RFC 8950 at all."""
    for router, prefix in ((net.r4, HOSTS["h3"][V4]), (net.r5, HOSTS["h1"][V4])):
        route = router.ip_json("route", "get", prefix)[0]
        assert route["via"]["family"] == "inet6", route


class FlowCapture:
    """tcpdump on several interfaces: which of them each UDP source port to a port was seen on."""

    SNAP = 96  # bytes kept of each packet, less than any of the witness has

    def __init__(self, port, *places):
        """places: (router, interface)"""
        self.files = {}
        self.processes = []
        for router, interface in places:
            path = router.directory / f"{interface}.pcap"
            process = router.popen("tcpdump", "-i", interface, "-n", "-B", "8192", "--immediate-mode", "-U",
                                   "-Q", "in", "-s", self.SNAP, "-Z", "root", "-w", path,
                                   "udp", "and", "dst", "port", port)
            while "listening on" not in (line := process.stderr.readline()):
                assert line, "tcpdump does not start"
            self.files[interface] = path
            self.processes.append((router, process))

    def packets(self, expected):
        """{interface: {source port: packets}}, once tcpdump has written as many packets as are expected."""
        # pcap: a header of 24 bytes, and 16 before each packet
        size = 24 * len(self.files) + (16 + self.SNAP) * expected
        wait_until(f"tcpdump has seen {expected} packets",
                   lambda: sum(path.stat().st_size for path in self.files.values()) >= size, timeout=10)
        for _, process in self.processes:
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=20)
            assert "\n0 packets dropped by kernel" in errors, errors
        found = {}
        for (router, _), (interface, path) in zip(self.processes, self.files.items()):
            ports = found.setdefault(interface, {})
            for line in router.sh("tcpdump", "-n", "-t", "-r", path).stdout.splitlines():
                # IP 10.0.1.2.40000 > 10.0.2.2.20000: UDP, length 64
                source = int(line.split()[1].rsplit(".", 1)[1])
                ports[source] = ports.get(source, 0) + 1
            path.unlink()
        return found


@FAMILIES
def test_flows_are_spread_and_stay(net, family):
    """
    512 flows share the two paths, and no flow changes its own while it lasts. tcpdump on r2 and r3 tells, and so
    shows that taps see what the program forwards.
    """
    flows, each = 512, 12
    witness_port = next_port() + 1
    with net.forwarded_by_ebpf(flows * each, net.r1, (net.r2, net.r3), net.r4):
        capture = FlowCapture(witness_port, (net.r2, "r2-r1"), (net.r3, "r3-r1"))
        witness = Witness(net.h1, net.h2, HOSTS["h2"][family], rate=3000, flows=flows, count=flows * each)
        assert witness.port == witness_port
        seen = witness.stop(wait=True)
        over = capture.packets(flows * each)
    assert (seen["lost"], seen["reordered"], seen["flows"]) == (0, 0, flows), seen
    on_r2, on_r3 = over["r2-r1"], over["r3-r1"]
    assert not set(on_r2) & set(on_r3), "flows that were seen on both paths"
    assert len(on_r2) + len(on_r3) == flows
    assert set(on_r2.values()) | set(on_r3.values()) == {each}
    # binomial, n = 512, p = 1/2: six standard deviations are 68
    assert abs(len(on_r2) - flows // 2) < 70, (len(on_r2), len(on_r3))


@FAMILIES
def test_flows_stay_while_other_routes_change(net, family):
    """A prefix that is announced and withdrawn elsewhere moves no flow of others."""
    port = next_port() + 1
    capture = FlowCapture(port, (net.r2, "r2-r1"), (net.r3, "r3-r1"))
    witness = Witness(net.h1, net.h3, HOSTS["h3"][family], rate=2000, flows=200)
    prefix = ("198.18.7.0/24", "2001:db8:1807::/48")[family]
    kind = ("ipv4", "ipv6")[family]
    for no, there in (("", True), ("no ", False)):
        net.r5.vtysh("configure terminal", "router bgp 65005", f"address-family {kind} unicast",
                     f"{no}network {prefix}")
        wait_until("the announcement reaches r1", lambda there=there: bool(
            net.r1.ip_json("-6" if family else "-4", "route", "show", "exact", prefix)) == there)
    seen = witness.stop()
    over = capture.packets(seen["sent"])
    assert (seen["lost"], seen["reordered"]) == (0, 0), seen
    assert not set(over["r2-r1"]) & set(over["r3-r1"]), "flows that changed their path"
    assert len(over["r2-r1"]) + len(over["r3-r1"]) == 200


@FAMILIES
def test_tcp_with_gso(net, family):
    """A bulk transfer crosses the routers in packets larger than the MTU, and every byte is right."""
    before = net.r1.link_stats("r1-h1")["rx"]
    moved = {}
    # the number of packets is known afterwards only
    with net.forwarded_by_ebpf(lambda: moved["packets"] * 0.98, net.r1):
        done = Transfer(net.h1, net.h2, HOSTS["h2"][family], megabytes=200).finish()
        after = net.r1.link_stats("r1-h1")["rx"]
        moved["packets"] = after["packets"] - before["packets"]
    assert done["intact"] and done["bytes"] == 200 << 20, done
    assert (after["bytes"] - before["bytes"]) / moved["packets"] > 2 * 1500, "no segmentation offload here"
