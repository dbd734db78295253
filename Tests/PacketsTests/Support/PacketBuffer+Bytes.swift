import Packets

extension PacketBuffer {
    /// Makes a buffer that holds exactly `bytes`.
    init(_ bytes: [UInt8]) {
        self.init(byteCount: max(1, bytes.count))
        put(bytes, at: 0)
    }

    /// Stores `bytes` at `offset`.
    mutating func put(_ bytes: [UInt8], at offset: Int) {
        var span = mutableBytes
        for (index, byte) in bytes.enumerated() {
            span.store(byte: byte, at: offset + index)
        }
    }

    /// A copy of `length` bytes at `offset`.
    func array(_ offset: Int, _ length: Int) -> [UInt8] {
        let span = bytes
        return (0..<length).map { span.byte(at: offset + $0) }
    }
}
