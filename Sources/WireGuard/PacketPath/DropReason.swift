import Synchronization

/// Why a packet or a datagram went no further. Each is counted for the device; none is an error.
public enum DropReason: Int, CaseIterable, Sendable, BitwiseCopyable {
    /// From the TUN: neither IPv4 nor IPv6, or with impossible lengths.
    case malformedPacket
    /// From the TUN: no peer has an allowed IP that covers the destination.
    case noPeer
    /// From the TUN: the peer that it routes to has no endpoint yet.
    case noEndpoint
    /// From the TUN: our own datagram to the endpoint of the very peer that it routes to.
    case routingLoop
    /// From the TUN: pushed out by younger packets while no session came about.
    case stagedOverflow
    /// From the TUN: waited for a session until all initiations had gone unanswered.
    case unanswered
    /// From the network: wrong length, unknown type or a reserved byte that is set.
    case malformedMessage
    /// From the network: no keypair or handshake has this receiver index.
    case unknownIndex
    /// From the network: the keypair is older than Reject-After-Time, or its counter at the limit.
    case expiredKeypair
    /// From the network: the tag is wrong.
    case forgedMessage
    /// From the network: this counter came before, or lies behind the window.
    case replayedMessage
    /// From a peer: inside is no IP packet, or one that is longer than what carried it.
    case malformedInnerPacket
    /// From a peer: the inner source is none of its allowed IPs.
    case disallowedSource
    /// From the network: the queue of handshake messages is full.
    case handshakeQueueFull
    /// From the network: a handshake message while the device has no private key.
    case noPrivateKey
    /// From the network: mac1 is wrong.
    case invalidMAC1
    /// From the network: under load, mac2 is wrong or missing; a cookie was sent.
    case cookieRequired
    /// From the network: under load, the source is over its rate.
    case overRate
    /// From the network: a handshake message that does not authenticate, is too old or too soon.
    case invalidHandshake
    /// From a peer: one receive brought more packets than there is room for.
    case batchOverflow
    /// To the network: the kernel refused a datagram in every way, or has none of its kind of address.
    case refusedSend
    /// To the TUN: the kernel refused a packet, twice.
    case refusedWrite
    /// Any: the interface is down.
    case interfaceDown
}

/// How often each ``DropReason`` occurred, on any thread.
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

    /// Counts packets that went no further.
    func count(_ reason: DropReason, _ packets: Int = 1) {
        // A raw value is an index below the capacity.
        unsafe counts[reason.rawValue].add(UInt64(packets), ordering: .relaxed)
    }

    /// How many there were for this reason.
    subscript(reason: DropReason) -> UInt64 {
        unsafe counts[reason.rawValue].load(ordering: .relaxed)
    }
}
