import CLanes

/// Batches by the lanes of vectors.
///
/// C takes packets by their addresses, so they are handed over in runs of as many as it works on at once.
extension ChaCha20Poly1305 {
    private static let runSize = 64

    static func sealWithLanes(
        _ packets: Span<AEADPacket>, in buffer: inout MutableRawSpan, key: borrowing SymmetricKey,
        of instructions: clanes_isa
    ) {
        unsafe buffer.withUnsafeMutableBytes { buffer in
            guard let base = unsafe buffer.octets else { return }
            var run = unsafe InlineArray<64, clanes_packet>(repeating: none(at: base))
            var start = 0
            while start < packets.count {
                let count = min(runSize, packets.count - start)
                for index in 0..<count {
                    let packet = packets[start + index]
                    // The range and its tag were checked.
                    unsafe run[index].text = unsafe base + packet.offset
                    unsafe run[index].length = packet.length
                    unsafe run[index].counter = packet.counter
                }
                var span = unsafe run.mutableSpan
                unsafe span.withUnsafeMutableBufferPointer { run in
                    guard let run = run.baseAddress else { return }
                    unsafe clanes_seal(instructions, run, count, key.secret.address)
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
            var run = unsafe InlineArray<64, clanes_packet>(repeating: none(at: base))
            var start = 0
            while start < packets.count {
                let end = min(start + runSize, packets.count)
                var count = 0
                for index in start..<end {
                    let packet = packets[index]
                    packets[index].isAuthentic = false
                    // A length below the tag's comes from the network.
                    guard packet.length >= tagSize else { continue }
                    // The range was checked.
                    unsafe run[count].text = unsafe base + packet.offset
                    unsafe run[count].length = packet.length - tagSize
                    unsafe run[count].counter = packet.counter
                    count += 1
                }
                var span = unsafe run.mutableSpan
                unsafe span.withUnsafeMutableBufferPointer { run in
                    guard let run = run.baseAddress else { return }
                    unsafe clanes_open(instructions, run, count, key.secret.address)
                }
                count = 0
                for index in start..<end where packets[index].length >= tagSize {
                    packets[index].isAuthentic = unsafe run[count].is_authentic
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
