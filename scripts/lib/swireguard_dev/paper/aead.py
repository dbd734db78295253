"""The AEADs: ChaCha20-Poly1305 with WireGuard's nonce, and XChaCha20-Poly1305.

The library lacks HChaCha20 and the extended nonce, so they are implemented here
(draft-irtf-cfrg-xchacha-03).
"""

import struct

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

TAG_BYTES = 16
_MASK = 0xFFFFFFFF
_CONSTANTS = struct.unpack("<4L", b"expand 32-byte k")


class Forged(Exception):
    """The tag does not match key, nonce, additional data and ciphertext."""


def counter_nonce(counter: int) -> bytes:
    """The nonce of AEAD(key, counter, …): 32 zero bits, then the counter, little-endian."""
    return bytes(4) + struct.pack("<Q", counter)


def seal(key: bytes, counter: int, plaintext: bytes, additional: bytes = b"") -> bytes:
    """AEAD(key, counter, plaintext, additional): ciphertext ‖ tag."""
    return seal_with_nonce(key, counter_nonce(counter), plaintext, additional)


def open_(key: bytes, counter: int, sealed: bytes, additional: bytes = b"") -> bytes:
    """The plaintext of `sealed`, or Forged."""
    return open_with_nonce(key, counter_nonce(counter), sealed, additional)


def seal_with_nonce(key: bytes, nonce: bytes, plaintext: bytes, additional: bytes) -> bytes:
    """RFC 8439, with a nonce of 12 bytes."""
    return ChaCha20Poly1305(key).encrypt(nonce, plaintext, additional)


def open_with_nonce(key: bytes, nonce: bytes, sealed: bytes, additional: bytes) -> bytes:
    if len(sealed) < TAG_BYTES:
        raise Forged
    try:
        return ChaCha20Poly1305(key).decrypt(nonce, sealed, additional)
    except InvalidTag:
        raise Forged from None


def xseal(key: bytes, nonce: bytes, plaintext: bytes, additional: bytes) -> bytes:
    """XAEAD(key, nonce, plaintext, additional), with a nonce of 24 bytes."""
    subkey, inner = _extended(key, nonce)
    return seal_with_nonce(subkey, inner, plaintext, additional)


def xopen(key: bytes, nonce: bytes, sealed: bytes, additional: bytes) -> bytes:
    subkey, inner = _extended(key, nonce)
    return open_with_nonce(subkey, inner, sealed, additional)


def _extended(key: bytes, nonce: bytes) -> tuple[bytes, bytes]:
    """Draft, section 2.3: a subkey from the first 16 bytes, and a nonce of 4 zero bytes and the other 8."""
    return hchacha20(key, nonce[:16]), bytes(4) + nonce[16:]


def hchacha20(key: bytes, nonce: bytes) -> bytes:
    """Draft, section 2.2: the first and last row of the permuted state, without the final addition."""
    state = [*_CONSTANTS, *struct.unpack("<8L", key), *struct.unpack("<4L", nonce)]
    for _ in range(10):
        for column in range(4):
            _quarter_round(state, column, 4 + column, 8 + column, 12 + column)
        for start in range(4):
            _quarter_round(
                state, start, 4 + (start + 1) % 4, 8 + (start + 2) % 4, 12 + (start + 3) % 4
            )
    return struct.pack("<8L", *state[:4], *state[12:])


def _quarter_round(state: list[int], a: int, b: int, c: int, d: int) -> None:
    """RFC 8439, section 2.1."""
    for target, source, rotated, bits in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
        state[target] = (state[target] + state[source]) & _MASK
        word = state[rotated] ^ state[target]
        state[rotated] = (word << bits | word >> (32 - bits)) & _MASK
