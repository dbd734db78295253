import CLinux
import Glibc
import Packets

/// The messages of one `recvmmsg`, each a datagram or several joined ones (UDP_GRO), in slots of a buffer
/// that the caller passes to `receive`.
///
/// Allocates only in `init`. Control messages are decoded on access.
@safe
package struct ReceiveBatch: ~Copyable, @unchecked Sendable {
    /// The maximum number of messages of one call.
    package let slots: Int
    /// The number of messages of the last call.
    package private(set) var count = 0

    private let messages: UnsafeMutablePointer<clinux_mmsghdr>
    private let vectors: UnsafeMutablePointer<iovec>
    private let names: UnsafeMutablePointer<sockaddr_in6>
    private let controls: UnsafeMutableRawPointer
    private var base: UnsafeMutableRawPointer?

    /// A message has up to 65 535 bytes. The additional bytes distribute the starts of the slots over the
    /// sets of the cache; at a distance of 64 KiB, all would be in the same set.
    package static let slotByteCount = 65_536 + 1_536
    private static let controlByteCount = 128

    /// The required size of a buffer for `slots` messages.
    package static func bufferByteCount(slots: Int) -> Int {
        slots * slotByteCount
    }

    /// Allocates storage for `slots` messages, 1 to 1024.
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

    /// Receives the available messages without blocking.
    ///
    /// - Parameters:
    ///   - limit: the maximum number of messages, at least 1. The number of slots is a limit too.
    ///   - buffer: at least `bufferByteCount(slots:)` bytes.
    package mutating func receive(
        from socket: borrowing UDPSocket, atMost limit: Int = .max,
        into buffer: inout MutableRawSpan
    ) -> ReceiveResult {
        precondition(limit > 0)
        precondition(buffer.byteCount >= Self.bufferByteCount(slots: slots))
        // The last call changed the lengths of the used slots.
        for slot in 0..<count {
            resetLengths(slot)
        }
        count = 0
        let raw = socket.descriptor.rawValue
        let (messages, limit) = unsafe (messages, min(limit, slots))
        // The buffer outlives the call, and the vectors are used only during it.
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

    /// The offset of message `slot` in the buffer.
    package func offset(_ slot: Int) -> Int {
        precondition(slot >= 0 && slot < count)
        return slot * Self.slotByteCount
    }

    /// The length of message `slot`, of all its datagrams together.
    package func length(_ slot: Int) -> Int {
        precondition(slot >= 0 && slot < count)
        return unsafe min(Int(messages[slot].msg_len), Self.slotByteCount)
    }

    /// The length of each datagram of message `slot` (the last may be shorter); 0 for a single
    /// datagram.
    package func segmentSize(_ slot: Int) -> Int {
        guard
            let data = unsafe control(
                slot, Int32(clinux_SOL_UDP), Int32(clinux_UDP_GRO), atLeast: 4)
        else { return 0 }
        return Int(unsafe max(0, data.loadUnaligned(as: Int32.self)))
    }

    /// The remote of message `slot`.
    package func remote(_ slot: Int) -> SocketAddress {
        precondition(slot >= 0 && slot < count)
        return unsafe names[slot].decoded
    }

    /// The local address that message `slot` was sent to, and the interface it arrived at.
    package func source(_ slot: Int) -> SourceAddress? {
        let v4Size = MemoryLayout<clinux_in_pktinfo>.size
        if let data = unsafe control(slot, Int32(IPPROTO_IP), IP_PKTINFO, atLeast: v4Size) {
            let information = unsafe data.loadUnaligned(as: clinux_in_pktinfo.self)
            return SourceAddress(
                // Unlike ipi_addr, which may be a broadcast address, this can be a source address.
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

    /// The TOS or traffic class of message `slot`: DSCP and ECN.
    package func trafficClass(_ slot: Int) -> UInt8 {
        // One byte for IPv4, an int for IPv6.
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

    /// Whether message `slot` or its control messages were truncated.
    package func isTruncated(_ slot: Int) -> Bool {
        precondition(slot >= 0 && slot < count)
        let cut = Int32(MSG_TRUNC) | Int32(MSG_CTRUNC)
        return unsafe messages[slot].msg_hdr.msg_flags & cut != 0
    }

    /// The payload of the control message of a kind, nil if it is missing or shorter than `size`.
    private func control(_ slot: Int, _ level: Int32, _ type: Int32, atLeast size: Int)
        -> UnsafeRawPointer?
    {
        precondition(slot >= 0 && slot < count)
        let message = unsafe messages + slot
        // The kernel writes complete control messages, and CMSG_NXTHDR stays within msg_controllen.
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
