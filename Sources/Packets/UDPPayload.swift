/// The largest payloads of a UDP datagram.
package enum UDPPayload {
    /// Over IPv4: 65 535 less the IP header (20) and the UDP header (8).
    @inlinable package static var maximumIPv4: Int { 65_535 - 20 - 8 }
    /// Over IPv6: 65 535 less both headers (40 and 8). The kernel takes 65 527, because the length field
    /// of IPv6 does not count its own header; the margin is for headers that the kernel may add.
    @inlinable package static var maximumIPv6: Int { 65_535 - 40 - 8 }
}
