# SPDX-License-Identifier: GPL-2.0-or-later
"""Three hundred interfaces: all come to be attached, none of them disturbs what is forwarded, nothing of them stays."""

import pytest

import topology
from test_consistency import compare
from topology import wait_until
from traffic import datagrams

MANY = 300


@pytest.fixture
def router(module):
    if not module:
        pytest.skip("DPLANE_EBPF_MODULE=none: nothing to look at")
    with topology.Lab("many", module) as lab:
        made = lab.router("r")
        for host, n in (("a", 1), ("b", 2)):
            lab.link(made, lab.host(host))
            made.sh("ip", "address", "add", f"10.9.{n}.1/24", "dev", f"r-{host}")
            lab.nodes[host].configure(f"{host}-r", [f"10.9.{n}.2/24"], [f"10.9.{n}.1"])
        made.lab = lab
        yield made


def batch(router, lines):
    path = router.lab.directory / "batch"
    path.write_text("".join(line + "\n" for line in lines))
    router.sh("ip", "-batch", path, timeout=120)


def make(router):
    batch(router, [line for n in range(MANY) for line in (
        f"link add dev m{n} type veth peer name p{n}", f"link set dev m{n} up", f"link set dev p{n} up",
        f"address add 10.{20 + n // 250}.{n % 250}.1/24 dev m{n}")])


def attached(router):
    return sum(interface["ipv4Accelerated"] for interface in router.ask_json("show dplane ebpf interface json").values())


def all_by_ebpf(router):
    """Some hundred datagrams arrive, all of them sent on by the program."""
    hosts = router.lab.nodes
    before = router.transit()[0]
    hosts["a"].sh("ping", "-n", "-q", "-c", "1", "-W", "2", "10.9.2.2")
    result = datagrams(hosts["a"], hosts["b"], "10.9.2.2", 300)
    assert result["lost"] == 0, result
    assert router.transit()[0] - before >= 300


def test_three_hundred_interfaces(router):
    make(router)
    router.start()
    wait_until("all are attached", lambda: attached(router) >= MANY, timeout=120)
    all_by_ebpf(router)
    batch(router, [f"link del dev m{n}" for n in range(MANY)])
    wait_until("none of them is left",
               lambda: len(router.ask_json("show dplane ebpf interface json")) == 3, timeout=60)
    all_by_ebpf(router)
    make(router)
    wait_until("all are attached again", lambda: attached(router) >= MANY, timeout=120)
    result = compare(router)
    assert result["differences"] == 0, result
