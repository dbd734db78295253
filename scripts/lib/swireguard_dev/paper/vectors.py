"""The contents of the frozen test vectors in `Vectors/`.

All inputs come from fixed labels, so the output is deterministic. A case is a flat object of strings: bytes in
lower-case hexadecimal, integers in decimal.
"""

import hashlib
from collections.abc import Callable

from . import aead, hashing
from .cookies import CookieMaker, encoded_source, with_mac1, with_mac2
from .curve import BASE_POINT, KeyPair, x25519
from .noise import NO_PRESHARED_KEY, Initiator, Responder, TransportKeys
from .session import Keypair, REJECT_AFTER_MESSAGES, padded
from .timestamps import tai64n

Case = dict[str, str]


def files() -> dict[str, dict]:
    """All vector files by name, each with its source and its cases."""
    makers: dict[str, tuple[str, Callable[[], list[Case]]]] = {
        "noise-handshake": ("WireGuard paper, sections 5.4.1 to 5.4.5; generated", noise_handshake),
        "transport": ("WireGuard paper, section 5.4.6; generated", transport),
        "cookie": ("WireGuard paper, sections 5.4.4 and 5.4.7; generated", cookie),
        "kdf": ("WireGuard paper, section 5.4; generated", kdf),
        "x25519": ("RFC 7748, sections 5.2 and 6.1; low-order points; generated", curve),
        "chacha20poly1305": ("RFC 8439, section 2.8.2 and appendix A.5; generated", chacha),
        "xchacha20poly1305": ("draft-irtf-cfrg-xchacha-03, section 2.2.1 and appendix A.3.1; "
                              "generated", xchacha),
        "blake2s": ("RFC 7693, appendix B; keyed known answers; generated", blake2s),
    }
    return {name: {"source": source, "cases": make()} for name, (source, make) in makers.items()}


def noise_handshake() -> list[Case]:
    """Handshakes, with all inputs, intermediate values and messages."""
    kinds = [
        ("without preshared key", NO_PRESHARED_KEY, 1, 2),
        ("with preshared key", stream("preshared", 32), 0x01020304, 0xA0B0C0D0),
        ("greatest indices", stream("preshared", 32), 0xFFFFFFFF, 0xFFFFFFFF),
        ("index zero, late timestamp", NO_PRESHARED_KEY, 0, 0),
    ]
    times = [1_700_000_000_000_000_000, 1_700_000_000_123_456_789, 0, 4_294_967_296_999_999_999]
    cases = []
    for (name, preshared, sender, receiver), time in zip(kinds, times, strict=True):
        initiator, responder = key_pair(name + "initiator"), key_pair(name + "responder")
        ephemerals = key_pair(name + "E_i"), key_pair(name + "E_r")
        case = {
            "name": name,
            "initiatorStaticPrivate": initiator.private.hex(),
            "initiatorStaticPublic": initiator.public.hex(),
            "responderStaticPrivate": responder.private.hex(),
            "responderStaticPublic": responder.public.hex(),
            "initiatorEphemeralPrivate": ephemerals[0].private.hex(),
            "initiatorEphemeralPublic": ephemerals[0].public.hex(),
            "responderEphemeralPrivate": ephemerals[1].private.hex(),
            "responderEphemeralPublic": ephemerals[1].public.hex(),
            "presharedKey": preshared.hex(),
            "initiatorIndex": str(sender),
            "responderIndex": str(receiver),
            "timestamp": tai64n(time).hex(),
        }
        _record_handshake(case, initiator, responder, ephemerals, preshared)
        cases.append(case)
    return cases


def _record_handshake(case: Case, initiator: KeyPair, responder: KeyPair,
                      ephemerals: tuple[KeyPair, KeyPair], preshared: bytes) -> None:
    """Performs a handshake. Both sides record their steps, which must be equal."""
    def record(step: str, value: bytes) -> None:
        if case.setdefault(step, value.hex()) != value.hex():
            raise AssertionError(f"the two sides differ at {step}")

    first = Initiator(initiator, responder.public, ephemerals[0], int(case["initiatorIndex"]),
                      bytes.fromhex(case["timestamp"]), record)
    initiation = with_mac1(first.initiation, responder.public)
    case["encryptedStatic"] = initiation.encrypted_static.hex()
    case["encryptedTimestamp"] = initiation.encrypted_timestamp.hex()
    case["initiationMac1"] = initiation.mac1.hex()
    case["initiation"] = initiation.encode().hex()
    second = Responder(responder, initiation, record)
    assert (second.initiator_static, second.timestamp.hex()) == (
        initiator.public, case["timestamp"])
    response, _ = second.respond(preshared, ephemerals[1], int(case["responderIndex"]))
    signed = with_mac1(response, initiator.public)
    case["encryptedNothing"] = signed.encrypted_nothing.hex()
    case["responseMac1"] = signed.mac1.hex()
    case["response"] = signed.encode().hex()
    first.consume_response(signed, preshared)


def transport() -> list[Case]:
    """Transport messages with many lengths, and with counters below and above 32 bits."""
    counters = [0, 1, 255, 2**32 - 1, 2**32, 2**32 + 1, 2**60, REJECT_AFTER_MESSAGES - 1]
    lengths = [0, 1, 15, 16, 17, 20, 31, 32, 33, 63, 64, 65, 84, 127, 128, 129, 255, 256, 257, 511,
               512, 513, 1023, 1024, 1025, 1279, 1280, 1281, 1408, 1409, 1419, 1420, 1421, 1440,
               1484, 1485, 1499, 1500]
    shapes = [(length, 7) for length in lengths] + [(84, counter) for counter in counters]
    cases = []
    for length, counter in shapes:
        name = f"{length} bytes under counter {counter}"
        key, index = stream(name, 32), int.from_bytes(stream("index" + name, 4), "little")
        packet, mtu = stream("packet" + name, length), 1420 if length <= 1420 else 1500
        keypair = Keypair(TransportKeys(key, key, 0, index))
        cases.append({
            "name": name,
            "key": key.hex(),
            "receiverIndex": str(index),
            "counter": str(counter),
            "mtu": str(mtu),
            "packet": packet.hex(),
            "plaintext": padded(packet, mtu).hex(),
            "message": keypair.seal(packet, counter=counter, mtu=mtu).hex(),
        })
    return cases


def cookie() -> list[Case]:
    """An initiation, its cookie reply, and the same initiation with its mac2."""
    sources = [("192.0.2.1", 51820), ("192.0.2.1", 51821), ("255.255.255.255", 65535),
               ("0.0.0.0", 1), ("2001:db8::1", 51820), ("2001:db8::1", 256), ("fe80::1", 1),
               ("::ffff:192.0.2.1", 51820)]
    initiator, responder = key_pair("cookie initiator"), key_pair("cookie responder")
    cases = []
    for number, (address, port) in enumerate(sources):
        name = f"[{address}]:{port}"
        secret, nonce = stream("secret" + name, 32), stream("nonce" + name, 24)
        handshake = Initiator(initiator, responder.public, key_pair(name), 1000 + number,
                              tai64n(1_700_000_000_000_000_000 + number))
        first = with_mac1(handshake.initiation, responder.public)
        maker, source = CookieMaker(responder.public, secret), encoded_source(address, port)
        reply = maker.reply(first.encode(), source, nonce)
        again = with_mac2(first, maker.cookie(source))
        cases.append({
            "name": name,
            "initiatorStaticPrivate": initiator.private.hex(),
            "responderStaticPrivate": responder.private.hex(),
            "responderStaticPublic": responder.public.hex(),
            "cookieSecret": secret.hex(),
            "source": source.hex(),
            "cookie": maker.cookie(source).hex(),
            "nonce": nonce.hex(),
            "receiverIndex": str(reply.receiver),
            "initiation": first.encode().hex(),
            "mac1": first.mac1.hex(),
            "cookieReply": reply.encode().hex(),
            "mac2": again.mac2.hex(),
            "retriedInitiation": again.encode().hex(),
        })
    return cases


def kdf() -> list[Case]:
    """Hash, Mac, Hmac and the three Kdfs; `output2` and `output3` may be empty."""
    _must_be("kdf3 of nothing", hashing.kdf(3, b"", b"")[2].hex(),
             "0ce6ea98ec548f8e281e93e32db65621c45eb18dc6f0a7ad94178610a2f7338e")
    shapes = [(b"", b""), (b"test-key", b"test-input"), (b"wireguard", b"wireguard")]
    for key_length, input_length in [(32, 0), (0, 32), (32, 1), (32, 32), (32, 63), (32, 64),
                                     (32, 65), (32, 200), (1, 32), (31, 32), (16, 116)]:
        name = f"{key_length} {input_length}"
        shapes.append((stream("key" + name, key_length), stream("input" + name, input_length)))
    long_keys = [(stream("long key", length), stream("long input", 32)) for length in (63, 64, 65)]
    cases = []
    for key, message in shapes + long_keys:
        for number in (1, 2, 3):
            cases.append(_kdf_case(f"kdf{number}", key, message,
                                   *hashing.kdf(number, key, message)))
        cases.append(_kdf_case("hmac", key, message, hashing.hmac(key, message)))
        # Keys of BLAKE2s have at most 32 bytes.
        if len(key) <= 32:
            cases.append(_kdf_case("mac", key, message, hashing.mac(key, message)))
        cases.append(_kdf_case("hash", b"", message, hashing.digest(message)))
    return cases


def _kdf_case(function: str, key: bytes, message: bytes, *outputs: bytes) -> Case:
    first, second, third = [output.hex() for output in outputs] + [""] * (3 - len(outputs))
    return {
        "name": f"{function} of a key of {len(key)} and an input of {len(message)} bytes",
        "function": function,
        "key": key.hex(),
        "input": message.hex(),
        "output1": first,
        "output2": second,
        "output3": third,
    }


# Points of order 1, 2, 4 and 8. 0 and 1 are also encoded as p and p + 1.
LOW_ORDER_POINTS = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
]


def curve() -> list[Case]:
    """scalar × point. With several iterations, each is (k, u) := (X25519(k, u), k).

    A point of low order has the result of 32 zero bytes, which a handshake must refuse.
    """
    nine = BASE_POINT.hex()
    alice = "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a"
    bob = "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb"
    alices = "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a"
    bobs = "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f"
    secret = "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"
    published = [
        ("5.2, first", "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
         "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c", 1,
         "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552"),
        ("5.2, second", "4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
         "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493", 1,
         "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957"),
        ("5.2, one iteration", nine, nine, 1,
         "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079"),
        ("5.2, 1000 iterations", nine, nine, 1000,
         "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51"),
        ("6.1, Alice's public key", alice, nine, 1, alices),
        ("6.1, Bob's public key", bob, nine, 1, bobs),
        ("6.1, Alice's view of the secret", alice, bobs, 1, secret),
        ("6.1, Bob's view of the secret", bob, alices, 1, secret),
    ]
    cases = [_curve_case("RFC 7748, " + name, *case, shared=shared)
             for name, *case, shared in published]
    for number, point in enumerate(LOW_ORDER_POINTS):
        scalar = stream("low order", 32).hex()
        ignored_bit = point[:-2] + f"{int(point[-2:], 16) | 0x80:02x}"
        cases.append(_curve_case(f"low order {number}", scalar, point, 1, shared=bytes(32).hex()))
        cases.append(_curve_case(f"low order {number}, top bit set", scalar, ignored_bit, 1,
                                 shared=bytes(32).hex()))
    for number in range(8):
        cases.append(_curve_case(f"generated {number}", stream(f"scalar {number}", 32).hex(),
                                 stream(f"point {number}", 32).hex(), 1))
    return cases


def _curve_case(name: str, scalar: str, point: str, iterations: int,
                shared: str | None = None) -> Case:
    k, u = bytes.fromhex(scalar), bytes.fromhex(point)
    for _ in range(iterations):
        k, u = x25519(k, u), k
    _must_be(name, k.hex(), shared)
    return {"name": name, "scalar": scalar, "point": point, "iterations": str(iterations),
            "shared": k.hex()}


SUNSCREEN = (b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the "
             b"future, sunscreen would be it.")
DRAFTS = bytes.fromhex(
    "496e7465726e65742d4472616674732061726520647261667420646f63756d656e74732076616c696420666f7220"
    "61206d6178696d756d206f6620736978206d6f6e74687320616e64206d617920626520757064617465642c207265"
    "706c616365642c206f72206f62736f6c65746564206279206f7468657220646f63756d656e747320617420616e79"
    "2074696d652e20497420697320696e617070726f70726961746520746f2075736520496e7465726e65742d447261"
    "667473206173207265666572656e6365206d6174657269616c206f7220746f206369746520746865"
    "6d206f74686572207468616e206173202fe2809c776f726b20696e2070726f67726573732e2fe2809d")
_RFC_KEY, _RFC_ADDITIONAL = bytes(range(0x80, 0xA0)), bytes.fromhex("50515253c0c1c2c3c4c5c6c7")


def chacha() -> list[Case]:
    """The AEAD with a nonce of 12 bytes. `sealed` is ciphertext ‖ tag."""
    # The tag covers the ciphertext, so an equal tag implies an equal ciphertext.
    cases = [
        _aead_case("RFC 8439, 2.8.2", _RFC_KEY, bytes.fromhex("070000004041424344454647"),
                   SUNSCREEN, _RFC_ADDITIONAL, tag="1ae10b594f09e26a7e902ecbd0600691"),
        _aead_case("RFC 8439, A.5", bytes.fromhex(
            "1c9240a5eb55d38af333888604f6b5f0473917c1402b80099dca5cbc207075c0"),
            bytes.fromhex("000000000102030405060708"), DRAFTS,
            bytes.fromhex("f33388860000000000004e91"), tag="eead9d67890cbb22392336fea1851f38"),
    ]
    # Lengths around the blocks of Poly1305 (16), ChaCha20 (64) and SIMD code (256 to 1024).
    lengths = [*range(0, 34), 47, 48, 49, 63, 64, 65, 79, 80, 81, 95, 96, 97, 127, 128, 129, 191,
               192, 193, 255, 256, 257, 319, 320, 321, 383, 384, 385, 447, 448, 449, 511, 512, 513,
               575, 576, 577, 639, 640, 641, 767, 768, 769, 1023, 1024, 1025, 1279, 1280, 1281,
               1419, 1420, 1421, 1500, 2047, 2048, 2049]
    for number, length in enumerate(lengths):
        additional = [0, 32, 12, 1, 16, 17, 64, 0][number % 8]
        cases.append(_generated_aead(12, length, additional))
    cases += [_generated_aead(12, length, additional)
              for length in (0, 16, 100) for additional in (1, 15, 16, 31, 32, 33, 63, 64, 65, 200)]
    return cases


def xchacha() -> list[Case]:
    """The AEAD with a nonce of 24 bytes. `subkey` is HChaCha20 of the key and the first 16 nonce bytes."""
    cases = [_aead_case("draft-irtf-cfrg-xchacha-03, A.3.1", _RFC_KEY, bytes(range(0x40, 0x58)),
                        SUNSCREEN, _RFC_ADDITIONAL, tag="c0875924c1c7987947deafd8780acf49")]
    # WireGuard always seals 16 bytes, with 16 bytes of additional data.
    shapes = [(16, 16)] * 4 + [(length, additional) for length in (0, 1, 15, 16, 17, 64, 65, 256)
                               for additional in (0, 1, 16, 17)]
    return cases + [_generated_aead(24, *shape, number) for number, shape in enumerate(shapes)]


def _generated_aead(nonce_length: int, length: int, additional: int, number: int = 0) -> Case:
    name = f"{length} bytes, {additional} bytes of additional data"
    label = f"{nonce_length} {name} {number}"
    return _aead_case(name, stream("key" + label, 32), stream("nonce" + label, nonce_length),
                      stream("plaintext" + label, length), stream("additional" + label, additional))


def _aead_case(name: str, key: bytes, nonce: bytes, plaintext: bytes, additional: bytes,
               tag: str | None = None) -> Case:
    case = {"name": name, "key": key.hex(), "nonce": nonce.hex(),
            "additionalData": additional.hex(), "plaintext": plaintext.hex()}
    if len(nonce) == 24:
        case["subkey"] = aead.hchacha20(key, nonce[:16]).hex()
        sealed = aead.xseal(key, nonce, plaintext, additional)
    else:
        sealed = aead.seal_with_nonce(key, nonce, plaintext, additional)
    _must_be(name, sealed[-16:].hex(), tag)
    return case | {"sealed": sealed.hex()}


def blake2s() -> list[Case]:
    """BLAKE2s without and with a key, with 32 and 16 bytes of output (`byteCount`)."""
    counting = bytes(range(256))
    cases = [
        _blake2s_case("RFC 7693, appendix B", b"", b"abc", 32,
                      "508c5e8c327c14e2e1a72ba34eeb452f37458b209ed63a294d999b4c86675982"),
        _blake2s_case("keyed known answer, 0 bytes", counting[:32], b"", 32,
                      "48a8997da407876b3d79c0d92325ad3b89cbb754d86ab71aee047ad345fd2c49"),
    ]
    # Blocks have 64 bytes. The known answers use the key 00…1f and the input 00…(n-1).
    lengths = [0, 1, 2, 3, 31, 32, 33, 63, 64, 65, 127, 128, 129, 191, 192, 193, 254, 255]
    for length in lengths[1:]:
        cases.append(_blake2s_case(f"keyed known answer, {length} bytes", counting[:32],
                                   counting[:length], 32))
    for length in lengths:
        cases.append(_blake2s_case(f"plain, {length} bytes", b"", counting[:length], 32))
    for key_length in (1, 16, 31, 32):
        for length in (0, 1, 32, 60, 64, 65, 76, 100, 116, 132, 1000):
            cases.append(_blake2s_case(
                f"mac, key of {key_length}, {length} bytes",
                stream("mac key", key_length), stream("mac input", length), 16))
    return cases


def _blake2s_case(name: str, key: bytes, message: bytes, count: int,
                  digest: str | None = None) -> Case:
    computed = hashlib.blake2s(message, key=key, digest_size=count).hexdigest()
    _must_be(name, computed, digest)
    return {"name": name, "key": key.hex(), "input": message.hex(), "byteCount": str(count),
            "digest": computed}


def stream(label: str, count: int) -> bytes:
    """Deterministic pseudorandom bytes: BLAKE2s of the label and a number."""
    blocks = (hashlib.blake2s(f"{label} {number}".encode()).digest()
              for number in range(count // 32 + 1))
    return b"".join(blocks)[:count]


def key_pair(label: str) -> KeyPair:
    return KeyPair.of(stream("private key " + label, 32))


def _must_be(name: str, computed: str, published: str | None) -> None:
    if published is not None and computed != published:
        raise AssertionError(f"{name}: {computed} is not the published {published}")
