# SPDX-License-Identifier: GPL-2.0-or-later
"""zebra -n: VRFs are network namespaces. What is in them has interface numbers of its own, which mean nothing to us."""

import subprocess
import sys
from pathlib import Path

import pytest

import topology
from topology import wait_until
from traffic import datagrams

CAPTURE = Path(__file__).with_name("capture.py")
CONFIG = """
interface r1-h1
 ip address 10.0.1.1/24
exit
interface r1-h2
 ip address 10.0.2.1/24
exit
ip route 198.51.100.0/24 10.0.2.2
vrf red
 ip route 203.0.113.0/24 10.8.0.2
exit-vrf
"""

# In a mount namespace of its own zebra sees one named namespace, not those of other tests: of all it would
# sweep the routes that a zebra made.
ONLY_RED = """
set -e
mount --make-rprivate /
d=$(mktemp -d)
mount -t tmpfs none "$d"
: > "$d/red"
mount --bind "$1" "$d/red"
mount --rbind "$d" /run/netns
shift
exec "$@"
"""


class Router(topology.Router):
    red = None

    def inside(self, *command):
        whole = super().inside(*command)
        if Path(str(command[0])).name == "zebra":
            return [*whole[:2], "unshare", "-m", "sh", "-c", ONLY_RED, "sh", f"/run/netns/{self.red.ns}", *whole[2:]]
        return whole


def arp_targets(frames):
    """Who was asked for, in lines of hexadecimal digits."""
    asked = set()
    for line in frames.splitlines():
        frame = bytes.fromhex(line)
        if frame[12:14] == b"\x08\x06" and frame[20:22] == b"\x00\x01":
            asked.add(".".join(map(str, frame[38:42])))
    return asked


def test_next_hops_of_others(module):
    """A route of a VRF goes by interface 2 of its namespace: nobody is asked for its gateway on interface 2 of ours."""
    if not module:
        pytest.skip("DPLANE_EBPF_MODULE=none: nothing to look at")
    with topology.Lab("netns", module) as lab:
        r1 = lab.nodes["r1"] = Router(lab, "r1", config=CONFIG)
        h1, h2, h3 = (lab.host(name) for name in ("h1", "h2", "h3"))
        r1.red = red = lab.host("red")
        lab.link(r1, h1)
        lab.link(r1, h2)
        lab.link(red, h3)
        red.sh("ip", "address", "add", "10.8.0.1/24", "dev", "red-h3")
        h3.sh("ip", "address", "add", "10.8.0.2/24", "dev", "h3-red")
        h1.configure("h1-r1", ["10.0.1.2/24"], ["10.0.1.1"])
        h2.configure("h2-r1", ["10.0.2.2/24", "198.51.100.9/32"], ["10.0.2.1"])
        numbers = [node.ip_json("link", "show", "dev", name)[0]["ifindex"]
                   for node, name in ((r1, "r1-h1"), (red, "red-h3"))]
        assert numbers[0] == numbers[1], "the test needs one number in both"
        capture = h1.popen(sys.executable, CAPTURE, "h1-r1")
        assert capture.stderr.readline().strip() == "ready"

        help_text = subprocess.run([topology.FRR_BIN / "zebra", "--help"], capture_output=True, text=True,
                                   check=False).stdout
        flag = next(line.split(",")[0].strip() for line in help_text.splitlines() if "vrfwnetns" in line)
        r1.start(flag)
        wait_until("the kernel has the VRF's route", lambda: red.ip_json("route", "show", "203.0.113.0/24"))
        wait_until("ours is forwarded", lambda: datagrams(h1, h2, "198.51.100.9", count=20)["lost"] == 0)
        # what comes later is there, so what came before is
        r1.vtysh("configure terminal", "ip route 192.0.2.0/24 10.0.1.77")
        wait_until("the gateway of a later route is asked for",
                   lambda: any(hop.get("gateway") == "10.0.1.77"
                               for hop in r1.ask_json("show dplane ebpf nexthop json")))
        wait_until("the program forwards", lambda: forwards(r1, h1, h2))
        gateways = [hop.get("gateway") for hop in r1.ask_json("show dplane ebpf nexthop json")]
        assert "10.0.2.2" in gateways and "10.8.0.2" not in gateways, gateways
        assert r1.ask_json("show dplane ebpf summary json")["zebra"]["ignoredVrf"] > 0
        capture.terminate()
        asked = arp_targets(capture.communicate()[0])
        assert "10.0.1.77" in asked and "10.8.0.2" not in asked, asked


def forwards(r1, h1, h2):
    before = r1.transit()[0]
    datagrams(h1, h2, "198.51.100.9", count=50)
    return r1.transit()[0] - before >= 49
