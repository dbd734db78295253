"""Many prefixes and many peers, written and read back."""

import base64
import ipaddress
import os
import random
import time

import pytest

from swireguard_dev.commands import scale
from swireguard_dev.daemon import Daemon, Keys
from swireguard_dev.machines import Machine
from swireguard_dev.project import ROOT
from swireguard_dev.topology import two_sites
from swireguard_dev.traffic import ping

PREFIXES = ([f"{first}.{second}.0.0/16" for first in range(255) for second in range(256)]
            + [f"fd00:{first:x}:{second:x}::1/128" for first in range(255)
               for second in range(256)])


@pytest.fixture
def daemon():
    with Machine("alice") as machine, Daemon(machine, environment={"LOG_LEVEL": "error"}) as daemon:
        yield daemon


def timed(what, work):
    begun = time.monotonic()
    result = work()
    print(f"{what}: {time.monotonic() - begun:.2f} s")
    return result


def canonical(prefix):
    return str(ipaddress.ip_network(prefix))


def test_130560_prefixes_in_chunks_of_any_size(daemon):
    """As in a stream, chunks end anywhere: single bytes first and last, random sizes between."""
    key, generator = "ab" * 32, random.Random(28)
    text = (f"set=1\npublic_key={key}\n"
            + "".join(f"allowed_ip={prefix}\n" for prefix in PREFIXES) + "\n").encode()
    with daemon.dial(timeout=20) as client:
        at = 0
        while at < len(text):
            near_an_end = at < 2000 or at > len(text) - 2000
            size = 1 if near_an_end else generator.randrange(1, 3000)
            client.sendall(text[at:at + size])
            at += size
        assert client.recv(32) == b"errno=0\n\n"
    assert daemon.ask("get=1\n\n", timeout=20).count("allowed_ip=") == 130_560


@pytest.mark.long
@pytest.mark.limit(300)
def test_130560_prefixes_in_single_bytes(daemon):
    text = (f"set=1\npublic_key={'ab' * 32}\n"
            + "".join(f"allowed_ip={prefix}\n" for prefix in PREFIXES) + "\n").encode()
    with daemon.dial(timeout=60) as client:
        for byte in range(len(text)):
            client.send(text[byte:byte + 1])
        assert client.recv(32) == b"errno=0\n\n"
    assert daemon.ask("get=1\n\n", timeout=20).count("allowed_ip=") == 130_560


def test_20000_peers(daemon):
    generator = random.Random(20_000)
    peers = {}
    for number in range(20_000):
        key = base64.b64encode(generator.randbytes(32)).decode()
        peers[key] = (f"192.0.2.{number % 250 + 1}:{number + 1000}",
                      [f"10.{number >> 8}.{number & 255}.0/24", f"fd00:{number:x}::/64"])
    configuration = f"[Interface]\nPrivateKey = {Keys().private}\n" + "".join(
        f"[Peer]\nPublicKey = {key}\nEndpoint = {endpoint}\nAllowedIPs = {', '.join(prefixes)}\n"
        for key, (endpoint, prefixes) in peers.items())
    timed("20 000 peers set", lambda: daemon.wg("setconf", "/dev/stdin", input=configuration))
    shown = timed("… and shown", daemon.show).peers
    assert {key: (peer.endpoint, sorted(peer.allowed_ips)) for key, peer in shown.items()} == {
        key: (endpoint, sorted(map(canonical, prefixes)))
        for key, (endpoint, prefixes) in peers.items()}
    timed("… and synchronised",
          lambda: daemon.wg("syncconf", "/dev/stdin", input=configuration))
    assert len(daemon.wg("show", "peers").split()) == 20_000
    timed("… and removed", lambda: daemon.ask("set=1\nreplace_peers=true\n\n", timeout=20))
    assert daemon.wg("show", "peers") == ""


def test_a_tunnel_works_among_130560_prefixes():
    """Look-ups find the longest prefix of many, and the session survives while they are set."""
    with two_sites() as (a, b):
        ping(a.machine, b.inner[4])
        handshake = a.peer_status(b).latest_handshake
        lines = "".join(f"AllowedIPs = {prefix}\n" for prefix in PREFIXES)
        a.daemon.wg("addconf", "/dev/stdin", input=f"[Peer]\nPublicKey = {Keys().public}\n{lines}")
        for version in (4, 6):
            ping(a.machine, b.inner[version], count=3)
        assert a.peer_status(b).latest_handshake == handshake


@pytest.mark.limit(150)
@pytest.mark.parametrize("initiate, seconds", [(False, 5), (True, 0)], ids=["called", "calling"])
def test_2000_peers_with_sessions(initiate, seconds):
    """Short form of scripts/scale: each of 2000 peers gets a session, and pings return while
    others renew theirs."""
    crowd = os.environ.get("CROWD", str(ROOT / ".build/release/crowd"))
    results = scale.measure(2000, seconds, crowd, initiate=initiate)
    assert results["made"]["handshakes"] >= 2000
    assert results["made"]["unexpected"] == 0
    if seconds:
        pings = results["renewing"].pings
        assert pings["handshakes"] > 0
        assert pings["back"] > 0.9 * pings["sent"]
