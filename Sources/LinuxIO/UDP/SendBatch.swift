import CLinux
import Glibc
import Packets

/// Messages for one `sendmmsg`, each a datagram or a segmented send (UDP_SEGMENT). Their bytes are in a
/// buffer that is passed to `flush`.
///
/// Allocates only in `init`. A message that cannot be sent is counted and does not delay the others.
@safe
package struct SendBatch: ~Copyable, @unchecked Sendable {
    /// The maximum number of messages.
    package let capacity: Int
    /// The address family of the sockets that send the batch.
    package let family: AddressFamily
    /// The number of messages.
    package private(set) var count = 0

    private let messages: UnsafeMutablePointer<clinux_mmsghdr>
    private let vectors: UnsafeMutablePointer<iovec>
    private let names: UnsafeMutablePointer<sockaddr_in6>
    private let controls: UnsafeMutableRawPointer
    private let entries: UnsafeMutablePointer<UDPTransmit<SegmentRange>>

    /// The maximum number of datagrams in a message; older kernels refuse more.
    package static let maximumSegments = 64
    /// The maximum number of bytes in a message: what the length field of IPv4 can express.
    package static let maximumByteCount = UDPPayload.maximumIPv4

    private static let controlByteCount = 96

    /// Allocates storage for `capacity` messages, 1 to 128.
    package init(capacity: Int, family: AddressFamily) {
        precondition((1...128).contains(capacity))
        self.capacity = capacity
        self.family = family
        unsafe messages = .allocate(capacity: capacity)
        unsafe vectors = .allocate(capacity: capacity)
        unsafe names = .allocate(capacity: capacity)
        unsafe controls = .allocate(byteCount: capacity * Self.controlByteCount, alignment: 16)
        unsafe entries = .allocate(capacity: capacity)
        unsafe vectors.initialize(repeating: iovec(), count: capacity)
        unsafe names.initialize(repeating: sockaddr_in6(), count: capacity)
        unsafe messages.initialize(repeating: clinux_mmsghdr(), count: capacity)
        unsafe entries.initialize(repeating: .empty, count: capacity)
        for index in 0..<capacity {
            unsafe messages[index].msg_hdr.msg_name = UnsafeMutableRawPointer(names + index)
            unsafe messages[index].msg_hdr.msg_iov = vectors + index
            unsafe messages[index].msg_hdr.msg_iovlen = 1
        }
    }

    deinit {
        unsafe messages.deallocate()
        unsafe vectors.deallocate()
        unsafe names.deallocate()
        unsafe controls.deallocate()
        unsafe entries.deallocate()
    }

    /// Whether the batch has `capacity` messages.
    package var isFull: Bool {
        count == capacity
    }

    /// Removes all messages, as `flush` does.
    ///
    /// - Returns: the number of their datagrams.
    package mutating func removeAll() -> Int {
        var datagrams = 0
        for index in 0..<count { unsafe datagrams += entries[index].bytes.datagramCount }
        count = 0
        return datagrams
    }

    /// Adds a message.
    ///
    /// The kernel looks up the route with the source. Only a link-local IPv6 source of a message to a
    /// remote without a scope forces its interface, because it has a meaning only there.
    ///
    /// - Parameter transmit: what to send. Its remote must be of this family; a source of the other
    ///   family is ignored.
    package mutating func append(_ transmit: UDPTransmit<SegmentRange>) {
        let bytes = transmit.bytes
        precondition(
            count < capacity && bytes.offset >= 0 && bytes.length >= 0 && bytes.segmentSize >= 0)
        precondition(transmit.remote.address.family == family)
        let index = count
        count += 1
        var entry = transmit
        // The kernel rejects a segment size above the length.
        if bytes.segmentSize >= bytes.length { entry.bytes.segmentSize = 0 }
        if entry.source?.address.family != family { entry.source = nil }
        if entry.source?.needsInterface(to: transmit.remote) == false {
            entry.source?.interfaceIndex = 0
        }
        unsafe entries[index] = entry
        unsafe messages[index].msg_hdr.msg_namelen = names[index].encode(transmit.remote)
        describe(index, source: entry.source, segmentSize: entry.bytes.segmentSize)
    }

    /// Sends all messages in order, and removes them.
    package mutating func flush(to socket: borrowing UDPSocket, from buffer: RawSpan)
        -> SendOutcome
    {
        precondition(socket.family == family)
        var outcome = SendOutcome()
        unsafe buffer.withUnsafeBytes { bytes in
            unsafe send(to: socket.descriptor.rawValue, bytes, &outcome)
        }
        count = 0
        return outcome
    }

    private func send(
        to fd: Int32, _ buffer: UnsafeRawBufferPointer, _ outcome: inout SendOutcome
    ) {
        for index in 0..<count {
            let (offset, length) = unsafe (entries[index].bytes.offset, entries[index].bytes.length)
            precondition(length <= buffer.count && offset <= buffer.count - length)
            unsafe aim(index, buffer, offset, length)
        }
        var patience = Patience()
        var index = 0
        while index < count {
            let result = unsafe PacketSystemCall.sendmmsg(fd, messages + index, count - index)
            if result > 0 {
                // If fewer than requested were sent, the next call reports the error.
                index += result
                outcome.sent += result
                continue
            }
            let code = Int32(-result)
            if patience.wait(for: fd, code) { continue }
            if unsafe sendOtherwise(index, to: fd, buffer, &patience, &outcome) {
                outcome.sent += 1
            }
            index += 1
        }
    }

    /// Sends a refused message again, then in other ways.
    ///
    /// First unchanged: the errno may be that of an earlier datagram (ECONNREFUSED), or have passed. Then
    /// without the source, as the host may no longer have the address. Then each datagram separately: the
    /// kernel returns EIO for a device without checksum offload, EMSGSIZE (older kernels EINVAL) if a
    /// datagram needs fragmentation, and memory may suffice for a smaller message.
    ///
    /// - Returns: whether at least a part was sent. The rest is counted in `outcome`.
    private func sendOtherwise(
        _ index: Int, to fd: Int32, _ buffer: UnsafeRawBufferPointer,
        _ patience: inout Patience, _ outcome: inout SendOutcome
    ) -> Bool {
        let entry = unsafe entries[index]
        var result = unsafe PacketSystemCall.sendmmsg(fd, messages + index, 1)
        if result > 0 { return true }
        if entry.source != nil, Self.blamesSource(Int32(-result)) {
            describe(index, source: nil, segmentSize: entry.bytes.segmentSize)
            result = unsafe PacketSystemCall.sendmmsg(fd, messages + index, 1)
            if result > 0 {
                outcome.staleSources |= 1 << UInt128(index)
                return true
            }
            // Not only the source is at fault. `sendOne` tries it again.
        }
        let code = Int32(-result)
        guard entry.bytes.segmentSize > 0, Self.blamesSegmentation(code) || Self.isScarcity(code)
        else {
            outcome.drop(entry.bytes.datagramCount, code)
            return false
        }
        var source = entry.source
        var isSent = false
        var offset = 0
        while offset < entry.bytes.length {
            let length = min(entry.bytes.segmentSize, entry.bytes.length - offset)
            unsafe aim(index, buffer, entry.bytes.offset + offset, length)
            offset += length
            if sendOne(index, to: fd, &source, &patience, &outcome) { isSent = true }
        }
        if isSent, Self.blamesSegmentation(code), outcome.segmentationFailure == nil {
            outcome.segmentationFailure = SegmentationFailure(
                index: index, code: code, isOfPath: code == EMSGSIZE || code == EINVAL)
        }
        return isSent
    }

    /// Sends one datagram of a segmented send separately.
    private func sendOne(
        _ index: Int, to fd: Int32, _ source: inout SourceAddress?, _ patience: inout Patience,
        _ outcome: inout SendOutcome
    ) -> Bool {
        var isLastTry = false
        while true {
            describe(index, source: source, segmentSize: 0)
            let result = unsafe PacketSystemCall.sendmmsg(fd, messages + index, 1)
            if result > 0 { return true }
            let code = Int32(-result)
            if patience.wait(for: fd, code) { continue }
            if !isLastTry {
                isLastTry = true
                continue
            }
            if source != nil, Self.blamesSource(code) {
                source = nil
                outcome.staleSources |= 1 << UInt128(index)
                continue
            }
            outcome.drop(1, code)
            return false
        }
    }

    private static func blamesSource(_ code: Int32) -> Bool {
        switch code {
        case EINVAL, ENETUNREACH, EHOSTUNREACH, ENODEV, ENXIO, EADDRNOTAVAIL: true
        default: false
        }
    }

    private static func blamesSegmentation(_ code: Int32) -> Bool {
        switch code {
        case EIO, EINVAL, EMSGSIZE, EOPNOTSUPP: true
        default: false
        }
    }

    /// Whether memory or a queue is full.
    static func isScarcity(_ code: Int32) -> Bool {
        code == ENOBUFS || code == ENOMEM
    }

    /// Sets the bytes of a message. The caller has checked the range.
    private func aim(
        _ index: Int, _ buffer: UnsafeRawBufferPointer, _ offset: Int, _ length: Int
    ) {
        unsafe vectors[index] = iovec(
            iov_base: UnsafeMutableRawPointer(
                mutating: buffer.baseAddress.map { unsafe $0 + offset }), iov_len: length)
    }

    /// Writes the control messages: segment size, source and traffic class, as far as present.
    private func describe(_ index: Int, source: SourceAddress?, segmentSize: Int) {
        var control = unsafe ControlWriter(
            base: controls + index * Self.controlByteCount, capacity: Self.controlByteCount)
        if segmentSize > 0 {
            unsafe control.append(
                Int32(clinux_SOL_UDP), Int32(clinux_UDP_SEGMENT),
                UInt16(clamping: segmentSize))
        }
        switch source?.address {
        case .v4(let address):
            unsafe control.append(
                Int32(IPPROTO_IP), IP_PKTINFO,
                clinux_in_pktinfo(
                    ipi_ifindex: Int32(truncatingIfNeeded: source?.interfaceIndex ?? 0),
                    ipi_spec_dst: address.bits.bigEndian, ipi_addr: 0))
        case .v6(let address):
            unsafe control.append(
                Int32(IPPROTO_IPV6), Int32(clinux_IPV6_PKTINFO),
                PacketInformation6(
                    high: address.high.bigEndian, low: address.low.bigEndian,
                    index: source?.interfaceIndex ?? 0), byteCount: 20)
        case nil: break
        }
        let trafficClass = unsafe entries[index].trafficClass
        if trafficClass != 0 {
            let (level, type) =
                family == .v4
                ? (Int32(IPPROTO_IP), IP_TOS) : (Int32(IPPROTO_IPV6), Int32(clinux_IPV6_TCLASS))
            unsafe control.append(level, type, Int32(trafficClass))
        }
        unsafe messages[index].msg_hdr.msg_control = control.length == 0 ? nil : control.base
        unsafe messages[index].msg_hdr.msg_controllen = control.length
    }
}
