import Packets

/// The four messages of the protocol (§5.4); type and three reserved zero bytes are read as one
/// little-endian word, so a reserved byte that is set makes the type unknown.
package enum MessageType: UInt32 {
    case handshakeInitiation = 1
    case handshakeResponse = 2
    case cookieReply = 3
    case transportData = 4

    /// The type of a datagram of exactly the length that its type demands, else nil.
    @inlinable
    package init?(datagram: RawSpan, offset: Int, length: Int) {
        guard length >= 4, offset >= 0, offset &+ length <= datagram.byteCount,
            let type = MessageType(
                rawValue: datagram.loadLittleEndian(at: offset, as: UInt32.self))
        else { return nil }
        switch type {
        case .handshakeInitiation: guard length == HandshakeInitiation.byteCount else { return nil }
        case .handshakeResponse: guard length == HandshakeResponse.byteCount else { return nil }
        case .cookieReply: guard length == CookieReply.byteCount else { return nil }
        case .transportData: guard length >= TransportData.overhead else { return nil }
        }
        self = type
    }
}

/// The random number by which a receiver finds the handshake or the keypair of a message (§5.4).
public struct ReceiverIndex: Hashable, Sendable, BitwiseCopyable {
    /// The number.
    public let rawValue: UInt32

    /// Makes an index from its number.
    @inlinable
    public init(rawValue: UInt32) {
        self.rawValue = rawValue
    }
}
