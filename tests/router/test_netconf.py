# SPDX-License-Identifier: GPL-2.0-or-later
"""NETCONF: zebra's configuration is the truth, whichever door it is changed by."""

import os
import signal
import time

import pytest
from lxml import etree

import netconf
from doors import EDITS, VTYSH, Editor, Session, patient, run_editors
from netconf import NAMESPACE, configuration, edit, link, refused, zebra_configuration
from topology import wait_until


@pytest.fixture
def router(need_module, lab):
    made = lab.router("r1", daemons=("zebra",), config="hostname r1\n")
    lab.link(made, lab.host("h1"))
    made.start()
    return made


@pytest.fixture
def server(users, router):
    with netconf.Server(router) as running:
        yield running


def vtysh(router, *commands):
    return router.vtysh("configure terminal", *commands, preload=VTYSH)


def test_both_doors_see_each_other(router, server):
    session = server.connect()
    edit(session, link("eth1", "<metric>20</metric><drain/><packet-loss>1.50</packet-loss>"))
    assert not configuration(session), "an edit of the candidate is none of the running configuration"
    session.validate("candidate")
    session.commit()
    assert "dplane ebpf link-metric eth1 drain" in router.ask("show running-config")
    assert configuration(session) == zebra_configuration(router) == {
        ("/link-metrics/link[eth1]/interface", "eth1"), ("/link-metrics/link[eth1]/metric", "20"),
        ("/link-metrics/link[eth1]/packet-loss", "1.5"), ("/link-metrics/link[eth1]/drain", "")}
    vtysh(router, "no dplane ebpf link-metric eth1 drain", "dplane ebpf link-metric eth1 2001:DB8::1 weight 3",
          "dplane ebpf hold-time forever", "dplane ebpf interface eth1 kernel-only")
    assert configuration(session) == zebra_configuration(router)
    assert ("/link-metrics/link[eth1]/next-hop[2001:db8::1]/weight", "3") in configuration(session)
    edit(session, '<link-metrics nc:operation="delete"/><interface nc:operation="delete"><name>eth1</name></interface>'
                  '<kernel-fallback><hold-time nc:operation="delete">forever</hold-time></kernel-fallback>')
    session.commit()
    assert not configuration(session)
    assert "dplane ebpf" not in router.ask("show running-config")


def test_with_defaults(server):
    session = server.connect()
    reported = session.get_config("running", filter=netconf.OURS, with_defaults="report-all").data
    assert ("/enabled", "true") in netconf.leaves(netconf.container(reported))


@pytest.mark.parametrize("xml,leaf", [
    (link("eth1", "<metric>0</metric>"), "metric"),
    (link("eth1", "<metric>many</metric>"), "metric"),
    (link("eth1", "<min-max-delay><delay-min>5</delay-min><delay-max>3</delay-max></min-max-delay>"), "delay-min"),
    (link("a-name-that-is-too-long", "<metric>5</metric>"), "interface"),
    (link("eth1", "<expires>2026-02-31T00:00:00Z</expires>"), "expires"),
    (link("eth1", "<next-hop><address>2001:DB8::1</address><metric>5</metric></next-hop>"), "address"),
    (link("eth1", "<next-hop><address>224.0.0.1</address><metric>5</metric></next-hop>"), "address"),
    (link("eth1", "<description>two  spaces</description>"), "description"),
    (link("eth1", "<description>a | b</description>"), "description"),
    (link("eth1", f"<description>{'x' * 1000000}</description>"), "description"),
    ("<no-such-leaf>1</no-such-leaf>", "no-such-leaf"),
], ids=["range", "type", "contradiction", "name", "date", "spelling", "multicast", "spaces", "pipe", "million", "unknown"])
def test_bad_values(router, server, xml, leaf):
    session = server.connect()
    before = zebra_configuration(router)

    def attempt():
        edit(session, xml)
        session.commit()

    error = refused(attempt)
    assert leaf in f"{error.path} {error.message} {etree.tostring(error.xml).decode()}", error
    session.discard_changes()
    assert configuration(session) == zebra_configuration(router) == before
    assert server.netconfd.poll() is None


@pytest.mark.parametrize("junk", [b"<rpc", b"<rpc><<<</rpc>]]>]]>", b"\0\xff<rpc/>]]>]]>", b"<no-rpc/>]]>]]>",
                                  b"<rpc message-id='1' xmlns='%s'><get-config></rpc>]]>]]>" % netconf.Raw.BASE.encode()],
                         ids=["half", "brackets", "zero", "other", "unclosed"])
def test_what_is_no_xml(router, server, junk):
    """A session that says something else than NETCONF: the server goes on for others."""
    other = server.connect()
    with netconf.Raw(server, netconf.OPERATOR) as session:
        assert b"<data" in session.greet()
        session.send(junk)
    assert not configuration(other)
    assert server.netconfd.poll() is None and router.pid("zebra")


def test_half_a_session(router, server):
    other, session = server.connect(), server.connect()
    edit(session, link("eth1", "<metric>5</metric>"))
    session._session.close()  # no close-session, no commit
    assert not configuration(other) and not zebra_configuration(router)


def test_a_change_in_vtysh_meanwhile_stays(router, server):
    session = server.connect()
    edit(session, link("eth1", "<metric>5</metric>"))
    vtysh(router, "dplane ebpf link-metric eth2 metric 6")
    session.commit()
    assert {value for path, value in configuration(session) if path.endswith("metric")} == {"5", "6"}


def test_the_same_leaf_twice_is_a_conflict(router, server):
    session = server.connect()
    vtysh(router, "dplane ebpf link-metric eth1 metric 5")
    edit(session, link("eth1", "<metric>6</metric>"))
    vtysh(router, "dplane ebpf link-metric eth1 metric 7")
    error = refused(session.commit)
    assert error.tag == "in-use" and "metric" in error.path
    session.discard_changes()
    assert ("/link-metrics/link[eth1]/metric", "7") in configuration(session)


def test_unconfirmed_commit_is_taken_back(router, server):
    session = server.connect()
    edit(session, link("eth1", "<metric>5</metric>"))
    session.commit()
    edit(session, link("eth1", "<metric>6</metric>"))
    session.commit(confirmed=True, timeout="1")
    assert ("/link-metrics/link[eth1]/metric", "6") in zebra_configuration(router)
    vtysh(router, "dplane ebpf link-metric eth2 metric 1")
    wait_until("the commit is taken back",
               lambda: ("/link-metrics/link[eth1]/metric", "5") in zebra_configuration(router), timeout=10)
    assert ("/link-metrics/link[eth2]/metric", "1") in zebra_configuration(router), "the other door's change stays"
    assert configuration(session) == zebra_configuration(router)


def test_unconfirmed_commit_of_a_lost_session(router, server):
    session = server.connect()
    edit(session, link("eth1", "<metric>6</metric>"))
    session.commit(confirmed=True, timeout="60")
    assert ("/link-metrics/link[eth1]/metric", "6") in zebra_configuration(router)
    session._session.close()
    wait_until("the commit is taken back", lambda: not zebra_configuration(router), timeout=10)


def test_confirmed_commit_stays(router, server):
    session = server.connect()
    edit(session, link("eth1", "<metric>6</metric>"))
    session.commit(confirmed=True, timeout="2")
    session.commit()
    begin = time.monotonic()
    wait_until("the time of the first commit is over", lambda: time.monotonic() - begin > 4, timeout=10)
    assert ("/link-metrics/link[eth1]/metric", "6") in zebra_configuration(router)


def test_zebra_restarts(router, server):
    """What was committed comes back; what was only typed in vtysh is gone, as ever; frr.conf counts for more."""
    session = server.connect()
    edit(session, link("eth1", "<metric>5</metric>") )
    session.commit()
    vtysh(router, "dplane ebpf link-metric eth2 metric 6")
    edit(session, link("eth3", "<metric>7</metric>"))
    session.commit()
    router.stop_daemon("zebra", signal.SIGKILL)
    error = refused(configuration, session)
    assert error.tag == "operation-failed" and "zebra" in error.message
    edit_error = refused(edit, session, link("eth4", "<metric>7</metric>"))
    assert "zebra" in edit_error.message
    router.config += "dplane ebpf link-metric eth3 metric 9\n"
    router.start_daemon("zebra")
    os.environ["LD_PRELOAD"] = VTYSH
    try:
        router.apply_config()
    finally:
        del os.environ["LD_PRELOAD"]
    wait_until("what was committed is back",
               lambda: ("/link-metrics/link[eth1]/metric", "5") in zebra_configuration(router), timeout=20)
    assert configuration(session) == zebra_configuration(router) == {
        ("/link-metrics/link[eth1]/interface", "eth1"), ("/link-metrics/link[eth1]/metric", "5"),
        ("/link-metrics/link[eth3]/interface", "eth3"), ("/link-metrics/link[eth3]/metric", "9")}


def test_server_restarts(router, server):
    session = server.connect()
    edit(session, link("eth1", "<metric>5</metric>"))
    session.commit()
    server.stop()
    vtysh(router, "dplane ebpf link-metric eth1 metric 8")
    server.start()
    assert configuration(server.connect()) == zebra_configuration(router) == {
        ("/link-metrics/link[eth1]/interface", "eth1"), ("/link-metrics/link[eth1]/metric", "8")}


def test_zebra_hangs(router, server):
    session = server.connect()
    os.kill(router.pid("zebra"), signal.SIGSTOP)
    try:
        begin = time.monotonic()
        error = refused(configuration, session)
        assert "timed out" in error.message
        assert time.monotonic() - begin < 20
    finally:
        os.kill(router.pid("zebra"), signal.SIGCONT)
    assert configuration(session) == set()


def test_state_and_operations(router, server):
    session = server.connect()
    state = netconf.state(session, "<running/><interface/><counter/>")
    names = [name.text for name in state.findall(f"{{{NAMESPACE}}}interface/{{{NAMESPACE}}}name")]
    assert state.findtext(f"{{{NAMESPACE}}}running") == "true" and "r1-h1" in names
    reply = session.dispatch(etree.fromstring(f'<clear-counters xmlns="{NAMESPACE}"/>'))
    assert "ok" in reply.xml
    assert "ok" in session.dispatch(etree.fromstring(f'<clear-consistency xmlns="{NAMESPACE}"/>')).xml
    assert "module frr-dplane-ebpf" in session.get_schema("frr-dplane-ebpf").data


def test_notifications(router, server):
    session = server.connect(netconf.READER)
    session.create_subscription()
    vtysh(router, "dplane ebpf link-metric eth1 10.0.0.9 metric 5")
    notification = session.take_notification(timeout=10)
    event = etree.fromstring(notification.notification_xml.encode()).find(f"{{{NAMESPACE}}}override-change")
    assert {etree.QName(leaf).localname: leaf.text for leaf in event} == {
        "change": "set", "interface": "eth1", "address": "10.0.0.9"}
    vtysh(router, "no dplane ebpf link-metric eth1")
    again = session.take_notification(timeout=10)
    assert "removed" in again.notification_xml, "each is sent once"


def test_who_may_what(router, server):
    operator, reader, nobody = (server.connect(user) for user in (netconf.OPERATOR, netconf.READER, netconf.NOBODY))
    edit(operator, link("eth1", "<metric>5</metric>"))
    operator.commit()
    assert configuration(reader) == configuration(operator) == zebra_configuration(router)
    assert refused(edit, reader, link("eth1", "<metric>6</metric>")).tag == "access-denied"
    assert refused(reader.commit).tag == "access-denied"
    assert refused(reader.dispatch, etree.fromstring(f'<clear-counters xmlns="{NAMESPACE}"/>')).tag == "access-denied"
    for call in (lambda: configuration(nobody), lambda: edit(nobody, link("eth1", "<metric>6</metric>")),
                 lambda: nobody.create_subscription()):
        assert refused(call).tag == "access-denied"
    everything = operator.get_config("running").data_xml
    assert "nacm" not in everything, "nobody but root sees who may do what"


def test_a_user_cannot_be_another(server):
    """netconf-subsystem believes $USER."""
    for user, says, expected in ((netconf.OPERATOR, netconf.OPERATOR, b"<data"),
                                 (netconf.NOBODY, netconf.OPERATOR, b"not who the session says")):
        with netconf.Raw(server, user, says) as session:
            assert expected in session.greet()


def test_a_thousand_overrides(router, server):
    session, subscriber = server.connect(), server.connect(netconf.READER)
    subscriber.create_subscription()
    entries = "".join(f"<link><interface>p{i}</interface><metric>{i + 1}</metric></link>" for i in range(1000))
    edit(session, f"<link-metrics>{entries}</link-metrics>")
    begin = time.monotonic()
    session.commit()
    took = time.monotonic() - begin
    print(f"1000 overrides committed in {took * 1000:.0f} ms")
    assert took < 5
    assert len(zebra_configuration(router)) == 2000
    assert configuration(session) == zebra_configuration(router)
    told = set()
    while len(told) < 1000 and (one := subscriber.take_notification(timeout=10)):
        told.add(one.notification_xml)
    assert len(told) == 1000, "each is told of"


class NetconfEditor:
    """
    What an Editor says as a line, said over NETCONF: an edit and a commit each. netconfd takes a removal inside of what the same edit
    creates for a creation, so nothing is removed that is not there.
    """

    LEAVES = {"metric": "metric", "weight": "weight", "delay-variation": "delay-variation", "drain": "drain",
              "packet-loss": "packet-loss", "nonsense": "nonsense"}

    def __init__(self, session):
        self.session = session

    def __call__(self, line):
        words = line.split()
        remove = words[0] == "no"
        words = words[3 + remove:]  # dplane ebpf link-metric
        name, rest = words[0], words[1:]
        hop = rest.pop(0) if "." in rest[0] or ":" in rest[0] else None
        leaf, value = self.LEAVES[rest[0]], rest[1] if len(rest) > 1 else ""
        operation = ' nc:operation="delete"' if remove else ""
        # netconfd wants a value also of what it removes
        xml = f"<{leaf}{operation}>{value}</{leaf}>"
        if hop:
            xml = f"<next-hop><address>{hop}</address>{xml}</next-hop>"
        if self.session.edit(link(name, xml)) and b"<ok/>" in self.session.ask("<commit/>"):
            return True
        assert b"<ok/>" in self.session.ask("<discard-changes/>")
        return False


def test_random_edits_by_three_doors(router, server):
    """Whatever is said over NETCONF and in vtysh at once: both, and what is written, agree at the end."""
    with netconf.Raw(server, netconf.OPERATOR) as raw:
        raw.greet()
        editors = [*(Editor(i, patient(Session(router).say), EDITS // 3, seed=9) for i in range(2)),
                   Editor(2, NetconfEditor(raw), EDITS - 2 * (EDITS // 3), seed=9, only_known=True)]
        expected = run_editors(editors)
    session = server.connect()
    assert configuration(session) == zebra_configuration(router)
    written = {line for line in router.ask("show running-config").splitlines() if "dplane ebpf" in line}
    # an entry that has lost its last leaf over NETCONF stays, and says nothing
    written = {line for line in written if len(line.split()) > 5 or line.split()[-1] == "drain"}
    assert written == expected
