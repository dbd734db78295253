"""Datagrams that no honest peer sends: the daemon stays silent and keeps working.

After each class of them, no byte has left the daemon's namespace, an established session still
carries a ping, and a fresh handshake is answered.
"""

import os
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from swireguard_dev.paper.cookies import CookieMaker, encoded_source, mac1_of, with_mac1
from swireguard_dev.paper.curve import KeyPair
from swireguard_dev.paper.fixtures import INNER, open_site  # noqa: F401
from swireguard_dev.paper.messages import (CookieReply, HandshakeInitiation, HandshakeResponse,
    TransportData)
from swireguard_dev.paper.peer import Peer
from swireguard_dev.paper.timestamps import tai64n
from swireguard_dev.paper.tunnel import Tunnel
from swireguard_dev.paper.vectors import LOW_ORDER_POINTS, stream

FAMILIES = pytest.mark.parametrize("family", [4, 6], ids=["v4", "v6"])


def test_a_single_byte_would_be_noticed(open_site):
    site = open_site()
    site.tunnel.handshake()
    with pytest.raises(AssertionError, match="the daemon sent 1 packets"):
        with site.silence():
            site.tunnel.send(site.tunnel.peer.seal(site.tunnel.echo().encode()))


# Lengths and types

@FAMILIES
def test_every_length_to_200(open_site, family):
    with harmless(open_site(family)) as tunnel:
        index = struct.pack("<L", tunnel.peer.current.keys.remote_index)
        for length in range(201):
            tunnel.send(bytes(length))
            tunnel.send(stream("noise", length))
            for kind in range(1, 5):
                tunnel.send((bytes([kind, 0, 0, 0]) + index + bytes(length))[:length])


@FAMILIES
def test_the_longest_datagram(open_site, family):
    # It comes in IP fragments; libraries whose buffer was shorter have died of it.
    with harmless(open_site(family)) as tunnel:
        index = struct.pack("<L", tunnel.peer.current.keys.remote_index)
        for length in (4096, 4097, 9000, 65506, 65507):
            for kind in range(6):
                tunnel.send(bytes([kind, 0, 0, 0]) + index + bytes(length - 8))


@FAMILIES
def test_segments_of_one_offloaded_send(open_site, family):
    # The receiver may get these coalesced; the lengths have no common divisor.
    with harmless(open_site(family)) as tunnel:
        for size in (1, 31, 32, 33, 92, 148, 149, 1000):
            count = min(60, 60000 // size)
            data = b"".join(bytes([4 - number % 4, 0, 0, 0]).ljust(size, b"\7")[:size]
                            for number in range(count)) + b"\4"
            tunnel.send_segments(data, size)


@FAMILIES
def test_every_type(open_site, family):
    with harmless(open_site(family)) as tunnel:
        for kind in range(256):
            for length in (4, 32, 64, 92, 148):
                tunnel.send(bytes([kind, 0, 0, 0]) + stream("body", length - 4))


@FAMILIES
def test_each_reserved_byte(open_site, family):
    site = open_site(family)
    with harmless(site) as tunnel:
        for position in (1, 2, 3):
            for value in (1, 0x80, 0xFF):
                for message in honest_messages(site):
                    marked = message[:position] + bytes([value]) + message[position + 1:]
                    # The MACs are valid: only the reserved byte is wrong.
                    tunnel.send(resigned(site, marked))


def test_honest_messages_with_a_byte_more_or_less(open_site):
    site = open_site()
    with harmless(site) as tunnel:
        for message in honest_messages(site):
            tunnel.send(message[:-1])
            # Inserts a byte in the middle, so that the MACs can be valid.
            tunnel.send(resigned(site, message[:20] + b"\0" + message[20:]))


# Initiations

@FAMILIES
def test_a_bad_mac1(open_site, family):
    site = open_site(family)
    with harmless(site) as tunnel:
        for position in range(4, 132):
            tunnel.send(flipped(tunnel.peer.initiate(), position))


def test_a_valid_mac1_over_random_bytes(open_site):
    site = open_site()
    with harmless(site) as tunnel:
        for number in range(20):
            nonsense = HandshakeInitiation(number, os.urandom(32), os.urandom(48), os.urandom(28))
            tunnel.send(with_mac1(nonsense, site.daemon.static.public).encode())


def test_one_bit_flipped_under_a_valid_mac1(open_site):
    site = open_site()
    with harmless(site) as tunnel:
        # Skips the sender's index, bytes 4 to 7: the AEAD does not cover it.
        for position in (8, 39, 40, 71, 72, 87, 88, 99, 100, 115):
            tunnel.send(resigned(site, flipped(tunnel.peer.initiate(), position)))


def test_an_initiation_of_an_unknown_peer(open_site):
    site = open_site()
    with harmless(site) as tunnel:
        stranger = Peer(KeyPair.of(os.urandom(32)), site.daemon.static.public)
        for _ in range(5):
            tunnel.send(stranger.initiate())


def test_an_initiation_of_the_daemon_to_itself(open_site):
    site = open_site()
    with harmless(site) as tunnel:
        tunnel.send(Peer(site.daemon.static, site.daemon.static.public).initiate())


def test_an_initiation_with_an_ephemeral_of_low_order(open_site):
    site = open_site()
    with harmless(site) as tunnel:
        for point in LOW_ORDER_POINTS:
            sealed = HandshakeInitiation.parse(tunnel.peer.initiate())
            tunnel.send(with_mac1(replace(sealed, ephemeral=bytes.fromhex(point)),
                                  site.daemon.static.public).encode())


@FAMILIES
def test_a_replayed_initiation(open_site, family):
    site = open_site(family)
    initiation = site.tunnel.peer.initiate()
    site.tunnel.send(initiation)
    site.tunnel.peer.consume_response(site.tunnel.receive(2, HandshakeResponse.TYPE).data)
    site.tunnel.send(site.tunnel.peer.seal(b""))
    with harmless(site, handshake=False) as tunnel:
        elsewhere = site.another_tunnel(peer=tunnel.peer)
        for _ in range(5):
            tunnel.send(initiation)
            elsewhere.send(initiation)


def test_an_initiation_whose_timestamp_is_not_newer(open_site):
    site = open_site()
    stamp = tai64n(time.time_ns())
    site.tunnel.send(site.tunnel.peer.initiate(timestamp=stamp))
    site.tunnel.peer.consume_response(site.tunnel.receive(2, HandshakeResponse.TYPE).data)
    site.tunnel.send(site.tunnel.peer.seal(b""))
    with harmless(site, handshake=False) as tunnel:
        for earlier in (stamp, tai64n(0), bytes(12)):
            tunnel.send(tunnel.peer.initiate(timestamp=earlier))


# Responses

@FAMILIES
def test_forged_responses_leave_the_pending_handshake_alone(open_site, family):
    site = open_site(family)
    tunnel = site.tunnel
    with site.daemon.ping(INNER[4][1], "-W", "6") as ping:
        initiation = tunnel.await_initiation()
        with site.silence():
            response = HandshakeResponse.parse(tunnel.peer.respond(initiation.data))
            public = site.daemon.static.public
            for position in (12, 43, 44, 59):
                tunnel.send(resigned(site, flipped(response.encode(), position)))
            for point in LOW_ORDER_POINTS:
                forged = replace(response, ephemeral=bytes.fromhex(point))
                tunnel.send(with_mac1(forged, public).encode())
            for receiver in (response.receiver ^ 1, 0, 2**32 - 1):
                tunnel.send(with_mac1(replace(response, receiver=receiver), public).encode())
            for position in (60, 75):
                tunnel.send(flipped(response.encode(), position))
        tunnel.send(response.encode())
        tunnel.answer_echo()
        assert ping.wait(6) == 0


def test_a_duplicate_response(open_site):
    site = open_site()
    tunnel = site.tunnel
    with site.daemon.ping(INNER[4][1], "-W", "5") as ping:
        initiation = tunnel.await_initiation()
        response = tunnel.peer.respond(initiation.data)
        tunnel.send(response)
        tunnel.answer_echo()
        assert ping.wait(5) == 0
    with site.silence():
        for _ in range(5):
            tunnel.send(response)
    tunnel.ping()


def test_unsolicited_responses(open_site):
    site = open_site()
    with harmless(site) as tunnel:
        keys = tunnel.peer.current.keys
        for receiver in (0, 1, keys.remote_index, keys.local_index, 2**32 - 1):
            response = HandshakeResponse(7, receiver, tunnel.peer.static.public, os.urandom(16))
            tunnel.send(with_mac1(response, site.daemon.static.public).encode())


# Cookie replies

def test_unsolicited_cookie_replies(open_site):
    site = open_site()
    with harmless(site) as tunnel:
        keys = tunnel.peer.current.keys
        for receiver in (0, keys.remote_index, keys.local_index, 2**32 - 1):
            tunnel.send(CookieReply(receiver, os.urandom(24), os.urandom(32)).encode())
        # Sealed correctly, but for a mac1 that the daemon never sent.
        maker = CookieMaker(tunnel.peer.static.public, bytes(32))
        reply = maker.reply(bytes(148), encoded_source("192.0.2.1", 1), os.urandom(24))
        tunnel.send(replace(reply, receiver=keys.remote_index).encode())


# Transport

@FAMILIES
def test_transport_for_an_unknown_index(open_site, family):
    with harmless(open_site(family)) as tunnel:
        known = tunnel.peer.current.keys.remote_index
        for index in (0, 1, known ^ 1, known ^ 0x80000000, 2**32 - 1):
            sealed = TransportData.parse(tunnel.peer.seal(tunnel.echo().encode()))
            tunnel.send(replace(sealed, receiver=index).encode())


@FAMILIES
def test_transport_with_one_bit_flipped(open_site, family):
    with harmless(open_site(family)) as tunnel:
        message = tunnel.peer.seal(tunnel.echo().encode())
        for position in range(4, len(message)):
            tunnel.send(flipped(message, position))
        for length in range(32, len(message)):
            tunnel.send(message[:length])


@FAMILIES
def test_replayed_transport(open_site, family):
    site = open_site(family)
    site.tunnel.handshake()
    site.tunnel.ping()
    messages = []
    for _ in range(20):
        request = site.tunnel.echo()
        messages.append(site.tunnel.peer.seal(request.encode()))
        assert site.tunnel.answers(messages[-1], request, 2)
    site.tunnel.send(site.tunnel.peer.seal(b""))
    with harmless(site, handshake=False) as tunnel:
        elsewhere = site.another_tunnel(peer=tunnel.peer)
        for message in messages:
            tunnel.send(message)
            elsewhere.send(message)


def test_authentic_packets_that_are_not_ip(open_site):
    site = open_site()
    with harmless(site) as tunnel:
        written = site.tun_packets()
        request = tunnel.echo().encode()
        bad_lengths = [request[:2] + struct.pack(">H", length) + request[4:]
                       for length in (0, 1, 19, len(request) + 1, 65535)]
        versions = [bytes([version << 4 | 5]) + request[1:] for version in range(16)
                    if version != 4]
        shorts = [bytes([version << 4 | 5]).ljust(length, b"\0")[:length]
                  for version in range(16) for length in range(1, 41)]
        # Each arms the daemon's keepalive timer, which expires long after this test.
        zeros = [bytes(length) for length in (1, 16, 80)]
        for plaintext in bad_lengths + versions + shorts + zeros:
            tunnel.send(tunnel.peer.current.seal_exactly(plaintext))
    # Only the three later pings of `harmless`.
    assert site.tun_packets() - written == 3


# Reflections

@FAMILIES
def test_the_daemons_own_messages_sent_back(open_site, family):
    site = open_site(family)
    tunnel = site.tunnel
    heard = []
    with site.daemon.ping(INNER[4][1], "-W", "5") as ping:
        heard.append(tunnel.await_initiation().data)
        tunnel.send(tunnel.peer.respond(heard[0]))
        datagram = tunnel.answer_echo()
        heard.append(datagram.data)
        assert ping.wait(5) == 0
    tunnel.send(tunnel.peer.initiate())
    heard.append(tunnel.receive(2, HandshakeResponse.TYPE).data)
    tunnel.peer.consume_response(heard[-1])
    tunnel.send(tunnel.peer.seal(b""))
    heard.append(tunnel.ping().data)
    assert {message[0] for message in heard} == {1, 2, 4}
    with harmless(site, handshake=False) as tunnel:
        elsewhere = site.another_tunnel(peer=tunnel.peer)
        for message in heard * 3:
            tunnel.send(message)
            elsewhere.send(message)


# Repetition

@pytest.mark.parametrize("kind", ["mac1", "index", "cookie"])
def test_many_bad_messages_of_one_class_stop_no_worker(open_site, kind):
    # A worker that returns instead of continuing stops at the first one.
    site = open_site()
    with harmless(site) as tunnel:
        # Few enough not to cause load even if all wait; load would cause cookies.
        for number in range(16 * min(7, os.cpu_count() or 1)):
            tunnel.send({
                "mac1": flipped(tunnel.peer.initiate(), 120),
                "index": with_mac1(HandshakeResponse(1, number, bytes(32), bytes(16)),
                                   site.daemon.static.public).encode(),
                "cookie": CookieReply(number, bytes(24), bytes(32)).encode(),
            }[kind])


# Steps

@contextmanager
def harmless(site, handshake: bool = True) -> Iterator[Tunnel]:
    """Sending `inside` produces no output, and breaks neither the session nor handshakes.

    `handshake` is False if the test created the session under test.
    """
    if handshake:
        site.tunnel.handshake()
    site.tunnel.ping()
    with site.silence():
        yield site.tunnel
    site.tunnel.ping(4)
    site.tunnel.ping(6)
    # The pings are sent last: a backlog of the daemon would show here.
    assert [packet.udp[0] for packet in site.sent()] == [TransportData.TYPE] * 2
    assert site.endpoint() == site.endpoint_of(site.tunnel)
    site.tunnel.handshake()
    site.tunnel.ping()


def honest_messages(site) -> list[bytes]:
    """One valid message of each type: the daemon must check it fully to refuse it."""
    peer = site.tunnel.peer
    keys = peer.current.keys
    maker = CookieMaker(peer.static.public, bytes(32))
    return [
        peer.initiate(),
        with_mac1(HandshakeResponse(7, keys.remote_index, peer.static.public, os.urandom(16)),
                  site.daemon.static.public).encode(),
        replace(maker.reply(bytes(148), bytes(6), bytes(24)), receiver=keys.remote_index).encode(),
        peer.seal(site.tunnel.echo().encode()),
    ]


def resigned(site, message: bytes) -> bytes:
    """A handshake message of any shape with a mac1 that matches its bytes; other messages unchanged."""
    if message[0] not in (HandshakeInitiation.TYPE, HandshakeResponse.TYPE):
        return message
    return message[:-32] + mac1_of(message, site.daemon.static.public) + message[-16:]


def flipped(message: bytes, position: int) -> bytes:
    return message[:position] + bytes([message[position] ^ 1]) + message[position + 1:]
