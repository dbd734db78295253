import Packets

/// A received datagram as one of the four messages (§5.4).
///
/// Creating a `Message` is the only check of a datagram's type and length; code that has a view of a
/// message does not check them again.
package enum Message: BitwiseCopyable, ~Escapable {
    case handshake(HandshakeMessage)
    case transportData(TransportData)

    /// Parses a whole datagram. Returns nil if its type is unknown or its length does not match its
    /// type.
    @inline(__always)
    @_lifetime(copy datagram)
    package init?(_ datagram: RawSpan) {
        guard datagram.byteCount >= 4,
            let type = MessageType(rawValue: datagram.loadLittleEndian(at: 0, as: UInt32.self))
        else { return nil }
        let length = datagram.byteCount
        switch type {
        case .handshakeInitiation:
            guard length == HandshakeInitiation.byteCount else { return nil }
            self = .handshake(.initiation(HandshakeInitiation(parsed: datagram)))
        case .handshakeResponse:
            guard length == HandshakeResponse.byteCount else { return nil }
            self = .handshake(.response(HandshakeResponse(parsed: datagram)))
        case .cookieReply:
            guard length == CookieReply.byteCount else { return nil }
            self = .handshake(.cookieReply(CookieReply(parsed: datagram)))
        case .transportData:
            guard length >= TransportData.overhead else { return nil }
            self = .transportData(TransportData(parsed: datagram))
        }
    }

    /// Parses `length` bytes of `buffer` from `offset` on as one datagram. Returns nil as
    /// ``init(_:)`` does, or if the bytes are not all in `buffer`.
    @inline(__always)
    @_lifetime(copy buffer)
    package init?(in buffer: RawSpan, at offset: Int, length: Int) {
        guard offset >= 0, length >= 0, offset <= buffer.byteCount,
            length <= buffer.byteCount &- offset
        else { return nil }
        self.init(buffer.extracting(offset..<offset &+ length))
    }
}

/// A message that the control thread handles: any message except transport data.
package enum HandshakeMessage: BitwiseCopyable, ~Escapable {
    case initiation(HandshakeInitiation)
    case response(HandshakeResponse)
    case cookieReply(CookieReply)

    /// Which of the three a message is, without its bytes.
    package enum Kind: Sendable, BitwiseCopyable {
        case initiation
        case response
        case cookieReply
    }

    /// Restores the view of a message that was parsed before and then copied.
    ///
    /// - Precondition: `bytes` is as long as a message of this kind.
    @_lifetime(copy bytes)
    init(parsed bytes: RawSpan, kind: Kind) {
        switch kind {
        case .initiation: self = .initiation(HandshakeInitiation(parsed: bytes))
        case .response: self = .response(HandshakeResponse(parsed: bytes))
        case .cookieReply: self = .cookieReply(CookieReply(parsed: bytes))
        }
    }

    var kind: Kind {
        switch self {
        case .initiation: .initiation
        case .response: .response
        case .cookieReply: .cookieReply
        }
    }

    var bytes: RawSpan {
        @_lifetime(copy self)
        get {
            switch self {
            case .initiation(let message): message.bytes
            case .response(let message): message.bytes
            case .cookieReply(let message): message.bytes
            }
        }
    }

    /// The MACs of an initiation or a response; nil for a cookie reply, which has none.
    var macs: MACs? {
        @_lifetime(copy self)
        get {
            switch self {
            case .initiation(let message): message.macs
            case .response(let message): message.macs
            case .cookieReply: nil
            }
        }
    }

    /// The index for a log: the receiver's, or an initiation's sender, which is its only index.
    var index: ReceiverIndex {
        switch self {
        case .initiation(let message): message.sender
        case .response(let message): message.receiver
        case .cookieReply(let message): message.receiver
        }
    }
}

extension RawSpan {
    /// The receiver index at `offset`.
    @inline(__always)
    func loadIndex(at offset: Int) -> ReceiverIndex {
        ReceiverIndex(rawValue: loadLittleEndian(at: offset, as: UInt32.self))
    }
}
