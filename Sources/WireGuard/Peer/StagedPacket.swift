import Packets
import WireGuardCrypto

/// An inner packet that waits for a session, without padding; an empty one is a keepalive that waits.
///
/// It is plaintext, of which nothing is left when the last owner lets go: hence a class.
@safe
final class StagedPacket: @unchecked Sendable {
    // Sendable: the memory is written once, by `init`.
    private let base: UnsafeMutableRawPointer
    let byteCount: Int

    /// A copy of `bytes`.
    init(copying bytes: RawSpan) {
        byteCount = bytes.byteCount
        unsafe base = UnsafeMutableRawPointer.allocate(byteCount: byteCount, alignment: 1)
        unsafe bytes.withUnsafeBytes { bytes in
            guard let source = bytes.baseAddress else { return }
            // As long as the source.
            unsafe base.copyMemory(from: source, byteCount: bytes.count)
        }
    }

    deinit {
        var bytes = unsafe MutableRawSpan(_unsafeStart: base, byteCount: byteCount)
        bytes.wipe()
        unsafe base.deallocate()
    }

    var isEmpty: Bool { byteCount == 0 }

    /// Lends out the bytes.
    func withBytes<Result>(_ body: (RawSpan) -> Result) -> Result {
        // Initialized, and ours until deinit.
        body(unsafe RawSpan(_unsafeStart: base, byteCount: byteCount))
    }
}
