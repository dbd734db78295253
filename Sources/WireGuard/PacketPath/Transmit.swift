import Packets

/// Sealed messages that lie in the send buffer and go to one endpoint: one datagram, or several of
/// one size in one segmented send.
package struct Transmit: BitwiseCopyable, Sendable {
    /// Where the first message begins in the buffer.
    package var offset = 0
    /// The bytes of all messages.
    package var length = 0
    /// The bytes of each message but perhaps the last; 0 for a single one.
    package var segmentSize = 0
    /// Where they go.
    package var remote = SocketAddress(address: .v4(IPv4Address(bits: 0)), port: 0)
    /// Where they leave from, nil for the system's choice.
    package var source: SourceAddress?
    /// TOS or traffic class.
    package var trafficClass: UInt8 = 0
    /// Whose endpoint it is, should the source have to be forgotten.
    package var peer = PeerSlot(rawValue: 0)
}

/// A datagram of the control thread: a handshake message, a cookie reply, a keepalive or a staged packet.
package struct Datagram: Sendable {
    /// The UDP payload.
    package var bytes: [UInt8]
    /// Where it goes.
    package var remote: SocketAddress
    /// Where it leaves from, nil for the system's choice.
    package var source: SourceAddress?
    /// TOS or traffic class.
    package var trafficClass: UInt8
    /// Whose endpoint it is, nil for a cookie reply.
    package var peer: PeerSlot?
}

/// One message of a received batch, or a run of them that `UDP_GRO` joined.
package struct InboundMessage: BitwiseCopyable, Sendable {
    /// Where it begins in the receive buffer.
    package var offset = 0
    /// Its bytes.
    package var length = 0
    /// The bytes of each datagram in it but perhaps the last; 0 for a single one.
    package var segmentSize = 0
    /// Where it came from.
    package var remote = SocketAddress(address: .v4(IPv4Address(bits: 0)), port: 0)
    /// The local end that it came to.
    package var source: SourceAddress?
    /// TOS or traffic class.
    package var trafficClass: UInt8 = 0

    /// Makes a message, to be filled in.
    package init() {}
}
