import Packets
import WireGuardCrypto

/// A view of the two MACs that end an initiation or a response, and of the bytes that each covers
/// (§5.4.4).
package struct MACs: BitwiseCopyable, ~Escapable {
    private let message: RawSpan

    /// - Precondition: `message` has at least ``byteCount`` bytes.
    @_lifetime(copy message)
    init(parsed message: RawSpan) {
        precondition(message.byteCount >= Self.byteCount)
        self.message = message
    }

    /// The MACs of any message. Returns nil if the message has no room for them.
    @_lifetime(copy message)
    package init?(of message: RawSpan) {
        guard message.byteCount >= Self.byteCount else { return nil }
        self.init(parsed: message)
    }

    var coveredByMAC1: RawSpan {
        @_lifetime(copy self)
        get { message.extracting(0..<Self.mac1Offset(in: message)) }
    }

    var mac1: RawSpan {
        @_lifetime(copy self)
        get { message.extracting(Self.mac1Offset(in: message)..<Self.mac2Offset(in: message)) }
    }

    /// Everything before mac2, mac1 included.
    var coveredByMAC2: RawSpan {
        @_lifetime(copy self)
        get { message.extracting(0..<Self.mac2Offset(in: message)) }
    }

    var mac2: RawSpan {
        @_lifetime(copy self)
        get { message.extracting(Self.mac2Offset(in: message)..<message.byteCount) }
    }

    static func store(mac1: Bytes16, into message: inout MutableRawSpan) {
        message.copy(mac1.bytes, at: mac1Offset(in: message.bytes))
    }

    static func store(mac2: Bytes16, into message: inout MutableRawSpan) {
        message.copy(mac2.bytes, at: mac2Offset(in: message.bytes))
    }

    /// The length of both MACs.
    package static let byteCount = 2 * BLAKE2s.macSize

    private static func mac1Offset(in message: RawSpan) -> Int {
        message.byteCount - byteCount
    }

    private static func mac2Offset(in message: RawSpan) -> Int {
        message.byteCount - BLAKE2s.macSize
    }
}
