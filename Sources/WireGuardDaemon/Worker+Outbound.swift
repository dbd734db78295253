import LinuxIO
import Packets
import WireGuard

extension Worker {
    /// How many reads of the TUN before the sockets get their turn.
    private static let readsPerTurn = 64

    /// Reads what the TUN has, and sends it.
    mutating func drainTun() {
        outbound.removeAll()
        var reads = Self.readsPerTurn
        while reads > 0 {
            reads -= 1
            let result = tunBuffer.withBytes { bytes in
                queue.read(into: &bytes, at: 0, count: Self.tunBufferByteCount)
            }
            switch result {
            case .bytes(let count):
                take(count)
            case .wouldBlock:
                reads = 0
            case .gone:
                end()
                reads = 0
            case .failed:
                // EIO while the interface goes down; level-triggered waiting brings us back.
                reads = 0
            }
        }
        flush()
    }

    /// Takes one delivery of the TUN into the batch.
    private mutating func take(_ count: Int) {
        var start = 0
        var header = VirtioNetHeader()
        if queue.capabilities.hasVirtioNetHeader {
            guard count > VirtioNetHeader.byteCount,
                let read = VirtioNetHeader(tunBuffer.bytes, at: 0)
            else { return }
            header = read
            start = VirtioNetHeader.byteCount
        }
        guard outbound.load(tunBuffer.bytes, header: header, at: start, length: count - start)
        else { return }
        while true {
            var buffer = sendBuffer.mutableBytes
            if outbound.cut(from: tunBuffer.bytes, into: &buffer) { break }
            flush()
        }
        if !outbound.hasRoom { flush() }
    }

    /// Seals the batch and sends it; what has no peer goes back to the TUN as an ICMP error.
    private mutating func flush() {
        guard !outbound.isEmpty else { return }
        let now = Instant(nanoseconds: Clock.boottime())
        var wakes = false
        do {
            var buffer = sendBuffer.mutableBytes
            var bounces = bounceBuffer.mutableBytes
            wakes = outbound.seal(in: &buffer, bouncing: &bounces, now: now)
        }
        for index in 0..<outbound.transmitCount { append(outbound.transmits[index]) }
        send()
        for index in 0..<outbound.bounceCount { bounce(outbound.bounces[index]) }
        outbound.removeAll()
        if wakes { control.ring() }
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

    private mutating func send() {
        let sockets = sockets
        if send4.count > 0 {
            switch sockets?.v4 {
            case .some(let socket):
                let outcome = send4.flush(to: socket, from: sendBuffer.bytes)
                note(outcome, family: .v4)
            case .none: send4.removeAll()
            }
        }
        if send6.count > 0 {
            switch sockets?.v6 {
            case .some(let socket):
                let outcome = send6.flush(to: socket, from: sendBuffer.bytes)
                note(outcome, family: .v6)
            case .none: send6.removeAll()
            }
        }
    }

    /// Learns from a send: a path or a device that cannot take segments, sources that are gone.
    private mutating func note(_ outcome: SendOutcome, family: AddressFamily) {
        if let failure = outcome.segmentationFailure {
            let peer = family == .v4 ? peers4[failure.index] : peers6[failure.index]
            if SystemError(call: "sendmmsg", code: failure.code).isMessageTooLong {
                // This path only: its MTU is below what the tunnel's asks for.
                outbound.stopSegmentation(to: peer)
            } else {
                outbound.usesSegmentation = false
            }
            if !failures.hasSegmentationFailed {
                failures.hasSegmentationFailed = true
                log.info(
                    "segmented sends are refused (\(SystemError.message(of: failure.code))): sending datagrams one by one"
                )
            }
        }
        guard outcome.staleSources != 0 else { return }
        for index in 0..<OutboundPath.maximumPackets where outcome.isSourceStale(index) {
            outbound.clearSource(of: family == .v4 ? peers4[index] : peers6[index])
        }
    }

    private mutating func bounce(_ bounce: OutboundPath.Bounce) {
        let header = queue.capabilities.hasVirtioNetHeader ? VirtioNetHeader.byteCount : 0
        pieces.removeAll()
        pieces.append(offset: bounce.offset - header, length: bounce.length + header)
        // An error that does not get through is no loss.
        _ = queue.write(header: RawSpan(), pieces: &pieces, of: bounceBuffer.bytes)
    }
}

extension PacketBuffer {
    /// Lends the bytes, so that no access to the owner's other fields is held meanwhile.
    mutating func withBytes<Result>(_ body: (inout MutableRawSpan) -> Result) -> Result {
        var bytes = mutableBytes
        return body(&bytes)
    }
}
