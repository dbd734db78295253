import CLinux
import Glibc

/// Waits for many descriptors at once; level-triggered.
package struct Epoll: ~Copyable, Sendable {
    /// What to wait for. Errors and hang-ups are always reported.
    package struct Interest: OptionSet, Sendable {
        package let rawValue: UInt32

        package init(rawValue: UInt32) {
            self.rawValue = rawValue
        }

        /// Something can be read or accepted.
        package static let readable = Interest(rawValue: EPOLLIN.rawValue)
        /// Something can be written.
        package static let writable = Interest(rawValue: EPOLLOUT.rawValue)
        /// Report changes rather than states.
        package static let edgeTriggered = Interest(rawValue: EPOLLET.rawValue)
    }

    private let descriptor: FileDescriptor

    /// Makes an epoll instance.
    package init() throws(SystemError) {
        descriptor = try SystemCall.open("epoll_create1") {
            epoll_create1(Int32(EPOLL_CLOEXEC))
        }
    }

    /// Registers a descriptor; its events carry `token`. Closing the descriptor ends it, unless it
    /// was duplicated.
    package func add(
        _ fd: borrowing FileDescriptor, token: UInt64, for interest: Interest = .readable
    ) throws(SystemError) {
        try control(EPOLL_CTL_ADD, fd, token, interest)
    }

    /// Changes what is waited for.
    package func modify(
        _ fd: borrowing FileDescriptor, token: UInt64, for interest: Interest
    ) throws(SystemError) {
        try control(EPOLL_CTL_MOD, fd, token, interest)
    }

    /// Forgets a descriptor.
    package func remove(_ fd: borrowing FileDescriptor) throws(SystemError) {
        try control(EPOLL_CTL_DEL, fd, 0, [])
    }

    /// Waits until something happens, and fills `events`.
    ///
    /// - Parameter milliseconds: how long to wait at most; nil for ever, 0 not at all.
    /// - Returns: the number of events, 0 after the time has passed or a signal came.
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
        // The caller looks at its clock before it waits again.
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

/// What one call of `Epoll.wait` found; made once and used again.
@safe
package struct EpollEvents: ~Copyable, @unchecked Sendable {
    /// How many events one wait reports at most.
    package let capacity: Int
    /// How many the last one reported.
    package fileprivate(set) var count = 0
    fileprivate let base: UnsafeMutablePointer<epoll_event>

    /// Makes room for `capacity` events.
    package init(capacity: Int) {
        precondition(capacity > 0)
        self.capacity = capacity
        unsafe base = .allocate(capacity: capacity)
        unsafe base.initialize(repeating: epoll_event(), count: capacity)
    }

    deinit {
        unsafe base.deallocate()
    }

    /// The token of the descriptor that event `index` is about.
    package func token(_ index: Int) -> UInt64 {
        precondition(index >= 0 && index < count)
        return unsafe base[index].data.u64
    }

    /// Whether something can be read.
    package func isReadable(_ index: Int) -> Bool {
        flags(index) & EPOLLIN.rawValue != 0
    }

    /// Whether something can be written.
    package func isWritable(_ index: Int) -> Bool {
        flags(index) & EPOLLOUT.rawValue != 0
    }

    /// Whether the descriptor is in error or its other end has hung up: a TUN that was deleted.
    package func isBroken(_ index: Int) -> Bool {
        flags(index) & (EPOLLERR.rawValue | EPOLLHUP.rawValue) != 0
    }

    private func flags(_ index: Int) -> UInt32 {
        precondition(index >= 0 && index < count)
        return unsafe base[index].events
    }
}
