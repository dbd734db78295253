import CLinux
import Glibc

/// Waits for events of several descriptors (epoll(7)), level-triggered by default.
package struct Epoll: ~Copyable, Sendable {
    /// The events to wait for. Errors and hang-ups are always reported.
    package struct Interest: OptionSet, Sendable {
        package let rawValue: UInt32

        package init(rawValue: UInt32) {
            self.rawValue = rawValue
        }

        /// Data can be read, or a connection accepted.
        package static let readable = Interest(rawValue: EPOLLIN.rawValue)
        /// Data can be written.
        package static let writable = Interest(rawValue: EPOLLOUT.rawValue)
        /// Edge-triggered: report changes instead of states.
        package static let edgeTriggered = Interest(rawValue: EPOLLET.rawValue)
    }

    private let descriptor: FileDescriptor

    /// Makes an epoll instance.
    package init() throws(SystemError) {
        descriptor = try SystemCall.descriptor("epoll_create1") {
            epoll_create1(Int32(EPOLL_CLOEXEC))
        }
    }

    /// Registers a descriptor; its events have this `token`. Closing the descriptor removes it, unless it
    /// was duplicated.
    package func add(
        _ fd: borrowing FileDescriptor, token: UInt64, for interest: Interest = .readable
    ) throws(SystemError) {
        try control(EPOLL_CTL_ADD, fd, token, interest)
    }

    /// Changes the token and events of a descriptor.
    package func modify(
        _ fd: borrowing FileDescriptor, token: UInt64, for interest: Interest
    ) throws(SystemError) {
        try control(EPOLL_CTL_MOD, fd, token, interest)
    }

    /// Removes a descriptor.
    package func remove(_ fd: borrowing FileDescriptor) throws(SystemError) {
        try control(EPOLL_CTL_DEL, fd, 0, [])
    }

    /// Waits for events and stores them in `events`.
    ///
    /// - Parameter milliseconds: the timeout; nil for none, 0 to return at once.
    /// - Returns: the number of events; 0 after a timeout or a signal.
    package func wait(into events: inout EpollEvents, milliseconds: Int32? = nil)
        throws(SystemError) -> Int
    {
        let count = unsafe epoll_wait(
            descriptor.rawValue, events.base, Int32(events.capacity), milliseconds ?? -1)
        if count >= 0 {
            events.count = Int(count)
            return Int(count)
        }
        events.count = 0
        let code = errno
        // Not repeated here: the caller computes the timeout again.
        if code == EINTR { return 0 }
        throw SystemError(call: "epoll_wait", code: code)
    }

    private func control(
        _ operation: Int32, _ fd: borrowing FileDescriptor, _ token: UInt64, _ interest: Interest
    ) throws(SystemError) {
        var event = unsafe epoll_event(
            events: interest.rawValue, data: epoll_data_t(u64: token))
        let (epoll, raw) = (descriptor.rawValue, fd.rawValue)
        try SystemCall.call("epoll_ctl") { unsafe epoll_ctl(epoll, operation, raw, &event) }
    }
}

/// The events of one `Epoll.wait`. Reuse it to avoid allocations.
@safe
package struct EpollEvents: ~Copyable, @unchecked Sendable {
    /// The maximum number of events of one wait.
    package let capacity: Int
    /// The number of events of the last wait.
    package fileprivate(set) var count = 0
    fileprivate let base: UnsafeMutablePointer<epoll_event>

    /// Allocates storage for `capacity` events, at least 1.
    package init(capacity: Int) {
        precondition(capacity > 0)
        self.capacity = capacity
        unsafe base = .allocate(capacity: capacity)
        unsafe base.initialize(repeating: epoll_event(), count: capacity)
    }

    deinit {
        unsafe base.deallocate()
    }

    /// The token of event `index`.
    package func token(_ index: Int) -> UInt64 {
        precondition(index >= 0 && index < count)
        return unsafe base[index].data.u64
    }

    /// Whether the descriptor is readable.
    package func isReadable(_ index: Int) -> Bool {
        flags(index) & EPOLLIN.rawValue != 0
    }

    /// Whether the descriptor is writable.
    package func isWritable(_ index: Int) -> Bool {
        flags(index) & EPOLLOUT.rawValue != 0
    }

    /// Whether the descriptor has an error or a hang-up, as a TUN has after it was deleted.
    package func isBroken(_ index: Int) -> Bool {
        flags(index) & (EPOLLERR.rawValue | EPOLLHUP.rawValue) != 0
    }

    private func flags(_ index: Int) -> UInt32 {
        precondition(index >= 0 && index < count)
        return unsafe base[index].events
    }
}
