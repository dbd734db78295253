import Glibc

/// Limits how long one flush waits for a full socket or for memory. Afterwards datagrams are dropped.
struct Patience {
    private var waits = 0

    /// Waits up to 2 ms if the error may pass. Returns false if not, and after five waits.
    mutating func wait(for fd: Int32, _ code: Int32) -> Bool {
        guard waits < 5 else { return false }
        switch code {
        case EAGAIN: PacketSystemCall.waitUntilWritable(fd, milliseconds: 2)
        // poll(2) would report the socket as writable.
        case let code where SendBatch.isScarcity(code): Clock.pause(milliseconds: 1)
        default: return false
        }
        waits += 1
        return true
    }
}
