# SPDX-License-Identifier: GPL-2.0-or-later
"""The pinned arrays of a router, as the program reads them and as anybody may write them. bpf/layout.h has their shape."""

import ctypes
import ipaddress
import mmap
import os
import platform
import struct
from contextlib import contextmanager

SYS_BPF = {"x86_64": 321, "aarch64": 280}[platform.machine()]
BPF_OBJ_GET = 7
NODE = 0x80000000


def open_pin(path):
    """A file descriptor of what is pinned there."""
    libc = ctypes.CDLL(None, use_errno=True)
    name = ctypes.create_string_buffer(os.fsencode(path))
    attributes = ctypes.create_string_buffer(struct.pack("=QII", ctypes.addressof(name), 0, 0), 128)
    fd = libc.syscall(SYS_BPF, BPF_OBJ_GET, attributes, 128)
    if fd < 0:
        raise OSError(ctypes.get_errno(), f"{path}: {os.strerror(ctypes.get_errno())}")
    return fd


@contextmanager
def array(router, name):
    """A pinned array as writable memory."""
    fd = open_pin(router.pin / name)
    try:
        info = open(f"/proc/self/fdinfo/{fd}", encoding="ascii").read()
        size = next(int(line.split()[1]) for line in info.splitlines() if line.startswith("value_size"))
        memory = mmap.mmap(fd, -(-size // mmap.PAGESIZE) * mmap.PAGESIZE)
        try:
            yield memory
        finally:
            memory.close()
    finally:
        os.close(fd)


def write(router, name, form, offset, value):
    """Stores a value, struct's form says of which size. Returns what was there."""
    with array(router, name) as memory:
        old = struct.unpack_from(form, memory, offset)[0]
        struct.pack_into(form, memory, offset, value)
        return old


def group_of(router, prefix):
    """The number of a prefix's group."""
    return router.ask_json(f"show dplane ebpf route {prefix} json")["group"]


def root_offset(address):
    """Where the words of an address begin in fib4_root or fib6_root."""
    address = ipaddress.ip_address(address)
    if address.version == 4:
        return 4 * (int(address) >> 14)
    first = int(address) >> 104
    return 4 * (first & 0x1fffff) if first >> 21 == 1 else 4 * ((1 << 21) + (first >> 16))
