import Glibc

/// A file of `Vectors/`: flat objects whose values are all strings, without escapes.
struct VectorFile {
    /// One object of `cases`, by key.
    typealias Case = [String: String]

    let cases: [Case]

    /// Reads a file that has to be there.
    init(_ name: String, sourceFile: StaticString = #filePath) {
        // Tests/WireGuardTests/Vectors/ lies three levels below the root.
        let root = String(describing: sourceFile).split(separator: "/").dropLast(4)
        self.init(text: Self.read("/" + root.joined(separator: "/") + "/Vectors/" + name))
    }

    /// Strings alternate between keys and values, once the head of the file is skipped; the braces
    /// between them separate the cases.
    private init(text: String) {
        guard let start = text.firstRange(of: "\"cases\"") else {
            preconditionFailure("no cases")
        }
        cases = text[start.upperBound...].split(separator: "{").dropFirst().map { object in
            let strings = object.split(separator: "\"", omittingEmptySubsequences: false)
            var fields: Case = [:]
            // What is not quoted lies between: "key" : "value" ,
            for index in stride(from: 1, to: strings.count - 3, by: 4) {
                fields[String(strings[index])] = String(strings[index + 2])
            }
            return fields
        }
        precondition(!cases.isEmpty)
    }

    private static func read(_ path: String) -> String {
        guard let file = unsafe fopen(path, "r") else { preconditionFailure("no \(path)") }
        defer { unsafe fclose(file) }
        var bytes: [UInt8] = []
        while case let byte = unsafe getc(file), byte != EOF { bytes.append(UInt8(byte)) }
        return String(decoding: bytes, as: UTF8.self)
    }
}

extension VectorFile.Case {
    /// The bytes of a value; the key has to be there.
    func bytes(_ key: String) -> [UInt8] {
        guard let digits = self[key] else { preconditionFailure("no \(key)") }
        return hexBytes(digits)
    }

    /// The number that a value is; the key has to be there.
    func number(_ key: String) -> UInt64 {
        guard let number = self[key].flatMap({ UInt64($0) }) else {
            preconditionFailure("no \(key)")
        }
        return number
    }
}

/// The bytes that hexadecimal digits stand for.
func hexBytes(_ digits: String) -> [UInt8] {
    let values = digits.compactMap { $0.hexDigitValue.map(UInt8.init) }
    precondition(values.count == digits.utf8.count && values.count.isMultiple(of: 2))
    return stride(from: 0, to: values.count, by: 2).map { values[$0] << 4 | values[$0 + 1] }
}
