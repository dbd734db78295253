import Packets

extension UDPTransmit {
    /// The peer that is sent to; nil for a cookie reply. If the source is refused, the source cached
    /// for this peer must be cleared.
    package var peer: PeerSlot? {
        get { tag.map(PeerSlot.init(rawValue:)) }
        set { tag = newValue?.rawValue }
    }
}
