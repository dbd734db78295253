import Packets
import WireGuard

/// Sends messages to remotes of both address families, and knows which peer each was sent to.
struct DualStackSender<Sender: DatagramSender & ~Copyable>: ~Copyable, Sendable {
    private var sender4: Sender
    private var sender6: Sender
    /// The tags of the messages in `sender4` and `sender6`, and of the last flush.
    private var tags4: FixedArray<UInt32?>
    private var tags6: FixedArray<UInt32?>

    /// The result of sending the messages of one family.
    struct Outcome: Sendable {
        /// The number of datagrams that were lost.
        var dropped = 0
        /// The first segmented send that was refused, and sent as single datagrams instead.
        var refusal: SegmentationRefusal?
        fileprivate var family = AddressFamily.v4
        fileprivate var staleSources: UInt128 = 0
    }

    /// A segmented send that was refused.
    struct SegmentationRefusal: Equatable, Sendable {
        /// The peer it was sent to; nil if none.
        var peer: PeerSlot?
        /// Whether only the network path to this remote is affected, not the device.
        var isOfPath: Bool
        /// The errno.
        var errno: Int32
    }

    /// Creates a sender from one for IPv4 and one for IPv6.
    init(_ sender4: consuming Sender, _ sender6: consuming Sender) {
        tags4 = FixedArray(repeating: nil, count: sender4.capacity)
        tags6 = FixedArray(repeating: nil, count: sender6.capacity)
        self.sender4 = sender4
        self.sender6 = sender6
    }

    /// Whether a message of either family might not fit.
    var isFull: Bool {
        sender4.count == sender4.capacity || sender6.count == sender6.capacity
    }

    /// Adds a message. There must be room.
    mutating func append(_ transmit: UDPTransmit<SegmentRange>) {
        switch transmit.remote.address {
        case .v4:
            tags4[sender4.count] = transmit.tag
            sender4.append(transmit)
        case .v6:
            tags6[sender6.count] = transmit.tag
            sender6.append(transmit)
        }
    }

    /// Sends all IPv4 messages.
    ///
    /// - Parameter socket: nil if the host has no IPv4. All messages are then lost.
    mutating func flush4(through socket: Sender.Socket?, from bytes: RawSpan) -> Outcome {
        guard sender4.count > 0 else { return Outcome() }
        guard let socket else { return Outcome(dropped: sender4.removeAll()) }
        let sent = sender4.flush(through: socket, from: bytes)
        return outcome(of: sent, .v4)
    }

    /// Sends all IPv6 messages.
    ///
    /// - Parameter socket: nil if the host has no IPv6. All messages are then lost.
    mutating func flush6(through socket: Sender.Socket?, from bytes: RawSpan) -> Outcome {
        guard sender6.count > 0 else { return Outcome() }
        guard let socket else { return Outcome(dropped: sender6.removeAll()) }
        let sent = sender6.flush(through: socket, from: bytes)
        return outcome(of: sent, .v6)
    }

    private func outcome(of sent: SendOutcome, _ family: AddressFamily) -> Outcome {
        var refusal: SegmentationRefusal?
        if let failure = sent.segmentationFailure {
            refusal = SegmentationRefusal(
                peer: peer(failure.index, family), isOfPath: failure.isOfPath,
                errno: failure.code)
        }
        return Outcome(
            dropped: sent.dropped, refusal: refusal, family: family,
            staleSources: sent.staleSources)
    }

    /// Takes the next peer whose source was refused; nil if there is none left. Call it before the
    /// next message is added.
    func takeStalePeer(from outcome: inout Outcome) -> PeerSlot? {
        while outcome.staleSources != 0 {
            let index = outcome.staleSources.trailingZeroBitCount
            outcome.staleSources &= outcome.staleSources &- 1
            if let peer = peer(index, outcome.family) { return peer }
        }
        return nil
    }

    private func peer(_ index: Int, _ family: AddressFamily) -> PeerSlot? {
        let tag =
            switch family {
            case .v4: tags4[index]
            case .v6: tags6[index]
            }
        return tag.map(PeerSlot.init(rawValue:))
    }
}
