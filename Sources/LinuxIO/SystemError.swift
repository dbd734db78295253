import Glibc

/// The error of a system call.
package struct SystemError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The name of the call as in man(2), for example `bind`.
    package let call: StaticString
    /// The errno, positive.
    package let code: Int32

    /// Makes an error from a call and its errno.
    package init(call: StaticString, code: Int32) {
        self.call = call
        self.code = code
    }

    /// The description of the errno, for example "Address already in use".
    package var message: String {
        Self.message(of: code)
    }

    /// The call and the description of the errno, for example "bind: Address already in use".
    package var description: String {
        "\(call): \(message)"
    }

    package static func == (left: SystemError, right: SystemError) -> Bool {
        left.code == right.code && left.call.description == right.call.description
    }

    /// The description of an errno (strerror(3)).
    package static func message(of code: Int32) -> String {
        // glibc returns a constant or the calling thread's own buffer.
        guard let text = unsafe strerror(code) else { return "errno \(code)" }
        return unsafe String(cString: text)
    }
}

extension SystemError {
    /// EADDRINUSE.
    package var isAddressInUse: Bool { code == EADDRINUSE }

    /// The kernel lacks the address family, or the family has no addresses.
    package var isFamilyMissing: Bool { code == EAFNOSUPPORT || code == EADDRNOTAVAIL }

    /// The call may succeed later: a link is being renamed or moved, or memory is short.
    package var isPassing: Bool { [ENODEV, ENOBUFS, ENOMEM, EAGAIN, EINTR].contains(code) }

    /// EAFNOSUPPORT of socket(2).
    package static var addressFamilyNotSupported: SystemError {
        SystemError(call: "socket", code: EAFNOSUPPORT)
    }
}
