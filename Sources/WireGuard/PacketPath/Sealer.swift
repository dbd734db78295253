import Packets
import Synchronization
import WireGuardCrypto

/// The outbound half of the packet path, for one worker: from reads of the TUN to datagrams to send.
///
/// 1. ``load(_:header:at:length:)`` takes what one read returned: a packet, or a super-packet of up to
///    64 KiB.
/// 2. ``cut(from:into:)`` cuts it into packets of at most the MTU. Each goes into the send buffer, with
///    room for the header before it, and for padding and tag after it. It stops when the buffer is full.
/// 3. ``seal(in:bouncing:now:)`` routes each packet to a peer and seals runs of packets to one peer.
///    Packets without a session are staged; packets without a peer are answered with ICMP errors.
/// 4. The owner sends ``transmits`` and writes ``bounces`` to the TUN, then calls ``removeAll()``.
///
///     send buffer: | header 16 | packet | padding | tag 16 | header 16 | packet …
package struct Sealer: ~Copyable {
    /// A packet in the send buffer.
    struct Entry: BitwiseCopyable {
        /// The offset of the room for its header.
        var offset = 0
        /// Its length without padding.
        var length = 0
        /// Its length with padding.
        var paddedLength = 0
        /// The ECN bits of its datagram.
        var ecn: UInt8 = 0
        /// Whether it is from the same super-packet as the packet before, and so has the same route.
        var isContinuation = false
        /// Whether it may be UDP (a fragment may), and so one of our own datagrams.
        var isUDP = false
    }

    /// An ICMP error to write to the TUN, as a range of the bounce buffer.
    package struct Bounce: BitwiseCopyable {
        package var offset = 0
        package var length = 0
    }

    /// Whether segmented sends are used; otherwise each message is a send of its own.
    package var usesSegmentation = true

    /// No segmented sends before this time, because a device refused one.
    var segmentationPause = Instant(nanoseconds: 0)
    private var clockReader = SteadyClock.Reader()

    let shared: SharedState
    private let gate: SharedState.HeldGate
    var entries: FixedArray<Entry>
    var entryCount = 0
    private var used = 0
    var sealing: FixedArray<AEADPacket>
    private var plan: SegmentPlan?
    private var nextSegment = 0
    private var planECN: UInt8 = 0
    private var planIsUDP = false
    /// The sealed messages to send.
    package internal(set) var transmits: FixedArray<UDPTransmit<SegmentRange>>
    package internal(set) var transmitCount = 0
    /// The ICMP errors to write to the TUN.
    package internal(set) var bounces: FixedArray<Bounce>
    package internal(set) var bounceCount = 0
    var bounceLimiter = TokenBucket(perSecond: 100, burst: 50)
    var jitter: JitterSource
    /// Whether the last batch contained the device's first routing loop.
    package internal(set) var hasFoundLoop = false

    /// Returns needed once after new drop records. The result of ``seal(in:bouncing:now:)`` includes it.
    package func takeWakeForDrops() -> Wake { shared.takeWakeForDrops() }

    /// The maximum number of packets in a batch.
    package static let maximumPackets = 128
    /// The size of the send buffer. The largest super-packet fits, cut to the default MTU.
    package static let bufferByteCount = 160 << 10
    /// The size of the bounce buffer.
    package static let bounceByteCount = maximumBounces * bounceStride
    private static let maximumBounces = 8
    /// Room for a virtio header and an ICMPv6 error of the minimum MTU.
    static let bounceStride = 1536
    static let bounceHeaderRoom = 16

    /// Creates the sealer of one worker, which reads the shared tables under `gate`.
    package init(shared: SharedState, gate: SharedState.Gate, jitterSeed: UInt64) {
        self.shared = shared
        self.gate = SharedState.HeldGate(gate)
        entries = FixedArray(repeating: Entry(), count: Self.maximumPackets)
        sealing = FixedArray(
            repeating: AEADPacket(offset: 0, length: 0, counter: 0), count: Self.maximumPackets)
        transmits = FixedArray(repeating: .empty, count: Self.maximumPackets)
        bounces = FixedArray(repeating: Bounce(), count: Self.maximumBounces)
        jitter = JitterSource(seed: jitterSeed)
    }

    /// Whether the last packet loaded is UDP, or a fragment, which usually is UDP.
    package var holdsInnerUDP: Bool { planIsUDP }

    /// Whether the device is up. Packets that are loaded while it is down are dropped.
    package var isUp: Bool { shared.isUp.load(ordering: .relaxed) }

    /// Whether the send buffer is empty.
    package var isEmpty: Bool { entryCount == 0 }

    /// Whether the batch may take another read: small packets are gathered, large batches are sent at once.
    package var hasRoom: Bool {
        used < Self.bufferByteCount / 4 && entryCount < Self.maximumPackets / 2
    }

    /// Ends the batch.
    package mutating func removeAll() {
        entryCount = 0
        used = 0
        transmitCount = 0
        bounceCount = 0
        hasFoundLoop = false
    }

    /// Takes what one read of the TUN returned: `length` bytes at `offset`, described by `header`.
    ///
    /// - Returns: whether there is something to cut. A malformed packet is dropped and counted.
    package mutating func load(
        _ packet: RawSpan, header: VirtioNetHeader, at offset: Int, length: Int
    ) -> Bool {
        guard shared.isUp.load(ordering: .relaxed) else {
            shared.drop(.interfaceDown)
            return false
        }
        guard let ip = IPHeader(packet, at: offset, length: length) else {
            shared.drop(.malformedPacket)
            return false
        }
        do {
            plan = try SegmentPlan(
                header, packet: packet, offset: offset, length: length)
        } catch {
            shared.drop(.malformedPacket)
            return false
        }
        nextSegment = 0
        planECN = ECN.encapsulated(inner: ip.trafficClass)
        planIsUDP = ip.protocolNumber == .udp || ip.protocolNumber == .fragment
        return true
    }

    /// Cuts the loaded packet into the send buffer.
    ///
    /// - Returns: false if the buffer is full; call again after the batch was sealed and sent.
    package mutating func cut(from packet: RawSpan, into buffer: inout MutableRawSpan) -> Bool {
        guard let plan else { return true }
        let mtu = shared.mtu.load(ordering: .relaxed)
        while nextSegment < plan.count {
            let length = plan.length(of: nextSegment)
            let padded = TransportData.paddedLength(length, mtu: mtu)
            let size = TransportData.overhead + padded
            guard entryCount < entries.count, used + size <= buffer.byteCount else {
                // A packet that does not fit into an empty buffer never will.
                guard entryCount == 0 else { return false }
                shared.drop(.malformedPacket)
                break
            }
            _ = plan.cut(
                nextSegment, from: packet, into: &buffer, at: used + TransportData.packet)
            entries[entryCount] = Entry(
                offset: used, length: length, paddedLength: padded, ecn: planECN,
                isContinuation: nextSegment > 0 && entryCount > 0, isUDP: planIsUDP)
            entryCount += 1
            used += size
            nextSegment += 1
        }
        self.plan = nil
        return true
    }

    /// Routes and seals all packets in the send buffer.
    ///
    /// - Returns: whether the control thread must be woken.
    package mutating func seal(
        in buffer: inout MutableRawSpan, bouncing bounceBuffer: inout MutableRawSpan,
        now observed: ObservedInstant
    ) -> Wake {
        let now = shared.clock.time(at: observed, for: &clockReader)
        let gate = gate
        return gate.withTables { tables in
            // The interface may have been taken down since the batch was loaded.
            guard shared.isUp.load(ordering: .relaxed) else {
                shared.drop(.interfaceDown, packets: entryCount)
                return shared.takeWakeForDrops()
            }
            let wake = sealAll(in: &buffer, bouncing: &bounceBuffer, tables, now: now)
            return wake | shared.takeWakeForDrops()
        }
    }

    private mutating func sealAll(
        in buffer: inout MutableRawSpan, bouncing bounceBuffer: inout MutableRawSpan,
        _ tables: borrowing SharedTables, now: Instant
    ) -> Wake {
        var wake = Wake.notNeeded
        var start = 0
        var route = Route.dropped
        if entryCount > 0 {
            route = self.route(0, after: .dropped, buffer, &bounceBuffer, tables, now)
        }
        while start < entryCount {
            var end = start + 1
            var next = Route.dropped
            while end < entryCount {
                next = self.route(end, after: route, buffer, &bounceBuffer, tables, now)
                guard next == route, entries[end].ecn == entries[start].ecn else { break }
                end += 1
            }
            if case .peer(let slot) = route {
                wake |= sealRun(start..<end, to: slot, in: &buffer, tables, now: now)
            }
            start = end
            route = next
        }
        return wake
    }

    /// Stops segmented sends to a peer after one was too large for its path.
    ///
    /// They resume when routes, endpoint or MTU change, or after ten seconds, because the kernel does not
    /// report when a learnt path MTU expires.
    package mutating func stopSegmentation(to slot: PeerSlot, now observed: ObservedInstant) {
        let now = shared.clock.time(at: observed, for: &clockReader)
        gate.withTables { tables in
            guard tables.peers.contains(slot.rawValue) else { return }
            tables.peers[slot.rawValue].refuseSegmentation(
                generation: tables.mtuGeneration.load(ordering: .relaxed), now: now)
        }
    }

    /// Stops segmented sends of this worker for ten seconds after a device refused one.
    ///
    /// Another route may use another device. Trying again costs one refused batch, which is then sent
    /// datagram by datagram.
    package mutating func stopSegmentation(now observed: ObservedInstant) {
        let now = shared.clock.time(at: observed, for: &clockReader)
        segmentationPause = now + Constants.segmentationPause
    }

    /// Counts a read of the TUN that is too short for its virtio header.
    package func dropMalformedPacket() {
        shared.drop(.malformedPacket)
    }

    /// Counts datagrams that the kernel refused.
    package func countRefusedSends(_ datagrams: Int) {
        shared.drop(.refusedSend, packets: datagrams)
    }

    /// Forgets the cached source of a peer, after the kernel refused a send from it.
    package func forgetSource(of slot: PeerSlot) {
        gate.withTables { tables in
            // The peer may have been removed since its batch was sealed.
            guard tables.peers.contains(slot.rawValue) else { return }
            tables.peers[slot.rawValue].endpoint.withLock { $0?.forgetSource() }
        }
    }
}
