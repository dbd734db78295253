"""Inner packets: ICMP and ICMPv6 echo."""

import socket
import struct
from dataclasses import dataclass

ICMP, ICMPV6 = 1, 58
_REQUEST = {4: 8, 6: 128}
_REPLY = {4: 0, 6: 129}


@dataclass(frozen=True)
class Echo:
    """An echo request or reply."""

    source: str
    destination: str
    identifier: int
    sequence: int
    payload: bytes = b""
    is_reply: bool = False

    def encode(self) -> bytes:
        """The IP packet, with checksums and without options."""
        version = 6 if ":" in self.source else 4
        kind = (_REPLY if self.is_reply else _REQUEST)[version]
        body = struct.pack(">BBHHH", kind, 0, 0, self.identifier, self.sequence) + self.payload
        source, destination = address_bytes(self.source), address_bytes(self.destination)
        if version == 6:
            # The checksum of ICMPv6 covers a pseudo-header (RFC 8200, section 8.1).
            pseudo = source + destination + struct.pack(">LL", len(body), ICMPV6)
            body = with_checksum(body, 2, pseudo)
            header = struct.pack(">LHBB", 6 << 28, len(body), ICMPV6, 64)
            return header + source + destination + body
        header = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(body), 0, 0, 64, ICMP, 0)
        return with_checksum(header + source + destination, 10) + with_checksum(body, 2)

    def answer(self) -> "Echo":
        return Echo(self.destination, self.source, self.identifier, self.sequence, self.payload,
                    is_reply=True)

    @classmethod
    def parse(cls, plaintext: bytes) -> "Echo | None":
        """The echo message in a plaintext, without padding, or None."""
        if not plaintext:
            return None
        version = plaintext[0] >> 4
        if version == 4 and len(plaintext) >= 28:
            end = struct.unpack_from(">H", plaintext, 2)[0]
            protocol, addresses = plaintext[9], plaintext[12:20]
            body = plaintext[(plaintext[0] & 15) * 4:end]
        elif version == 6 and len(plaintext) >= 48:
            end = 40 + struct.unpack_from(">H", plaintext, 4)[0]
            protocol, addresses, body = plaintext[6], plaintext[8:40], plaintext[40:end]
        else:
            return None
        if protocol != (ICMP if version == 4 else ICMPV6) or len(body) < 8:
            return None
        kind, _, _, identifier, sequence = struct.unpack_from(">BBHHH", body)
        if kind not in (_REQUEST[version], _REPLY[version]):
            return None
        half = len(addresses) // 2
        return cls(address_text(addresses[:half]), address_text(addresses[half:]), identifier,
                   sequence, body[8:], is_reply=kind == _REPLY[version])


def address_bytes(text: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)


def address_text(address: bytes) -> str:
    return socket.inet_ntop(socket.AF_INET6 if len(address) == 16 else socket.AF_INET, address)


def with_checksum(data: bytes, offset: int, pseudo: bytes = b"") -> bytes:
    """Writes the checksum (RFC 1071) into the two zero bytes at `offset`."""
    summed = pseudo + data + bytes(len(data) % 2)
    total = sum(struct.unpack(f">{len(summed) // 2}H", summed))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return data[:offset] + struct.pack(">H", ~total & 0xFFFF) + data[offset + 2:]
