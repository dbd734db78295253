import Packets

// A span of a stored property is an access to the whole value. Functions that need spans of two properties
// therefore take both as parameters, here and in the measured types.
extension PacketBuffer {
    /// Copies the bytes of a buffer of the same size.
    mutating func copy(_ other: borrowing PacketBuffer) {
        var span = mutableBytes
        span.copy(other.byteCount, from: other.bytes, at: 0, to: 0)
    }
}
