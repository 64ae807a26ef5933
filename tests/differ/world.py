# SPDX-License-Identifier: GPL-2.0-or-later
"""The router that is asked, what is around it, and what can be done to it.

A router with FRR's zebra and staticd and six Ethernet links, e0 to e5, whose far ends, p0 to p5, stand in a namespace
that answers nothing. On link N are the networks 10.9.N.0/24 and 2001:db8:N::/64; hosts 2 to 5 of each have a permanent
neighbour entry with a MAC address that names link, family and host, so that the MAC address of a frame tells which
next hop it goes to. A default route of zebra's goes by e0.

Commands are lines of text, so that what was done can be printed, read, and done again:

    ip ...          in the router; sysctl KEY=VALUE likewise
    peer ip ...     at the far ends
    zebra LINE; LINE...
                    lines of configuration
    many add|del COUNT PREFIX ARGUMENTS
                    that many routes of PREFIX's length from PREFIX on, at once
    make eN         the link, if it is gone, and what belongs to it, again
    wait SECONDS
"""

import ipaddress
import json
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "router"))

import topology  # noqa: E402

LINKS = 6
HOSTS = (2, 3, 4, 5)

CONFIG = "".join(f"""
interface e{n}
 ip address 10.9.{n}.1/24
 ipv6 address 2001:db8:{n}::1/64
exit""" for n in range(3)) + """
interface lo
 ip address 10.255.9.1/32
 ipv6 address 2001:db8:ff::9/128
exit
ip route 0.0.0.0/0 10.9.0.2
ipv6 route ::/0 2001:db8:0::2
ip route 198.18.0.0/15 10.9.1.2
ipv6 route 2001:db8:f000::/36 2001:db8:1::2
"""

# nested, so that one command changes what another one's prefix has below it
PREFIXES4 = ["0.0.0.0/0", "198.18.0.0/15", "198.18.0.0/16", "198.18.64.0/18", "198.18.64.0/20", "198.18.64.0/24",
             "198.18.64.128/25", "198.18.64.192/28", "198.18.64.200/30", "198.18.64.200/32", "203.0.113.0/24",
             "203.0.113.64/26", "203.0.113.77/32", "100.64.0.0/10", "100.64.0.0/12", "100.64.32.0/22"]
PREFIXES6 = ["::/0", "2001:db8:f000::/36", "2001:db8:f000::/40", "2001:db8:f040::/44", "2001:db8:f040::/48",
             "2001:db8:f040:100::/56", "2001:db8:f040:142::/64", "2001:db8:f040:142::/96",
             "2001:db8:f040:142::6/127", "2001:db8:f040:142::7/128", "fd00::/8", "fd00:1200::/24",
             "fd00:1234::/48", "fd00:1234::77/128"]
CONNECTED = [f"10.9.{n}.0/24" for n in range(LINKS)] + [f"2001:db8:{n}::/64" for n in range(LINKS)]
OWN = [f"10.9.{n}.1" for n in range(LINKS)] + [f"2001:db8:{n}::1" for n in range(LINKS)] + \
    ["10.255.9.1", "2001:db8:ff::9"]
NEIGHBOURS = [f"10.9.{n}.{h}" for n in range(LINKS) for h in HOSTS] + \
    [f"2001:db8:{n}::{h}" for n in range(LINKS) for h in HOSTS]
# what commands add elsewhere: more networks and addresses
EXTRA = ["10.77.0.0/24", "10.77.1.0/24", "10.77.1.0/29", "10.77.0.96/29", "10.77.1.96/29", "10.255.9.2", "2001:db8:77::/64",
         "2001:db8:77::60/125", "2001:db8:77::68/125", "2001:db8:ff::a"]
MARTIANS = ["0.0.0.1", "127.0.0.1", "224.0.0.1", "255.255.255.255", "240.0.0.1", "::", "::1", "ff02::1", "fe80::2",
            "::ffff:10.9.1.2"]


def pools(own_sources=True):
    """Lines for the engine: where packets come in, from and to."""
    yield "pools"
    if not own_sources:
        yield "foreign"
    for n in range(LINKS):
        yield f"iif e{n}"
        yield f"iif x{n}"
    for prefix in PREFIXES4 + PREFIXES6:
        yield f"dst {prefix}"
        yield f"dst {prefix}"
        yield f"src {prefix}"
    for address in CONNECTED + OWN + NEIGHBOURS + EXTRA:
        yield f"dst {address}"
    for address in OWN + EXTRA + MARTIANS:
        yield f"src {address}"
    for address in MARTIANS:
        yield f"dst {address}"
    for address in NEIGHBOURS:
        yield f"host {address}"


def mac(address):
    """The MAC address of a host: unique, and readable."""
    address = ipaddress.ip_address(address)
    tail = address.packed[-3:] if address.version == 4 else address.packed[4:6] + address.packed[-1:]
    return ":".join(f"{byte:02x}" for byte in (2, address.version, 0, *tail))


class World:
    """The lab and the engine in it. A context manager: all is made anew, and removed at its end."""

    def __init__(self, module, engine, name="differ", own_sources=True):
        self.lab = topology.Lab(name, module)
        self.program = engine
        self.engine = None
        self.own_sources = own_sources

    def __enter__(self):
        self.lab.__enter__()
        try:
            self._make()
        except BaseException:
            self.lab.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.lab.__exit__()

    def _make(self):
        self.outside = topology.Node(self.lab, "outside")
        self.lab.nodes["outside"] = self.outside
        self.outside.sysctl({"net.ipv6.conf.all.disable_ipv6": 1, "net.ipv6.conf.default.disable_ipv6": 1})
        self.router = self.lab.router("r", config=CONFIG)
        for n in range(LINKS):
            self._link(n)
        # the kernel tells of a carrier with a delay, and of what came within it at once
        topology.wait_until("the links have carrier", lambda: all(
            link["operstate"] == "UP" for link in self.router.ip_json("link", "show") if link["ifname"] != "lo"))
        self.router.start()
        self.router.sh("ip", "-force", "-batch", "-", input="".join(
            line for n in range(LINKS) for line in self._settings(n)))
        self.engine = self.router.popen(self.program, self.router.pin, stdin=subprocess.PIPE, stderr=None)
        self._tell(*pools(self.own_sources))
        self.quiet(0.2)

    def _link(self, n):
        """A pair of interfaces; their MAC addresses name them."""
        topology.run("ip", "link", "add", f"e{n}", "address", f"02:e0:00:00:00:{n:02x}", "netns", self.router.ns,
                     "type", "veth", "peer", "name", f"p{n}", "address", f"02:f0:00:00:00:{n:02x}",
                     "netns", self.outside.ns)
        self.outside.sh("ip", "link", "set", "dev", f"p{n}", "up")
        self.router.sh("ip", "link", "set", "dev", f"e{n}", "up")

    @staticmethod
    def _settings(n):
        """What is not zebra's on a link: its addresses on half of them, and neighbours."""
        if n >= 3:
            yield f"address add 10.9.{n}.1/24 dev e{n}\n"
            yield f"address add 2001:db8:{n}::1/64 dev e{n} nodad\n"
        # in networks that commands put on the link (kinds.py)
        for address in (f"10.77.{n % 2}.{n + 100}", f"10.77.1.{n + 1}", f"2001:db8:77::{n + 100:x}"):
            yield f"neighbour replace {address} lladdr {mac(address)} nud permanent dev e{n}\n"
        for host in HOSTS:
            for address in (f"10.9.{n}.{host}", f"2001:db8:{n}::{host}", f"fe80::{n + 10}:{host}"):
                yield f"neighbour replace {address} lladdr {mac(address)} nud permanent dev e{n}\n"

    # ---- commands

    def do(self, commands):
        """Does what the lines say, in order. What the kernel or FRR refuses is no failure: anybody may try."""
        lines = []
        for command in [*commands, "end"]:
            kind, _, rest = command.partition(" ")
            if kind == "zebra":
                lines.append(rest)
                continue
            if lines:
                self.router.vtysh("configure terminal", *(part.strip() for line in lines for part in line.split(";")),
                                  check=False)
                lines = []
            if kind != "end":
                self._do(kind, rest)

    def _do(self, kind, rest):
        if kind == "ip":
            self.router.sh("ip", *rest.split(), check=False)
        elif kind == "sysctl":
            self.router.sh("sysctl", "-qw", rest, check=False)
        elif kind == "peer":
            self.outside.sh(*rest.split(), check=False)
        elif kind == "wait":
            time.sleep(float(rest))
        elif kind == "many":
            self._many(*rest.split(maxsplit=3))
        elif kind == "make":
            self._remake(int(rest[1:]))
        else:
            raise topology.LabError(f"no such command: {kind} {rest}")

    def _many(self, verb, count, prefix, arguments):
        first = ipaddress.ip_network(prefix)
        step = 1 << (first.max_prefixlen - first.prefixlen)
        family = "-6" if first.version == 6 else "-4"
        lines = "".join(f"route {verb} {first.network_address + n * step}/{first.prefixlen} {arguments}\n"
                        for n in range(int(count)))
        self.router.sh("ip", family, "-force", "-batch", "-", input=lines, check=False)

    def _remake(self, n):
        """A link that was deleted, and what is on it."""
        if self.router.sh("ip", "link", "show", "dev", f"e{n}", check=False).returncode != 0:
            try:
                self._link(n)
            except topology.LabError:
                return  # its name is another's
        self.router.sh("ip", "-force", "-batch", "-", input="".join(self._settings(n)), check=False)

    def quiet(self, least=0.03, timeout=3):
        """Waits until nothing reaches the module any more. Returns how long it took, in seconds."""
        start = time.monotonic()
        time.sleep(least)
        before = None
        while time.monotonic() - start < timeout:
            summary = self.router.ask_json("show dplane ebpf summary json")
            now = (summary.get("netlinkEvents"), json.dumps(summary.get("zebra")))
            if now == before:
                break
            before = now
            time.sleep(0.02)
        return time.monotonic() - start

    # ---- the engine

    def _tell(self, *lines):
        try:
            self.engine.stdin.write("".join(f"{line}\n" for line in lines))
            self.engine.stdin.flush()
        except BrokenPipeError:
            raise topology.LabError("the engine has ended") from None

    def _answer(self):
        line = self.engine.stdout.readline()
        if not line:
            raise topology.LabError("the engine has ended")
        return json.loads(line)

    def run(self, seed, count, wait):
        """Compares count random packets; what differs is asked again for up to wait milliseconds."""
        self._tell(f"run {seed} {count} {wait}")
        return self._answer()

    def freeze(self, seed, count):
        """Keeps what the program says of random packets now."""
        self._tell(f"freeze {seed} {count}")

    def frozen(self):
        """Compares what was kept with what the kernel says now."""
        self._tell("frozen")
        return self._answer()

    def ask(self, packet, wait):
        """Compares one packet."""
        self._tell(f"ask {wait} {packet}")
        return self._answer()
