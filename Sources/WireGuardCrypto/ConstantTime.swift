import CSodium

/// Comparisons whose time depends only on the lengths, not on the bytes.
package enum ConstantTime {
    /// Whether both hold the same bytes. Lengths are public: returns false at once if they differ.
    package static func equal(_ left: RawSpan, _ right: RawSpan) -> Bool {
        guard left.byteCount == right.byteCount else { return false }
        guard !left.isEmpty else { return true }
        return unsafe left.withUnsafeBytes { left in
            unsafe right.withUnsafeBytes { right in
                // Both have `left.count` bytes and are not empty, as checked above.
                unsafe sodium_memcmp(left.address, right.address, left.count) == 0
            }
        }
    }

    /// Whether all bytes are zero.
    package static func isZero(_ bytes: RawSpan) -> Bool {
        unsafe bytes.withUnsafeBytes { bytes in
            guard let octets = unsafe bytes.octets else { return true }
            return unsafe sodium_is_zero(octets, bytes.count) == 1
        }
    }
}

extension MutableRawSpan {
    /// Zeroes all bytes in a way that the optimiser cannot remove.
    package mutating func wipe() {
        unsafe withUnsafeMutableBytes { bytes in
            guard let start = bytes.baseAddress else { return }
            unsafe sodium_memzero(start, bytes.count)
        }
    }

    /// Copies all of `source` to `offset`. It must fit.
    package mutating func copy(_ source: RawSpan, at offset: Int = 0) {
        precondition(offset >= 0 && offset <= byteCount && source.byteCount <= byteCount - offset)
        unsafe withUnsafeMutableBytes { target in
            unsafe source.withUnsafeBytes { source in
                guard let from = source.baseAddress, let to = target.baseAddress else { return }
                // In bounds, as checked above. Exclusive access rules out overlap.
                unsafe (to + offset).copyMemory(from: from, byteCount: source.count)
            }
        }
    }
}

// C takes bytes as `unsigned char *`. An empty span may have no address: `octets` is for parameters that may
// be null if the length is zero, `address` is for spans that are never empty.
extension UnsafeRawBufferPointer {
    var octets: UnsafePointer<UInt8>? { unsafe baseAddress?.assumingMemoryBound(to: UInt8.self) }

    var address: UnsafePointer<UInt8> {
        guard let octets = unsafe octets else { preconditionFailure("no bytes") }
        return unsafe octets
    }
}

extension UnsafeMutableRawBufferPointer {
    var octets: UnsafeMutablePointer<UInt8>? {
        unsafe baseAddress?.assumingMemoryBound(to: UInt8.self)
    }

    var address: UnsafeMutablePointer<UInt8> {
        guard let octets = unsafe octets else { preconditionFailure("no bytes") }
        return unsafe octets
    }
}

/// Zeroes a local variable that held secrets in a way that the optimiser cannot remove.
func wipe<Value>(_ value: inout Value) {
    unsafe withUnsafeMutableBytes(of: &value) { bytes in
        unsafe sodium_memzero(bytes.baseAddress, bytes.count)
    }
}
