# SPDX-License-Identifier: GPL-2.0-or-later
"""What bench/run and bench/failover have in common: preparing, running measuring programs, reading their figures."""
import os
import pathlib
import signal
import subprocess
import sys
import time

TOP = pathlib.Path(__file__).resolve().parent.parent
BUILD = TOP / "build"
TABLES = pathlib.Path("/var/cache/dplane-ebpf/bench/tables")
# how long a program that was told to end may take to clean up
PATIENCE_S = 30
BEGAN = time.monotonic()


class Failed(Exception):
    pass


def say(text):
    print(f"[{time.monotonic() - BEGAN:4.0f}s] bench: {text}", file=sys.stderr, flush=True)


# ---- running other programs

def stop(process):
    """Ctrl-C is ours alone (see run()): the program hears of it once, and its own children through it."""
    process.terminate()
    try:
        process.wait(PATIENCE_S)
    except subprocess.TimeoutExpired:
        pass
    finally:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    process.wait()


def run(*argv, on_line=None):
    """Runs a program whose stderr is ours, and so is its stdout unless on_line() takes its lines."""
    try:
        process = subprocess.Popen(list(map(str, argv)), cwd=TOP, stdin=subprocess.DEVNULL, text=True,
                                   stdout=subprocess.PIPE if on_line else sys.stderr, start_new_session=True)
    except OSError as error:
        raise Failed(f"{argv[0]} cannot be run: {error.strerror}") from None
    try:
        for line in process.stdout or ():
            on_line(line)
        status = process.wait()
    except BaseException:
        stop(process)
        raise
    if status:
        raise Failed(f"{argv[0]} ended with status {status}" if status > 0 else
                     f"{argv[0]} was ended by signal {-status}")


# ---- what is there before anything is measured

def prepare():
    """Installs what is missing, builds, fetches prefixes: returns the directory that has them."""
    for argv in (("tools/deps", "--bench"), ("tools/build",)):
        say(" ".join(argv))
        run(TOP / argv[0], *argv[1:])
    say("bench/prefixes")
    run(TOP / "bench/prefixes", TABLES / "libloc")
    return TABLES / "libloc"


def describe_table(directory):
    return {"source": (directory / "source").read_text().strip()} | {
        family: (directory / f"{family}.txt").read_bytes().count(b"\n") for family in ("v4", "v6")}


def describe_machine():
    cpuinfo = pathlib.Path("/proc/cpuinfo").read_text()
    caches = {}
    for cache in sorted(pathlib.Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        level, kind, size = ((cache / name).read_text().strip() for name in ("level", "type", "size"))
        caches[f"L{level}{kind[0].lower() if kind != 'Unified' else ''}"] = size
    models = [line.split(":", 1)[1].strip() for line in cpuinfo.splitlines() if line.startswith("model name")]
    return {"cpu": models[0] if models else os.uname().machine, "cores": os.cpu_count(), "kernel": os.uname().release,
            "caches": caches, "load": round(os.getloadavg()[0], 2)}


# ---- measuring

def measure(program, tables, *options, figures, prefix=""):
    """Adds the figures that a measuring program prints, as it prints them."""
    reasons = []

    def take(line):
        if line.startswith("FAILED "):
            reasons.append(line.removeprefix("FAILED ").strip())
            return
        try:
            key, median, least, most, rounds = line.split()
            figures[prefix + key] = {"median": float(median), "least": float(least), "most": float(most),
                                     "rounds": int(rounds)}
        except ValueError:
            raise Failed(f"{program} printed what is no figure: {line.strip()!r}") from None

    try:
        run(program, "--tables", tables, *options, on_line=take)
    except Failed as failure:
        raise Failed(reasons[0] if reasons else str(failure)) from None
