# SPDX-License-Identifier: GPL-2.0-or-later
"""A router with several equal ways to the same place: what failures are measured on.

               m1
             /    \\
    src -- r1 - m2 - dst        BORDERS: next hops of routes, themselves reached over some of the ways
             \\    /
               m3

dst has an interface for each way, so the witness tells by which one each datagram came.
"""

import json

from topology import LabError, wait_until
from traffic import Witness, datagrams

SOURCE = "10.0.1.2"
# src, the router, one of m1...: what a datagram's TTL is when it arrives
TTL = 64 - 2


def gateway(way):
    return f"10.1.{way}.2"


def router_config(borders, ways):
    lines = ["hostname r1", "zebra nexthop-group keep 1", "interface r1-src", " ip address 10.0.1.1/24", "exit"]
    for way in range(1, ways + 1):
        lines += [f"interface r1-m{way}", f" ip address 10.1.{way}.1/24", "exit"]
    lines += [f"ip route {border}/32 {gateway(way)}" for border, over in borders.items() for way in over]
    return "\n".join(lines) + "\n"


class Ways:
    """Builds it in a lab; the router is not started yet."""

    def __init__(self, lab, borders, targets, daemons=("zebra", "staticd"), config=""):
        """
        borders: address of a next hop to the numbers of the ways it is reached by. targets: addresses that are to be
        reached behind it all. config: more of the router's.
        """
        self.lab = lab
        self.borders = borders
        self.targets = targets
        self.ways = range(1, max(way for over in borders.values() for way in over) + 1)
        self.source, self.target = lab.host("src"), lab.host("dst")
        self.router = lab.router("r1", daemons=daemons, config=router_config(borders, len(self.ways)) + config)
        lab.link(self.router, self.source)
        self.source.configure("src-r1", [f"{SOURCE}/24"], ["10.0.1.1"])
        self.middle = {way: self._middle(way) for way in self.ways}
        for address in targets:
            self.target.sh("ip", "route", "add", "local", address, "dev", "lo")
        self.way_of = {link["ifindex"]: way for link in self.target.ip_json("link", "show")
                       for way in self.ways if link["ifname"] == f"dst-m{way}"}

    def _middle(self, way):
        """A router without FRR: whatever comes goes on to dst."""
        node = self.lab.host(f"m{way}")
        self.lab.link(self.router, node)
        self.lab.link(node, self.target)
        node.sysctl({"net.ipv4.ip_forward": 1})
        node.configure(f"m{way}-r1", [f"{gateway(way)}/24"], [])
        node.configure(f"m{way}-dst", [f"10.2.{way}.1/24"], [f"10.2.{way}.2"])
        self.target.configure(f"dst-m{way}", [f"10.2.{way}.2/24"], [])
        return node

    def device(self, way):
        return f"r1-m{way}"

    def down(self, way):
        self.router.sh("ip", "link", "set", "dev", self.device(way), "down")

    def up(self, way):
        self.router.sh("ip", "link", "set", "dev", self.device(way), "up")

    def routes(self, address):
        """The kernel's route to an address, none or one."""
        # not "route show", which reads the whole table for one route
        return json.loads(self.router.sh("ip", "-j", "route", "get", address, "fibmatch", check=False).stdout or "[]")

    def kernel_groups(self):
        """The kernel's next-hop groups that routes to the borders and the targets use."""
        return {route["nhid"] for address in (*self.borders, *self.targets) for route in self.routes(address)
                if "nhid" in route}

    def wait_forgotten(self, groups, timeout=60):
        """
        Waits until zebra has deleted those of these groups that are not used any more. Where a link returns before that, zebra
        (8.4.4) uses the group again, and the kernel has taken the member on that link out of it: one way less, for good.
        """
        def forgotten():
            return all(self.router.sh("ip", "nexthop", "show", "id", group, check=False).returncode
                       for group in groups - self.kernel_groups())

        wait_until("zebra has deleted the groups that it does not use any more", forgotten, timeout)

    def kernel_ways(self, address):
        """The ways that the kernel's route to an address has, its next hops' links being up."""
        hops = [hop for route in self.routes(address) for hop in route.get("nexthops", [route])]
        return {int(hop["dev"].removeprefix("r1-m")) for hop in hops
                if hop.get("dev", "").startswith("r1-m") and not {"dead", "linkdown"} & set(hop["flags"])}

    def our_ways(self, address):
        """Those that the program's tables have, which know the neighbour's MAC address and carry traffic."""
        group = self.router.ask_json(f"show dplane ebpf route {address} json").get("group", {})
        return {int(member["interfaceName"].removeprefix("r1-m")) for member in group.get("members", [])
                if member["state"] == "resolved" and member["slots"] and member["interfaceName"].startswith("r1-m")}

    def unsteady(self, over_of, ours):
        """The first address that is not reached over its ways, and what it has instead; None if there is none."""
        for address, over in over_of.items():
            for where, has in (("the kernel", self.kernel_ways), ("the module's tables", self.our_ways)):
                if (ours or has == self.kernel_ways) and has(address) != set(over):
                    return f"{address} is reached over the ways {sorted(has(address))} in {where}, not {sorted(over)}"
        return None

    def wait_steady(self, over_of, timeout=60, ours=None):
        """
        over_of: address to the ways that its packets shall be spread over. Waits until the kernel and the tables say
        so, the neighbours are known, and datagrams come.
        """
        ours = bool(self.lab.module) if ours is None else ours
        for way in self.ways:
            self.router.sh("ping", "-n", "-q", "-c", "1", "-W", "1", gateway(way), check=False)
        try:
            wait_until("every way is used", lambda: not self.unsteady(over_of, ours), timeout)
        except LabError as error:
            raise LabError(f"{error}: {self.unsteady(over_of, ours)}") from error
        wait_until("datagrams come", lambda: datagrams(self.source, self.target, self.targets, count=200,
                                                       flows=64)["lost"] == 0, timeout)

    def witness(self, rate=20000, flows=64):
        return Witness(self.source, self.target, self.targets, rate, flows, ttl=TTL)

    def stray(self):
        """Packets that some node but r1 could not place: a wrong address or no TTL left. Only ever grows."""
        total = 0
        for node in (self.source, self.target, *self.middle.values()):
            names, values = (line.split() for line in node.sh("cat", "/proc/net/snmp").stdout.splitlines()
                             if line.startswith("Ip:"))
            counted = dict(zip(names, values))
            total += sum(int(counted[name]) for name in ("InHdrErrors", "InAddrErrors", "OutNoRoutes"))
        return total

    def astray(self, seen, border_of):
        """Datagrams that came by a way which does not lead to their border. border_of: each target's border."""
        wrong = 0
        for flow, (came, packets) in enumerate(zip(seen["ways"], seen["wayPackets"])):
            over = self.borders[border_of[self.targets[flow % len(self.targets)]]]
            wrong += sum(count for ifindex, count in zip(came, packets) if self.way_of.get(ifindex) not in over)
        return wrong

    def moved(self, seen, way):
        """Flows that did not use the way that failed, and yet changed theirs."""
        return sum(len(came) > 1 and way not in {self.way_of[ifindex] for ifindex in came} for came in seen["ways"])
