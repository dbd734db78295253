/// The slots of a peer's keypairs (§6.1), and how they rotate.
///
///     initiator's new keypair:  current ← new,  previous ← next or else current
///     responder's new keypair:  next ← new,     previous and the old next are removed
///     first message under next: previous ← current ← next
///
/// If an initiator's new keypair arrives while `next` waits for its first message, the kernel keeps
/// `next` and removes `current`. But the peer sends under `current` until it receives a message under a
/// newer keypair, so both are kept here.
struct Keypairs {
    private(set) var current: UInt32?
    private(set) var previous: UInt32?
    private(set) var next: UInt32?
    /// The keypair that was current while `previous` waited for its first message; `next` is nil then.
    private var older: UInt32?

    /// All slots, at most three.
    var all: [UInt32] { [current, previous, next, older].compactMap { $0 } }

    /// Inserts a new keypair. Returns the slots that the caller must free.
    mutating func insert(_ slot: UInt32, role: Keypair.Role) -> [UInt32] {
        var freed = [previous, older]
        older = nil
        switch role {
        case .initiator:
            // Keep a pending next: the peer may already send under it.
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

    /// Rotates after the first message under the next keypair. Returns the slots that the caller must
    /// free.
    mutating func confirmNext() -> [UInt32] {
        guard next != nil else { return [] }
        let freed = [previous, older]
        older = nil
        previous = current
        current = next
        next = nil
        return freed.compactMap { $0 }
    }

    /// Removes all keypairs. Returns the slots that the caller must free.
    mutating func removeAll() -> [UInt32] {
        defer { self = Keypairs() }
        return all
    }
}
