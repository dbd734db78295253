import CLinux
import Glibc

/// The system calls of the packet path. They return a count or the negated errno, so that an error costs
/// no more than a result, and are repeated after EINTR.
///
/// Tests/CFaults replaces these functions of the C library to inject errors.
@safe
enum PacketSystemCall {
    @inline(__always)
    private static func result(_ body: () -> Int) -> Int {
        while true {
            let result = body()
            if result >= 0 { return result }
            let code = errno
            if code != EINTR { return -Int(code) }
        }
    }

    static func read(
        _ fd: Int32, _ base: UnsafeMutableRawPointer, _ count: Int
    ) -> Int {
        result { unsafe Glibc.read(fd, base, count) }
    }

    static func writev(
        _ fd: Int32, _ pieces: UnsafePointer<iovec>, _ count: Int
    ) -> Int {
        result { unsafe Glibc.writev(fd, pieces, Int32(count)) }
    }

    static func recvmmsg(
        _ fd: Int32, _ messages: UnsafeMutablePointer<clinux_mmsghdr>, _ count: Int
    ) -> Int {
        result {
            Int(
                unsafe clinux_recvmmsg(fd, messages, UInt32(count), Int32(MSG_DONTWAIT)))
        }
    }

    static func sendmmsg(
        _ fd: Int32, _ messages: UnsafeMutablePointer<clinux_mmsghdr>, _ count: Int
    ) -> Int {
        result {
            Int(
                unsafe clinux_sendmmsg(fd, messages, UInt32(count), Int32(MSG_DONTWAIT)))
        }
    }

    /// Waits until a descriptor is writable, for up to `milliseconds`.
    static func waitUntilWritable(_ fd: Int32, milliseconds: Int32) {
        var request = pollfd(fd: fd, events: Int16(POLLOUT), revents: 0)
        // An error or EINTR only shortens the wait.
        _ = unsafe poll(&request, 1, milliseconds)
    }
}
