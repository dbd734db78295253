/// The header before each packet that a TUN with `IFF_VNET_HDR` delivers and takes
/// (`struct virtio_net_hdr`, 10 bytes). Its fields are in the byte order of the machine.
package struct VirtioNetHeader: Equatable, Sendable {
    /// The bytes that a header takes.
    @inlinable package static var byteCount: Int { 10 }

    /// What is said of the checksum.
    package var flags: Flags
    /// What the packet is to be cut into.
    package var segmentation: Segmentation
    /// The length of all headers. Not to be trusted when it comes from the kernel.
    package var headerLength: UInt16
    /// The payload bytes of each segment but the last.
    package var segmentSize: UInt16
    /// Where summing starts: the transport header, from the start of the packet.
    package var checksumStart: UInt16
    /// Where the checksum goes, from `checksumStart`.
    package var checksumOffset: UInt16

    /// The header of a packet that is whole and finished, unless told otherwise.
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

    /// Reads the header at `offset`; nil when `bytes` ends before it does.
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

    /// Stores the header at `offset`, where 10 bytes must be left.
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

        /// The checksum field holds a partial sum that is to be finished.
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

        /// One packet, not to be cut.
        @inlinable package static var none: Segmentation { Segmentation(rawValue: 0) }
        /// TCP over IPv4.
        @inlinable package static var tcp4: Segmentation { Segmentation(rawValue: 1) }
        /// UDP fragmentation (UFO), which is never asked for here.
        @inlinable package static var udpFragments: Segmentation { Segmentation(rawValue: 3) }
        /// TCP over IPv6.
        @inlinable package static var tcp6: Segmentation { Segmentation(rawValue: 4) }
        /// UDP datagrams of equal size, over either family (USO).
        @inlinable package static var udp: Segmentation { Segmentation(rawValue: 5) }

        /// The kind without the bit that says that ECN is in use.
        @inlinable package var withoutECN: Segmentation {
            Segmentation(rawValue: rawValue & ~0x80)
        }
    }
}
