"""mac1, mac2 and the cookie reply: paper, sections 5.4.4 and 5.4.7."""

import socket
import struct

from . import aead
from .hashing import digest, mac
from .messages import CookieReply, Handshake, before_mac1, before_mac2, with_macs, ZERO_MAC

LABEL_MAC1 = b"mac1----"
LABEL_COOKIE = b"cookie--"
# The receiver of a cookie stops using it five seconds before its maker stops accepting it (120 s).
COOKIE_VALID_SECONDS = 115


def mac1_of(message: bytes, receiver_static: bytes) -> bytes:
    """msg.mac1 := Mac(Hash(Label-Mac1 ‖ S_m'_pub), msg_alpha)."""
    return mac(digest(LABEL_MAC1, receiver_static), before_mac1(message))


def mac2_of(message: bytes, cookie: bytes) -> bytes:
    """msg.mac2 := Mac(L_m, msg_beta)."""
    return mac(cookie, before_mac2(message))


def with_mac1(message: Handshake, receiver_static: bytes) -> Handshake:
    """The handshake message with its mac1, and mac2 of zeros."""
    return with_macs(message, mac1_of(message.encode(), receiver_static), ZERO_MAC)


def with_mac2(message: Handshake, cookie: bytes) -> Handshake:
    """The handshake message, which must have its mac1, with the mac2 for the cookie."""
    return with_macs(message, message.mac1, mac2_of(message.encode(), cookie))


def encoded_source(address: str, port: int) -> bytes:
    """The source that a cookie is bound to: 4 or 16 address bytes, and the big-endian port."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return socket.inet_pton(family, address.split("%")[0]) + struct.pack(">H", port)


class CookieMaker:
    """The peer under load: makes cookies from a secret, and checks MACs."""

    def __init__(self, static_public: bytes, secret: bytes):
        self._static_public = static_public
        self._secret = secret

    def cookie(self, source: bytes) -> bytes:
        """tau := Mac(R_m, A_m'), with A_m' from `encoded_source`."""
        return mac(self._secret, source)

    def reply(self, message: bytes, source: bytes, nonce: bytes) -> CookieReply:
        """The reply to a handshake message with a valid mac1."""
        # msg.cookie := XAEAD(Hash(Label-Cookie ‖ S_m_pub), msg.nonce, tau, M)
        sender = struct.unpack_from("<L", message, 4)[0]
        key = digest(LABEL_COOKIE, self._static_public)
        sealed = aead.xseal(key, nonce, self.cookie(source), message[-32:-16])
        return CookieReply(sender, nonce, sealed)

    def accepts_mac1(self, message: bytes) -> bool:
        return message[-32:-16] == mac1_of(message, self._static_public)

    def accepts_mac2(self, message: bytes, source: bytes) -> bool:
        return message[-16:] == mac2_of(message, self.cookie(source))


def opened_cookie(reply: CookieReply, replier_static: bytes, mac1: bytes) -> bytes:
    """The cookie in a reply to the message with `mac1`. Raises Forged."""
    key = digest(LABEL_COOKIE, replier_static)
    return aead.xopen(key, reply.nonce, reply.encrypted_cookie, mac1)
