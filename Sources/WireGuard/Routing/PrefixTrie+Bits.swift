/// The arithmetic of depths, chunks and positions.
extension PrefixTrie {
    /// The number of zero bits in front of an address that depths count too.
    @inline(__always)
    static var lead: Int { Address.bitWidth == 32 ? 2 : 0 }

    /// Shortcuts lead to nodes at this depth or deeper.
    static var shortcutDepth: Int { Shortcuts.bitCount + lead }

    /// The depth of the node in which a prefix of `length` bits ends.
    static func home(of length: Int) -> Int {
        precondition(0...Address.bitWidth ~= length)
        return (length + lead) / 6 * 6
    }

    /// The six bits of `address` at `depth`; zeros follow the address.
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

    /// Whether two addresses are equal in the bits before `depth`, which is not zero.
    @inline(__always)
    static func agree(_ left: Address, _ right: Address, upTo depth: Int) -> Bool {
        let rest = Address(truncatingIfNeeded: Address.bitWidth &+ lead &- depth)
        return (left ^ right) &>> rest == 0
    }

    /// The number of bits in `bitmap` below `bit`.
    @inline(__always)
    static func rank(of bit: UInt64, in bitmap: UInt64) -> UInt32 {
        UInt32(truncatingIfNeeded: (bitmap & (bit &- 1)).nonzeroBitCount)
    }

    /// The bit of a prefix in the node where it ends.
    static func bit(of address: Address, length: Int) -> UInt64 {
        let home = home(of: length)
        let chunk = chunk(of: address, at: home)
        return 1 << UInt64(position(length: length + lead - home, chunk: chunk))
    }

    /// The position of the prefix of `chunk` with `length` bits, 0 to 5.
    static func position(length: Int, chunk: Int) -> Int {
        1 << length - 1 + chunk >> (6 - length)
    }
}

extension UInt64 {
    /// Whether exactly one bit is set.
    @inline(__always)
    var isSingleBit: Bool { self & (self &- 1) == 0 && self != 0 }
}
