import Packets
import Synchronization
import WireGuardCrypto

/// What all threads of one device share: the tables, the queues to the control thread and the counters.
///
/// Only the control thread changes the tables. A worker holds its own gate while it works on a batch,
/// so gates are rarely contended. The control thread takes all gates for the duration of a change.
/// It computes handshakes, parses configuration text and makes system calls outside of them.
@safe
package final class SharedState: @unchecked Sendable {
    // Sendable: the tables are written under all gates, and read under one gate or by the control
    // thread. Everything else is atomic or locked. The tables are outside the object, because a class
    // checks each access to a variable property for exclusivity at run time.
    fileprivate let tables: UnsafeMutablePointer<SharedTables>
    fileprivate var gates: [Gate] = []
    private let requests = Mutex<[PeerSlot]>([])

    let handshakes = HandshakeQueue()
    let drops = DropCounters()
    let trace = DropTrace()
    /// Whether drops are recorded in `trace`. A copy, because access to another object retains it.
    let isTraced = Atomic<Bool>(false)

    /// The MTU of the tunnel. Padding does not exceed it.
    let mtu = Atomic<Int>(Constants.defaultMTU)
    /// The UDP port of the device, 0 for none.
    let listenPort = Atomic<UInt16>(0)
    let isUp = Atomic<Bool>(false)
    /// How many bytes of staged packets each peer holds.
    let stagedShares = Mutex(StagedShares())
    let clock = SteadyClock()
    /// Whether a routing loop was seen; the daemon logs the first one.
    let hasLooped = Atomic<Bool>(false)
    /// Seals and opens transport data.
    let aead: AEADImplementation

    fileprivate init(aead: AEADImplementation) {
        self.aead = aead
        unsafe tables = .allocate(capacity: 1)
        unsafe tables.initialize(to: SharedTables())
    }

    deinit {
        // Here their types are known: destroyed with the tables, a peer costs 0.3 µs more, since the compiler
        // does not specialize that.
        unsafe tables.pointee.peers.removeAll()
        unsafe tables.pointee.keypairs.removeAll()
        unsafe tables.deinitialize(count: 1)
        unsafe tables.deallocate()
    }

    /// Returns needed once after new drop records; clears the flag.
    @inline(__always)
    func takeWakeForDrops() -> Wake {
        isTraced.load(ordering: .relaxed) ? trace.takeWake() : .notNeeded
    }

    // MARK: Gates

    /// The lock that a worker holds while it reads the tables.
    @safe
    package final class Gate: @unchecked Sendable {
        // Allocated: a mutex must not move.
        fileprivate let mutex: UnsafeMutablePointer<Mutex<Void>>
        fileprivate let tables: UnsafeMutablePointer<SharedTables>

        fileprivate init(_ tables: UnsafeMutablePointer<SharedTables>) {
            unsafe self.tables = unsafe tables
            unsafe mutex = .allocate(capacity: 1)
            unsafe mutex.initialize(to: Mutex(()))
        }

        deinit {
            unsafe mutex.deinitialize(count: 1)
            unsafe mutex.deallocate()
        }
    }

    /// A gate as its worker keeps it, without a reference, so that no batch changes a reference count.
    /// The owner must keep the ``SharedState`` alive, which keeps all gates.
    @safe
    struct HeldGate: @unchecked Sendable {
        private let mutex: UnsafeMutablePointer<Mutex<Void>>
        private let tables: UnsafeMutablePointer<SharedTables>

        init(_ gate: Gate) {
            unsafe mutex = gate.mutex
            unsafe tables = gate.tables
        }

        /// Calls `body` with the tables while the gate is held.
        @inline(__always)
        func withTables<Result>(_ body: (borrowing SharedTables) -> Result) -> Result {
            // The shared state outlives the owner, and with it the gate and the tables.
            unsafe mutex.pointee.withLock { _ in body(unsafe tables.pointee) }
        }

        fileprivate func withLock(_ body: () -> Void) {
            unsafe mutex.pointee.withLock { _ in body() }
        }
    }

    /// Creates a gate for one more worker. Call it before the workers start.
    package func makeGate() -> Gate {
        let gate = unsafe Gate(tables)
        gates.append(gate)
        return gate
    }

    fileprivate func lock(gatesFrom index: Int, _ body: () -> Void) {
        guard index < gates.count else { return body() }
        HeldGate(gates[index]).withLock { lock(gatesFrom: index + 1, body) }
    }

    // MARK: Requests to the control thread

    /// Records requests of a peer, and puts the peer on the control thread's list.
    func request(
        _ requests: SharedPeer.Requests, of slot: PeerSlot, in tables: borrowing SharedTables
    ) -> Wake {
        guard tables.peers[slot.rawValue].request(requests) else { return .notNeeded }
        return self.requests.withLock { list in
            list.append(slot)
            return list.count == 1 ? .needed : .notNeeded
        }
    }

    /// Requests an initiation that is not a retry, unless an initiation or response was sent just now.
    func requestHandshake(
        _ cause: SharedPeer.Requests, of slot: PeerSlot, in tables: borrowing SharedTables,
        now: Instant
    ) -> Wake {
        if tables.peers[slot.rawValue].timers.handshakeAttempts.load(ordering: .relaxed) != 0 {
            tables.peers[slot.rawValue].timers.handshakeAttempts.store(0, ordering: .relaxed)
        }
        guard !tables.peers[slot.rawValue].isHandshakeLimited(now: now) else { return .notNeeded }
        return request(cause, of: slot, in: tables)
    }

    /// Passes the timers of a peer to `body`, and requests an earlier wake-up for the peer if `body` returns
    /// ``Wake/needed``.
    @inline(__always)
    func withTimers(
        of slot: PeerSlot, in tables: borrowing SharedTables,
        _ body: (borrowing PeerTimers) -> Wake
    ) -> Wake {
        switch body(tables.peers[slot.rawValue].timers) {
        case .notNeeded: .notNeeded
        case .needed: request(.earlierWakeUp, of: slot, in: tables)
        }
    }

    /// Takes the list of the peers that requested something.
    func takeRequests() -> [PeerSlot] {
        requests.withLock { list in
            defer { list.removeAll(keepingCapacity: list.count <= 1024) }
            return list
        }
    }
}

/// The control thread's access to the shared tables. One exists per device.
///
/// The control thread is the only writer, so it reads without a gate. A ``SharedState`` is created
/// only by the initializer here, so no second access exists to the same tables.
struct ControlAccess: ~Copyable {
    /// The part that the workers get.
    let shared: SharedState

    /// Creates the shared state of a device together with its control thread's access.
    init(aead: AEADImplementation) {
        shared = SharedState(aead: aead)
    }

    /// The tables, to read.
    var tables: SharedTables {
        @inline(__always) _read { yield unsafe shared.tables.pointee }
    }

    /// Calls `body` with the tables, to change them, while no worker holds its gate.
    func exclusively(_ body: (inout SharedTables) -> Void) {
        shared.lock(gatesFrom: 0) { body(&(unsafe shared.tables.pointee)) }
    }
}
