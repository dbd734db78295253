import Foundation
import Testing

@testable import Packets

/// Joining and segmenting returns the original packets, in order within each flow. GRO bugs of other
/// implementations were batches for which it did not.
@Suite("Coalescing and segmentation")
struct CoalescingPropertyTests {
    #if DEBUG
        static let batchesPerSeed = 250
    #else
        // A million packets in a long run.
        static let batchesPerSeed =
            ProcessInfo.processInfo.environment["SWIREGUARD_TEST_LONG"] == "1" ? 125_000 : 12_500
    #endif

    @Test(
        "random batches are unchanged after joining and segmenting",
        arguments: 0..<8 as Range<UInt64>)
    func identity(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        var buffer = PacketBuffer(byteCount: 1 << 17)
        var coalescer = FlowCoalescer(maximumPackets: 64)
        var joined = 0
        for batch in 0..<Self.batchesPerSeed {
            let packets = RandomTraffic.batch(using: &random)
            let bytes = packets.map(\.bytes)
            let result = Coalesced(bytes, in: &buffer, through: &coalescer)
            joined += bytes.count - result.writes.count

            let apart = result.separated.map { $0.map { Array($0.dropFirst(10)) } }
            let again = try result.cutAgain()
            // One comparison per batch, because expectations cost more than packets.
            let isIdentity =
                isSame(apart.flatMap { $0 }, as: packets, except: .nothing)
                && isSame(again.flatMap { $0 }, as: packets, except: .repeatedIdentification)
            #expect(isIdentity, "seed \(seed), batch \(batch)")
            guard isIdentity else { return }
        }
        // Without this, a coalescer that joins nothing would pass.
        #expect(joined > 2 * Self.batchesPerSeed)
    }

    private enum Exception {
        case nothing
        /// Segmenting changes a constant identification with DF to an increasing one (RFC 6864).
        case repeatedIdentification
    }

    /// Whether `actual` holds the packets in the order of arrival within each flow.
    private func isSame(
        _ actual: [[UInt8]], as packets: [TestPacket], except exception: Exception
    ) -> Bool {
        var expected = Dictionary(grouping: packets, by: RandomTraffic.flow)
        var last: [UInt16: UInt16] = [:]
        guard actual.count == packets.count else { return false }
        for bytes in actual {
            let flow = RandomTraffic.flow(of: bytes)
            guard var next = expected[flow]?.first else { return false }
            expected[flow]?.removeFirst()
            let isRepeated =
                last.updateValue(next.identification, forKey: flow) == next.identification
            if exception == .repeatedIdentification && isRepeated && next.fragment == 0x4000
                && !next.isVersion6
            {
                next.identification = UInt16(bytes[4]) << 8 | UInt16(bytes[5])
            }
            guard bytes == next.bytes else { return false }
        }
        return true
    }
}

/// Batches of packets of a few flows. Most continue their flow, and all kinds of other packets are between.
enum RandomTraffic {
    static func batch(using random: inout SeededRandom) -> [TestPacket] {
        var flows = (0..<UInt8.random(in: 1...4, using: &random)).map {
            flow($0, using: &random)
        }
        return (0..<Int.random(in: 1...20, using: &random)).map { _ in
            let index = Int.random(in: 0..<flows.count, using: &random)
            let packet = disturbed(flows[index], using: &random)
            // Usually continues the flow.
            if random.next() % 16 != 0 {
                flows[index].sequence &+= UInt32(packet.payload.count)
            }
            if flows[index].urgent == 0 || random.next() % 16 == 0 {
                flows[index].identification &+= 1
            }
            return packet.with { $0.urgent = 0 }
        }
    }

    /// The common fields of the packets of a flow. The urgent pointer marks a flow with a constant
    /// identification.
    private static func flow(_ number: UInt8, using random: inout SeededRandom) -> TestPacket {
        var packet = TestPacket()
        packet.isVersion6 = random.next() % 2 == 0
        packet.isTCP = random.next() % 3 != 0
        packet.source = number
        packet.sourcePort = UInt16.random(in: 1...2, using: &random)
        packet.sequence = UInt32.random(in: 0...UInt32.max, using: &random)
        packet.identification = UInt16.random(in: 0...UInt16.max, using: &random)
        packet.fragment = random.next() % 3 == 0 ? 0 : 0x4000
        packet.urgent = random.next() % 3 == 0 ? 1 : 0
        if random.next() % 2 == 0 { packet.tcpOptions = [1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8] }
        packet.payload = random.bytes(Int.random(in: 1...40, using: &random))
        return packet
    }

    private static func disturbed(
        _ flow: TestPacket, using random: inout SeededRandom
    ) -> TestPacket {
        var packet = flow
        switch random.next() % 64 {
        case 0: packet.trafficClass = 3
        case 1: packet.hopLimit = 1
        case 2: packet.flags = UInt8(truncatingIfNeeded: random.next())
        case 3: packet.acknowledgment = 2
        case 4: packet.window = 4
        case 5: packet.tcpOptions = [1, 1, 1, 1]
        case 6: packet.ipOptions = [1, 1, 1, 1]
        case 7: packet.fragment = UInt16(truncatingIfNeeded: random.next())
        case 8: packet.flowLabel = 5
        case 9: packet.transportChecksumError = 1
        case 10: packet.headerChecksumError = 1
        case 11: packet.isWithoutUDPChecksum = true
        case 12: packet.payload = []
        case 13: packet.payload.append(1)
        case 14...17: packet.payload.removeLast(Int(random.next() % UInt64(packet.payload.count)))
        case 18...21: packet.flags |= TestPacket.push
        default: break
        }
        return packet
    }

    /// The flow of a packet. In a batch each source has one flow.
    static func flow(of packet: TestPacket) -> UInt16 {
        UInt16(packet.source) << 8 | (packet.isVersion6 ? 1 : 0)
    }

    static func flow(of bytes: [UInt8]) -> UInt16 {
        bytes[0] >> 4 == 6 ? UInt16(bytes[23]) << 8 | 1 : UInt16(bytes[15]) << 8
    }
}
