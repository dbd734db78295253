import Glibc

/// System calls that throw their errno and are repeated after EINTR.
///
/// `PacketSystemCall` has the calls of the packet path, which return errors as values.
enum SystemCall {
    /// Calls `body` until it is not interrupted. A negative result is an error in errno.
    @discardableResult
    static func call<Result: SignedInteger>(
        _ name: StaticString, _ body: () -> Result
    ) throws(SystemError) -> Result {
        while true {
            let result = body()
            if result >= 0 { return result }
            let code = errno
            if code != EINTR { throw SystemError(call: name, code: code) }
        }
    }

    /// As `call`, for a call that returns a new descriptor.
    static func descriptor(_ name: StaticString, _ body: () -> Int32) throws(SystemError)
        -> FileDescriptor
    {
        FileDescriptor(owning: try call(name, body))
    }

    static func socket(_ domain: Int32, _ type: Int32, _ protocol: Int32) throws(SystemError)
        -> FileDescriptor
    {
        try descriptor("socket") { Glibc.socket(domain, type, `protocol`) }
    }

    /// Sets an option of type int.
    static func setsockopt(
        _ fd: borrowing FileDescriptor, _ level: Int32, _ name: Int32, _ value: Int32
    )
        throws(SystemError)
    {
        var value = value
        let raw = fd.rawValue
        try call("setsockopt") {
            unsafe Glibc.setsockopt(
                raw, level, name, &value, socklen_t(MemoryLayout<Int32>.size))
        }
    }

    /// Reads an option of type int.
    static func getsockopt(_ fd: borrowing FileDescriptor, _ level: Int32, _ name: Int32)
        throws(SystemError) -> Int32
    {
        var value: Int32 = 0
        let raw = fd.rawValue
        try call("getsockopt") {
            var size = socklen_t(MemoryLayout<Int32>.size)
            return unsafe Glibc.getsockopt(raw, level, name, &value, &size)
        }
        return value
    }

    /// Reads up to `count` bytes; the result is empty at the end of the file.
    static func read(_ fd: borrowing FileDescriptor, count: Int) throws(SystemError) -> [UInt8] {
        let raw = fd.rawValue
        var bytes = [UInt8](repeating: 0, count: count)
        let length = try call("read") { unsafe Glibc.read(raw, &bytes, count) }
        return Array(bytes.prefix(length))
    }

    /// Writes all bytes.
    static func write(_ fd: borrowing FileDescriptor, _ bytes: [UInt8]) throws(SystemError) {
        let raw = fd.rawValue
        var done = 0
        while done < bytes.count {
            let rest = Array(bytes[done...])
            done += try call("write") { unsafe Glibc.write(raw, rest, rest.count) }
        }
    }
}
