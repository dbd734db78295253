import Packets

/// A socket that several threads share. It is closed with the last reference.
package final class SharedSocket: Sendable {
    /// The socket.
    package let socket: UDPSocket

    init(_ socket: consuming UDPSocket) {
        self.socket = socket
    }
}

/// An unowned reference to a shared socket, so that a worker does not change the reference count for each
/// batch.
@safe
package struct HeldSocket: @unchecked Sendable {
    private let shared: Unmanaged<SharedSocket>

    /// Makes a reference. The caller must keep `shared` alive while it is used.
    package init(_ shared: SharedSocket) {
        unsafe self.shared = .passUnretained(shared)
    }

    /// Sends a batch. See `SendBatch.flush`.
    package func flush(_ batch: inout SendBatch, from buffer: RawSpan) -> SendOutcome {
        // The caller of `init` keeps the socket alive.
        unsafe shared._withUnsafeGuaranteedRef { batch.flush(to: $0.socket, from: buffer) }
    }

    /// Receives a batch. See `ReceiveBatch.receive`.
    package func receive(
        _ batch: inout ReceiveBatch, atMost limit: Int, into buffer: inout MutableRawSpan
    ) -> ReceiveResult {
        // The caller of `init` keeps the socket alive.
        unsafe shared._withUnsafeGuaranteedRef {
            batch.receive(from: $0.socket, atMost: limit, into: &buffer)
        }
    }
}
