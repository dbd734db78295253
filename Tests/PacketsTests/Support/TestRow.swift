import Testing

/// A row of a table of cases, called by what it claims instead of by all of its fields.
protocol TestRow: Sendable, CustomTestStringConvertible {
    var claim: String { get }
}

extension TestRow {
    var testDescription: String { claim }
}
