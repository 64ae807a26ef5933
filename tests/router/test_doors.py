# SPDX-License-Identifier: GPL-2.0-or-later
"""Each leaf of the configuration: set by one door, seen by the others, written, read at boot, removed."""

import re

import pytest

import netconf
from doors import yang_leaves
from netconf import configuration, zebra_configuration

KEYS = {"interface": "name", "link": "interface", "next-hop": "address"}

# where, its value over NETCONF, and the line of vtysh's and frr.conf's
LEAVES = [
    ("/enabled", "false", "kernel-only"),
    ("/table-size", "full", "table-size full"),
    ("/kernel-fallback/hold-time", "forever", "hold-time forever"),
    ("/bypass-allowed", "true", "bypass"),
    ("/interface[eth1]/accelerate", "false", "interface eth1 kernel-only"),
    ("/interface[eth1]/bypass-allowed", "true", "interface eth1 bypass"),
]
LEAVES += [(f"{path}/{leaf}", value, f"link-metric {where} {line}")
           for path, where in (("/link-metrics/link[eth2]", "eth2"),
                               ("/link-metrics/link[eth3]/next-hop[192.0.2.1]", "eth3 192.0.2.1"),
                               ("/link-metrics/link[eth3]/next-hop[2001:db8::1]", "eth3 2001:db8::1"))
           for leaf, value, line in (
               ("metric", "16777215", "metric 16777215"), ("delay", "20", "delay 20"),
               ("min-max-delay/delay-min", "0", "min-delay 0"), ("min-max-delay/delay-max", "40", "max-delay 40"),
               ("delay-variation", "7", "delay-variation 7"), ("packet-loss", "50.331642", "packet-loss 50.331642"),
               ("residual-bandwidth", "0x1.2a05f2p+30", "res-bw 1.25e+09"),
               ("available-bandwidth", "0x1p+0", "ava-bw 1"), ("utilized-bandwidth", "0x0p+0", "use-bw 0"),
               ("weight", "3", "weight 3"), ("drain", "", "drain"),
               ("expires", "2030-12-31T23:59:59Z", "expires 2030-12-31T23:59:59Z"),
               ("description", "R&D <lab>: \"50%\" of Bär's", "description R&D <lab>: \"50%\" of Bär's"))]
PREFIX = "dplane ebpf "


def steps(path):
    """Each step's name and key, None where it is no list's."""
    return re.findall(r"/([a-z-]+)(?:\[([^]]*)\])?", path)


def entries(path):
    """The paths of the lists' entries that a leaf is in, the outermost first."""
    return [path[:place.end()] for place in re.finditer(r"\]", path)]


def escaped(text):
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def xml(path, value, operation=None):
    """What an edit says to set a leaf or, with value None, what it says of a list's entry."""
    inner = None if value is None else escaped(value)
    for name, key in reversed(steps(path)):
        keyed = f"<{KEYS[name]}>{key}</{KEYS[name]}>" if key else ""
        attribute = f' nc:operation="{operation}"' if operation else ""
        operation = None
        inner = f"<{name}{attribute}>{keyed}{inner or ''}</{name}>"
    return inner


def keys_of(path):
    """The keys' own leaves, which are there with each entry."""
    return {(f"{entry}/{KEYS[name]}", key) for entry in entries(path)
            for name, key in steps(entry)[-1:]}


def said(path, value):
    return keys_of(path) | {(path, value)}


@pytest.fixture(scope="module")
def server(users, doors):
    with netconf.Server(doors.router) as running:
        yield running


@pytest.fixture
def session(server):
    """One for all, unless the server was started anew."""
    if not server.sessions or not server.sessions[-1].connected:
        server.connect()
    return server.sessions[-1]


@pytest.fixture(autouse=True)
def clean(doors):
    doors.reset()
    assert not zebra_configuration(doors.router)


def commit(session, *parts):
    for part in parts:
        netconf.edit(session, part)
    session.commit()


def test_all_leaves_are_here():
    """docs/tree.txt is the module's tree, as yanglint has it: nothing that can be set is left out of the tests below."""
    there = yang_leaves("rw")
    assert "/link-metrics/link/next-hop/min-max-delay/delay-max" in there and len(there) > 30
    assert {re.sub(r"\[[^]]*\]", "", path) for path, _, _ in LEAVES} == there


@pytest.mark.parametrize("path,value,line", LEAVES, ids=[line for _, _, line in LEAVES])
def test_a_leaf(doors, session, path, value, line):
    """By NETCONF, seen in vtysh; by vtysh, seen over NETCONF; and removed by the one and by the other."""
    commit(session, xml(path, value))
    assert doors.lines() == [PREFIX + line]
    assert configuration(session) == zebra_configuration(doors.router) == said(path, value)
    assert "%" not in doors.configure(f"no {PREFIX}{line}")
    assert configuration(session) == zebra_configuration(doors.router) == set()

    assert "%" not in doors.configure(PREFIX + line)
    assert configuration(session) == zebra_configuration(doors.router) == said(path, value)
    # netconfd wants a value also of what is removed
    commit(session, xml(path, value, "delete"))
    assert configuration(session) == zebra_configuration(doors.router) == keys_of(path)
    for entry in entries(path)[:1]:
        commit(session, xml(entry, None, "delete"))
    assert doors.lines() == [] and configuration(session) == zebra_configuration(doors.router) == set()


def test_all_are_written_and_read_at_boot(doors, server):
    """Set over NETCONF, written by vtysh, read from frr.conf: by a zebra and a server that know nothing else."""
    session = server.connect()
    everything = set().union(*(said(path, value) for path, value, _ in LEAVES))
    lines = {PREFIX + line for _, _, line in LEAVES}
    commit(session, *(xml(path, value) for path, value, _ in LEAVES))
    assert set(doors.lines()) == lines and len(doors.lines()) == len(lines)
    doors.vtysh("-c", "write memory")
    assert {line for line in doors.file.read_text().splitlines() if line.startswith(PREFIX)} == lines

    server.stop()
    done = doors.restart()
    assert done.returncode == 0, done.stdout + done.stderr
    server.start()
    session = server.connect()
    assert set(doors.lines()) == lines and len(doors.lines()) == len(lines)
    assert configuration(session) == zebra_configuration(doors.router) == everything

    commit(session, *(xml(path, value, "delete") for path, value, _ in LEAVES))
    commit(session, *(xml(entry, None, "delete") for entry in sorted({entries(path)[0] for path, _, _ in LEAVES
                                                                      if entries(path)})))
    assert doors.lines() == []
    doors.vtysh("-c", "write memory")
    server.stop()
    assert doors.restart().returncode == 0
    server.start()
    assert doors.lines() == [] and configuration(server.connect()) == zebra_configuration(doors.router) == set()


@pytest.mark.parametrize("text", [
    "ä" * 127, "\U0001f9ea" * 63, "# no comment", "! nor this", "end", "exit",
    "%s%n %d", "x" * 255, "back\\slash\\", "'single' \"double\"", "a?b", "no dplane ebpf", "]]> &amp; <!-- -->", "$HOME `id`"],
    ids=lambda text: text[:20])
def test_free_text(doors, session, text):
    """Whatever NETCONF accepts is shown as it was said, is a line that can be read, and is the same afterwards."""
    path = "/link-metrics/link[eth1]/description"
    commit(session, xml(path, text))
    assert doors.lines() == [f"{PREFIX}link-metric eth1 description {text}"]
    doors.vtysh("-c", "write memory")
    doors.reset()
    done = doors.vtysh("-b")
    assert done.returncode == 0, done.stdout + done.stderr
    assert configuration(session) == zebra_configuration(doors.router) == said(path, text)
    assert [link["description"] for link in doors.router.ask_json("show dplane ebpf link-metric json")
            if link["interface"] == "eth1"] == [text]


@pytest.mark.parametrize("name", ["a&b", "a<b>", "ü", "[x", "$x", "#x", "!", "-x", ".x", "*", "%s", "x;y", "eth0.100", "eth0:1", "any",
                                  "drain", "192.0.2.1", "all-fifteen-let"])
def test_names_of_interfaces(doors, session, name):
    """What vtysh accepts NETCONF shows, and it is a line that can be read; and the other way round."""
    path = f"/link-metrics/link[{name}]/metric"
    assert "%" not in doors.configure(f"{PREFIX}link-metric {name} metric 5").replace("%s", "")
    assert configuration(session) == zebra_configuration(doors.router) == said(path, "5")
    doors.vtysh("-c", "write memory")
    doors.reset()
    commit(session, f"<interface><name>{escaped(name)}</name><accelerate>false</accelerate></interface>")
    done = doors.vtysh("-b")
    assert done.returncode == 0, done.stdout + done.stderr
    assert doors.lines() == [f"{PREFIX}interface {name} kernel-only", f"{PREFIX}link-metric {name} metric 5"]
    assert configuration(session) == zebra_configuration(doors.router)
