/// A datagram that arrived, or several segments from the same remote.
///
/// `Bytes` is the payload: `[UInt8]`, or the place of the payload in a buffer that is passed
/// alongside.
public struct UDPArrival<Bytes> {
    /// The UDP payload.
    public var bytes: Bytes
    /// The sender.
    public var remote: SocketAddress
    /// The local address that it arrived at, and the interface; nil if unknown.
    public var source: SourceAddress?
    /// TOS or traffic class: DSCP and ECN.
    public var trafficClass: UInt8

    /// Creates an arrival.
    @inlinable
    public init(
        bytes: Bytes, remote: SocketAddress, source: SourceAddress? = nil, trafficClass: UInt8 = 0
    ) {
        self.bytes = bytes
        self.remote = remote
        self.trafficClass = trafficClass
        self.source = source
    }
}

extension UDPArrival: Sendable where Bytes: Sendable {}
extension UDPArrival: BitwiseCopyable where Bytes: BitwiseCopyable {}
extension UDPArrival: Equatable where Bytes: Equatable {}
extension UDPArrival: Hashable where Bytes: Hashable {}

extension UDPArrival<SegmentRange> {
    /// An empty arrival, to initialise storage with.
    package static var empty: UDPArrival {
        UDPArrival(
            bytes: SegmentRange(),
            remote: SocketAddress(address: .v4(IPv4Address(bits: 0)), port: 0))
    }
}

extension UDPTransmit<SegmentRange> {
    /// An empty send, to initialise storage with.
    package static var empty: UDPTransmit {
        UDPTransmit(
            bytes: SegmentRange(),
            remote: SocketAddress(address: .v4(IPv4Address(bits: 0)), port: 0))
    }
}
