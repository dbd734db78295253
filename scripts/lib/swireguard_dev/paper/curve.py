"""X25519 (RFC 7748) and key pairs."""

from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

BASE_POINT = bytes([9]) + bytes(31)
ALL_ZERO = bytes(32)


def x25519(scalar: bytes, point: bytes) -> bytes:
    """scalar × point; 32 zero bytes if the point has a low order."""
    try:
        return X25519PrivateKey.from_private_bytes(scalar).exchange(
            X25519PublicKey.from_public_bytes(point)
        )
    except ValueError:
        # The library rejects an all-zero result (RFC 7748, section 6.1).
        return ALL_ZERO


def dh(private: bytes, public: bytes) -> bytes:
    """DH(private, public). Raises ValueError for an all-zero result, which ends the handshake."""
    shared = x25519(private, public)
    if shared == ALL_ZERO:
        raise ValueError("the public key has a low order")
    return shared


@dataclass(frozen=True)
class KeyPair:
    """A private key, clamped as `wg` prints it, and its public key."""

    private: bytes
    public: bytes

    @classmethod
    def of(cls, private: bytes) -> "KeyPair":
        clamped = bytes([private[0] & 248]) + private[1:31] + bytes([private[31] & 127 | 64])
        return cls(clamped, x25519(clamped, BASE_POINT))
