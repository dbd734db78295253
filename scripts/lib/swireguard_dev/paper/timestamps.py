"""TAI64N, the timestamp of initiations: 8 bytes of seconds and 4 of nanoseconds, big-endian."""

import struct

# 2^62, plus the ten seconds by which TAI was ahead of UTC in 1970.
BASE = 0x400000000000000A


def tai64n(unix_nanoseconds: int) -> bytes:
    """The 12 bytes for a Unix time. Their order is that of the times."""
    seconds, nanoseconds = divmod(unix_nanoseconds, 1_000_000_000)
    return struct.pack(">QL", BASE + seconds, nanoseconds)


def unix_nanoseconds(stamp: bytes) -> int:
    seconds, nanoseconds = struct.unpack(">QL", stamp)
    return (seconds - BASE) * 1_000_000_000 + nanoseconds
