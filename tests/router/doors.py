# SPDX-License-Identifier: GPL-2.0-or-later
"""The doors to a router's configuration: vtysh with the extension, zebra's own socket, files."""

import os
import random
import re
import shutil
import socket
import subprocess
import threading
from contextlib import contextmanager
from pathlib import Path

from topology import Lab, LabError, wait_until

VTYSH = os.environ.get("DPLANE_EBPF_VTYSH")
# by all doors together
EDITS = int(os.environ.get("DPLANE_EBPF_EDITS", "10000"))
BUSY = "there's already another transaction in progress"
TREE = Path(__file__).resolve().parents[2] / "docs" / "tree.txt"


def yang_leaves(access):
    """
    The places of all leaves and leaf-lists of the YANG module ("rw": configuration, "ro": state), but for keys. From
    docs/tree.txt, which is what yanglint makes of the module.
    """
    place, keys, found = [], {}, set()
    for line in TREE.read_text().splitlines():
        node = re.match(r"^([ |]*)\+--(r[wo]) ([a-z0-9-]+)([?*]?)(?: \[([^]]*)\])?(.*)", line)
        if not node:
            continue
        place[(len(node[1]) - 2) // 3:] = [node[3]]
        path = "/" + "/".join(place[1:])
        keys[path] = (node[5] or "").split()
        if node[2] == access and node[6].strip() and node[3] not in keys.get(path.rpartition("/")[0], ()):
            found.add(path)
    return found


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
        """As systemd does: zebra, then vtysh -b. Lines for which FRR had no time (FRR 9 and later) are waited for."""
        self.router.stop_daemon("zebra")
        self.router.start_daemon("zebra")
        done = self.vtysh("-b")
        wait_until("all lines are read", lambda: self.router.ask_json("show dplane ebpf datastore status")["read"])
        return done

    def reset(self):
        for line in reversed(self.lines()):
            self.configure("no " + line)


@contextmanager
def configurable(name, module, directory):
    """The doors of a router with nothing but zebra, in a lab of that name. directory: for files of theirs."""
    with Lab(name, module) as lab:
        router = lab.router("r1", daemons=("zebra",), config="hostname r1\n")
        lab.link(router, lab.host("h1"))
        router.start()
        made = Doors(router, directory)
        made.file.parent.mkdir(exist_ok=True)
        lab.give_to_frr(made.file.parent)
        (made.file.parent / "vtysh.conf").write_text("service integrated-vtysh-config\n")
        try:
            yield made
        finally:
            shutil.rmtree(made.file.parent, ignore_errors=True)


class Session:
    """A long connection to zebra's socket, in configuration mode."""

    def __init__(self, router, configure="configure terminal"):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(30)
        self.socket.connect(str(router.run_directory / "zebra.vty"))
        self.said = ""
        for command in ("enable", configure):
            self(command)

    def say(self, command):
        """What is answered to a command: with a "%" if it was refused."""
        return "" if self(command) else self.said + "%"

    def __call__(self, command):
        """Whether a command was accepted."""
        self.socket.sendall(command.encode() + b"\0")
        answer = b""
        while not (len(answer) >= 4 and answer[-4:-1] == b"\0\0\0"):
            answer += self.socket.recv(65536)
        self.said = answer[:-4].decode(errors="replace").strip()
        return answer[-1] == 0


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


def patient(say):
    """
    As an operator: what zebra refuses only because mgmtd (FRR 9 and later) has it change something is said again. say(line)
    returns the answer; the function made of it returns whether it was accepted in the end.
    """
    def apply(line):
        answers = []

        def had_time():
            answers.append(say(line))
            return BUSY not in answers[-1]

        wait_until("zebra has time", had_time)
        return "%" not in answers[-1]

    return apply


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


def run_editors(editors):
    """All at once, to their end; the lines that are there afterwards."""
    for editor in editors:
        editor.start()
    for editor in editors:
        editor.join()
    for editor in editors:
        assert not editor.failure, editor.failure
    return set().union(*(editor.lines() for editor in editors))
