import Testing

/// Expects a value whose computation mutates something or uses a noncopyable value, which `#expect` cannot
/// do.
func expect<Value: Equatable>(
    _ value: Value, is expected: Value, _ comment: Comment? = nil,
    sourceLocation: SourceLocation = #_sourceLocation
) {
    #expect(value == expected, comment, sourceLocation: sourceLocation)
}
