/// Whether the control thread must be woken.
///
/// Everything that gives the control thread work returns one, and the caller must use the result. A
/// worker merges the results of a batch and wakes the thread once, after the batch.
package enum Wake: Equatable, Sendable, BitwiseCopyable {
    case notNeeded
    case needed

    /// Merges two results: needed if either is.
    @inline(__always)
    package static func | (left: Wake, right: Wake) -> Wake {
        left == .needed ? .needed : right
    }

    /// Merges another result into this one.
    @inline(__always)
    package static func |= (left: inout Wake, right: Wake) {
        left = left | right
    }
}
