import CIPsecMB

#if arch(x86_64) && canImport(CIPsecMBLibrary)
    // Only to link the library.
    import CIPsecMBLibrary
#endif

/// Batches with intel-ipsec-mb.
///
/// Each thread has a state, looked up once per batch. A thread without memory for one uses libsodium.
extension ChaCha20Poly1305 {
    static func sealWithIPsecMB(
        _ packets: Span<AEADPacket>, in buffer: inout MutableRawSpan, key: borrowing SymmetricKey
    ) {
        guard let state = unsafe cipsecmb_of_thread() else {
            return sealWithSodium(packets, in: &buffer, key: key)
        }
        unsafe buffer.withUnsafeMutableBytes { buffer in
            guard let base = unsafe buffer.octets else { return }
            for index in packets.indices {
                let packet = packets[index]
                // The range including the tag was checked.
                let isSealed = unsafe cipsecmb_seal(
                    state, base + packet.offset, packet.length, packet.counter, key.secret.address)
                // The self-test verified that jobs complete at once. Never send an unsealed packet.
                precondition(isSealed, "ipsec-mb did not complete a job")
            }
        }
    }

    static func openWithIPsecMB(
        _ packets: inout MutableSpan<AEADPacket>, in buffer: inout MutableRawSpan,
        key: borrowing SymmetricKey
    ) {
        guard let state = unsafe cipsecmb_of_thread() else {
            return openWithSodium(&packets, in: &buffer, key: key)
        }
        unsafe buffer.withUnsafeMutableBytes { buffer in
            guard let base = unsafe buffer.octets else { return refuseAll(&packets) }
            for index in packets.indices {
                let packet = packets[index]
                // A length below the tag size can come from the network.
                guard packet.length >= tagSize else {
                    packets[index].isAuthentic = false
                    continue
                }
                // The range was checked. If the tag is wrong, this zeroes the text.
                packets[index].isAuthentic = unsafe cipsecmb_open(
                    state, base + packet.offset, packet.length - tagSize, packet.counter,
                    key.secret.address)
            }
        }
    }
}
