import Glibc

/// Whole pages of memory between two inaccessible pages.
@safe
struct GuardedArea: ~Copyable {
    let byteCount: Int
    private let start: UnsafeMutableRawPointer

    private static let pageSize = 4096

    /// Maps `byteCount` bytes, which must be a multiple of the page size.
    init(byteCount: Int) {
        precondition(byteCount.isMultiple(of: Self.pageSize))
        let whole = byteCount + 2 * Self.pageSize
        let mapped = unsafe mmap(nil, whole, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        guard let mapped = unsafe mapped, unsafe mapped != MAP_FAILED else {
            fatalError("mmap failed")
        }
        // Inside the new mapping.
        let inner = unsafe mapped + Self.pageSize
        let status = unsafe mprotect(inner, byteCount, PROT_READ | PROT_WRITE)
        precondition(status == 0, "mprotect failed")
        unsafe start = inner
        self.byteCount = byteCount
    }

    deinit {
        unsafe munmap(start - Self.pageSize, byteCount + 2 * Self.pageSize)
    }

    /// Calls `body` with read and write access to the bytes.
    func withBytes<R>(_ body: (inout MutableRawSpan) -> R) -> R {
        // Mapped until deinit.
        var span = unsafe MutableRawSpan(_unsafeStart: start, byteCount: byteCount)
        return body(&span)
    }
}
