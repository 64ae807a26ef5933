# SPDX-License-Identifier: GPL-2.0-or-later
"""Traffic between hosts: numbered datagrams (witness.c), verified TCP streams, single probes."""

import itertools
import json
import os
import signal
import time
from pathlib import Path

from topology import HERE, LabError, run, wait_until

_ports = itertools.count(20000)


def next_port():
    return next(_ports)


def witness_program(lab):
    """The witness that the build made (DPLANE_EBPF_WITNESS), else one compiled now."""
    built = os.environ.get("DPLANE_EBPF_WITNESS")
    if built:
        if not Path(built).exists():
            raise LabError(f"DPLANE_EBPF_WITNESS={built} does not exist: build it (tools/build)")
        return Path(built).resolve()
    program = lab.directory / "witness"
    if not program.exists():
        run("cc", "-O2", "-D_GNU_SOURCE", "-o", program, HERE / "witness.c", HERE / "account.c")
    return program


class Witness:
    """A stream of numbered datagrams from one host to another. stop() says what became of them."""

    def __init__(self, source, target, address, rate=2000, flows=64, count=None, length=64, ttl=None):
        """
        address: one, or a list that the flows share by turns. count: end after so many; otherwise it runs until
        stop(). ttl: datagrams that come with another are counted.
        """
        program = witness_program(source.lab)
        addresses = [address] if isinstance(address, str) else list(address)
        self.port = next_port()
        self.address = addresses[0]
        family = ["-6"] if ":" in self.address else []
        self.what = f"{source.name} to {target.name} ({self.address})"
        expected = ["-e", ttl] if ttl else []
        self.receiver = target.popen(program, *family, "-p", self.port, "-i", 600000, *expected, "recv")
        if "ready" not in self.receiver.stderr.readline():
            raise LabError(f"witness {self.what}: the receiver does not start")
        amount = ["-n", count] if count else []
        destinations = [part for one in addresses for part in ("-d", one)]
        self.sender = source.popen(program, *family, "-p", self.port, *destinations, "-r", rate, "-f", flows,
                                   "-l", length, *amount, "send")

    def _waiting(self):
        """Bytes in the queue of the receiver's socket."""
        lines = Path(f"/proc/{self.receiver.pid}/net/{'udp6' if ':' in self.address else 'udp'}").read_text()
        fields = (line.split() for line in lines.splitlines()[1:])
        return sum(int(field[4].split(":")[1], 16) for field in fields
                   if int(field[1].split(":")[1], 16) == self.port)

    def _drain(self, grace=0.3):
        """Waits until the queue has been empty for a while: what has not come by then is lost."""
        since = time.monotonic()

        def is_quiet():
            nonlocal since
            if self._waiting():
                since = time.monotonic()
            return time.monotonic() - since > grace

        wait_until(f"witness {self.what}: the last datagrams are read", is_quiet)

    def running(self):
        return self.sender.poll() is None

    def stop(self, wait=False):
        """Ends the sender (or waits for its end) and, once the last datagram had time to come, the receiver."""
        if not wait and self.running():
            self.sender.send_signal(signal.SIGTERM)
        output, errors = self.sender.communicate(timeout=120)
        if not output:
            raise LabError(f"witness {self.what}: sender: {errors}")
        result = json.loads(output)
        self._drain()
        self.receiver.send_signal(signal.SIGTERM)
        output, errors = self.receiver.communicate(timeout=30)
        if not output:
            raise LabError(f"witness {self.what}: receiver: {errors}")
        result.update(json.loads(output))
        result["lost"] = result["sent"] - (result["received"] - result["doubled"])
        return result


def datagrams(source, target, address, count=2000, rate=2000, flows=64, **kwargs):
    """Sends count datagrams and says what became of them."""
    return Witness(source, target, address, rate, flows, count, **kwargs).stop(wait=True)


class Transfer:
    """A TCP stream of random bytes from one host to another, whose content is compared at the end."""

    def __init__(self, source, target, address, megabytes=100, seconds=0):
        """seconds: go on for so long, however much that is."""
        port = next_port()
        program = HERE / "stream.py"
        self.what = f"TCP {source.name} to {target.name} ({address})"
        self.receiver = target.popen("/usr/bin/python3", "-B", program, "recv", address, port)
        if "ready" not in self.receiver.stderr.readline():
            raise LabError(f"{self.what}: the receiver does not start")
        self.sender = source.popen("/usr/bin/python3", "-B", program, "send", address, port,
                                   megabytes << 20, seconds)

    def running(self):
        return self.sender.poll() is None

    def finish(self, timeout=90):
        """bytes, seconds and whether every byte came as it was sent."""
        sent, sent_errors = self.sender.communicate(timeout=timeout)
        received, received_errors = self.receiver.communicate(timeout=timeout)
        if not sent or not received:
            raise LabError(f"{self.what}: {sent_errors}{received_errors}")
        sent, received = json.loads(sent), json.loads(received)
        return {"bytes": received["bytes"], "seconds": sent["seconds"],
                "intact": sent["bytes"] == received["bytes"] and sent["sha256"] == received["sha256"]}


def probe(source, address, port=33434, size=32, ttl=64, wait=2.0):
    """Sends one UDP datagram that may not be fragmented; the ICMP errors that answer it, and the path MTU."""
    return json.loads(source.sh("/usr/bin/python3", "-B", HERE / "probe.py", address, port, size, ttl,
                                wait).stdout)


def segments(source, target, address, count, size, segment=0):
    """Sends count times size bytes, as segments.py says; how many datagrams came, by size."""
    port, program = next_port(), HERE / "segments.py"
    expected = count * -(-size // segment) if segment else count
    receiver = target.popen("/usr/bin/python3", "-B", program, "recv", address, port, expected)
    if "ready" not in receiver.stderr.readline():
        raise LabError(f"datagrams {source.name} to {target.name} ({address}): the receiver does not start")
    source.sh("/usr/bin/python3", "-B", program, "send", address, port, count, size, segment)
    output, errors = receiver.communicate(timeout=60)
    if not output:
        raise LabError(f"datagrams {source.name} to {target.name} ({address}): {errors}")
    return {int(length): number for length, number in json.loads(output).items()}


def ping(source, address, count=3, *options):
    """Packets that were answered."""
    done = source.sh("ping", "-n", "-q", "-c", count, "-i", "0.02", "-W", "2", *options, address, check=False)
    for line in done.stdout.splitlines():
        if " received" in line:
            return int(line.split(" received")[0].split()[-1])
    raise LabError(f"ping {address}: {done.stdout}{done.stderr}")
