import Testing

@testable import WireGuard

@Suite("Block pool")
struct BlockPoolTests {
    @Test("a run keeps its elements through insertions and removals at every offset")
    func insertAndRemove() {
        var pool = BlockPool<UInt32>()
        var run = Run.empty
        var model: [UInt32] = []
        // In the middle, at the front, at the end.
        for number in 0..<UInt32(64) {
            let offset = [model.count / 2, 0, model.count][Int(number) % 3]
            run = pool.insert(number, at: offset, into: run)
            model.insert(number, at: offset)
            expect(run.count, is: model.count)
            expect(elements(of: run, in: pool), is: model)
        }
        while !model.isEmpty {
            let offset = [model.count / 2, 0, model.count - 1][model.count % 3]
            run = pool.remove(at: offset, from: run)
            model.remove(at: offset)
            expect(elements(of: run, in: pool), is: model)
        }
        expect(run, is: .empty)
        expect(pool.elementsInUse, is: 0)
    }

    @Test("a released run is reused at its size, and a copy has the same free runs")
    func reuse() {
        var pool = BlockPool<UInt32>()
        let first = pool.allocate(9)
        let second = pool.allocate(10)
        expect(pool.elementsInUse, is: 20)
        pool.release(first)
        pool.release(second)
        expect(pool.allocate(8).index, is: 20)
        var copy = pool.copy()
        expect(pool.allocate(10).index, is: second.index)
        expect(copy.allocate(9), is: Run(index: second.index, count: 9))
        expect(copy.allocate(9).index, is: first.index)
        expect(copy.allocate(9).index, is: 28)
    }

    #if DEBUG
        // Exit tests: each of these is a mistake of a caller, which debug builds must catch.

        @Test("releasing a run twice is caught")
        func doubleRelease() async {
            await #expect(processExitsWith: .failure) {
                var pool = BlockPool<UInt32>()
                let run = pool.allocate(4)
                _ = pool.allocate(4)
                pool.release(run)
                pool.release(run)
            }
        }

        @Test("releasing a part of a run is caught")
        func partialRelease() async {
            await #expect(processExitsWith: .failure) {
                var pool = BlockPool<UInt32>()
                let run = pool.allocate(4)
                pool.release(Run(index: run.index, count: 3))
            }
        }

        @Test("changing a run that was replaced is caught")
        func staleRun() async {
            await #expect(processExitsWith: .failure) {
                var pool = BlockPool<UInt32>()
                let run = pool.insert(1, at: 0, into: .empty)
                _ = pool.insert(2, at: 1, into: run)
                _ = pool.insert(3, at: 1, into: run)
            }
        }

        @Test("an offset outside of a run is caught")
        func offset() async {
            await #expect(processExitsWith: .failure) {
                let run = Run(index: 0, count: 4)
                _ = run[4]
            }
        }

        @Test("a node whose children do not match its branches is caught")
        func mismatch() async {
            await #expect(processExitsWith: .failure) {
                var node = PrefixTrie<UInt32>.Node(toward: 0, at: 0)
                node.setChildren(Run(index: 0, count: 2), branches: 0b111)
            }
        }

        @Test("a trie whose shortcuts are out of date is caught")
        func staleShortcut() async {
            await #expect(processExitsWith: .failure) {
                var trie = PrefixTrie<UInt32>()
                for number in 0..<UInt32(Shortcuts.leastCount) {
                    trie.insert(
                        number << 16, length: 16, claim: .init(owner: number, entry: number))
                }
                trie.assertInvariants()
                trie.shortcuts.setNode(noIndex, at: 7)
                trie.assertInvariants()
            }
        }
    #endif

    private func elements(of run: Run, in pool: borrowing BlockPool<UInt32>) -> [UInt32] {
        var elements: [UInt32] = []
        for offset in 0..<run.count { elements.append(pool[run[offset]]) }
        return elements
    }
}
