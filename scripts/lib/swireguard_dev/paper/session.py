"""Transport: a keypair with its counters, the replay window, and padding."""

from . import aead
from .messages import TransportData
from .noise import TransportKeys

REJECT_AFTER_MESSAGES = 2**64 - 2**13 - 1
# The largest accepted distance of a counter from the greatest one (RFC 6479 with 128 words of 64 bits, of
# which one is always being cleared).
WINDOW = 8128


class Replayed(Exception):
    """The counter was seen before, is too old, or reaches the limit."""


def padded(packet: bytes, mtu: int = 1420) -> bytes:
    """Pads with zeros to a multiple of 16 bytes, up to the MTU (paper, section 5.4.6)."""
    length = max(len(packet), min((len(packet) + 15) // 16 * 16, mtu))
    return packet + bytes(length - len(packet))


class ReplayWindow:
    """Keeps the accepted counters in a set: slow, but obviously correct."""

    def __init__(self) -> None:
        self._greatest = -1
        self._seen: set[int] = set()

    def accept(self, counter: int) -> None:
        """Accepts the counter, or raises Replayed without a change of state."""
        if counter >= REJECT_AFTER_MESSAGES or counter in self._seen:
            raise Replayed
        if counter < self._greatest - WINDOW:
            raise Replayed
        self._seen.add(counter)
        if counter > self._greatest:
            self._greatest = counter
            self._seen = {seen for seen in self._seen if seen >= counter - WINDOW}


class Keypair:
    """One session: two keys, two indices, a counter in each direction."""

    def __init__(self, keys: TransportKeys):
        self.keys = keys
        self.counter = 0
        self._window = ReplayWindow()

    def seal(self, packet: bytes, *, counter: int | None = None, mtu: int = 1420) -> bytes:
        """The message with a padded inner packet. An empty packet is a keepalive.

        If the caller passes a counter, the keypair's own counter stays unchanged.
        """
        return self.seal_exactly(padded(packet, mtu), counter=counter)

    def seal_exactly(self, plaintext: bytes, *, counter: int | None = None) -> bytes:
        """The message with these bytes, without padding."""
        if counter is None:
            counter = self.counter
            self.counter += 1
        sealed = aead.seal(self.keys.sending, counter, plaintext)
        return TransportData(self.keys.remote_index, counter, sealed).encode()

    def open(self, message: TransportData) -> bytes:
        """The plaintext with its padding. Raises Forged or Replayed."""
        plaintext = aead.open_(self.keys.receiving, message.counter, message.encrypted_packet)
        # Only after the tag is verified, because a forged counter must not move the window.
        self._window.accept(message.counter)
        return plaintext
