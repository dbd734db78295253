"""A paper peer on a UDP socket, connected to one daemon."""

import itertools
import select
import socket
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass

from .aead import Forged
from .messages import CookieReply, HandshakeInitiation, HandshakeResponse, TransportData
from .messages import message_type
from .packets import Echo
from .peer import Peer, Refused
from .session import Replayed

Address = tuple[str, int]


class Silence(AssertionError):
    """No expected datagram arrived in time."""


@dataclass(frozen=True)
class Datagram:
    """A received datagram, with its time of arrival (monotonic seconds)."""

    data: bytes
    source: Address
    time: float

    @property
    def type(self) -> int | None:
        return message_type(self.data)


class Tunnel:
    """One end of a tunnel to a daemon at `remote`. inner, remote_inner: addresses by IP version."""

    def __init__(self, peer: Peer, udp: socket.socket, remote: Address,
                 inner: dict[int, str], remote_inner: dict[int, str]):
        self.peer = peer
        self.socket = udp
        self.remote = remote
        self.inner = inner
        self.remote_inner = remote_inner
        self._sequence = itertools.count(1)

    # Datagrams

    def send(self, data: bytes) -> None:
        self.socket.sendto(data, self.remote)

    def send_segments(self, data: bytes, size: int) -> None:
        """Sends datagrams of `size` bytes, the last may be shorter, in one call with UDP_SEGMENT."""
        self.socket.sendmsg([data], [(socket.SOL_UDP, _UDP_SEGMENT, struct.pack("=H", size))], 0,
                            self.remote)

    def receive(self, timeout: float, kind: int | None = None) -> Datagram:
        """The next datagram, of type `kind` if given. Discards others. Raises Silence."""
        return next(self._received(timeout, kind))

    def hears_nothing(self, seconds: float, kind: int | None = None) -> bool:
        """Whether no datagram, of type `kind` if given, arrives within `seconds`."""
        try:
            self.receive(seconds, kind)
        except Silence:
            return True
        return False

    def drop_received(self) -> None:
        """Discards all received datagrams."""
        while select.select([self.socket], [], [], 0)[0]:
            self.socket.recvfrom(1 << 16)

    # Handshakes

    def handshake(self, timeout: float = 5) -> None:
        """Performs a handshake as initiator, with the confirmation. Retries after a cookie reply."""
        self.initiate_until_response(timeout)
        self.send(self.peer.seal(b""))

    def initiate_until_response(self, timeout: float = 5) -> None:
        """Performs a handshake as initiator, without the confirmation: the daemon may not send yet."""
        # The daemon accepts one initiation per peer in 20 ms.
        time.sleep(0.03)
        self.send(self.peer.initiate())
        for datagram in self._received(timeout, None):
            if datagram.type == CookieReply.TYPE:
                self.peer.consume_cookie_reply(datagram.data)
                self.send(self.peer.initiate())
            elif datagram.type == HandshakeResponse.TYPE:
                self.peer.consume_response(datagram.data)
                return

    def await_initiation(self, timeout: float = 5) -> Datagram:
        """The daemon's next initiation."""
        return self.receive(timeout, HandshakeInitiation.TYPE)

    def answer_handshake(self, timeout: float = 5) -> Datagram:
        """Answers the daemon's next initiation, and returns it."""
        initiation = self.await_initiation(timeout)
        self.send(self.peer.respond(initiation.data))
        return initiation

    # Transport

    def receive_transport(self, timeout: float = 2) -> tuple[Datagram, bytes]:
        """The next transport message, which must open, and its plaintext."""
        datagram = self.receive(timeout, TransportData.TYPE)
        return datagram, self.peer.open(datagram.data)

    def answer_echo(self, timeout: float = 2) -> Datagram:
        """Answers the echo request in the next transport message, and returns the message."""
        datagram, plaintext = self.receive_transport(timeout)
        self.send(self.peer.seal(Echo.parse(plaintext).answer().encode()))
        return datagram

    def echo(self, version: int = 4, payload: bytes = b"") -> Echo:
        """A new, unique request to the daemon's inner address."""
        return Echo(self.inner[version], self.remote_inner[version], 0x7070, next(self._sequence),
                    payload)

    def receive_reply(self, request: Echo, timeout: float = 2) -> Datagram:
        """The transport message with the reply to the request. Discards others."""
        for datagram in self._received(timeout, TransportData.TYPE):
            try:
                if Echo.parse(self.peer.open(datagram.data)) == request.answer():
                    return datagram
            except (Forged, Replayed, Refused):
                continue
        raise AssertionError("unreachable: _received raises Silence")

    def ping(self, version: int = 4, payload: bytes = b"", timeout: float = 2) -> Datagram:
        """Sends a request, awaits the reply, and sends a keepalive.

        The keepalive stops the daemon's timers, so that it sends nothing more.
        """
        request = self.echo(version, payload)
        self.send(self.peer.seal(request.encode()))
        reply = self.receive_reply(request, timeout)
        self.send(self.peer.seal(b""))
        return reply

    def answers(self, data: bytes, request: Echo, timeout: float = 0.5) -> bool:
        """Whether the daemon accepts this message and answers the request in it."""
        self.send(data)
        try:
            self.receive_reply(request, timeout)
        except Silence:
            return False
        return True

    def _received(self, timeout: float, kind: int | None) -> Iterator[Datagram]:
        """Yields datagrams of that type until the timeout, then raises Silence."""
        end = time.monotonic() + timeout
        while (left := end - time.monotonic()) > 0:
            # Not with a socket timeout: the test's time limit raises TimeoutError, too.
            if not select.select([self.socket], [], [], left)[0]:
                break
            data, source = self.socket.recvfrom(1 << 16)
            datagram = Datagram(data, source[:2], time.monotonic())
            if kind is None or datagram.type == kind:
                yield datagram
        raise Silence(f"nothing of type {kind or 'any'} within {timeout} s")


_UDP_SEGMENT = 103
