"""The kernel's configuration scenarios: one interface without a live peer.

    ns0: wg0
"""

import socket

import pytest

from swireguard_dev.daemon import NO_KEY, Daemon, Keys, to_hex, wg_tool
from swireguard_dev.machines import Machine
from test_scale import PREFIXES, canonical

@pytest.fixture
def daemon():
    with Machine("ns0") as machine, Daemon(machine, environment={"LOG_LEVEL": "error"}) as daemon:
        yield daemon


# Prefixes

@pytest.mark.scenario("S28", "130 560 prefixes of one peer in one setconf")
def test_130560_prefixes_of_one_peer(daemon, seen):
    key = Keys().public
    daemon.wg("setconf", "/dev/stdin", input=f"[Peer]\nPublicKey = {key}\n" + "".join(
        f"AllowedIPs = {prefix}\n" for prefix in PREFIXES))
    words = daemon.wg("show", "allowed-ips").split()
    assert len(words) == 130_561
    assert words[0] == key
    assert set(words[1:]) == set(map(canonical, PREFIXES))
    seen("wg shows 130 561 words")


@pytest.mark.scenario("S29", "40 peers with 52 networks each")
def test_forty_peers_with_52_networks_each(daemon, seen):
    peers = {wg_tool("genpsk"): [f"{number}.{second}.0.0/16" for second in range(52)]
             for number in range(1, 41)}
    daemon.wg("setconf", "/dev/stdin", input="\n".join(
        f"[Peer]\nPublicKey = {key}\nAllowedIPs = {', '.join(prefixes)}"
        for key, prefixes in peers.items()))
    lines = [line.split() for line in daemon.wg("show", "allowed-ips").splitlines()]
    assert len(lines) == 40
    assert all(len(line) == 53 and set(line[1:]) == set(peers[line[0]]) for line in lines)
    seen("40 lines of 53 words")


@pytest.mark.scenario("S30", "29 empty peers and a full one are shown as a configuration")
def test_empty_peers_beside_a_full_one(daemon, seen):
    for _ in range(29):
        daemon.wg("set", "peer", wg_tool("genpsk"))
    daemon.wg("set", "peer", wg_tool("genpsk"), "allowed-ips", "0.0.0.0/0,::/0")
    configuration = daemon.wg("showconf")
    assert configuration.count("[Peer]") == 30
    daemon.wg("setconf", "/dev/stdin", input=configuration)
    seen("showconf prints 30 peers, and setconf accepts them")


@pytest.mark.scenario("S32", "six of 394 prefixes are removed")
def test_prefixes_are_removed(daemon, seen):
    """As socket text: the `wg` of Debian 12 does not support "-"."""
    key = Keys().public
    prefixes = ([f"10.{number}.0.0/16" for number in range(197)]
                + [f"fd00:{number:x}::/32" for number in range(1, 198)])
    gone = prefixes[:2] + prefixes[196:198] + prefixes[-2:]
    assert daemon.ask(f"set=1\npublic_key={to_hex(key)}\n" + "".join(
        f"allowed_ip={prefix}\n" for prefix in prefixes) + "\n") == "errno=0\n\n"
    assert len(daemon.show().peer.allowed_ips) == len(prefixes) == 394
    assert daemon.ask(f"set=1\npublic_key={to_hex(key)}\n" + "".join(
        f"allowed_ip=-{prefix}\n" for prefix in gone) + "\n") == "errno=0\n\n"
    left = daemon.show().peer.allowed_ips
    assert len(left) == 388 and not set(left) & set(gone)
    seen("388 are left, none of the six among them")


@pytest.mark.scenario("S37", "covering and default prefixes replace each other")
def test_covering_and_default_prefixes_replace_each_other(daemon, seen):
    key = Keys().public
    changes = [
        "0.0.0.0/0", "::/0", "0.0.0.0/0,::/0", "0.0.0.0/1,128.0.0.0/1", "10.0.0.0/8",
        "10.0.0.0/8,10.0.0.0/16,10.0.0.0/24,10.0.0.0/32", "::/1,8000::/1", "fd00::/8,fd00::/128",
        "0.0.0.0/0", "255.255.255.255/32,0.0.0.0/32", "::/0,::/128", "0.0.0.0/0,::/0"]
    for prefixes in changes:
        daemon.wg("set", "peer", key, "allowed-ips", prefixes)
        assert set(daemon.show().peer.allowed_ips) == set(prefixes.split(","))
    seen(f"{len(changes)} times")


# Keys

@pytest.mark.scenario("S33", "an interface that does not exist is an error")
def test_an_unknown_interface_is_an_error(daemon, seen):
    result = daemon.machine.attempt("wg", "show", "wg7")
    assert result.returncode != 0 and "Unable to access interface" in result.stderr
    seen(result.stderr.strip())


@pytest.mark.scenario("S34", "private and preshared key are read back, and cleared by /dev/null")
def test_keys_are_read_back_and_cleared(daemon, seen):
    own, peer, preshared = Keys(), Keys(), wg_tool("genpsk")
    daemon.wg("set", "private-key", "/dev/stdin", input=own.private)
    daemon.wg("set", "peer", peer.public, "preshared-key", "/dev/stdin", input=preshared)
    status = daemon.show()
    assert (status.private_key, status.public_key) == (own.private, own.public)
    assert status.peer.preshared_key == preshared
    daemon.wg("set", "private-key", "/dev/null", "peer", peer.public, "preshared-key", "/dev/null")
    status = daemon.show()
    assert (status.private_key, status.peer.preshared_key) == (NO_KEY, NO_KEY)
    seen("both, and none afterwards")


@pytest.mark.scenario("S35", "an interface is never its own peer")
def test_setting_the_key_of_a_peer_removes_that_peer(daemon, seen):
    own, other = Keys(), Keys()
    daemon.wg("set", "private-key", "/dev/stdin", input=own.private)
    daemon.wg("set", "peer", own.public, "allowed-ips", "10.0.0.0/8")
    assert daemon.show().peers == {}
    daemon.wg("set", "peer", other.public, "allowed-ips", "10.0.0.0/8")
    daemon.wg("set", "private-key", "/dev/stdin", input=other.private)
    assert daemon.show().peers == {}
    daemon.wg("set", "private-key", "/dev/stdin", input=own.private)
    daemon.wg("set", "peer", other.public, "allowed-ips", "10.0.0.0/8")
    assert daemon.show().peer.allowed_ips == ["10.0.0.0/8"]
    seen("ignored, removed, and accepted after the interface's key changes")


LOW_ORDER_KEYS = [  # the points of small order, in all encodings that matter
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
]


@pytest.mark.scenario("S38", "keys of low order are accepted as peers and never sent to")
def test_low_order_keys_are_never_sent_to(daemon, seen):
    daemon.wg("set", "private-key", "/dev/stdin", input=Keys().private)
    for key in LOW_ORDER_KEYS:
        answer = daemon.ask(f"set=1\npublic_key={key}\npersistent_keepalive_interval=1\n"
                            "endpoint=127.0.0.1:1111\n\n")
        assert answer == "errno=0\n\n"
    with daemon.machine.entered(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 1111))
        listener.settimeout(2)
        daemon.machine.ip("link set wg0 up")
        with pytest.raises(TimeoutError):
            listener.recv(2000)
    peers = daemon.show().peers
    assert len(peers) == 7 and all(peer.tx == 0 for peer in peers.values())
    seen("7 peers, 0 bytes in 2 s")
