# SPDX-License-Identifier: GPL-2.0-or-later
"""One thread of zebra's hangs while all others go on: it is stopped as by a debugger."""

import ctypes
import os
import threading
import time
from pathlib import Path

import pytest

from test_bypass import FAR, Line
import topology
from topology import wait_until
from traffic import datagrams

PTRACE_SEIZE, PTRACE_INTERRUPT = 0x4206, 0x4207
PATIENCE, HOLD = 10, 1  # s


class Stopped:
    """A thread that does not run until the block is left."""

    def __init__(self, tid):
        self.tid = tid
        self.done = threading.Event()
        self.failed = None
        # tracer is one thread, and what it traces goes on when it ends
        self.thread = threading.Thread(target=self._hold)

    def _hold(self):
        libc = ctypes.CDLL(None, use_errno=True)
        for request in (PTRACE_SEIZE, PTRACE_INTERRUPT):
            if libc.ptrace(request, self.tid, None, None) < 0:
                self.failed = os.strerror(ctypes.get_errno())
                break
        self.done.wait()

    def state(self):
        status = Path(f"/proc/{self.tid}/status").read_text()
        return next(line.split()[1] for line in status.splitlines() if line.startswith("State:"))

    def __enter__(self):
        self.thread.start()
        wait_until("the thread is stopped", lambda: self.failed or self.state() == "t")
        assert not self.failed, self.failed
        return self

    def __exit__(self, *_):
        self.done.set()
        self.thread.join()


def threads(pid):
    """By name; the main thread's is zebra's own."""
    found = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        found[(task / "comm").read_text().strip()] = int(task.name)
    return found


@pytest.fixture(scope="module")
def line(module):
    if not module:
        pytest.skip("DPLANE_EBPF_MODULE=none: nothing to look at")
    with topology.Lab("hang", module) as lab:
        line = Line(lab)
        line.r1.start(module=["-M", f"{module}:size=small,pin={line.r1.pin},hold={HOLD}"])
        line.wait_routes()
        yield line


def by_program(line, count=100):
    """While zebra cannot be asked: how many of them the kernel did not forward."""
    before = line.r1.kernel_forwarded()
    assert datagrams(line.h1, line.h2, FAR[0], count=count)["lost"] == 0
    return count - (line.r1.kernel_forwarded() - before)


@pytest.mark.parametrize("name", ("zebra", "zebra_dplane"))
def test_hanging_thread(line, name):
    """
    Packets are the program's for as long as is said, then the kernel's; the program's again when it goes on.
    """
    wait_until("the program forwards", lambda: by_program(line) >= 98)
    tid = threads(line.r1.pid("zebra"))[name]
    with Stopped(tid):
        started = time.monotonic()
        wait_until("the kernel forwards", lambda: by_program(line) <= 2, timeout=PATIENCE + HOLD + 10)
        after = time.monotonic() - started
        assert PATIENCE <= after <= PATIENCE + HOLD + 6, after
        # that lasts, and nothing is lost
        time.sleep(1)
        assert by_program(line) <= 2
    wait_until("the program forwards again", lambda: by_program(line) >= 98)
    assert line.r1.counters()["kernel-abandoned"] >= 200
    assert "has not come round" in line.r1.log() and "zebra goes on" in line.r1.log()
