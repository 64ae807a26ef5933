# SPDX-License-Identifier: GPL-2.0-or-later
"""Whatever is wrong with how the module is loaded: one clear line in zebra's log, and the kernel forwards."""

import os

import pytest

from topology import FRR_BIN, run, wait_until
from traffic import datagrams


def start(lab, module):
    """h1 -- r1 -- h2 with nothing but zebra; module: arguments for -M."""
    h1, h2, r1 = lab.host("h1"), lab.host("h2"), lab.router("r1", config=(
        "interface r1-h1\n ip address 10.0.1.1/24\nexit\ninterface r1-h2\n ip address 10.0.2.1/24\nexit\n"
        "ip route 198.51.100.0/24 10.0.2.2\n"))
    for host, n in ((h1, 1), (h2, 2)):
        lab.link(r1, host)
        host.configure(f"{host.name}-r1", [f"10.0.{n}.2/24"], [f"10.0.{n}.1"])
    h2.sh("ip", "address", "add", "198.51.100.9/32", "dev", "lo")
    r1.start(module=module)
    wait_until("the static route is in the kernel",
               lambda: r1.ip_json("route", "show", "exact", "198.51.100.0/24"))
    return h1, h2, r1


def complaints(router):
    return [line for line in router.log().splitlines() if "dplane_ebpf" in line and "error" in line.lower()
            or "dplane_ebpf" in line and "kernel alone" in line]


BAD = {
    "unknown option": ("nonsense=1", "nonsense"),
    "unknown size": ("size=enormous", "enormous"),
    "no such directory": ("pin=/nonexistent/bpf", "/nonexistent"),
    "no bpffs": ("pin={directory}/plain", "{directory}/plain"),
    "not writable": ("pin={bpffs}/closed/r1", "{bpffs}/closed"),
}


@pytest.mark.parametrize("case", BAD)
def test_module_that_cannot_start(lab, need_module, case):
    option, told = (text.format(directory=lab.directory, bpffs=lab.bpffs) for text in BAD[case])
    (lab.directory / "plain").mkdir()
    (lab.bpffs / "closed").mkdir(mode=0o700)
    os.chmod(lab.bpffs / "closed", 0o700)
    h1, h2, r1 = start(lab, ["-M", f"{lab.module}:{option}"])
    lines = wait_until("the log has a line of the module's", lambda: complaints(r1))
    assert len(lines) == 1, lines
    assert told in lines[0], lines
    seen = datagrams(h1, h2, "198.51.100.9", count=500)
    assert seen["lost"] == 0, seen
    assert not any(line.startswith("forwarded") for line in r1.ask("show dplane ebpf counters").split("\n"))


def test_module_of_another_frr(lab, need_module):
    """The module as it would be, had it been built for another version of FRR: only that string differs."""
    version = run(FRR_BIN / "zebra", "-v").stdout.split()[2]
    other = "9.9.9" + version[5:]
    built = lab.module.read_bytes()
    changed = built.replace(b"\0" + version.encode() + b"\0", b"\0" + other.encode() + b"\0")
    assert changed != built
    (lab.directory / lab.module.name).write_bytes(changed)
    h1, h2, r1 = start(lab, ["-M", f"{lab.directory}/dplane_ebpf.so:size=small,pin={lab.bpffs}/r1"])
    lines = wait_until("the log has a line of the module's", lambda: complaints(r1))
    assert len(lines) == 1 and version in lines[0] and other in lines[0], lines
    assert datagrams(h1, h2, "198.51.100.9", count=500)["lost"] == 0


def test_module_without_its_other_half(lab, need_module):
    (lab.directory / "dplane_ebpf.so").write_bytes(lab.module.read_bytes())
    h1, h2, r1 = start(lab, ["-M", f"{lab.directory}/dplane_ebpf.so:size=small,pin={lab.bpffs}/r1"])
    lines = wait_until("the log has a line of the module's", lambda: complaints(r1))
    assert len(lines) == 1 and "dplane_ebpf_provider.so" in lines[0], lines
    assert datagrams(h1, h2, "198.51.100.9", count=500)["lost"] == 0
