import LinuxIO
import Packets
import WireGuard

extension Worker {
    /// How many reads of the TUN before the sockets get their turn.
    private static let readsPerTurn = 64
    /// How many bytes of them: acknowledgements wait in the sockets, and a full turn of super-packets
    /// would be a delay of milliseconds.
    private static let bytesPerTurn = 256 << 10

    /// Reads what the TUN has, and sends it.
    mutating func drainTun(
        _ tun: inout MutableRawSpan, sending outgoing: inout MutableRawSpan,
        bouncing bounces: inout MutableRawSpan
    ) {
        guard isReadyToRead() else { return }
        sealer.removeAll()
        var reads = Self.readsPerTurn
        var bytes = 0
        var hasReadDatagrams = false
        while reads > 0, bytes < Self.bytesPerTurn {
            reads -= 1
            switch queue.read(into: &tun, at: 0, count: tun.byteCount) {
            case .bytes(let count):
                failures.reading.end()
                failures.empty.end()
                bytes += count
                take(count, of: tun, sending: &outgoing, bouncing: &bounces)
                if sealer.holdsDatagrams { hasReadDatagrams = true }
            case .wouldBlock:
                if reads == Self.readsPerTurn - 1 { failures.noteNothing() }
                reads = 0
            case .gone:
                end()
                reads = 0
            case .failed(let code):
                // Level-triggered waiting brings us back.
                failures.reading.note(code, of: "reading from the TUN", in: log)
                reads = 0
            }
        }
        carried += bytes
        otherBytes &+= bytes
        flush(&outgoing, bouncing: &bounces)
        // Going first, we would be here again for the next datagram before its sender wrote another,
        // and each would cost a wake-up, a switch of threads and a send. With this a sender between two
        // busy processors got three times as many datagrams of 64 bytes through.
        if hasReadDatagrams { Thread.yield() }
    }

    /// Packets come when the interface is up, perhaps before the control thread was told so: it is
    /// given a moment, lest the first packet of all be lost. What an interface that went down has
    /// left is read after that, and dropped.
    private mutating func isReadyToRead() -> Bool {
        guard !sealer.isUp, waitsForUp < Self.maximumWaitsForUp else {
            if sealer.isUp { waitsForUp = 0 }
            return true
        }
        waitsForUp += 1
        control.signal()
        Clock.pause(milliseconds: 1)
        return false
    }

    private static let maximumWaitsForUp = 1000

    /// Takes one delivery of the TUN into the batch.
    private mutating func take(
        _ count: Int, of tun: borrowing MutableRawSpan, sending outgoing: inout MutableRawSpan,
        bouncing bounces: inout MutableRawSpan
    ) {
        var start = 0
        var header = VirtioNetHeader()
        if queue.capabilities.hasVirtioNetHeader {
            guard count > VirtioNetHeader.byteCount,
                let read = VirtioNetHeader(tun.bytes, at: 0)
            else { return }
            header = read
            start = VirtioNetHeader.byteCount
        }
        guard sealer.load(tun.bytes, header: header, at: start, length: count - start)
        else { return }
        while !sealer.cut(from: tun.bytes, into: &outgoing) {
            flush(&outgoing, bouncing: &bounces)
        }
        if !sealer.hasRoom { flush(&outgoing, bouncing: &bounces) }
    }

    /// Seals the batch and sends it; what has no peer goes back to the TUN as an ICMP error.
    private mutating func flush(
        _ outgoing: inout MutableRawSpan, bouncing bounces: inout MutableRawSpan
    ) {
        guard !sealer.isEmpty else {
            if sealer.takeWakeForDrops() == .needed { control.signal() }
            return
        }
        let now = ObservedInstant(nanoseconds: Clock.boottime())
        let wake = sealer.seal(in: &outgoing, bouncing: &bounces, now: now)
        for index in 0..<sealer.transmitCount { append(sealer.transmits[index]) }
        send(outgoing.bytes, now: now)
        for index in 0..<sealer.bounceCount { bounce(sealer.bounces[index], of: bounces.bytes) }
        if sealer.hasFoundLoop {
            log.error(
                "the endpoint of a peer is routed into the tunnel to that peer: such datagrams are dropped"
            )
        }
        sealer.removeAll()
        if wake == .needed { control.signal() }
    }

    private mutating func append(_ transmit: Transmit) {
        switch transmit.remote.address {
        case .v4:
            peers4[send4.count] = transmit.peer
            send4.append(
                offset: transmit.offset, length: transmit.length,
                segmentSize: transmit.segmentSize, to: transmit.remote, source: transmit.source,
                trafficClass: transmit.trafficClass)
        case .v6:
            peers6[send6.count] = transmit.peer
            send6.append(
                offset: transmit.offset, length: transmit.length,
                segmentSize: transmit.segmentSize, to: transmit.remote, source: transmit.source,
                trafficClass: transmit.trafficClass)
        }
    }

    private mutating func send(_ bytes: RawSpan, now: ObservedInstant) {
        if send4.count > 0 {
            if let socket = socket4 {
                note(socket.flush(&send4, from: bytes), family: .v4, now: now)
            } else {
                countRefusedSends(send4.removeAll())
            }
        }
        if send6.count > 0 {
            if let socket = socket6 {
                note(socket.flush(&send6, from: bytes), family: .v6, now: now)
            } else {
                countRefusedSends(send6.removeAll())
            }
        }
    }

    private func countRefusedSends(_ datagrams: Int) {
        sealer.countRefusedSends(datagrams)
        if sealer.takeWakeForDrops() == .needed { control.signal() }
    }

    /// Learns from a send: a path or a device that cannot take segments, sources that are gone.
    private mutating func note(_ outcome: SendOutcome, family: AddressFamily, now: ObservedInstant)
    {
        if outcome.dropped > 0 { countRefusedSends(outcome.dropped) }
        if let failure = outcome.segmentationFailure {
            let peer = family == .v4 ? peers4[failure.index] : peers6[failure.index]
            if failure.isOfPath {
                // Its MTU is below what the tunnel's asks for.
                sealer.stopSegmentation(to: peer, now: now)
            } else {
                sealer.stopSegmentation(now: now)
            }
            if !failures.hasSegmentationFailed {
                failures.hasSegmentationFailed = true
                log.info(
                    "segmented sends are refused (\(SystemError.message(of: failure.code))): sending datagrams one by one"
                )
            }
        }
        guard outcome.staleSources != 0 else { return }
        for index in 0..<Sealer.maximumPackets where outcome.isSourceStale(index) {
            sealer.clearSource(of: family == .v4 ? peers4[index] : peers6[index])
        }
    }

    private mutating func bounce(_ bounce: Sealer.Bounce, of bytes: RawSpan) {
        let header = queue.capabilities.hasVirtioNetHeader ? VirtioNetHeader.byteCount : 0
        pieces.removeAll()
        pieces.append(offset: bounce.offset - header, length: bounce.length + header)
        // An error that does not get through is no loss.
        _ = queue.write(header: RawSpan(), pieces: &pieces, of: bytes)
    }
}
