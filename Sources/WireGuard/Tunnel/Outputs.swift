/// A queue of outputs until the owner of a ``Tunnel`` takes them.
struct Outputs<Element> {
    private var elements: [Element] = []
    private var first = 0

    mutating func append(_ element: Element) {
        elements.append(element)
    }

    mutating func next() -> Element? {
        guard first < elements.count else { return nil }
        let element = elements[first]
        first += 1
        // Taken elements keep their memory only while they are a small part of the array.
        if first == elements.count {
            elements = []
            first = 0
        } else if first >= 64, first * 2 >= elements.count {
            elements.removeFirst(first)
            first = 0
        }
        return element
    }
}
