import WireGuard

/// The text of a `set` request, as `wg setconf` sends it.
struct SetText {
    private let bytes: [UInt8]
    private let text: String

    /// 65 280 IPv4 prefixes and as many IPv6 prefixes on one peer.
    init(prefixesOf255Times256: Void) {
        var text = "set=1\nreplace_peers=true\npublic_key=\(String(repeating: "ab", count: 32))\n"
        for first in 0..<255 {
            for second in 0..<256 {
                text += "allowed_ip=\(first).\(second).0.0/16\n"
                let (high, low) = (String(first, radix: 16), String(second, radix: 16))
                text += "allowed_ip=fd00:\(high):\(low)::1/128\n"
            }
        }
        self.init(text)
    }

    init(peers: Int) {
        var text = "set=1\nlisten_port=51820\nfwmark=0\nreplace_peers=true\n"
        for peer in 1...peers {
            let number = String(peer, radix: 16)
            text += "public_key=\(String(repeating: "0", count: 64 - number.utf8.count))\(number)\n"
            text += "endpoint=192.0.2.1:51820\nreplace_allowed_ips=true\n"
            text += "allowed_ip=10.\(peer >> 8 & 255).\(peer & 255).0/24\n"
            text += "allowed_ip=fd00:\(number)::/32\n"
        }
        self.init(text)
    }

    private init(_ text: String) {
        self.text = text + "\n"
        bytes = Array(self.text.utf8)
    }

    /// Parses the text. Returns the number of prefixes in it.
    func parse() -> Int {
        var parser = UAPIParser()
        var offset = 0
        switch parser.read(bytes.span.bytes, from: &offset, resolveScope: { _ in nil }) {
        case .set(let change): return change.allowedIPCount
        default: preconditionFailure("the text is invalid")
        }
    }

    /// Returns a tunnel with this configuration.
    func apply() -> Tunnel {
        let tunnel = Tunnel()
        guard (try? tunnel.configure(text, now: Self.time)) != nil else {
            preconditionFailure("the tunnel rejects the text")
        }
        return tunnel
    }

    /// The length of the answer to a `get` request.
    static func get(_ tunnel: Tunnel) -> Int {
        var writer = UAPIWriter()
        tunnel.write(to: &writer)
        return writer.byteCount
    }

    private static let time = Moment(
        instant: ObservedInstant(nanoseconds: 1_000_000_000),
        wall: WallTime(seconds: 1_800_000_000, nanoseconds: 0))
}
