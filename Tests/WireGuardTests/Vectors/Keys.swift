import Packets
import WireGuardCrypto

@testable import WireGuard

// Keys of literals and vectors, which have to be 32 bytes.

func privateKey(_ bytes: [UInt8]) -> PrivateKey {
    guard let key = withBytes(bytes, { PrivateKey(bytes: $0) }) else {
        preconditionFailure("32 bytes are a key")
    }
    return key
}

extension PrivateKey {
    /// A key of a number, the same in each run.
    init(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        self.init(random: &random)
    }
}

func publicKey(_ bytes: [UInt8]) -> PublicKey {
    guard let key = withBytes(bytes, { PublicKey(bytes: $0) }) else {
        preconditionFailure("32 bytes are a key")
    }
    return key
}

func presharedKey(_ bytes: [UInt8]) -> PresharedKey {
    guard let key = withBytes(bytes, { PresharedKey(bytes: $0) }) else {
        preconditionFailure("32 bytes are a key")
    }
    return key
}

func secret(_ bytes: [UInt8]) -> Secret32 {
    withBytes(bytes) { Secret32(copying: $0) }
}

func timestamp(_ bytes: [UInt8]) -> TAI64N {
    withBytes(bytes) { TAI64N($0) }
}

/// What `body` writes to `count` zeros.
func written<E>(
    _ count: Int, _ body: (inout MutableRawSpan) throws(E) -> Void
) throws(E) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    try bytes.edit(body)
    return bytes
}

extension [UInt8] {
    /// Lets `body` work on the bytes in place.
    mutating func edit<E>(_ body: (inout MutableRawSpan) throws(E) -> Void) throws(E) {
        var span = mutableSpan
        // Bytes have no padding.
        var bytes = unsafe span.mutableBytes
        try body(&bytes)
    }
}
