"""TAI64N: the handshake's timestamp, 8 bytes of seconds and 4 of nanoseconds, big-endian."""

import struct

# 2^62, and the ten seconds by which TAI led UTC in 1970.
BASE = 0x400000000000000A


def tai64n(unix_nanoseconds: int) -> bytes:
    """The 12 bytes for a Unix time.  They compare as the times do."""
    seconds, nanoseconds = divmod(unix_nanoseconds, 1_000_000_000)
    return struct.pack(">QL", BASE + seconds, nanoseconds)


def unix_nanoseconds(stamp: bytes) -> int:
    seconds, nanoseconds = struct.unpack(">QL", stamp)
    return (seconds - BASE) * 1_000_000_000 + nanoseconds
