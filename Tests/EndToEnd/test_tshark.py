"""Wireshark's dissector decrypts what the daemon sends and accepts: an independent referee.

The daemon's ephemeral key stays secret. The key log therefore has the keys of the paper peer at the other
end, which know as much.
"""

import os
import time

import pytest

from swireguard_dev import capture
from swireguard_dev.capture import Capture
from swireguard_dev.paper.curve import KeyPair
from swireguard_dev.paper.fixtures import INNER, OUTER, base64_of, open_site  # noqa: F401
from swireguard_dev.paper.messages import HandshakeInitiation, HandshakeResponse, TransportData
from swireguard_dev.paper.noise import NO_PRESHARED_KEY
from swireguard_dev.tshark import dissected, key_log

FIELDS = ["wg.type", "wg.handshake_ok", "wg.static", "wg.timestamp.tai64_label", "wg.counter",
          "wg.keepalive", "ip.src", "ipv6.src", "icmp.type", "icmpv6.type"]
PRESHARED = pytest.mark.parametrize("preshared", [NO_PRESHARED_KEY, os.urandom(32)],
                                    ids=["plain", "psk"])


def the_daemon_responds(site, ephemeral):
    """The peer initiates. The daemon answers pings of both IP versions."""
    site.tunnel.send(site.tunnel.peer.initiate(ephemeral=ephemeral))
    response = site.tunnel.receive(5, HandshakeResponse.TYPE)
    site.tunnel.peer.consume_response(response.data)
    for version in INNER:
        site.tunnel.ping(version, b"payload")


def the_daemon_initiates(site, ephemeral):
    """The daemon initiates, and its host pings. The peer answers."""
    for version in INNER:
        with site.daemon.ping(INNER[version][1], "-W", "9") as ping:
            if site.tunnel.peer.current is None:
                initiation = site.tunnel.await_initiation()
                site.tunnel.send(
                    site.tunnel.peer.respond(initiation.data, ephemeral=ephemeral))
            site.tunnel.answer_echo(5)
            assert ping.wait(10) == 0


EXCHANGES = pytest.mark.parametrize("exchange", [the_daemon_responds, the_daemon_initiates],
                                    ids=["responds", "initiates"])


@PRESHARED
@EXCHANGES
@pytest.mark.parametrize("family", [4, 6], ids=["v4", "v6"])
def test_tshark_decrypts_the_handshake_and_the_packets_of_both_ends(
        open_site, tmp_path, family, exchange, preshared):
    site = open_site(family, preshared)
    peer, ephemeral = site.tunnel.peer, KeyPair.of(os.urandom(32))
    with Capture(site.daemon_namespace, site.name + "vd") as captured:
        exchange(site, ephemeral)
        packets = [packet for packet in captured.packets() if capture.source(packet)]
    is_ours = [capture.source(packet)[0] == OUTER[family][0] for packet in packets]
    daemon_initiates = exchange is the_daemon_initiates
    initiator = site.daemon.static if daemon_initiates else peer.static

    def rows(key, ephemeral=ephemeral.private):
        keys = key_log(peer.static.private, site.daemon.static.public, ephemeral, key)
        found = dissected(packets, keys, FIELDS, tmp_path)
        return [dict(zip(FIELDS, row)) for row in found]

    right_key = preshared if any(preshared) else None
    right = rows(right_key)
    kinds = [int(row["wg.type"][0]) for row in right]
    assert kinds[:2] == [HandshakeInitiation.TYPE, HandshakeResponse.TYPE]
    assert set(kinds[2:]) == {TransportData.TYPE}
    assert is_ours[:2] == [daemon_initiates, not daemon_initiates]

    # The static key and the timestamp of the initiation, and nothing in the response.
    assert right[0]["wg.static"] == [base64_of(initiator.public)]
    [label] = right[0]["wg.timestamp.tai64_label"]
    assert abs(int(label) - 0x400000000000000A - time.time()) < 60
    assert right[1]["wg.handshake_ok"] == ["1"]

    # Requests and replies of both IP versions, in both directions.
    inner = []
    for row, ours in zip(right[2:], is_ours[2:]):
        if not row["wg.keepalive"]:
            v4, v6 = row["ip.src"][family == 4:], row["ipv6.src"][family == 6:]
            [source], [kind] = v4 + v6, row["icmp.type"] + row["icmpv6.type"]
            inner.append((ours, source, int(kind)))
    asks = daemon_initiates
    assert inner == [
        (asks, INNER[4][not asks], 8), (not asks, INNER[4][asks], 0),
        (asks, INNER[6][not asks], 128), (not asks, INNER[6][asks], 129)]

    # The response does not open with other keys, so there are no session keys. tshark tries without a
    # preshared key too: another one makes no difference if there is none.
    others = [rows(right_key, os.urandom(32))]
    if right_key:
        others += [rows(os.urandom(32)), rows(None)]
    for wrong in others:
        assert wrong[1]["wg.handshake_ok"] != ["1"]
        assert not any(row["icmp.type"] + row["icmpv6.type"] for row in wrong)
