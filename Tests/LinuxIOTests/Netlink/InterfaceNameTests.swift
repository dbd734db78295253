import LinuxIO
import Testing

@Suite("Interface names")
struct InterfaceNameTests {
    @Test(
        "names that Linux accepts are valid",
        arguments: ["w", "wg0", "wg-home.1", "a_b", "fifteen-bytes-x", "...", "ü", "0", "-f"])
    func accepted(text: String) {
        #expect(InterfaceName(text)?.rawValue == text)
    }

    @Test(
        "names that Linux refuses or expands as a pattern are invalid",
        arguments: [
            "", ".", "..", "all", "default", "sixteen-bytes-xx", "a/b", "a:b", "wg%d", "a b", "a\t",
            "a\n", "\u{0B}", "a\r", "a\u{0C}b", "a\0b", "à", "a\u{00A0}",
        ])
    func refused(text: String) {
        #expect(InterfaceName(text) == nil)
    }
}
