import CFaults
import Glibc

/// System calls of this thread that fail on demand, see CFaults.h.
@safe
struct Faults {
    private let rules: UnsafeMutablePointer<faults_rule>

    /// Lets calls fail as long as `body` runs, by the rules that it sets.
    static func with(_ body: (Faults) throws -> Void) rethrows {
        let plan = UnsafeMutablePointer<faults_plan>.allocate(capacity: 1)
        unsafe plan.initialize(to: faults_plan())
        unsafe faults_use(plan)
        defer {
            faults_use(nil)
            unsafe plan.deallocate()
        }
        // The plan is an array of rules, and nothing else.
        let rules = unsafe UnsafeMutableRawPointer(plan).assumingMemoryBound(to: faults_rule.self)
        try unsafe body(Faults(rules: rules))
    }

    /// From now on `call` fails with `error`, `times` in a row at message number `first`, or at each
    /// message of `length` bytes.
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

    /// How often `call` failed since its rule was set.
    func count(_ call: faults_call) -> Int {
        Int(unsafe rules[Int(call.rawValue)].injected)
    }
}
