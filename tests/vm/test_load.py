# SPDX-License-Identifier: GPL-2.0-or-later
"""The module on the kernels that distributions ship: the verifier takes the program, and it hangs where it should."""

import platform
import subprocess
import sys

import pytest
from conftest import BUILD, ROUTER
from net import SHARED, SIDES, arrives

# tcx came with Linux 6.6
TCX_SINCE = (6, 6)


def kernel():
    return tuple(int(part) for part in platform.release().split(".")[:2])


def test_smoke(module):
    """Routes, datagrams, vtysh, a restart, NETCONF: tests/router/smoke.py with few datagrams."""
    done = subprocess.run([sys.executable, "-B", str(ROUTER / "smoke.py"), str(module), "100"], capture_output=True,
                          text=True, check=False, timeout=400)
    assert done.returncode == 0, done.stdout + done.stderr
    print(done.stdout)


def test_hook(both):
    """Every interface is attached to, by the hook that this kernel has."""
    hook = "tcx" if kernel() >= TCX_SINCE else "clsact"
    interfaces = both.ours.r1.ask_json("show dplane ebpf interface json")
    for side in SIDES:
        for interface in (f"r1-c-{side}", f"r1-s-{side}"):
            assert (interface, interfaces[interface]["hook"]) == (interface, hook)


@pytest.fixture
def qdisc(both):
    """The interface whose qdisc is to be deleted. The tests behind shall find it attached, come what may."""
    if kernel() >= TCX_SINCE:
        pytest.skip("tcx hangs on no qdisc")
    yield "r1-c-main"
    if "bpf" not in both.ours.r1.sh("tc", "filter", "show", "dev", "r1-c-main", "ingress").stdout:
        both.ours.r1.restart()


def test_a_deleted_qdisc(both, qdisc):
    """Somebody deletes the clsact qdisc and with it our filter: noticed, and mended; meanwhile the kernel forwards."""
    both.ours.r1.sh("tc", "qdisc", "del", "dev", qdisc, "clsact")
    assert both.ours.exchange("main", SHARED[0]) == arrives("main")
    both.ours.reaches("main", SHARED[0], "main", 20, by_ebpf=True, timeout=20)
