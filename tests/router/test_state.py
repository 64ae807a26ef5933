# SPDX-License-Identifier: GPL-2.0-or-later
"""Operational state: what `show` has, FRR's own command and NETCONF have too, and as the YANG module says."""

import json
import re
import subprocess

import pytest
from lxml import etree

import netconf
from doors import TREE, Session, yang_leaves
from topology import Lab, wait_until
from ways import Ways, gateway

YANG = TREE.parents[1] / "yang" / "frr-dplane-ebpf.yang"
ROOT = "/frr-dplane-ebpf:dplane-ebpf"
BORDER, TARGET = "10.255.0.1", "203.0.113.1"
DIFFERS = "203.0.113.128/25"


@pytest.fixture(scope="module")
def router(module):
    """Something of everything: overrides of each kind, a group with weights moved, a difference."""
    if not module:
        pytest.skip("DPLANE_EBPF_MODULE=none: nothing to look at")
    with Lab("state", module) as lab:
        net = Ways(lab, {BORDER: (1, 2)}, [TARGET], config=f"ip route 203.0.113.0/24 {BORDER}\n")
        net.router.start()
        net.wait_steady({TARGET: (1, 2)})
        zebra = Session(net.router)
        for line in ("r1-m1 drain", "r1-m1 packet-loss 0.5", "r1-m2 weight 2", f"r1-m2 {gateway(2)} weight 3", "later0 metric 5",
                     "later0 expires 2026-01-01T00:00:00Z"):
            assert zebra(f"dplane ebpf link-metric {line}"), zebra.said
        # as if it were zebra's, which knows nothing of it
        net.router.sh("ip", "route", "add", DIFFERS, "via", gateway(1), "proto", "196")
        wait_until("the difference is found", lambda: net.router.ask_json(
            "show dplane ebpf consistency json").get("result", {}).get("differences"))
        yield net.router


@pytest.fixture
def said(router):
    """What FRR's own command says, in stock vtysh."""
    return json.loads(router.vtysh(f"show yang operational-data {ROOT} zebra"))


def paths(tree, prefix=""):
    """Every leaf's place, without lists' keys."""
    if isinstance(tree, list):
        return set().union(*(paths(one, prefix) for one in tree)) if any(isinstance(one, (dict, list)) for one in tree) \
            else {prefix}
    if isinstance(tree, dict):
        return set().union(*(paths(below, f"{prefix}/{name.split(':')[-1]}") for name, below in tree.items()))
    return {prefix}


def test_as_the_module_says(said, tmp_path):
    """Each name, type and key, by yanglint."""
    file = tmp_path / "state.json"
    file.write_text(json.dumps(said))
    done = subprocess.run(["yanglint", "-D", "-t", "data", "-f", "json", YANG, file], capture_output=True, text=True,
                          check=False)
    assert done.returncode == 0 and not done.stderr, done.stderr
    # yanglint would be content with nothing, too
    state = json.loads(done.stdout)["frr-dplane-ebpf:dplane-ebpf"]["state"]
    links = {link["interface"]: link for link in state["link-metric"]}
    assert links["r1-m1"]["override-state"] == "in-force" and links["r1-m1"]["effective"]["drain"] is True
    assert {"value": "drain", "from": "link"} in links["r1-m1"]["source"]
    assert {"value": "weight", "from": "next-hop"} in links["r1-m2"]["next-hop"][0]["source"]
    assert links["later0"]["override-state"] == "expired"
    (difference,) = state["consistency"]["difference"]
    assert (difference["prefix"], difference["table"]) == (DIFFERS, 254) and difference["kind"] == ["kernelOnly"]
    assert difference["kernel"] == [f"via {gateway(1)} r1-m1"] and difference["zebra"] == ["none"]


# what is there only in other circumstances: the module does not run, a comparison goes on or failed, there are backups
ABSENT = re.compile("/state/(reason|consistency/(percent|doing|error)|group/member/backup(-by-kernel-only)?|interface/bypass|"
                    ".*/measured/.*|.*/(delay|delay-variation|min-max-delay/.*|.*-bandwidth)|next-hop/effective/packet-loss)$")


def test_each_leaf_has_a_value(said):
    there = paths(said["frr-dplane-ebpf:dplane-ebpf"])
    missing = {leaf for leaf in yang_leaves("ro") - there if not ABSENT.match(leaf)}
    assert not missing and len(there) > 90


@pytest.mark.parametrize("below,expected", [
    ("/state", '"running": "?true'), ("/state/consistency", '"differing": "?1'),
    ("/state/tables", '"groups-steered"'), ("/state/tables/node-pool", '"retired"')])
def test_a_part_of_it(router, below, expected):
    assert re.search(expected, router.vtysh(f"show yang operational-data {ROOT}{below} zebra"))


def test_over_netconf(router, said, users):
    """The same leaves, with the same values where nothing counts on."""
    with netconf.Server(router) as server:
        state = netconf.state(server.connect(), "")

    def plain(element):
        return f"{{{netconf.NAMESPACE}}}{element}"

    def places(element, prefix):
        below = [place for child in element for place in places(child, f"{prefix}/{etree.QName(child).localname}")]
        return below or ([prefix] if element.text else [])

    ours = said["frr-dplane-ebpf:dplane-ebpf"]["state"]
    assert set(places(state, "/state")) == paths(ours, "/state")
    difference = state.find(f"{plain('consistency')}/{plain('difference')}")
    assert difference.findtext(plain("prefix")) == DIFFERS
    for name in ("version", "pin-directory", "built-for-frr"):
        assert state.findtext(plain(name)) == ours[name]


# what has another name in YANG; what is configured, and so is in the configuration's tree; what only names an entry
RENAMED = {"packetsForwarded": "forwarded", "packetsToKernel": "to-kernel", "packetsDropped": "dropped",
           "netlinkEvents": "events", "netlinkResyncs": "resyncs", "netlinkErrors": "errors",
           "differences": "differing", "ageSeconds": "age", "tookSeconds": "took", "kinds": "kind", "members": "member",
           "longestMainThreadMicroseconds": "longest-main-thread", "backups": "backup", "run": "runs", "finished": "age"}
NAMED_BY_ENTRIES = ("zebra", "byKind", "notCompared", "sources")
CONFIGURED = ("configured", "expires", "description")


def members(shown):
    """Names of all members of a JSON object, however deep."""
    if isinstance(shown, list):
        return set().union(*(members(one) for one in shown))
    if not isinstance(shown, dict):
        return set()
    return set().union(*({name} | (set() if name in NAMED_BY_ENTRIES + CONFIGURED else members(below))
                         for name, below in shown.items() if name not in CONFIGURED))


@pytest.mark.parametrize("command", ("summary", "nexthop", "group", "interface", "link-metric", "consistency"))
def test_all_that_is_shown(router, command):
    """Each member of a command's JSON has its leaf, list or container."""
    known = set(re.findall(r"\+--ro ([a-z0-9-]+)", TREE.read_text())) | {"sources", "by-kind", "prefixes", "result"}
    shown = router.ask_json(f"show dplane ebpf {command} json")
    if command == "interface":
        shown = list(shown.values())
    if command == "consistency":
        wait_until("it is compared", lambda: router.ask_json("show dplane ebpf consistency json")["state"] == "done")
        shown = router.ask_json("show dplane ebpf consistency json")
    names = {RENAMED.get(name, re.sub("[A-Z]", lambda letter: "-" + letter[0].lower(), name)) for name in members(shown)}
    assert names and not names - known


def test_names_of_entries(router, said):
    """Counters and contexts are lists of entries with the names that `show` has."""
    state = said["frr-dplane-ebpf:dplane-ebpf"]["state"]
    assert {entry["reason"] for entry in state["counter"]} == set(router.ask_json("show dplane ebpf counters json"))
    assert {entry["name"] for entry in state["context"]} == set(router.ask_json("show dplane ebpf summary json")["zebra"])
