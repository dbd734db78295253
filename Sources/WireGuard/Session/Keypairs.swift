/// The slots of a peer's three keypairs (§6.1) and how they move.
///
///     initiator's new keypair:  current ← new,  previous ← next or else current
///     responder's new keypair:  next ← new,     previous and the old next are freed
///     first message under next: previous ← current ← next
struct Keypairs {
    private(set) var current: UInt32?
    private(set) var previous: UInt32?
    private(set) var next: UInt32?

    /// All that there are.
    var all: [UInt32] { [current, previous, next].compactMap { $0 } }

    /// Takes a new keypair in; returns the slots that are to be freed.
    mutating func insert(_ slot: UInt32, role: Keypair.Role) -> [UInt32] {
        switch role {
        case .initiator:
            // A pending next is kept: the peer may have begun to send under it.
            let freed = next == nil ? [previous] : [previous, current]
            previous = next ?? current
            next = nil
            current = slot
            return freed.compactMap { $0 }
        case .responder:
            let freed = [previous, next]
            previous = nil
            next = slot
            return freed.compactMap { $0 }
        }
    }

    /// The peer used the next keypair, so it has it: rotates. Returns the slots to be freed.
    mutating func confirmNext() -> [UInt32] {
        guard next != nil else { return [] }
        let freed = [previous]
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
