import CLinux
import Glibc

/// A netlink request under construction: header, fixed part, attributes; native byte order, each
/// part padded to four bytes.
struct NetlinkMessage {
    private(set) var bytes: [UInt8]

    /// Starts a request. `flags` come on top of NLM_F_REQUEST.
    init(type: Int32, flags: Int32) {
        bytes = []
        append(UInt32(0))
        append(UInt16(type))
        append(UInt16(NLM_F_REQUEST | flags))
        append(UInt32(0))
        append(UInt32(0))
        store(UInt32(bytes.count), at: 0)
    }

    /// A request about a link, with its `ifinfomsg`.
    static func link(
        type: Int32, flags: Int32, index: UInt32, setting interfaceFlags: UInt32 = 0,
        mask: UInt32 = 0
    ) -> NetlinkMessage {
        var message = NetlinkMessage(type: type, flags: flags)
        message.append(UInt32(AF_UNSPEC))
        message.append(index)
        message.append(interfaceFlags)
        message.append(mask)
        message.store(UInt32(message.bytes.count), at: 0)
        return message
    }

    /// A request for the IPv4 addresses of a link, with its `ifaddrmsg`.
    static func addresses(of index: UInt32) -> NetlinkMessage {
        var message = NetlinkMessage(type: Int32(RTM_GETADDR), flags: NLM_F_DUMP)
        message.append(UInt8(AF_INET))
        for _ in 0..<3 { message.append(UInt8(0)) }
        message.append(index)
        message.store(UInt32(message.bytes.count), at: 0)
        return message
    }

    /// Adds an `rtgenmsg` that names no family, with its padding.
    mutating func appendFamily() {
        append(UInt32(AF_UNSPEC))
        store(UInt32(bytes.count), at: 0)
    }

    /// Adds an attribute with an integer.
    mutating func add<Value: FixedWidthInteger & BitwiseCopyable>(_ type: Int, _ value: Value) {
        nest(type) { $0.append(value) }
    }

    /// Adds an attribute with a string and its NUL.
    mutating func add(_ type: Int, _ value: String) {
        nest(type) { message in
            message.bytes += value.utf8
            message.bytes.append(0)
        }
    }

    /// Adds an attribute whose payload `body` appends.
    mutating func nest(_ type: Int, _ body: (inout NetlinkMessage) -> Void) {
        let start = bytes.count
        append(UInt16(0))
        append(UInt16(type))
        body(&self)
        let length = UInt16(bytes.count - start)
        store(length, at: start)
        while bytes.count % 4 != 0 { bytes.append(0) }
        store(UInt32(bytes.count), at: 0)
    }

    private mutating func append<Value: FixedWidthInteger & BitwiseCopyable>(_ value: Value) {
        // Any integer is its bytes.
        unsafe Swift.withUnsafeBytes(of: value) { unsafe bytes.append(contentsOf: $0) }
    }

    private mutating func store<Value: FixedWidthInteger & BitwiseCopyable>(
        _ value: Value, at offset: Int
    ) {
        // Any integer is its bytes.
        unsafe Swift.withUnsafeBytes(of: value) {
            unsafe bytes.replaceSubrange(offset..<offset + $0.count, with: $0)
        }
    }
}

/// Messages or attributes that came from the kernel: a run of parts, each with its length and type.
/// A part whose length makes no sense ends the run.
struct NetlinkParts: Sequence, IteratorProtocol {
    /// One part: its type and its payload.
    struct Part {
        let type: Int
        let flags: UInt16
        let payload: ArraySlice<UInt8>

        /// The integer at `offset` of the payload; nil if it is shorter.
        func load<Value: FixedWidthInteger & BitwiseCopyable>(
            _ type: Value.Type, at offset: Int = 0
        ) -> Value? {
            NetlinkParts.load(type, payload, at: offset)
        }
    }

    /// Which kind of parts.
    enum Kind {
        /// `nlmsghdr`: a 32-bit length, type, flags, sequence number and port.
        case messages
        /// `rtattr`: a 16-bit length and a type.
        case attributes
    }

    private let kind: Kind
    private var rest: ArraySlice<UInt8>

    init(_ kind: Kind, _ bytes: ArraySlice<UInt8>) {
        self.kind = kind
        rest = bytes
    }

    mutating func next() -> Part? {
        let headerSize = kind == .messages ? 16 : 4
        guard rest.count >= headerSize else { return nil }
        let length: Int
        let type: Int
        var flags: UInt16 = 0
        switch kind {
        case .messages:
            length = Int(Self.load(UInt32.self, rest, at: 0) ?? 0)
            type = Int(Self.load(UInt16.self, rest, at: 4) ?? 0)
            flags = Self.load(UInt16.self, rest, at: 6) ?? 0
        case .attributes:
            length = Int(Self.load(UInt16.self, rest, at: 0) ?? 0)
            // The high bits say "nested" and "network byte order".
            type = Int((Self.load(UInt16.self, rest, at: 2) ?? 0) & 0x3FFF)
        }
        guard length >= headerSize, length <= rest.count else { return nil }
        let payload = rest.prefix(length).dropFirst(headerSize)
        rest = rest.dropFirst((length + 3) & ~3)
        return Part(type: type, flags: flags, payload: payload)
    }

    static func load<Value: FixedWidthInteger & BitwiseCopyable>(
        _ type: Value.Type, _ bytes: ArraySlice<UInt8>, at offset: Int
    ) -> Value? {
        let size = MemoryLayout<Value>.size
        guard offset >= 0, bytes.count - offset >= size else { return nil }
        // Checked above; any bytes are an integer.
        return unsafe bytes.withUnsafeBytes {
            unsafe $0.loadUnaligned(fromByteOffset: offset, as: Value.self)
        }
    }
}
