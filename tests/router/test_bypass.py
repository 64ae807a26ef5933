# SPDX-License-Identifier: GPL-2.0-or-later
"""What the fast path would bypass keeps packets in the kernel, unless configuration says that it may."""

import shutil
from contextlib import contextmanager

import pytest

import topology
from topology import wait_until
from traffic import datagrams

# behind h2, by a gateway; and h2 itself, on a connected network
FAR = ("198.51.100.9", "2001:db8:64::9")
NEAR = ("10.0.2.2", "2001:db8:2::2")
IN, OUT = "r1-h1", "r1-h2"  # by which packets from h1 come in, and leave
SOON = 5  # s: less than until everything is looked at anyway
V4, V6, BOTH = (True, False), (False, True), (True, True)

CONFIG = f"""
interface {IN}
 ip address 10.0.1.1/24
 ipv6 address 2001:db8:1::1/64
exit
interface {OUT}
 ip address 10.0.2.1/24
 ipv6 address 2001:db8:2::1/64
exit
ip route 198.51.100.0/24 10.0.2.2
ipv6 route 2001:db8:64::/64 2001:db8:2::2
"""


class Line:
    """h1 -- r1 -- h2; zebra is not started yet."""

    def __init__(self, lab):
        self.lab = lab
        self.h1, self.h2, self.r1 = lab.host("h1"), lab.host("h2"), lab.router("r1", config=CONFIG)
        for host, n in ((self.h1, 1), (self.h2, 2)):
            lab.link(self.r1, host)
            host.configure(f"{host.name}-r1", [f"10.0.{n}.2/24", f"2001:db8:{n}::2/64"],
                           [f"10.0.{n}.1", f"2001:db8:{n}::1"])
        for address in FAR:
            self.h2.sh("ip", "address", "add", address, "dev", "lo")

    def do(self, *commands):
        for command in commands:
            self.r1.sh(*command.split())

    def arguments(self, bypass):
        return ["-M", f"{self.lab.module}:size=small,pin={self.r1.pin},bypass={bypass}"]

    def start(self, bypass=None):
        self.r1.start(module=self.arguments(bypass) if bypass else None)

    def wait_routes(self):
        for address in FAR:
            wait_until(f"h1 reaches {address}",
                       lambda address=address: datagrams(self.h1, self.h2, address, count=10)["lost"] == 0)

    def shown(self, name):
        return self.r1.ask_json("show dplane ebpf interface json").get(name, {})

    def accelerated(self, name):
        interface = self.shown(name)
        return interface.get("ipv4Accelerated"), interface.get("ipv6Accelerated")

    def send(self, address, count=200, **kwargs):
        """What became of them; forwarded by the program, and by the kernel."""
        program, kernel = self.r1.transit()[0], self.r1.kernel_forwarded()
        seen = datagrams(self.h1, self.h2, address, count=count, **kwargs)
        return seen, self.r1.transit()[0] - program, self.r1.kernel_forwarded() - kernel

    def by_program(self, family):
        for address in (FAR[family], NEAR[family]):
            seen, program, _ = self.send(address)
            assert seen["lost"] == 0 and program >= 198, (address, seen, program)

    def by_kernel(self, family):
        for address in (FAR[family], NEAR[family]):
            seen, program, kernel = self.send(address)
            assert seen["lost"] == 0 and program == 0 and kernel >= 198, (address, seen, program, kernel)


@pytest.fixture(scope="module")
def started(module):
    if not module:
        pytest.skip("DPLANE_EBPF_MODULE=none: nothing to look at")
    with topology.Lab("bypass", module) as lab:
        line = Line(lab)
        line.start()
        yield line


@pytest.fixture
def line(started):
    """Undisturbed, and everything by the program."""
    for name in (IN, OUT):
        wait_until(f"{name} is accelerated", lambda name=name: started.accelerated(name) == BOTH
                   and not started.shown(name)["bypass"])
    started.wait_routes()
    return started


def netfilter(family, hook, what="rule {family} t c counter", policy="accept", device=""):
    chain = f"add chain {family} t c {{ type filter hook {hook} {device} priority 0 ; policy {policy} ; }}"
    rule = what.format(family=family)
    return [f"nft add table {family} t", f"nft {chain}", *([f"nft add {rule}"] if rule else [])]


# what is set up, how it is taken away, its name in JSON, which families it concerns
EVERYWHERE = {
    "nft ip forward": (netfilter("ip", "forward"), ["nft delete table ip t"], "nftables", V4),
    "nft ip6 prerouting": (netfilter("ip6", "prerouting"), ["nft delete table ip6 t"], "nftables", V6),
    "nft inet postrouting": (netfilter("inet", "postrouting"), ["nft delete table inet t"], "nftables", BOTH),
    "ip rule": (["ip rule add pref 100 from 192.0.2.0/24 lookup 77"], ["ip rule del pref 100"], "rule", V4),
    "ip -6 rule": (["ip -6 rule add pref 100 to 2001:db8:99::/64 lookup 77"], ["ip -6 rule del pref 100"],
                   "rule", V6),
    "xfrm out": (["ip xfrm policy add src 192.0.2.0/24 dst 192.0.2.0/24 dir out"],
                 ["ip xfrm policy del src 192.0.2.0/24 dst 192.0.2.0/24 dir out"], "xfrm", V4),
    "xfrm fwd": (["ip xfrm policy add src 2001:db8:99::/64 dst ::/0 dir fwd"],
                 ["ip xfrm policy flush"], "xfrm", V6),
}
U32 = "protocol all pref 10 u32 match u32 0 0 flowid 1:1"
INGRESS = {
    "nft netdev ingress": (netfilter("netdev", "ingress", device=f"device {IN}"), ["nft delete table netdev t"],
                           "nftables-ingress"),
    "tc ingress filter": ([f"tc qdisc add dev {IN} clsact", f"tc filter add dev {IN} ingress {U32}"],
                          [f"tc qdisc del dev {IN} clsact"], "tc-ingress"),
    "tc ingress qdisc": ([f"tc qdisc add dev {IN} ingress", f"tc filter add dev {IN} ingress {U32}"],
                         [f"tc qdisc del dev {IN} ingress"], "tc-ingress"),
}
EGRESS = {
    "tbf": ([f"tc qdisc add dev {OUT} root tbf rate 1gbit burst 1mb latency 100ms"],
            [f"tc qdisc del dev {OUT} root"], "qdisc"),
    "htb": ([f"tc qdisc add dev {OUT} root handle 1: htb default 1",
             f"tc class add dev {OUT} parent 1: classid 1:1 htb rate 1gbit"],
            [f"tc qdisc del dev {OUT} root"], "qdisc"),
    "tc egress filter": ([f"tc qdisc add dev {OUT} clsact", f"tc filter add dev {OUT} egress {U32}"],
                         [f"tc filter del dev {OUT} egress", f"tc qdisc del dev {OUT} clsact"], "tc-egress"),
    "nft netdev egress": (netfilter("netdev", "egress", device=f"device {OUT}"), ["nft delete table netdev t"],
                          "nftables-egress"),
}


@contextmanager
def present(line, setup, undo):
    line.do(*setup)
    try:
        yield
    finally:
        line.do(*undo)


@pytest.mark.parametrize("case", EVERYWHERE)
def test_of_all_interfaces(line, case):
    """It is seen when it comes, its family is the kernel's on every interface, and the program's again without."""
    setup, undo, name, families = EVERYWHERE[case]
    left = tuple(not lost for lost in families)
    with present(line, setup, undo):
        for interface in (IN, OUT):
            wait_until(f"{interface} is not accelerated",
                       lambda interface=interface: line.accelerated(interface) == left, SOON)
            shown = line.shown(interface)
            assert shown["bypass"] == [name] and not shown["bypassAllowed"], shown
            assert ("IPv4" in shown["reason"], "IPv6" in shown["reason"]) == families, shown
        assert shown["reason"] in line.r1.ask("show dplane ebpf interface")
        for family in (0, 1):
            (line.by_kernel if families[family] else line.by_program)(family)
    wait_until("it is accelerated again", lambda: line.accelerated(IN) == BOTH, SOON)
    for family in (0, 1):
        line.by_program(family)


@pytest.mark.parametrize("case", INGRESS)
def test_at_ingress(line, case):
    """One interface's packets are the kernel's, the other's the program's."""
    setup, undo, name = INGRESS[case]
    with present(line, setup, undo):
        wait_until("it is not accelerated", lambda: line.accelerated(IN) == (False, False), SOON)
        assert line.shown(IN)["bypass"] == [name]
        assert line.accelerated(OUT) == BOTH and line.shown(OUT)["bypass"] == []
        for family in (0, 1):
            line.by_kernel(family)
    wait_until("it is accelerated again", lambda: line.accelerated(IN) == BOTH, SOON)
    line.by_program(0)


@pytest.mark.parametrize("case", EGRESS)
def test_at_egress(line, case):
    """Packets out of the interface are left to the kernel, wherever they came in."""
    setup, undo, name = EGRESS[case]
    with present(line, setup, undo):
        wait_until("packets out of it are the kernel's", lambda: line.shown(OUT)["outToKernel"], SOON)
        assert line.shown(OUT)["bypass"] == [name] and "out of it: " in line.shown(OUT)["reason"]
        assert line.accelerated(IN) == BOTH and line.accelerated(OUT) == BOTH
        for family in (0, 1):
            line.by_kernel(family)
        # the other way does not meet it
        before = line.r1.transit()[0]
        assert datagrams(line.h2, line.h1, "10.0.1.2", count=200)["lost"] == 0
        assert line.r1.transit()[0] - before >= 198
    wait_until("packets out of it are the program's", lambda: not line.shown(OUT)["outToKernel"], SOON)
    for family in (0, 1):
        line.by_program(family)


def test_firewall_drops(line):
    """The rule that is bypassed no longer does what it is there for: nothing comes through."""
    setup = netfilter("inet", "forward", "rule {family} t c udp dport 1024-65535 drop")
    with present(line, setup, ["nft delete table inet t"]):
        wait_until("it is not accelerated", lambda: line.accelerated(IN) == (False, False), SOON)
        for address in FAR:
            seen, program, _ = line.send(address)
            assert seen["received"] == 0 and program == 0, seen


def test_policy_without_rules(line):
    """A chain that drops by its policy does something although it is empty."""
    with present(line, netfilter("ip", "forward", "", policy="drop"), ["nft delete table ip t"]):
        wait_until("IPv4 is not accelerated", lambda: line.accelerated(IN) == V6, SOON)
        assert line.send(FAR[0])[0]["received"] == 0


def test_ipsec_by_default(line):
    """Without a policy nothing is forwarded: then the kernel has to be asked."""
    with present(line, ["ip xfrm policy setdefault fwd block"], ["ip xfrm policy setdefault fwd accept"]):
        wait_until("it is not accelerated", lambda: line.accelerated(IN) == (False, False), SOON)
        assert line.shown(IN)["bypass"] == ["xfrm"] and line.send(FAR[0])[0]["received"] == 0


def test_what_does_nothing(line):
    """Empty chains that accept, and chains for the router's own packets: the program goes on."""
    nothing = [*netfilter("inet", "forward", ""), "nft add table ip own",
               "nft add chain ip own c { type filter hook input priority 0 ; }", "nft add rule ip own c counter",
               "nft add chain ip own unused", "nft add rule ip own unused drop",
               "ip xfrm policy add src 192.0.2.0/24 dst 192.0.2.0/24 dir in", f"tc qdisc add dev {IN} clsact",
               # as zebra makes them of BGP FlowSpec, for what the router itself sends, and behind table main
               "ip rule add pref 100 fwmark 0x100 lookup 77 protocol zebra", "ip -6 rule add pref 100 fwmark 1/1 blackhole",
               "ip rule add pref 101 iif lo lookup 77", "ip rule add pref 40000 from all blackhole"]
    rules = ["ip rule del pref 100", "ip rule del pref 101", "ip rule del pref 40000", "ip -6 rule del pref 100"]
    with present(line, nothing,
                 ["nft flush ruleset", "ip xfrm policy flush", f"tc qdisc del dev {IN} clsact", *rules]):
        # what comes after all that was seen: so that was too
        for setup, undo, _, _ in (EVERYWHERE["nft ip6 prerouting"], EVERYWHERE["xfrm fwd"]):
            with present(line, setup, undo):
                wait_until("IPv6 is not accelerated", lambda: line.accelerated(IN) == V4, SOON)
            wait_until("IPv6 is accelerated", lambda: line.accelerated(IN) == BOTH, SOON)
        setup, undo, _ = EGRESS["tbf"]
        with present(line, setup, undo):
            wait_until("the qdisc is seen", lambda: line.shown(OUT)["outToKernel"], SOON)
            assert line.shown(IN)["bypass"] == []
        for family in (0, 1):
            wait_until("next hops are used again", lambda: not line.shown(OUT)["outToKernel"], SOON)
            line.by_program(family)


def test_iptables_legacy(line):
    """The kernel tells of no change there: it is looked at every 15 seconds. Tables that are empty do nothing."""
    if not shutil.which("iptables-legacy"):
        pytest.fail("iptables-legacy is not installed (tools/deps)", pytrace=False)
    for table in ("filter", "mangle", "nat", "raw"):
        # to look at a table makes it
        line.do(f"iptables-legacy -w -t {table} -S", f"ip6tables-legacy -w -t {table} -S")
    rule, policy = "iptables-legacy -w {} FORWARD -d 203.0.113.0/24 -j DROP", "ip6tables-legacy -w -P FORWARD {}"
    with present(line, [rule.format("-A")], [rule.format("-D")]):
        wait_until("IPv4 is not accelerated", lambda: line.accelerated(IN) == V6)
        assert line.shown(IN)["bypass"] == ["iptables"]
        line.by_kernel(0)
        line.by_program(1)
    # a new interface makes that everything is looked at
    with present(line, [policy.format("DROP"), "ip link add extra type veth peer name extra-peer"],
                 [policy.format("ACCEPT"), "ip link del dev extra"]):
        wait_until("IPv6 alone is not accelerated", lambda: line.accelerated(IN) == V4, SOON)
        assert line.send(FAR[1])[0]["received"] == 0
    wait_until("everything is accelerated", lambda: line.accelerated(IN) == BOTH)


def test_present_at_the_start(lab, need_module):
    """What is there before zebra is never bypassed, not even for a moment."""
    line = Line(lab)
    line.do(*netfilter("inet", "forward", "rule {family} t c udp dport 1024-65535 drop"), *EGRESS["tbf"][0])
    line.start()
    wait_until("the interface is shown", lambda: line.shown(IN).get("running"))
    for name in (IN, OUT):
        assert line.accelerated(name) == (False, False), line.shown(name)
    assert line.shown(IN)["bypass"] == ["nftables"] and line.shown(OUT)["bypass"] == ["nftables", "qdisc"]
    assert not any(f"interface {name}: attached" in line.r1.log() for name in (IN, OUT))
    line.do("nft flush ruleset")
    wait_until("it is accelerated", lambda: line.accelerated(IN) == BOTH)
    line.wait_routes()
    line.by_kernel(0)
    line.do(*EGRESS["tbf"][1])
    wait_until("packets out of it are the program's", lambda: not line.shown(OUT)["outToKernel"])
    line.by_program(0)


def test_allowed(lab, need_module):
    """bypass=all: the program forwards what the firewall would drop; its packets still meet the qdisc."""
    line = Line(lab)
    line.start(bypass="all")
    line.wait_routes()
    line.do(*netfilter("inet", "forward", "rule {family} t c udp dport 1024-65535 drop"),
            *EVERYWHERE["ip rule"][0], *EVERYWHERE["xfrm fwd"][0], *INGRESS["tc ingress filter"][0],
            f"tc qdisc add dev {OUT} root tbf rate 1mbit burst 5kb limit 20kb")
    wait_until("all of it is seen", lambda: set(line.shown(OUT)["bypass"]) == {"nftables", "rule", "xfrm", "qdisc"}
               and "tc-ingress" in line.shown(IN)["bypass"])
    for name in (IN, OUT):
        shown = line.shown(name)
        assert line.accelerated(name) == BOTH and shown["bypassAllowed"] and not shown["outToKernel"], shown
        assert "reason" not in shown, shown
    assert "bypasses: nftables, xfrm, rule, tc-ingress" in line.r1.ask("show dplane ebpf interface")
    # 8 Mbit/s into 1
    seen, program, kernel = line.send(FAR[0], count=1000, rate=2000, length=500)
    assert program >= 990 and kernel == 0, (program, kernel)
    assert 0 < seen["received"] < 500, seen
    qdisc = line.r1.sh("tc", "-s", "qdisc", "show", "dev", OUT).stdout
    assert "overlimits 0" not in qdisc and "dropped 0," not in qdisc, qdisc


def test_allowed_on_one(lab, need_module):
    """By name, also of an interface that comes by it later."""
    line = Line(lab)
    line.start(bypass=f"{IN}+later")
    line.wait_routes()
    line.do(*netfilter("inet", "forward"), *EGRESS["tbf"][0])
    wait_until("the other one is not accelerated", lambda: line.accelerated(OUT) == (False, False)
               and line.shown(OUT)["outToKernel"])
    assert line.accelerated(IN) == BOTH and line.shown(IN)["bypass"] == ["nftables"]
    line.by_kernel(0)
    line.do(f"ip link set dev {OUT} down", f"ip link set dev {OUT} name later", "ip link set dev later up")
    wait_until("it may, by its new name", lambda: line.accelerated("later") == BOTH
               and not line.shown("later")["outToKernel"])
    line.do(f"ip link set dev {IN} down", f"ip link set dev {IN} name other", "ip link set dev other up")
    wait_until("it may not, by its new name", lambda: line.shown("other").get("running")
               and line.accelerated("other") == (False, False))
