import CLinux
import Glibc

/// A connected, non-blocking Unix stream socket.
package struct UnixConnection: ~Copyable, Sendable {
    /// The result of a read or write.
    package enum Result: Equatable, Sendable {
        /// The number of bytes transferred, at least 1.
        case bytes(Int)
        /// No data is available, or the buffer of the socket is full.
        case wouldBlock
        /// The other end has closed the connection.
        case closed
        /// Any other errno.
        case failed(Int32)
    }

    /// The descriptor to poll.
    package let descriptor: FileDescriptor

    init(descriptor: consuming FileDescriptor) {
        self.descriptor = descriptor
    }

    /// Connects to a listening socket. EAGAIN if its backlog is full.
    package init(to path: String) throws(SystemError) {
        var name = sockaddr_un()
        guard name.encode(path) else { throw SystemError(call: "connect", code: ENAMETOOLONG) }
        let fd = try SystemCall.socket(AF_UNIX, Int32(clinux_STREAM), 0)
        let raw = fd.rawValue
        try SystemCall.call("connect") {
            unsafe name.withSocketAddress { unsafe connect(raw, $0, $1) }
        }
        descriptor = fd
    }

    /// Reads up to `count` bytes to `offset` of `buffer`.
    package func read(into buffer: inout MutableRawSpan, at offset: Int = 0, count: Int) -> Result {
        precondition(offset >= 0 && count > 0 && offset <= buffer.byteCount - count)
        let raw = descriptor.rawValue
        // The precondition checked the range.
        let result = unsafe buffer.withUnsafeMutableBytes { bytes in
            guard let base = bytes.baseAddress else { return 0 }
            return unsafe recv(raw, base + offset, count, Int32(MSG_DONTWAIT))
        }
        return result == 0 ? .closed : Self.outcome(result)
    }

    /// Writes as many bytes as fit the buffer of the socket.
    package func write(_ bytes: RawSpan) -> Result {
        let raw = descriptor.rawValue
        let flags = Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL)
        return Self.outcome(
            unsafe bytes.withUnsafeBytes { bytes in
                unsafe send(raw, bytes.baseAddress, bytes.count, flags)
            })
    }

    private static func outcome(_ result: Int) -> Result {
        if result >= 0 { return .bytes(result) }
        switch errno {
        // After EINTR, a level-triggered wait reports the descriptor again.
        case EAGAIN, EINTR: return .wouldBlock
        case EPIPE, ECONNRESET: return .closed
        case let code: return .failed(code)
        }
    }
}

extension sockaddr_un {
    /// Stores a path with its NUL. Returns false if it is empty, too long or contains NUL.
    mutating func encode(_ path: String) -> Bool {
        sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        return unsafe withUnsafeMutableBytes(of: &sun_path) { field in
            guard !bytes.isEmpty, bytes.count < field.count, !bytes.contains(0) else {
                return false
            }
            unsafe field.initializeMemory(as: UInt8.self, repeating: 0)
            unsafe field.copyBytes(from: bytes)
            return true
        }
    }

    func withSocketAddress(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32) -> Int32 {
        unsafe withUnsafePointer(to: self) { name in
            unsafe name.withMemoryRebound(to: sockaddr.self, capacity: 1) { name in
                unsafe body(name, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
    }
}
