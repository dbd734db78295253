import Packets
import WireGuard

@testable import Engine

/// What happens to a worker under test, and what it did. Used by one thread.
final class Script: @unchecked Sendable {
    /// The end of the script, which ends the worker.
    struct Ended: Error {}

    /// What one receive returns.
    enum Receive {
        case messages([UDPArrival<[UInt8]>])
        case failed(Int32)
    }

    /// A message as it was sent.
    struct Sent {
        var transmit: UDPTransmit<SegmentRange>
        var bytes: [UInt8]
    }

    // What happens.
    var now = ObservedInstant(nanoseconds: 1_000_000_000_000)
    /// How far the clock moves with each reading, in nanoseconds.
    var tick: UInt64 = 0
    /// The events of each wait that is not a poll.
    var waits: [[WorkerEvent]] = []
    /// The events of each poll.
    var polls: [[WorkerEvent]] = []
    var hasVirtioNetHeader = true
    var reads: [PacketReadResult] = []
    /// The packets of the reads that return bytes, without virtio header.
    var packets: [[UInt8]] = []
    var writeResults: [PacketWriteResult] = []
    var receives4: [Receive] = []
    var receives6: [Receive] = []
    var outcomes4: [SendOutcome] = []
    var outcomes6: [SendOutcome] = []
    var listenFails = false
    /// Called before each wait that is not a poll.
    var onWait: () -> Void = {}
    /// Called with each pause.
    var onPause: (Int) -> Void = { _ in }

    // What the worker did.
    var written: [[UInt8]] = []
    var sent4: [Sent] = []
    var sent6: [Sent] = []
    var limits: [Int] = []
    var pauses: [Int] = []
    var yields = 0
    var wakeUps = 0
    var reports: [WorkerReport] = []
    var listened: [FakeSockets] = []
    var acknowledged = 0

    /// Makes the TUN deliver packets.
    func deliver(_ packets: [[UInt8]]) {
        for packet in packets {
            reads.append(.bytes(packet.count + (hasVirtioNetHeader ? 10 : 0)))
            self.packets.append(packet)
        }
    }

    /// The texts of the reports, without their values.
    var reportNames: [String] {
        reports.map { report in
            switch report {
            case .cannotWait: "cannotWait"
            case .cannotListen: "cannotListen"
            case .cannotReceive(let errno): "cannotReceive \(errno)"
            case .cannotRead(let errno): "cannotRead \(errno)"
            case .segmentationRefused(let errno): "segmentationRefused \(errno)"
            case .superPacketRefused: "superPacketRefused"
            case .routingLoop: "routingLoop"
            }
        }
    }
}

extension RangeReplaceableCollection {
    /// Removes and returns the first element, if there is one.
    mutating func next() -> Element? { isEmpty ? nil : removeFirst() }
}
