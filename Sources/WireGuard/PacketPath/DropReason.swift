import Synchronization

/// Why a packet or datagram was dropped. The device counts each reason; none is an error.
public enum DropReason: Int, CaseIterable, Sendable, BitwiseCopyable {
    /// From the TUN: neither IPv4 nor IPv6, or its lengths are impossible.
    case malformedPacket
    /// From the TUN: no peer has an allowed IP that contains the destination, or the peer was removed.
    case noPeer
    /// From the TUN: the peer of the destination has no endpoint yet.
    case noEndpoint
    /// From the TUN: one of our own datagrams, routed to the peer whose endpoint it is addressed to.
    case routingLoop
    /// From the TUN: newer packets replaced it before there was a session, or the staged packets of all
    /// peers reached their limit while this peer held most.
    case stagedOverflow
    /// From the TUN: staged until the last handshake attempt was not answered.
    case unanswered
    /// From the network: wrong length, unknown type or a nonzero reserved byte.
    case malformedMessage
    /// From the network: no keypair or handshake has this receiver index.
    case unknownIndex
    /// From the network: the keypair is older than Reject-After-Time, or its counter is at the limit.
    case expiredKeypair
    /// From the network: the authentication tag is wrong.
    case forgedMessage
    /// From the network: the counter was received before, or is older than the replay window.
    case replayedMessage
    /// From a peer: the content is not an IP packet, or is longer than its message.
    case malformedInnerPacket
    /// From a peer: the inner source is not one of its allowed IPs.
    case disallowedSource
    /// From the network: the queue of handshake messages is full.
    case handshakeQueueFull
    /// From the network: a handshake message, but the device has no private key.
    case noPrivateKey
    /// From the network: mac1 is wrong.
    case invalidMAC1
    /// From the network: mac2 is wrong or missing under load. A cookie reply was sent.
    case cookieRequired
    /// From the network: the source exceeds its rate under load.
    case overRate
    /// From the network: a handshake message that is not authentic, too old or too early.
    case invalidHandshake
    /// From a peer: one receive contained more packets than the batch can hold.
    case batchOverflow
    /// To the network: the kernel refused the datagram every way it was sent, or there is no socket for
    /// its address family.
    case refusedSend
    /// To the TUN: the kernel refused the packet twice.
    case refusedWrite
    /// Any direction: the interface is down.
    case interfaceDown
}

/// The number of drops for each ``DropReason``, counted by any thread.
@safe
struct DropCounters: ~Copyable, @unchecked Sendable {
    private let counts: UnsafeMutablePointer<Atomic<UInt64>>

    init() {
        unsafe counts = .allocate(capacity: DropReason.allCases.count)
        for index in DropReason.allCases.indices {
            unsafe (counts + index).initialize(to: Atomic(0))
        }
    }

    deinit {
        unsafe counts.deinitialize(count: DropReason.allCases.count)
        unsafe counts.deallocate()
    }

    /// Counts dropped packets.
    func count(_ reason: DropReason, _ packets: Int = 1) {
        // A raw value is an index below the capacity.
        unsafe counts[reason.rawValue].add(UInt64(packets), ordering: .relaxed)
    }

    /// The number of drops for a reason.
    subscript(reason: DropReason) -> UInt64 {
        unsafe counts[reason.rawValue].load(ordering: .relaxed)
    }
}
