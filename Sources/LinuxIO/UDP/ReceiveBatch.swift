import CLinux
import Glibc
import Packets

/// What one `recvmmsg` brought: datagrams, or runs of datagrams of one flow (UDP_GRO), in slots of a
/// buffer that is passed in and stays its owner's.
///
/// All storage is made once. What the kernel said about a message is decoded when it is asked for.
@safe
package struct ReceiveBatch: ~Copyable, @unchecked Sendable {
    /// How many messages one call takes at most.
    package let slots: Int
    /// How many the last one took.
    package private(set) var count = 0

    private let messages: UnsafeMutablePointer<clinux_mmsghdr>
    private let vectors: UnsafeMutablePointer<iovec>
    private let names: UnsafeMutablePointer<sockaddr_in6>
    private let controls: UnsafeMutableRawPointer
    private var base: UnsafeMutableRawPointer?

    /// A message has at most 65 535 bytes. The rest spreads the starts of the slots over the sets of
    /// the cache: at a distance of 64 KiB all would fall into the same.
    package static let slotByteCount = 65_536 + 1_536
    private static let controlByteCount = 128

    /// How large a buffer must be for so many slots.
    package static func bufferByteCount(slots: Int) -> Int {
        slots * slotByteCount
    }

    /// Makes room for `slots` messages, 1 to 1024.
    package init(slots: Int) {
        precondition((1...1024).contains(slots))
        self.slots = slots
        unsafe messages = .allocate(capacity: slots)
        unsafe vectors = .allocate(capacity: slots)
        unsafe names = .allocate(capacity: slots)
        unsafe controls = .allocate(byteCount: slots * Self.controlByteCount, alignment: 16)
        unsafe base = nil
        unsafe vectors.initialize(repeating: iovec(), count: slots)
        unsafe names.initialize(repeating: sockaddr_in6(), count: slots)
        unsafe messages.initialize(repeating: clinux_mmsghdr(), count: slots)
        for slot in 0..<slots {
            unsafe messages[slot].msg_hdr.msg_name = UnsafeMutableRawPointer(names + slot)
            unsafe messages[slot].msg_hdr.msg_iov = vectors + slot
            unsafe messages[slot].msg_hdr.msg_iovlen = 1
            unsafe messages[slot].msg_hdr.msg_control = controls + slot * Self.controlByteCount
            resetLengths(slot)
        }
    }

    deinit {
        unsafe messages.deallocate()
        unsafe vectors.deallocate()
        unsafe names.deallocate()
        unsafe controls.deallocate()
    }

    /// Takes what waits at a socket, without waiting.
    ///
    /// - Parameters:
    ///   - limit: the most messages, from 1; more than there are slots are not taken.
    ///   - buffer: of at least `bufferByteCount(slots:)` bytes.
    package mutating func receive(
        from socket: borrowing UDPSocket, atMost limit: Int = .max,
        into buffer: inout MutableRawSpan
    ) -> ReceiveResult {
        precondition(limit > 0)
        precondition(buffer.byteCount >= Self.bufferByteCount(slots: slots))
        // The kernel has written over the lengths of the messages that it used.
        for slot in 0..<count {
            resetLengths(slot)
        }
        count = 0
        let raw = socket.descriptor.rawValue
        let (messages, limit) = unsafe (messages, min(limit, slots))
        // The buffer outlives the call, and the vectors are used in the call only.
        let result = unsafe buffer.withUnsafeMutableBytes { bytes in
            unsafe point(at: bytes.baseAddress)
            return unsafe PacketSystemCall.recvmmsg(raw, messages, limit)
        }
        if result >= 0 {
            count = result
            return .messages(result)
        }
        let code = Int32(-result)
        return code == EAGAIN ? .wouldBlock : .failed(code)
    }

    /// Where message `slot` lies in the buffer.
    package func offset(_ slot: Int) -> Int {
        precondition(slot >= 0 && slot < count)
        return slot * Self.slotByteCount
    }

    /// How many bytes message `slot` has, all of its datagrams together.
    package func length(_ slot: Int) -> Int {
        precondition(slot >= 0 && slot < count)
        return unsafe min(Int(messages[slot].msg_len), Self.slotByteCount)
    }

    /// The length of each datagram of the run in `slot` (only the last may be shorter); 0 if it is a
    /// single one.
    package func segmentSize(_ slot: Int) -> Int {
        guard
            let data = unsafe control(
                slot, Int32(clinux_SOL_UDP), Int32(clinux_UDP_GRO), atLeast: 4)
        else { return 0 }
        return Int(unsafe max(0, data.loadUnaligned(as: Int32.self)))
    }

    /// Who sent message `slot`.
    package func remote(_ slot: Int) -> SocketAddress {
        precondition(slot >= 0 && slot < count)
        return unsafe names[slot].decoded
    }

    /// Which of our addresses message `slot` was sent to, and the interface that it came in by.
    package func source(_ slot: Int) -> SourceAddress? {
        let v4Size = MemoryLayout<clinux_in_pktinfo>.size
        if let data = unsafe control(slot, Int32(IPPROTO_IP), IP_PKTINFO, atLeast: v4Size) {
            let information = unsafe data.loadUnaligned(as: clinux_in_pktinfo.self)
            return SourceAddress(
                // Not ipi_addr, which may be a broadcast address: this is what may be sent from.
                address: .v4(IPv4Address(bits: UInt32(bigEndian: information.ipi_spec_dst))),
                interfaceIndex: UInt32(bitPattern: information.ipi_ifindex))
        }
        let v6Size = MemoryLayout<clinux_in6_pktinfo>.size
        let v6Type = Int32(clinux_IPV6_PKTINFO)
        if let data = unsafe control(slot, Int32(IPPROTO_IPV6), v6Type, atLeast: v6Size) {
            let high = unsafe data.loadUnaligned(as: UInt64.self)
            let low = unsafe data.loadUnaligned(fromByteOffset: 8, as: UInt64.self)
            let index = unsafe data.loadUnaligned(fromByteOffset: 16, as: UInt32.self)
            return SourceAddress(
                address: .v6(
                    IPv6Address(high: UInt64(bigEndian: high), low: UInt64(bigEndian: low))),
                interfaceIndex: index)
        }
        return nil
    }

    /// The TOS or traffic class that message `slot` arrived with: DSCP and ECN.
    package func trafficClass(_ slot: Int) -> UInt8 {
        // IPv4 has one byte, IPv6 an int.
        if let data = unsafe control(slot, Int32(IPPROTO_IP), IP_TOS, atLeast: 1) {
            return unsafe data.load(as: UInt8.self)
        }
        let v6Type = Int32(clinux_IPV6_TCLASS)
        guard let data = unsafe control(slot, Int32(IPPROTO_IPV6), v6Type, atLeast: 4) else {
            return 0
        }
        return UInt8(truncatingIfNeeded: unsafe data.loadUnaligned(as: Int32.self))
    }

    /// Message `slot`.
    package func arrival(_ slot: Int) -> UDPArrival<SegmentRange> {
        UDPArrival(
            // A truncated datagram fails its tag, or is not a message at all.
            bytes: SegmentRange(
                offset: offset(slot), length: length(slot), segmentSize: segmentSize(slot)),
            remote: remote(slot), source: source(slot), trafficClass: trafficClass(slot))
    }

    /// Whether message `slot` was cut short, its bytes or what the kernel had to say about it.
    package func isTruncated(_ slot: Int) -> Bool {
        precondition(slot >= 0 && slot < count)
        let cut = Int32(MSG_TRUNC) | Int32(MSG_CTRUNC)
        return unsafe messages[slot].msg_hdr.msg_flags & cut != 0
    }

    /// The payload of a control message, if the kernel sent one of that kind and length.
    private func control(_ slot: Int, _ level: Int32, _ type: Int32, atLeast size: Int)
        -> UnsafeRawPointer?
    {
        precondition(slot >= 0 && slot < count)
        let message = unsafe messages + slot
        // The kernel writes whole control messages within msg_controllen, and CMSG_NXTHDR stays in.
        var header = unsafe clinux_cmsg_first(&message.pointee.msg_hdr)
        while let present = unsafe header {
            if unsafe present.pointee.cmsg_level == level && present.pointee.cmsg_type == type
                && present.pointee.cmsg_len >= clinux_cmsg_len(size)
            {
                return unsafe UnsafeRawPointer(clinux_cmsg_data(present))
            }
            unsafe header = clinux_cmsg_next(&message.pointee.msg_hdr, present)
        }
        return nil
    }

    private func resetLengths(_ slot: Int) {
        unsafe messages[slot].msg_hdr.msg_namelen = socklen_t(MemoryLayout<sockaddr_in6>.size)
        unsafe messages[slot].msg_hdr.msg_controllen = Self.controlByteCount
    }

    private mutating func point(at buffer: UnsafeMutableRawPointer?) {
        guard unsafe buffer != base, let buffer = unsafe buffer else { return }
        for slot in 0..<slots {
            unsafe vectors[slot] = iovec(
                iov_base: buffer + slot * Self.slotByteCount, iov_len: Self.slotByteCount)
        }
        unsafe base = buffer
    }
}
