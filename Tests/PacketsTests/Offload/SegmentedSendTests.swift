import Testing

@testable import Packets

@Suite("Segmented sends")
struct SegmentedSendTests {
    /// Lengths of contiguous datagrams, and the number of datagrams of each send.
    struct Row: TestRow {
        var claim: String
        var lengths: [Int]
        var limits = SegmentedSend.Limits.v4
        var runs: [Int]
    }

    static let rows = [
        Row(claim: "one", lengths: [100], runs: [1]),
        Row(claim: "two of a size", lengths: [100, 100], runs: [2]),
        Row(claim: "the last is shorter", lengths: [100, 80], runs: [2]),
        Row(claim: "a shorter one ends the run", lengths: [100, 80, 100], runs: [2, 1]),
        Row(claim: "two shorter ones", lengths: [100, 80, 80], runs: [2, 1]),
        Row(claim: "a longer one starts anew", lengths: [80, 100, 100], runs: [1, 2]),
        Row(
            claim: "as many bytes as fit", lengths: [100, 100, 100],
            limits: .init(segments: 64, bytes: 200), runs: [2, 1]),
        Row(
            claim: "as many datagrams as fit", lengths: Array(repeating: 32, count: 130),
            runs: [64, 64, 2]),
        Row(
            claim: "full-size transport messages", lengths: Array(repeating: 1452, count: 46),
            runs: [45, 1]),
        Row(
            claim: "v6 bytes", lengths: Array(repeating: 1452, count: 46), limits: .v6,
            runs: [45, 1]),
        Row(claim: "nothing joins nothing", lengths: [0, 0], runs: [1, 1]),
    ]

    @Test(
        "all datagrams of a send have one size, except that the last may be shorter",
        arguments: rows)
    func runs(row: Row) {
        var runs: [SegmentedSend] = []
        var offset = 10
        for length in row.lengths {
            let fits =
                runs.last.map { last in
                    var run = last
                    let fits = run.extend(offset: offset, length: length, limits: row.limits)
                    runs[runs.count - 1] = run
                    return fits
                } ?? false
            if !fits { runs.append(SegmentedSend(offset: offset, length: length)) }
            offset += length
        }
        #expect(runs.map(\.count) == row.runs)
        #expect(runs.map(\.length).reduce(0, +) == row.lengths.reduce(0, +))
        for run in runs {
            #expect(run.length <= row.limits.bytes)
            #expect(run.length > run.segmentSize * (run.count - 1) || run.count == 1)
        }
    }

    @Test("a gap in memory starts a new send", arguments: [99, 101, 0, -1])
    func gap(offset: Int) {
        var run = SegmentedSend(offset: 0, length: 100)
        let refused = run.extend(offset: offset, length: 100, limits: .v4)
        #expect(!refused)
        #expect(run == SegmentedSend(offset: 0, length: 100))
    }

    @Test(
        "a receive is split by the size that the kernel reports",
        arguments: [
            (300, 100, [100, 100, 100]), (250, 100, [100, 100, 50]), (101, 100, [100, 1]),
            (100, 100, [100]), (100, 200, [100]), (100, 0, [100]), (100, -1, [100]), (0, 0, [0]),
            (0, 100, [0]), (3, 1, [1, 1, 1]),
        ])
    func split(length: Int, size: Int, expected: [Int]) {
        let segments = DatagramSegments(length: length, segmentSize: size)
        let ranges = (0..<segments.count).map { segments[$0] }
        #expect(ranges.map(\.count) == expected)
        #expect(ranges.first?.lowerBound == 0)
        #expect(ranges.last?.upperBound == length)
        #expect(zip(ranges, ranges.dropFirst()).allSatisfy { $0.upperBound == $1.lowerBound })
    }
}
