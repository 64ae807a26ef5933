# SPDX-License-Identifier: GPL-2.0-or-later
"""Differences made on purpose, in the kernel behind zebra's back and in the program's memory: each must be found, nothing else."""
import ipaddress

import comparison
import maps
import tablewalk
from disturbed import PLANTED, WAYS, ZEBRA_BGP, gateways
from section import say
from speaker import SPACE
from topology import LabError, wait_until

NO_ROUTE = 1
NEXTHOP_SIZE, NEXTHOP_GATE = 64, 24


def lonely(router, family):
    """Two BGP prefixes that share their words of the root with no other."""
    bits, root_bits = (32, 18) if family == 4 else (128, 24)
    words = {}
    table = tablewalk.kernel_table(router, family, "main")
    for first, length in table:
        words.setdefault(first >> bits - root_bits, []).append((first, length))
    found = [ipaddress.ip_network(prefixes[0]) for _, prefixes in sorted(words.items())
             if len(prefixes) == 1 and prefixes[0][1] >= root_bits and isinstance(table[prefixes[0]], tablewalk.Hops)
             and ipaddress.ip_network(prefixes[0]).overlaps(SPACE[family])]
    if len(found) < 2:
        raise LabError("no two prefixes are alone in their words of the root")
    return found[0], found[-1]


def route_of(router, network):
    return router.ip_json(f"-{network.version}", "route", "show", "exact", str(network))[0]


def nexthop_deleted(router, network):
    """The kernel drops the route with its next hop; zebra puts the next hop back, and not the route (of IPv4)."""
    router.sh("ip", "nexthop", "del", "id", route_of(router, network)["nhid"])
    return network


def other_gateway(router, network):
    """zebra takes changes of its own protocols' routes for its own."""
    route = route_of(router, network)
    old = {hop.get("gateway") for hop in route.get("nexthops", [route])}
    other = next(gateways(way)[network.version == 6] for way in range(1, WAYS + 1)
                 if gateways(way)[network.version == 6] not in old)
    router.sh("ip", "route", "replace", network, "via", other, "metric", "20", "proto", ZEBRA_BGP)
    return network


def root_word(router, network):
    name = f"fib{network.version}_root"
    maps.write(router, name, "=I", maps.root_offset(network.network_address), NO_ROUTE)
    return network.supernet(new_prefix=18 if network.version == 4 else 24)


def group_slot(router, network):
    """A group's slots lead to another next hop."""
    group = maps.group_of(router, network)
    mine = group["members"][0]["nexthop"]
    other = next(hop["nexthop"] for hop in router.ask_json("show dplane ebpf nexthop json") if hop["nexthop"] != mine)
    with maps.array(router, "fib_group") as memory:
        offset = int.from_bytes(memory[8 * group["group"]:8 * group["group"] + 4], "little")
    maps.write(router, "fib_slot", "=H", 2 * offset, other)
    return network


def nexthop_gate(router, network):
    """A next hop has another gateway."""
    number = maps.group_of(router, network)["members"][0]["nexthop"]
    maps.write(router, "fib_nexthop", "=B", NEXTHOP_SIZE * number + NEXTHOP_GATE + (3 if network.version == 4 else 15), 1)
    return network


def plant(router):
    """What is different now: {what was done: addresses that it is about}, and commands that undo what is BGP's."""
    planted, undo = {}, []
    for family in (4, 6):
        word, other = lonely(router, family)
        undo.append(("ip", "route", "replace", other, "nhid", route_of(router, other)["nhid"], "metric", "20", "proto",
                     ZEBRA_BGP))
        planted[f"root_word {word}"] = root_word(router, word)
        planted[f"other_gateway {other}"] = other_gateway(router, other)
    for what, network in zip((nexthop_deleted, group_slot, nexthop_gate, group_slot, nexthop_gate), PLANTED):
        planted[f"{what.__name__} {network}"] = what(router, ipaddress.ip_network(network))
    return planted, undo


def judge(who, planted, seen):
    """True if all that is planted was seen, and all that was seen is planted."""
    missed = [name for name, network in planted.items() if not any(network.overlaps(one) for one in seen
                                                                   if one.version == network.version)]
    beyond = [str(one) for one in seen if not any(one.version == network.version and one.subnet_of(network)
                                                  for network in planted.values())]
    say(f"planted {len(planted)}; {who} found all but {missed or 'none'}, and {beyond[:5] or 'nothing'} beyond them")
    return not missed and not beyond


def networks(found):
    """What the comparison found, as prefixes: by the tables, and by packets."""
    seen = set()
    for family, first, last, *_ in found.ranges + found.behind + found.fewer:
        kind = ipaddress.IPv4Address if family == 4 else ipaddress.IPv6Address
        seen |= set(ipaddress.summarize_address_range(kind(first), kind(last)))
    return seen | {ipaddress.ip_network(comparison.text(family, address)) for family, address, *_ in found.packets}


def told(found):
    return {ipaddress.ip_network(one["prefix"]) for one in found.told["prefixes"]}


def repair(router, before):
    """Ours by the command for it; the kernel's by having zebra install the routes again."""
    repairs = router.ask_json("show dplane ebpf consistency json")["repairs"]
    router.ask("clear dplane ebpf consistency")
    wait_until("it is repaired", lambda: (now := router.ask_json("show dplane ebpf consistency json"))["repairs"] > repairs
               and now["state"] == "done", timeout=60)
    for command in before:
        router.sh(*command)
    lines = [f"ip{'v6' if ':' in prefix else ''} route {prefix} {gateway}" for prefix, gateway in PLANTED.items()]
    for no in ("no ", ""):
        router.vtysh("configure", *(no + line for line in lines))


def all_found(network, before):
    """Plants, compares with what was found before, repairs: True if all was found, nothing else, and nothing is left."""
    router = network.router
    planted, undo = plant(router)
    found = comparison.find(network)
    found.tell()
    good = [judge("consistency", planted, told(found) - told(before)),
            judge("the other comparison", planted, networks(found) - networks(before))]
    repair(router, undo)
    after = comparison.find(network)
    after.tell()
    return all(good) and after.count() <= before.count()
