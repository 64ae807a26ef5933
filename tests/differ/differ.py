#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The differential test: random commands and random routes, and for random packets the kernel's answer and ours.

"The same" or "left to the kernel" is right. Anything else that is still so after a second or two is a difference: what
led to it is made as short as it can be, and printed such that --replay does it again.

An episode is a fresh router (world.py), batches of random commands (kinds.py), and after each batch some thousand
random packets. Everything follows from the seed.
"""

import argparse
import itertools
import json
import os
import random
import sys
import time

import kinds
import plants
import topology
import world

# ms for which a difference may last: what only the module's own looking around finds takes up to a second
PATIENCE = 3000
# of what is compared, this much at least must have been sent by the program, or nothing was tested
LEAST_SENT = 0.15
SENT = ("same way", "another member of the same route", "same way, MAC address by the kernel")


class Totals:
    def __init__(self):
        self.compared = self.transient = self.episodes = self.batches = self.longest = 0
        self.classes = {}

    def add(self, answer):
        self.batches += 1
        self.compared += answer["compared"]
        self.transient += answer["transient"]
        if answer["transient"] and not answer["left"]:
            self.longest = max(self.longest, answer["ms"])
        for name, count in answer["classes"].items():
            self.classes[name] = self.classes.get(name, 0) + count

    def sent(self):
        return sum(self.classes.get(name, 0) for name in SENT) / max(1, self.compared)

    def __str__(self):
        classes = ", ".join(f"{count} {name}" for name, count in self.classes.items())
        return (f"{self.compared} packets compared in {self.batches} batches of {self.episodes} routers: {classes}; "
                f"{self.transient} differed at first, the last of them for {self.longest} ms")


def say(text):
    print(text, flush=True)


class Differ:
    def __init__(self, options):
        self.options = options
        self.totals = Totals()

    def world(self):
        return world.World(self.options.module, self.options.engine, self.options.lab,
                           own_sources="own-source" not in self.options.without)

    def episode(self, seed, script):
        """Returns the batches up to a difference and the differences; None where there is none."""
        done = []
        with self.world() as router:
            for number, batch in enumerate([[], *script]):
                done.append(batch)
                try:
                    router.do(batch)
                    router.quiet()
                    answer = router.run(seed * 1000 + number, self.options.packets, PATIENCE)
                except (OSError, topology.LabError) as error:
                    say(f"seed {seed}: {error} after:\n" + "\n".join(itertools.chain(*done)))
                    raise
                self.totals.add(answer)
                if answer["differences"]:
                    return done, answer["differences"]
                if self.totals.compared >= self.options.comparisons:
                    break
        self.totals.episodes += 1
        return None

    def still(self, commands, packet):
        """
        Does the packet differ after these commands alone? Each comes with the number of its batch. Returns what is said
        of it, or None.
        """
        with self.world() as router:
            for _, batch in itertools.groupby(commands, key=lambda command: command[0]):
                router.do([command for _, command in batch])
                router.quiet()
            answer = router.ask(packet, PATIENCE)
        return answer if answer.get("verdict") == "different" else None

    def shorten(self, batches, packet, seconds=90):
        """
        Leaves out what is not needed: halves, quarters and so on (Zeller's ddmin). Returns commands, each with its
        batch's number, and the answer, which is None where the difference does not come again.
        """
        commands = [(number, command) for number, batch in enumerate(batches) for command in batch]
        # what takes two threads at the right moment may take some tries
        answer = next(filter(None, (self.still(commands, packet) for _ in range(3 if seconds else 0))), None)
        if not answer:
            return commands, None
        end = time.monotonic() + seconds
        pieces = 2
        while commands and time.monotonic() < end:
            size = -(-len(commands) // pieces)
            for start in range(0, len(commands), size):
                rest = commands[:start] + commands[start + size:]
                found = self.still(rest, packet)
                if found:
                    commands, answer = rest, found
                    pieces = max(2, pieces - 1)
                    break
            else:
                if size == 1:
                    break
                pieces = min(len(commands), 2 * pieces)
        return commands, answer

    def report(self, seed, batches, differences):
        """Prints a counterexample, as --replay takes it: batches stand between lines."""
        first = differences[0]
        short, again = self.shorten(batches, first["packet"], 0 if self.options.quick else 90)
        lines = [f"DIFFERENT (seed {seed}): {(again or first)['why']}"]
        if not again:
            lines.append("  # not again in a second run of the same")
        for number, batch in itertools.groupby(short, key=lambda command: command[0]):
            lines += [f"  {command}" for _, command in batch] + ["  --"]
        lines.append(f"  packet {first['packet']}")
        lines += [f"    {name}: {(again or first)[name]}" for name in ("kernel", "program", "witness")]
        say("\n".join(lines))

    def replay(self, path):
        """A counterexample from a file, as it was printed."""
        batches, packets = [[]], []
        for line in open(path, encoding="utf-8"):
            line = line.strip()
            if line.startswith("packet "):
                packets.append(line.removeprefix("packet "))
            elif line == "--":
                batches.append([])
            elif line and not line.startswith(("#", "DIFFERENT", "kernel:", "program:", "witness:")):
                batches[-1].append(line)
        different = 0
        with self.world() as router:
            for batch in batches:
                router.do(batch)
                router.quiet()
            for packet in packets:
                answer = router.ask(packet, PATIENCE)
                different += answer.get("verdict") == "different"
                say(json.dumps(answer, indent=2))
            if self.options.shell:
                say(f"nsenter --net=/run/netns/{router.router.ns}")
                os.system(f"nsenter --net=/run/netns/{router.router.ns} bash -i")
        return 1 if different else 0

    def self_test(self):
        """Plants differences of each kind; each must be found."""
        start = time.monotonic()
        with self.world() as router:
            planted = plants.Planted(router, self.options.seed * 1000, say)
            planted.all()
        say(f"differ: {planted.found} of {planted.found + planted.missed} planted differences found "
            f"({time.monotonic() - start:.0f} s, seed {self.options.seed})")
        return 1 if planted.missed or not planted.found else 0

    def run(self):
        names = [name for name in self.options.kinds or kinds.KINDS if name not in self.options.without]
        dealt = kinds.deck(self.options.seed, names)
        start = said = time.monotonic()
        found = 0
        for number in itertools.count():
            if self.totals.compared >= self.options.comparisons:
                break
            seed = self.options.seed * 100000 + number
            different = self.episode(seed, kinds.script(seed, dealt))
            if different:
                found += 1
                self.report(seed, *different)
                if found >= self.options.keep_going:
                    break
            if time.monotonic() - said > 15:
                said = time.monotonic()
                say(f"{self.totals.compared} compared")
        say(f"differ: {self.totals} ({time.monotonic() - start:.0f} s, seed {self.options.seed})")
        if not found and self.totals.sent() < LEAST_SENT:
            say(f"differ: only {self.totals.sent():.0%} of the packets were sent by the program: nothing is proven")
            return 1
        return 1 if found else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--module", default=os.environ.get("DPLANE_EBPF_MODULE"), help="path of dplane_ebpf.so")
    parser.add_argument("--engine", default=os.environ.get("DPLANE_EBPF_DIFFER"), help="path of tests/differ/differ")
    parser.add_argument("--comparisons", type=int, default=100000)
    parser.add_argument("--packets", type=int, help="after each batch of commands")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1, 1 << 30))
    parser.add_argument("--kinds", nargs="*", choices=sorted(kinds.KINDS), help="only these")
    parser.add_argument("--without", nargs="*", default=[], metavar="KIND",
                        help="not these; own-source: no packets from the router's own addresses")
    parser.add_argument("--keep-going", type=int, default=1, metavar="N", help="until N differences are found")
    parser.add_argument("--quick", action="store_true", help="do not shorten what was found")
    parser.add_argument("--self-test", action="store_true", help="plant differences of each kind, and find them")
    parser.add_argument("--replay", metavar="FILE", help="a counterexample as it was printed")
    parser.add_argument("--shell", action="store_true", help="with --replay: look around afterwards")
    parser.add_argument("--lab", default="differ", help="name of the namespaces")
    options = parser.parse_args()
    if not options.module or not options.engine:
        parser.error("--module and --engine are needed")
    # so many episodes that each kind has its turn several times, and so few that they do not take hours
    options.packets = options.packets or min(20000, max(1000, options.comparisons // 500))
    differ = Differ(options)
    if options.self_test:
        return differ.self_test()
    return differ.replay(options.replay) if options.replay else differ.run()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (OSError, topology.LabError) as error:
        sys.exit(f"differ: {error}")
