"""The daemon against the paper peer: handshakes, cookies, transport, roaming.

Waits of a fixed length are those of the protocol (a retry after 5 s, a keepalive after 10 s) or
prove silence.
"""

import fcntl
import os
import struct
import time
from collections.abc import Callable

import pytest

from swireguard_dev.paper.aead import Forged
from swireguard_dev.paper.cookies import CookieMaker, encoded_source
from swireguard_dev.paper.curve import KeyPair
from swireguard_dev.paper.fixtures import INNER, MTU, base64_of, open_site  # noqa: F401
from swireguard_dev.paper.messages import (CookieReply, HandshakeInitiation, HandshakeResponse,
    TransportData)
from swireguard_dev.paper.noise import NO_PRESHARED_KEY
from swireguard_dev.paper.packets import Echo
from swireguard_dev.paper.peer import Peer
from swireguard_dev.paper.session import REJECT_AFTER_MESSAGES, WINDOW, padded
from swireguard_dev.paper.timestamps import unix_nanoseconds
from swireguard_dev.paper.tunnel import Datagram, Silence, Tunnel

FAMILIES = pytest.mark.parametrize("family", [4, 6], ids=["v4", "v6"])
PRESHARED = pytest.mark.parametrize("preshared", [NO_PRESHARED_KEY, os.urandom(32)],
                                    ids=["plain", "psk"])
SIOCGSTAMPNS = 0x8907
# Rekey-Timeout plus jitter, plus two seconds for a busy machine. The unit
# tests check the jitter exactly.
RETRY_AFTER, RETRY_BEFORE = 4.95, 7.5


# Handshakes

@FAMILIES
@PRESHARED
def test_the_daemon_answers_a_handshake(open_site, family, preshared):
    site = open_site(family, preshared)
    site.tunnel.handshake()
    for version in INNER:
        site.tunnel.ping(version, b"payload")
    assert site.endpoint() == site.endpoint_of(site.tunnel)
    assert abs(int(site.daemon.show("latest-handshakes")[0][1]) - time.time()) < 5


@FAMILIES
@PRESHARED
def test_the_daemon_initiates_for_a_ping_and_sends_it_first(open_site, family, preshared):
    site = open_site(family, preshared)
    with site.daemon.ping(INNER[family][1], "-W", "5") as ping:
        initiation = site.tunnel.answer_handshake()
        datagram = site.tunnel.answer_echo()
        assert TransportData.parse(datagram.data).counter == 0
        assert ping.wait(5) == 0
    assert initiation.source[0] == site.tunnel.remote[0]
    assert HandshakeInitiation.parse(initiation.data).mac2 == bytes(16)


def test_a_late_response_is_accepted(open_site):
    site = open_site()
    with site.daemon.ping(INNER[4][1], "-W", "9") as ping:
        initiation = site.tunnel.await_initiation()
        response = site.tunnel.peer.respond(initiation.data)
        time.sleep(4)  # the daemon retries after 5 s
        site.tunnel.send(response)
        site.tunnel.answer_echo()
        assert ping.wait(5) == 0


def test_the_last_128_packets_wait_for_the_handshake(open_site):
    def has_read():
        # A packet counts as sent by the TUN when the daemon has read it.
        return site.daemon_namespace.packets_through(site.name)[1]

    site = open_site()
    before = has_read()
    with site.daemon_namespace.udp_socket(4) as sender:
        for number in range(200):
            sender.sendto(struct.pack(">L", number), (INNER[4][1], 9))
    initiation = site.tunnel.await_initiation()
    wait_until(lambda: has_read() >= before + 200)
    time.sleep(0.3)  # the daemon stages what it reads, batch by batch
    site.tunnel.send(site.tunnel.peer.respond(initiation.data))
    plaintexts = [site.tunnel.receive_transport()[1] for _ in range(128)]
    # The payload follows 20 bytes of IPv4 header and 8 of UDP header.
    assert [struct.unpack_from(">L", plaintext, 28)[0] for plaintext in plaintexts] == [
        *range(72, 200)]
    assert site.tunnel.hears_nothing(0.3)


def test_a_persistent_keepalive_starts_a_handshake_and_is_repeated(open_site):
    site = open_site()
    arrival(site.tunnel)
    site.set_peer("persistent-keepalive", "1")
    site.tunnel.answer_handshake()
    first, plaintext = site.tunnel.receive_transport()
    came = arrival(site.tunnel)
    assert (len(first.data), TransportData.parse(first.data).counter) == (32, 0)
    _, plaintext_again = site.tunnel.receive_transport(5)
    assert plaintext == plaintext_again == b""
    assert 0.8 < arrival(site.tunnel) - came < 4.4


def test_the_daemons_timestamps_are_now_and_whitened(open_site):
    site = open_site()
    site.set_peer("persistent-keepalive", "1")
    initiation = site.tunnel.await_initiation()
    stamp = site.tunnel.peer.consume_initiation(initiation.data).timestamp
    assert abs(unix_nanoseconds(stamp) - time.time_ns()) < 2_000_000_000
    # The low 24 bits of the nanoseconds would reveal the clock's drift.
    assert struct.unpack(">L", stamp[8:])[0] & 0xFFFFFF == 0


def test_a_response_with_another_preshared_key_creates_no_session(open_site):
    site = open_site(preshared=os.urandom(32))
    site.tunnel.peer.preshared = os.urandom(32)
    with pytest.raises(Forged):
        site.tunnel.handshake()
    assert site.daemon.show("latest-handshakes")[0][1] == "0"


def test_after_a_response_the_daemon_waits_for_the_confirmation(open_site):
    site = open_site()
    site.tunnel.initiate_until_response()
    with site.daemon.ping(INNER[4][1], "-W", "5") as ping:
        # Neither data under an unconfirmed key nor an initiation shortly after a response.
        assert site.tunnel.hears_nothing(0.5)
        site.tunnel.send(site.tunnel.peer.seal(b""))
        site.tunnel.answer_echo()
        assert ping.wait(5) == 0


def test_the_previous_session_still_receives_after_a_new_handshake(open_site):
    site = open_site()
    tunnel = site.tunnel
    tunnel.handshake()
    before = tunnel.peer.current
    tunnel.handshake()
    tunnel.ping()
    request = tunnel.echo()
    # The reply uses the new key: the old one only receives.
    tunnel.send(before.seal(request.encode()))
    reply = TransportData.parse(tunnel.receive_reply(request).data)
    assert reply.receiver == tunnel.peer.current.keys.local_index


def test_indices_are_random(open_site):
    site = open_site()
    indices = set()
    for _ in range(12):
        site.tunnel.handshake()
        indices.add(site.tunnel.peer.current.keys.remote_index)
    assert len(indices) == 12
    # Twelve random numbers all lack a high bit once in 2^48 runs.
    assert any(index >> 28 for index in indices)


def test_an_interface_that_is_down_is_silent(open_site):
    # **ours**: the port stays bound, so there is no ICMP error either.
    site = open_site()
    site.tunnel.handshake()
    site.tunnel.ping()
    site.daemon_namespace.ip(f"link set {site.name} down")
    time.sleep(1)  # until the daemon notices
    with site.silence():
        site.tunnel.send(site.tunnel.peer.initiate())
        site.tunnel.send(site.tunnel.peer.seal(site.tunnel.echo().encode()))
    before = site.tunnel.peer.current
    site.daemon_namespace.ip(f"link set {site.name} up")
    time.sleep(1)
    with site.silence():
        site.tunnel.send(before.seal(site.tunnel.echo().encode()))
    site.tunnel.handshake()
    site.tunnel.ping()


def test_handshake_messages_are_marked_and_cookie_replies_are_not(open_site):
    # **ours**, as in the kernel: DSCP 34 for handshakes.
    site = open_site()
    site.tunnel.handshake()
    site.tunnel.ping()
    response, reply = site.sent()[:2]
    assert (response.udp[0], response.traffic_class) == (HandshakeResponse.TYPE, 0x88)
    assert (reply.udp[0], reply.traffic_class) == (TransportData.TYPE, 0)
    under_load(site)
    site.sent()
    cookie_reply_to_fresh_initiation(site, site.tunnel)
    assert {packet.traffic_class for packet in site.sent()
            if packet.udp[0] == CookieReply.TYPE} == {0}


def test_transfer_counters_are_exact(open_site):
    site = open_site()
    site.tunnel.handshake()
    for _ in range(10):
        site.tunnel.ping(payload=bytes(56))
    # A keepalive follows each ping of the test, and one confirmed the handshake. Nothing answers
    # the last one, so it may be counted late.
    expected = 148 + 10 * 128 + 11 * 32
    wait_until(lambda: int(site.daemon.show("transfer")[0][1]) >= expected)
    [[_, received, sent]] = site.daemon.show("transfer")
    assert int(sent) == sum(len(packet.udp) for packet in site.sent()) == 92 + 10 * 128
    assert int(received) == expected


# Cookies: the daemon receives one

@FAMILIES
def test_the_daemon_uses_a_cookie_in_its_retry(open_site, family):
    site = open_site(family)
    tunnel, peer = site.tunnel, site.tunnel.peer
    arrival(tunnel)
    site.set_peer("persistent-keepalive", "1")
    first = tunnel.await_initiation()
    came = arrival(tunnel)
    source = encoded_source(*first.source)
    reply = peer.cookie_reply(first.data, source)
    tunnel.send(reply)
    # A cookie reply does not speed up the retry.
    retry = tunnel.await_initiation(RETRY_BEFORE)
    assert RETRY_AFTER < arrival(tunnel) - came < RETRY_BEFORE
    assert peer.accepts_mac2(retry.data, source)
    before, after = HandshakeInitiation.parse(first.data), HandshakeInitiation.parse(retry.data)
    assert before.ephemeral != after.ephemeral
    assert (peer.consume_initiation(first.data).timestamp
            < peer.consume_initiation(retry.data).timestamp)
    tunnel.send(peer.respond(retry.data))
    assert tunnel.receive_transport()[1] == b""


def test_the_daemon_uses_a_cookie_in_its_next_response(open_site):
    site = open_site()
    tunnel, peer = site.tunnel, site.tunnel.peer
    tunnel.send(peer.initiate())
    first = tunnel.receive(2, HandshakeResponse.TYPE)
    assert first.data[-16:] == bytes(16)
    tunnel.send(peer.cookie_reply(first.data, encoded_source(*first.source)))
    time.sleep(0.1)  # more than the limit of one initiation per 20 ms
    tunnel.send(peer.initiate())
    second = tunnel.receive(2, HandshakeResponse.TYPE)
    assert peer.accepts_mac2(second.data, encoded_source(*second.source))


def test_an_invalid_cookie_reply_is_ignored(open_site):
    site = open_site()
    tunnel, peer = site.tunnel, site.tunnel.peer
    site.set_peer("persistent-keepalive", "1")
    first = tunnel.await_initiation()
    index = HandshakeInitiation.parse(first.data).sender
    source = encoded_source(*first.source)
    other_mac1 = first.data[:-32] + bytes(16) + first.data[-16:]
    right = CookieMaker(peer.static.public, bytes(32))
    stranger = CookieMaker(os.urandom(32), bytes(32))
    tunnel.send(right.reply(other_mac1, source, os.urandom(24)).encode())
    tunnel.send(stranger.reply(first.data, source, os.urandom(24)).encode())
    fitting = right.reply(first.data, source, os.urandom(24)).encode()
    tunnel.send(fitting[:-1] + bytes([fitting[-1] ^ 1]))
    tunnel.send(fitting[:4] + struct.pack("<L", index ^ 1) + fitting[8:])
    tunnel.send(fitting[:1] + b"\1" + fitting[2:])
    retry = tunnel.await_initiation(RETRY_BEFORE)
    assert retry.data[-16:] == bytes(16)


def test_a_mac1_accepts_one_cookie_reply(open_site):
    # **ours**: a second reply to the same mac1 is authentic but changes nothing.
    site = open_site()
    tunnel, peer = site.tunnel, site.tunnel.peer
    site.set_peer("persistent-keepalive", "1")
    first = tunnel.await_initiation()
    source = encoded_source(*first.source)
    tunnel.send(peer.cookie_reply(first.data, source))
    time.sleep(0.1)  # enough for a parallel implementation to handle it
    other = CookieMaker(peer.static.public, os.urandom(32))
    tunnel.send(other.reply(first.data, source, os.urandom(24)).encode())
    retry = tunnel.await_initiation(RETRY_BEFORE)
    assert peer.accepts_mac2(retry.data, source)


def test_a_cookie_reply_does_not_move_the_endpoint(open_site):
    site = open_site()
    tunnel, peer = site.tunnel, site.tunnel.peer
    site.set_peer("persistent-keepalive", "1")
    first = tunnel.await_initiation()
    elsewhere = site.another_tunnel(peer=peer)
    elsewhere.send(peer.cookie_reply(first.data, encoded_source(*first.source)))
    retry = tunnel.await_initiation(RETRY_BEFORE)
    # It was accepted: a cookie is bound to its user, not to its sender's address.
    assert peer.accepts_mac2(retry.data, encoded_source(*first.source))
    assert site.endpoint() == site.endpoint_of(tunnel)


# Cookies: the daemon is under load

@FAMILIES
def test_under_load_the_daemon_requests_a_cookie_and_accepts_it(open_site, family):
    site = open_site(family)
    tunnel, peer = site.tunnel, site.tunnel.peer
    under_load(site)
    reply = cookie_reply_to_fresh_initiation(site, tunnel)
    peer.consume_cookie_reply(reply.data)
    tunnel.handshake()
    tunnel.ping()


def test_under_load_the_daemon_requests_a_cookie_for_a_response(open_site):
    site = open_site()
    tunnel, peer = site.tunnel, site.tunnel.peer
    site.set_peer("persistent-keepalive", "1")
    response = peer.respond(tunnel.await_initiation().data)
    under_load(site)
    reply = cookie_reply_to(site, tunnel, lambda: response)
    peer.consume_cookie_reply(reply.data)
    tunnel.send(peer.signed_again(response))
    assert tunnel.receive_transport()[1] == b""


def test_the_daemons_cookie_is_bound_to_the_port(open_site):
    site = open_site()
    tunnel, peer = site.tunnel, site.tunnel.peer
    elsewhere = site.another_tunnel(peer=peer)
    under_load(site)
    peer.consume_cookie_reply(cookie_reply_to_fresh_initiation(site, tunnel).data)
    under_load(site)
    reply = cookie_reply_to_fresh_initiation(site, elsewhere)
    assert peer.cookie != peer.consume_cookie_reply(reply.data)


def test_the_load_state_ends(open_site):
    site = open_site()
    under_load(site)
    cookie_reply_to_fresh_initiation(site, site.tunnel)
    time.sleep(2)  # the load state lasts one second after the queue was long
    site.tunnel.drop_received()
    site.tunnel.send(site.tunnel.peer.initiate())
    response = site.tunnel.receive(2)
    assert response.type == HandshakeResponse.TYPE
    site.tunnel.peer.consume_response(response.data)
    site.tunnel.ping()


def test_under_load_a_source_gets_20_handshakes_a_second_and_5_at_once(open_site):
    site = open_site()
    tunnel, peer = site.tunnel, site.tunnel.peer
    under_load(site)
    peer.consume_cookie_reply(cookie_reply_to_fresh_initiation(site, tunnel).data)
    tunnel.drop_received()
    start = renewal = time.monotonic()
    sent = 0
    # Until clearly more was sent than may be answered, however slow the machine is.
    while sent < 40 or sent <= 5 + 20 * (time.monotonic() - start) + 5:
        if time.monotonic() >= renewal:  # without load for a second, the limit ends
            under_load(site)
            renewal = time.monotonic() + 0.3
        tunnel.send(peer.initiate())
        sent += 1
        time.sleep(0.025)
    answers = received_until_quiet(tunnel)
    assert {answer.type for answer in answers} == {HandshakeResponse.TYPE}
    # Up to the last answer: the daemon may handle an initiation late.
    seconds = answers[-1].time - start
    assert 5 <= len(answers) <= 5 + 20 * seconds + 1


def test_an_idle_daemon_limits_no_source(open_site):
    site = open_site()
    for _ in range(40):
        site.tunnel.send(site.tunnel.peer.initiate())
        assert site.tunnel.receive(5).type == HandshakeResponse.TYPE
        # A peer may initiate once in 20 ms, measured from when the daemon handled the last one.
        time.sleep(0.025)
    assert site.tunnel.hears_nothing(0.3)


def test_a_wrong_mac2_is_ignored_by_an_idle_daemon(open_site):
    site = open_site()
    site.tunnel.peer.cookie = os.urandom(16)
    site.tunnel.handshake()
    site.tunnel.ping()


def test_under_load_a_wrong_mac1_gets_no_answer(open_site):
    site = open_site()
    tunnel = site.tunnel
    under_load(site)
    for position in (-32, -17):
        forged = bytearray(tunnel.peer.initiate())
        forged[position] ^= 1
        tunnel.send(bytes(forged))
    assert tunnel.hears_nothing(0.3)
    cookie_reply_to_fresh_initiation(site, tunnel)


# Transport

@pytest.mark.parametrize("version", [4, 6], ids=["inner4", "inner6"])
def test_replies_are_padded_to_16_bytes_but_not_beyond_the_mtu(open_site, version):
    site = open_site()
    site.tunnel.handshake()
    headers = {4: 28, 6: 48}[version]
    for inner in [*range(headers, headers + 34), 1407, 1408, 1409, 1415, 1416, 1417, 1419, MTU]:
        reply = site.tunnel.ping(version, bytes(inner - headers))
        assert len(reply.data) == 32 + len(padded(bytes(inner), MTU)), inner


def test_a_message_of_any_length_is_accepted(open_site):
    site = open_site()
    tunnel = site.tunnel
    tunnel.handshake()
    for extra in (0, 1, 2, 15, 17, 300):
        request = tunnel.echo(payload=b"odd")
        plaintext = request.encode() + bytes(extra)
        assert tunnel.answers(tunnel.peer.current.seal_exactly(plaintext), request, 2), extra


def test_counters_grow_by_one(open_site):
    site = open_site()
    tunnel = site.tunnel
    tunnel.handshake()
    counters = [TransportData.parse(tunnel.ping().data).counter for _ in range(20)]
    assert counters == list(range(20))


def test_a_replayed_message_is_refused(open_site):
    site = open_site()
    tunnel = site.tunnel
    tunnel.handshake()
    request = tunnel.echo()
    message = tunnel.peer.seal(request.encode())
    assert tunnel.answers(message, request, 2)
    for _ in range(3):
        assert not tunnel.answers(message, request)
    tunnel.ping()


def test_the_replay_window_is_8128_wide(open_site):
    site = open_site()
    tunnel = site.tunnel
    tunnel.handshake()
    far = 2**33 + 12345
    taken = [far, far - 1, far - WINDOW, far - WINDOW + 1, far - 63, far - 64, far - 4096]
    refused = [far, far - WINDOW - 1, far - WINDOW - 64, 0, 1, *taken]
    for counter in taken:
        request = tunnel.echo()
        message = tunnel.peer.current.seal(request.encode(), counter=counter)
        assert tunnel.answers(message, request, 2), counter - far
    for counter in refused:
        request = tunnel.echo()
        message = tunnel.peer.current.seal(request.encode(), counter=counter)
        assert not tunnel.answers(message, request, 0.2), counter - far


def test_a_forged_counter_does_not_move_the_window(open_site):
    site = open_site()
    tunnel = site.tunnel
    tunnel.handshake()
    forged = tunnel.peer.current.seal(tunnel.echo().encode(), counter=2**40)
    tunnel.send(forged[:-1] + bytes([forged[-1] ^ 1]))
    tunnel.ping()


def test_a_counter_at_the_limit_is_refused_and_the_one_below_is_accepted(open_site):
    site = open_site()
    tunnel = site.tunnel
    tunnel.handshake()
    for counter in (REJECT_AFTER_MESSAGES, REJECT_AFTER_MESSAGES + 1, 2**64 - 1):
        request = tunnel.echo()
        message = tunnel.peer.current.seal(request.encode(), counter=counter)
        assert not tunnel.answers(message, request, 0.3)
    tunnel.ping()
    request = tunnel.echo()
    message = tunnel.peer.current.seal(request.encode(), counter=REJECT_AFTER_MESSAGES - 1)
    assert tunnel.answers(message, request, 2)


def test_a_source_outside_the_allowed_ips_is_dropped(open_site):
    site = open_site()
    tunnel = site.tunnel
    tunnel.handshake()
    for source, destination in (("192.168.77.3", INNER[4][0]), (INNER[4][0], INNER[4][0]),
                                ("fd78::3", INNER[6][0])):
        spoofed = Echo(source, destination, 1, 1)
        assert not tunnel.answers(tunnel.peer.seal(spoofed.encode()), spoofed, 0.3)
    tunnel.ping()


def test_a_source_that_another_peer_owns_is_dropped(open_site):
    # The longest prefix of the whole device decides, not the sender's own list.
    site = open_site()
    tunnel = site.tunnel
    site.set_peer("allowed-ips", "192.168.77.0/24,fd78::/64")
    site.daemon.set("peer", base64_of(os.urandom(32)), "allowed-ips", "192.168.77.5/32,fd78::5/128")
    tunnel.handshake()
    for version, own, others in ((4, "192.168.77.6", "192.168.77.5"), (6, "fd78::6", "fd78::5")):
        spoofed = Echo(others, INNER[version][0], 1, 1)
        assert not tunnel.answers(tunnel.peer.seal(spoofed.encode()), spoofed, 0.3)
        honest = Echo(own, INNER[version][0], 1, 1)
        assert tunnel.answers(tunnel.peer.seal(honest.encode()), honest, 2)


def test_unanswered_data_gets_a_keepalive_after_ten_seconds(open_site):
    site = open_site()
    tunnel = site.tunnel
    tunnel.handshake()
    tunnel.ping()
    # An unsolicited reply: the daemon's host accepts it and sends nothing.
    sent = time.monotonic()
    tunnel.send(tunnel.peer.seal(tunnel.echo().answer().encode()))
    keepalive = tunnel.receive(14)
    assert tunnel.peer.open(keepalive.data) == b""
    assert 9.8 < keepalive.time - sent < 13.8
    assert tunnel.hears_nothing(1)


# Roaming

@FAMILIES
def test_the_endpoint_follows_data_keepalives_and_initiations(open_site, family):
    def received(count):
        # Different workers may serve the sockets, and one may overtake another.
        wait_until(lambda: site.daemon.show("transfer")[0][1] == str(count))

    site = open_site(family)
    site.tunnel.handshake()
    site.tunnel.ping()
    received(148 + 32 + 64 + 32)  # initiation, keepalive, request, keepalive
    peer = site.tunnel.peer
    by_data = site.another_tunnel(peer=peer)
    by_data.ping()
    assert site.endpoint() == site.endpoint_of(by_data)
    received(148 + 32 + 2 * (64 + 32))
    by_keepalive = site.another_tunnel(peer=peer)
    by_keepalive.send(peer.seal(b""))
    wait_until(lambda: site.endpoint() == site.endpoint_of(by_keepalive))
    by_initiation = site.another_tunnel(peer=peer)
    by_initiation.initiate_until_response()
    assert site.endpoint() == site.endpoint_of(by_initiation)
    with site.daemon.ping(INNER[4][1], "-W", "5") as ping:
        by_initiation.send(peer.seal(b""))
        by_initiation.answer_echo()
        assert ping.wait(5) == 0


@FAMILIES
def test_the_endpoint_follows_a_response(open_site, family):
    site = open_site(family)
    elsewhere = site.another_tunnel(peer=site.tunnel.peer)
    site.set_peer("persistent-keepalive", "1")
    initiation = site.tunnel.await_initiation()
    elsewhere.send(site.tunnel.peer.respond(initiation.data))
    assert elsewhere.receive_transport()[1] == b""
    assert site.endpoint() == site.endpoint_of(elsewhere)


def test_the_endpoint_ignores_refused_messages(open_site):
    site = open_site()
    tunnel = site.tunnel
    initiation = tunnel.peer.initiate()
    tunnel.send(initiation)
    tunnel.peer.consume_response(tunnel.receive(2, HandshakeResponse.TYPE).data)
    replayed = tunnel.peer.seal(tunnel.echo().encode())
    tunnel.send(replayed)
    tunnel.ping()
    elsewhere = site.another_tunnel(peer=tunnel.peer)
    forged = tunnel.peer.seal(tunnel.echo().encode())
    refused = [initiation, replayed, forged[:-1] + bytes([forged[-1] ^ 1]),
               tunnel.peer.current.seal(b"", counter=REJECT_AFTER_MESSAGES)]
    with site.silence():
        for message in refused:
            elsewhere.send(message)
    assert site.endpoint() == site.endpoint_of(tunnel)
    tunnel.ping()


# Clocks

@pytest.mark.long
@pytest.mark.limit(150)
def test_an_initiator_that_sends_after_120_seconds_initiates(open_site):
    site = open_site()
    answer_ping(site)
    established = time.monotonic()
    for seconds in (30, 60, 90, 118):
        time.sleep(established + seconds - time.monotonic())
        site.tunnel.drop_received()
        with site.daemon.ping(INNER[4][1], "-W", "4") as ping:
            site.tunnel.answer_echo(4)
            assert ping.wait(5) == 0
        assert site.tunnel.hears_nothing(0.1, HandshakeInitiation.TYPE), seconds
    time.sleep(established + 121 - time.monotonic())
    site.tunnel.drop_received()
    with site.daemon.ping(INNER[4][1], "-W", "1"):
        # The packet is not delayed: it uses the current key, which is still valid.
        assert {site.tunnel.receive(4).type, site.tunnel.receive(4).type} == {
            TransportData.TYPE, HandshakeInitiation.TYPE}


@pytest.mark.long
@pytest.mark.limit(210)
def test_a_session_ends_after_180_seconds(open_site):
    site = open_site()
    site.tunnel.handshake()
    established = time.monotonic()
    time.sleep(established + 178 - time.monotonic())
    site.tunnel.ping()
    time.sleep(established + 181 - time.monotonic())
    with site.silence():
        site.tunnel.send(site.tunnel.peer.seal(site.tunnel.echo().encode()))
    site.tunnel.handshake()
    site.tunnel.ping()


@pytest.mark.scenario("B2", "20 initiations without an answer, then silence")
@pytest.mark.long
@pytest.mark.limit(150)
def test_the_daemon_initiates_20_times_and_gives_up(open_site, seen):
    site = open_site()
    arrival(site.tunnel)
    ping = site.daemon.ping(INNER[4][1], "-W", "1")
    times = []
    while True:
        try:
            site.tunnel.await_initiation(12)
        except Silence:
            break
        times.append(arrival(site.tunnel))
    gaps = [after - before for before, after in zip(times, times[1:])]
    assert len(times) == 20
    assert all(RETRY_AFTER < gap < RETRY_BEFORE for gap in gaps), gaps
    assert ping.wait(5) == 1
    answer_ping(site)
    seen(f"the twentieth after {times[-1] - times[0]:.1f} s")


# Steps

def answer_ping(site) -> None:
    """The daemon's host pings, so the daemon initiates; the test answers everything."""
    with site.daemon.ping(INNER[4][1], "-W", "5") as ping:
        site.tunnel.answer_handshake()
        site.tunnel.answer_echo()
        assert ping.wait(5) == 0


def under_load(site) -> None:
    """Puts the daemon under load, from a socket that no other test uses.

    Every initiation has a valid mac1 and costs the daemon a Diffie-Hellman operation; in segments they
    arrive faster than any processor computes them. They are from an unknown peer and have no effect.
    """
    stranger = Peer(KeyPair.of(os.urandom(32)), site.daemon.static.public)
    flooder = site.another_tunnel(peer=stranger)
    initiation = flooder.peer.initiate()
    for _ in range(48):
        flooder.send_segments(initiation * 64, len(initiation))


def cookie_reply_to_fresh_initiation(site, tunnel: Tunnel) -> Datagram:
    """The cookie reply to the latest initiation."""
    return cookie_reply_to(site, tunnel, tunnel.peer.initiate)


def cookie_reply_to(site, tunnel: Tunnel, message: Callable[[], bytes]) -> Datagram:
    """The cookie reply to this handshake message, not to an earlier one.

    The daemon stays under load for a second, and drops messages while its queue is full. The message
    is therefore sent a little later, and load is applied again if that was too early or too late.
    """
    for tenths in range(1, 9):
        time.sleep(tenths / 10)
        tunnel.drop_received()
        tunnel.send(message())
        try:
            while True:
                reply = tunnel.receive(1, CookieReply.TYPE)
                if CookieReply.parse(reply.data).receiver == tunnel.peer.last_index:
                    return reply
        except Silence:
            under_load(site)
    raise AssertionError("no cookie reply under load")


def received_until_quiet(tunnel: Tunnel) -> list[Datagram]:
    """Everything received until the socket is quiet."""
    datagrams = []
    while True:
        try:
            datagrams.append(tunnel.receive(0.3))
        except Silence:
            return datagrams


def arrival(tunnel: Tunnel) -> float | None:
    """When the last datagram reached the socket (Unix seconds); this thread may wake up later.

    The kernel records it from the first call on. It is absent before the first datagram.
    """
    try:
        stamp = fcntl.ioctl(tunnel.socket, SIOCGSTAMPNS, bytes(struct.calcsize("ll")))
    except FileNotFoundError:
        return None
    seconds, nanoseconds = struct.unpack("ll", stamp)
    return seconds + nanoseconds / 1e9


def wait_until(condition) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end, "the condition did not hold within 10 s"
        time.sleep(0.02)
