import Glibc

/// Whole pages of memory, between two pages that may not be touched.
@safe
struct GuardedArea: ~Copyable {
    let byteCount: Int
    private let start: UnsafeMutableRawPointer

    private static let pageSize = 4096

    /// `byteCount` bytes, a multiple of the page.
    init(byteCount: Int) {
        precondition(byteCount.isMultiple(of: Self.pageSize))
        let whole = byteCount + 2 * Self.pageSize
        let mapped = unsafe mmap(nil, whole, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        guard let mapped = unsafe mapped, unsafe mapped != MAP_FAILED else {
            fatalError("no memory can be mapped")
        }
        // Inside of what was just mapped.
        let inner = unsafe mapped + Self.pageSize
        let status = unsafe mprotect(inner, byteCount, PROT_READ | PROT_WRITE)
        precondition(status == 0, "memory cannot be protected")
        unsafe start = inner
        self.byteCount = byteCount
    }

    deinit {
        unsafe munmap(start - Self.pageSize, byteCount + 2 * Self.pageSize)
    }

    /// Lets `body` read and write the bytes.
    func withBytes<R>(_ body: (inout MutableRawSpan) -> R) -> R {
        // Ours until deinit.
        var span = unsafe MutableRawSpan(_unsafeStart: start, byteCount: byteCount)
        return body(&span)
    }
}
