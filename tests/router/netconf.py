# SPDX-License-Identifier: GPL-2.0-or-later
"""A NETCONF server beside a router of a lab, with the shipped access control, and an sshd in front of it.

Clients are real users of the system, made for the time of the tests.
"""

import fcntl
import os
import pwd
import re
import select
import shutil
import socket
import subprocess
from pathlib import Path
from unittest import SkipTest

from lxml import etree
from ncclient import manager
from ncclient.operations import RPCError
from ncclient.transport.errors import SessionCloseError

from topology import LABS, LabError, run, wait_until

TOP = Path(__file__).resolve().parents[2]
NAMESPACE = "http://frrouting.org/yang/dplane-ebpf"
OURS = ("subtree", f'<dplane-ebpf xmlns="{NAMESPACE}"/>')
READER, OPERATOR, NOBODY = "dpe-nc-read", "dpe-nc-operate", "dpe-nc-nobody"
SERVER = "dpe-nc-server"
GROUP = "dpe-nc"
# netconfd's own directory is below what the system says is its user's home
HOME = LABS / "netconf-home"

__all__ = ["RPCError"]


class NoSessions(SkipTest):
    """Debian's own netconfd, without us, where libxml2 is 2.14 or later: it ends each session at its greeting."""


def module_path():
    built = os.environ.get("DPLANE_EBPF_NETCONF")
    if not built:
        raise LabError("DPLANE_EBPF_NETCONF is not set: the path of libfrr-dplane-ebpf.so")
    return Path(built)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Users:
    """Accounts for as long as the tests run."""

    def __init__(self):
        self._lock = None

    def __enter__(self):
        LABS.mkdir(exist_ok=True)
        self._lock = open(LABS / "netconf-users.lock", "w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise LabError("another run uses the accounts for NETCONF") from error
        self._remove()
        run("groupadd", "-f", GROUP)
        for name in (READER, OPERATOR, NOBODY):
            # no password, but not locked: sshd without PAM would refuse that
            run("useradd", "-M", "-N", "-g", GROUP, "-s", "/bin/sh", "-p", "*", name)
        run("useradd", "-M", "-N", "-g", GROUP, "-G", "frrvty", "-d", HOME, "-s", "/bin/false", SERVER)
        HOME.mkdir(parents=True)
        os.chown(HOME, pwd.getpwnam(SERVER).pw_uid, -1)
        return self

    def __exit__(self, *_):
        self._remove()
        self._lock.close()

    @staticmethod
    def _remove():
        for name in (READER, OPERATOR, NOBODY, SERVER):
            # a server that a killed run left behind keeps its account
            run("pkill", "-KILL", "-u", name, check=False)
            run("userdel", "-f", name, check=False)
        run("groupdel", GROUP, check=False)
        shutil.rmtree(HOME, ignore_errors=True)


class Server:
    """netconfd and sshd, in the machine's own network namespace: they talk to zebra by its socket only."""

    def __init__(self, router):
        self.router = router
        self.directory = router.directory / "netconf"
        self.socket = self.directory / "netconfd.sock"
        self.port = free_port()
        self.sessions = []
        self.netconfd = self.sshd = None
        self.directory.mkdir(exist_ok=True)
        os.chown(self.directory, pwd.getpwnam(SERVER).pw_uid, -1)
        for path in (self.directory, *self.directory.parents):
            if path.stat().st_mode & 0o755 != 0o755 and path != Path("/"):
                path.chmod(path.stat().st_mode | 0o755)

    def __enter__(self):
        self._keys()
        self._start_sshd()
        self.start()
        return self

    def __exit__(self, *_):
        for session in self.sessions:
            try:
                session.close_session()
            except Exception:  # pylint: disable=broad-except
                pass  # the server may be gone already
        for process in (self.netconfd, self.sshd):
            if process and process.poll() is None:
                process.kill()
            if process:
                process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _keys(self):
        for name in ("host_key", "user_key"):
            run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.directory / name)
        (self.directory / "user_key.pub").chmod(0o644)

    def _start_sshd(self):
        shipped = (TOP / "netconf" / "netconf_sshd_config").read_text()
        config = self.directory / "sshd_config"
        lines = [line for line in shipped.splitlines()
                 if not line.startswith(("ListenAddress", "Port ", "AllowGroups", "UsePAM"))]
        lines = [line.replace("/run/dplane-ebpf-netconf/netconfd.sock", str(self.socket))
                 .replace("830@", f"{self.port}@") for line in lines]
        lines += ["ListenAddress 127.0.0.1", f"Port {self.port}", f"AllowGroups {GROUP}", "UsePAM no", "StrictModes no",
                  f"HostKey {self.directory}/host_key", f"AuthorizedKeysFile {self.directory}/user_key.pub"]
        config.write_text("\n".join(lines) + "\n")
        Path("/run/sshd").mkdir(exist_ok=True)
        with open(self.directory / "sshd.log", "w") as log:
            self.sshd = subprocess.Popen(["/usr/sbin/sshd", "-D", "-e", "-f", config], stdout=log, stderr=log)

    @staticmethod
    def _shipped_command():
        """The unit's, without what is another's here."""
        unit = (TOP / "netconf" / "dplane-ebpf-netconf.service.in").read_text().replace("\\\n", " ")
        command = re.search("^ExecStart=(.*)", unit, re.MULTILINE)[1].split()
        return [word for word in command if not word.startswith(("--port=", "--startup=", "--ncxserver-sockname="))]

    def start(self):
        """netconfd, as the shipped unit runs it."""
        access = (TOP / "netconf" / "nacm.xml").read_text()
        for example, name in (("alice", READER), ("bob", OPERATOR)):
            access = access.replace(f"<!-- <user-name>{example}</user-name> -->", f"<user-name>{name}</user-name>")
        startup = HOME / "startup-cfg.xml"
        startup.write_text(access)
        os.chown(startup, pwd.getpwnam(SERVER).pw_uid, -1)
        self.socket.unlink(missing_ok=True)
        environment = {
            "PATH": os.environ["PATH"], "HOME": str(HOME), "YUMA_RUNPATH": str(module_path().parent),
            "YUMA_MODPATH": f"{TOP}/yang:/usr/share/yuma/modules",
            "DPLANE_EBPF_ZEBRA_VTY": str(self.router.run_directory / "zebra.vty")}
        with open(self.directory / "netconfd.log", "a") as log:
            self.netconfd = subprocess.Popen(
                ["setpriv", f"--reuid={SERVER}", f"--regid={GROUP}", "--init-groups", "--no-new-privs",
                 *self._shipped_command(), f"--port={self.port}", f"--startup={startup}",
                 f"--ncxserver-sockname={self.socket}"],
                env=environment, cwd=HOME, stdout=log, stderr=log)
        wait_until("netconfd listens", lambda: self.socket.exists() or self.netconfd.poll() is not None)
        if self.netconfd.poll() is not None:
            raise LabError(f"netconfd does not start:\n{self.log()[-2000:]}")

    def stop(self):
        self.netconfd.kill()
        self.netconfd.wait()

    def log(self):
        return (self.directory / "netconfd.log").read_text(errors="replace")

    def skip_if_useless(self):
        if "xml reader EOF" in self.log():
            raise NoSessions("this netconfd takes no sessions at all")

    def connect(self, user=OPERATOR):
        # the password is the key's, which has none: ncclient of Debian 13 fails without one
        try:
            session = manager.connect(host="127.0.0.1", port=self.port, username=user, timeout=30, password="",
                                      key_filename=str(self.directory / "user_key"), hostkey_verify=False,
                                      allow_agent=False, look_for_keys=False)
        except SessionCloseError:
            self.skip_if_useless()
            raise
        self.sessions.append(session)
        return session


class Raw:
    """A session byte by byte, through netconf-subsystem as sshd starts it. What is sent before its greeting is lost there."""

    END = b"]]>]]>"
    BASE = "urn:ietf:params:xml:ns:netconf:base:1.0"
    HELLO = (f'<hello xmlns="{BASE}"><capabilities><capability>urn:ietf:params:netconf:base:1.0</capability>'
             '</capabilities></hello>').encode() + END
    GET = f'<rpc message-id="1" xmlns="{BASE}"><get-config><source><running/></source></get-config></rpc>'.encode()

    def __init__(self, server, user, says=None):
        """says: whom the session shall take the user for."""
        self.server = server
        self.process = subprocess.Popen(
            ["setpriv", f"--reuid={user}", f"--regid={GROUP}", "--init-groups", "/usr/sbin/netconf-subsystem",
             f"--ncxserver-sockname={server.port}@{server.socket}"],
            env={"USER": says or user, "SSH_CONNECTION": f"127.0.0.1 1 127.0.0.1 {server.port}"},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)

    def __enter__(self):
        self.receive()
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    def send(self, data):
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def greet(self):
        """Exchanges greetings, and returns the answer to a first request."""
        self.send(self.HELLO + self.GET + self.END)
        # netconfd 2.13 leaves a request that it read together with the greeting until it reads more
        for _ in range(50):
            if self._answers(0.2):
                break
            self.send(b"\n")
        answer = self.receive()
        if not answer:
            self.server.skip_if_useless()
        return answer

    def ask(self, request):
        """An operation, as XML; its answer."""
        self.send(f'<rpc message-id="2" xmlns="{self.BASE}" xmlns:nc="{self.BASE}">{request}</rpc>'.encode() + self.END)
        return self.receive()

    def edit(self, xml):
        """Edits the candidate below the module's container; whether that was accepted."""
        return b"<ok/>" in self.ask(
            "<edit-config><target><candidate/></target><config>"
            f'<dplane-ebpf xmlns="{NAMESPACE}">{xml}</dplane-ebpf></config></edit-config>')

    def _answers(self, timeout):
        ready, _, _ = select.select([self.process.stdout], [], [], timeout)
        return bool(ready)

    def receive(self, timeout=10):
        """One message, or what came before the server closed."""
        answer = b""
        while self.END not in answer:
            if not self._answers(timeout):
                raise LabError(f"no answer within {timeout} s, only {answer!r}")
            part = os.read(self.process.stdout.fileno(), 65536)
            if not part:
                break
            answer += part
        return answer


# ---- what tests say in one line

def edit(session, xml, **options):
    """Edits the candidate below the module's container."""
    config = (f'<config xmlns:nc="urn:ietf:params:xml:ns:netconf:base:1.0">'
              f'<dplane-ebpf xmlns="{NAMESPACE}">{xml}</dplane-ebpf></config>')
    return session.edit_config(target="candidate", config=config, **options)


def link(name, xml, operation=None):
    attribute = f' nc:operation="{operation}"' if operation else ""
    return f"<link-metrics><link{attribute}><interface>{name}</interface>{xml}</link></link-metrics>"


def leaves(element, prefix=""):
    """A tree as a set of (path, value): the order of entries has no meaning."""
    found = set()
    for child in element:
        name = etree.QName(child).localname
        keys = "".join(f"[{child[0].text}]" for _ in (1,) if name in ("link", "next-hop", "interface") and len(child))
        path = f"{prefix}/{name}{keys}"
        if len(child):
            found |= leaves(child, path)
        else:
            # netconfd writes decimals with all their digits
            found.add((path, re.sub(r"^(\d+\.\d+?)0+$", r"\1", child.text or "")))
    return found


def container(data):
    return data.find(f"{{{NAMESPACE}}}dplane-ebpf")


def configuration(session, source="running"):
    """What a NETCONF client sees, as a set of leaves."""
    found = container(session.get_config(source, filter=OURS).data)
    return leaves(found) if found is not None else set()


def zebra_configuration(router):
    """What zebra has, likewise."""
    return leaves(etree.fromstring(router.ask("show dplane ebpf datastore running")))


def state(session, xml):
    found = container(session.get(filter=(
        "subtree", f'<dplane-ebpf xmlns="{NAMESPACE}"><state>{xml}</state></dplane-ebpf>')).data)
    return found.find(f"{{{NAMESPACE}}}state") if found is not None else None


def refused(call, *arguments, **options):
    """The error that an operation ends with."""
    try:
        call(*arguments, **options)
    except RPCError as error:
        return error
    raise AssertionError("not refused")
