import Packets
import Synchronization
import WireGuardCrypto

extension Device {
    /// Checks that ``apply(_:at:)`` can apply the whole change.
    package func check(_ change: borrowing ConfigurationChange) throws(ConfigurationError) {
        let kept = change.replacesPeers ? 0 : peersByKey.count
        guard kept + change.peers.count > Constants.maximumPeers else { return }
        var keys = Set<PublicKey>()
        if !change.replacesPeers { keys.formUnion(peersByKey.keys) }
        for peer in change.peers where peer.action == .createOrUpdate {
            keys.insert(peer.publicKey)
        }
        guard keys.count <= Constants.maximumPeers else { throw .tooManyPeers }
    }

    /// Applies a change that ``check(_:)`` accepted: first the device, then its peers in order. The
    /// listen port is not applied here; the owner of the sockets calls ``setListenPort(_:)``.
    ///
    /// Allowed IPs that a peer keeps stay in the table all the time: new ones are inserted first, then
    /// those that are not in the new list are removed.
    package func apply(_ change: borrowing ConfigurationChange, at observed: Moment) {
        let moment = steady(observed)
        if change.wipesSessions { wipeSessions() }
        switch change.privateKey {
        case .unchanged: break
        case .cleared: setIdentity(nil, at: moment)
        case .set(let key):
            if identity.map({ $0.privateKey == key }) != true {
                setIdentity(StaticIdentity(key.copy()), at: moment)
            }
        }
        if let mark = change.firewallMark, mark != firewallMark {
            firewallMark = mark
            forgetSources()
        }
        if change.replacesPeers {
            for peer in orderedPeers() { remove(peer) }
        }
        for index in change.peers.indices {
            let peerChange = change.peers[index]
            apply(peerChange, of: change, at: moment)
        }
    }

    /// Sets the port that the sockets are bound to, 0 for none.
    package func setListenPort(_ port: UInt16) {
        guard shared.listenPort.exchange(port, ordering: .relaxed) != port else { return }
        forgetSources()
    }

    // MARK: The device's own key

    private func setIdentity(_ new: StaticIdentity?, at moment: SteadyMoment) {
        let isFirst = identity == nil
        guard !(isFirst && new == nil) else { return }
        identity = new
        switch new {
        case .some(let new): checker = CookieChecker(publicKey: new.publicKey)
        case .none: checker = nil
        }
        let mac1Check = new.map { MAC1Check(publicKey: $0.publicKey) }
        control.exclusively { tables in tables.mac1Check = mac1Check }
        if let own = new.flatMap({ peersByKey[$0.publicKey] }) { remove(own) }
        for peer in orderedPeers() {
            let slot = peer.slot.rawValue
            peer.staticStatic = nil
            clearHandshake(of: peer)
            // Messages already on their way are still received; none is sent under the old identity.
            for keypair in [peer.keypairs.current, peer.keypairs.next].compactMap(\.self) {
                tables.keypairs[keypair].maySend.store(false, ordering: .relaxed)
            }
            tables.peers[slot].lastHandshakeSent.store(0, ordering: .relaxed)
            if isFirst, isUp {
                sendStaged(peer, at: moment)
            }
        }
    }

    // MARK: Peers

    private func apply(
        _ peerChange: PeerChange, of change: borrowing ConfigurationChange, at moment: SteadyMoment
    ) {
        let known = peersByKey[peerChange.publicKey]
        switch (peerChange.action, known) {
        case (.remove, let known?): return remove(known)
        case (.remove, nil), (.updateOnly, nil): return
        case (.createOrUpdate, _), (.updateOnly, _): break
        }
        // As the kernel: a peer with our own key is ignored.
        guard peerChange.publicKey != identity?.publicKey else { return }
        let peer = known ?? add(peerChange.publicKey)
        switch change.presharedKey(of: peerChange) {
        case .some(let key): peer.presharedKey = key
        case .none: break
        }
        let slot = peer.slot.rawValue
        var isReachable = false
        if let remote = peerChange.endpoint {
            isReachable = tables.peers[slot].endpoint.withLock { $0 == nil }
            tables.peers[slot].move(to: Endpoint(remote: remote))
        }
        applyAllowedIPs(peerChange, of: change, to: peer)
        applyKeepalive(peerChange, to: peer, isNewlyReachable: isReachable, at: moment)
        guard isUp else { return }
        sendStaged(peer, at: moment)
    }

    private func applyKeepalive(
        _ change: PeerChange, to peer: Peer, isNewlyReachable: Bool, at moment: SteadyMoment
    ) {
        let slot = peer.slot.rawValue
        let before = persistentKeepalive(of: peer)
        let seconds = change.persistentKeepalive ?? before
        tables.peers[slot].timers.persistentKeepaliveSeconds.store(seconds, ordering: .relaxed)
        if seconds == 0, before > 0 {
            withTimers(of: peer) { timers in
                timers.persistentKeepaliveStopped()
                return .notNeeded
            }
        }
        guard isUp, seconds > 0, before == 0 || isNewlyReachable else { return }
        sendKeepaliveSoon(to: peer, at: moment)
    }

    private func add(_ key: PublicKey) -> Peer {
        var slot: UInt32 = 0
        control.exclusively { tables in slot = tables.peers.insert(SharedPeer()) }
        let peer = Peer(publicKey: key, slot: PeerSlot(rawValue: slot), serial: nextSerial)
        nextSerial += 1
        tables.peers[slot].timers.isRunning.store(isUp, ordering: .relaxed)
        while peersBySlot.count <= Int(slot) { peersBySlot.append(nil) }
        peersBySlot[Int(slot)] = peer
        peersByKey[key] = peer
        return peer
    }

    private func remove(_ peer: Peer) {
        stop(peer, dropping: .noPeer)
        removePrefixes(prefixes(of: peer), of: peer)
        control.exclusively { tables in
            tables.routes.removeAll(ownedBy: peer.slot)
            // The packet path may have staged more since `stop`.
            shared.dropStaged(of: peer.slot, .noPeer, in: tables)
            tables.peers.remove(peer.slot.rawValue)
        }
        // While the slot still identifies the peer.
        traceDrops()
        peersBySlot[Int(peer.slot.rawValue)] = nil
        peersByKey[peer.publicKey] = nil
    }

    // MARK: Allowed IPs

    private func applyAllowedIPs(
        _ peerChange: PeerChange, of change: borrowing ConfigurationChange, to peer: Peer
    ) {
        let changes = change.allowedIPs(of: peerChange)
        var stale: [IPPrefix] = []
        if peerChange.replacesAllowedIPs {
            let named = Set(changes.lazy.map(\.prefix))
            stale = prefixes(of: peer).filter { !named.contains($0) }
        }
        var start = changes.startIndex
        while start < changes.endIndex {
            let end = min(start + Self.prefixesPerPause, changes.endIndex)
            makeRoom(forPrefixes: end - start)
            control.exclusively { tables in
                for change in changes[start..<end] {
                    switch change.action {
                    case .add: tables.routes.insert(change.prefix, owner: peer.slot)
                    case .remove: _ = tables.routes.remove(change.prefix, ifOwnedBy: peer.slot)
                    }
                }
            }
            start = end
        }
        removePrefixes(stale, of: peer)
    }

    /// Grows the table of prefixes. The workers wait only for the swap: the copy takes many
    /// milliseconds for a million prefixes.
    private func makeRoom(forPrefixes count: Int) {
        guard tables.routes.lacksRoom(for: count) else { return }
        var room = tables.routes.makeRoom(for: count)
        control.exclusively { tables in tables.routes.adopt(&room) }
    }

    private func removePrefixes(_ prefixes: [IPPrefix], of peer: Peer) {
        var start = 0
        while start < prefixes.count {
            let end = min(start + Self.prefixesPerPause, prefixes.count)
            // Removal can move the rest of a run into a shorter one.
            makeRoom(forPrefixes: end - start)
            control.exclusively { tables in
                for prefix in prefixes[start..<end] {
                    _ = tables.routes.remove(prefix, ifOwnedBy: peer.slot)
                }
            }
            start = end
        }
    }

    private func prefixes(of peer: Peer) -> [IPPrefix] {
        var prefixes: [IPPrefix] = []
        prefixes.reserveCapacity(tables.routes.count(ownedBy: peer.slot))
        tables.routes.forEachPrefix(ownedBy: peer.slot) { prefixes.append($0) }
        return prefixes
    }

    /// Prefixes to change before the workers run again: about 50 µs.
    private static let prefixesPerPause = 128
}
