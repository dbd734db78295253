import Glibc
import LinuxIO
import WireGuardCrypto

// crowd MEMBERS PORT KEEPALIVE: prints a configuration for the host, then reads commands, one per line, and
// answers each with one line of JSON. scripts/scale uses it.
//
//     establish              establish a session for each member
//     await SECONDS COUNT    wait until the host has a session with each of the first COUNT members
//     measure SECONDS RATE   ping while RATE members per second renew their sessions

let numbers = CommandLine.arguments.dropFirst().compactMap { Int($0) }
guard numbers.count == 3, let port = UInt16(exactly: numbers[1]) else {
    fatalError("usage: crowd MEMBERS PORT KEEPALIVE")
}
try Cryptography.initialize()
var crowd = try Crowd(members: numbers[0], hostPort: port)
print(crowd.configuration(keepalive: numbers[2]), terminator: "")
// Output to a pipe is buffered. nil flushes all streams.
_ = fflush(nil)

while let line = readLine() {
    let words = line.split(separator: " ")
    let arguments = words.dropFirst().compactMap { UInt64($0) }
    let begun = Clock.boottime()
    let before = crowd.handshakes
    switch (words.first, arguments.count) {
    case ("establish", 0): try crowd.establish()
    case ("await", 2):
        try crowd.awaitCalls(seconds: arguments[0], count: Int(clamping: arguments[1]))
    case ("measure", 2):
        try crowd.measure(seconds: arguments[0], initiationsASecond: arguments[1])
    default: fatalError("unknown command: \(line)")
    }
    let seconds = Double(Clock.boottime() - begun) / 1e9
    let trips = crowd.echo.roundTrips.sorted()
    func quantile(_ part: Double) -> UInt64 {
        trips.isEmpty ? 0 : trips[min(Int(part * Double(trips.count)), trips.count - 1)]
    }
    print(
        """
        {"seconds": \(seconds), "handshakes": \(crowd.handshakes - before), \
        "unexpected": \(crowd.unexpected), "late": \(crowd.late), "cookies": \(crowd.cookies), "sent": \(crowd.echo.sent), "back": \(trips.count), \
        "median": \(quantile(0.5)), "p99": \(quantile(0.99)), "p999": \(quantile(0.999)), \
        "max": \(trips.last ?? 0), "pauses": \(trips.count { $0 > Echo.pause })}
        """)
    _ = fflush(nil)
}
