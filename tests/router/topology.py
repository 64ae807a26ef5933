# SPDX-License-Identifier: GPL-2.0-or-later
"""Routers and hosts in network namespaces, with real FRR daemons: the machinery.

A Lab has a name; everything it makes is called after it (namespaces dpe-LAB-NODE, FRR path spaces likewise,
one directory below /run/dplane-ebpf-lab), so that a later run can remove what a killed one left behind. Which routers
there are and what they say to each other is in network.py. Standard library only: tools/demo uses it too.
"""

import fcntl
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

LABS = Path("/run/dplane-ebpf-lab")
RUN_FRR = Path("/run/frr")
FRR_BIN = Path("/usr/lib/frr")
HERE = Path(__file__).resolve().parent

ROUTER_SYSCTLS = {
    "net.ipv4.ip_forward": 1,
    "net.ipv6.conf.all.forwarding": 1,
    # otherwise a link that was down has no global addresses when it comes back: zebra does not add them again
    "net.ipv6.conf.all.keep_addr_on_down": 1,
    "net.ipv6.conf.default.keep_addr_on_down": 1,
    # the kernel shall spread flows as the program does, so that both can be compared
    "net.ipv4.fib_multipath_hash_policy": 1,
    "net.ipv6.fib_multipath_hash_policy": 1,
}
NODE_SYSCTLS = {
    "net.ipv4.conf.all.rp_filter": 0,
    "net.ipv4.conf.default.rp_filter": 0,
    "net.ipv6.conf.all.accept_dad": 0,
    "net.ipv6.conf.default.accept_dad": 0,
    # tests ask for many ICMP errors in a short time
    "net.ipv4.icmp_ratelimit": 0,
    "net.ipv6.icmp.ratelimit": 0,
}

# counters of the program: what it sent on, and what it left to the kernel on its way through the router
FORWARDED = ("forwarded", "forwarded-neighbour")
TRANSIT_BY_KERNEL = ("kernel-interface", "kernel-options", "kernel-discovery", "kernel-no-route", "kernel-unsupported",
                     "kernel-own-route", "kernel-overflow", "kernel-nexthop", "kernel-neighbour", "kernel-mtu",
                     "kernel-same-interface", "kernel-internal", "drop-internal")


class LabError(Exception):
    """Something about the lab itself went wrong; the text says what."""


def run(*command, check=True, timeout=60, **kwargs):
    """Runs a command and returns its completed process, with its output as text."""
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=timeout,
                          **kwargs)
    if check and done.returncode != 0:
        raise LabError(f"{' '.join(map(str, command))}: status {done.returncode}\n{done.stdout}{done.stderr}")
    return done


def wait_until(what, predicate, timeout=30, interval=0.05):
    """Polls until predicate() is true and returns its value; LabError names what did not happen."""
    end = time.monotonic() + timeout
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > end:
            shown = f" (last: {value!r})" if value not in (None, False) else ""
            raise LabError(f"not within {timeout} s: {what}{shown}")
        time.sleep(interval)


class Node:
    """A network namespace. Commands run in it by nsenter, which leaves bpffs mounts visible."""

    def __init__(self, lab, name):
        self.lab = lab
        self.name = name
        self.ns = f"dpe-{lab.name}-{name}"
        self.popened = []
        run("ip", "netns", "add", self.ns)
        self.sysctl(NODE_SYSCTLS)
        self.sh("ip", "link", "set", "dev", "lo", "up")

    def inside(self, *command):
        return ["nsenter", f"--net=/run/netns/{self.ns}", *(str(c) for c in command)]

    def sh(self, *command, **kwargs):
        return run(*self.inside(*command), **kwargs)

    def popen(self, *command, **kwargs):
        process = subprocess.Popen(self.inside(*command), stdin=kwargs.pop("stdin", subprocess.DEVNULL),
                                   stdout=kwargs.pop("stdout", subprocess.PIPE),
                                   stderr=kwargs.pop("stderr", subprocess.PIPE), text=True, **kwargs)
        self.popened.append(process)
        return process

    def sysctl(self, values):
        self.sh("sysctl", "-q", *(f"{key}={value}" for key, value in values.items()))

    def ip_json(self, *arguments):
        return json.loads(self.sh("ip", "-j", *arguments).stdout or "[]")

    def link_stats(self, interface):
        return self.ip_json("-s", "link", "show", "dev", interface)[0]["stats64"]

    def kernel_forwarded(self):
        """Packets that the kernel's own stack has forwarded, both families."""
        snmp = [line.split() for line in self.sh("cat", "/proc/net/snmp").stdout.splitlines()]
        names, values = (line for line in snmp if line[0] == "Ip:")
        snmp6 = dict(line.split() for line in self.sh("cat", "/proc/net/snmp6").stdout.splitlines())
        return int(values[names.index("ForwDatagrams")]) + int(snmp6["Ip6OutForwDatagrams"])

    def pids(self):
        done = run("ip", "netns", "pids", self.ns, check=False)
        return [int(pid) for pid in done.stdout.split()]


class Host(Node):
    """An end system: one interface, a default route for each family."""

    def configure(self, interface, addresses, gateways):
        for address in addresses:
            self.sh("ip", "address", "add", address, "dev", interface)
        for gateway in gateways:
            self.sh("ip", "route", "add", "default", "via", gateway)


class Router(Node):
    """A namespace with FRR in it. Daemons are started in the order given, zebra first."""

    def __init__(self, lab, name, daemons=("zebra", "staticd"), config=""):
        super().__init__(lab, name)
        self.sysctl(ROUTER_SYSCTLS)
        # FRR 10 configures static routes through mgmtd
        mgmtd = ("mgmtd",) if (FRR_BIN / "mgmtd").exists() else ()
        self.daemons = ("zebra", *mgmtd, *(d for d in daemons if d != "zebra"))
        self.config = config
        self.directory = lab.directory / name
        self.directory.mkdir()
        lab.give_to_frr(self.directory)
        self.run_directory = RUN_FRR / self.ns
        self.pin = lab.bpffs / name

    def log(self, daemon="zebra"):
        path = self.directory / f"{daemon}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def pid(self, daemon):
        """The daemon's process id, None if it does not run."""
        try:
            pid = int((self.run_directory / f"{daemon}.pid").read_text())
        except (OSError, ValueError):
            return None
        return pid if Path(f"/proc/{pid}/exe").exists() else None

    def module_arguments(self):
        if not self.lab.module:
            return []
        return ["-M", f"{self.lab.module}:size=small,pin={self.pin}"]

    def start_daemon(self, daemon, *extra, module=None):
        """extra: more arguments. module: arguments for -M in place of the lab's own; [] for none."""
        arguments = [FRR_BIN / daemon, "-d", "-N", self.ns, "--log", f"file:{self.directory}/{daemon}.log",
                     "--log-level", "informational", *extra]
        if daemon == "zebra":
            arguments += self.module_arguments() if module is None else module
        # into a file: FRR 10's daemons keep their standard output open, and a pipe would never end
        with open(self.directory / f"{daemon}.out", "w+") as output:
            done = subprocess.run(self.inside(*arguments), stdin=subprocess.DEVNULL, stdout=output,
                                  stderr=output, timeout=60)
            output.seek(0)
            if done.returncode != 0:
                raise LabError(f"{self.name}: {daemon} does not start:\n{output.read()}")
        wait_until(f"{self.name}: {daemon} answers", lambda: self._answers(daemon))

    def _answers(self, daemon):
        try:
            self.ask("show version", daemon=daemon)
            return True
        except OSError:
            return False

    def apply_config(self, daemon=None):
        path = self.directory / "frr.conf"
        path.write_text(self.config)
        only = ("-d", daemon) if daemon else ()
        done = run("vtysh", "-N", self.ns, *only, "-f", path, check=False)
        if done.returncode != 0:
            raise LabError(f"{self.name}: vtysh refused the configuration:\n{done.stdout}{done.stderr}")

    def start(self, *extra, module=None):
        """extra and module: for zebra, as in start_daemon()."""
        for daemon in self.daemons:
            if daemon == "zebra":
                self.start_daemon(daemon, *extra, module=module)
            else:
                self.start_daemon(daemon)
        self.apply_config()

    def restart(self, *extra, signum=signal.SIGKILL, module=None):
        """
        What watchfrr does when zebra ended: the others are ended too, then all are started. zebra goes first,
        so that the others' ends are not seen by it as withdrawals.
        """
        self.stop_daemon("zebra", signum)
        for daemon in self.daemons[1:]:
            self.stop_daemon(daemon, signal.SIGKILL)
        self.start(*extra, module=module)

    def stop_daemon(self, daemon, signum=signal.SIGTERM):
        """Sends the signal and waits until the process is gone."""
        pid = self.pid(daemon)
        if pid is None:
            raise LabError(f"{self.name}: {daemon} does not run")
        os.kill(pid, signum)
        wait_until(f"{self.name}: {daemon} ends", lambda: not Path(f"/proc/{pid}/exe").exists())

    def ask(self, command, daemon="zebra"):
        """A command's output from the daemon's own socket, where a module's commands are known."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as vty:
            vty.settimeout(20)
            vty.connect(str(self.run_directory / f"{daemon}.vty"))
            answer = b""
            for line in ("enable", command):
                vty.sendall(line.encode() + b"\0")
                answer = b""
                # an answer ends in three zero bytes and one of status
                while not (len(answer) >= 4 and answer[-4:-1] == b"\0\0\0"):
                    part = vty.recv(65536)
                    if not part:
                        raise ConnectionError(f"{self.name}: {daemon} closed its socket")
                    answer += part
            return answer[:-4].decode(errors="replace").strip()

    def ask_json(self, command, daemon="zebra"):
        answer = self.ask(command, daemon)
        try:
            return json.loads(answer)
        except ValueError as error:
            raise LabError(f"{self.name}: '{command}' is no JSON: {answer[:300]!r}") from error

    def vtysh(self, *commands, preload=None, check=True):
        environment = dict(os.environ, **({"LD_PRELOAD": str(preload)} if preload else {}))
        arguments = [part for command in commands for part in ("-c", command)]
        return run("vtysh", "-N", self.ns, *arguments, env=environment, check=check).stdout

    def counters(self):
        """What the program did, by name: packets. Empty where the lab runs without the module."""
        if not self.lab.module:
            return {}
        return self.ask_json("show dplane ebpf counters json")

    def transit(self):
        """Packets on their way through: forwarded by the program, left to the kernel."""
        counters = self.counters()
        return tuple(sum(counters.get(name, 0) for name in names) for names in (FORWARDED, TRANSIT_BY_KERNEL))


class Lab:
    """Nodes and the links between them. Use it as a context manager: it removes all that it made."""

    def __init__(self, name, module=None):
        """module: path of dplane_ebpf.so, None for FRR as it is."""
        self.name = name
        self.module = Path(module).resolve() if module else None
        self.directory = LABS / name
        self.bpffs = self.directory / "bpf"
        self.nodes = {}
        self._lock = None
        self._kept = False

    def give_to_frr(self, path):
        frr = pwd.getpwnam("frr")
        os.chown(path, frr.pw_uid, frr.pw_gid)

    def __enter__(self):
        self.lock()
        self.remove()
        self.directory.mkdir()
        self.bpffs.mkdir()
        if not RUN_FRR.exists():
            RUN_FRR.mkdir(mode=0o755)
            self.give_to_frr(RUN_FRR)
        if self.module:
            run("mount", "-t", "bpf", "-o", "mode=1777", "bpf", self.bpffs)
        return self

    def __exit__(self, *_):
        if not self._kept:
            self.remove()
        self.unlock()

    def lock(self):
        """One run at a time may use a lab's name."""
        LABS.mkdir(exist_ok=True)
        self._lock = open(LABS / f"{self.name}.lock", "w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise LabError(f"another run uses the lab '{self.name}'") from error

    def unlock(self):
        if self._lock:
            self._lock.close()
            self._lock = None

    def remove(self):
        """Ends every process in the lab's namespaces and removes all of it, whoever made it."""
        for node in self.nodes.values():
            for process in node.popened:
                if process.poll() is None:
                    process.kill()
                process.communicate()
        self.nodes = {}
        prefix = f"dpe-{self.name}-"
        # of a node, not of a lab whose name begins with this one's
        namespaces = [n for n in os.listdir("/run/netns") if n.startswith(prefix) and "-" not in n[len(prefix):]] \
            if os.path.isdir("/run/netns") else []

        def pids():
            # a namespace file that a killed "ip netns add" left is no namespace: ip says so, and has no pids
            return [int(pid) for ns in namespaces
                    for pid in run("ip", "netns", "pids", ns, check=False).stdout.split()]

        def kill_all():
            left = pids()
            for pid in left:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            return not left

        wait_until(f"processes of the lab '{self.name}' end", kill_all)
        for ns in namespaces:
            run("ip", "netns", "delete", ns, check=False)
            shutil.rmtree(RUN_FRR / ns, ignore_errors=True)
        if os.path.ismount(self.bpffs):
            run("umount", self.bpffs)
        shutil.rmtree(self.directory, ignore_errors=True)

    def keep(self):
        """The lab outlives its with-block; the next one of its name, or remove(), ends it."""
        self._kept = True

    def host(self, name):
        self.nodes[name] = Host(self, name)
        return self.nodes[name]

    def router(self, name, **kwargs):
        self.nodes[name] = Router(self, name, **kwargs)
        return self.nodes[name]

    def link(self, a, b):
        """A veth pair between two nodes; each end is called NODE-PEER after its own node and the other."""
        a_end, b_end = f"{a.name}-{b.name}", f"{b.name}-{a.name}"
        run("ip", "link", "add", a_end, "netns", a.ns, "type", "veth", "peer", "name", b_end, "netns", b.ns)
        a.sh("ip", "link", "set", "dev", a_end, "up")
        b.sh("ip", "link", "set", "dev", b_end, "up")

    def unlink(self, a, b):
        a.sh("ip", "link", "delete", "dev", f"{a.name}-{b.name}")
