# SPDX-License-Identifier: GPL-2.0-or-later
"""What zebra does not know of the kernel's routes, and what the kernel drops in silence: told, and packets go as the kernel alone
would send them, soon and without anybody's help; when it is over the program forwards again.

Where packets go is asked of the kernel itself (ip route get), and seen at the hosts. The routes carry the protocol number of zebra's own
static routes, which neither zebra nor the module takes for those of other programs: nobody but the comparison can find them.
"""

import itertools
import json
import time

import pytest

import topology
from test_consistency import compare, show, told
from topology import HERE, wait_until

CONFIG = """
route-map SRC permit 10
 match ip address prefix-list SRC
 set src 10.255.9.9
exit
route-map SRC permit 20
exit
ip prefix-list SRC seq 5 permit 198.18.0.0/16
interface lo
 ip address 10.255.9.9/32
exit
interface r-a
 ip address 10.9.1.1/24
 ipv6 address 2001:db8:91::1/64
exit
interface r-b
 ip address 10.9.2.1/24
 ipv6 address 2001:db8:92::1/64
exit
interface r-h
 ip address 10.9.3.1/24
 ipv6 address 2001:db8:93::1/64
exit
ip route 0.0.0.0/0 10.9.1.2
ip route 192.0.2.0/24 10.9.1.2
ip route 198.18.0.0/16 10.9.2.2
ipv6 route ::/0 2001:db8:91::2
ipv6 route 2001:db8:77::/48 2001:db8:92::2
ip protocol static route-map SRC
"""
OURS = ("proto", "196")
SENDER = """
import socket, sys
address, tos, count, text = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as udp:
    if ":" not in address:
        udp.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, tos)
    for port in range(count):
        udp.sendto(text.encode(), (address, 30000 + port))
"""
COUNT = 20
_marks = itertools.count(1000)


class Net:
    """The router r, h that sends, a and b that are sent to and record what comes."""

    def __init__(self, lab):
        self.lab = lab
        self.r = lab.router("r", config=CONFIG)
        self.hosts = {}
        for host, n in (("a", 1), ("b", 2), ("h", 3)):
            lab.link(self.r, lab.host(host))
            self.hosts[host] = lab.nodes[host]
            self.hosts[host].configure(f"{host}-r", [f"10.9.{n}.2/24", f"2001:db8:9{n}::2/64"],
                                       [f"10.9.{n}.1", f"2001:db8:9{n}::1"])
        self.files = {}
        for host in "ab":
            self.files[host] = lab.directory / f"{host}.frames"
            capture = self.hosts[host].popen("/usr/bin/python3", "-B", HERE / "capture.py", f"{host}-r",
                                             stdout=open(self.files[host], "w", encoding="ascii"))
            assert "ready" in capture.stderr.readline()
        self.r.start()
        for n, node in enumerate(self.hosts.values(), 1):
            for address in (f"10.9.{n}.1", f"2001:db8:9{n}::1"):
                wait_until(f"{address} answers", lambda n=node, a=address: n.sh(
                    "ping", "-n", "-q", "-c", "1", "-W", "1", a, check=False).returncode == 0)

    def goes(self, address, tos=0):
        """Where packets of h's to an address come out (COUNT of them, all alike), and how many the program forwarded."""
        mark = f"mark{next(_marks)}"
        before = self.r.counters()
        self.hosts["h"].sh("/usr/bin/python3", "-B", "-c", SENDER, address, tos, COUNT, mark)
        # none is on its way any more: the program has counted all of them, and the kernel needs no longer than it
        wait_until("the packets are counted", lambda: sum(
            n - before.get(name, 0) for name, n in self.r.counters().items()) >= COUNT)
        time.sleep(0.1)
        lines = {host: path.read_text("ascii").splitlines() for host, path in self.files.items()}
        came = {host: sum(mark.encode().hex() in line for line in frames) for host, frames in lines.items()}
        after = self.r.counters()
        forwarded = sum(after.get(name, 0) - before.get(name, 0) for name in topology.FORWARDED)
        return {host: n for host, n in came.items() if n}, forwarded

    def kernel_says(self, address, tos=0):
        """The same by the kernel's own answer."""
        source = "2001:db8:93::2" if ":" in address else "10.9.3.2"
        done = self.r.sh("ip", "-j", "route", "get", address, "from", source, "iif", "r-h", "tos", hex(tos),
                         check=False)
        # throw, unreachable: no route at all
        if done.returncode:
            return {}
        (route,) = json.loads(done.stdout)
        return {} if route.get("type") in ("local", "anycast") else {route["dev"].removeprefix("r-"): COUNT}


@pytest.fixture(scope="module")
def made(module):
    if not module:
        pytest.skip("DPLANE_EBPF_MODULE=none: nothing to look at")
    with topology.Lab("doubt", module) as lab:
        yield Net(lab)


@pytest.fixture
def net(made):
    """In order; a test leaves it so."""
    wait_until("all routes are in", lambda: all(made.r.ask_json(f"show dplane ebpf route {prefix} json").get("found")
                                                for prefix in ("198.18.0.0/16", "2001:db8:77::/48")))
    wait_until("nothing differs", lambda: compare(made.r)["differences"] == 0, interval=0.5)
    assert show(made.r)["result"]["sentToKernel"] == 0
    return made


def is_as_kernel(net, address, tos=0):
    """Packets come out where the kernel alone would send them, all of them by its hands."""
    came, forwarded = net.goes(address, tos)
    return came == net.kernel_says(address, tos) and forwarded == 0


def is_by_program(net, address, host):
    return net.goes(address) == ({host: COUNT}, COUNT)


# what: the command, without "add" or "del"; the prefix that is told; an address; the kind; whose packets differ from zebra's
CASES = {
    "local": ((), ("local", "203.0.113.0/24", "dev", "lo"), "203.0.113.7", "kernelOnly"),
    "local in main": ((), ("local", "203.0.113.7", "dev", "lo", "table", "main"), "203.0.113.7", "kernelOnly"),
    "local over zebra's": ((), ("local", "192.0.2.0/24", "dev", "lo"), "192.0.2.7", "kernelOtherNexthops"),
    "throw": ((), ("throw", "203.0.113.0/24"), "203.0.113.7", "kernelOnly"),
    "throw over zebra's": ((), ("throw", "192.0.2.0/24", "metric", "5"), "192.0.2.7", "kernelMore"),
    "unreachable": ((), ("unreachable", "203.0.113.0/24"), "203.0.113.7", "kernelOnly"),
    "other way": ((), ("203.0.113.0/24", "via", "10.9.2.2"), "203.0.113.7", "kernelOnly"),
    "metric": ((), ("192.0.2.0/24", "via", "10.9.2.2", "metric", "5"), "192.0.2.7", "kernelOtherNexthops"),
    "tos": ((), ("192.0.2.0/24", "tos", "0x10", "via", "10.9.2.2"), "192.0.2.7", "kernelMore"),
    "encapsulation": ((), ("203.0.113.0/24", "encap", "ip6", "dst", "2001:db8:92::2", "via", "10.9.2.2", "dev", "r-b"),
                      "203.0.113.7", "kernelOnly"),
    "throw, IPv6": (("-6",), ("throw", "2001:db8:cb::/48"), "2001:db8:cb::7", "kernelOnly"),
    "anycast": (("-6",), ("anycast", "2001:db8:cb::1", "dev", "r-b"), "2001:db8:cb::1", "kernelOnly"),
    "SRv6": (("-6",), ("2001:db8:cb::/48", "encap", "seg6", "mode", "encap", "segs", "2001:db8:92::2", "via",
                       "2001:db8:92::2", "dev", "r-b"), "2001:db8:cb::7", "kernelOnly"),
}
# nobody asks for a comparison: the clock does, within 10 s
ALONE = ("local", "throw", "anycast")


@pytest.mark.parametrize("name", CASES)
def test_kernel_goes_another_way(net, name):
    family, route, address, kind = CASES[name]
    r = net.r
    (prefix,) = [part for part in route[:2] if "." in part or ":" in part]
    prefix = prefix if "/" in prefix else f"{prefix}/{128 if ':' in prefix else 32}"
    assert is_by_program(net, address, "a"), net.goes(address)
    r.sh("ip", *family, "route", "add", *route, *OURS)
    try:
        if name not in ALONE:
            assert told(compare(r), prefix) == [kind], show(r)
        wait_until("packets are the kernel's", lambda: is_as_kernel(net, address), timeout=25, interval=0.5)
        if name == "tos":
            assert is_as_kernel(net, address, 0x10) and net.goes(address, 0x10)[0] == {"b": COUNT}
        result = show(r)["result"]
        assert told(result, prefix) == [kind] and result["sentToKernel"] == 1, result
        assert "its packets are left to the kernel" in r.ask("show dplane ebpf consistency")
    finally:
        r.sh("ip", *family, "route", "del", *route, *OURS)
    if name not in ALONE:
        compare(r)
    wait_until("the program forwards again", lambda: is_by_program(net, address, "a"), timeout=25, interval=0.5)
    wait_until("nothing differs", lambda: compare(r)["differences"] == 0)
    assert show(r)["result"]["sentToKernel"] == 0
    assert "packets of 1 prefix that differ are the kernel's" in r.log()


def test_refused_by_the_kernel(net):
    """
    set src: with the address the kernel drops the route in silence; zebra tries again and is refused. Nothing of it reaches a
    provider, but zebra counts an error.
    """
    r, address = net.r, "198.18.0.7"
    assert is_by_program(net, address, "b")
    compare(r)
    begun = time.monotonic()
    r.sh("ip", "address", "del", "10.255.9.9/32", "dev", "lo")
    try:
        assert net.kernel_says(address) == {"a": COUNT}
        wait_until("packets are the kernel's", lambda: is_as_kernel(net, address), timeout=25, interval=0.2)
        took = time.monotonic() - begun
        (kind,) = told(show(r)["result"], "198.18.0.0/16")
        # as far as zebra has got with it
        assert kind in ("leftOver", "kernelMissing")
        # by the error, or by the address; the clock would take 10 s from the last comparison on
        assert took < 7, took
    finally:
        r.sh("ip", "address", "add", "10.255.9.9/32", "dev", "lo")
        for command in ("no ", ""):
            r.vtysh("configure", f"{command}ip route 198.18.0.0/16 10.9.2.2")
    wait_until("the program forwards again", lambda: is_by_program(net, address, "b"), timeout=25, interval=0.5)


def test_deleted_behind_zebras_back(net):
    """With their next hops, which zebra puts back; the routes it does not."""
    r, address = net.r, "192.0.2.7"
    prefixes = ("0.0.0.0/0", "192.0.2.0/24")
    nexthop = next(route["nhid"] for route in r.ip_json("route", "show", "192.0.2.0/24"))
    r.sh("ip", "nexthop", "del", "id", nexthop)
    try:
        wait_until("packets are the kernel's", lambda: is_as_kernel(net, address), timeout=25, interval=0.5)
        assert net.kernel_says(address) == {}
        result = show(r)["result"]
        assert [told(result, prefix) for prefix in prefixes] == [["kernelMissing"]] * 2, result
    finally:
        lines = [line for line in CONFIG.splitlines() if line.startswith("ip route ")]
        for command in ("no ", ""):
            r.vtysh("configure", *(command + line for line in lines))
    wait_until("the program forwards again", lambda: is_by_program(net, address, "a"), timeout=25, interval=0.5)
