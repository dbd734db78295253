"""The kernel's scenarios over one loopback: sockets in one namespace, interfaces in two others.

              ns0: 127.0.0.1, ::1, and both daemons' sockets
                     :1                    :2
    ─────────────────┼──────────────────────┼────────────────
    ns1: wg1  192.168.241.1          ns2: wg2  192.168.241.2
              fd00::1                          fd00::2

Each daemon starts in ns0, and its interface then moves.
"""

import json
import socket
import subprocess
from types import SimpleNamespace

import pytest

from swireguard_dev.capture import Capture
from swireguard_dev.daemon import Keys, wg_tool
from swireguard_dev.machines import Machine, wait_until
from swireguard_dev.topology import MTU, Site, socket_address
from swireguard_dev.traffic import flood, ping

LOOPBACK = {4: "127.0.0.1", 6: "::1"}
LARGE_MTU = 34816 - 1500 + MTU


@pytest.fixture
def world():
    with Machine("ns0") as ns0, Machine("ns1") as ns1, Machine("ns2") as ns2, \
            Site(ns0, 1, name="wg1", port=1) as n1, Site(ns0, 2, name="wg2", port=2) as n2:
        preshared = wg_tool("genpsk")
        for site, other, machine in ((n1, n2, ns1), (n2, n1, ns2)):
            ns0.ip(f"link set {site.daemon.name} netns {machine.pid}")
            site.machine = machine
            site.configure(other.as_peer(preshared_key=preshared))
            site.bring_up()
        world = SimpleNamespace(ns0=ns0, n1=n1, n2=n2, preshared=preshared)
        dial(world, 4)
        yield world


def dial(world, version):
    for site, other in ((world.n1, world.n2), (world.n2, world.n1)):
        site.daemon.wg("set", "peer", other.keys.public, "endpoint",
                       socket_address(LOOPBACK[version], other.port))


# Traffic

def iperf3(sender, receiver, version, full, *options):
    """One transfer of three seconds or 20 MB; returns the bytes, or the UDP datagrams, that arrived."""
    address = receiver.inner[version]
    server = receiver.machine.popen("iperf3", "--server", "--one-off", "--json", "--bind", address,
                                    stdout=subprocess.PIPE)
    wait_until(lambda: listening(receiver.machine) == 1, "iperf3 listens")
    length = ["--time", 3] if full else ["--bytes", "20M"]
    sender.machine.run("iperf3", "--client", address, *length, *options, timeout=40)
    end = json.loads(server.communicate(timeout=20)[0])["end"]
    total = end.get("sum_received") or end["sum"]
    return total["packets"] - total["lost_packets"] if "packets" in total else total["bytes"]


def listening(machine):
    return len(machine.run("ss", "-Hltn", "sport >= :5200 and sport < :5300").splitlines())


def parallel_streams(sender, receiver, count, full):
    """One iperf3 process for each stream, each with its own port."""
    address = receiver.inner[4]
    servers = receiver.machine.popen(
        "sh", "-c", each_port(count, f"iperf3 --server --one-off --bind {address} --port"),
        leaves_processes=True)
    wait_until(lambda: listening(receiver.machine) == count, f"{count} servers listen", within=15)
    length = "--time 3" if full else f"--bytes {max(1, 40 // count)}M"
    sender.machine.run(
        "sh", "-c", each_port(count, f"iperf3 --zerocopy --client {address} {length} --port"),
        timeout=50, leaves_processes=True)
    assert servers.wait(20) == 0, "a server did not end"


def each_port(count, command):
    return (f"for port in $(seq 5200 {5199 + count}); do {command} $port >/dev/null & "
            "all=\"$all $!\"; done; for one in $all; do wait $one || failed=1; done; "
            "exit ${failed:-0}")


@pytest.mark.limit(150)
@pytest.mark.parametrize("mtu, outer", [
    pytest.param(mtu, outer, id=f"MTU {mtu} over IPv{outer}",
                 marks=pytest.mark.scenario(name, "pings, TCP and UDP in both directions, 4, 5, 50 streams"))
    for name, mtu, outer in [("S1, S3", MTU, 4), ("S4", LARGE_MTU, 4), ("S5", MTU, 6),
                             ("S6", LARGE_MTU, 6)]])
def test_the_tunnel_carries_all_kinds_of_traffic(world, mtu, outer, full, seen):
    dial(world, outer)
    n1, n2 = world.n1, world.n2
    for site in (n1, n2):
        site.machine.ip(f"link set {site.daemon.name} mtu {mtu}")
    for version in (4, 6):
        flood(n2.machine, n1.inner[version])
        flood(n1.machine, n2.inner[version])
    unlimited = ["--udp", "--bitrate", 0]
    arrived = [iperf3(n1, n2, 4, full, "--zerocopy"), iperf3(n2, n1, 6, full, "--zerocopy"),
               iperf3(n2, n1, 4, full, *unlimited), iperf3(n1, n2, 6, full, *unlimited)]
    assert all(arrived), arrived
    for count in (4, 5, 50):
        parallel_streams(n1, n2, count, full)
    seen("40 answers; by TCP {} and {} MB, by UDP {} and {} datagrams; 59 streams".format(
        arrived[0] // 10**6, arrived[1] // 10**6, *arrived[2:]))


def link_bytes(site):
    """What an interface received and sent."""
    link, = json.loads(site.machine.run("ip", "-json", "-stats", "link", "show", site.daemon.name))
    return [link["stats64"][way]["bytes"] for way in ("rx", "tx")]


@pytest.mark.scenario("S2", "the cost of ten pings and a handshake, to the byte")
def test_counters_are_exact(world, seen):
    """84 bytes are padded to 96 and get 32 bytes of overhead; the handshake has 148 and 92. The link
    counts inner packets."""
    n1, n2 = world.n1, world.n2
    before = link_bytes(n2)
    flood(n2.machine, n1.inner[4])
    assert [after - start for start, after in zip(before, link_bytes(n2))] == [840, 840]
    near, far = n2.peer_status(n1), n1.peer_status(n2)
    assert near.rx == far.tx == 1372
    assert near.tx == far.rx
    assert near.tx in (1428, 1460)
    assert near.latest_handshake != 0 and far.latest_handshake != 0
    seen(f"n2 received {near.rx}, sent {near.tx}; n1 the reverse")


@pytest.mark.scenario("S7", "padding never extends a packet beyond the MTU")
def test_padding_ends_at_the_mtu(world, seen):
    """A TUN driver does not pass on a route's MTU: the device's MTU applies."""
    n1, n2 = world.n1, world.n2
    for site in (n1, n2):
        site.machine.ip(f"link set {site.daemon.name} mtu 1299")
    world.ns0.nft("""
        table inet narrow {
            chain in {
                type filter hook input priority 0
                meta length > 1359 drop
            }
        }""")
    with Capture(world.ns0, "lo") as capture:
        for sender, receiver in ((n1, n2), (n2, n1)):
            ping(sender.machine, receiver.inner[4], size=1269, within=1)
        longest = max(map(len, capture.packets()))
    assert longest == 1359
    seen(f"the longest outer packet has {longest} bytes")


# Roaming

@pytest.mark.scenario("S8", "an end changes its IPv4 address and port")
def test_roaming_over_ipv4(world, seen):
    n1, n2 = world.n1, world.n2
    ping(n1.machine, n2.inner[4])
    world.ns0.ip("address del 127.0.0.1/8 dev lo\naddress add 127.212.121.99/8 dev lo")
    n1.daemon.wg("set", "listen-port", "9999")
    ping(n1.machine, n2.inner[6], within=1)
    assert n2.peer_status(n1).endpoint == "127.212.121.99:9999"
    seen("n2 shows 127.212.121.99:9999")


@pytest.mark.scenario("S9", "an end switches to IPv6")
def test_roaming_to_ipv6(world, seen):
    n1, n2 = world.n1, world.n2
    ping(n1.machine, n2.inner[4])
    n1.daemon.wg("set", "listen-port", "9998")
    n1.daemon.wg("set", "peer", n2.keys.public, "endpoint", "[::1]:2")
    ping(n1.machine, n2.inner[4], within=1)
    assert n2.peer_status(n1).endpoint == "[::1]:9998"
    seen("n2 shows [::1]:9998")


@pytest.mark.scenario("S10", "a source of another peer is dropped, although its sender roams")
def test_the_longest_prefix_owns_a_source(world, seen):
    n1, n2 = world.n1, world.n2
    dial(world, 6)
    n1.daemon.wg("set", "peer", n2.keys.public, "allowed-ips", "192.168.241.0/24")
    ping(n1.machine, n2.inner[4])
    with n1.machine.entered():
        receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with n2.machine.entered():
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with receiver, sender:
        receiver.bind((n1.inner[4], 1111))
        receiver.settimeout(1)
        sender.sendto(b"X", (n1.inner[4], 1111))
        assert receiver.recv(10) == b"X"
        n1.daemon.wg("set", "peer", Keys().public, "allowed-ips", f"{n2.inner[4]}/32")
        n2.daemon.wg("set", "listen-port", "9997")
        sender.sendto(b"X", (n1.inner[4], 1111))
        with pytest.raises(TimeoutError):
            receiver.recv(10)
    assert n1.peer_status(n2).endpoint == "[::1]:9997"
    seen("the second X is dropped, and n1 shows [::1]:9997")


@pytest.mark.scenario("S11", "a changed private key takes effect with the first packet")
def test_a_private_key_changes(world, seen):
    n1, n2 = world.n1, world.n2
    ping(n1.machine, n2.inner[4])
    old, n1.keys = n1.keys, Keys()
    n1.daemon.wg("set", "private-key", "/dev/stdin", input=n1.keys.private)
    n2.daemon.wg("set", "peer", n1.keys.public, "preshared-key", "/dev/stdin", "allowed-ips",
                 f"{n1.inner[4]}/32", "peer", old.public, "remove", input=world.preshared)
    ping(n1.machine, n2.inner[4], within=1)
    seen("the first ping is answered within 1 s")
