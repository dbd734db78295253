/// The arithmetic of depths, chunks and positions.
extension PrefixTrie {
    /// The zero bits in front of an address, which depths count too.
    @inline(__always)
    static var lead: Int { Address.bitWidth == 32 ? 2 : 0 }

    /// The depth from which on nodes are led to by shortcuts.
    static var shortcutDepth: Int { Shortcuts.bitCount + lead }

    /// The depth of the node in which a prefix of `length` bits ends.
    static func home(of length: Int) -> Int {
        precondition(0...Address.bitWidth ~= length)
        return (length + lead) / 6 * 6
    }

    /// The six bits of `address` from `depth` on; zeros follow its end.
    @inline(__always)
    static func chunk(of address: Address, at depth: Int) -> Int {
        if Address.bitWidth == 32 {
            let bits = UInt64(truncatingIfNeeded: address) &<< 30
            return Int(truncatingIfNeeded: (bits &<< UInt64(truncatingIfNeeded: depth)) &>> 58)
        }
        return Int(
            truncatingIfNeeded: (address &<< Address(truncatingIfNeeded: depth))
                &>> Address(truncatingIfNeeded: Address.bitWidth &- 6))
    }

    /// Whether both are the same up to `depth`, which is not zero.
    @inline(__always)
    static func agree(_ left: Address, _ right: Address, upTo depth: Int) -> Bool {
        let rest = Address(truncatingIfNeeded: Address.bitWidth &+ lead &- depth)
        return (left ^ right) &>> rest == 0
    }

    /// The number of the bits of `bitmap` below `bit`.
    @inline(__always)
    static func rank(of bit: UInt64, in bitmap: UInt64) -> UInt32 {
        UInt32(truncatingIfNeeded: (bitmap & (bit &- 1)).nonzeroBitCount)
    }

    /// The bit of the prefix, within the node where it ends.
    static func position(of address: Address, length: Int) -> UInt64 {
        let home = home(of: length)
        return UInt64(
            position(length: length + lead - home, chunk: chunk(of: address, at: home)))
    }

    /// The bit of the prefix that the first `length` bits of `chunk` are, with `length` below six.
    static func position(length: Int, chunk: Int) -> Int {
        1 << length - 1 + chunk >> (6 - length)
    }
}

extension UInt64 {
    /// Whether one bit is set, of a number that is not zero.
    @inline(__always)
    var isSingleBit: Bool { self & (self &- 1) == 0 && self != 0 }
}
