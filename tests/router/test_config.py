# SPDX-License-Identifier: GPL-2.0-or-later
"""Configuration: vtysh, frr.conf, frr-reload.py, and what zebra makes of nonsense."""

import os
import pty
import re
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

from doors import EDITS, Editor, Session, patient, raw, run_editors
from topology import wait_until

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
    ("dplane ebpf link-metric eth1 description a|b", "description"),
    ("dplane ebpf link-metric eth1 description " + "ä" * 200, "description"),
    ("dplane ebpf link-metric a|b metric 5", "interface"),
    ("dplane ebpf nonsense", "nonsense"),
]


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
    # one of each, in place of those
    reload(*ALL)
    assert sorted(doors.lines()) == sorted(ALL)
    reload()
    assert doors.lines() == []


@pytest.mark.parametrize("line,names", BAD, ids=[line.removeprefix("dplane ebpf ")[:40] for line, _ in BAD])
def test_bad_input(doors, line, names):
    doors.configure("dplane ebpf link-metric eth2 description what was there")
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


class Terminal:
    """An interactive vtysh: what it shows while somebody types."""

    def __init__(self, doors):
        pid, self.terminal = pty.fork()
        if pid == 0:
            os.execve(doors.bin / "vtysh", ["vtysh", "-N", doors.router.ns],
                      dict(os.environ, TERM="dumb", VTYSH_PAGER="cat", COLUMNS="200"))
        self.expect(lambda shown: shown.endswith("# "), "a prompt")

    def expect(self, ends, what):
        """All that it shows until that ends it."""
        shown = ""
        while not ends(shown):
            ready, _, _ = select.select([self.terminal], [], [], 10)
            assert ready, f"no {what} in {shown!r}"
            shown += os.read(self.terminal, 65536).decode(errors="replace")
        return shown

    def type(self, keys, until):
        """Keys, and what is shown until this is among it."""
        os.write(self.terminal, keys.encode())
        return self.expect(lambda shown: until in shown, repr(until))

    def enter(self, line):
        """A line, and what is shown until the next prompt."""
        os.write(self.terminal, line.encode() + b"\n")
        return self.expect(lambda shown: shown.endswith("(config)# "), "a prompt")

    def close(self):
        os.close(self.terminal)
        os.wait()


def test_completion_and_help(doors):
    """Tab completes each word, and ? says what may come next, in vtysh as in zebra."""
    terminal = Terminal(doors)
    try:
        terminal.enter("configure terminal")
        terminal.type("dpl\t", "dplane ")
        terminal.type("eb\t", "ebpf ")
        offered = terminal.type("?", "table-size")
        for word, help_text in (("bypass", "Take the fast path"), ("hold-time", "How long tables forward"),
                                ("interface", "Settings of an interface"), ("kernel-only", "Forward nothing in eBPF"),
                                ("link-metric", "Metrics of a link")):
            assert re.search(rf"  {word} +{help_text}", offered), offered
        terminal.type("link-m\t", "link-metric ")
        terminal.type("eth1 wei\t", "weight ")
        assert re.search(r"\(1-65535\) +Weight", terminal.type("?", "Weight"))
        terminal.enter("3")
        assert doors.lines() == ["dplane ebpf link-metric eth1 weight 3"]
        terminal.type("no dplane ebpf link-m\t", "link-metric ")
        assert "description" in terminal.type("eth1 ?", "weight")
        terminal.enter("")
        assert doors.lines() == []
        # what a tired operator mistypes
        assert "Unknown command" in terminal.enter("dplane ebpf link-metrik eth1 drain")
        assert "incomplete" in terminal.enter("dplane ebpf link-metric")
        assert "incomplete" in terminal.enter("dplane ebpf link-metric eth1 metric")
        assert doors.lines() == []
    finally:
        terminal.close()


def test_bad_lines_in_a_file(doors):
    """Each is told with its number, and those around it are in force."""
    path = doors.file.parent / "bad.conf"
    good = [f"dplane ebpf link-metric good{i} metric {i + 1}" for i in range(len(BAD))]
    path.write_text("\n".join(line for pair in zip(good, (bad for bad, _ in BAD)) for line in pair) + "\n")
    done = doors.vtysh("-f", str(path))
    assert done.returncode != 0
    said = done.stdout + done.stderr
    for number, (bad, names) in enumerate(BAD):
        assert f"line {2 * number + 2}" in said and names in said, (bad, said)
    assert sorted(doors.lines()) == sorted(good)


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

def test_random_edits_by_many_doors(doors):
    """Whatever is said, and by how many at once: zebra, its file and what it reads from it agree at the end."""
    editors = [Editor(i, patient(Session(doors.router).say), EDITS // 3, seed=5) for i in range(3)]
    # each a vtysh of its own
    editors.append(Editor(3, patient(doors.configure), EDITS // 100, seed=5))
    expected = run_editors(editors)
    assert set(doors.lines()) == expected and len(doors.lines()) == len(expected)
    tree = doors.datastore()
    doors.vtysh("-c", "write memory")
    assert doors.restart().returncode == 0
    assert set(doors.lines()) == expected
    assert sorted(doors.datastore().split("<link>")) == sorted(tree.split("<link>"))
