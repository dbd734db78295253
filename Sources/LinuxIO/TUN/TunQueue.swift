import Glibc
import Packets

/// One queue of a TUN: where packets are read and written. Errors are values here, since a packet
/// that cannot be written is dropped, not a reason to stop.
package struct TunQueue: ~Copyable, Sendable {
    /// Readable when packets wait.
    package let descriptor: FileDescriptor
    /// What the device is able to do.
    package let capabilities: TunDevice.Capabilities

    init(descriptor: consuming FileDescriptor, capabilities: TunDevice.Capabilities) {
        self.descriptor = descriptor
        self.capabilities = capabilities
    }

    /// Reads one packet, the virtio header (if there is one) first.
    ///
    /// - Parameters:
    ///   - buffer: where it goes to.
    ///   - offset: of the first byte in `buffer`.
    ///   - count: how much room there is; what does not fit is lost.
    package func read(into buffer: inout MutableRawSpan, at offset: Int, count: Int)
        -> PacketReadResult
    {
        precondition(offset >= 0 && count > 0 && offset <= buffer.byteCount - count)
        // The range was checked above.
        let raw = descriptor.rawValue
        let result = unsafe buffer.withUnsafeMutableBytes { bytes in
            guard let base = bytes.baseAddress else { return Int(-EINVAL) }
            return unsafe PacketSystemCall.read(raw, base + offset, count)
        }
        if result >= 0 { return .bytes(result) }
        switch Int32(-result) {
        case EAGAIN: return .wouldBlock
        case EBADFD: return .gone
        case let code: return .failed(code)
        }
    }

    /// Writes one packet, which lies in pieces: `header` (the virtio header, if the device has one,
    /// and what else was built for this packet), then `pieces` of `buffer`.
    package func write(
        header: RawSpan, pieces: inout GatherList, of buffer: RawSpan
    ) -> PacketWriteResult {
        let raw = descriptor.rawValue
        let result = unsafe header.withUnsafeBytes { header in
            unsafe buffer.withUnsafeBytes { buffer in
                let (vectors, count) = unsafe pieces.resolve(header: header, buffer: buffer)
                return unsafe PacketSystemCall.writev(raw, vectors, count)
            }
        }
        if result >= 0 { return .written }
        switch Int32(-result) {
        case EIO: return .down
        case EINVAL: return .refused
        case EAGAIN: return .wouldBlock
        case EBADFD: return .gone
        case let code: return .failed(code)
        }
    }
}

/// The pieces of a buffer that make up one packet, in order; made once and used again.
@safe
package struct GatherList: ~Copyable, @unchecked Sendable {
    /// How many pieces there is room for.
    package let capacity: Int
    /// How many pieces there are.
    package private(set) var count = 0
    // The first is for the header. Until `resolve`, a base is an offset into the buffer.
    private let vectors: UnsafeMutablePointer<iovec>
    private let offsets: UnsafeMutablePointer<Int>

    /// Makes room for `capacity` pieces, at most 1023 (UIO_MAXIOV less the header).
    package init(capacity: Int) {
        precondition((1...1023).contains(capacity))
        self.capacity = capacity
        unsafe vectors = .allocate(capacity: capacity + 1)
        unsafe vectors.initialize(repeating: iovec(), count: capacity + 1)
        unsafe offsets = .allocate(capacity: capacity)
        unsafe offsets.initialize(repeating: 0, count: capacity)
    }

    deinit {
        unsafe vectors.deallocate()
        unsafe offsets.deallocate()
    }

    /// Forgets all pieces.
    package mutating func removeAll() {
        count = 0
    }

    /// Adds `length` bytes at `offset` of the buffer.
    package mutating func append(offset: Int, length: Int) {
        precondition(count < capacity && offset >= 0 && length >= 0)
        unsafe offsets[count] = offset
        unsafe vectors[count + 1].iov_len = length
        count += 1
    }

    /// Turns offsets into addresses: every piece is checked to lie in the buffer.
    fileprivate mutating func resolve(
        header: UnsafeRawBufferPointer, buffer: UnsafeRawBufferPointer
    ) -> (vectors: UnsafePointer<iovec>, count: Int) {
        for index in 0..<count {
            let (offset, length) = unsafe (offsets[index], vectors[index + 1].iov_len)
            precondition(length <= buffer.count && offset <= buffer.count - length)
            unsafe vectors[index + 1].iov_base = UnsafeMutableRawPointer(
                mutating: buffer.baseAddress.map { unsafe $0 + offset })
        }
        unsafe vectors[0] = iovec(
            iov_base: UnsafeMutableRawPointer(mutating: header.baseAddress), iov_len: header.count)
        return unsafe (UnsafePointer(vectors), count + 1)
    }
}
