"""Hash, Mac, Hmac and the key derivation functions of the paper, section 5.4."""

import hashlib
import hmac as _hmac


def digest(*parts: bytes) -> bytes:
    """Hash(a ‖ b ‖ …): BLAKE2s with 32 bytes of output."""
    return hashlib.blake2s(b"".join(parts)).digest()


def mac(key: bytes, message: bytes) -> bytes:
    """Mac(key, input): keyed BLAKE2s with 16 bytes of output; keys have up to 32 bytes."""
    return hashlib.blake2s(message, key=key, digest_size=16).digest()


def hmac(key: bytes, message: bytes) -> bytes:
    """Hmac(key, input): HMAC (RFC 2104) with BLAKE2s, which has blocks of 64 bytes."""
    return _hmac.new(key, message, hashlib.blake2s).digest()


def kdf(count: int, key: bytes, message: bytes) -> tuple[bytes, ...]:
    """Kdf_n(key, input): HKDF (RFC 5869) without info; `count` outputs of 32 bytes.

    tau_0 := Hmac(key, input), tau_1 := Hmac(tau_0, 0x1), tau_i := Hmac(tau_0, tau_(i-1) ‖ i).
    """
    secret = hmac(key, message)
    outputs: list[bytes] = []
    previous = b""
    for number in range(1, count + 1):
        previous = hmac(secret, previous + bytes([number]))
        outputs.append(previous)
    return tuple(outputs)


def kdf1(key: bytes, message: bytes) -> bytes:
    """Kdf_1(key, input)."""
    return kdf(1, key, message)[0]
