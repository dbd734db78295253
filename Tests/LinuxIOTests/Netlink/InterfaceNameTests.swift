import LinuxIO
import Testing

@Suite("Names of interfaces")
struct InterfaceNameTests {
    @Test(
        "a name that Linux takes is one",
        arguments: ["w", "wg0", "wg-home.1", "a_b", "fifteen-bytes-x", "...", "ü", "0", "-f"])
    func accepted(text: String) {
        #expect(InterfaceName(text)?.rawValue == text)
    }

    @Test(
        "a name that Linux refuses, or takes for a pattern, is none",
        arguments: [
            "", ".", "..", "all", "default", "sixteen-bytes-xx", "a/b", "a:b", "wg%d", "a b", "a\t",
            "a\n", "\u{0B}", "a\r", "a\u{0C}b", "a\0b", "à", "a\u{00A0}",
        ])
    func refused(text: String) {
        #expect(InterfaceName(text) == nil)
    }
}
