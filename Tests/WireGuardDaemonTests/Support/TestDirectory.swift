import Glibc
import Testing

/// A new directory under /tmp for sockets of a test. Remove its files before it ends.
struct TestDirectory: ~Copyable {
    let path: String

    init() throws {
        var template = Array("/tmp/swireguard-XXXXXX".utf8CString)
        try #require(unsafe mkdtemp(&template) != nil)
        path = String(
            decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit {
        _ = unsafe rmdir(path)
    }
}
