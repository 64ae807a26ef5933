# SPDX-License-Identifier: GPL-2.0-or-later
"""Three routers that speak IS-IS and have loop-free alternates (LFA) to each other.

          r2
         /  \\
   h1 - r1 - r3 - h3
"""

TARGET, TARGET_NETWORK = "10.0.3.2", "10.0.3.0/24"
DIRECT, ALTERNATE = "r1-r3", "r1-r2"
PEERS = {1: (2, 3), 2: (1, 3), 3: (1, 2)}


def config(number, host):
    """SPF waits long, so that what happens before it can be seen."""
    lines = [f"hostname r{number}", "router isis 1", " is-type level-1", f" net 49.0001.0000.0000.000{number}.00",
             " spf-delay-ietf init-delay 4000 short-delay 4000 long-delay 4000 holddown 8000 time-to-learn 4000",
             " lsp-gen-interval 1", "exit"]
    for peer in PEERS[number]:
        low, high = sorted((number, peer))
        lines += [f"interface r{number}-r{peer}", f" ip address 10.1.{low}{high}.{1 if number == low else 2}/24",
                  " ip router isis 1", " isis network point-to-point", " isis circuit-type level-1",
                  " isis hello-interval 1", " isis fast-reroute lfa level-1", "exit"]
    if host:
        lines += [f"interface r{number}-{host}", f" ip address 10.0.{number}.1/24", " ip router isis 1",
                  " isis passive", "exit"]
    return "\n".join(lines) + "\n"


def build(lab):
    """Makes it all and starts the routers; does not wait for routes."""
    hosts = {1: lab.host("h1"), 3: lab.host("h3")}
    for number in PEERS:
        host = hosts.get(number)
        lab.router(f"r{number}", daemons=("zebra", "isisd"), config=config(number, host and host.name))
    for low, high in ((1, 2), (1, 3), (2, 3)):
        lab.link(lab.nodes[f"r{low}"], lab.nodes[f"r{high}"])
    for number, host in hosts.items():
        lab.link(lab.nodes[f"r{number}"], host)
        host.configure(f"{host.name}-r{number}", [f"10.0.{number}.2/24"], [f"10.0.{number}.1"])
    for number in PEERS:
        lab.nodes[f"r{number}"].start()


def members(r1):
    """What r1's tables have for the target: members by interface."""
    group = r1.ask_json(f"show dplane ebpf route {TARGET} json").get("group", {})
    return {member["interfaceName"]: member for member in group.get("members", [])}


def is_protected(r1):
    """Whether the target is reached directly, with the alternate for its backup."""
    found = members(r1)
    return set(found) == {DIRECT, ALTERNATE} and found[ALTERNATE]["backup"] and \
        found[DIRECT].get("backups") == [found[ALTERNATE]["nexthop"]]


def kernel_has_route(r1):
    return bool(r1.ip_json("route", "show", "exact", TARGET_NETWORK))
