# SPDX-License-Identifier: GPL-2.0-or-later
"""The network that the router tests and tools/demo look at.

              r2
            /    \\            eBGP over IPv6 link-local addresses,
    h1 -- r1      r4 -- r5 -- h3      IPv4 with IPv6 next hops (RFC 8950)
            \\    /  |
              r3     h2

OSPF and OSPFv3 run in r1 to r4, with two equal paths between r1 and r4. r4 reflects what r5 announces by iBGP between
loopback addresses, so that r1's routes to the outside are recursive, over both paths.
"""

from topology import wait_until

OUTSIDE4, OUTSIDE6 = "10.0.3.0/24", "2001:db8:3::/64"
# announced by r5 too, with nothing behind it: a route that tests may take away
EXTRA4, EXTRA6 = "203.0.113.0/24", "2001:db8:cb00::/48"
HOSTS = {
    "h1": ("10.0.1.2", "2001:db8:1::2"),
    "h2": ("10.0.2.2", "2001:db8:2::2"),
    "h3": ("10.0.3.2", "2001:db8:3::2"),
}
HOST_ROUTER = {"h1": "r1", "h2": "r4", "h3": "r5"}
CORE_LINKS = (("r1", "r2"), ("r1", "r3"), ("r2", "r4"), ("r3", "r4"))
DAEMONS = ("zebra", "ospfd", "ospf6d", "bgpd", "staticd")


def number(router):
    return int(router[1:])


def loopback(router):
    return f"10.255.0.{number(router)}", f"2001:db8:ff::{number(router)}"


def core_address(router, peer):
    """The router's addresses on its link to a peer in the core."""
    low, high = sorted((number(router), number(peer)))
    last = 1 if number(router) == low else 2
    return f"10.1.{low}{high}.{last}", f"2001:db8:c:{low}{high}::{last}"


def gateway(host):
    """The addresses of a host's router on the host's network."""
    n = number(host)
    return f"10.0.{n}.1", f"2001:db8:{n}::1"


def _interface(name, v4, v6, ospf):
    """ospf: "core" for adjacencies, "passive" to announce the network only, None for neither."""
    lines = [f"interface {name}", f" ip address {v4}", f" ipv6 address {v6}"]
    if ospf:
        lines += [" ip ospf area 0", " ipv6 ospf6 area 0"]
    if ospf == "passive":
        lines += [" ip ospf passive", " ipv6 ospf6 passive"]
    if ospf == "core":
        for prefix in (" ip ospf", " ipv6 ospf6"):
            lines += [f"{prefix} {setting}" for setting in
                      ("network point-to-point", "hello-interval 1", "dead-interval 8",
                       "retransmit-interval 3", "mtu-ignore")]
    return lines + ["exit"]


def _bgp(router, asn, session, families):
    """families: lines of each address family."""
    lines = [f"router bgp {asn}", f" bgp router-id {loopback(router)[0]}", " no bgp ebgp-requires-policy",
             " no bgp default ipv4-unicast", " timers bgp 3 30", *session]
    for family, inside in families.items():
        lines += [f" address-family {family} unicast", *(f"  {line}" for line in inside),
                  " exit-address-family"]
    return lines + ["exit"]


def _core_bgp(router, clients):
    """iBGP between loopbacks, a session for each family; r4 reflects and talks to r5."""
    session, families = [], {"ipv4": [], "ipv6": []}
    for peer in clients:
        for family, address, source in zip(families, loopback(peer), loopback(router)):
            session += [f" neighbor {address} remote-as 65000", f" neighbor {address} update-source {source}",
                        f" neighbor {address} timers connect 1",
                        f" neighbor {address} advertisement-interval 0"]
            families[family].append(f"neighbor {address} activate")
            if router == "r4":
                families[family] += [f"neighbor {address} route-reflector-client",
                                     f"neighbor {address} next-hop-self"]
    if router == "r4":
        session += _unnumbered("r4-r5", 65005)
        for inside, network in zip(families.values(), ("10.0.0.0/16", "2001:db8::/34")):
            inside += ["neighbor r4-r5 activate", f"network {network}"]
    return _bgp(router, 65000, session + [" no bgp network import-check"], families)


def _unnumbered(interface, asn):
    return [f" neighbor {interface} interface remote-as {asn}", f" neighbor {interface} timers connect 1",
            f" neighbor {interface} advertisement-interval 0",
            f" neighbor {interface} capability extended-nexthop"]


def config(router):
    """A router's frr.conf."""
    v4, v6 = loopback(router)
    # zebra keeps unused next-hop groups and believes them whole, although the kernel took the members
    # on a link that went down out of them (seen with 8.4.4): so it shall not keep them long
    lines = [f"hostname {router}", "log timestamp precision 6", "zebra nexthop-group keep 1"]
    if router != "r5":
        # before the interfaces join: OSPF's first exchange shall know these timers
        lines += ["router ospf", f" ospf router-id {v4}", " timers throttle spf 10 50 500",
                  " timers throttle lsa all 0", " timers lsa min-arrival 0", "exit",
                  "router ospf6", f" ospf6 router-id {v4}", " timers throttle spf 10 50 500",
                  " timers lsa min-arrival 0", "exit"]
    lines += _interface("lo", f"{v4}/32", f"{v6}/128", None if router == "r5" else "passive")
    for host, its_router in HOST_ROUTER.items():
        if its_router == router:
            g4, g6 = gateway(host)
            lines += _interface(f"{router}-{host}", f"{g4}/24", f"{g6}/64",
                                None if router == "r5" else "passive")
    for link in CORE_LINKS:
        if router in link:
            peer = link[1 - link.index(router)]
            c4, c6 = core_address(router, peer)
            lines += _interface(f"{router}-{peer}", f"{c4}/24", f"{c6}/64", "core")
    if router == "r5":
        lines += _bgp(router, 65005, _unnumbered("r5-r4", 65000) + [" no bgp network import-check"], {
            "ipv4": ["neighbor r5-r4 activate", f"network {OUTSIDE4}", f"network {EXTRA4}",
                     f"network {v4}/32"],
            "ipv6": ["neighbor r5-r4 activate", f"network {OUTSIDE6}", f"network {EXTRA6}",
                     f"network {v6}/128"]})
    else:
        clients = ("r1", "r2", "r3") if router == "r4" else ("r4",)
        lines += _core_bgp(router, clients)
    return "\n".join(lines) + "\n"


def build(lab, progress=lambda text: None):
    """Makes the namespaces and links, and starts every router. Does not wait for routes."""
    progress("routers and hosts")
    for host in HOSTS:
        lab.host(host)
    for n in range(1, 6):
        router = f"r{n}"
        daemons = ("zebra", "bgpd", "staticd") if router == "r5" else DAEMONS
        lab.router(router, daemons=daemons, config=config(router))
    nodes = lab.nodes
    for a, b in CORE_LINKS:
        lab.link(nodes[a], nodes[b])
    lab.link(nodes["r4"], nodes["r5"])
    for host, router in HOST_ROUTER.items():
        lab.link(nodes[router], nodes[host])
        g4, g6 = gateway(host)
        nodes[host].configure(f"{host}-{router}", [f"{HOSTS[host][0]}/24", f"{HOSTS[host][1]}/64"], [g4, g6])
    for n in range(1, 6):
        progress(f"FRR on r{n}")
        nodes[f"r{n}"].start()


def routes_to(router, prefix):
    """The kernel's next hops for exactly this prefix: (gateway, interface) pairs."""
    found = router.ip_json("-6" if ":" in prefix else "-4", "route", "show", "exact", prefix)
    hops = []
    for route in found:
        for hop in route.get("nexthops", [route]):
            via = hop.get("gateway") or hop.get("via", {}).get("host")
            hops.append((via, hop.get("dev")))
    return sorted(hops, key=str)


def steady(lab):
    """Why the network is not as it should be: the first thing missing, or None if nothing is."""
    r1, r4, r5 = (lab.nodes[name] for name in ("r1", "r4", "r5"))
    wanted = []
    for family, hosts in enumerate(zip(*HOSTS.values())):
        inside1, inside2 = (("10.0.1.0/24", "10.0.2.0/24"), ("2001:db8:1::/64", "2001:db8:2::/64"))[family]
        outside = (OUTSIDE4, OUTSIDE6)[family]
        extra = (EXTRA4, EXTRA6)[family]
        wanted += [(r1, inside2, 2), (r1, outside, 2), (r1, extra, 2), (r4, inside1, 2), (r4, outside, 1),
                   (r5, ("10.0.0.0/16", "2001:db8::/34")[family], 1)]
        for middle in ("r2", "r3"):
            wanted += [(lab.nodes[middle], inside1, 1), (lab.nodes[middle], inside2, 1),
                       (lab.nodes[middle], outside, 1)]
    for router, prefix, count in wanted:
        if len(routes_to(router, prefix)) != count:
            return f"{router.name}: {count} next hop(s) for {prefix}, has {routes_to(router, prefix)}"
    return None


def wait_steady(lab, timeout=60):
    """Waits until every route of the undisturbed network is in every kernel."""
    reason = [None]

    def check():
        reason[0] = steady(lab)
        return reason[0] is None

    try:
        wait_until("all routes are there", check, timeout, interval=0.1)
    except Exception as error:
        raise type(error)(f"{error}: {reason[0]}") from error
