import Packets

/// A socket that several threads share; it closes with its last owner.
package final class SharedSocket: Sendable {
    /// The socket.
    package let socket: UDPSocket

    init(_ socket: consuming UDPSocket) {
        self.socket = socket
    }
}

/// A shared socket as the worker has it that keeps its owner: used for each batch, and not counted for
/// it.
@safe
package struct HeldSocket: @unchecked Sendable {
    private let shared: Unmanaged<SharedSocket>

    /// To be used while somebody keeps `shared`.
    package init(_ shared: SharedSocket) {
        unsafe self.shared = .passUnretained(shared)
    }

    /// Sends a batch, as `SendBatch.flush`.
    package func flush(_ batch: inout SendBatch, from buffer: RawSpan) -> SendOutcome {
        // Kept by somebody, see above.
        unsafe shared._withUnsafeGuaranteedRef { batch.flush(to: $0.socket, from: buffer) }
    }

    /// Receives a batch, as `ReceiveBatch.receive`.
    package func receive(
        _ batch: inout ReceiveBatch, atMost limit: Int, into buffer: inout MutableRawSpan
    ) -> ReceiveResult {
        // Kept by somebody, see above.
        unsafe shared._withUnsafeGuaranteedRef {
            batch.receive(from: $0.socket, atMost: limit, into: &buffer)
        }
    }
}

/// The UDP sockets of one worker, both families on one port, shared with the control thread.
///
/// The kernel spreads remote ends over the pairs of a port, and keeps each on one of them.
package struct UDPSocketPair: Sendable {
    /// The socket of IPv4; nil on a host that was built without.
    package let v4: SharedSocket?
    /// The socket of IPv6; nil on a host that was built or started without.
    package let v6: SharedSocket?

    /// The port of both.
    package var port: UInt16 {
        v4?.socket.port ?? v6?.socket.port ?? 0
    }

    /// Whether runs of datagrams may be sent in one message; a device may refuse them still.
    package var hasSegmentation: Bool {
        v4?.socket.hasSegmentation ?? true && v6?.socket.hasSegmentation ?? true
    }

    /// Changes the firewall mark of both. EPERM without the right to. On an error nothing has changed:
    /// the right to do it is the same for both.
    package func set(mark: UInt32) throws(SystemError) {
        try v4?.socket.set(mark: mark)
        try v6?.socket.set(mark: mark)
    }

    /// Binds so many pairs to one port.
    ///
    /// - Parameter port: 0 for any that is free in both families.
    package static func bind(
        port: UInt16, count: Int = 1, options: UDPSocket.Options = UDPSocket.Options()
    ) throws(SystemError) -> [UDPSocketPair] {
        var attempts = port == 0 ? 100 : 1
        while true {
            attempts -= 1
            do throws(SystemError) {
                let first = try UDPSocketPair(port: port, sharing: .first, options: options)
                var all = [first]
                while all.count < count {
                    all.append(
                        try UDPSocketPair(port: first.port, sharing: .further, options: options))
                }
                return all
            } catch {
                // A port that is free in one family may be taken in the other: another one, then.
                guard error.isAddressInUse, attempts > 0 else { throw error }
            }
        }
    }

    private init(
        port: UInt16, sharing: UDPSocket.Sharing, options: UDPSocket.Options
    ) throws(SystemError) {
        v4 = try Self.bindIfSupported(.v4, port: port, sharing: sharing, options: options)
        let port = v4?.socket.port ?? port
        v6 = try Self.bindIfSupported(.v6, port: port, sharing: sharing, options: options)
        if v4 == nil, v6 == nil { throw .addressFamilyNotSupported }
    }

    private static func bindIfSupported(
        _ family: AddressFamily, port: UInt16, sharing: UDPSocket.Sharing,
        options: UDPSocket.Options
    ) throws(SystemError) -> SharedSocket? {
        do throws(SystemError) {
            return SharedSocket(
                try UDPSocket(family, port: port, sharing: sharing, options: options))
        } catch {
            if error.isFamilyMissing { return nil }
            throw error
        }
    }
}
