/// The result of receiving a batch of messages.
package enum ReceiveResult: Equatable, Sendable {
    /// This many messages are in slots 0, 1, ….
    case messages(Int)
    /// Nothing is waiting.
    case wouldBlock
    /// Another errno, for example ENOMEM. The socket stays usable.
    case failed(Int32)
}
