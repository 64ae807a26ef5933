# SPDX-License-Identifier: GPL-2.0-or-later
"""Who gets a packet, and who answers it: sockets in many namespaces, held by one process.

A socket stays in the namespace in which it was made, wherever its process is afterwards. So one thread sends,
receives and answers for all hosts; nothing has to be started, which takes long where the processor is emulated.
"""

import ctypes
import errno
import itertools
import os
import select
import socket
import struct
import time
from collections import Counter
from contextlib import ExitStack, contextmanager

CLONE_NEWNET = 0x40000000
# linux/in.h and linux/in6.h; Python's socket module does not name them all
IP_TTL, IP_RECVERR, IP_RECVTTL, IP_FREEBIND, IPV6_RECVERR, IPV6_FREEBIND = 2, 11, 12, 15, 25, 78
# struct sock_extended_err: ee_errno stands first
EXTENDED_ERROR = struct.Struct("=IBBBBII")

_ports = itertools.count(30000)
_libc = ctypes.CDLL(None, use_errno=True)


def _setns(fd):
    if _libc.setns(fd, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), f"setns: {os.strerror(ctypes.get_errno())}")


@contextmanager
def inside(node):
    """This thread is in the node's namespace."""
    here = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    there = os.open(f"/run/netns/{node.ns}", os.O_RDONLY)
    try:
        _setns(there)
        yield
    finally:
        _setns(here)
        os.close(there)
        os.close(here)


def _family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def _bind(one, address, port):
    """Answers shall come from the address that was asked, whether the node has it or not."""
    if ":" in address:
        one.setsockopt(socket.IPPROTO_IPV6, IPV6_FREEBIND, 1)
    else:
        one.setsockopt(socket.IPPROTO_IP, IP_FREEBIND, 1)
    one.bind((address, port))


def _udp(node, address):
    """A socket that tells the hop limit of what it receives, and the ICMP errors for what it sent."""
    with inside(node):
        udp = socket.socket(_family(address), socket.SOCK_DGRAM)
    udp.setblocking(False)
    if ":" in address:
        udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVHOPLIMIT, 1)
        udp.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVERR, 1)
    else:
        udp.setsockopt(socket.IPPROTO_IP, IP_RECVTTL, 1)
        udp.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
    return udp


def _hops(control):
    for level, kind, data in control:
        if (level, kind) in ((socket.IPPROTO_IP, IP_TTL), (socket.IPPROTO_IPV6, socket.IPV6_HOPLIMIT)):
            return struct.unpack("=i", data)[0]
    return None


def _read_error(udp):
    """The name of the error that an ICMP message told of."""
    try:
        _, control, _, _ = udp.recvmsg(2048, 512, socket.MSG_ERRQUEUE)
    except BlockingIOError:
        return None
    for _, _, data in control:
        if len(data) >= EXTENDED_ERROR.size:
            return errno.errorcode[EXTENDED_ERROR.unpack_from(data)[0]]
    return None


def _answer(receiver, payload, source):
    try:
        receiver.sendto(payload, source)
    except OSError:
        # no way back: the router in the default VRF has none to a client in another
        pass


def exchange(client, nodes, address, count=20, patience=1.5):
    """
    Sends count datagrams to the address; every node, by name, that gets one sends it back. What became of them:
    arrived, by node and hop limit; answered, which are those that came back as they were sent; the kinds of errors
    that routers reported. Ends when all is settled, or after so many seconds without an event.
    """
    port = next(_ports)
    sent = {struct.pack("=I", n) + os.urandom(60) for n in range(count)}
    arrived, errors, answers = Counter(), set(), []
    with ExitStack() as stack:
        receivers = {}
        for name, node in nodes.items():
            receiver = stack.enter_context(_udp(node, address))
            _bind(receiver, address, port)
            receivers[receiver] = name
        sender = stack.enter_context(_udp(client, address))
        sender.connect((address, port))
        for payload in sent:
            try:
                sender.send(payload)
            except OSError as error:
                errors.add(errno.errorcode[error.errno])
        end = time.monotonic() + patience
        while len(answers) < count and time.monotonic() < end:
            ready, _, _ = select.select([sender, *receivers], [], [], max(0, end - time.monotonic()))
            for one in ready:
                end = time.monotonic() + patience
                try:
                    payload, control, _, source = one.recvmsg(2048, 512)
                except OSError:
                    # the socket had an error to report in the place of a datagram
                    payload = None
                    errors.add(_read_error(one))
                if payload and one is sender:
                    answers.append(payload)
                elif payload:
                    arrived[receivers[one], _hops(control) if payload in sent else "damaged"] += 1
                    _answer(one, payload, source)
    return {"arrived": dict(arrived), "answered": len(sent & set(answers)), "doubled": len(answers) - len(set(answers)),
            "errors": sorted(errors - {None})}


def connect(client, nodes, address, timeout=5):
    """Who accepts a TCP connection to the address and sends back what it is told; None if nobody does."""
    port = next(_ports)
    with ExitStack() as stack:
        listeners = {}
        for name, node in nodes.items():
            with inside(node):
                listener = stack.enter_context(socket.socket(_family(address), socket.SOCK_STREAM))
            _bind(listener, address, port)
            listener.listen()
            listeners[listener] = name
        with inside(client):
            tcp = stack.enter_context(socket.socket(_family(address), socket.SOCK_STREAM))
        tcp.settimeout(timeout)
        try:
            tcp.connect((address, port))
        except OSError:
            return None
        ready, _, _ = select.select(list(listeners), [], [], timeout)
        if not ready:
            return None
        accepted, _ = ready[0].accept()
        with accepted:
            accepted.settimeout(timeout)
            tcp.sendall(b"whoever you are")
            try:
                accepted.sendall(accepted.recv(100))
                return listeners[ready[0]] if tcp.recv(100) == b"whoever you are" else None
            except TimeoutError:
                return None
