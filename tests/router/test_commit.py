# SPDX-License-Identifier: GPL-2.0-or-later
"""The lines of a file come to be in force, whatever else zebra is busy with; who types a command is told at once."""

import os
from pathlib import Path

import pytest

import netconf
import topology
from doors import Session
from topology import wait_until

METRIC = "dplane ebpf link-metric"


def zebra_modules(router):
    """busy.c beside ours."""
    return [*router.module_arguments(), "-M", Path(os.environ["DPLANE_EBPF_BUSY"]).resolve()]


@pytest.fixture(scope="module")
def router(module):
    if not module:
        pytest.skip("DPLANE_EBPF_MODULE=none: nothing to configure")
    with topology.Lab("commit", module) as lab:
        made = lab.router("r1", daemons=("zebra",), config="hostname r1\n")
        made.start(module=zebra_modules(made))
        yield made


@pytest.fixture(autouse=True)
def clean(router):
    yield
    assert router.pid("zebra"), "zebra is gone"
    session = Session(router)
    for line in lines(router):
        wait_until(f"no {line}", lambda: session(f"no {line}"))
    assert not lines(router)


def lines(router):
    return [line for line in router.ask("show running-config").splitlines() if "dplane ebpf" in line]


def file(router):
    """A session that does what vtysh does for a file."""
    session = Session(router)
    assert session("XFRR_start_configuration")
    return session


def be_busy(router, milliseconds, commit=False):
    """With a change of the hold-time, which is dropped or committed in the end."""
    assert router.ask(f"busy-for {milliseconds}{' commit' if commit else ''}") == ""


HOLD = "dplane ebpf hold-time 12345"


def read(router):
    return router.ask_json("show dplane ebpf datastore status")["read"]


def test_changed_meanwhile_by_another(router):
    """FRR makes the candidate of a file anew then; the line before is not lost with it."""
    reading, other = file(router), Session(router)
    for i in range(20):
        assert reading(f"{METRIC} a{i} metric {i + 1}")
        assert other(f"{METRIC} b{i} metric {i + 1}")
    assert reading("XFRR_end_configuration")
    assert set(lines(router)) == {f"{METRIC} {who}{i} metric {i + 1}" for who in "ab" for i in range(20)}


def test_wrong_line_is_told_alone(router):
    """At its own line, and no other goes with it."""
    reading = file(router)
    assert reading(f"{METRIC} eth1 min-delay 50")
    assert not reading(f"{METRIC} eth1 max-delay 20") and "delay-min exceeds delay-max" in reading.said
    assert reading(f"{METRIC} eth1 weight 3")
    assert reading("XFRR_end_configuration")
    assert lines(router) == [f"{METRIC} eth1 min-delay 50", f"{METRIC} eth1 weight 3"]


def test_typed_is_refused_while_busy(router):
    """Who types it is there to repeat it; nothing is done later, unasked."""
    be_busy(router, 500)
    session = Session(router)
    assert not session(f"{METRIC} eth1 metric 20") and "transaction" in session.said
    wait_until("it is accepted", lambda: session(f"{METRIC} eth1 weight 3"), timeout=10)
    assert lines(router) == [f"{METRIC} eth1 weight 3"]


def test_file_waits_while_busy(router):
    """All of it is in force in the end, in its order, and each line sees the ones before it."""
    be_busy(router, 1000)
    reading = file(router)
    assert reading(f"{METRIC} eth1 metric 20") and "tried again" in reading.said
    for line in (f"{METRIC} eth1 192.0.2.1 weight 2", f"{METRIC} eth1 metric 30", f"{METRIC} eth2 drain",
                 # the last of eth2: its entry goes with it
                 f"no {METRIC} eth2 drain"):
        assert reading(line), reading.said
    # wrong in itself: told now
    assert not reading(f"{METRIC} eth1 metric 0")
    assert reading("XFRR_end_configuration")
    assert not read(router), "a NETCONF server may not yet take this for all there is"
    assert lines(router) == []
    wait_until("all is read", lambda: read(router), timeout=10)
    assert lines(router) == [f"{METRIC} eth1 metric 30", f"{METRIC} eth1 192.0.2.1 weight 2"]
    assert "refused" not in router.log() and "NOT in force" not in router.log()


@pytest.mark.parametrize("commit", (False, True), ids=("dropped", "committed"))
def test_what_waited_stays(router, commit):
    """It does not go with the next transaction of the one that it waited for, nor with the line that comes after it."""
    be_busy(router, 300, commit)
    reading = file(router)
    assert reading(f"{METRIC} eth1 metric 20") and "tried again" in reading.said
    wait_until("it is in force", lambda: f"{METRIC} eth1 metric 20" in lines(router), timeout=10)
    if not commit:
        be_busy(router, 100, commit=True)
        wait_until("the next one is committed", lambda: HOLD in lines(router), timeout=10)
    assert sorted(lines(router)) == sorted([HOLD, f"{METRIC} eth1 metric 20"])
    assert reading(f"{METRIC} eth2 weight 3") and not reading.said
    assert reading("XFRR_end_configuration")
    assert sorted(lines(router)) == sorted([HOLD, f"{METRIC} eth1 metric 20", f"{METRIC} eth2 weight 3"])
    assert {link["interface"]: link["configured"] for link in router.ask_json("show dplane ebpf link-metric json")
            if link["configured"]} == {"eth1": {"metric": 20}, "eth2": {"weight": 3}}, "what counts is what is configured"


def test_the_other_change_is_not_lost(router):
    """Which was prepared when a command was refused, and when lines came that wait."""
    be_busy(router, 500, commit=True)
    typed, reading = Session(router), file(router)
    assert not typed(f"{METRIC} eth1 metric 20")
    assert reading(f"{METRIC} eth2 weight 3") and reading("XFRR_end_configuration")
    wait_until("all is read", lambda: read(router), timeout=10)
    assert sorted(lines(router)) == sorted([HOLD, f"{METRIC} eth2 weight 3"])


def test_contradiction_while_busy(router):
    """What is found wrong only later is in the log; the other lines are in force, and it spoils nothing later."""
    be_busy(router, 1000)
    reading = file(router)
    for line in (f"{METRIC} eth1 min-delay 50", f"{METRIC} eth1 weight 3", f"{METRIC} eth1 max-delay 20"):
        assert reading(line), reading.said
    assert reading("XFRR_end_configuration")
    wait_until("all is read", lambda: read(router), timeout=10)
    assert lines(router) == [f"{METRIC} eth1 min-delay 50", f"{METRIC} eth1 weight 3"]
    assert "delay-min exceeds delay-max" in router.log()
    typed = Session(router)
    assert typed(f"{METRIC} eth1 metric 7"), typed.said


def test_netconf_waits_while_busy(users, router):
    """A commit is done as soon as there is time for it; if that is too long, the client hears why, and nothing is done later."""
    with netconf.Server(router) as server, netconf.Raw(server, netconf.OPERATOR) as session:
        session.greet()
        be_busy(router, 500)
        assert session.edit(netconf.link("eth1", "<metric>20</metric>")) and b"<ok/>" in session.ask("<commit/>")
        assert lines(router) == [f"{METRIC} eth1 metric 20"]
        be_busy(router, 5000)
        assert session.edit(netconf.link("eth1", "<metric>30</metric>"))
        answer = session.ask("<commit/>")
        assert b"in-use" in answer and b"transaction" in answer, answer
        wait_until("zebra has time", lambda: Session(router)(f"{METRIC} eth2 weight 3"), timeout=10)
        assert sorted(lines(router)) == [f"{METRIC} eth1 metric 20", f"{METRIC} eth2 weight 3"]
        # what was edited is still there
        assert b"<ok/>" in session.ask("<commit/>")
        assert sorted(lines(router)) == [f"{METRIC} eth1 metric 30", f"{METRIC} eth2 weight 3"]


def test_replayed_when_there_is_time(users, router):
    """zebra is started anew, and FRR busy at once: what was committed over NETCONF comes back all the same."""
    with netconf.Server(router) as server, netconf.Raw(server, netconf.OPERATOR) as session:
        session.greet()
        assert session.edit(netconf.link("eth1", "<metric>20</metric>")) and b"<ok/>" in session.ask("<commit/>")
        router.stop_daemon("zebra")
        router.start_daemon("zebra", module=zebra_modules(router))
        be_busy(router, 5000)
        # that was the file
        assert file(router)("XFRR_end_configuration") and read(router)
        wait_until("it is back", lambda: lines(router) == [f"{METRIC} eth1 metric 20"], timeout=30)
        assert "is dropped" not in server.log()


def test_transactional_cli(need_module, lab):
    """zebra --tcli: commands change a candidate, and all of it is in force with its commit, or none."""
    router = lab.router("r1", daemons=("zebra",))
    router.start_daemon("zebra", "--tcli")
    one, other = Session(router, "configure private"), Session(router, "configure private")
    for line in (f"{METRIC} eth1 min-delay 50", f"{METRIC} eth1 metric 20", f"no {METRIC} eth1 metric"):
        assert one(line), one.said
    assert other(f"{METRIC} eth1 metric 30") and lines(router) == []
    assert one("commit"), one.said
    assert lines(router) == [f"{METRIC} eth1 min-delay 50"]
    assert not other("commit"), "it is of a candidate that is too old by now"
    assert other("update") and other(f"{METRIC} eth1 max-delay 20")
    assert not other("commit") and "delay-min exceeds delay-max" in other.said
    assert lines(router) == [f"{METRIC} eth1 min-delay 50"]
    owner = Session(router, "configure exclusive")
    assert owner(f"{METRIC} eth2 weight 3") and owner("commit"), owner.said
    assert sorted(lines(router)) == [f"{METRIC} eth1 min-delay 50", f"{METRIC} eth2 weight 3"]
