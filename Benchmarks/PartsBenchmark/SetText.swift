import WireGuard

/// The text of a set, as `wg setconf` sends it.
struct SetText {
    private let bytes: [UInt8]

    init(peers: Int) {
        var text = "set=1\nlisten_port=51820\nfwmark=0\nreplace_peers=true\n"
        for peer in 0..<peers {
            let number = String(peer, radix: 16)
            text += "public_key=\(String(repeating: "0", count: 64 - number.utf8.count))\(number)\n"
            text += "endpoint=192.0.2.1:51820\nreplace_allowed_ips=true\n"
            text += "allowed_ip=10.\(peer >> 8 & 255).\(peer & 255).0/24\n"
            text += "allowed_ip=fd00:\(number)::/32\n"
        }
        bytes = Array((text + "\n").utf8)
    }

    /// The number of prefixes that it names.
    func parse() -> Int {
        var parser = UAPIParser()
        var offset = 0
        switch parser.read(bytes.span.bytes, from: &offset, resolveScope: { _ in nil }) {
        case .set(let change): return change.allowedIPCount
        default: preconditionFailure("the text is wrong")
        }
    }
}
