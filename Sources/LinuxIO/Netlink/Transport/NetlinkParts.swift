/// The messages of a datagram from the kernel, or the attributes of a message.
///
/// The sequence ends at the first part whose length is shorter than its header or longer than the rest.
struct NetlinkParts: Sequence, IteratorProtocol {
    /// The layout of the parts.
    enum Kind {
        /// `nlmsghdr`: a 32-bit length, type, flags, sequence number and port.
        case messages
        /// `rtattr`: a 16-bit length and a type.
        case attributes

        fileprivate var headerByteCount: Int {
            switch self {
            case .messages: 16
            case .attributes: 4
            }
        }
    }

    /// One message or attribute.
    struct Part {
        /// `nlmsg_type`, or `rta_type` without its flag bits.
        let type: Int
        /// `nlmsg_flags`; 0 for an attribute.
        let flags: UInt16
        /// The bytes after the header.
        let payload: ArraySlice<UInt8>

        /// Loads the integer at `offset` of the payload; nil if the payload is too short.
        func load<Value: FixedWidthInteger & BitwiseCopyable>(
            _ type: Value.Type, at offset: Int = 0
        ) -> Value? {
            NetlinkParts.load(type, payload, at: offset)
        }
    }

    private let kind: Kind
    private var rest: ArraySlice<UInt8>

    init(_ kind: Kind, _ bytes: ArraySlice<UInt8>) {
        self.kind = kind
        rest = bytes
    }

    mutating func next() -> Part? {
        guard rest.count >= kind.headerByteCount else { return nil }
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
            // The two high bits are NLA_F_NESTED and NLA_F_NET_BYTEORDER.
            type = Int((Self.load(UInt16.self, rest, at: 2) ?? 0) & 0x3FFF)
        }
        guard length >= kind.headerByteCount, length <= rest.count else { return nil }
        let payload = rest.prefix(length).dropFirst(kind.headerByteCount)
        rest = rest.dropFirst((length + 3) & ~3)
        return Part(type: type, flags: flags, payload: payload)
    }

    /// Loads the integer at `offset` of `bytes`; nil if they are too short.
    static func load<Value: FixedWidthInteger & BitwiseCopyable>(
        _ type: Value.Type, _ bytes: ArraySlice<UInt8>, at offset: Int
    ) -> Value? {
        let size = MemoryLayout<Value>.size
        guard offset >= 0, bytes.count - offset >= size else { return nil }
        // The guard checked the range, and every bit pattern is an integer.
        return unsafe bytes.withUnsafeBytes {
            unsafe $0.loadUnaligned(fromByteOffset: offset, as: Value.self)
        }
    }
}
