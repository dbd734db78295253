"""The four messages on the wire. Integers are little-endian.

Parsers are strict: the type is a 32-bit word, so the three reserved bytes must be zero, and the length of
handshake messages and cookie replies is fixed.
"""

import struct
from dataclasses import dataclass, replace
from typing import ClassVar

ZERO_MAC = bytes(16)


class Malformed(Exception):
    """The bytes are not a message of this type."""


@dataclass(frozen=True)
class HandshakeInitiation:
    """type u32, sender u32, ephemeral 32, static 32+16, timestamp 12+16, mac1 16, mac2 16."""

    TYPE: ClassVar[int] = 1
    BYTES: ClassVar[int] = 148
    _LAYOUT: ClassVar[struct.Struct] = struct.Struct("<LL32s48s28s16s16s")

    sender: int
    ephemeral: bytes
    encrypted_static: bytes
    encrypted_timestamp: bytes
    mac1: bytes = ZERO_MAC
    mac2: bytes = ZERO_MAC

    def encode(self) -> bytes:
        return self._LAYOUT.pack(
            self.TYPE, self.sender, self.ephemeral, self.encrypted_static,
            self.encrypted_timestamp, self.mac1, self.mac2,
        )

    @classmethod
    def parse(cls, data: bytes) -> "HandshakeInitiation":
        return cls(*_fields(cls, data))


@dataclass(frozen=True)
class HandshakeResponse:
    """type u32, sender u32, receiver u32, ephemeral 32, nothing 0+16, mac1 16, mac2 16."""

    TYPE: ClassVar[int] = 2
    BYTES: ClassVar[int] = 92
    _LAYOUT: ClassVar[struct.Struct] = struct.Struct("<LLL32s16s16s16s")

    sender: int
    receiver: int
    ephemeral: bytes
    encrypted_nothing: bytes
    mac1: bytes = ZERO_MAC
    mac2: bytes = ZERO_MAC

    def encode(self) -> bytes:
        return self._LAYOUT.pack(
            self.TYPE, self.sender, self.receiver, self.ephemeral,
            self.encrypted_nothing, self.mac1, self.mac2,
        )

    @classmethod
    def parse(cls, data: bytes) -> "HandshakeResponse":
        return cls(*_fields(cls, data))


@dataclass(frozen=True)
class CookieReply:
    """type u32, receiver u32, nonce 24, cookie 16+16."""

    TYPE: ClassVar[int] = 3
    BYTES: ClassVar[int] = 64
    _LAYOUT: ClassVar[struct.Struct] = struct.Struct("<LL24s32s")

    receiver: int
    nonce: bytes
    encrypted_cookie: bytes

    def encode(self) -> bytes:
        return self._LAYOUT.pack(self.TYPE, self.receiver, self.nonce, self.encrypted_cookie)

    @classmethod
    def parse(cls, data: bytes) -> "CookieReply":
        return cls(*_fields(cls, data))


@dataclass(frozen=True)
class TransportData:
    """type u32, receiver u32, counter u64, packet n+16; n is 0 for a keepalive."""

    TYPE: ClassVar[int] = 4
    HEADER_BYTES: ClassVar[int] = 16
    OVERHEAD: ClassVar[int] = 32
    _LAYOUT: ClassVar[struct.Struct] = struct.Struct("<LLQ")

    receiver: int
    counter: int
    encrypted_packet: bytes

    def encode(self) -> bytes:
        return self._LAYOUT.pack(self.TYPE, self.receiver, self.counter) + self.encrypted_packet

    @classmethod
    def parse(cls, data: bytes) -> "TransportData":
        if message_type(data) != cls.TYPE or len(data) < cls.OVERHEAD:
            raise Malformed
        _, receiver, counter = cls._LAYOUT.unpack_from(data)
        return cls(receiver, counter, data[cls.HEADER_BYTES:])


Handshake = HandshakeInitiation | HandshakeResponse


def message_type(data: bytes) -> int | None:
    """The first 32-bit word. It includes the reserved bytes, so nonzero ones give another type."""
    return struct.unpack_from("<L", data)[0] if len(data) >= 4 else None


def before_mac1(message: bytes) -> bytes:
    """msg_alpha of the paper, section 5.4.4: the bytes before mac1."""
    return message[:-32]


def before_mac2(message: bytes) -> bytes:
    """msg_beta of the paper, section 5.4.4: the bytes before mac2."""
    return message[:-16]


def with_macs(message: Handshake, mac1: bytes, mac2: bytes) -> Handshake:
    return replace(message, mac1=mac1, mac2=mac2)


def _fields(kind: type, data: bytes) -> tuple:
    if len(data) != kind.BYTES or message_type(data) != kind.TYPE:
        raise Malformed
    return kind._LAYOUT.unpack(data)[1:]
