import Packets

// Spans of a stored property are an access to the whole value that stores it, so what works on two
// properties takes them as parameters, here and in the types that are measured.
extension PacketBuffer {
    /// Takes over the bytes of a buffer of the same size.
    mutating func copy(_ other: borrowing PacketBuffer) {
        var span = mutableBytes
        span.copy(other.byteCount, from: other.bytes, at: 0, to: 0)
    }
}
