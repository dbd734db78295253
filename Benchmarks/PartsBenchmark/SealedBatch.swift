import Packets
import WireGuardCrypto

/// A batch of packets to one peer, each with room for its header and its tag.
struct SealedBatch: ~Copyable {
    private var buffer = PacketBuffer(byteCount: 44 * stride)
    private var pristine = PacketBuffer(byteCount: 44 * stride)
    private var packets: FixedArray<AEADPacket>
    private var sealed: FixedArray<AEADPacket>
    private let key: SymmetricKey
    private let implementation: AEADImplementation
    private let count: Int

    private static let stride = 1488

    init(of count: Int, length: Int, by implementation: AEADImplementation) {
        precondition(count <= 44 && length <= 1420)
        self.count = count
        self.implementation = implementation
        let bytes = [UInt8](repeating: 7, count: SymmetricKey.byteCount)
        guard let key = SymmetricKey(bytes: bytes.span.bytes) else {
            preconditionFailure("a key has 32 bytes")
        }
        self.key = key
        let none = AEADPacket(offset: 0, length: 0, counter: 0)
        packets = FixedArray(repeating: none, count: count)
        sealed = FixedArray(repeating: none, count: count)
        for index in 0..<count {
            packets[index] = AEADPacket(
                offset: index * Self.stride + 16, length: length, counter: UInt64(index))
            sealed[index] = AEADPacket(
                offset: index * Self.stride + 16, length: length + 16, counter: UInt64(index))
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
        ChaCha20Poly1305.seal(
            packets.prefix(packets.count), in: &bytes, key: key, using: implementation)
    }

    /// Restores the sealed packets, which `open` overwrites.
    mutating func restore() {
        buffer.copy(pristine)
    }

    mutating func open() {
        Self.open(&sealed, in: &buffer, key: key, using: implementation)
        precondition(sealed[count - 1].isAuthentic)
    }

    private static func open(
        _ packets: inout FixedArray<AEADPacket>, in buffer: inout PacketBuffer,
        key: borrowing SymmetricKey, using implementation: AEADImplementation
    ) {
        var bytes = buffer.mutableBytes
        var sealed = packets.mutablePrefix(packets.count)
        ChaCha20Poly1305.open(&sealed, in: &bytes, key: key, using: implementation)
    }
}
