# SPDX-License-Identifier: GPL-2.0-or-later
"""A router's pinned program run on packets of ours (BPF_PROG_TEST_RUN): which way each would go."""
import ctypes
import ipaddress
import os
import struct
import threading

import maps

BPF_PROG_TEST_RUN = 10
CLONE_NEWNET = 0x40000000
REDIRECT, SHOT = 7, 2
SKB_SIZE, SKB_IFINDEX = 192, 40
SOURCE = {4: ipaddress.ip_address("198.51.100.1"), 6: ipaddress.ip_address("2001:db8:5::1")}
FRAME = 128


def checksum(header):
    total = sum(struct.unpack(f"!{len(header) // 2}H", header))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def frame(family, mac, address, port):
    """A UDP datagram without content to an address, from one that changes with the port as well."""
    udp = struct.pack("!HHHH", port, 33434, 8, 0)
    if family == 4:
        header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 28, 0, 0, 64, 17, 0, SOURCE[4].packed, address)
        header = header[:10] + struct.pack("!H", checksum(header)) + header[12:]
        kind = 0x0800
    else:
        header = struct.pack("!IHBB16s16s", 6 << 28, 8, 17, 64, SOURCE[6].packed, address)
        kind = 0x86dd
    return mac + b"\2\0\0\0\0\1" + struct.pack("!H", kind) + header + udp


class Program:
    """Packets that come in by one of the router's interfaces. Use inside run_in()."""

    def __init__(self, router, interface):
        link = router.ip_json("link", "show", "dev", interface)[0]
        self.mac = bytes.fromhex(link["address"].replace(":", ""))
        self.ifindex = link["ifindex"]
        self.fd = maps.open_pin(router.pin / "program")
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.into = ctypes.create_string_buffer(256)
        self.out = ctypes.create_string_buffer(256)
        self.context = ctypes.create_string_buffer(SKB_SIZE)
        struct.pack_into("=I", self.context, SKB_IFINDEX, self.ifindex)
        self.attributes = ctypes.create_string_buffer(128)

    def close(self):
        os.close(self.fd)

    def send(self, family, address, port):
        """(what the program returned, the first twelve bytes of the packet): address is a number."""
        packet = frame(family, self.mac, address.to_bytes(4 if family == 4 else 16, "big"), port)
        self.into[:len(packet)] = packet
        struct.pack_into("=IIIIQQIIIIQQ", self.attributes, 0, self.fd, 0, len(packet), len(self.out),
                         ctypes.addressof(self.into), ctypes.addressof(self.out), 1, 0, SKB_SIZE, 0,
                         ctypes.addressof(self.context), 0)
        if self.libc.syscall(maps.SYS_BPF, BPF_PROG_TEST_RUN, self.attributes, 128) < 0:
            raise OSError(ctypes.get_errno(), f"BPF_PROG_TEST_RUN: {os.strerror(ctypes.get_errno())}")
        return struct.unpack_from("=i", self.attributes, 4)[0], self.out.raw[:12]


def run_in(router, work):
    """work() in a thread inside the router's namespace, where the interfaces are that packets come in by."""
    result = []

    def inside():
        try:
            fd = os.open(f"/run/netns/{router.ns}", os.O_RDONLY)
            failed = ctypes.CDLL(None, use_errno=True).setns(fd, CLONE_NEWNET)
            os.close(fd)
            if failed:
                raise OSError(ctypes.get_errno(), "setns")
            result.append((work(), None))
        except BaseException as error:
            result.append((None, error))

    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    value, error = result[0]
    if error:
        raise error
    return value
