# SPDX-License-Identifier: GPL-2.0-or-later
"""Two routers alike: one with the kernel alone, the reference, and one with the module (net.py). Both are made once.

The topology's and the traffic's machinery is that of tests/router.
"""

import os
import sys
from pathlib import Path

import pytest

ROUTER = Path(__file__).resolve().parents[1] / "router"
BUILD = Path(os.environ.get("DPLANE_EBPF_BUILD", Path(__file__).resolve().parents[2] / "build"))
sys.path.insert(0, str(ROUTER))
os.environ.setdefault("DPLANE_EBPF_WITNESS", str(BUILD / "tests" / "router" / "witness"))

import net  # noqa: E402, below what it needs


@pytest.fixture(scope="session")
def module():
    """The module as built."""
    path = BUILD / "dplane_ebpf" / ".libs" / "dplane_ebpf.so"
    assert path.exists(), f"{path} does not exist: build it (tools/build)"
    return path


@pytest.fixture(scope="session")
def pair(module):
    """Both routers with their hosts."""
    with net.Net("alone") as alone, net.Net("ours", module) as ours:
        yield net.Pair(alone, ours)


@pytest.fixture
def both(pair):
    """The same, as a test finds it and leaves it: what it changed is undone, and the tables are as zebra has them."""
    yield pair
    pair.restore()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failed test shows what zebra logged last."""
    report = (yield).get_result()
    pair = item.funcargs.get("both")
    if report.failed and pair and pair.ours.r1.pid("zebra"):
        r1 = pair.ours.r1
        report.sections.append(("zebra.log", "\n".join(r1.log().splitlines()[-20:])))
        for command in ("show dplane ebpf interface", "show dplane ebpf counters"):
            report.sections.append((command, r1.ask(command)))
