import Glibc
import Packets

/// A queue of a TUN, which reads and writes packets. Errors are values, as a packet that cannot be written
/// is dropped and the worker continues.
package struct TunQueue: ~Copyable, Sendable {
    /// Readable when packets are available.
    package let descriptor: FileDescriptor
    /// The features of the device.
    package let capabilities: TunDevice.Capabilities

    init(descriptor: consuming FileDescriptor, capabilities: TunDevice.Capabilities) {
        self.descriptor = descriptor
        self.capabilities = capabilities
    }

    /// Reads one packet, with its virtio header if the device has one.
    ///
    /// - Parameters:
    ///   - buffer: the destination.
    ///   - offset: the offset of the first byte in `buffer`.
    ///   - count: the maximum length. The kernel discards the rest of a longer packet.
    package func read(into buffer: inout MutableRawSpan, at offset: Int, count: Int)
        -> PacketReadResult
    {
        precondition(offset >= 0 && count > 0 && offset <= buffer.byteCount - count)
        // The precondition checked the range.
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

    /// Writes one packet: `header` (the virtio header, if the device has one, and other bytes made for this
    /// packet), then `pieces` of `buffer`.
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
