#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""The shortest way from a route to a packet, for any version of FRR (tools/suite): h1 - r1 - h2, a static route of
FRR's and one that zebra learns from the kernel, datagrams over each, and what the program counted; then configuration by vtysh, by
file and over NETCONF.

smoke.py MODULE [COUNT]
    MODULE   "none": FRR as it is. Otherwise as built: what belongs to it is found beside it
    COUNT    datagrams to each of four addresses [2000]
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from topology import Lab, LabError, wait_until
from traffic import datagrams

CONFIG = """
interface r1-h1
 ip address 10.0.1.1/24
 ipv6 address 2001:db8:1::1/64
exit
interface r1-h2
 ip address 10.0.2.1/24
 ipv6 address 2001:db8:2::1/64
exit
ip route 198.51.100.0/25 10.0.2.2
ipv6 route 2001:db8:100::/48 2001:db8:2::2
"""


def look_at_tables(r1):
    """What zebra says of its routes is said once, and a kernel's route that goes away leaves the tables too."""
    told = r1.ask_json("show dplane ebpf summary json")["zebra"]["routeSets"]
    if told > 200:
        raise LabError(f"zebra told of {told} routes, and has a dozen")
    r1.sh("ip", "route", "del", "198.51.100.128/25")
    wait_until("the kernel's route leaves the tables", lambda: r1.ask_json(
        "show dplane ebpf route 198.51.100.200 json").get("prefix") != "198.51.100.128/25")
    result = wait_until("the tables are compared", lambda: compared(r1))
    if result["differences"] or result["compared"]["ipv4"]["zebra"] < 3:
        raise LabError(f"the tables differ: {result}")


def compared(r1):
    status = r1.ask_json("show dplane ebpf consistency json")
    return status["result"] if status["state"] == "done" else None


def demand(what, true):
    if not true:
        raise LabError(what)


class Configuration:
    """Set, show, write, restart, and NETCONF."""

    LINES = ("dplane ebpf hold-time 30", "dplane ebpf link-metric r1-h2 metric 20",
             "dplane ebpf link-metric r1-h2 10.0.2.2 drain")

    def __init__(self, r1, build):
        self.r1 = r1
        self.extension = build / "vtysh" / ".libs" / "dplane_ebpf_vtysh.so"
        self.directory = Path("/etc/frr") / r1.ns
        os.environ["DPLANE_EBPF_NETCONF"] = str(build / "netconf" / ".libs" / "libfrr-dplane-ebpf.so")

    def vtysh(self, *commands):
        return self.r1.vtysh(*commands, preload=self.extension)

    def lines(self):
        return tuple(line for line in self.vtysh("show running-config").splitlines() if "dplane ebpf" in line)

    def by_vtysh(self):
        self.vtysh("configure terminal", *self.LINES)
        demand(f"running configuration: {self.lines()}", self.lines() == self.LINES)
        links = {link["interface"]: link for link in self.r1.ask_json("show dplane ebpf link-metric json")}
        demand(f"metric in force: {links}", links["r1-h2"]["effective"]["metric"] == 20)
        said = self.r1.ask("show yang operational-data /frr-dplane-ebpf:dplane-ebpf")
        demand(f"operational state: {said[:300]}", '"metric": 20' in said and '"state"' in said)

    def by_file(self):
        self.directory.mkdir(exist_ok=True)
        (self.directory / "vtysh.conf").write_text("service integrated-vtysh-config\n")
        shutil.chown(self.directory, "frr", "frr")
        self.vtysh("write memory")
        self.r1.stop_daemon("zebra")
        self.r1.start_daemon("zebra")
        done = subprocess.run(["vtysh", "-N", self.r1.ns, "-b"], capture_output=True, text=True, check=False,
                              env=dict(os.environ, LD_PRELOAD=str(self.extension)), timeout=60)
        demand(f"read at boot: {self.lines()} {done.stdout} {done.stderr}", self.lines() == self.LINES)

    def by_netconf(self):
        """What came of it, in words."""
        import netconf
        with netconf.Users(), netconf.Server(self.r1) as server:
            try:
                session = server.connect()
            except netconf.NoSessions as reason:
                return f"NETCONF not tried: {reason}"
            demand("NETCONF shows what vtysh set",
                   ("/link-metrics/link[r1-h2]/metric", "20") in netconf.configuration(session))
            netconf.edit(session, netconf.link("r1-h2", "", "delete"))
            netconf.edit(session, netconf.link("r1-h1", "<weight>3</weight>"))
            session.commit()
            demand(f"after a commit: {self.lines()}",
                   self.lines() == (self.LINES[0], "dplane ebpf link-metric r1-h1 weight 3"))
            demand("NETCONF's state", netconf.state(session, "<running/>") is not None)
            try:
                netconf.edit(session, netconf.link("r1-h1", "<expires>2026-02-31T00:00:00Z</expires>"))
                session.commit()
                raise LabError("zebra's refusal is none of NETCONF's")
            except netconf.RPCError as error:
                demand(f"the refusal names the leaf: {error}", "expires" in str(error.path) + str(error.message))
        return "over NETCONF"

    def look(self):
        try:
            self.by_vtysh()
            self.by_file()
            by_netconf = self.by_netconf()
        finally:
            shutil.rmtree(self.directory, ignore_errors=True)
        print(f"configured by vtysh, by file; {by_netconf}")


def main(module, count=2000):
    count = int(count)
    with Lab("smoke", None if module == "none" else module) as lab:
        h1, h2, r1 = lab.host("h1"), lab.host("h2"), lab.router("r1", config=CONFIG)
        for host, n in ((h1, 1), (h2, 2)):
            lab.link(r1, host)
            host.configure(f"{host.name}-r1", [f"10.0.{n}.2/24", f"2001:db8:{n}::2/64"],
                           [f"10.0.{n}.1", f"2001:db8:{n}::1"])
        targets = ("198.51.100.9", "198.51.100.200", "2001:db8:100::9", "2001:db8:200::9")
        for address in targets:
            h2.sh("ip", "address", "add", f"{address}/{128 if ':' in address else 32}", "dev", "lo")
        r1.start()
        # FRR 10 configures addresses after vtysh has ended
        wait_until("r1 has its addresses", lambda: r1.sh("ip", "-o", "address", "show", "scope", "global")
                   .stdout.count("scope global") == 4)
        for prefix, gateway in (("198.51.100.128/25", "10.0.2.2"), ("2001:db8:200::/48", "2001:db8:2::2")):
            r1.sh("ip", "route", "add", prefix, "via", gateway)
        for address in targets:
            command = f"show {'ipv6' if ':' in address else 'ip'} route {address}"
            wait_until(f"zebra has a route to {address}",
                       lambda command=command: "Known via" in r1.ask(command))
            wait_until(f"the kernel has a route to {address}", lambda address=address: r1.sh(
                "ip", "route", "get", address, check=False).returncode == 0)
            # the first packets resolve neighbours
            datagrams(h1, h2, address, count=10, flows=1)

        before = r1.transit()
        for address in targets:
            seen = datagrams(h1, h2, address, count=count)
            if (seen["lost"], seen["doubled"], seen["ttlLow"], seen["ttlHigh"]) != (0, 0, 63, 63):
                raise LabError(f"datagrams to {address}: {seen}")
        forwarded, by_kernel = (now - then for now, then in zip(r1.transit(), before))
        sent = count * len(targets)
        version = r1.ask("show version").split()[1]
        print(f"FRR {version}: {sent} datagrams, none lost, {forwarded} forwarded by eBPF, {by_kernel} by the kernel")
        if module != "none" and forwarded < 0.99 * sent:
            raise LabError(f"less than 99 % by eBPF: {r1.counters()}\n{r1.log()}")
        if module != "none":
            look_at_tables(r1)
            Configuration(r1, Path(module).resolve().parents[2]).look()


try:
    main(*sys.argv[1:])
except LabError as error:
    sys.exit(f"smoke: {error}")
