# SPDX-License-Identifier: GPL-2.0-or-later
"""One network for all tests (network.py), built once; each test finds it steady and leaves it so.

DPLANE_EBPF_MODULE   the module under test; "none" runs FRR as it is, the reference: then nothing is asserted
                     about what the program counted
DPLANE_EBPF_VTYSH    the vtysh extension
DPLANE_EBPF_WITNESS  witness, as built; without it the compiler is called
DPLANE_EBPF_NETCONF  the NETCONF server's module
DPLANE_EBPF_BUSY     busy.c, as built
"""

import os
import signal
from contextlib import contextmanager
from pathlib import Path

import pytest

import network
import topology


def pytest_configure(config):
    # a terminated run cleans up as an interrupted one does
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))


@pytest.fixture(scope="session")
def module():
    value = os.environ.get("DPLANE_EBPF_MODULE")
    if os.geteuid() != 0:
        pytest.fail("these tests need root: namespaces, FRR daemons, eBPF", pytrace=False)
    if not value:
        pytest.fail("DPLANE_EBPF_MODULE is not set: the path of dplane_ebpf.so, or 'none' for FRR without it",
                    pytrace=False)
    if value == "none":
        return None
    if not Path(value).exists():
        pytest.fail(f"DPLANE_EBPF_MODULE={value} does not exist: build it (tools/build)", pytrace=False)
    return value


@pytest.fixture
def need_module(module):
    if not module:
        pytest.skip("DPLANE_EBPF_MODULE=none: nothing to look at")
    return module


class Net:
    """The network's nodes as attributes, and what the tests ask of all of them."""

    def __init__(self, lab):
        self.lab = lab
        self.__dict__.update(lab.nodes)
        self.routers = [node for node in lab.nodes.values() if isinstance(node, topology.Router)]

    def wait_steady(self):
        network.wait_steady(self.lab)

    def counters(self, *routers):
        """Sums over routers, by counter."""
        total = {}
        for router in routers:
            for name, packets in router.counters().items():
                total[name] = total.get(name, 0) + packets
        return total

    @contextmanager
    def forwarded_by_ebpf(self, expected, *groups):
        """
        At least 99 % of the packets that the block sends go through the program, on each group of routers: a
        router, or several between which the flows are spread. expected is a number, or a function called
        after the block.
        """
        groups = [group if isinstance(group, tuple) else (group,) for group in groups]
        before = [self.counters(*group) for group in groups]
        yield
        if not self.lab.module:
            return
        packets = expected() if callable(expected) else expected
        for group, old in zip(groups, before):
            new = self.counters(*group)
            names = "+".join(router.name for router in group)
            changed = {name: new[name] - old.get(name, 0) for name in new if new[name] != old.get(name, 0)}
            forwarded = sum(changed.get(name, 0) for name in topology.FORWARDED)
            missed = sum(changed.get(name, 0) for name in topology.TRANSIT_BY_KERNEL)
            assert forwarded >= 0.99 * packets, f"{names}: {forwarded} of {packets} forwarded: {changed}"
            assert missed <= 0.01 * packets, f"{names}: {missed} of {packets} left to the kernel: {changed}"


@pytest.fixture(scope="session")
def whole_net(module):
    with topology.Lab("test", module) as lab:
        network.build(lab)
        yield Net(lab)


@pytest.fixture
def net(whole_net):
    whole_net.wait_steady()
    return whole_net


@pytest.fixture
def lab(module):
    """A lab of a test's own."""
    with topology.Lab("single", module) as own:
        yield own


@pytest.fixture(scope="module")
def doors(request, module, tmp_path_factory):
    """A router with nothing but zebra, to be configured by every door: one for all tests of a file."""
    import doors as of_router
    if not module:
        pytest.skip("DPLANE_EBPF_MODULE=none: nothing to configure")
    name = request.module.__name__.removeprefix("test_")
    with of_router.configurable(name, module, tmp_path_factory.mktemp(name)) as made:
        yield made


@pytest.fixture(scope="session")
def users():
    """Accounts for NETCONF."""
    import netconf  # which wants ncclient, and the other tests do not
    with netconf.Users() as made:
        yield made


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failed test shows what zebra logged last."""
    report = (yield).get_result()
    if not report.failed:
        return
    for name in ("whole_net", "lab"):
        holder = item.funcargs.get(name)
        if name == "whole_net" and holder is None:
            holder = item.funcargs.get("net")
        lab = getattr(holder, "lab", holder)
        for node in lab.nodes.values() if lab else ():
            if isinstance(node, topology.Router):
                lines = [line for line in node.log().splitlines() if "bids fair" not in line]
                report.sections.append((f"zebra.log of {node.name}", "\n".join(lines[-10:])))
