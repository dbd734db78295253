"""A WireGuard peer without I/O: methods take and return datagrams.

It has neither timers nor policy: the caller decides when it initiates, answers, retries and sends keepalives.
"""

import os
import struct
import time
from collections.abc import Callable

from .cookies import CookieMaker, mac1_of, mac2_of, opened_cookie, with_mac1, with_mac2
from .curve import KeyPair
from .messages import CookieReply, Handshake, HandshakeInitiation, HandshakeResponse, TransportData
from .noise import NO_PRESHARED_KEY, Initiator, Responder
from .session import Keypair
from .timestamps import tai64n


class Refused(Exception):
    """The peer rejects a message. The text gives the reason."""


class Peer:
    """One end of one tunnel.

    `random` returns a number of random bytes, `clock` the Unix time in nanoseconds. With replacements for
    both, all bytes are deterministic.
    """

    def __init__(self, static: KeyPair, remote_static: bytes, preshared: bytes = NO_PRESHARED_KEY,
                 *, random: Callable[[int], bytes] = os.urandom,
                 clock: Callable[[], int] = time.time_ns):
        self.static = static
        self.remote_static = remote_static
        self.preshared = preshared
        self.cookie: bytes | None = None
        self.current: Keypair | None = None
        self.last_mac1: bytes | None = None
        self.last_index: int | None = None
        self._random = random
        self._clock = clock
        self._pending: dict[int, Initiator] = {}
        self._keypairs: dict[int, Keypair] = {}
        self._latest_timestamp = bytes(12)
        self._cookie_maker = CookieMaker(static.public, random(32))

    # Handshakes as initiator

    def initiate(self, *, ephemeral: KeyPair | None = None, index: int | None = None,
                 timestamp: bytes | None = None) -> bytes:
        """An initiation, with a mac2 if there is a cookie."""
        initiator = Initiator(
            self.static, self.remote_static, ephemeral or self._ephemeral(),
            self._index() if index is None else index, timestamp or tai64n(self._clock()),
        )
        self._pending[initiator.index] = initiator
        return self._signed(initiator.initiation)

    def consume_response(self, datagram: bytes) -> Keypair:
        """The new keypair, which becomes `current`."""
        response = HandshakeResponse.parse(datagram)
        self._check_mac1(datagram)
        if response.receiver not in self._pending:
            raise Refused("no initiation of ours has this index")
        initiator = self._pending.pop(response.receiver)
        keypair = self._keep(Keypair(initiator.consume_response(response, self.preshared)))
        self.current = keypair
        return keypair

    # Handshakes as responder

    def respond(self, datagram: bytes, *, ephemeral: KeyPair | None = None,
                index: int | None = None) -> bytes:
        """The response to an initiation.

        The new keypair becomes `current` at once. According to the paper, the caller must not send before it
        receives a message under it.
        """
        responder = self.consume_initiation(datagram)
        if responder.timestamp <= self._latest_timestamp:
            raise Refused("the timestamp is not later than the last one")
        self._latest_timestamp = responder.timestamp
        response, keys = responder.respond(
            self.preshared, ephemeral or self._ephemeral(),
            self._index() if index is None else index,
        )
        self.current = self._keep(Keypair(keys))
        return self._signed(response)

    def consume_initiation(self, datagram: bytes) -> Responder:
        """Opens an initiation and checks its sender. The caller must check the timestamp."""
        initiation = HandshakeInitiation.parse(datagram)
        self._check_mac1(datagram)
        responder = Responder(self.static, initiation)
        if responder.initiator_static != self.remote_static:
            raise Refused("an initiation from an unknown peer")
        return responder

    # Cookies

    def cookie_reply(self, datagram: bytes, source: bytes) -> bytes:
        """The cookie reply of this peer to a handshake message from `source`."""
        self._check_mac1(datagram)
        return self._cookie_maker.reply(datagram, source, self._random(24)).encode()

    def accepts_mac2(self, datagram: bytes, source: bytes) -> bool:
        """Whether the message has a valid mac2 for our last cookie reply."""
        return self._cookie_maker.accepts_mac2(datagram, source)

    def consume_cookie_reply(self, datagram: bytes) -> bytes:
        """The cookie. All later handshake messages use it for mac2."""
        reply = CookieReply.parse(datagram)
        if self.last_mac1 is None:
            raise Refused("there is no message of ours that this could answer")
        self.cookie = opened_cookie(reply, self.remote_static, self.last_mac1)
        return self.cookie

    def signed_again(self, datagram: bytes) -> bytes:
        """A handshake message that was sent before, with the mac2 for the current cookie."""
        assert self.cookie is not None
        return datagram[:-16] + mac2_of(datagram, self.cookie)

    # Transport

    def seal(self, packet: bytes) -> bytes:
        """The transport message with an inner packet, under the current keypair."""
        if self.current is None:
            raise Refused("there is no session")
        return self.current.seal(packet)

    def open(self, datagram: bytes) -> bytes:
        """The plaintext, with its padding; empty for a keepalive."""
        message = TransportData.parse(datagram)
        if message.receiver not in self._keypairs:
            raise Refused("no keypair of ours has this index")
        return self._keypairs[message.receiver].open(message)

    # Steps

    def _signed(self, message: Handshake) -> bytes:
        signed = with_mac1(message, self.remote_static)
        self.last_mac1, self.last_index = signed.mac1, signed.sender
        if self.cookie is not None:
            signed = with_mac2(signed, self.cookie)
        return signed.encode()

    def _check_mac1(self, datagram: bytes) -> None:
        if datagram[-32:-16] != mac1_of(datagram, self.static.public):
            raise Refused("mac1 is wrong")

    def _keep(self, keypair: Keypair) -> Keypair:
        self._keypairs[keypair.keys.local_index] = keypair
        return keypair

    def _ephemeral(self) -> KeyPair:
        return KeyPair.of(self._random(32))

    def _index(self) -> int:
        return struct.unpack("<L", self._random(4))[0]
