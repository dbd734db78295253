/// The slots of a peer's three keypairs (§6.1) and how they move.
///
///     initiator's new keypair:  current ← new,  previous ← next or else current
///     responder's new keypair:  next ← new,     previous and the old next are freed
///     first message under next: previous ← current ← next
///
/// When an initiator's new keypair finds one that waits to be used, the kernel keeps that one and
/// frees the current one. The peer may be sending under either: under the current one it is, until it
/// sees the new one used. There is room for both, so both are kept.
struct Keypairs {
    private(set) var current: UInt32?
    private(set) var previous: UInt32?
    private(set) var next: UInt32?
    /// The one that was current while `previous` still waited to be used; there is no `next` then.
    private var older: UInt32?

    /// All that there are, three at the most.
    var all: [UInt32] { [current, previous, next, older].compactMap { $0 } }

    /// Takes a new keypair in; returns the slots that are to be freed.
    mutating func insert(_ slot: UInt32, role: Keypair.Role) -> [UInt32] {
        var freed = [previous, older]
        older = nil
        switch role {
        case .initiator:
            // A pending next is kept: the peer may have begun to send under it.
            if next != nil { older = current }
            previous = next ?? current
            next = nil
            current = slot
        case .responder:
            freed.append(next)
            previous = nil
            next = slot
        }
        return freed.compactMap { $0 }
    }

    /// The peer used the next keypair, so it has it: rotates. Returns the slots to be freed.
    mutating func confirmNext() -> [UInt32] {
        guard next != nil else { return [] }
        let freed = [previous, older]
        older = nil
        previous = current
        current = next
        next = nil
        return freed.compactMap { $0 }
    }

    /// Lets go of all three; returns the slots to be freed.
    mutating func removeAll() -> [UInt32] {
        defer { self = Keypairs() }
        return all
    }
}
