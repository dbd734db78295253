import CFaults
import Glibc

/// Injects errors into system calls of the calling thread (CFaults.h).
@safe
struct Faults {
    private let rules: UnsafeMutablePointer<faults_rule>

    /// Calls `body`, which sets the rules. Calls fail only during `body`.
    static func with(_ body: (Faults) throws -> Void) rethrows {
        let plan = UnsafeMutablePointer<faults_plan>.allocate(capacity: 1)
        unsafe plan.initialize(to: faults_plan())
        unsafe faults_use(plan)
        defer {
            faults_use(nil)
            unsafe plan.deallocate()
        }
        // The plan is a structure that contains only an array of rules.
        let rules = unsafe UnsafeMutableRawPointer(plan).assumingMemoryBound(to: faults_rule.self)
        try unsafe body(Faults(rules: rules))
    }

    /// Makes `call` fail with `error`, `times` in a row at message number `first`, or at each message of
    /// `length` bytes.
    func set(
        _ call: faults_call, error: Int32, times: Int = 1, first: Int = 0, length: Int = 0,
        most: Int = 0
    ) {
        var rule = faults_rule()
        rule.error = error
        rule.times = UInt32(times)
        rule.first = UInt64(first)
        rule.length = UInt32(length)
        rule.most = UInt32(most)
        unsafe rules[Int(call.rawValue)] = rule
    }

    /// How many times `call` failed since its rule was set.
    func count(_ call: faults_call) -> Int {
        Int(unsafe rules[Int(call.rawValue)].injected)
    }
}
