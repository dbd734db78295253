/// The header in front of each packet of a TUN with `IFF_VNET_HDR` (`struct virtio_net_hdr`, 10 bytes). Its
/// fields are in native byte order.
package struct VirtioNetHeader: Equatable, Sendable {
    /// The length of a header in bytes.
    @inlinable package static var byteCount: Int { 10 }

    /// The state of the checksum.
    package var flags: Flags
    /// How the packet must be segmented.
    package var segmentation: Segmentation
    /// The length of all headers in bytes. The value from the kernel may be wrong.
    package var headerLength: UInt16
    /// The payload bytes of each segment; the last may have fewer.
    package var segmentSize: UInt16
    /// Where the checksum starts: the offset of the transport header in the packet.
    package var checksumStart: UInt16
    /// The offset of the checksum field from `checksumStart`.
    package var checksumOffset: UInt16

    /// Makes a header; by default that of a complete packet that needs no segmentation.
    @inlinable
    package init(
        flags: Flags = [], segmentation: Segmentation = .none, headerLength: UInt16 = 0,
        segmentSize: UInt16 = 0, checksumStart: UInt16 = 0, checksumOffset: UInt16 = 0
    ) {
        self.flags = flags
        self.segmentation = segmentation
        self.headerLength = headerLength
        self.segmentSize = segmentSize
        self.checksumStart = checksumStart
        self.checksumOffset = checksumOffset
    }

    /// Parses the header at `offset`; nil if `bytes` is too short.
    @inlinable
    package init?(_ bytes: RawSpan, at offset: Int) {
        guard offset >= 0, bytes.byteCount &- offset >= Self.byteCount else { return nil }
        flags = Flags(rawValue: bytes.byte(at: offset))
        segmentation = Segmentation(rawValue: bytes.byte(at: offset + 1))
        headerLength = bytes.loadNative(at: offset + 2, as: UInt16.self)
        segmentSize = bytes.loadNative(at: offset + 4, as: UInt16.self)
        checksumStart = bytes.loadNative(at: offset + 6, as: UInt16.self)
        checksumOffset = bytes.loadNative(at: offset + 8, as: UInt16.self)
    }

    /// Stores the header at `offset`, where 10 bytes must be available.
    @inlinable
    package func store(in bytes: inout MutableRawSpan, at offset: Int) {
        bytes.store(byte: flags.rawValue, at: offset)
        bytes.store(byte: segmentation.rawValue, at: offset + 1)
        bytes.storeBytes(of: headerLength, toByteOffset: offset + 2, as: UInt16.self)
        bytes.storeBytes(of: segmentSize, toByteOffset: offset + 4, as: UInt16.self)
        bytes.storeBytes(of: checksumStart, toByteOffset: offset + 6, as: UInt16.self)
        bytes.storeBytes(of: checksumOffset, toByteOffset: offset + 8, as: UInt16.self)
    }

    /// `VIRTIO_NET_HDR_F_…`
    package struct Flags: OptionSet, Sendable {
        package let rawValue: UInt8

        @inlinable
        package init(rawValue: UInt8) {
            self.rawValue = rawValue
        }

        /// The checksum field holds a partial sum that must be completed.
        @inlinable package static var needsChecksum: Flags { Flags(rawValue: 1) }
        /// The checksum was verified.
        @inlinable package static var dataValid: Flags { Flags(rawValue: 2) }
    }

    /// `VIRTIO_NET_HDR_GSO_…`
    package struct Segmentation: RawRepresentable, Equatable, Sendable {
        package let rawValue: UInt8

        @inlinable
        package init(rawValue: UInt8) {
            self.rawValue = rawValue
        }

        /// One packet.
        @inlinable package static var none: Segmentation { Segmentation(rawValue: 0) }
        /// TCP over IPv4.
        @inlinable package static var tcp4: Segmentation { Segmentation(rawValue: 1) }
        /// UDP fragmentation (UFO), which we never enable.
        @inlinable package static var udpFragments: Segmentation { Segmentation(rawValue: 3) }
        /// TCP over IPv6.
        @inlinable package static var tcp6: Segmentation { Segmentation(rawValue: 4) }
        /// UDP datagrams of equal size, over either family (USO).
        @inlinable package static var udp: Segmentation { Segmentation(rawValue: 5) }

        /// The kind without the ECN bit.
        @inlinable package var withoutECN: Segmentation {
            Segmentation(rawValue: rawValue & ~0x80)
        }
    }
}
