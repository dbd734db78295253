import Testing

/// Expects a value that was found by mutating something or by asking what cannot be copied, neither
/// of which `#expect` can do.
func expect<Value: Equatable>(
    _ value: Value, is expected: Value, _ comment: Comment? = nil,
    sourceLocation: SourceLocation = #_sourceLocation
) {
    #expect(value == expected, comment, sourceLocation: sourceLocation)
}
