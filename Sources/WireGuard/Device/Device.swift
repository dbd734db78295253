import Packets
import Synchronization
import WireGuardCrypto

/// The control side of one interface: identity, peers, handshakes, timers and configuration. It has
/// no sockets and reads no clock.
///
/// One thread, the control thread, calls it. The workers (``Sealer``, ``Opener``) use ``shared``.
/// Datagrams that a call produces stay in the outbox until ``takeDatagrams()``.
package final class Device {
    package let shared: SharedState
    let control: ControlAccess
    /// The shared tables, to read. The control thread is their only writer.
    var tables: SharedTables {
        @inline(__always) _read { yield control.tables }
    }
    var random: any RandomSource
    var identity: StaticIdentity?
    package internal(set) var firewallMark: UInt32 = 0
    var peersByKey: [PublicKey: Peer] = [:]
    var peersBySlot: [Peer?] = []
    var nextSerial: UInt64 = 0
    /// Peers with an initiation that waits for its response, by the initiation's sender index.
    var handshakes: [ReceiverIndex: Peer] = [:]
    /// The earliest deadline of each peer.
    var deadlines = SlotHeap<Instant>()
    /// The greatest timestamp of all initiations that this device sent.
    var greatestTimestamp: TAI64N?
    var checker: CookieChecker?
    var limiter = HandshakeRateLimiter()
    var load = LoadDetector()
    private var clockReader = SteadyClock.Reader()
    private var outbox: [UDPTransmit<[UInt8]>] = []
    /// Peers with requests of the packet path; those from `nextRequest` on are not handled yet.
    private var requests: [PeerSlot] = []
    private var nextRequest = 0
    /// Peers that were sent to and whose sources were not checked against the present routes.
    var unchecked: Set<PeerSlot> = []
    /// Events since the last ``takeEvents()``; empty unless ``isTracing``.
    var events: [TraceEvent] = []
    /// When to report the drops that were not recorded in this second; nil if no drop was traced.
    var traceSecond: Instant?
    var hasTracedDrops = false

    /// Creates a device that is down and has no identity.
    ///
    /// - Precondition: `aead` is usable on this machine.
    package init(
        random: any RandomSource = SystemRandom(), aead: AEADImplementation = .fastest
    ) {
        precondition(aead.obstacle == nil)
        self.random = random
        control = ControlAccess(aead: aead)
        shared = control.shared
    }

    /// A seed for randomness that need not be secret: the jitter of the packet path.
    package func makeSeed() -> UInt64 {
        random.nextUInt64()
    }

    // MARK: Work of the control thread

    /// Handles expired timers, requests of the packet path and queued handshake messages.
    ///
    /// One call handles a limited number of each, which takes at most about 20 ms: a hundred thousand
    /// peers may be due at once, and the control thread has other work.
    ///
    /// - Returns: whether work is left, so that the caller should call again soon.
    package func handleWork(at observed: Moment) -> Bool {
        let moment = steady(observed)
        let hasTimeouts = handleTimeouts(at: moment, atMost: Self.peersPerCall)
        let hasRequests = handleRequests(at: moment, atMost: Self.peersPerCall)
        var budget = Self.messagesPerCall
        while budget > 0, let message = shared.handshakes.next() {
            handle(message, at: moment)
            budget -= 1
        }
        traceDrops(at: moment.instant)
        return hasTimeouts || hasRequests || budget == 0
    }

    private static let peersPerCall = 64
    private static let messagesPerCall = 64

    /// When ``handleWork(at:)`` must be called even without a wake-up, by the caller's clock; nil for
    /// never.
    package var nextDeadline: ObservedInstant? {
        [deadlines.first?.key, traceSecond].compactMap(\.self).min().map {
            shared.clock.reading(at: $0)
        }
    }

    /// Takes the datagrams to send.
    package func takeDatagrams() -> [UDPTransmit<[UInt8]>] {
        defer { outbox.removeAll(keepingCapacity: outbox.count <= 256) }
        return outbox
    }

    /// Takes the events since the last call.
    package func takeEvents() -> [TraceEvent] {
        defer { events = [] }
        return events
    }

    func steady(_ moment: Moment) -> SteadyMoment {
        SteadyMoment(instant: steady(moment.instant), wall: moment.wall)
    }

    @discardableResult
    func steady(_ observed: ObservedInstant) -> Instant {
        shared.clock.time(at: observed, for: &clockReader)
    }

    func send(_ datagram: UDPTransmit<[UInt8]>) {
        outbox.append(datagram)
    }

    /// Removes the source from the datagrams to a peer that wait in the outbox.
    func withdrawSource(of slot: PeerSlot) {
        for index in outbox.indices where outbox[index].peer == slot { outbox[index].source = nil }
    }

    private func handleRequests(at moment: SteadyMoment, atMost limit: Int) -> Bool {
        // Newer requests wait until these are handled; the wake-up for them was already signalled.
        let wereLeft = nextRequest < requests.count
        if !wereLeft {
            requests = shared.takeRequests()
            nextRequest = 0
        }
        let end = min(nextRequest + limit, requests.count)
        while nextRequest < end {
            handleRequests(of: requests[nextRequest], at: moment)
            nextRequest += 1
        }
        return wereLeft || end < requests.count
    }

    private func handleRequests(of slot: PeerSlot, at moment: SteadyMoment) {
        guard let peer = peer(slot) else { return }
        // Timers first: after a long sleep, wiping old keys must not wipe the handshake that a request
        // starts below.
        handleTimeouts(of: peer, at: moment)
        let requests = tables.peers[slot.rawValue].takeRequests()
        if requests.contains(.sourceCheck) { unchecked.insert(slot) }
        // Without keypairs, they were wiped since the request.
        if requests.contains(.keyConfirmed), !peer.keypairs.all.isEmpty {
            confirmNextKeypair(of: peer, at: moment)
        }
        if let cause = requests.cause { initiate(peer, cause, at: moment) }
        schedule(peer)
    }

    func peer(_ slot: PeerSlot) -> Peer? {
        let index = Int(slot.rawValue)
        return index < peersBySlot.count ? peersBySlot[index] : nil
    }

    // MARK: Up and down

    package var isUp: Bool { shared.isUp.load(ordering: .relaxed) }

    /// Brings the interface up: enables timers, and sends to peers with staged packets or a persistent
    /// keepalive.
    package func bringUp(at observed: Moment) {
        guard !isUp else { return }
        let moment = steady(observed)
        shared.isUp.store(true, ordering: .sequentiallyConsistent)
        for peer in orderedPeers() {
            tables.peers[peer.slot.rawValue].timers.isRunning.store(true, ordering: .relaxed)
            sendStaged(peer, at: moment)
            if persistentKeepalive(of: peer) > 0 { sendKeepaliveSoon(to: peer, at: moment) }
        }
    }

    /// Takes the interface down: wipes keys and handshakes, stops timers, drops staged packets.
    package func bringDown() {
        guard isUp else { return }
        // Under the gates: batches in progress finish first, and later ones see the new state.
        control.exclusively { _ in shared.isUp.store(false, ordering: .sequentiallyConsistent) }
        for peer in orderedPeers() {
            stop(peer, dropping: .interfaceDown)
            tables.peers[peer.slot.rawValue].lastHandshakeSent.store(0, ordering: .relaxed)
        }
    }

    /// Sets the MTU of the tunnel.
    package func setMTU(_ mtu: Int) {
        guard shared.mtu.exchange(mtu, ordering: .relaxed) != mtu else { return }
        // Segmented sends may fit network paths now that refused them before.
        tables.mtuGeneration.wrappingAdd(1, ordering: .relaxed)
    }

    /// Sets the directed broadcast addresses of the interface's networks. Packets to them are not
    /// answered with ICMP errors.
    package func setBroadcastAddresses(_ addresses: [IPv4Address]) {
        guard addresses != tables.broadcastAddresses else { return }
        control.exclusively { tables in tables.broadcastAddresses = addresses }
    }

    /// Counts datagrams from ``takeDatagrams()`` that could not be sent.
    package func countRefusedSends(_ datagrams: Int, at observed: ObservedInstant) {
        guard datagrams > 0 else { return }
        shared.drop(.refusedSend, packets: datagrams)
        traceDrops(at: steady(observed))
    }

    /// The number of packets and datagrams dropped for this reason.
    package func drops(_ reason: DropReason) -> UInt64 {
        shared.drops[reason]
    }

    /// Removes a peer's handshake, keys and staged packets, and stops its timers.
    func stop(_ peer: Peer, dropping reason: DropReason) {
        clearHandshake(of: peer)
        clearKeypairs(of: peer)
        withTimers(of: peer) { timers in
            timers.stopAll()
            return .notNeeded
        }
        shared.dropStaged(of: peer.slot, reason, in: tables)
    }

    func orderedPeers() -> [Peer] {
        peersByKey.values.sorted { $0.serial < $1.serial }
    }

    /// The number of peers.
    package var peerCount: Int { peersByKey.count }

    func persistentKeepalive(of peer: Peer) -> UInt16 {
        tables.peers[peer.slot.rawValue].timers.persistentKeepaliveSeconds.load(ordering: .relaxed)
    }
}
