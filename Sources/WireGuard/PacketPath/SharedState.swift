import Packets
import Synchronization
import WireGuardCrypto

/// What all threads of one device share: routes, peers, keypairs and receiver indices.
///
/// The control thread alone changes it. A thread of the packet path holds its own gate while it works
/// on a batch, so gates are hardly ever contended; the control thread takes all of them for the
/// moment of a change. Handshake mathematics, configuration text and system calls happen outside.
package final class SharedState: @unchecked Sendable {
    // Sendable: the four tables are written only in `exclusively` and read only under a gate or by
    // the control thread; everything else is atomic or locked. The gates replace the dynamic
    // exclusivity check, which would be made for every packet.
    @exclusivity(unchecked) private var routesStorage = AllowedIPs()
    @exclusivity(unchecked) private var peersStorage = Slab<SharedPeer>()
    @exclusivity(unchecked) private var keypairsStorage = Slab<Keypair>()
    @exclusivity(unchecked) private var indicesStorage = IndexTable()

    /// Which peer an inner address belongs to.
    var routes: AllowedIPs {
        @inline(__always) _read { yield unsafe routesStorage }
        @inline(__always) _modify { yield unsafe &routesStorage }
    }

    /// The peers' shared halves.
    var peers: Slab<SharedPeer> {
        @inline(__always) _read { yield unsafe peersStorage }
        @inline(__always) _modify { yield unsafe &peersStorage }
    }

    /// All sessions.
    var keypairs: Slab<Keypair> {
        @inline(__always) _read { yield unsafe keypairsStorage }
        @inline(__always) _modify { yield unsafe &keypairsStorage }
    }

    /// Which keypair a receiver index means.
    var indices: IndexTable {
        @inline(__always) _read { yield unsafe indicesStorage }
        @inline(__always) _modify { yield unsafe &indicesStorage }
    }

    /// Directed broadcast addresses of the networks that the interface is in: no packet to them is
    /// answered. Like the tables, changed in `exclusively` and read under a gate.
    var broadcastAddresses: [IPv4Address] = []
    let handshakes = HandshakeQueue()
    let drops = DropCounters()
    let trace = DropTrace()
    /// Whether drops are written down there. Here too, since a look into another object counts a
    /// reference to it.
    let isTraced = Atomic<Bool>(false)

    /// Whether the control thread is to be woken for drops that were written down; true once.
    @inline(__always)
    func takeNewsOfDrops() -> Bool {
        isTraced.load(ordering: .relaxed) && trace.takeNews()
    }
    /// The MTU of the tunnel, to which padding is capped.
    let mtu = Atomic<Int>(Constants.defaultMTU)
    /// The UDP port of the device, 0 for none.
    let listenPort = Atomic<UInt16>(0)
    let isUp = Atomic<Bool>(false)
    /// Cached sources that were learnt under an older generation are not used any more.
    let sourceGeneration = Atomic<UInt32>(0)
    /// Bytes of all peers' staged packets.
    let stagedBytes = Atomic<Int>(0)

    let clock = SteadyClock()

    /// Whether any routing loop was seen: worth one line in a log.
    let hasLooped = Atomic<Bool>(false)

    private var gates: [Gate] = []
    private let requests = Mutex<[PeerSlot]>([])

    /// What seals and opens transport data.
    let aead: AEADImplementation

    package init(aead: AEADImplementation = .fastest) {
        self.aead = aead
    }

    /// What a thread of the packet path holds while it looks at shared state.
    @safe
    package final class Gate: @unchecked Sendable {
        // The mutex stays where it is, and is one for all threads.
        fileprivate let mutex: UnsafeMutablePointer<Mutex<Void>>

        fileprivate init() {
            unsafe mutex = .allocate(capacity: 1)
            unsafe mutex.initialize(to: Mutex(()))
        }

        deinit {
            unsafe mutex.deinitialize(count: 1)
            unsafe mutex.deallocate()
        }
    }

    /// A gate as its thread has it: taken for each batch, and not counted for it. The path keeps all
    /// gates, and whoever has one of these keeps the path.
    @safe
    struct HeldGate: @unchecked Sendable {
        private let mutex: UnsafeMutablePointer<Mutex<Void>>

        init(_ gate: Gate) {
            unsafe mutex = gate.mutex
        }

        @inline(__always)
        func withLock<Result>(_ body: () -> Result) -> Result {
            // The path, and so the gate, outlives the owner of this.
            unsafe mutex.pointee.withLock { _ in body() }
        }
    }

    /// A gate for one more thread; to be called before the threads start.
    package func makeGate() -> Gate {
        let gate = Gate()
        gates.append(gate)
        return gate
    }

    /// Runs `body` while no thread of the packet path looks at shared state.
    func exclusively(_ body: () -> Void) {
        lock(gatesFrom: 0, body)
    }

    private func lock(gatesFrom index: Int, _ body: () -> Void) {
        guard index < gates.count else { return body() }
        HeldGate(gates[index]).withLock { lock(gatesFrom: index + 1, body) }
    }

    /// Puts a peer on the control thread's list; true if that thread must be woken.
    func request(_ requests: SharedPeer.Requests, of slot: PeerSlot) -> Bool {
        guard peers[slot.rawValue].request(requests) else { return false }
        return self.requests.withLock { list in
            list.append(slot)
            return list.count == 1
        }
    }

    /// Asks for an initiation that is no retry, and says why, unless one or a response went out just now.
    func requestHandshake(
        _ cause: SharedPeer.Requests, of slot: PeerSlot, now: Instant
    ) -> Bool {
        if peers[slot.rawValue].timers.handshakeAttempts.load(ordering: .relaxed) != 0 {
            peers[slot.rawValue].timers.handshakeAttempts.store(0, ordering: .relaxed)
        }
        guard !peers[slot.rawValue].isHandshakeLimited(now: now) else { return false }
        return request(cause, of: slot)
    }

    /// Asks for an earlier look at a peer if a timer demands it.
    func serve(_ demand: PeerTimers.Demand, of slot: PeerSlot) -> Bool {
        switch demand {
        case .none: false
        case .earlierWakeUp: request(.earlierWakeUp, of: slot)
        }
    }

    /// Takes the list of peers that ask for the control thread.
    func takeRequests() -> [PeerSlot] {
        requests.withLock { list in
            defer { list.removeAll(keepingCapacity: list.count <= 1024) }
            return list
        }
    }
}
