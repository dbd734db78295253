import Glibc

/// The number of resident 4 KiB pages of this process, without file pages, which depend on the rest of the
/// system. Tests run in parallel, so call it in a process of its own.
func residentPages() -> Int {
    let descriptor = unsafe open("/proc/self/statm", O_RDONLY | O_CLOEXEC)
    precondition(descriptor >= 0)
    defer { _ = close(descriptor) }
    var text = [UInt8](repeating: 0, count: 128)
    let count = unsafe text.withUnsafeMutableBytes { unsafe read(descriptor, $0.baseAddress, 128) }
    let fields = String(decoding: text.prefix(max(count, 0)), as: UTF8.self).split(separator: " ")
    guard fields.count > 2, let resident = Int(fields[1]), let shared = Int(fields[2])
    else { preconditionFailure("no statm") }
    return resident - shared
}
