# SPDX-License-Identifier: GPL-2.0-or-later
"""bird in a namespace of its own, which holds a table and announces it to a router's bgpd over one session."""
import time
from pathlib import Path

from topology import LabError, run, wait_until

COMMON_CONFIG = """
timeformat protocol iso long us;
protocol device { }
"""


class Feed:
    """Has its table ready before the session (a BGP protocol named "feed", disabled in its configuration) starts."""

    def __init__(self, lab, router, addresses, config, routes):
        """
        addresses: bird's own, on the link to the router. config: pieces of bird.conf. routes: by the name of each
        static protocol in it, how many routes it has.
        """
        self.node = lab.host("feed")
        lab.link(router, self.node)
        self.node.configure(f"feed-{router.name}", addresses, [])
        path = lab.directory / "bird.conf"
        with open(path, "w") as file:
            file.write(COMMON_CONFIG)
            file.writelines(config)
        self.control = lab.directory / "bird.ctl"
        self.statics = list(routes)
        self.log = open(lab.directory / "bird.log", "w")
        self.process = self.node.popen("bird", "-f", "-c", path, "-s", self.control, stdout=self.log, stderr=self.log)
        wanted = sum(routes.values())
        wait_until("bird has the whole table", lambda: self.routes() == wanted, timeout=120, interval=0.2)

    def ask(self, *command):
        return run("birdc", "-s", self.control, *command, check=False).stdout

    def routes(self):
        if self.process.poll() is not None:
            raise LabError(f"bird ended: {Path(self.log.name).read_text()}")
        return sum(int(line.split()[0]) for static in self.statics
                   for line in self.ask("show", "route", "count", "protocol", static).splitlines()
                   if " of " in line and "table" in line)

    def start(self):
        """Starts the session; returns when it came up, by bird's own clock."""
        self.ask("enable", "feed")
        return wait_until("the session is up", self.established, timeout=60)

    def established(self):
        """When the session came up; None while it is not."""
        for line in self.ask("show", "protocols", "feed").splitlines():
            word = line.split()
            if word[0] == "feed" and word[-1] == "Established":
                stamp = time.strptime(f"{word[4]} {word[5].split('.')[0]}", "%Y-%m-%d %H:%M:%S")
                return time.mktime(stamp) + float("0." + word[5].split(".")[1])
        return None

    def stop(self):
        self.ask("disable", "feed")


# a network that no table of the Internet has, for the link between bird and a router that knows bird as its route reflector
ROUTER, REFLECTOR = "198.18.0.1", "198.18.0.2"
REFLECTED_CONFIG = f"""
interface r1-feed
 ip address {ROUTER}/24
exit
router bgp 64512
 bgp router-id {ROUTER}
 neighbor {REFLECTOR} remote-as 64512
 neighbor {REFLECTOR} passive
exit
"""


def reflector_config(tables):
    yield f"router id {REFLECTOR};\nfilter border {{\n"
    for name, (border, _) in tables.items():
        yield f'\tif proto = "{name}" then bgp_next_hop = {border};\n'
    yield f"""\taccept;
}}
protocol bgp feed {{
	disabled;
	local {REFLECTOR} as 64512;
	neighbor {ROUTER} as 64512;
	connect delay time 1;
	connect retry time 1;
	error wait time 1, 1;
	ipv4 {{ import none; export filter border; next hop keep; }};
}}
"""
    for name, (_, prefixes) in tables.items():
        yield f"protocol static {name} {{\n\tipv4;\n"
        for prefix, origin in prefixes:
            path = f" {{ bgp_path.prepend({origin}); }}" if origin != "0" else ""
            yield f"\troute {prefix} blackhole{path};\n"
        yield "}\n"


def reflector(lab, router, tables):
    """tables: by name (of bird's static protocol) the border router, and its prefixes with their AS; by iBGP."""
    return Feed(lab, router, [f"{REFLECTOR}/24"], reflector_config(tables),
                {name: len(prefixes) for name, (_, prefixes) in tables.items()})
