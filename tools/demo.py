# SPDX-License-Identifier: GPL-2.0-or-later
"""The demonstration itself: see tools/demo, which calls it.

demo.py run|keep|clean MODULE EXTENSION       MODULE "none": FRR as it is, to work on the demonstration
"""

import signal
import sys
import time
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent / "tests" / "router"
sys.path.insert(0, str(TESTS))

import network  # noqa: E402
from topology import Lab, LabError, Router, wait_until  # noqa: E402
from traffic import Transfer, Witness, datagrams  # noqa: E402

BEGAN = time.monotonic()


def say(text):
    print(f"[{time.monotonic() - BEGAN:5.1f}s] {text}", flush=True)


def show(router, extension, command):
    """A command in vtysh, as a person would give it."""
    print(f"\n{router.name}# {command}")
    output = router.vtysh(command, preload=extension if "dplane" in command else None)
    print("\n".join("    " + line for line in output.strip().splitlines()) + "\n", flush=True)


def streams(nodes):
    """UDP from h1 to the inside (OSPF) and to the outside (BGP), and back from there, IPv4 and IPv6."""
    pairs = (("h1", "h2"), ("h1", "h3"), ("h3", "h1"))
    return [Witness(nodes[a], nodes[b], address, rate=1000) for a, b in pairs for address in network.HOSTS[b]]


def total(witnesses):
    results = [witness.stop() for witness in witnesses]
    return sum(r["sent"] for r in results), sum(r["lost"] for r in results), \
        max(r["longestGapMs"] for r in results)


def transfer(nodes):
    for host, family in (("h2", 0), ("h2", 1), ("h3", 0), ("h3", 1)):
        address = network.HOSTS[host][family]
        done = Transfer(nodes["h1"], nodes[host], address, megabytes=200).finish()
        if not done["intact"]:
            raise LabError(f"TCP to {address} did not arrive as it was sent: {done}")
        say(f"TCP  h1 to {host} ({address}): {done['bytes'] >> 20} MiB, every byte right, "
            f"{done['bytes'] * 8 / done['seconds'] / 1e9:.1f} Gbit/s")


def fail_link(nodes):
    """r1's link to r2 goes down under traffic and comes back; returns (sent, lost)."""
    running = streams(nodes)
    r1 = nodes["r1"]
    say("the link r1 - r2 fails")
    r1.sh("ip", "link", "set", "dev", "r1-r2", "down")
    wait_until("r1 uses the other path alone", lambda: all(
        [dev for _, dev in network.routes_to(r1, prefix)] == ["r1-r3"]
        for prefix in (network.OUTSIDE4, network.OUTSIDE6)))
    say("OSPF, OSPFv3 and BGP use r3 alone now")
    for address in network.HOSTS["h3"]:
        seen = datagrams(nodes["h1"], nodes["h3"], address, count=2000, rate=1000)
        say(f"UDP  h1 to h3 ({address}) over r3: {seen['sent']} datagrams, {seen['lost']} lost")
    yield
    r1.sh("ip", "link", "set", "dev", "r1-r2", "up")
    network.wait_steady(r1.lab)
    sent, lost, gap = total(running)
    say(f"the link is back; {lost} of {sent} datagrams lost while it failed and came back, "
        f"no stream silent for more than {gap:.0f} ms")
    yield sent, lost


def run(lab, extension):
    nodes = lab.nodes
    network.build(lab, say)
    say("waiting for OSPF, OSPFv3 and BGP")
    network.wait_steady(lab)
    say("every router has every route")

    running = streams(nodes)
    transfer(nodes)
    sent, quiet_lost, gap = total(running)
    say(f"UDP  h1 to h2, h1 to h3 and back, IPv4 and IPv6: {sent} datagrams meanwhile, {quiet_lost} lost")

    commands = ("show dplane ebpf summary", "show dplane ebpf interface",
                f"show dplane ebpf route {network.HOSTS['h3'][0]}",
                f"show dplane ebpf route {network.HOSTS['h2'][1]}")
    if not lab.module:
        commands = (f"show ip route {network.HOSTS['h3'][0]}",)
    for command in commands:
        show(nodes["r1"], extension, command)

    failure = fail_link(nodes)
    next(failure)
    show(nodes["r1"], extension, commands[-2] if lab.module else commands[0])
    _, failed_lost = next(failure)

    forwarded = by_kernel = 0
    for router in (node for node in nodes.values() if isinstance(node, Router)):
        by_ebpf, left = router.transit()
        say(f"{router.name}: {by_ebpf} packets forwarded by eBPF, {left} left to the kernel")
        forwarded, by_kernel = forwarded + by_ebpf, by_kernel + left
    return forwarded, by_kernel, quiet_lost, failed_lost


def look_around(lab, extension):
    print(f"""
The network is left running: h1 - r1 - (r2 | r3) - r4 - h2, and r4 - r5 - h3 by eBGP. To look around, as root:
  vtysh on r1:        LD_PRELOAD={extension} vtysh -N {lab.nodes['r1'].ns}
                      (try: show dplane ebpf summary, ... route 10.0.3.2, ... counters, show ip route)
  a shell on h1:      nsenter --net=/run/netns/{lab.nodes['h1'].ns}
                      (try: traceroute 10.0.3.2, ping 2001:db8:3::2)
  fail a link:        nsenter --net=/run/netns/{lab.nodes['r1'].ns} ip link set dev r1-r2 down
  logs:               {lab.directory}/r1/
To remove it: tools/demo --clean
""")


def main(action, module, extension):
    for signum in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, lambda *_: signal.raise_signal(signal.SIGINT))
    lab = Lab("demo", None if module == "none" else module)
    if action == "clean":
        lab.lock()
        lab.remove()
        lab.unlock()
        say("removed")
        return 0
    with lab:
        forwarded, by_kernel, quiet_lost, failed_lost = run(lab, extension)
        if action == "keep":
            look_around(lab, extension)
            lab.keep()
        else:
            say("cleaning up")
    lost = quiet_lost + failed_lost
    if lost:
        say(f"lost: {quiet_lost} while nothing failed, {failed_lost} while the link failed")
    print(f"demo: {forwarded} packets forwarded by eBPF, {by_kernel} by the kernel, {lost} lost")
    return 0 if quiet_lost == 0 else 1


try:
    sys.exit(main(*sys.argv[1:]))
except LabError as error:
    sys.exit(f"demo: {error}")
except KeyboardInterrupt:
    sys.exit("demo: interrupted, everything is removed")
