import Packets
import Synchronization
import WireGuardCrypto

extension Device {
    /// Writes the response to a get request: the device, then its peers in the order they were added.
    package func write(to writer: inout UAPIWriter) {
        var device = DeviceSnapshot()
        device.privateKey = identity?.privateKey.copy()
        device.listenPort = shared.listenPort.load(ordering: .relaxed)
        device.firewallMark = firewallMark
        writer.append(device)
        for peer in orderedPeers() {
            writer.append(snapshot(of: peer))
            tables.routes.forEachPrefix(ownedBy: peer.slot) { writer.append($0) }
        }
        writer.finish()
    }

    func snapshot(of peer: Peer) -> PeerSnapshot {
        let slot = peer.slot.rawValue
        var snapshot = PeerSnapshot(publicKey: peer.publicKey)
        snapshot.presharedKey = peer.presharedKey.copy()
        snapshot.endpoint = tables.peers[slot].endpoint.withLock { $0?.remote }
        snapshot.lastHandshake = peer.lastHandshake
        snapshot.txBytes = tables.peers[slot].sentBytes.load(ordering: .relaxed)
        snapshot.rxBytes = tables.peers[slot].receivedBytes.load(ordering: .relaxed)
        snapshot.persistentKeepalive = persistentKeepalive(of: peer)
        return snapshot
    }
}
