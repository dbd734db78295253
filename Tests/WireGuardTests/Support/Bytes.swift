import LinuxIO
import Packets
import WireGuard

/// Calls `body` with the UTF-8 bytes of a string.
func withBytes<Result: ~Copyable>(_ text: String, _ body: (RawSpan) -> Result) -> Result {
    withBytes(Array(text.utf8), body)
}

/// Calls `body` with the bytes of an array.
func withBytes<Result: ~Copyable>(_ bytes: [UInt8], _ body: (RawSpan) -> Result) -> Result {
    // Bytes have no padding.
    let span = unsafe bytes.span.bytes
    return body(span)
}

/// Calls `body` with the MACs of a message.
func withMACs<Result: ~Copyable>(_ message: [UInt8], _ body: (MACs) -> Result) -> Result {
    withBytes(message) { message in
        guard let macs = MACs(of: message) else {
            preconditionFailure("the message is too short for MACs")
        }
        return body(macs)
    }
}

/// Whether `cookie` accepts a cookie reply.
func consume(_ reply: [UInt8], by cookie: inout LatestCookie, at now: Instant) -> Bool {
    // Bytes have no padding.
    guard let reply = CookieReply(unsafe reply.span.bytes) else { return false }
    return cookie.consume(reply, now: now)
}

/// The bytes of a span.
func array(_ bytes: RawSpan) -> [UInt8] {
    (0..<bytes.byteCount).map { bytes.byte(at: $0) }
}

extension IPPrefix {
    /// Parses a literal that must be a valid prefix.
    init(_ text: String) {
        guard let prefix = withBytes(text, { IPPrefix(parsing: $0) }) else {
            preconditionFailure("\(text) is no prefix")
        }
        self = prefix
    }
}

extension IPAddress {
    /// Parses a literal that must be a valid address.
    init(_ text: String) {
        guard let address = withBytes(text, { IPAddress(parsing: $0) }) else {
            preconditionFailure("\(text) is no address")
        }
        self = address
    }
}

extension Instant {
    /// `seconds` after the start of the device's time.
    static func after(_ seconds: Double) -> Instant {
        Instant(nanoseconds: UInt64(seconds * 1e9))
    }
}

extension ObservedInstant {
    /// `seconds` after the start of the clock.
    static func after(_ seconds: Double) -> ObservedInstant {
        ObservedInstant(nanoseconds: UInt64(seconds * 1e9))
    }

    /// The device's time at this reading, for a clock that never stepped.
    var steady: Instant { Instant(nanoseconds: nanoseconds) }
}

/// A pseudorandom generator with the same numbers in each run (SplitMix64).
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) {
        state = seed
    }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var word = state
        word = (word ^ word >> 30) &* 0xBF58_476D_1CE4_E5B9
        word = (word ^ word >> 27) &* 0x94D0_49BB_1331_11EB
        return word ^ word >> 31
    }
}

/// Returns a larger number in long test runs; `scripts/test --long` sets the variable.
func scaled(long: Int, short: Int) -> Int {
    Environment.value("SWIREGUARD_TEST_LONG") == "1" ? long : short
}

/// Returns a smaller number in debug builds, which are fifty times slower.
func scaled(release: Int, debug: Int) -> Int {
    #if DEBUG
        debug
    #else
        release
    #endif
}
