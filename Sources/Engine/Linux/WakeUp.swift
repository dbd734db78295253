import LinuxIO

/// Wakes a thread that waits for `event`.
package final class WakeUp: Sendable {
    package let event: EventDescriptor

    package init() throws(SystemError) {
        event = try EventDescriptor()
    }

    package func signal() {
        event.signal()
    }
}
