import Glibc

/// The pieces of a buffer that form one packet, in order. Reuse it to avoid allocations.
@safe
package struct GatherList: ~Copyable, @unchecked Sendable {
    /// The maximum number of pieces.
    package let capacity: Int
    /// The number of pieces.
    package private(set) var count = 0
    // The first is for the header. Until `resolve`, a base is an offset into the buffer.
    private let vectors: UnsafeMutablePointer<iovec>
    private let offsets: UnsafeMutablePointer<Int>

    /// Allocates storage for `capacity` pieces, 1 to 1023 (UIO_MAXIOV minus the header).
    package init(capacity: Int) {
        precondition((1...1023).contains(capacity))
        self.capacity = capacity
        unsafe vectors = .allocate(capacity: capacity + 1)
        unsafe vectors.initialize(repeating: iovec(), count: capacity + 1)
        unsafe offsets = .allocate(capacity: capacity)
        unsafe offsets.initialize(repeating: 0, count: capacity)
    }

    deinit {
        unsafe vectors.deallocate()
        unsafe offsets.deallocate()
    }

    /// Removes all pieces.
    package mutating func removeAll() {
        count = 0
    }

    /// Appends `length` bytes at `offset` of the buffer.
    package mutating func append(offset: Int, length: Int) {
        precondition(count < capacity && offset >= 0 && length >= 0)
        unsafe offsets[count] = offset
        unsafe vectors[count + 1].iov_len = length
        count += 1
    }

    /// Converts offsets to addresses. Every piece must be within the buffer.
    mutating func resolve(
        header: UnsafeRawBufferPointer, buffer: UnsafeRawBufferPointer
    ) -> (vectors: UnsafePointer<iovec>, count: Int) {
        for index in 0..<count {
            let (offset, length) = unsafe (offsets[index], vectors[index + 1].iov_len)
            precondition(length <= buffer.count && offset <= buffer.count - length)
            unsafe vectors[index + 1].iov_base = UnsafeMutableRawPointer(
                mutating: buffer.baseAddress.map { unsafe $0 + offset })
        }
        unsafe vectors[0] = iovec(
            iov_base: UnsafeMutableRawPointer(mutating: header.baseAddress), iov_len: header.count)
        return unsafe (UnsafePointer(vectors), count + 1)
    }
}
