// control MODE: a program with a known fault, or with none.
//
//   mutex    two threads count under a contended lock: no fault
//   race     two threads count without a lock: for the thread sanitizer
//   freed    reads memory after it was freed: for the address sanitizer

import Glibc
import Synchronization

final class Counters: Sendable {
    let locked = Mutex(0)
    nonisolated(unsafe) var unlocked = 0
    let arrived = Atomic(0)

    /// Not inlined, so that the compiler does not merge the accesses into one, which the sanitizer could miss.
    @inline(never)
    func count() { unlocked += 1 }

    /// Waits until both threads are here, without synchronizing them.
    func meet(_ number: Int = 2) {
        arrived.add(1, ordering: .relaxed)
        while arrived.load(ordering: .relaxed) < number { sched_yield() }
    }
}

let counters = Counters()
let mode = CommandLine.arguments.dropFirst().first

func onTwoThreads(
    _ body: @escaping @convention(c) (UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer?
) {
    var threads = [pthread_t(), pthread_t()]
    for index in threads.indices { pthread_create(&threads[index], nil, body, nil) }
    for thread in threads { pthread_join(thread, nil) }
}

switch mode {
case "mutex":
    onTwoThreads { _ in
        counters.meet()
        for _ in 0..<300_000 { counters.locked.withLock { $0 += 1 } }
        return nil
    }
    print(counters.locked.withLock { $0 })
case "race":
    onTwoThreads { _ in
        counters.meet()
        for _ in 0..<300_000 { counters.count() }
        counters.meet(4)
        return nil
    }
    print(counters.unlocked)
case "freed":
    let memory = UnsafeMutablePointer<Int>.allocate(capacity: 4)
    memory.initialize(repeating: 7, count: 4)
    memory.deallocate()
    print(memory[2])
default:
    print("usage: control mutex|race|freed")
    exit(64)
}
