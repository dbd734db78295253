"""The configuration protocol on the socket, byte by byte."""

import contextlib
import errno
import os
import random
import resource
import socket
import stat
import time

import pytest

from swireguard_dev.daemon import Daemon, Keys, read_answer, to_hex
from swireguard_dev.machines import Machine, wait_until
from swireguard_dev.processes import cpu_seconds, open_files, resident
from swireguard_dev.topology import two_sites
from swireguard_dev.traffic import assert_no_answer, ping

KEY = "1122334455667788" * 4
OTHER = "99aabbccddeeff00" * 4
PRIVATE = "40" + "55" * 30 + "40"  # already clamped
OK = "errno=0\n\n"
AT_ONCE = 5  # seconds: a client that waits for a stalled one waits 15


def answer_of(number):
    return f"errno=-{number}\n\n" if number else OK


@pytest.fixture(scope="module")
def running():
    with Machine("alice") as machine, Daemon(machine) as daemon:
        yield daemon


@pytest.fixture
def daemon(running):
    """One daemon for all tests, reset to a known state."""
    assert running.ask(
        f"set=1\nprivate_key={PRIVATE}\nlisten_port=7777\nfwmark=5\nreplace_peers=true\n"
        f"public_key={KEY}\nendpoint=192.0.2.1:51820\npersistent_keepalive_interval=0\n"
        f"allowed_ip=10.0.0.0/8\nallowed_ip=fd00::/16\n\n") == OK
    return running


def peers(daemon):
    """The key-value pairs of each peer, in order, by public key."""
    found = {}
    for key, value in daemon.get():
        if key == "public_key":
            found[value] = []
        elif found:
            found[list(found)[-1]].append((key, value))
    return found


def prefixes(daemon, key=KEY):
    return {value for name, value in peers(daemon)[key] if name == "allowed_ip"}


# The socket.

def test_only_the_owner_can_open_the_socket(daemon):
    assert stat.S_IMODE(os.stat(daemon.socket_path).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(os.path.dirname(daemon.socket_path)).st_mode) == 0o755
    assert os.listdir(os.path.dirname(daemon.socket_path)) == ["wg0.sock"]


# get.

def test_get_answers_in_order(daemon):
    assert daemon.ask(f"set=1\npublic_key={KEY}\npreshared_key={OTHER}\n\n") == OK
    assert daemon.ask("get=1\n\n") == (
        f"private_key={PRIVATE}\nlisten_port=7777\nfwmark=5\n"
        f"public_key={KEY}\npreshared_key={OTHER}\nprotocol_version=1\n"
        "endpoint=192.0.2.1:51820\nlast_handshake_time_sec=0\nlast_handshake_time_nsec=0\n"
        "tx_bytes=0\nrx_bytes=0\npersistent_keepalive_interval=0\n"
        "allowed_ip=10.0.0.0/8\nallowed_ip=fd00::/16\nerrno=0\n\n")


def test_get_omits_zero_values(daemon):
    assert daemon.ask(f"set=1\nprivate_key={'0' * 64}\nfwmark=0\nreplace_peers=true\n"
                      f"public_key={KEY}\n\n") == OK
    pairs = daemon.get()
    assert [key for key, _ in pairs] == [
        "listen_port", "public_key", "preshared_key", "protocol_version",
        "last_handshake_time_sec", "last_handshake_time_nsec", "tx_bytes", "rx_bytes",
        "persistent_keepalive_interval"]
    assert ("preshared_key", "0" * 64) in pairs


def test_a_get_followed_by_more_lines_is_answered_once(daemon):
    assert daemon.ask("get=1\n\n").count("errno=") == 1


# Dialogues.

def test_an_answer_to_a_set_is_one_write(daemon):
    """Some clients read the answer with a single short read."""
    for _ in range(20):
        with daemon.dial() as client:
            client.sendall(f"set=1\npublic_key={KEY}\n\n".encode())
            assert client.recv(32) == b"errno=0\n\n"


def test_a_connection_serves_several_dialogues(daemon):
    with daemon.dial() as client:
        for number in range(5):
            client.sendall(f"set=1\nfwmark={number}\n\n".encode())
            assert read_answer(client) == OK
            client.sendall(b"get=1\n\n")
            assert ("fwmark=" in read_answer(client)) == (number > 0)
        client.sendall(b"set=1\nfwmark=x\n\n")
        assert read_answer(client) == answer_of(errno.EINVAL)


def test_two_dialogues_in_one_write_are_both_answered(daemon):
    with daemon.dial() as client:
        client.sendall(b"set=1\nfwmark=17\n\nget=1\n\n")
        answer = read_answer(client)
        while answer.count("errno=") < 2:
            more = read_answer(client)
            assert more
            answer += more
    assert answer.startswith(OK) and "fwmark=17\n" in answer


def test_carriage_returns_are_ignored(daemon):
    assert daemon.ask("set=1\r\nfwmark=9\r\n\r\n") == OK
    assert ("fwmark", "9") in daemon.get()


def test_single_bytes_are_accepted(daemon):
    text = f"set=1\nfwmark=33\npublic_key={OTHER}\nallowed_ip=172.16.0.0/12\n\n"
    with daemon.dial() as client:
        for byte in text.encode():
            client.send(bytes([byte]))
        assert read_answer(client) == OK
    assert prefixes(daemon, OTHER) == {"172.16.0.0/12"}


def test_an_unfinished_set_is_not_applied(daemon):
    before = daemon.get()
    with daemon.dial() as client:
        client.sendall(f"set=1\nfwmark=99\npublic_key={OTHER}\n".encode())
        client.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionError):
            assert OK not in read_answer(client)
    assert daemon.get() == before


def test_an_error_is_answered_after_the_blank_line(daemon):
    """The daemon reads all input first; otherwise the client sees a reset instead of the answer."""
    lines = "".join(f"allowed_ip=10.{n // 256}.{n % 256}.0/24\n" for n in range(20000))
    with daemon.dial() as client:
        client.sendall(f"set=1\nnonsense\n{lines}\n".encode())
        assert read_answer(client) == answer_of(errno.EPROTO)


# set: what it changes and what it keeps.

def test_keys_are_clamped(daemon):
    assert daemon.ask(f"set=1\nprivate_key={'ff' * 32}\n\n") == OK
    assert ("private_key", "f8" + "ff" * 30 + "7f") in daemon.get()


def test_upper_case_keys_come_back_in_lower_case(daemon):
    assert daemon.ask(f"set=1\npublic_key={OTHER.upper()}\n\n") == OK
    assert OTHER in peers(daemon)


def test_update_only_creates_no_peer(daemon):
    before = daemon.get()
    assert daemon.ask(f"set=1\npublic_key={OTHER}\nupdate_only=true\nallowed_ip=10.0.0.0/8\n"
                      "endpoint=192.0.2.9:9\n\n") == OK
    assert daemon.get() == before
    assert daemon.ask(f"set=1\npublic_key={KEY}\nupdate_only=true\nendpoint=192.0.2.9:9\n\n") == OK
    assert ("endpoint", "192.0.2.9:9") in daemon.get()


def test_a_removed_peer_is_gone_whatever_follows(daemon):
    assert daemon.ask(f"set=1\npublic_key={KEY}\nremove=true\nallowed_ip=10.0.0.0/8\n"
                      "persistent_keepalive_interval=5\n\n") == OK
    assert peers(daemon) == {}
    assert daemon.ask(f"set=1\npublic_key={KEY}\nremove=true\n\n") == OK
    assert peers(daemon) == {}


def test_replace_peers_removes_all_others(daemon):
    assert daemon.ask(f"set=1\nreplace_peers=true\npublic_key={OTHER}\n\n") == OK
    assert list(peers(daemon)) == [OTHER]


def test_replace_allowed_ips(daemon):
    assert daemon.ask(f"set=1\npublic_key={KEY}\nreplace_allowed_ips=true\n"
                      "allowed_ip=10.1.2.3/16\nallowed_ip=fd01::1/64\n\n") == OK
    assert prefixes(daemon) == {"10.1.0.0/16", "fd01::/64"}
    assert daemon.ask(f"set=1\npublic_key={KEY}\nallowed_ip=192.168.1.1/32\n\n") == OK
    assert prefixes(daemon) == {"10.1.0.0/16", "fd01::/64", "192.168.1.1/32"}


def test_a_prefix_moves_to_the_last_peer_that_lists_it(daemon):
    assert daemon.ask(f"set=1\npublic_key={OTHER}\nallowed_ip=10.0.0.1/8\n\n") == OK
    assert (prefixes(daemon), prefixes(daemon, OTHER)) == ({"fd00::/16"}, {"10.0.0.0/8"})


def test_a_minus_removes_only_the_peers_own_prefixes(daemon):
    assert daemon.ask(f"set=1\npublic_key={OTHER}\nallowed_ip=-10.0.0.0/8\n\n") == OK
    assert prefixes(daemon) == {"10.0.0.0/8", "fd00::/16"}
    assert daemon.ask(f"set=1\npublic_key={KEY}\nallowed_ip=-10.0.0.0/9\n"
                      "allowed_ip=-fd00::/16\n\n") == OK
    assert prefixes(daemon) == {"10.0.0.0/8"}


def test_six_of_394_prefixes_are_removed(daemon):
    """S32."""
    all_prefixes = [f"192.168.{n}.0/24" for n in range(197)] + [f"fd00:{n:x}::/64"
                                                                for n in range(1, 198)]
    gone = random.Random(32).sample(all_prefixes, 6)
    lines = "".join(f"allowed_ip={prefix}\n" for prefix in all_prefixes)
    assert daemon.ask(f"set=1\npublic_key={KEY}\nreplace_allowed_ips=true\n{lines}\n") == OK
    assert len(prefixes(daemon)) == 394
    lines = "".join(f"allowed_ip=-{prefix}\n" for prefix in gone)
    assert daemon.ask(f"set=1\npublic_key={KEY}\nupdate_only=true\n{lines}\n") == OK
    assert prefixes(daemon) == set(all_prefixes) - set(gone)
    assert len(prefixes(daemon)) == 388


def test_the_devices_own_public_key_is_accepted_and_ignored(daemon):
    own = Keys()
    assert daemon.ask(f"set=1\nprivate_key={to_hex(own.private)}\npublic_key={to_hex(own.public)}\n"
                      f"allowed_ip=10.0.0.0/8\npublic_key={OTHER}\n\n") == OK
    assert set(peers(daemon)) == {KEY, OTHER}
    assert prefixes(daemon) == {"10.0.0.0/8", "fd00::/16"}


def test_one_set_may_name_a_peer_twice(daemon):
    assert daemon.ask(f"set=1\npublic_key={OTHER}\nallowed_ip=172.16.0.0/12\npublic_key={KEY}\n"
                      f"public_key={OTHER}\nallowed_ip=192.168.0.0/16\n\n") == OK
    assert prefixes(daemon, OTHER) == {"172.16.0.0/12", "192.168.0.0/16"}


@pytest.mark.parametrize("endpoint", ["192.0.2.1:1", "[2001:db8::1]:65535", "[fe80::1%1]:5"])
def test_endpoints_are_printed_in_canonical_form(daemon, endpoint):
    assert daemon.ask(f"set=1\npublic_key={KEY}\nendpoint={endpoint}\n\n") == OK
    assert ("endpoint", endpoint) in daemon.get()


# Invalid input.

BAD_FIRST_LINES = ["", "set=2", "get=2", "set", "get", "put=1", "set=1 ", " set=1", "=1", "SET=1"]


@pytest.mark.parametrize("line", list(filter(None, BAD_FIRST_LINES)))
def test_an_unknown_operation_is_refused(daemon, line):
    before = daemon.get()
    answer = daemon.ask(f"{line}\nfwmark=77\n\n")
    assert int(answer.removeprefix("errno=")) != 0
    assert daemon.get() == before


EINVAL, EPROTO = errno.EINVAL, errno.EPROTO

# Lines after `set=1`, before the first peer.
BAD_DEVICE_LINES = [
    ("private_key=" + "a" * 63, EINVAL), ("private_key=" + "a" * 65, EINVAL),
    ("private_key=" + "g" * 64, EINVAL), ("private_key=", EINVAL), ("private_key", EPROTO),
    ("listen_port=65536", EINVAL), ("listen_port=-1", EINVAL), ("listen_port=", EINVAL),
    ("listen_port=1x", EINVAL), ("listen_port= 1", EINVAL),
    ("listen_port=99999999999999999999", EINVAL),
    ("fwmark=4294967296", EINVAL), ("fwmark=-1", EINVAL), ("fwmark=", EINVAL), ("fwmark=z", EINVAL),
    ("replace_peers=false", EINVAL), ("replace_peers=1", EINVAL), ("replace_peers=", EINVAL),
    ("unknown=1", EINVAL), ("=1", EINVAL), ("=", EINVAL), ("fwmark", EPROTO), ("nonsense", EPROTO),
    ("endpoint=192.0.2.1:5", EINVAL), ("allowed_ip=10.0.0.0/8", EINVAL), ("remove=true", EINVAL),
    ("preshared_key=" + KEY, EINVAL), ("update_only=true", EINVAL), ("protocol_version=1", EINVAL),
    ("persistent_keepalive_interval=1", EINVAL), ("replace_allowed_ips=true", EINVAL),
    ("public_key=" + "a" * 63, EINVAL), ("public_key=" + "x" * 64, EINVAL), ("public_key=", EINVAL),
    ("\x00=1", EINVAL), ("ÿ=1", EINVAL), (" fwmark=1", EINVAL), ("FWMARK=1", EINVAL),
    ("get=1", EINVAL), ("set=1", EINVAL), ("errno=0", EINVAL),
]

# Lines after `public_key=`.
BAD_PEER_LINES = [
    ("preshared_key=" + "a" * 63, EINVAL), ("preshared_key=" + "-" * 64, EINVAL),
    ("preshared_key=", EINVAL), ("preshared_key", EPROTO),
    ("endpoint=", EINVAL), ("endpoint=192.0.2.1", EINVAL), ("endpoint=192.0.2.1:", EINVAL),
    ("endpoint=192.0.2.1:65536", EINVAL), ("endpoint=192.0.2.1:-1", EINVAL),
    ("endpoint=192.0.2.256:1", EINVAL), ("endpoint=192.0.2:1", EINVAL),
    ("endpoint=::1:51820", EINVAL), ("endpoint=[::1]", EINVAL), ("endpoint=[::1:5", EINVAL),
    ("endpoint=[::g]:5", EINVAL), ("endpoint=[192.0.2.1]:5", EINVAL), ("endpoint=[]:5", EINVAL),
    ("endpoint=[fe80::1%nolink]:5", EINVAL), ("endpoint=host.example:5", EINVAL),
    ("endpoint=[fe80::1%]:5", EINVAL), ("endpoint=:5", EINVAL),
    ("persistent_keepalive_interval=65536", EINVAL), ("persistent_keepalive_interval=-1", EINVAL),
    ("persistent_keepalive_interval=", EINVAL), ("persistent_keepalive_interval=off", EINVAL),
    ("allowed_ip=", EINVAL), ("allowed_ip=10.0.0.0", EINVAL), ("allowed_ip=10.0.0.0/", EINVAL),
    ("allowed_ip=10.0.0.0/33", EINVAL), ("allowed_ip=10.0.0.0/-1", EINVAL),
    ("allowed_ip=10.0.0/8", EINVAL), ("allowed_ip=10.0.0.256/8", EINVAL),
    ("allowed_ip=::/129", EINVAL), ("allowed_ip=::g/64", EINVAL), ("allowed_ip=1::2::3/64", EINVAL),
    ("allowed_ip=/8", EINVAL), ("allowed_ip=-", EINVAL), ("allowed_ip=--10.0.0.0/8", EINVAL),
    ("allowed_ip=+10.0.0.0/8", EINVAL), ("allowed_ip=10.0.0.0/8,10.1.0.0/16", EINVAL),
    ("allowed_ip=10.0.0.0/8/8", EINVAL), ("allowed_ip=10.0.0.0/ 8", EINVAL),
    ("remove=false", EINVAL), ("remove=", EINVAL), ("remove=TRUE", EINVAL), ("remove", EPROTO),
    ("update_only=false", EINVAL), ("update_only=1", EINVAL),
    ("replace_allowed_ips=false", EINVAL), ("replace_allowed_ips=", EINVAL),
    ("protocol_version=2", EINVAL), ("protocol_version=", EINVAL), ("protocol_version=0", EINVAL),
    ("unknown=1", EINVAL), ("nonsense", EPROTO), ("=", EINVAL),
    # The device's keys must precede the first peer.
    (f"private_key={PRIVATE}", EINVAL), ("listen_port=1", EINVAL), ("fwmark=1", EINVAL),
    ("replace_peers=true", EINVAL),
    ("public_key=abc", EINVAL),
]


@pytest.mark.parametrize("line, number", BAD_DEVICE_LINES, ids=lambda value: repr(value)[:50])
def test_a_bad_line_for_the_device_changes_nothing(daemon, line, number):
    before = daemon.get()
    text = f"set=1\nfwmark=77\n{line}\npublic_key={OTHER}\nallowed_ip=10.0.0.0/8\n\n"
    assert daemon.ask(text) == answer_of(number)
    assert daemon.get() == before


@pytest.mark.parametrize("line, number", BAD_PEER_LINES, ids=lambda value: repr(value)[:50])
def test_a_bad_line_for_a_peer_changes_nothing(daemon, line, number):
    before = daemon.get()
    text = (f"set=1\nfwmark=77\nreplace_peers=true\npublic_key={OTHER}\nallowed_ip=10.0.0.0/8\n"
            f"public_key={KEY}\n{line}\n\n")
    assert daemon.ask(text) == answer_of(number)
    assert daemon.get() == before


def test_bad_lines_after_an_unknown_or_removed_peer_are_refused_too(daemon):
    before = daemon.get()
    for verb in ("remove=true", "update_only=true"):
        text = f"set=1\npublic_key={OTHER}\n{verb}\nallowed_ip=nonsense\n\n"
        assert daemon.ask(text) == answer_of(EINVAL)
    assert daemon.get() == before


def test_random_text_never_changes_anything(daemon):
    before, generator = daemon.get(), random.Random(7)
    for number in range(200):
        noise = generator.randbytes(generator.randrange(1, 200)).translate(None, b"\r\n") + b"?"
        with contextlib.suppress(ConnectionError):
            daemon.ask([b"set=1\nfwmark=77\n", b""][number % 2] + noise + b"\n\n")
    assert daemon.get() == before


# Ports.

@pytest.mark.parametrize("version", [4, 6])
def test_a_port_in_use_is_refused_and_the_old_sockets_keep_working(version):
    with two_sites() as (a, b):
        ping(a.machine, b.inner[4])
        before = a.daemon.get()
        with a.machine.entered():
            taken = socket.socket(socket.AF_INET if version == 4 else socket.AF_INET6,
                                  socket.SOCK_DGRAM)
        with taken:
            if version == 6:
                taken.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            taken.bind(("", 4444))
            text = f"set=1\nfwmark=8\nlisten_port=4444\nreplace_peers=true\npublic_key={OTHER}\n\n"
            assert a.daemon.ask(text) == answer_of(errno.EADDRINUSE)
            unchanged = [pair for pair in a.daemon.get() if "bytes" not in pair[0]]
            assert unchanged == [pair for pair in before if "bytes" not in pair[0]]
            ping(b.machine, a.inner[4], within=4)
        assert a.daemon.ask("set=1\nlisten_port=4444\n\n") == OK
        ping(a.machine, b.inner[4], within=4)
        assert b.peer_status(a).endpoint == "10.0.0.1:4444"


def test_a_port_can_be_bound_again_immediately():
    with two_sites() as (a, b):
        def listens(port):
            """False only if a worker was preempted for longer than the daemon waits for it."""
            begun = time.monotonic()
            answer = a.daemon.ask(f"set=1\nlisten_port={port}\n\n", timeout=20)
            assert answer == OK or time.monotonic() - begun > 1, answer
            return answer == OK

        with a.machine.entered():
            flood = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        flood.setblocking(False)
        with flood:
            for number in range(300):
                for _ in range(50):  # keeps the workers busy
                    with contextlib.suppress(BlockingIOError):
                        flood.sendto(bytes(60_000), (b.inner[4], 9))
                wait_until(lambda: listens(4444 + number % 2), "the port is bound again", within=20)
        # The first pings are lost behind the flood.
        wait_until(lambda: a.machine.attempt("ping", "-c1", "-W1", b.inner[4]).returncode == 0,
                   "the tunnel works", within=20)


def test_a_port_in_use_is_refused_while_the_link_is_down(daemon):
    with daemon.machine.entered():
        taken = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with taken:
        taken.bind(("", 4444))
        assert daemon.ask("set=1\nlisten_port=4444\n\n") == answer_of(errno.EADDRINUSE)
    assert ("listen_port", "7777") in daemon.get()


def test_port_zero_lets_the_kernel_choose(daemon):
    assert daemon.ask("set=1\nlisten_port=0\n\n") == OK
    port = int(dict(daemon.get())["listen_port"])
    assert port not in (0, 7777)
    daemon.machine.ip("link set wg0 up")
    assert int(dict(daemon.get())["listen_port"]) == port
    daemon.machine.ip("link set wg0 down")
    assert int(dict(daemon.get())["listen_port"]) == port  # it survives down and up


def test_the_mark_is_on_what_is_sent():
    with two_sites() as (a, b):
        a.machine.nft("""
            table inet marks {
                chain out {
                    type filter hook output priority 0
                    udp dport 51822 meta mark != 42 drop
                }
            }
        """)
        assert_no_answer(a.machine, b.inner[4])
        assert a.daemon.ask("set=1\nfwmark=42\n\n") == OK
        a.go_down_and_up()  # otherwise the next handshake waits 5 s
        ping(a.machine, b.inner[4], count=3)
        assert a.daemon.ask("set=1\nfwmark=0\n\n") == OK
        assert_no_answer(a.machine, b.inner[4])


# Hostile clients.

def test_stalled_clients_delay_no_other_client(daemon):
    with contextlib.ExitStack() as stalled:
        for number in range(100):
            client = stalled.enter_context(daemon.dial())
            client.sendall([b"set=1\nfwm", b"get=1\n", b"", b"set=1\nfwmark=66\n"][number % 4])
        for _ in range(5):
            begun = time.monotonic()
            assert daemon.ask("set=1\nfwmark=5\n\n") == OK
            assert daemon.ask("get=1\n\n").endswith(OK)
            assert time.monotonic() - begun < AT_ONCE
    assert ("fwmark", "5") in daemon.get()


def test_a_client_that_does_not_read_delays_no_other_client(daemon):
    lines = "".join(f"allowed_ip=10.{n // 256}.{n % 256}.0/24\n" for n in range(30000))
    assert daemon.ask(f"set=1\npublic_key={KEY}\n{lines}\n") == OK
    with daemon.dial() as deaf:
        deaf.sendall(b"get=1\n\n" * 3)
        begun = time.monotonic()
        assert daemon.ask("set=1\nfwmark=5\n\n") == OK
        assert time.monotonic() - begun < AT_ONCE
    assert daemon.ask("get=1\n\n").endswith(OK)


def test_requests_wait_until_earlier_answers_are_read(daemon):
    """9000 requests in one write, each with an answer of half a megabyte, are answered one at a time."""
    lines = "".join(f"allowed_ip=10.{n // 256}.{n % 256}.0/24\n" for n in range(20000))
    assert daemon.ask(f"set=1\npublic_key={KEY}\n{lines}\n") == OK
    length = len(daemon.ask("get=1\n\n"))
    before = resident(daemon.pid)
    with daemon.dial() as client:
        client.sendall(b"get=1\n\n" * 9000)
        begun = time.monotonic()
        assert daemon.ask("set=1\nfwmark=5\n\n") == OK
        assert time.monotonic() - begun < AT_ONCE
        assert resident(daemon.pid) < before + (4 << 20)
        remaining = 10 * length
        while remaining:
            part = client.recv(min(remaining, 1 << 20))
            assert part
            remaining -= len(part)
        assert part.endswith(OK.encode())
    assert daemon.ask("get=1\n\n").endswith(OK)


@pytest.mark.long
def test_stalled_clients_are_disconnected(daemon):
    lines = "".join(f"allowed_ip=10.{n // 256}.{n % 256}.0/24\n" for n in range(30000))
    assert daemon.ask(f"set=1\npublic_key={KEY}\n{lines}\n") == OK
    with daemon.dial() as silent:
        silent.sendall(b"get=1\n\n")
        assert read_answer(silent).endswith(OK)
        files = open_files(daemon.pid)  # includes this client, excludes earlier ones
        with daemon.dial() as reader, daemon.dial() as writer:
            reader.sendall(b"get=1\n\n" * 3)
            writer.sendall(b"set=1\nfwm")
            wait_until(lambda: open_files(daemon.pid) == files + 2, "all are served")
            wait_until(lambda: open_files(daemon.pid) == files, "two clients are disconnected", within=20)
        silent.sendall(b"get=1\n\n")  # a client may be idle between two dialogues for any time
        assert read_answer(silent).endswith(OK)


def test_an_endless_line_is_rejected_and_uses_no_memory(daemon):
    before = resident(daemon.pid)
    with daemon.dial() as client:
        sent = 0
        with contextlib.suppress(ConnectionError, TimeoutError):
            client.sendall(b"set=1\nfwmark=")
            while sent < 1 << 30:
                client.sendall(b"1" * 65536)
                sent += 65536
        assert sent < 64 << 20, f"{sent} bytes of one line were read"
    assert resident(daemon.pid) < before + (1 << 20)
    assert ("fwmark", "5") in daemon.get()


def test_short_lived_connections_leave_nothing_behind(daemon):
    daemon.get()
    files = open_files(daemon.pid)
    for number in range(10_000):
        with daemon.dial() as client:
            client.sendall([b"", b"set=1\n", b"get=1\n\n", b"\n\n\n"][number % 4])
    wait_until(lambda: open_files(daemon.pid) <= files, "all connections are closed")
    assert daemon.ask("get=1\n\n").endswith(OK)


def test_without_free_descriptors_it_does_not_spin(daemon):
    daemon.get()
    limit = open_files(daemon.pid) - 1
    resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (limit, limit))
    with daemon.dial():
        time.sleep(0.2)
        begun, before = time.monotonic(), cpu_seconds(daemon.pid)
        time.sleep(1)
        used = cpu_seconds(daemon.pid) - before
        assert used < 0.1 * (time.monotonic() - begun)
