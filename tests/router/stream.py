# SPDX-License-Identifier: GPL-2.0-or-later
"""One end of a TCP stream of random bytes. Each end prints what passed, with its SHA-256, as one line of JSON.

stream.py recv ADDRESS PORT          says "ready" on stderr once it listens; takes one connection
stream.py send ADDRESS PORT BYTES SECONDS      SECONDS above 0: send for so long instead of so much
"""

import hashlib
import json
import os
import socket
import sys
import time


def receive(address, port):
    digest, count = hashlib.sha256(), 0
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, port), family=family) as server:
        print("ready", file=sys.stderr, flush=True)
        server.settimeout(60)
        connection, _ = server.accept()
        with connection:
            connection.settimeout(60)
            while part := connection.recv(1 << 20):
                digest.update(part)
                count += len(part)
    return {"bytes": count, "sha256": digest.hexdigest()}


def send(address, port, size, seconds):
    digest, count, began = hashlib.sha256(), 0, time.monotonic()
    with socket.create_connection((address, port), timeout=60) as connection:
        while (time.monotonic() - began < seconds) if seconds else (count < size):
            part = os.urandom(min(1 << 20, size - count) if not seconds else 1 << 16)
            digest.update(part)
            connection.sendall(part)
            count += len(part)
    return {"bytes": count, "sha256": digest.hexdigest(), "seconds": time.monotonic() - began}


if sys.argv[1] == "recv":
    print(json.dumps(receive(sys.argv[2], int(sys.argv[3]))))
else:
    print(json.dumps(send(sys.argv[2], *(int(a) for a in sys.argv[3:5]), float(sys.argv[5]))))
