import Packets
import Synchronization

/// The tables that all threads of one device read: routes, peers, keypairs and receiver indices.
///
/// Access is lent, never kept. A worker borrows the tables in ``SharedState/HeldGate/withTables(_:)``,
/// while it holds its gate. The control thread reads them through ``ControlAccess/tables``, and gets
/// them mutable in ``ControlAccess/exclusively(_:)``, which holds all gates. The type is not copyable,
/// so a borrow cannot leave its scope, and the compiler rejects access from anywhere else.
struct SharedTables: ~Copyable {
    /// Maps an inner address to its peer.
    var routes = AllowedIPs()
    /// The shared parts of the peers.
    var peers = Slab<SharedPeer>()
    /// All sessions.
    var keypairs = Slab<Keypair>()
    /// Maps a receiver index to its keypair.
    var indices = IndexTable()
    /// Checks mac1 of received messages; nil without a private key.
    var mac1Check: MAC1Check?
    /// The directed broadcast addresses of the networks of the interface. Packets to them are not
    /// answered with ICMP errors.
    var broadcastAddresses: [IPv4Address] = []
    /// Sources that were learnt in an older generation are no longer used.
    ///
    /// It is atomic, so the control thread changes it without the gates. An atomic also makes the
    /// struct address-only: a borrow is passed as one pointer, not as a copy of every field.
    let sourceGeneration = Atomic<UInt32>(0)
    /// Sources that were checked in an older generation are checked again.
    let routeGeneration = Atomic<UInt32>(0)
    /// Grows when the MTU of the tunnel changes. Segmented sends may then fit network paths that refused
    /// them.
    let mtuGeneration = Atomic<UInt32>(0)

    /// The present generations of sources and routes.
    var sourceGenerations: SourceGenerations {
        SourceGenerations(
            source: sourceGeneration.load(ordering: .relaxed),
            route: routeGeneration.load(ordering: .relaxed))
    }
}
