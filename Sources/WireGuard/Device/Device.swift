import Packets
import Synchronization
import WireGuardCrypto

/// The control side of one interface: identity, peers, handshakes, timers and configuration, without
/// a socket and without a clock.
///
/// One thread calls it. What the packet path (``Sealer``, ``Opener``) shares with it lies
/// in ``path``. Datagrams that a call produces wait in the outbox until ``takeDatagrams()``.
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
    /// Handshakes that wait for a response, by the index that it will name.
    var handshakes: [ReceiverIndex: Peer] = [:]
    var deadlines = DeadlineHeap()
    /// The greatest timestamp that any initiation of ours carried.
    var greatestTimestamp: TAI64N?
    var checker: CookieChecker?
    var limiter = HandshakeRateLimiter()
    var load = LoadDetector()
    private var clockReader = SteadyClock.Reader()
    private var outbox: [UDPTransmit<[UInt8]>] = []
    /// Peers that asked for the control thread, from `nextRequest` on.
    private var requests: [PeerSlot] = []
    private var nextRequest = 0
    /// What happened, for whoever wants to know; empty unless ``isTracing``.
    var events: [TraceEvent] = []
    /// When the second ends in which drops were traced, and what was left out is told; nil for none.
    var traceSecond: Instant?
    var hasTracedDrops = false

    /// Makes a device that is down and has no identity, and whose packets `aead` seals and opens: one
    /// that can be used here.
    package init(
        random: any RandomSource = SystemRandom(), aead: AEADImplementation = .fastest
    ) {
        precondition(aead.obstacle == nil)
        self.random = random
        control = ControlAccess(aead: aead)
        shared = control.shared
    }

    /// A number for whatever needs no secret: the jitter of the packet path.
    package func makeSeed() -> UInt64 {
        random.nextUInt64()
    }

    // MARK: Work of the control thread

    /// Does what waits: timers, what the packet path asked for, handshake messages. Of each it does so
    /// much that a call takes some 20 ms at the most, whatever waits: a hundred thousand peers may be
    /// due at once, and other work of the thread is due in between.
    ///
    /// - Returns: whether more waits than one call takes, so that it should be called again soon.
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

    /// When ``handleWork(at:)`` is to be called although nobody asks; nil for not at all. Counted by
    /// the clock that the caller reads.
    package var nextDeadline: ObservedInstant? {
        [deadlines.first?.deadline, traceSecond].compactMap(\.self).min().map {
            shared.clock.reading(at: $0)
        }
    }

    /// Takes what is to be sent.
    package func takeDatagrams() -> [UDPTransmit<[UInt8]>] {
        defer { outbox.removeAll(keepingCapacity: outbox.count <= 256) }
        return outbox
    }

    /// Takes what happened since the last call.
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

    private func handleRequests(at moment: SteadyMoment, atMost limit: Int) -> Bool {
        // What came since these were taken rang before the last call returned, if at all.
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
        // Its timers first: after a long sleep the one that wipes old keys must not take the handshake
        // along that a request has just begun.
        handleTimeouts(of: peer, at: moment)
        let requests = tables.peers[slot.rawValue].takeRequests()
        if requests.contains(.keyConfirmed) { confirmNextKeypair(of: peer, at: moment) }
        if let cause = requests.cause { initiate(peer, cause, at: moment) }
        schedule(peer)
    }

    func peer(_ slot: PeerSlot) -> Peer? {
        let index = Int(slot.rawValue)
        return index < peersBySlot.count ? peersBySlot[index] : nil
    }

    // MARK: Up and down

    package var isUp: Bool { shared.isUp.load(ordering: .relaxed) }

    /// The interface came up: timers run, and peers with a persistent keepalive are sent to.
    package func bringUp(at observed: Moment) {
        guard !isUp else { return }
        let moment = steady(observed)
        shared.isUp.store(true, ordering: .sequentiallyConsistent)
        for peer in orderedPeers() {
            tables.peers[peer.slot.rawValue].timers.isRunning.store(true, ordering: .relaxed)
            sendStaged(peer, at: moment)
            if persistentKeepalive(of: peer) > 0 { sendKeepaliveSoon(to: peer, at: moment) }
            schedule(peer)
        }
    }

    /// The interface went down: keys and handshakes are wiped, timers stop, staged packets go.
    package func bringDown() {
        guard isUp else { return }
        // Under the gates: a batch that is on its way is finished, and the next one sees it.
        control.exclusively { _ in shared.isUp.store(false, ordering: .sequentiallyConsistent) }
        for peer in orderedPeers() {
            stop(peer, dropping: .interfaceDown)
            tables.peers[peer.slot.rawValue].lastHandshakeSent.store(0, ordering: .relaxed)
        }
    }

    /// The MTU of the tunnel changed.
    package func setMTU(_ mtu: Int) {
        guard shared.mtu.exchange(mtu, ordering: .relaxed) != mtu else { return }
        // What is sent now may fit paths that took no segmented sends.
        clearSources()
    }

    /// The directed broadcast addresses of the networks that the interface is in; no packet to them
    /// is answered with an ICMP error.
    package func setBroadcastAddresses(_ addresses: [IPv4Address]) {
        guard addresses != tables.broadcastAddresses else { return }
        control.exclusively { tables in tables.broadcastAddresses = addresses }
    }

    /// Routes or addresses of the system changed: cached sources may be wrong now, and what was
    /// learnt of paths.
    package func clearSources() {
        tables.sourceGeneration.wrappingAdd(1, ordering: .relaxed)
    }

    /// A send from a peer's cached source failed.
    package func clearSource(of slot: PeerSlot) {
        guard peer(slot) != nil else { return }
        tables.peers[slot.rawValue].endpoint.withLock { $0?.source = nil }
    }

    /// Datagrams that ``takeDatagrams()`` gave could not be sent.
    package func countRefusedSends(_ datagrams: Int, at observed: ObservedInstant) {
        guard datagrams > 0 else { return }
        shared.drop(.refusedSend, packets: datagrams)
        traceDrops(at: steady(observed))
    }

    /// How often packets were dropped for this reason.
    package func drops(_ reason: DropReason) -> UInt64 {
        shared.drops[reason]
    }

    /// Handshake, keys, timers and staged packets of a peer go; the peer stays.
    func stop(_ peer: Peer, dropping reason: DropReason) {
        clearHandshake(of: peer)
        clearKeypairs(of: peer)
        tables.peers[peer.slot.rawValue].timers.stopAll()
        dropStaged(of: peer, reason)
        deadlines.set(peer.slot, deadline: nil)
        tables.peers[peer.slot.rawValue].timers.wakeUp.store(
            .max, ordering: .sequentiallyConsistent)
    }

    /// Packets that wait for a session wait no longer; a keepalive is no packet.
    func dropStaged(of peer: Peer, _ reason: DropReason) {
        let packets = shared.takeStaged(of: tables.peers[peer.slot.rawValue])
        shared.drop(reason, packets: packets.count { !$0.isEmpty }, peer: peer.slot)
    }

    func orderedPeers() -> [Peer] {
        peersByKey.values.sorted { $0.serial < $1.serial }
    }

    func persistentKeepalive(of peer: Peer) -> UInt16 {
        tables.peers[peer.slot.rawValue].timers.persistentKeepaliveSeconds.load(ordering: .relaxed)
    }
}
