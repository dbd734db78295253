/// An address family.
package enum AddressFamily: Sendable, Equatable {
    case v4
    case v6
}

extension IPAddress {
    /// The family of the address.
    package var family: AddressFamily {
        switch self {
        case .v4: .v4
        case .v6: .v6
        }
    }
}
