import CLinux
import Glibc

/// What the process may do, and what it gives up.
package enum ProcessRights {
    /// Whether CAP_NET_ADMIN is effective: interfaces, marks, large buffers.
    package static var hasNetworkAdministration: Bool {
        clinux_has_capability(CAP_NET_ADMIN) == 1
    }

    /// The effective user.
    package static var effectiveUser: UInt32 {
        geteuid()
    }

    /// No core dumps, and no debugger of the same user: memory holds keys.
    package static func forbidDumps() throws(SystemError) {
        try SystemCall.call("prctl") { clinux_forbid_dumps() }
    }

    /// Raises the number of files that may be open to the hard limit.
    package static func raiseFileLimit() throws(SystemError) {
        var limit = rlimit()
        try SystemCall.call("getrlimit") {
            unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        }
        limit.rlim_cur = limit.rlim_max
        try SystemCall.call("setrlimit") {
            unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        }
    }
}
