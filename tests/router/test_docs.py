# SPDX-License-Identifier: GPL-2.0-or-later
"""What the documents tell an operator to type works, as it is written there."""

import re
from pathlib import Path

import pytest

import netconf
from doors import yang_leaves

TOP = Path(__file__).resolve().parents[2]
MANUAL = (TOP / "docs" / "frr-dplane-ebpf.7").read_text().replace("\\-", "-")
README = (TOP / "README.md").read_text()
NETCONF = (TOP / "docs" / "netconf.md").read_text()
COMMANDS = (TOP / "dplane_ebpf" / "northbound" / "commands.h").read_text()


def examples():
    """Lines of the manual's examples."""
    blocks = re.findall(r"^\.EX\n(.*?)^\.EE|^\.nf\n\.RS\n(.*?)^\.RE", MANUAL, re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in "".join(block).splitlines()]


CONFIGURATION = [line for line in examples() if re.match("(no )?dplane ebpf ", line)]
ASKED = [line.partition("# ")[2] for line in examples() if re.match("r1# ", line)]
README_LINES = [line.partition("#")[0].strip() for line in README.splitlines() if line.startswith("dplane ebpf ")]


@pytest.fixture(autouse=True)
def clean(doors):
    doors.reset()


@pytest.mark.parametrize("line", CONFIGURATION + README_LINES)
def test_configuration(doors, line):
    assert "%" not in doors.configure(line)
    assert doors.lines() if not line.startswith("no ") else not doors.lines()


@pytest.mark.parametrize("command", ASKED)
def test_commands(doors, command):
    """With the numbers of groups and next hops that there are here."""
    for what in ("nexthop", "group"):
        if command.startswith(f"show dplane ebpf {what} "):
            command = f"show dplane ebpf {what} {doors.router.ask_json(f'show dplane ebpf {what} json')[0][what]}"
    done = doors.vtysh("-c", command)
    assert done.returncode == 0 and re.match(r"\s*[^%\s]", done.stdout), done


def test_the_manual_has_each_command():
    """Each one of commands.h, and of each value a link can have, an example."""
    commands = re.findall(r'"((?:show|clear|no)? ?dplane ebpf [a-z-]+)', COMMANDS)
    words = {command.removeprefix("no ") for command in commands}
    assert len(words) > 14
    shown = CONFIGURATION + ASKED
    assert not {word for word in words if not any(line.startswith(word) for line in shown)}
    keywords = set(re.findall(r"[|<]([a-z-]+) [(A-Z]", COMMANDS.partition("X(dplane_ebpf_link_metric,")[2]
                              .partition("no dplane")[0])) | {"drain", "description"}
    assert len(keywords) == len([leaf for leaf in yang_leaves("rw") if "/next-hop/" in leaf]) + 1  # and lifetime
    assert not {word for word in keywords if not any(f" {word}" in line for line in CONFIGURATION)}


def test_the_session(users, doors, monkeypatch, capsys):
    """docs/netconf.md's, but for the port and the key. What it does itself is what happens."""
    from ncclient import manager
    code = re.search(r"```python\n(.*?)```", NETCONF, re.DOTALL)[1]
    real = manager.connect
    with netconf.Server(doors.router) as server:
        server.connect()

        def connect(**options):
            assert (options["host"], options["port"], options["username"]) == ("127.0.0.1", 830, "alice")
            options.update(port=server.port, username=netconf.OPERATOR, key_filename=str(server.directory / "user_key"))
            session = real(allow_agent=False, look_for_keys=False, **options)
            server.sessions.append(session)
            return session

        monkeypatch.setattr(manager, "connect", connect)
        exec(compile(code, "docs/netconf.md", "exec"), {})  # pylint: disable=exec-used
    said = capsys.readouterr().out
    assert "<drain" in said and "link-metric" in said and "<change>set</change>" in said
    assert "dplane ebpf link-metric eth1 drain" in doors.lines(), "it was confirmed"
