import Glibc
import LinuxIO
import WireGuardCrypto

// crowd MEMBERS PORT KEEPALIVE: prints a configuration, and then does what each line of its input
// says, with an answer in one line. It is driven by scripts/scale.
//
//     establish              give each member a session
//     await SECONDS COUNT    wait until the host has made one with each of the first COUNT
//     measure SECONDS RATE   ping, while so many members a second renew their sessions

let numbers = CommandLine.arguments.dropFirst().compactMap { Int($0) }
guard numbers.count == 3, let port = UInt16(exactly: numbers[1]) else {
    fatalError("usage: crowd MEMBERS PORT KEEPALIVE")
}
try Cryptography.initialize()
var crowd = try Crowd(members: numbers[0], hostPort: port)
print(crowd.configuration(keepalive: numbers[2]), terminator: "")
// All streams, since output to a pipe is buffered.
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
    default: fatalError("not understood: \(line)")
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
