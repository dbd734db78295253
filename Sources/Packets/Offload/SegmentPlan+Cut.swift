extension SegmentPlan {
    /// The length of packet `index` in bytes.
    package func length(of index: Int) -> Int {
        precondition(index >= 0 && index < count)
        return switch kind {
        case .whole, .checksum: length
        case .tcp, .udp: headerLength &+ payloadLength(of: index)
        }
    }

    /// Writes the complete packet `index` to `destination` at `target`, where `length(of: index)` bytes must
    /// be available.
    ///
    /// - Parameter source: the bytes that the plan was made for.
    /// - Returns: the length of the packet in bytes.
    package func cut(
        _ index: Int, from source: RawSpan, into destination: inout MutableRawSpan, at target: Int
    ) -> Int {
        precondition(index >= 0 && index < count)
        switch kind {
        case .whole:
            destination.copy(length, from: source, at: offset, to: target)
            return length
        case .checksum:
            finish(from: source, into: &destination, at: target)
            return length
        case .tcp, .udp:
            return segment(index, from: source, into: &destination, at: target)
        }
    }

    private func payloadLength(of index: Int) -> Int {
        min(segmentSize, length &- headerLength &- index &* segmentSize)
    }

    /// Completes a checksum whose field holds the sum of the pseudo-header.
    private func finish(
        from source: RawSpan, into destination: inout MutableRawSpan, at target: Int
    ) {
        destination.copy(transport, from: source, at: offset, to: target)
        var sum = InternetChecksum()
        sum.add(
            source, from: offset &+ transport, count: length &- transport,
            copyingTo: &destination, at: target &+ transport)
        // For UDP, 0 means no checksum. For other protocols, 0 and 0xFFFF are equivalent.
        destination.store(bigEndian: sum.udpChecksum, at: target &+ headerLength)
    }

    private func segment(
        _ index: Int, from source: RawSpan, into destination: inout MutableRawSpan, at target: Int
    ) -> Int {
        let payload = payloadLength(of: index)
        let total = headerLength &+ payload
        let start = index &* segmentSize
        destination.copyHeader(headerLength, from: source, at: offset, to: target)
        var sum = transportSum
        sum.add(
            source, from: offset &+ headerLength &+ start, count: payload,
            copyingTo: &destination, at: target &+ headerLength)

        let length = UInt16(truncatingIfNeeded: total)
        switch version {
        case .v4:
            let identification = identification &+ UInt16(truncatingIfNeeded: index)
            var ipSum = ipSum
            ipSum.add(identification)
            ipSum.add(length)
            destination.store(bigEndian: length, at: target &+ 2)
            destination.store(bigEndian: identification, at: target &+ 4)
            destination.store(bigEndian: ipSum.checksum, at: target &+ 10)
        case .v6:
            destination.store(
                bigEndian: length &- UInt16(truncatingIfNeeded: IPHeader.length6), at: target &+ 4)
        }

        let at = target &+ transport
        let transportLength = UInt16(truncatingIfNeeded: total &- transport)
        sum.add(transportLength)
        if kind == .tcp {
            let sequence = sequence &+ UInt32(truncatingIfNeeded: start)
            let flags = flags(of: index)
            sum.add(sequence)
            sum.add(flags)
            destination.store(bigEndian: sequence, at: at &+ 4)
            destination.store(bigEndian: flags, at: at &+ 12)
            destination.store(bigEndian: sum.checksum, at: at &+ 16)
        } else {
            // Add it again: the UDP header contains the length too.
            sum.add(transportLength)
            destination.store(bigEndian: transportLength, at: at &+ 4)
            destination.store(bigEndian: sum.udpChecksum, at: at &+ 6)
        }
        return total
    }

    /// Only the last segment has FIN and PSH, and only the first has CWR.
    private func flags(of index: Int) -> UInt16 {
        var flags = tcpFlags
        if index != count &- 1 {
            flags &= ~0x0009
        }
        if index != 0 {
            flags &= ~0x0080
        }
        return flags
    }
}

extension MutableRawSpan {
    /// Copies headers of at least 28 bytes. For so few bytes this is faster than a call of memcpy.
    @inline(__always)
    fileprivate mutating func copyHeader(
        _ count: Int, from source: RawSpan, at offset: Int, to target: Int
    ) {
        var at = 0
        while at &+ 8 <= count {
            storeBytes(
                of: source.loadNative(at: offset &+ at, as: UInt64.self),
                toByteOffset: target &+ at, as: UInt64.self)
            at &+= 8
        }
        // Copy the rest with a load that overlaps the last one.
        storeBytes(
            of: source.loadNative(at: offset &+ count &- 8, as: UInt64.self),
            toByteOffset: target &+ count &- 8, as: UInt64.self)
    }
}
