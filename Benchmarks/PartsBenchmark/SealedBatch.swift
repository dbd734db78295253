import Packets
import WireGuardCrypto

/// A batch as it leaves for one peer: 44 packets of 1420 bytes, each between its header and its tag.
struct SealedBatch: ~Copyable {
    private var buffer = PacketBuffer(byteCount: 44 * stride)
    private var pristine = PacketBuffer(byteCount: 44 * stride)
    private var packets: FixedArray<AEADPacket>
    private var sealed: FixedArray<AEADPacket>
    private let key: SymmetricKey
    private let implementation: AEADImplementation

    private static let length = 1420
    private static let stride = 1488

    init(by implementation: AEADImplementation) {
        self.implementation = implementation
        let bytes = [UInt8](repeating: 7, count: SymmetricKey.byteCount)
        guard let key = SymmetricKey(bytes: bytes.span.bytes) else {
            preconditionFailure("a key has 32 bytes")
        }
        self.key = key
        let none = AEADPacket(offset: 0, length: 0, counter: 0)
        packets = FixedArray(repeating: none, count: 44)
        sealed = FixedArray(repeating: none, count: 44)
        for index in 0..<44 {
            packets[index] = AEADPacket(
                offset: index * Self.stride + 16, length: Self.length, counter: UInt64(index))
            sealed[index] = AEADPacket(
                offset: index * Self.stride + 16, length: Self.length + 16, counter: UInt64(index))
        }
        var span = pristine.mutableBytes
        span.zero(0..<span.byteCount)
        Self.seal(packets, in: &pristine, key: self.key, using: implementation)
    }

    mutating func seal() {
        Self.seal(packets, in: &buffer, key: key, using: implementation)
    }

    private static func seal(
        _ packets: borrowing FixedArray<AEADPacket>, in buffer: inout PacketBuffer,
        key: borrowing SymmetricKey, using implementation: AEADImplementation
    ) {
        var bytes = buffer.mutableBytes
        ChaCha20Poly1305.seal(packets.prefix(44), in: &bytes, key: key, using: implementation)
    }

    /// Puts the sealed packets back, as they are opened in place.
    mutating func restore() {
        buffer.copy(pristine)
    }

    mutating func open() {
        Self.open(&sealed, in: &buffer, key: key, using: implementation)
        precondition(sealed[43].isAuthentic)
    }

    private static func open(
        _ packets: inout FixedArray<AEADPacket>, in buffer: inout PacketBuffer,
        key: borrowing SymmetricKey, using implementation: AEADImplementation
    ) {
        var bytes = buffer.mutableBytes
        var sealed = packets.mutablePrefix(44)
        ChaCha20Poly1305.open(&sealed, in: &bytes, key: key, using: implementation)
    }
}
