import Testing

/// A row of a table of test cases, described by its name instead of by all its fields.
protocol TestRow: Sendable, CustomTestStringConvertible {
    var claim: String { get }
}

extension TestRow {
    var testDescription: String { claim }
}
