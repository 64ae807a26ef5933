# SPDX-License-Identifier: GPL-2.0-or-later
"""A router with several ways to the same place (ways.py) and a table from BGP, whose next hops are border routers behind them."""
import random
import time

import feed
from section import say
from topology import LabError, wait_until
from ways import Ways

# zebra and bgpd take a minute for each change of a full table, and several where the machine has other things to do
PATIENCE_S = 300


def targets(prefixes, count):
    """Addresses, each inside a random /24 of its own."""
    longest = [prefix for prefix, _ in prefixes if prefix.endswith(".0/24")]
    return [prefix.removesuffix("0/24") + "1" for prefix in random.sample(longest, min(count, len(longest)))]


class TableRouter:
    def __init__(self, lab, borders, tables, addresses, size="full"):
        """
        borders: address of a border router to the numbers of the ways to it. tables: name to the border router and its prefixes
        with their AS. addresses: where the witness sends to; all behind the first border, or a dict of address to border. size: of the
        module's tables.
        """
        self.ours = bool(lab.module)
        first = next(iter(borders))
        self.border_of = addresses if isinstance(addresses, dict) else dict.fromkeys(addresses, first)
        self.over = {address: borders[border] for address, border in self.border_of.items()}
        self.ways = Ways(lab, borders, list(self.border_of), daemons=("zebra", "staticd", "bgpd"),
                         config=feed.REFLECTED_CONFIG)
        self.router = self.ways.router
        self.feed = feed.reflector(lab, self.router, tables)
        self.prefixes = sum(len(prefixes) for _, prefixes in tables.values())
        self.module = ["-M", f"{lab.module}:size={size},pin={self.router.pin}"] if self.ours else []

    def start(self, *extra):
        """Starts FRR; returns when every route is where packets find it."""
        began = time.monotonic()
        self.router.start(*extra, module=self.module)
        self.feed.start()
        self.wait_loaded()
        say(f"{self.prefixes} prefixes, {'with' if self.ours else 'without'} the module: "
            f"{time.monotonic() - began:.0f} s")

    def wait_loaded(self, prefixes=None):
        wanted = self.prefixes if prefixes is None else prefixes
        wait_until("bgpd has given zebra every prefix", lambda: self.feed.established() and self.in_zebra() >= wanted,
                   PATIENCE_S, interval=0.2)
        self.settle()

    def in_zebra(self):
        """How many prefixes zebra has from bgpd."""
        routes = self.router.ask_json("show ip route summary json")["routes"]
        return sum(one["rib"] for one in routes if one["type"] == "ibgp")

    def given(self):
        """Route updates that zebra gave to its data plane so far."""
        for line in self.router.ask("show zebra dplane").splitlines():
            if line.startswith("Route updates:"):
                return int(line.split()[-1])
        raise LabError("zebra does not say how many routes it gave to its data plane")

    def settle(self, over=None):
        """Waits until zebra has had nothing to do for a while, and all targets are reached over these ways (all of theirs)."""
        last, since = self.given(), time.monotonic()

        def is_quiet():
            nonlocal last, since
            now = self.given()
            if now != last:
                last, since = now, time.monotonic()
            return time.monotonic() - since > 0.5

        wait_until("zebra is done", is_quiet, PATIENCE_S, interval=0.1)
        self.ways.wait_steady({address: over or its for address, its in self.over.items()}, PATIENCE_S)
