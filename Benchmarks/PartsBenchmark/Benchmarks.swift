import Benchmark
import Packets
import WireGuard
import WireGuardCrypto

/// Benchmarks of the parts of the packet path and of the control path.
///
/// One read of the TUN delivers up to 44 packets of 1420 bytes.
let benchmarks: @Sendable () -> Void = {
    Benchmark.defaultConfiguration = .init(
        metrics: [.wallClock], warmupIterations: 10, maxDuration: .seconds(2),
        maxIterations: 100_000)

    var superPacket = SuperPacket()

    // MARK: Packets

    for (length, count) in [1420, 512, 64].flatMap({ length in [44, 4, 1].map { (length, $0) } }) {
        for implementation in AEADImplementation.available {
            var batch = SealedBatch(of: count, length: length, by: implementation)
            let what = "\(count) × \(length) bytes, \(implementation.rawValue)"

            Benchmark("seal \(what)", configuration: .init(scalingFactor: .kilo)) { benchmark in
                for _ in benchmark.scaledIterations { batch.seal() }
            }

            Benchmark("open \(what)") { benchmark in
                batch.restore()
                benchmark.startMeasurement()
                batch.open()
                benchmark.stopMeasurement()
            }
        }
    }

    Benchmark("cut a super-packet into 44") { _ in superPacket.cut() }

    Benchmark("coalesce 44 packets") { benchmark in
        superPacket.restore()
        benchmark.startMeasurement()
        superPacket.coalesce()
        benchmark.stopMeasurement()
    }

    Benchmark("checksum of 1500 bytes", configuration: .init(scalingFactor: .kilo)) { benchmark in
        blackHole(
            superPacket.checksums(of: 1500, repeating: benchmark.scaledIterations.count))
    }

    // MARK: Tables

    for peers in [1, 1000, 100_000] {
        let routes = Routes(peers: peers)
        Benchmark(
            "allowed IPs, \(peers) peers", configuration: .init(scalingFactor: .kilo)
        ) { benchmark in
            blackHole(routes.lookUp(benchmark.scaledIterations.count))
        }
    }

    for count in [10_000, 1_000_000] {
        for version in [4, 6] {
            let routes = RandomRoutes(count: count, isIPv6: version == 6)
            Benchmark(
                "look up IPv\(version) among \(count) random prefixes",
                configuration: .init(scalingFactor: .kilo)
            ) { benchmark in
                blackHole(routes.lookUp(benchmark.scaledIterations.count))
            }
        }
    }

    Benchmark("replay window", configuration: .init(scalingFactor: .kilo)) { benchmark in
        var window = ReplayWindow()
        benchmark.startMeasurement()
        for counter in benchmark.scaledIterations { blackHole(window.accept(UInt64(counter))) }
        benchmark.stopMeasurement()
    }

    // MARK: Control

    let visitor = Visitor(initiations: BenchmarkScalingFactor.kilo.rawValue)
    Benchmark(
        "initiation to response", configuration: .init(scalingFactor: .kilo, maxIterations: 5)
    ) { benchmark in
        let host = visitor.makeHost()
        benchmark.startMeasurement()
        for index in benchmark.scaledIterations { blackHole(visitor.call(host, index)) }
        benchmark.stopMeasurement()
    }

    Benchmark(
        "the multiplications of a response alone",
        configuration: .init(scalingFactor: .kilo, maxIterations: 5)
    ) { benchmark in
        for _ in benchmark.scaledIterations { blackHole(visitor.multiply()) }
    }

    let set = SetText(peers: 1000)
    Benchmark("parse a set of 1000 peers") { _ in blackHole(set.parse()) }
    Benchmark("set 1000 peers") { _ in blackHole(set.apply()) }
    let hub = set.apply()
    Benchmark("get 1000 peers") { _ in blackHole(SetText.get(hub)) }

    let prefixes = SetText(prefixesOf255Times256: ())
    Benchmark("set 130560 prefixes") { _ in blackHole(prefixes.apply()) }
    let gateway = prefixes.apply()
    Benchmark("get 130560 prefixes") { _ in blackHole(SetText.get(gateway)) }
}
