"""The handshake: Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s, in both roles.

    <- s
    …
    -> e, es, s, ss, {t}
    <- e, ee, se, psk, {}

Callers can record each step by name. `Vectors/noise-handshake.json` therefore contains all chaining keys and
hashes of a handshake.
"""

from collections.abc import Callable
from dataclasses import dataclass

from . import aead
from .curve import KeyPair, dh
from .hashing import digest, kdf, kdf1
from .messages import HandshakeInitiation, HandshakeResponse

CONSTRUCTION = b"Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s"
IDENTIFIER = b"WireGuard v1 zx2c4 Jason@zx2c4.com"
NO_PRESHARED_KEY = bytes(32)

Record = Callable[[str, bytes], None]


def _unrecorded(_name: str, _value: bytes) -> None:
    """The default: records nothing."""


@dataclass(frozen=True)
class TransportKeys:
    """The result of a handshake. The other side has the same with sending and receiving swapped."""

    sending: bytes
    receiving: bytes
    local_index: int
    remote_index: int


class SymmetricState:
    """The chaining key C and the hash H, for one handshake with one responder."""

    def __init__(self, responder_static: bytes, record: Record):
        self.record = record
        # C := Hash(Construction); H := Hash(C ‖ Identifier); H := Hash(H ‖ S_r_pub)
        self.chaining_key = digest(CONSTRUCTION)
        self.hash = digest(self.chaining_key, IDENTIFIER)
        record("constructionChainingKey", self.chaining_key)
        record("identifierHash", self.hash)
        self.mix_hash("responderStatic", responder_static)

    def mix_hash(self, step: str, data: bytes) -> None:
        """H := Hash(H ‖ data)."""
        self.hash = digest(self.hash, data)
        self.record(step + "Hash", self.hash)

    def mix_key(self, step: str, data: bytes) -> None:
        """C := Kdf1(C, data)."""
        self.chaining_key = kdf1(self.chaining_key, data)
        self.record(step + "ChainingKey", self.chaining_key)

    def mix_to_key(self, step: str, data: bytes) -> bytes:
        """(C, k) := Kdf2(C, data); returns k."""
        self.chaining_key, key = kdf(2, self.chaining_key, data)
        self.record(step + "ChainingKey", self.chaining_key)
        self.record(step + "Key", key)
        return key

    def mix_preshared(self, step: str, preshared: bytes) -> bytes:
        """(C, tau, k) := Kdf3(C, Q); H := Hash(H ‖ tau); returns k."""
        self.chaining_key, tau, key = kdf(3, self.chaining_key, preshared)
        self.record(step + "ChainingKey", self.chaining_key)
        self.record(step + "Tau", tau)
        self.record(step + "Key", key)
        self.mix_hash(step, tau)
        return key

    def seal(self, step: str, key: bytes, plaintext: bytes) -> bytes:
        """msg := AEAD(k, 0, plaintext, H); H := Hash(H ‖ msg)."""
        sealed = aead.seal(key, 0, plaintext, self.hash)
        self.mix_hash(step, sealed)
        return sealed

    def open(self, step: str, key: bytes, sealed: bytes) -> bytes:
        plaintext = aead.open_(key, 0, sealed, self.hash)
        self.mix_hash(step, sealed)
        return plaintext

    def split(self) -> tuple[bytes, bytes]:
        """(T1, T2) := Kdf2(C, epsilon): the initiator's sending key, then the responder's."""
        initiators, responders = kdf(2, self.chaining_key, b"")
        self.record("initiatorSendingKey", initiators)
        self.record("responderSendingKey", responders)
        return initiators, responders


class Initiator:
    """The initiator: creates one initiation and consumes the response.

    `initiation` has no MACs yet.
    """

    def __init__(self, static: KeyPair, responder_static: bytes, ephemeral: KeyPair,
                 index: int, timestamp: bytes, record: Record = _unrecorded):
        self._static = static
        self._ephemeral = ephemeral
        self.index = index
        state = SymmetricState(responder_static, record)
        # e: C := Kdf1(C, E_i_pub); H := Hash(H ‖ E_i_pub)
        state.mix_key("initiationE", ephemeral.public)
        state.mix_hash("initiationE", ephemeral.public)
        # es: (C, k) := Kdf2(C, DH(E_i_priv, S_r_pub))
        key = state.mix_to_key("initiationES", dh(ephemeral.private, responder_static))
        # s: msg.static := AEAD(k, 0, S_i_pub, H); H := Hash(H ‖ msg.static)
        encrypted_static = state.seal("initiationS", key, static.public)
        # ss: (C, k) := Kdf2(C, DH(S_i_priv, S_r_pub))
        key = state.mix_to_key("initiationSS", dh(static.private, responder_static))
        # {t}: msg.timestamp := AEAD(k, 0, Timestamp(), H); H := Hash(H ‖ msg.timestamp)
        encrypted_timestamp = state.seal("initiationTimestamp", key, timestamp)
        self._state = state
        self.initiation = HandshakeInitiation(
            index, ephemeral.public, encrypted_static, encrypted_timestamp
        )

    def consume_response(self, response: HandshakeResponse, preshared: bytes) -> TransportKeys:
        """The keys. Raises ValueError or Forged. In each case, the state cannot be used again."""
        state = self._state
        # e: C := Kdf1(C, E_r_pub); H := Hash(H ‖ E_r_pub)
        state.mix_key("responseE", response.ephemeral)
        state.mix_hash("responseE", response.ephemeral)
        # ee: C := Kdf1(C, DH(E_i_priv, E_r_pub)); se: C := Kdf1(C, DH(S_i_priv, E_r_pub))
        state.mix_key("responseEE", dh(self._ephemeral.private, response.ephemeral))
        state.mix_key("responseSE", dh(self._static.private, response.ephemeral))
        # psk: (C, tau, k) := Kdf3(C, Q); H := Hash(H ‖ tau)
        key = state.mix_preshared("responsePSK", preshared)
        # {}: H := Hash(H ‖ msg.empty)
        if state.open("responseNothing", key, response.encrypted_nothing) != b"":
            raise ValueError("unreachable: 16 bytes of ciphertext are all tag")
        sending, receiving = state.split()
        return TransportKeys(sending, receiving, self.index, response.sender)


class Responder:
    """The responder: consumes one initiation and creates the response.

    After `__init__`, `initiator_static` and `timestamp` are authentic. The caller must check that the peer
    is known and that the timestamp is new.
    """

    def __init__(self, static: KeyPair, initiation: HandshakeInitiation,
                 record: Record = _unrecorded):
        state = SymmetricState(static.public, record)
        # e: C := Kdf1(C, E_i_pub); H := Hash(H ‖ E_i_pub)
        state.mix_key("initiationE", initiation.ephemeral)
        state.mix_hash("initiationE", initiation.ephemeral)
        # es: (C, k) := Kdf2(C, DH(S_r_priv, E_i_pub))
        key = state.mix_to_key("initiationES", dh(static.private, initiation.ephemeral))
        # s
        self.initiator_static = state.open("initiationS", key, initiation.encrypted_static)
        # ss: (C, k) := Kdf2(C, DH(S_r_priv, S_i_pub))
        key = state.mix_to_key("initiationSS", dh(static.private, self.initiator_static))
        # {t}
        self.timestamp = state.open("initiationTimestamp", key, initiation.encrypted_timestamp)
        self._state = state
        self._initiation = initiation

    def respond(self, preshared: bytes, ephemeral: KeyPair,
                index: int) -> tuple[HandshakeResponse, TransportKeys]:
        """The response without MACs, and the keys. The state cannot be used again."""
        state, initiation = self._state, self._initiation
        # e: C := Kdf1(C, E_r_pub); H := Hash(H ‖ E_r_pub)
        state.mix_key("responseE", ephemeral.public)
        state.mix_hash("responseE", ephemeral.public)
        # ee: C := Kdf1(C, DH(E_r_priv, E_i_pub)); se: C := Kdf1(C, DH(E_r_priv, S_i_pub))
        state.mix_key("responseEE", dh(ephemeral.private, initiation.ephemeral))
        state.mix_key("responseSE", dh(ephemeral.private, self.initiator_static))
        # psk: (C, tau, k) := Kdf3(C, Q); H := Hash(H ‖ tau)
        key = state.mix_preshared("responsePSK", preshared)
        # {}: msg.empty := AEAD(k, 0, epsilon, H); H := Hash(H ‖ msg.empty)
        nothing = state.seal("responseNothing", key, b"")
        receiving, sending = state.split()
        response = HandshakeResponse(index, initiation.sender, ephemeral.public, nothing)
        return response, TransportKeys(sending, receiving, index, initiation.sender)
