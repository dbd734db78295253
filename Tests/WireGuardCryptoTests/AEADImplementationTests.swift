import Testing
import WireGuardCrypto

/// Which implementation is used, and what has to be true of it before.
@Suite struct AEADImplementationTests {
    @Test("libsodium can always be used, and comes last")
    func sodium() {
        #expect(AEADImplementation.available.last == .sodium)
        #expect(AEADImplementation.sodium.nameAndVersion.hasPrefix("sodium 1."))
    }

    #if arch(x86_64)
        @Test("on x86-64, ipsec-mb is part of the build, and our own where it runs is preferred")
        func fastest() {
            #expect(AEADImplementation.ipsecMB.obstacle == nil)
            #expect(AEADImplementation.lanes.obstacle != .notBuilt)
            #expect(AEADImplementation.lanes.obstacle != .wrongAnswers)
            let ownRuns = AEADImplementation.lanes.obstacle == nil
            #expect(AEADImplementation.fastest == (ownRuns ? .lanes : .ipsecMB))
            #expect(AEADImplementation.lanes.nameAndVersion == "lanes of AVX-512")
            #expect(AEADImplementation.lanesAVX2.obstacle != .notBuilt)
            #expect(AEADImplementation.lanesAVX2.obstacle != .wrongAnswers)
            #expect(AEADImplementation.ipsecMB.nameAndVersion.hasPrefix("ipsec-mb "))
        }
    #else
        @Test("ipsec-mb and our own are for x86-64, and say so")
        func fastest() {
            #expect(AEADImplementation.lanes.obstacle == .notBuilt)
            #expect(AEADImplementation.ipsecMB.obstacle == .notBuilt)
            #expect(AEADImplementation.fastest == .sodium)
        }
    #endif

    @Test("the names are those of WG_AEAD")
    func names() {
        #expect(AEADImplementation(rawValue: "lanes") == .lanes)
        #expect(AEADImplementation(rawValue: "lanes-avx2") == .lanesAVX2)
        #expect(AEADImplementation(rawValue: "ipsec-mb") == .ipsecMB)
        #expect(AEADImplementation(rawValue: "sodium") == .sodium)
        #expect(AEADImplementation(rawValue: "") == nil)
    }

    @Test("the self-test passes what can be used", arguments: AEADImplementation.available)
    func selfTest(implementation: AEADImplementation) {
        let passes = AEADSelfTest(implementation).passes
        #expect(passes)
    }

    @Test("the self-test finds a fault", arguments: Fault.allCases)
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
                case (.refusesEmpty, true): packets[0].isAuthentic = false
                case (.acceptsForgery, false): packets[last].isAuthentic = true
                case (.releasesForgery, false): buffer.invert(at: packets[last].offset)
                default: break
                }
            })
        let passes = test.passes
        #expect(!passes)
    }

    /// A way to be wrong.
    enum Fault: CaseIterable {
        case sealsWrong, opensWrong, refusesEmpty, acceptsForgery, releasesForgery
    }
}

extension MutableRawSpan {
    /// Inverts one byte.
    fileprivate mutating func invert(at offset: Int) {
        // Within the buffer of the self-test.
        let byte = unsafe bytes.unsafeLoad(fromByteOffset: offset, as: UInt8.self)
        storeBytes(of: ~byte, toByteOffset: offset, as: UInt8.self)
    }
}
