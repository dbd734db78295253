import Glibc

/// A system call that failed: its name as in man(2), and the errno.
package struct SystemError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The name of the call, `bind` for instance.
    package let call: StaticString
    /// The errno, positive.
    package let code: Int32

    /// Makes an error from a call and its errno.
    package init(call: StaticString, code: Int32) {
        self.call = call
        self.code = code
    }

    /// The kernel's words for the errno, "Address already in use" for instance.
    package var message: String {
        Self.message(of: code)
    }

    /// The call and the kernel's words, "bind: Address already in use" for instance.
    package var description: String {
        "\(call): \(message)"
    }

    package static func == (left: SystemError, right: SystemError) -> Bool {
        left.code == right.code && left.call.description == right.call.description
    }

    /// The kernel's words for an errno.
    package static func message(of code: Int32) -> String {
        // strerror_l answers from read-only memory or from the calling thread's own buffer.
        guard let text = unsafe strerror(code) else { return "errno \(code)" }
        return unsafe String(cString: text)
    }
}

extension SystemError {
    /// EADDRINUSE.
    package var isAddressInUse: Bool { code == EADDRINUSE }

    /// The kernel lacks the address family, or all its addresses are switched off.
    package var isFamilyMissing: Bool { code == EAFNOSUPPORT || code == EADDRNOTAVAIL }

    /// Another time it may go well: a link that is just renamed or moved, or no memory for a moment.
    package var isPassing: Bool { [ENODEV, ENOBUFS, ENOMEM, EAGAIN, EINTR].contains(code) }

    /// EAFNOSUPPORT of socket(2).
    package static var addressFamilyNotSupported: SystemError {
        SystemError(call: "socket", code: EAFNOSUPPORT)
    }
}

extension SystemError {
    /// E2BIG: more than there may be.
    package static var tooBig: SystemError { SystemError(call: "set", code: E2BIG) }

    /// EINVAL: makes no sense.
    package static var invalidArgument: SystemError { SystemError(call: "set", code: EINVAL) }
}

extension SignalDescriptor {
    /// The signals that end a daemon.
    package static var endings: [Int32] { [SIGINT, SIGTERM] }
}
