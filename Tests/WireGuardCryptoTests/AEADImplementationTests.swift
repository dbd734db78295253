import Glibc
import Testing
import WireGuardCrypto

/// The choice of the implementation, and its self-test.
@Suite struct AEADImplementationTests {
    @Test("libsodium is always available and is the last choice")
    func sodium() {
        #expect(AEADImplementation.available.last == .sodium)
        #expect(AEADImplementation.sodium.nameAndVersion.hasPrefix("sodium 1."))
    }

    #if arch(x86_64)
        @Test("on x86-64, ipsec-mb is part of the build, and lanes are preferred")
        func fastest() throws {
            #expect(AEADImplementation.ipsecMB.obstacle == nil)
            #expect(AEADImplementation.lanes.obstacle != .notBuilt)
            #expect(AEADImplementation.lanes.obstacle != .wrongAnswers)
            #expect(AEADImplementation.lanes.nameAndVersion == "lanes (AVX-512)")
            #expect(AEADImplementation.lanesAVX2.obstacle != .notBuilt)
            #expect(AEADImplementation.lanesAVX2.obstacle != .wrongAnswers)
            #expect(AEADImplementation.ipsecMB.nameAndVersion.hasPrefix("ipsec-mb "))
            let expected: AEADImplementation =
                if AEADImplementation.lanes.obstacle == nil {
                    .lanes
                } else if try processorFlags().contains("avx512f") {
                    .ipsecMB
                } else {
                    AEADImplementation.lanesAVX2.obstacle == nil ? .lanesAVX2 : .ipsecMB
                }
            #expect(AEADImplementation.fastest == expected)
        }

        /// The other tests use the implementations that this processor supports. `scripts/test` prints what
        /// was left out.
        @Test(
            "lanes are available if and only if the processor has the instructions",
            arguments: [
                (
                    AEADImplementation.lanes,
                    "avx512f avx512bw avx512dq avx512vl avx512ifma avx512_vbmi2"
                ),
                (.lanesAVX2, "avx2 bmi2"),
            ])
        func runs(implementation: AEADImplementation, instructions: String) throws {
            let flags = try processorFlags()
            let canRun = instructions.split(separator: " ").allSatisfy(flags.contains)
            #expect(implementation.obstacle == (canRun ? nil : .notStarted))
        }

        /// The features of this processor, as the kernel names them.
        private func processorFlags() throws -> Set<Substring> {
            let descriptor = unsafe open("/proc/cpuinfo", O_RDONLY | O_CLOEXEC)
            defer { close(descriptor) }
            // The first read contains the first processor.
            var bytes = [UInt8](repeating: 0, count: 16_384)
            let count = unsafe read(descriptor, &bytes, bytes.count)
            let text = String(decoding: bytes.prefix(max(0, count)), as: UTF8.self)
            let line = try #require(text.split(separator: "\n").first { $0.hasPrefix("flags") })
            return Set(line.split(separator: " "))
        }
    #else
        @Test("ipsec-mb and lanes are not built for other machines than x86-64")
        func fastest() {
            #expect(AEADImplementation.lanes.obstacle == .notBuilt)
            #expect(AEADImplementation.ipsecMB.obstacle == .notBuilt)
            #expect(AEADImplementation.fastest == .sodium)
        }
    #endif

    @Test("implementations have the names of WG_AEAD")
    func names() {
        let lanes = AEADImplementation(name: "lanes")
        if AEADImplementation.available.contains(.lanes) {
            #expect(lanes == .lanes)
        } else if AEADImplementation.available.contains(.lanesAVX2) {
            #expect(lanes == .lanesAVX2)
        }
        #expect(AEADImplementation(name: "lanes-avx2") == .lanesAVX2)
        #expect(AEADImplementation(name: "ipsec-mb") == .ipsecMB)
        #expect(AEADImplementation(name: "sodium") == .sodium)
        #expect(AEADImplementation(name: "") == nil)
    }

    @Test("available implementations pass the self-test", arguments: AEADImplementation.available)
    func selfTest(implementation: AEADImplementation) {
        let passes = AEADSelfTest(implementation).passes
        #expect(passes)
    }

    @Test("the self-test finds faults", arguments: Fault.allCases)
    func selfTestFinds(fault: Fault) {
        let test = AEADSelfTest(
            seal: { packets, buffer, key in
                ChaCha20Poly1305.seal(packets, in: &buffer, key: key, using: .sodium)
                if fault == .sealsWrong { buffer.invert(at: packets[1].offset) }
            },
            open: { packets, buffer, key in
                ChaCha20Poly1305.open(&packets, in: &buffer, key: key, using: .sodium)
                let last = packets.count - 1
                switch (fault, packets[last].isAuthentic) {
                case (.opensWrong, true): buffer.invert(at: packets[last].offset + 64_999)
                // After the last whole word of 17 bytes.
                case (.opensEndWrong, true): buffer.invert(at: packets[4].offset + 16)
                case (.refusesEmpty, true): packets[0].isAuthentic = false
                case (.acceptsForgery, false): packets[last].isAuthentic = true
                case (.releasesForgery, false): buffer.invert(at: packets[last].offset)
                default: break
                }
            })
        let passes = test.passes
        #expect(!passes)
    }

    /// A fault of an implementation.
    enum Fault: CaseIterable {
        case sealsWrong, opensWrong, opensEndWrong, refusesEmpty, acceptsForgery, releasesForgery
    }
}

extension MutableRawSpan {
    /// Inverts one byte.
    fileprivate mutating func invert(at offset: Int) {
        // In bounds of the buffer of the self-test.
        let byte = unsafe bytes.unsafeLoad(fromByteOffset: offset, as: UInt8.self)
        storeBytes(of: ~byte, toByteOffset: offset, as: UInt8.self)
    }
}
