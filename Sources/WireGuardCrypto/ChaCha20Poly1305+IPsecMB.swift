import CIPsecMB

#if arch(x86_64) && canImport(CIPsecMBLibrary)
    // For its name on the linker's command line.
    import CIPsecMBLibrary
#endif

/// Batches by intel-ipsec-mb.
///
/// Its state belongs to a thread, and is looked up once for a batch; a thread that finds no memory for
/// one goes on with libsodium.
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
                // The range and its tag were checked.
                let isSealed = unsafe cipsecmb_seal(
                    state, base + packet.offset, packet.length, packet.counter, key.secret.address)
                // The self-test saw that jobs are completed at once. Never send what is not sealed.
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
                // A length below the tag's comes from the network.
                guard packet.length >= tagSize else {
                    packets[index].isAuthentic = false
                    continue
                }
                // The range was checked. The text is zeroed if the tag is wrong.
                packets[index].isAuthentic = unsafe cipsecmb_open(
                    state, base + packet.offset, packet.length - tagSize, packet.counter,
                    key.secret.address)
            }
        }
    }
}
