"""Stock `wg`: set, show, showconf, setconf, addconf and syncconf."""

import concurrent.futures
import socket
import threading

import pytest

from swireguard_dev.daemon import Daemon, Keys, to_hex, wg_tool
from swireguard_dev.machines import Machine, wait_until
from swireguard_dev.processes import belongings, open_files
from swireguard_dev.topology import two_sites, wait_for_the_next_initiation
from swireguard_dev.traffic import flood, ping, send_stream

NOTHING = "(none)"


@pytest.fixture
def daemon():
    with Machine("alice") as machine, Daemon(machine) as daemon:
        yield daemon


def test_a_fresh_interface_has_no_key_and_no_peer(daemon):
    status = daemon.show()
    assert (status.private_key, status.public_key, status.fwmark) == (NOTHING, NOTHING, "off")
    assert status.peers == {}
    assert daemon.wg("show", "peers") == ""


def test_the_interface_is_listed(daemon):
    assert daemon.machine.run("wg", "show", "interfaces") == f"{daemon.name}\n"
    assert daemon.machine.run("wg", "show").startswith(f"interface: {daemon.name}\n")


def test_all_settings_are_shown(daemon):
    own, peer, preshared = Keys(), Keys(), wg_tool("genpsk")
    daemon.wg("set", "private-key", "/dev/stdin", "listen-port", "12345", "fwmark", "0xca6c",
              input=own.private)
    daemon.wg("set", "peer", peer.public, "preshared-key", "/dev/stdin", "endpoint",
              "192.0.2.1:51820", "persistent-keepalive", "25", "allowed-ips",
              "10.1.2.3/8,fd00::1:2/64,192.168.5.6/32", input=preshared)

    status = daemon.show()
    assert status.private_key == own.private
    assert status.public_key == own.public
    assert status.listen_port == 12345
    assert status.fwmark == "0xca6c"
    shown = status.peer
    assert shown.public_key == peer.public
    assert shown.preshared_key == preshared
    assert shown.endpoint == "192.0.2.1:51820"
    assert shown.keepalive == "25"
    assert set(shown.allowed_ips) == {"10.0.0.0/8", "fd00::/64", "192.168.5.6/32"}  # masked
    assert (shown.latest_handshake, shown.rx, shown.tx) == (0, 0, 0)

    for column, value in [("public-key", own.public), ("private-key", own.private),
                          ("listen-port", "12345"), ("fwmark", "0xca6c")]:
        assert daemon.wg("show", column).strip() == value
    for column, value in [("peers", None), ("preshared-keys", preshared),
                          ("endpoints", "192.0.2.1:51820"), ("latest-handshakes", "0"),
                          ("transfer", "0\t0"), ("persistent-keepalive", "25")]:
        assert daemon.wg("show", column).strip().partition("\t")[::2] == (peer.public, value or "")


@pytest.mark.parametrize("endpoint", ["192.0.2.1:1", "[2001:db8::1]:65535", "[::1]:51820",
                                      "[::ffff:192.0.2.1]:5"])
def test_endpoints_are_shown_as_set(daemon, endpoint):
    daemon.wg("set", "peer", Keys().public, "endpoint", endpoint)
    assert daemon.show().peer.endpoint == endpoint


def test_the_scope_of_an_endpoint_is_shown_as_a_number(daemon):
    """`wg show` fails entirely if it cannot resolve a scope's name in its namespace."""
    daemon.machine.ip("link add eth9 type veth peer name eth8")
    index = open(daemon.machine.path("/sys/class/net/eth9/ifindex")).read().strip()
    daemon.wg("set", "peer", Keys().public, "endpoint", "[fe80::1%eth9]:51820")
    assert f"endpoint=[fe80::1%{index}]:51820\n" in daemon.ask("get=1\n\n")
    assert daemon.show().peer.endpoint.startswith("[fe80::1%")


def test_a_second_set_changes_only_the_named_settings(daemon):
    peer = Keys()
    daemon.wg("set", "peer", peer.public, "endpoint", "192.0.2.1:5", "persistent-keepalive", "7",
              "allowed-ips", "10.0.0.0/8")
    daemon.wg("set", "peer", peer.public, "endpoint", "192.0.2.2:6")
    shown = daemon.show().peer
    assert shown.endpoint == "192.0.2.2:6"
    assert (shown.keepalive, shown.allowed_ips) == ("7", ["10.0.0.0/8"])


def test_allowed_ips_are_replaced_and_move_between_peers(daemon):
    first, second = Keys(), Keys()
    daemon.wg("set", "peer", first.public, "allowed-ips", "10.0.0.0/8,10.1.0.0/16")
    daemon.wg("set", "peer", second.public, "allowed-ips", "10.1.0.0/16,fd00::/8")
    peers = daemon.show().peers
    assert peers[first.public].allowed_ips == ["10.0.0.0/8"]
    assert set(peers[second.public].allowed_ips) == {"10.1.0.0/16", "fd00::/8"}
    daemon.wg("set", "peer", second.public, "allowed-ips", "")
    assert daemon.show().peers[second.public].allowed_ips == []


def test_zeros_and_empty_files_clear_settings(daemon):
    peer = Keys()
    daemon.wg("set", "private-key", "/dev/stdin", "fwmark", "5", input=peer.private)
    daemon.wg("set", "peer", peer.public, "persistent-keepalive", "9")
    daemon.wg("set", "peer", Keys().public, "preshared-key", "/dev/stdin", input=wg_tool("genpsk"))
    key = next(key for key in daemon.show().peers if key != peer.public)
    daemon.wg("set", "private-key", "/dev/null", "fwmark", "off")
    daemon.wg("set", "peer", key, "preshared-key", "/dev/null", "persistent-keepalive", "off")
    status = daemon.show()
    assert (status.private_key, status.fwmark) == (NOTHING, "off")
    assert (status.peers[key].preshared_key, status.peers[key].keepalive) == (NOTHING, "off")


def test_a_peer_is_removed(daemon):
    stays, goes = Keys(), Keys()
    for keys in (stays, goes):
        daemon.wg("set", "peer", keys.public)
    daemon.wg("set", "peer", goes.public, "remove")
    assert list(daemon.show().peers) == [stays.public]
    daemon.wg("set", "peer", goes.public, "remove")  # removing an unknown peer succeeds


def test_a_private_key_is_clamped_and_shown_clamped(daemon):
    daemon.ask(f"set=1\nprivate_key={'ff' * 32}\n\n")
    assert to_hex(daemon.show().private_key) == "f8" + "ff" * 30 + "7f"


FULL = """[Interface]
ListenPort = 51999
FwMark = 0x64
PrivateKey = {private}

[Peer]
PublicKey = {first}
PresharedKey = {preshared}
AllowedIPs = 10.0.0.0/8, fd00::/8
Endpoint = 192.0.2.1:51820
PersistentKeepalive = 25

[Peer]
PublicKey = {second}
AllowedIPs = 192.168.0.0/16
"""


@pytest.fixture
def full():
    return FULL.format(private=Keys().private, first=Keys().public, second=Keys().public,
                       preshared=wg_tool("genpsk"))


def sections(configuration):
    """The interface's lines, and the peers as a set, because their order is not significant."""
    interface, *peers = configuration.strip().split("[Peer]")
    return [frozenset(part.split("\n")) - {""} for part in [interface]], {
        frozenset(part.split("\n")) - {""} for part in peers}


def test_a_configuration_survives_setconf_and_showconf(daemon, full):
    daemon.wg("setconf", "/dev/stdin", input=full)
    shown = daemon.wg("showconf")
    assert sections(shown) == sections(full)
    daemon.wg("setconf", "/dev/stdin", input=shown)
    assert sections(daemon.wg("showconf")) == sections(full)


def test_setconf_replaces_and_addconf_adds(daemon, full):
    daemon.wg("setconf", "/dev/stdin", input=full)
    extra = Keys().public
    daemon.wg("addconf", "/dev/stdin", input=f"[Peer]\nPublicKey = {extra}\n")
    assert len(daemon.show().peers) == 3
    assert daemon.show().listen_port == 51999
    daemon.wg("setconf", "/dev/stdin", input=f"[Peer]\nPublicKey = {extra}\n")
    status = daemon.show()
    assert list(status.peers) == [extra]
    assert (status.private_key, status.fwmark) == (NOTHING, "off")


def test_syncconf_reaches_the_given_configuration(daemon, full):
    daemon.wg("set", "peer", Keys().public, "allowed-ips", "172.16.0.0/12")
    daemon.wg("syncconf", "/dev/stdin", input=full)
    assert sections(daemon.wg("showconf")) == sections(full)


def test_syncconf_under_traffic_keeps_session_and_counters_and_loses_nothing():
    with two_sites() as (a, b), concurrent.futures.ThreadPoolExecutor() as threads:
        ping(a.machine, b.inner[4], count=3)
        before, before_there = a.peer_status(b), b.peer_status(a)
        files, _ = belongings(a.daemon.pid)
        changed = threading.Event()

        def flood_until_changed():
            """The number of answered packets, which must be all."""
            sent = 0
            while not changed.is_set():
                flood(a.machine, b.inner[4], count=1000, within=4)
                sent += 1000
            return sent

        flooding = threads.submit(flood_until_changed)
        added = Keys()
        try:
            for number in range(40):
                extra = [f"[Peer]\nPublicKey = {added.public}\nAllowedIPs = 10.9.0.0/16\n"]
                configuration = a.configuration(
                    b.as_peer(endpoint=before.endpoint)) + (extra[0] if number % 2 else "")
                a.daemon.wg("syncconf", "/dev/stdin", input=configuration)
                assert (added.public in a.daemon.show().peers) == bool(number % 2)
        finally:
            changed.set()
        byte_count = flooding.result() * 128
        after = a.peer_status(b)
        assert after.latest_handshake == before.latest_handshake
        assert after.rx >= before.rx + byte_count and after.tx >= before.tx + byte_count
        assert b.peer_status(a).latest_handshake == before_there.latest_handshake
        wait_until(lambda: open_files(a.daemon.pid) <= files, "all descriptors are closed")


def test_setconf_resets_its_peers():
    """replace_peers removes every peer, as in the kernel; a peer that is listed again is new."""
    with two_sites() as (a, b):
        ping(a.machine, b.inner[4])
        a.configure(b.as_peer(endpoint="10.0.0.2:51822"))
        assert (a.peer_status(b).rx, a.peer_status(b).latest_handshake) == (0, 0)
        wait_for_the_next_initiation()
        ping(a.machine, b.inner[4])


def test_a_changed_preshared_key_is_used_in_the_next_handshake():
    with two_sites() as (a, b):
        ping(a.machine, b.inner[4])
        preshared = wg_tool("genpsk")
        for site, other in ((a, b), (b, a)):
            site.daemon.wg("set", "peer", other.keys.public, "preshared-key", "/dev/stdin",
                           input=preshared)
        ping(a.machine, b.inner[4])  # the session continues
        a.go_down_and_up()  # ends all sessions
        wait_for_the_next_initiation()
        ping(a.machine, b.inner[4], within=4)


def test_the_other_end_follows_a_changed_port():
    """S8, S9: the other end learns the new port from the next packet, and the session continues."""
    with two_sites() as (a, b):
        ping(a.machine, b.inner[4])
        handshake = b.peer_status(a).latest_handshake
        a.daemon.wg("set", "listen-port", "9999")
        ping(a.machine, b.inner[6])
        assert b.peer_status(a).endpoint == "10.0.0.1:9999"
        assert b.peer_status(a).latest_handshake == handshake


def test_setting_current_values_changes_nothing():
    """`wg syncconf` always sets key, port and mark: sessions and sockets must survive."""
    with two_sites() as (a, b):
        ping(a.machine, b.inner[4])
        sockets = a.machine.run("ss", "-Hlune", "sport = :51821")
        assert "ino:" in sockets
        handshake = a.peer_status(b).latest_handshake
        a.daemon.wg("set", "private-key", "/dev/stdin", "listen-port", "51821", "fwmark", "0",
                    input=a.keys.private)
        assert a.machine.run("ss", "-Hlune", "sport = :51821") == sockets
        ping(a.machine, b.inner[4], within=4)
        assert a.peer_status(b).latest_handshake == handshake


@pytest.mark.parametrize("arguments", [
    ["private-key", "/nonexistent"], ["listen-port", "-1"],
    ["fwmark", "0x1ffffffff"], ["peer", "AAAA"], ["unknown", "1"],
], ids=" ".join)
def test_input_that_wg_refuses_changes_nothing(daemon, arguments):
    before = daemon.get()
    assert daemon.try_wg("set", *arguments).returncode != 0
    assert daemon.get() == before


def test_a_port_in_use_is_refused_and_the_old_one_keeps_working():
    with two_sites() as (a, b):
        ping(a.machine, b.inner[4])
        with a.machine.entered():
            taken = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            taken.bind(("0.0.0.0", 4444))
        with taken:
            refused = a.daemon.try_wg("set", "listen-port", "4444")
        assert refused.returncode != 0 and "Address already in use" in refused.stderr
        assert a.daemon.show().listen_port == a.port
        ping(a.machine, b.inner[4])


def test_a_long_stream_survives_a_stream_of_configurations():
    with two_sites() as (a, b):
        reader = a.machine.popen(
            "sh", "-c", "for i in $(seq 200); do wg show wg0 dump >/dev/null || exit 1; done")
        send_stream(a.machine, b.machine, b.inner[4], size=100_000_000)
        assert reader.wait(20) == 0
