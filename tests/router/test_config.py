# SPDX-License-Identifier: GPL-2.0-or-later
"""Configuration: vtysh, frr.conf, frr-reload.py, and what zebra makes of nonsense."""

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from topology import LabError, wait_until

VTYSH = os.environ.get("DPLANE_EBPF_VTYSH")
RELOAD = Path("/usr/lib/frr/frr-reload.py")

# each line as it is written, and its "no" forms
LINES = [
    ("dplane ebpf kernel-only", ["no dplane ebpf kernel-only"]),
    ("dplane ebpf table-size full", ["no dplane ebpf table-size", "no dplane ebpf table-size full"]),
    ("dplane ebpf hold-time 30", ["no dplane ebpf hold-time", "no dplane ebpf hold-time 30"]),
    ("dplane ebpf hold-time forever", ["no dplane ebpf hold-time forever"]),
    ("dplane ebpf bypass", ["no dplane ebpf bypass"]),
    ("dplane ebpf interface eth1 kernel-only",
     ["no dplane ebpf interface eth1 kernel-only", "no dplane ebpf interface eth1"]),
    ("dplane ebpf interface eth1 bypass", ["no dplane ebpf interface eth1 bypass"]),
    ("dplane ebpf interface eth1", ["no dplane ebpf interface eth1"]),
    ("dplane ebpf link-metric eth1", ["no dplane ebpf link-metric eth1"]),
]
LINES += [(f"dplane ebpf link-metric {where} {what}", [f"no dplane ebpf link-metric {where} {no}" for no in nos])
          for where in ("eth1", "eth1 192.0.2.1", "eth1 2001:db8::1")
          for what, nos in (
              ("metric 20", ("metric", "metric 20", "")), ("delay 5", ("delay", "delay 5")),
              ("min-delay 1", ("min-delay", "min-delay 1")), ("max-delay 16777215", ("max-delay",)),
              ("delay-variation 0", ("delay-variation",)), ("packet-loss 1.5", ("packet-loss", "packet-loss 1.5")),
              ("packet-loss 0.000003", ("packet-loss 0.000003",)), ("res-bw 1.25e+09", ("res-bw", "res-bw 1.25e+09")),
              ("ava-bw 123456792", ("ava-bw",)), ("use-bw 0", ("use-bw",)), ("weight 65535", ("weight", "weight 65535")),
              ("drain", ("drain",)), ("expires 2030-12-31T23:59:59Z", ("expires", "expires 2030-12-31T23:59:59Z")),
              ("description uplink of Bär & Co, 50% / #7", ("description", "description any text")))]

BAD = [
    ("dplane ebpf link-metric eth1 metric 0", "metric 0"),
    ("dplane ebpf link-metric eth1 metric 16777216", "16777216"),
    ("dplane ebpf link-metric eth1 metric lots", "lots"),
    ("dplane ebpf link-metric eth1 packet-loss 51", "packet-loss"),
    ("dplane ebpf link-metric eth1 packet-loss nan", "packet-loss"),
    ("dplane ebpf link-metric eth1 res-bw -1", "res-bw"),
    ("dplane ebpf link-metric eth1 res-bw inf", "res-bw"),
    ("dplane ebpf link-metric eth1 res-bw 1e39", "res-bw"),
    ("dplane ebpf link-metric eth1 expires tomorrow", "expires"),
    ("dplane ebpf link-metric eth1 expires 2026-02-30T00:00:00Z", "expires"),
    ("dplane ebpf link-metric eth1 224.0.0.5 metric 5", "address"),
    ("dplane ebpf link-metric eth1 0.0.0.0 metric 5", "address"),
    ("dplane ebpf link-metric eth1 300.0.0.1 metric 5", "300.0.0.1"),
    ("dplane ebpf link-metric sixteen-letters- metric 5", "interface"),
    ("dplane ebpf link-metric it's metric 5", "interface"),
    ("dplane ebpf link-metric a/b metric 5", "interface"),
    ("dplane ebpf link-metric eth1 weight 0", "weight 0"),
    ("dplane ebpf hold-time 0", "hold-time 0"),
    ("dplane ebpf hold-time 86401", "86401"),
    ("dplane ebpf table-size huge", "huge"),
    ("dplane ebpf link-metric eth1 description " + "x" * 300, "description"),
    ("dplane ebpf nonsense", "nonsense"),
]


class Doors:
    """A router, and its configuration by vtysh, by zebra's own socket and by file."""

    def __init__(self, router, directory):
        self.router = router
        self.file = Path("/etc/frr") / router.ns / "frr.conf"
        # what frr-reload.py takes for its vtysh
        self.bin = directory / "bin"
        self.bin.mkdir()
        (self.bin / "vtysh").write_text(f"#!/bin/sh\nexec env LD_PRELOAD={VTYSH} /usr/bin/vtysh \"$@\"\n")
        (self.bin / "vtysh").chmod(0o755)

    def vtysh(self, *arguments, given=None):
        return subprocess.run([self.bin / "vtysh", "-N", self.router.ns, *arguments], input=given,
                              capture_output=True, text=True, timeout=120, check=False)

    def configure(self, *commands):
        """A line each; what vtysh says."""
        done = self.vtysh(*(part for command in ("configure terminal", *commands) for part in ("-c", command)))
        return done.stdout + done.stderr

    def lines(self):
        """Our lines of the running configuration, from vtysh."""
        shown = self.vtysh("-c", "show running-config").stdout
        return [line for line in shown.splitlines() if "dplane ebpf" in line]

    def datastore(self):
        return self.router.ask("show dplane ebpf datastore running")

    def restart(self):
        """As systemd does: zebra, then vtysh -b."""
        self.router.stop_daemon("zebra")
        self.router.start_daemon("zebra")
        return self.vtysh("-b")

    def reset(self):
        for line in reversed(self.lines()):
            self.configure("no " + line)


@pytest.fixture(scope="module")
def doors(module, tmp_path_factory):
    import topology
    if not module:
        pytest.skip("DPLANE_EBPF_MODULE=none: nothing to configure")
    with topology.Lab("config", module) as lab:
        router = lab.router("r1", daemons=("zebra",), config="hostname r1\n")
        lab.link(router, lab.host("h1"))
        router.start()
        made = Doors(router, tmp_path_factory.mktemp("config"))
        made.file.parent.mkdir(exist_ok=True)
        lab.give_to_frr(made.file.parent)
        (made.file.parent / "vtysh.conf").write_text("service integrated-vtysh-config\n")
        yield made
        shutil.rmtree(made.file.parent, ignore_errors=True)


@pytest.fixture(autouse=True)
def clean(doors):
    doors.reset()
    assert not doors.lines()
    yield
    assert doors.router.pid("zebra"), "zebra is gone"


@pytest.mark.parametrize("line,nos", LINES, ids=[line.removeprefix("dplane ebpf ") for line, _ in LINES])
def test_set_and_remove(doors, line, nos):
    empty = doors.datastore()
    for no in nos:
        assert "%" not in doors.configure(line)
        assert doors.lines() == [line]
        # the same again changes nothing
        assert "%" not in doors.configure(line)
        assert doors.lines() == [line]
        assert "%" not in doors.configure(no.strip())
        assert doors.lines() == [] and doors.datastore() == empty, no
    # of what is not there nothing is removed
    assert "%" not in doors.configure(nos[0].strip())


# one of each, so that all can stand together
ALL = [line for line, _ in LINES if "hold-time 30" not in line and "0.000003" not in line
       and line not in ("dplane ebpf interface eth1", "dplane ebpf link-metric eth1", "dplane ebpf kernel-only")]


def test_written_and_read_at_boot(doors):
    said = doors.configure(*ALL)
    assert "%" not in said, said
    before, tree = doors.lines(), doors.datastore()
    assert sorted(before) == sorted(ALL)
    assert "%" not in doors.vtysh("-c", "write memory").stdout
    assert sorted(line for line in doors.file.read_text().splitlines() if "dplane" in line and "!" not in line) \
        == sorted(ALL)
    done = doors.restart()
    assert done.returncode == 0, done.stdout + done.stderr
    assert doors.lines() == before and doors.datastore() == tree
    doors.reset()
    doors.vtysh("-c", "write memory")
    assert "dplane ebpf" not in doors.file.read_text()
    doors.restart()
    assert doors.lines() == []


def test_without_the_extension_lines_are_refused_aloud(doors):
    """Stock vtysh at boot: it says so, and zebra goes on with what it has."""
    doors.configure("dplane ebpf link-metric eth1 metric 20")
    doors.vtysh("-c", "write memory")
    doors.router.stop_daemon("zebra")
    doors.router.start_daemon("zebra")
    done = subprocess.run(["/usr/bin/vtysh", "-N", doors.router.ns, "-b"], capture_output=True, text=True,
                          timeout=60, check=False)
    assert done.returncode != 0 and "dplane ebpf link-metric" in done.stdout + done.stderr
    assert doors.lines() == []
    wait_until("zebra's log says so", lambda: f"lines of {doors.file}" in doors.router.log()
               and "NOT in force" in doors.router.log(), timeout=10)
    doors.vtysh("-c", "write memory")


@pytest.mark.skipif(not RELOAD.exists(), reason="frr-pythontools is not installed")
def test_frr_reload(doors):
    """The file is changed, and only what differs is configured."""
    wanted = doors.file.parent / "wanted.conf"

    def reload(*lines):
        wanted.write_text("\n".join(["hostname r1", *lines]) + "\n")
        done = subprocess.run([sys.executable, RELOAD, "--reload", "--stdout", "--bindir", doors.bin, "--pathspace",
                               doors.router.ns, "--confdir", "/etc/frr", wanted], capture_output=True, text=True,
                              timeout=120, check=False)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        return done.stdout + done.stderr

    first = ["dplane ebpf hold-time 30", "dplane ebpf link-metric eth1 metric 20",
             "dplane ebpf link-metric eth1 192.0.2.1 drain", "dplane ebpf link-metric eth2 weight 3"]
    reload(*first)
    assert sorted(doors.lines()) == sorted(first)
    then = ["dplane ebpf hold-time forever", "dplane ebpf link-metric eth1 metric 30",
            "dplane ebpf link-metric eth2 weight 3"]
    reload(*then)
    assert sorted(doors.lines()) == sorted(then)
    events = doors.router.ask("show dplane ebpf events").splitlines()
    reload(*then)
    assert doors.router.ask("show dplane ebpf events").splitlines() == events, "nothing differed, and yet something was done"
    reload()
    assert doors.lines() == []


@pytest.mark.parametrize("line,names", BAD, ids=[line.removeprefix("dplane ebpf ")[:40] for line, _ in BAD])
def test_bad_input(doors, line, names):
    doors.configure("dplane ebpf link-metric eth1 description what was there")
    before = doors.datastore()
    said = doors.configure(line)
    assert "%" in said and names in said, said
    assert doors.datastore() == before
    # by zebra's own socket, too, where no vtysh looks at it first
    pid = doors.router.pid("zebra")
    assert not Session(doors.router)(line)
    assert doors.datastore() == before and doors.router.pid("zebra") == pid


def test_contradiction_is_refused(doors):
    assert "%" not in doors.configure("dplane ebpf link-metric eth1 min-delay 50")
    said = doors.configure("dplane ebpf link-metric eth1 max-delay 20")
    assert "delay-min exceeds delay-max" in said
    assert doors.lines() == ["dplane ebpf link-metric eth1 min-delay 50"]
    said = doors.configure("dplane ebpf link-metric eth1 delay 20")
    assert "delay-min exceeds delay" in said
    assert doors.lines() == ["dplane ebpf link-metric eth1 min-delay 50"]


def test_unknown_interface_waits(doors):
    doors.configure("dplane ebpf link-metric later0 metric 5")
    shown = doors.router.ask("show dplane ebpf link-metric")
    assert "later0 (no such interface: its override waits)" in shown
    link = [link for link in doors.router.ask_json("show dplane ebpf link-metric json") if link["interface"] == "later0"]
    assert link[0]["overrideState"] == "waiting" and link[0]["configured"]["metric"] == 5


def test_completion_and_help(doors):
    offered = doors.vtysh("-c", "configure terminal", "-c", "list").stdout
    assert "dplane ebpf link-metric IFNAME" in offered and "no dplane ebpf link-metric IFNAME" in offered
    done = doors.vtysh(given="configure terminal\ndplane ebpf ?\n\x15exit\n")
    assert done.returncode == 0


def raw(router, data):
    """Bytes to zebra's socket; what it answers until it closes or falls silent."""
    with socket.socket(socket.AF_UNIX) as vty:
        vty.settimeout(5)
        vty.connect(str(router.run_directory / "zebra.vty"))
        try:
            vty.sendall(data)
            vty.shutdown(socket.SHUT_WR)
            answer = b""
            while part := vty.recv(65536):
                answer += part
        except OSError:
            pass
        return answer


@pytest.mark.parametrize("data", [
    b"enable\0configure terminal\0dplane ebpf link-metric eth1 description " + b"x" * 1000000 + b"\0",
    b"enable\0configure terminal\0dplane ebpf link-metric " + b"y" * 1000000 + b" metric 5\0",
    b"enable\0configure terminal\0dplane ebpf link-metric eth1 met",
    b"enable\0configure terminal\0dplane ebpf link-metric eth1 \xff\xfe metric 5\0",
    b"enable\0dplane ebpf datastore commit\0",
    b"enable\0dplane ebpf datastore begin\0dplane ebpf datastore base ????\0dplane ebpf datastore target ====\0"
    b"dplane ebpf datastore commit\0",
    b"enable\0dplane ebpf datastore begin\0dplane ebpf datastore target PHg+\0dplane ebpf datastore commit\0",
    b"enable\0dplane ebpf datastore begin\0dplane ebpf datastore target PGRwbGFuZS1lYnBmLz4=\0"
    b"dplane ebpf datastore commit\0",
    b"\0" * 100000,
], ids=["million", "million-name", "half", "bytes", "nothing-begun", "no-base64", "no-xml", "no-namespace", "zeros"])
def test_bytes(doors, data):
    before, pid = doors.datastore(), doors.router.pid("zebra")
    raw(doors.router, data)
    assert doors.datastore() == before and doors.router.pid("zebra") == pid


def test_a_thousand_at_once(doors):
    """vtysh -f: all are in force when it returns."""
    lines = [f"dplane ebpf link-metric p{i} metric {i + 1}" for i in range(1000)]
    path = doors.file.parent / "many.conf"
    path.write_text("\n".join(lines) + "\n")
    begin = time.monotonic()
    done = doors.vtysh("-f", str(path))
    took = time.monotonic() - begin
    assert done.returncode == 0, done.stdout + done.stderr
    print(f"1000 lines by vtysh -f in {took * 1000:.0f} ms")
    assert sorted(doors.lines()) == sorted(lines)
    path.write_text("\n".join("no " + line for line in lines) + "\n")
    assert doors.vtysh("-f", str(path)).returncode == 0
    assert doors.lines() == []


# ---- many doors at once

class Editor(threading.Thread):
    """Random edits of links of its own, so that it knows what must be there at the end."""

    def __init__(self, number, apply, count, seed, only_known=False):
        """only_known: removes nothing that is not there."""
        super().__init__()
        self.only_known = only_known
        self.links = [f"t{number}-{i}" for i in range(4)]
        self.apply = apply
        self.count = count
        self.random = random.Random(seed * 1000 + number)
        self.expected = {}
        self.failure = None

    def edit(self):
        """A line, whether it is good, and what becomes of the model."""
        link = self.random.choice(self.links)
        where = self.random.choice(("", " 192.0.2.1", " 2001:db8::1"))
        keyword, value, good = self.random.choice((
            ("metric", self.random.randint(1, 16777215), True), ("weight", self.random.randint(1, 65535), True),
            ("delay-variation", self.random.randint(0, 16777215), True), ("drain", "", True),
            ("metric", 0, False), ("weight", "much", False), ("packet-loss", "60", False), ("nonsense", 1, False)))
        line = f"dplane ebpf link-metric {link}{where} {keyword} {value}".rstrip()
        removable = not self.only_known or (link + where, keyword) in self.expected
        if good and removable and self.random.random() < 0.3:
            return "no " + line, True, (link + where, keyword), None
        return line, good, (link + where, keyword), str(value)

    def run(self):
        try:
            for _ in range(self.count):
                line, good, key, value = self.edit()
                accepted = self.apply(line)
                if accepted != good:
                    raise LabError(f"{line!r} was {'accepted' if accepted else 'refused'}")
                if good and value is None:
                    self.expected.pop(key, None)
                elif good:
                    self.expected[key] = value
        except Exception as error:  # pylint: disable=broad-except
            self.failure = error

    def lines(self):
        return {f"dplane ebpf link-metric {where} {keyword} {value}".rstrip()
                for (where, keyword), value in self.expected.items()}


class Session:
    """A long connection to zebra's socket, in configuration mode."""

    def __init__(self, router):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(30)
        self.socket.connect(str(router.run_directory / "zebra.vty"))
        self.said = ""
        for command in ("enable", "configure terminal"):
            self(command)

    def __call__(self, command):
        self.socket.sendall(command.encode() + b"\0")
        answer = b""
        while not (len(answer) >= 4 and answer[-4:-1] == b"\0\0\0"):
            answer += self.socket.recv(65536)
        self.said = answer[:-4].decode(errors="replace").strip()
        return answer[-1] == 0


def test_random_edits_by_many_doors(doors):
    """Whatever is said, and by how many at once: zebra, its file and what it reads from it agree at the end."""
    count = int(os.environ.get("DPLANE_EBPF_EDITS", "600"))
    sessions = [Session(doors.router) for _ in range(3)]
    editors = [Editor(i, session, count, seed=5) for i, session in enumerate(sessions)]
    editors.append(Editor(3, lambda line: "%" not in doors.configure(line), count // 20, seed=5))
    for editor in editors:
        editor.start()
    for editor in editors:
        editor.join()
    for editor in editors:
        assert not editor.failure, editor.failure
    expected = set().union(*(editor.lines() for editor in editors))
    assert set(doors.lines()) == expected and len(doors.lines()) == len(expected)
    tree = doors.datastore()
    doors.vtysh("-c", "write memory")
    assert doors.restart().returncode == 0
    assert set(doors.lines()) == expected
    assert sorted(doors.datastore().split("<link>")) == sorted(tree.split("<link>"))
