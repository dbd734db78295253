"""Transport: a keypair with its counters, the replay window, and padding."""

from . import aead
from .messages import TransportData
from .noise import TransportKeys

REJECT_AFTER_MESSAGES = 2**64 - 2**13 - 1
# How far behind the greatest counter seen a message may be and still be taken (RFC 6479 with
# 128 words of 64 bits, one of which is always being cleared).
WINDOW = 8128


class Replayed(Exception):
    """The counter was seen before, is too far behind, or is at the limit."""


def padded(packet: bytes, mtu: int = 1420) -> bytes:
    """Zeros up to a multiple of 16 bytes, but never past the MTU (paper, section 5.4.6)."""
    length = max(len(packet), min((len(packet) + 15) // 16 * 16, mtu))
    return packet + bytes(length - len(packet))


class ReplayWindow:
    """The counters that may still come, kept as a set: slow, and plainly right."""

    def __init__(self) -> None:
        self._greatest = -1
        self._seen: set[int] = set()

    def accept(self, counter: int) -> None:
        """Takes the counter, or raises Replayed and takes nothing."""
        if counter >= REJECT_AFTER_MESSAGES or counter in self._seen:
            raise Replayed
        if counter < self._greatest - WINDOW:
            raise Replayed
        self._seen.add(counter)
        if counter > self._greatest:
            self._greatest = counter
            self._seen = {seen for seen in self._seen if seen >= counter - WINDOW}


class Keypair:
    """One session: two keys, two indices, a counter each way."""

    def __init__(self, keys: TransportKeys):
        self.keys = keys
        self.counter = 0
        self._window = ReplayWindow()

    def seal(self, packet: bytes, *, counter: int | None = None, mtu: int = 1420) -> bytes:
        """The message for an inner packet, padded; an empty packet makes a keepalive.

        A counter of the caller's choice leaves the keypair's own where it is.
        """
        return self.seal_exactly(padded(packet, mtu), counter=counter)

    def seal_exactly(self, plaintext: bytes, *, counter: int | None = None) -> bytes:
        """The message for these bytes and no padding."""
        if counter is None:
            counter = self.counter
            self.counter += 1
        sealed = aead.seal(self.keys.sending, counter, plaintext)
        return TransportData(self.keys.remote_index, counter, sealed).encode()

    def open(self, message: TransportData) -> bytes:
        """The plaintext with its padding, or Forged or Replayed."""
        plaintext = aead.open_(self.keys.receiving, message.counter, message.encrypted_packet)
        # The window moves after the tag was right: a forged counter must not poison it.
        self._window.accept(message.counter)
        return plaintext
