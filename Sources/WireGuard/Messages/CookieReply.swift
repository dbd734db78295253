import Packets

/// A view of the answer of a responder under load (§5.4.7).
///
///     type 4 | receiver 4 | nonce 24 | cookie 16+16
package struct CookieReply: BitwiseCopyable, ~Escapable {
    package let bytes: RawSpan

    /// - Precondition: `bytes` is a cookie reply that ``Message`` parsed.
    @inline(__always)
    @_lifetime(copy bytes)
    init(parsed bytes: RawSpan) {
        precondition(bytes.byteCount == Self.byteCount)
        self.bytes = bytes
    }

    /// Parses a datagram. Returns nil if it is not a cookie reply.
    @_lifetime(copy datagram)
    package init?(_ datagram: RawSpan) {
        guard case .handshake(.cookieReply(let message))? = Message(datagram) else { return nil }
        self = message
    }

    package var receiver: ReceiverIndex { bytes.loadIndex(at: Offset.receiver) }

    package var nonce: RawSpan {
        @_lifetime(copy self)
        get { bytes.extracting(Offset.nonce..<Offset.encryptedCookie) }
    }

    /// The cookie and its tag.
    package var encryptedCookie: RawSpan {
        @_lifetime(copy self)
        get { bytes.extracting(Offset.encryptedCookie..<Self.byteCount) }
    }

    package static let byteCount = Offset.encryptedCookie + 16 + 16

    /// Where the fields are, in bytes from the start of the message.
    package enum Offset {
        package static let receiver = 4
        package static let nonce = receiver + 4
        package static let encryptedCookie = nonce + 24
    }

    /// Writes the fields of a cookie reply.
    struct Writer: ~Copyable, ~Escapable {
        private var bytes: MutableRawSpan

        /// Writes the type, the receiver and the nonce to the first bytes of `buffer`.
        ///
        /// - Precondition: `buffer` has at least ``byteCount`` bytes, and `nonce` has 24.
        @_lifetime(&buffer)
        init(_ buffer: inout MutableRawSpan, receiver: ReceiverIndex, nonce: RawSpan) {
            precondition(nonce.byteCount == 24)
            bytes = buffer._mutatingExtracting(0..<byteCount)
            bytes.store(littleEndian: MessageType.cookieReply.rawValue, at: 0)
            bytes.store(littleEndian: receiver.rawValue, at: Offset.receiver)
            bytes.copy(nonce, at: Offset.nonce)
        }

        /// Room for the cookie and its tag.
        var encryptedCookie: MutableRawSpan {
            @_lifetime(&self)
            mutating get { bytes._mutatingExtracting(Offset.encryptedCookie..<byteCount) }
        }
    }
}
