# SPDX-License-Identifier: GPL-2.0-or-later
"""The show commands: on zebra's own socket, and in stock vtysh with the extension."""

import json
import os
from pathlib import Path

import pytest

from network import HOSTS
from traffic import datagrams

COMMANDS = ("summary", "nexthop", "group", "interface", "counters", "route 10.0.2.0/24",
            "route 10.0.2.2", "route vrf default 10.0.2.2", "route 2001:db8:2::/64", "route 2001:db8:2::2")


@pytest.fixture
def extension(need_module):
    path = os.environ.get("DPLANE_EBPF_VTYSH")
    if not path or not Path(path).exists():
        pytest.fail("DPLANE_EBPF_VTYSH is not the path of the vtysh extension: build it (tools/build)",
                    pytrace=False)
    return Path(path).resolve()


@pytest.mark.parametrize("command", COMMANDS)
def test_in_vtysh(net, extension, command):
    """vtysh knows the command, and shows what zebra itself says."""
    text = net.r1.vtysh(f"show dplane ebpf {command}", preload=extension)
    assert text.strip() and "Unknown command" not in text, text
    shown = json.loads(net.r1.vtysh(f"show dplane ebpf {command} json", preload=extension))
    own = net.r1.ask_json(f"show dplane ebpf {command} json")
    assert isinstance(shown, (dict, list)) and type(shown) is type(own)
    if isinstance(shown, dict):
        assert shown.keys() == own.keys()


def test_stock_vtysh_still_works_with_the_extension(net, extension):
    assert "10.0.2.0/24" in net.r1.vtysh("show ip route", preload=extension)


@pytest.mark.parametrize("family", (0, 1), ids=("IPv4", "IPv6"))
def test_route_shows_both_paths(net, need_module, family):
    """A host's address is found by its network's prefix, with two members and their interfaces."""
    text = net.r1.ask(f"show dplane ebpf route {HOSTS['h2'][family]}")
    assert ("10.0.2.0/24", "2001:db8:2::/64")[family] in text, text
    assert "r1-r2" in text and "r1-r3" in text, text


def test_interfaces_are_attached(net, need_module):
    text = net.r1.ask("show dplane ebpf interface")
    for interface in ("r1-h1", "r1-r2", "r1-r3"):
        assert interface in text, text


def test_counters_count(net, need_module):
    before = net.r1.counters()["forwarded"]
    datagrams(net.h1, net.h2, HOSTS["h2"][0], count=100)
    assert net.r1.counters()["forwarded"] - before >= 99


def test_unknown_vrf(net, need_module):
    assert "No VRF" in net.r1.ask("show dplane ebpf route vrf blue 10.0.2.2")
