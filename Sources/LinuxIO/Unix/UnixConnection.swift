import CLinux
import Glibc

/// One client of the configuration socket; never blocking.
package struct UnixConnection: ~Copyable, Sendable {
    /// What became of a read or a write.
    package enum Result: Equatable, Sendable {
        /// So many bytes were moved, at least one.
        case bytes(Int)
        /// Nothing is there, or there is no room.
        case wouldBlock
        /// The client has hung up.
        case closed
        /// Another errno.
        case failed(Int32)
    }

    /// To wait for.
    package let descriptor: FileDescriptor

    init(descriptor: consuming FileDescriptor) {
        self.descriptor = descriptor
    }

    /// Connects to a socket by its name. EAGAIN if as many clients wait as can.
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

    /// Reads what is there, at most `count` bytes to `offset` of `buffer`.
    package func read(into buffer: inout MutableRawSpan, at offset: Int = 0, count: Int) -> Result {
        precondition(offset >= 0 && count > 0 && offset <= buffer.byteCount - count)
        let raw = descriptor.rawValue
        // The range was checked above.
        let result = unsafe buffer.withUnsafeMutableBytes { bytes in
            guard let base = bytes.baseAddress else { return 0 }
            return unsafe recv(raw, base + offset, count, Int32(MSG_DONTWAIT))
        }
        return result == 0 ? .closed : Self.outcome(result)
    }

    /// Writes as much of `bytes` as there is room for.
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
        // Interrupted: level-triggered waiting brings the caller back.
        case EAGAIN, EINTR: return .wouldBlock
        case EPIPE, ECONNRESET: return .closed
        case let code: return .failed(code)
        }
    }
}

extension sockaddr_un {
    /// Stores a name with its NUL; false if it does not fit.
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
