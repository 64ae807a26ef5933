# SPDX-License-Identifier: GPL-2.0-or-later
"""What the measuring programs in Python have in common: options, figures, how they end."""
import argparse
import os
import signal
import statistics
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests" / "router"))

from topology import LabError  # noqa: E402

MODULE = HERE.parent / "build" / "dplane_ebpf" / ".libs" / "dplane_ebpf.so"
WITNESS = HERE.parent / "build" / "tests" / "router" / "witness"
NAME = Path(sys.argv[0]).name


def say(text):
    print(f"{NAME}: {text}", file=sys.stderr, flush=True)


def figure(key, values):
    """Of each round one value: printed as bench/run reads it."""
    values = list(values)
    if values:
        print(f"{key} {statistics.median(values):.6g} {min(values):.6g} {max(values):.6g} {len(values)}", flush=True)


def read_prefixes(directory, family):
    """Prefixes with their origin AS, each once, in the table's order."""
    path = directory / f"v{family}.txt"
    try:
        return list(dict(line.split() for line in path.read_text().splitlines()).items())
    except OSError as error:
        raise LabError(f"cannot read {path} (bench/prefixes makes it): {error.strerror}") from error
    except ValueError as error:
        raise LabError(f"{path}: every line has to be \"PREFIX AS\"") from error


def parse(description, rounds):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--tables", type=Path, required=True, help="a directory with v4.txt and v6.txt")
    parser.add_argument("--rounds", type=int, help=f"rounds of each ({rounds})")
    parser.add_argument("--quick", action="store_true", help="fewer rounds, a smaller table")
    parser.add_argument("--keep", action="store_true", help="leave the last network running")
    return parser.parse_args()


def backlog_drops():
    """Packets that this machine's CPUs had no room for on their way from one link to another; they are nobody's fault."""
    return sum(int(line.split()[1], 16) for line in Path("/proc/net/softnet_stat").read_text().splitlines())


def main(description, rounds, measure):
    """rounds: said in --help. measure(options, module): prints figures; a LabError is the reason why it failed."""
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    options = parse(description, rounds)
    module = os.environ.get("DPLANE_EBPF_MODULE", str(MODULE))
    if "DPLANE_EBPF_WITNESS" not in os.environ and WITNESS.exists():
        os.environ["DPLANE_EBPF_WITNESS"] = str(WITNESS)
    try:
        if os.geteuid() != 0:
            raise LabError("needs root: namespaces, FRR daemons, eBPF")
        if not Path(module).exists():
            raise LabError(f"{module} does not exist: build it (tools/build)")
        measure(options, module)
    except LabError as error:
        # the last line that bench/failover reads; whoever runs this alone sees it on the terminal
        print(f"FAILED {' '.join(str(error).split())[:300]}", flush=True)
        sys.exit(f"{NAME}: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
