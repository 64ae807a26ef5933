# SPDX-License-Identifier: GPL-2.0-or-later
"""IPsec: a packet that came out of a tunnel may go on only where a policy of direction "fwd" says so."""

import pytest

from net import SHARED

# what both ends know: the protocol, an index, AES-GCM's key of 16 bytes with its salt
TUNNEL = "proto esp spi 0x1000 mode tunnel"
CIPHER = ("aead", "rfc4106(gcm(aes))", "0x" + "5a" * 20, "128")


@pytest.mark.parametrize("client, router, target",
                         [("10.0.3.2", "10.0.3.1", SHARED[0]), ("2001:db8:3::2", "2001:db8:3::1", SHARED[1])])
def test_decrypted_without_a_policy(both, client, router, target):
    """No policy: the kernel drops it. With one: it goes on. The answers are in clear."""
    ends = ("src", client, "dst", router)
    flow = ("src", client, "dst", target)
    template = ("tmpl", *ends, "proto", "esp", "mode", "tunnel")

    def xfrm(node, *arguments):
        node.sh("ip", "xfrm", *arguments)

    def tunnel(net):
        for node in (net.clients["main"], net.r1):
            xfrm(node, "state", "add", *ends, *TUNNEL.split(), *CIPHER)
        xfrm(net.clients["main"], "policy", "add", *flow, "dir", "out", *template)

    def no_tunnel(net):
        for node in (net.clients["main"], net.r1):
            xfrm(node, "state", "flush")
            xfrm(node, "policy", "flush")

    both.reaches("main", target, "main")
    both.do(tunnel, undo=no_tunnel)
    assert both.same(lambda net: net.exchange("main", target, 5))["arrived"] == {}
    both.do(lambda net: xfrm(net.r1, "policy", "add", *flow, "dir", "fwd", *template))
    assert both.same(lambda net: net.exchange("main", target, 5))["arrived"] == {("main", 63): 5}
