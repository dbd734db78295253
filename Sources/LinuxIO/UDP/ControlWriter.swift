import CLinux
import Glibc

/// `in6_pktinfo` with the address as two integers: 20 bytes, then padding.
struct PacketInformation6 {
    var high: UInt64
    var low: UInt64
    var index: UInt32
}

/// Writes consecutive control messages (cmsg(3)).
@unsafe
struct ControlWriter {
    let base: UnsafeMutableRawPointer
    let capacity: Int
    var length = 0

    init(base: UnsafeMutableRawPointer, capacity: Int) {
        unsafe self.base = unsafe base
        unsafe self.capacity = capacity
    }

    mutating func append<Value: BitwiseCopyable>(
        _ level: Int32, _ type: Int32, _ value: Value, byteCount: Int = MemoryLayout<Value>.size
    ) {
        let space = clinux_cmsg_space(byteCount)
        unsafe precondition(length + space <= capacity)
        let header = unsafe (base + length).bindMemory(to: cmsghdr.self, capacity: 1)
        unsafe header.pointee = cmsghdr()
        unsafe header.pointee.cmsg_level = level
        unsafe header.pointee.cmsg_type = type
        unsafe header.pointee.cmsg_len = clinux_cmsg_len(byteCount)
        unsafe withUnsafeBytes(of: value) { bytes in
            unsafe clinux_cmsg_data(header).copyMemory(
                from: bytes.baseAddress ?? UnsafeRawPointer(base), byteCount: byteCount)
        }
        unsafe length += space
    }
}
