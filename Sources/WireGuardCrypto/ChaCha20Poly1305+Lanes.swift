import CLanes

/// Batches with the SIMD code of Sources/CLanes.
///
/// C takes an array of addresses, so packets are passed in groups of as many as it processes at once.
extension ChaCha20Poly1305 {
    private static let groupSize = 64

    static func sealWithLanes(
        _ packets: Span<AEADPacket>, in buffer: inout MutableRawSpan, key: borrowing SymmetricKey,
        of instructions: clanes_isa
    ) {
        unsafe buffer.withUnsafeMutableBytes { buffer in
            guard let base = unsafe buffer.octets else { return }
            var group = unsafe InlineArray<64, clanes_packet>(repeating: none(at: base))
            var start = 0
            while start < packets.count {
                let count = min(groupSize, packets.count - start)
                for index in 0..<count {
                    let packet = packets[start + index]
                    // The range including the tag was checked.
                    unsafe group[index].text = unsafe base + packet.offset
                    unsafe group[index].length = packet.length
                    unsafe group[index].counter = packet.counter
                }
                var span = unsafe group.mutableSpan
                unsafe span.withUnsafeMutableBufferPointer { group in
                    guard let group = group.baseAddress else { return }
                    unsafe clanes_seal(instructions, group, count, key.secret.address)
                }
                start += count
            }
        }
    }

    static func openWithLanes(
        _ packets: inout MutableSpan<AEADPacket>, in buffer: inout MutableRawSpan,
        key: borrowing SymmetricKey, of instructions: clanes_isa
    ) {
        unsafe buffer.withUnsafeMutableBytes { buffer in
            guard let base = unsafe buffer.octets else { return refuseAll(&packets) }
            var group = unsafe InlineArray<64, clanes_packet>(repeating: none(at: base))
            var start = 0
            while start < packets.count {
                let end = min(start + groupSize, packets.count)
                var count = 0
                for index in start..<end {
                    let packet = packets[index]
                    packets[index].isAuthentic = false
                    // A length below the tag size can come from the network.
                    guard packet.length >= tagSize else { continue }
                    // The range was checked.
                    unsafe group[count].text = unsafe base + packet.offset
                    unsafe group[count].length = packet.length - tagSize
                    unsafe group[count].counter = packet.counter
                    count += 1
                }
                var span = unsafe group.mutableSpan
                unsafe span.withUnsafeMutableBufferPointer { group in
                    guard let group = group.baseAddress else { return }
                    unsafe clanes_open(instructions, group, count, key.secret.address)
                }
                count = 0
                for index in start..<end where packets[index].length >= tagSize {
                    packets[index].isAuthentic = unsafe group[count].is_authentic
                    count += 1
                }
                start = end
            }
        }
    }

    private static func none(at base: UnsafeMutablePointer<UInt8>) -> clanes_packet {
        unsafe clanes_packet(text: base, length: 0, counter: 0, is_authentic: false)
    }
}
