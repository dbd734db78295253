"""The Python peer against itself and against published values, without a daemon or root."""

import json
import os
import random
import subprocess

import pytest

from swireguard_dev.paper import aead, hashing, messages, packets, timestamps, vectors
from swireguard_dev.paper.cookies import encoded_source, mac1_of, mac2_of
from swireguard_dev.paper.curve import BASE_POINT, KeyPair, dh, x25519
from swireguard_dev.paper.noise import NO_PRESHARED_KEY
from swireguard_dev.paper.packets import Echo
from swireguard_dev.paper.peer import Peer, Refused
from swireguard_dev.project import ROOT
from swireguard_dev.paper.session import (REJECT_AFTER_MESSAGES, WINDOW, Replayed, ReplayWindow,
    padded)


def peers(preshared: bytes = NO_PRESHARED_KEY, other: bytes | None = None) -> tuple[Peer, Peer]:
    """Two peers that know each other and use seeded randomness."""
    seeded = random.Random(1)
    alice, bob = vectors.key_pair("alice"), vectors.key_pair("bob")
    clock = iter(range(1_700_000_000_000_000_000, 2**63, 1_000_000)).__next__
    return (Peer(alice, bob.public, preshared, random=seeded.randbytes, clock=clock),
            Peer(bob, alice.public, preshared if other is None else other,
                 random=seeded.randbytes, clock=clock))


def connected(preshared: bytes = NO_PRESHARED_KEY) -> tuple[Peer, Peer]:
    initiator, responder = peers(preshared)
    initiator.consume_response(responder.respond(initiator.initiate()))
    return initiator, responder


# Handshake

@pytest.mark.parametrize("preshared", [NO_PRESHARED_KEY, os.urandom(32)], ids=["plain", "psk"])
def test_both_directions_decrypt_after_a_handshake(preshared):
    alice, bob = connected(preshared)
    for sender, receiver in ((alice, bob), (bob, alice)) * 3:
        packet = os.urandom(100)
        assert receiver.open(sender.seal(packet)) == packet + bytes(12)
        assert receiver.open(sender.seal(b"")) == b""


def test_messages_have_the_right_lengths_and_types():
    alice, bob = peers()
    initiation = alice.initiate()
    response = bob.respond(initiation)
    alice.consume_response(response)
    reply = bob.cookie_reply(initiation, encoded_source("192.0.2.1", 1))
    found = [(len(m), m[:4].hex()) for m in (initiation, response, reply, alice.seal(b""))]
    assert found == [(148, "01000000"), (92, "02000000"), (64, "03000000"), (32, "04000000")]


def test_seeded_peers_are_deterministic():
    assert peers()[0].initiate() == peers()[0].initiate()


def test_different_preshared_keys_fail_at_the_response():
    alice, bob = peers(bytes(32), bytes(31) + b"\1")
    with pytest.raises(aead.Forged):
        alice.consume_response(bob.respond(alice.initiate()))


def test_a_replayed_initiation_is_refused():
    alice, bob = peers()
    initiation = alice.initiate()
    bob.respond(initiation)
    with pytest.raises(Refused):
        bob.respond(initiation)


@pytest.mark.parametrize("position", [4, 8, 40, 88, 116])
def test_an_initiation_with_one_bit_flipped_is_refused(position):
    alice, bob = peers()
    forged = bytearray(alice.initiate())
    forged[position] ^= 1
    with pytest.raises(Refused):
        bob.respond(bytes(forged))


@pytest.mark.parametrize("point", vectors.LOW_ORDER_POINTS)
def test_a_point_of_low_order_aborts_the_handshake(point):
    with pytest.raises(ValueError):
        dh(vectors.stream("any", 32), bytes.fromhex(point))


def test_a_cookie_reply_gives_the_retry_a_valid_mac2():
    alice, bob = peers()
    source, elsewhere = encoded_source("192.0.2.1", 7), encoded_source("192.0.2.1", 8)
    first = alice.initiate()
    assert not bob.accepts_mac2(first, source)
    alice.consume_cookie_reply(bob.cookie_reply(first, source))
    retry = alice.initiate()
    assert bob.accepts_mac2(retry, source) and not bob.accepts_mac2(retry, elsewhere)
    alice.consume_response(bob.respond(retry))


def test_a_cookie_reply_for_another_mac1_is_invalid():
    alice, bob = peers()
    first = alice.initiate()
    alice.initiate()
    with pytest.raises(aead.Forged):
        alice.consume_cookie_reply(bob.cookie_reply(first, encoded_source("::1", 7)))


# Published values

def test_hchacha20_matches_the_draft():
    key, nonce = bytes(range(32)), bytes.fromhex("000000090000004a0000000031415927")
    assert aead.hchacha20(key, nonce).hex() == (
        "82413b4227b27bfed30e42508a877d73a0f9e4d58a74a853c12ec41326d3ecdc")


def test_the_kdf_of_test_key_and_test_input():
    assert [output.hex() for output in hashing.kdf(3, b"test-key", b"test-input")] == [
        "6f0e5ad38daba1bea8a0d213688736f19763239305e0f58aba697f9ffc41c633",
        "df1194df20802a4fe594cde27e92991c8cae66c366e8106aaa937a55fa371e8a",
        "fac6e2745a325f5dc5d11a5b165aad08b0ada28e7b4e666b7c077934a4d76c24"]


def test_the_constants_of_the_construction():
    handshake = vectors.noise_handshake()[0]
    assert handshake["constructionChainingKey"][:8] == "60e26dae"
    assert handshake["identifierHash"][:8] == "2211b361"


def test_vector_files_match_the_scripts_output():
    subprocess.run([ROOT / "scripts/lib/generate-vectors", "--check"], check=True)


@pytest.mark.parametrize("path", sorted((ROOT / "Vectors").glob("*.json")), ids=lambda p: p.stem)
def test_a_vector_file_is_flat_and_contains_strings_only(path):
    content = json.loads(path.read_text(encoding="ascii"))
    assert "\\" not in path.read_text(encoding="ascii")
    assert set(content) == {"source", "cases"} and content["cases"]
    for case in content["cases"]:
        assert list(case) == list(content["cases"][0])
        assert all(isinstance(value, str) for value in case.values())


def test_clamping_a_private_key_keeps_its_public_key():
    pair = KeyPair.of(b"\xff" * 32)
    assert (pair.private[0], pair.private[31]) == (0xF8, 0x7F)
    assert pair.public == x25519(b"\xff" * 32, BASE_POINT)


# Messages

@pytest.mark.parametrize("kind", [messages.HandshakeInitiation, messages.HandshakeResponse,
                                  messages.CookieReply], ids=lambda kind: kind.__name__)
def test_a_fixed_message_has_one_length_and_zero_reserved_bytes(kind):
    right = bytes([kind.TYPE]) + bytes(kind.BYTES - 1)
    assert kind.parse(right).encode() == right
    wrong = [right[:-1], right + b"\0", b""] + [
        right[:position] + b"\1" + right[position + 1:] for position in range(4)
        if (position, kind.TYPE) != (0, 1)]
    for data in wrong:
        with pytest.raises(messages.Malformed):
            kind.parse(data)


@pytest.mark.parametrize("length", range(32))
def test_a_transport_message_under_32_bytes_is_malformed(length):
    with pytest.raises(messages.Malformed):
        messages.TransportData.parse((b"\4" + bytes(31))[:length])


def test_a_transport_message_of_any_length_is_accepted():
    for length in (32, 33, 47, 48, 65507):
        data = b"\4" + bytes(length - 1)
        assert messages.TransportData.parse(data).encode() == data


def test_mac1_and_mac2_cover_everything_before_them():
    message = bytes(range(148))
    for position in range(148):
        flipped = message[:position] + bytes([message[position] ^ 1]) + message[position + 1:]
        assert (mac1_of(flipped, bytes(32)) != mac1_of(message, bytes(32))) == (position < 116)
        assert (mac2_of(flipped, bytes(16)) != mac2_of(message, bytes(16))) == (position < 132)


def test_a_source_is_address_then_big_endian_port():
    assert encoded_source("192.0.2.1", 0x1234).hex() == "c00002011234"
    assert encoded_source("2001:db8::1", 1).hex() == "20010db8000000000000000000000001" + "0001"


def test_timestamps_compare_like_times():
    times = [0, 1, 999_999_999, 1_000_000_000, 1_700_000_000_000_000_000]
    stamps = [timestamps.tai64n(time) for time in times]
    assert stamps == sorted(stamps) and stamps[0].hex() == "400000000000000a00000000"
    assert [timestamps.unix_nanoseconds(stamp) for stamp in stamps] == times


# Transport

@pytest.mark.parametrize("length, full", [(0, 0), (1, 16), (16, 16), (17, 32), (1408, 1408),
                                          (1409, 1420), (1419, 1420), (1420, 1420), (1421, 1421)])
def test_padding_is_to_16_bytes_and_never_beyond_the_mtu(length, full):
    assert padded(b"x" * length) == b"x" * length + bytes(full - length)


def test_the_replay_window_at_its_edges():
    window = ReplayWindow()
    far = 3 * WINDOW
    window.accept(far)
    for counter in (far, far - WINDOW - 1, 0, REJECT_AFTER_MESSAGES, 2**64 - 1):
        with pytest.raises(Replayed):
            window.accept(counter)
    for counter in (far - WINDOW, far - 1, far + 1, REJECT_AFTER_MESSAGES - 1):
        window.accept(counter)
    with pytest.raises(Replayed):
        window.accept(far + 2)


def test_a_forged_message_does_not_move_the_window():
    alice, bob = connected()
    honest = alice.seal(b"honest")
    forged = alice.current.seal(b"forged", counter=2**40)
    forged = forged[:-1] + bytes([forged[-1] ^ 1])
    with pytest.raises(aead.Forged):
        bob.open(forged)
    assert bob.open(honest).startswith(b"honest")
    with pytest.raises(Replayed):
        bob.open(honest)


# Inner packets

@pytest.mark.parametrize("source, destination", [("10.0.0.1", "10.0.0.2"), ("fd00::1", "fd00::2")])
@pytest.mark.parametrize("payload", [b"", b"x", b"abc" * 100])
def test_an_echo_survives_writing_and_reading(source, destination, payload):
    echo = Echo(source, destination, 0x1234, 7, payload)
    assert Echo.parse(padded(echo.encode())) == echo
    assert Echo.parse(echo.answer().encode()) == echo.answer()


def test_the_checksum_of_an_echo_is_valid():
    # The sum over data that contains its checksum is all ones (RFC 1071).
    packet = Echo("10.0.0.1", "10.0.0.2", 1, 2, b"abc").encode()
    for data in (packet[:20], packet[20:]):
        assert packets.with_checksum(b"\0\0" + data, 0)[:2] == b"\0\0"


def test_other_packets_are_not_echoes():
    for data in (b"", b"\x45", bytes(100), b"\x45" + bytes(27), b"\x60" + bytes(60)):
        assert Echo.parse(data) is None
