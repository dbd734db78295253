import Packets
import Synchronization
import Testing

@testable import WireGuard

@Suite("Tables against models")
struct TableTests {
    @Test("the index table behaves like a dictionary", arguments: 0..<4)
    func indexTable(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var table = IndexTable()
        var model: [UInt32: UInt32] = [:]
        for step in 0..<scaled(release: 1_000_000, debug: 20_000) {
            // Indices that collide, in steps of the table's size and across its end.
            let index = UInt32.random(in: 0..<400, using: &random) &* 0x3F &- 5
            switch (step / 1_000 % 3, model[index]) {
            case (2, .some):
                table.remove(ReceiverIndex(rawValue: index))
                model[index] = nil
            case (_, nil):
                table.insert(ReceiverIndex(rawValue: index), keypair: UInt32(step))
                model[index] = UInt32(step)
            case (1, .some) where Bool.random(using: &random):
                table.remove(ReceiverIndex(rawValue: index))
                model[index] = nil
            default:
                table.remove(ReceiverIndex(rawValue: .random(in: 1_000_000..<2_000_000)))
            }
            let asked = UInt32.random(in: 0..<400, using: &random) &* 0x3F &- 5
            expect(table.lookup(ReceiverIndex(rawValue: asked)), is: model[asked])
        }
        expect(table.count, is: model.count)
        for (index, slot) in model {
            expect(table.lookup(ReceiverIndex(rawValue: index)), is: slot)
            table.remove(ReceiverIndex(rawValue: index))
        }
        expect(table.count, is: 0)
    }

    @Test("index 0 and index .max are valid indices")
    func extremeIndices() {
        var table = IndexTable()
        for index in [0, .max] as [UInt32] {
            table.insert(ReceiverIndex(rawValue: index), keypair: 7)
            expect(table.lookup(ReceiverIndex(rawValue: index)), is: 7)
        }
        expect(table.lookup(ReceiverIndex(rawValue: 1)), is: nil)
    }

    @Test(
        "the heap returns the earliest deadline after any change", arguments: 0..<4
    )
    func deadlineHeap(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var heap = SlotHeap<Instant>()
        var model: [UInt32: UInt64] = [:]
        for _ in 0..<scaled(release: 200_000, debug: 5_000) {
            let slot = UInt32.random(in: 0..<100, using: &random)
            let deadline: UInt64? =
                Int.random(in: 0..<4, using: &random) == 0
                ? nil : .random(in: 0..<1_000, using: &random)
            heap.set(
                PeerSlot(rawValue: slot), key: deadline.map { Instant(nanoseconds: $0) })
            model[slot] = deadline
            expect(heap.first?.key.nanoseconds, is: model.values.min())
            expect(
                heap.first.map { model[$0.slot.rawValue] == $0.key.nanoseconds },
                is: model.isEmpty ? nil : true)
        }
        var order: [UInt64] = []
        while let first = heap.first {
            order.append(first.key.nanoseconds)
            heap.set(first.slot, key: nil)
        }
        #expect(order == model.values.sorted())
    }

    final class Census: Sendable {
        let count = Atomic<Int>(0)
    }

    struct Value: ~Copyable {
        let number: Int
        let census: Census

        init(_ number: Int, _ census: Census) {
            self.number = number
            self.census = census
            census.count.add(1, ordering: .relaxed)
        }

        deinit { census.count.subtract(1, ordering: .relaxed) }
    }

    @Test("a slab keeps values in place, reuses slots, and destroys each value once")
    func slab() {
        var random = SeededGenerator(seed: 1)
        let census = Census()
        do {
            var slab = Slab<Value>()
            var model: [UInt32: Int] = [:]
            for number in 0..<scaled(release: 100_000, debug: 3_000) {
                if let slot = model.keys.sorted().randomElement(using: &random),
                    Int.random(in: 0..<10, using: &random) < 4
                {
                    expect(slab[slot].number, is: model[slot] ?? -1)
                    slab.remove(slot)
                    expect(slab.contains(slot), is: false)
                    model[slot] = nil
                } else if model.count < 1_000 {
                    let slot = slab.insert(Value(number, census))
                    #expect(model[slot] == nil)
                    #expect(slot < 1_100, "slots stay dense")
                    model[slot] = number
                }
                expect(slab.count, is: model.count)
            }
            #expect(census.count.load(ordering: .relaxed) == model.count)
            expect(slab.contains(1_000_000), is: false)
        }
        #expect(census.count.load(ordering: .relaxed) == 0)
    }

    @Test("the last 128 packets stay staged, and their bytes add up")
    func stagedPackets() {
        var staged = StagedPackets()
        var model: [[UInt8]] = []
        var random = SeededGenerator(seed: 2)
        for number in 0..<2_000 {
            switch Int.random(in: 0..<40, using: &random) {
            case 0:
                #expect(staged.takeAll().map(bytes) == model)
                model = []
            case 1:
                let older = (0..<Int.random(in: 0..<140, using: &random)).map { _ in [UInt8(1)] }
                let dropped = staged.restore(older.map(stagedPacket))
                let all = older + model
                #expect(dropped == all.dropLast(128).count { !$0.isEmpty })
                model = Array(all.suffix(128))
            default:
                let packet = [UInt8](repeating: 0, count: number % 50)
                let (dropped, freed) = staged.append(stagedPacket(packet))
                #expect(dropped == (model.count == 128 && !model[0].isEmpty ? 1 : 0))
                #expect(freed == (model.count == 128 ? model[0].count : 0))
                model = (model + [packet]).suffix(128)
            }
            #expect(staged.packets.map(bytes) == model)
            #expect(staged.byteCount == model.reduce(0) { $0 + $1.count })
        }
    }

    private func stagedPacket(_ bytes: [UInt8]) -> StagedPacket {
        withBytes(bytes) { StagedPacket(copying: $0) }
    }

    private func bytes(_ packet: StagedPacket) -> [UInt8] {
        packet.withBytes { bytes in (0..<bytes.byteCount).map { bytes.byte(at: $0) } }
    }

    @Test("outputs keep their order")
    func outputs() {
        var outputs = Outputs<Int>()
        var written = 0
        var read = 0
        var random = SeededGenerator(seed: 3)
        for _ in 0..<2_000 {
            for _ in 0..<Int.random(in: 0..<20, using: &random) {
                outputs.append(written)
                written += 1
            }
            for _ in 0..<Int.random(in: 0..<20, using: &random) {
                expect(outputs.next(), is: read < written ? read : nil)
                read = min(read + 1, written)
            }
        }
    }

    @Test("the handshake queue is a bounded ring")
    func handshakeQueue() {
        let queue = HandshakeQueue()
        #expect(queue.next() == nil)
        for round in 0..<3 {
            for number in 0..<1_024 {
                let wake = append(number, kinds[number % 2], to: queue)
                #expect(wake == (number == 0 ? .needed : .notNeeded))
            }
            #expect(append(1_024, .initiation, to: queue) == nil)
            for number in 0..<(round == 2 ? 1_024 : 500) {
                let message = queue.next()
                #expect(message?.waiting == 1_024 - number)
                expectMessage(message, number, kinds[number % 2])
            }
            while queue.next() != nil {}
        }
    }

    @Test("at most 128 cookie replies are queued, and they do not count as waiting")
    func queuedCookieReplies() {
        let queue = HandshakeQueue()
        for round in 0..<3 {
            for number in 0..<128 {
                #expect(append(number, .cookieReply, to: queue) != nil)
                #expect(append(number, .response, to: queue) == .notNeeded)
            }
            #expect(append(128, .cookieReply, to: queue) == nil)
            for number in 0..<(round == 2 ? 128 : 50) {
                let reply = queue.next()
                #expect(reply?.waiting == 128 - number)
                expectMessage(reply, number, .cookieReply)
                #expect(append(number, .cookieReply, to: queue) == .notNeeded)
                let response = queue.next()
                #expect(response?.waiting == 128 - number)
                expectMessage(response, number, .response)
            }
            while queue.next() != nil {}
        }
    }

    private let kinds: [HandshakeMessage.Kind] = [.initiation, .response]

    private func byteCount(_ kind: HandshakeMessage.Kind) -> Int {
        switch kind {
        case .initiation: HandshakeInitiation.byteCount
        case .response: HandshakeResponse.byteCount
        case .cookieReply: CookieReply.byteCount
        }
    }

    private func append(
        _ number: Int, _ kind: HandshakeMessage.Kind, to queue: HandshakeQueue
    ) -> Wake? {
        var bytes = [UInt8](repeating: 0xBB, count: byteCount(kind))
        bytes[0] = UInt8(number & 0xFF)
        bytes[1] = UInt8(number >> 8)
        return withBytes(bytes) {
            queue.append(
                HandshakeMessage(parsed: $0, kind: kind),
                remote: SocketAddress(address: .v4(IPv4Address(bits: 1)), port: 1), source: nil)
        }
    }

    private func expectMessage(
        _ message: HandshakeQueue.Message?, _ number: Int, _ kind: HandshakeMessage.Kind
    ) {
        #expect(message?.kind == kind)
        #expect(message?.bytes.count == byteCount(kind))
        #expect(message?.bytes.prefix(2) == [UInt8(number & 0xFF), UInt8(number >> 8)])
    }
}

extension HandshakeQueue.Message: Equatable {
    /// Whether remote and bytes are equal.
    public static func == (left: HandshakeQueue.Message, right: HandshakeQueue.Message) -> Bool {
        left.bytes == right.bytes && left.remote == right.remote
    }
}
