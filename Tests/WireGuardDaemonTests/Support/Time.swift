import WireGuard

/// A time in milliseconds after an arbitrary start.
func at(_ milliseconds: UInt64) -> ObservedInstant {
    ObservedInstant(nanoseconds: 1_000_000_000_000) + .milliseconds(milliseconds)
}

func moment(_ milliseconds: UInt64 = 0) -> Moment {
    Moment(instant: at(milliseconds), wall: WallTime(seconds: 1_700_000_000, nanoseconds: 0))
}
