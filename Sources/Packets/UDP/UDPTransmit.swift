/// A datagram to send, or several segments of one size to the same remote.
///
/// `Bytes` is the payload: `[UInt8]`, or the place of the payload in a buffer that is passed
/// alongside.
public struct UDPTransmit<Bytes> {
    /// The UDP payload.
    public var bytes: Bytes
    /// The destination.
    public var remote: SocketAddress
    /// The local address to send from; nil to let the system choose.
    public var source: SourceAddress?
    /// The peer that is sent to, as the sender's own number. It identifies whose source was refused.
    /// nil if the datagram belongs to no peer.
    @usableFromInline
    package var tag: UInt32?
    /// TOS or traffic class: DSCP and ECN.
    public var trafficClass: UInt8

    /// Creates a datagram to send.
    @inlinable
    public init(
        bytes: Bytes, remote: SocketAddress, source: SourceAddress? = nil, trafficClass: UInt8 = 0
    ) {
        self.bytes = bytes
        self.remote = remote
        self.trafficClass = trafficClass
        self.source = source
        tag = nil
    }
}

extension UDPTransmit: Sendable where Bytes: Sendable {}
extension UDPTransmit: BitwiseCopyable where Bytes: BitwiseCopyable {}
extension UDPTransmit: Equatable where Bytes: Equatable {}
extension UDPTransmit: Hashable where Bytes: Hashable {}
