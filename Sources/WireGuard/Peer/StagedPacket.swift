import Packets
import WireGuardCrypto

/// A packet that waits for a session, without padding. An empty one is a keepalive.
///
/// A class, so that its plaintext is wiped when the last reference is released.
@safe
final class StagedPacket: @unchecked Sendable {
    // Sendable: only `init` writes the memory.
    private let base: UnsafeMutableRawPointer
    let byteCount: Int

    /// Copies `bytes`.
    init(copying bytes: RawSpan) {
        byteCount = bytes.byteCount
        unsafe base = UnsafeMutableRawPointer.allocate(byteCount: byteCount, alignment: 1)
        unsafe bytes.withUnsafeBytes { bytes in
            guard let source = bytes.baseAddress else { return }
            // The memory is as long as the source.
            unsafe base.copyMemory(from: source, byteCount: bytes.count)
        }
    }

    deinit {
        var bytes = unsafe MutableRawSpan(_unsafeStart: base, byteCount: byteCount)
        bytes.wipe()
        unsafe base.deallocate()
    }

    /// Whether this is a keepalive: it holds no packet, so its loss is not counted as a drop.
    var isKeepalive: Bool { byteCount == 0 }

    /// Calls `body` with the bytes.
    func withBytes<Result>(_ body: (RawSpan) -> Result) -> Result {
        // Initialized by `init`, and valid until `deinit`.
        body(unsafe RawSpan(_unsafeStart: base, byteCount: byteCount))
    }
}
