import CLinux
import Glibc

/// The capabilities and limits of the process.
package enum ProcessRights {
    /// Whether CAP_NET_ADMIN is effective, for interfaces, marks and large socket buffers.
    package static var hasNetworkAdministration: Bool {
        clinux_has_capability(CAP_NET_ADMIN) == 1
    }

    /// Disables core dumps and ptrace(2) by the same user, as memory contains keys (PR_SET_DUMPABLE).
    package static func forbidDumps() throws(SystemError) {
        try SystemCall.call("prctl") { clinux_forbid_dumps() }
    }

    /// Raises the limit of open files to the hard limit (RLIMIT_NOFILE).
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
