import CLinux
import Glibc

/// A netlink request under construction: `nlmsghdr`, a fixed part, then attributes (netlink(7),
/// rtnetlink(7)).
///
/// Integers are in native byte order. Each part is padded to four bytes. The length in the header is
/// always that of `bytes`.
struct NetlinkMessage {
    /// The message as it is written to the socket.
    private(set) var bytes: [UInt8]

    /// Starts a request. `flags` are added to NLM_F_REQUEST.
    init(type: Int32, flags: Int32) {
        bytes = []
        append(UInt32(0))
        append(UInt16(type))
        append(UInt16(NLM_F_REQUEST | flags))
        // Sequence number and port: zero, as each socket has one request at a time.
        append(UInt32(0))
        append(UInt32(0))
        storeLength()
    }

    /// Appends an integer of the fixed part.
    mutating func appendFixed<Value: FixedWidthInteger & BitwiseCopyable>(_ value: Value) {
        append(value)
        storeLength()
    }

    /// Appends an attribute with an integer.
    mutating func add<Value: FixedWidthInteger & BitwiseCopyable>(_ type: Int, _ value: Value) {
        nest(type) { $0.append(value) }
    }

    /// Appends an attribute with a NUL-terminated string.
    mutating func add(_ type: Int, _ value: String) {
        nest(type) { message in
            message.bytes += value.utf8
            message.bytes.append(0)
        }
    }

    /// Appends an attribute whose payload is what `body` appends.
    mutating func nest(_ type: Int, _ body: (inout NetlinkMessage) -> Void) {
        let start = bytes.count
        append(UInt16(0))
        append(UInt16(type))
        body(&self)
        store(UInt16(bytes.count - start), at: start)
        while bytes.count % 4 != 0 { bytes.append(0) }
        storeLength()
    }

    private mutating func storeLength() {
        store(UInt32(bytes.count), at: 0)
    }

    private mutating func append<Value: FixedWidthInteger & BitwiseCopyable>(_ value: Value) {
        // An integer has no padding: all of its bytes are initialized.
        unsafe Swift.withUnsafeBytes(of: value) { unsafe bytes.append(contentsOf: $0) }
    }

    private mutating func store<Value: FixedWidthInteger & BitwiseCopyable>(
        _ value: Value, at offset: Int
    ) {
        // As in `append`.
        unsafe Swift.withUnsafeBytes(of: value) {
            unsafe bytes.replaceSubrange(offset..<offset + $0.count, with: $0)
        }
    }
}
