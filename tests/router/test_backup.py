# SPDX-License-Identifier: GPL-2.0-or-later
"""Backup next hops: IS-IS' loop-free alternates carry traffic from the failure until SPF has run."""

import pytest

import triangle
from triangle import ALTERNATE, DIRECT, TARGET, is_protected, members
from topology import wait_until
from traffic import Witness, datagrams


@pytest.fixture
def net(lab):
    triangle.build(lab)
    return lab


def test_alternate_until_spf(need_module, net):
    """
    The link of the only next hop goes down. The alternate forwards at once, while isisd has not run SPF and the kernel has no
    route any more; then SPF's own answer does.
    """
    r1, h1, h3 = (net.nodes[name] for name in ("r1", "h1", "h3"))
    wait_until("r1 has an alternate for h3's network", lambda: is_protected(r1), timeout=60)
    wait_until("the alternate's router knows the way", lambda: triangle.kernel_has_route(net.nodes["r2"]),
               timeout=60)
    wait_until("h3 answers", lambda: datagrams(h1, h3, TARGET, count=50)["lost"] == 0)
    before = members(r1)
    assert before[ALTERNATE]["slots"] == 0 and before[ALTERNATE]["packets"] == 0, "a backup is not for balancing"

    witness = Witness(h1, h3, TARGET, rate=5000)
    r1.sh("ip", "link", "set", "dev", DIRECT, "down")
    # seen while only the alternate can have done it
    wait_until("1000 datagrams on the alternate", lambda: members(r1)[ALTERNATE]["packets"] >= 1000, timeout=3)
    now = members(r1)
    assert now[ALTERNATE]["backup"], "SPF has run already: nothing was seen"
    assert now[DIRECT]["state"] == "down" and now[DIRECT]["slots"] == 0
    assert not triangle.kernel_has_route(r1), "the kernel has a way of its own"

    wait_until("SPF's answer is in the tables", lambda: set(members(r1)) == {ALTERNATE}, timeout=20)
    seen = witness.stop()
    assert seen["doubled"] == 0
    # generous: what a busy machine needs to tell of the link; bench/failover measures it
    assert seen["lost"] < 0.1 * seen["sent"], seen

    r1.sh("ip", "link", "set", "dev", DIRECT, "up")
    wait_until("the alternate is one again", lambda: is_protected(r1), timeout=60)
